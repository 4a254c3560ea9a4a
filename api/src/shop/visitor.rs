//! Who is asking, as the request's headers say it.

use events::Traffic;

/// The visitor of a cart; copied onto every event of the cart and its order.
#[derive(Debug, Clone)]
pub(crate) struct Visitor {
    /// `X-Visitor-Id`: becomes `anonymous_id` and the Kafka key.
    pub(crate) anonymous_id: String,
    /// `X-Session-Id`: the client's own session token.
    pub(crate) session_id: String,
    /// `X-Traffic`, else human. Not guessed from the user agent: the caller may be the shop's own server, and
    /// an order counts whatever program placed it.
    pub(crate) traffic: Traffic,
}
