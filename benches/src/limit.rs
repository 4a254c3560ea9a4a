//! The practical limit: what a program costs that was written by hand for these three queries and nothing else.
//!
//! It shares no code with the engine: no SQL, no plan, no columns, no sinks, no checkpoints, no late rows, no
//! dead letters. It writes the same final rows (`tests/three_answers.rs`), and throws them away unless it is
//! asked to keep them. What share of its rate the engine reaches is the price of everything that it leaves out.
//!
//! | module | what |
//! |---|---|
//! | [`scan`] | six fields out of a line |
//! | [`products`] | a table a minute by product, merged over ten minutes |
//! | [`funnel`] | a table a minute, from a session's hash to three bits |
//! | [`sessions`] | a table of open sessions, swept by the watermark |
//! | [`threads`] | a file's chunks, shared by threads |
//! | [`meeting`] | minutes of several threads put together |
//! | [`hash`] | hashing |

pub mod funnel;
pub mod hash;
pub mod meeting;
pub mod products;
pub mod scan;
pub mod sessions;
pub mod threads;

use std::path::Path;

use serde::{Deserialize, Serialize};

/// A minute.
const MINUTE_MS: i64 = 60_000;
/// How far the watermark trails, as in `sql/events.sql`.
const DELAY_MS: i64 = 5_000;
/// The gap between sessions, as in `sql/sessions.sql`.
const GAP_MS: i64 = 30_000;

/// Which of the queries are answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// `sql/top_products.sql`
    pub top_products: bool,
    /// `sql/funnel.sql`
    pub funnel: bool,
    /// `sql/sessions.sql`
    pub sessions: bool,
    /// Whether rows are kept, not only counted.
    pub rows: bool,
}

/// A row of `top_products`. Times are milliseconds since the Unix epoch.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TopRow {
    /// Start of the window.
    pub start_ms: i64,
    /// Its end.
    pub end_ms: i64,
    /// From 1 on.
    pub rank: i64,
    /// The product.
    pub product: i64,
    /// What orders brought.
    pub revenue_cents: i64,
    /// Pieces ordered.
    pub units: i64,
    /// Times viewed.
    pub views: i64,
}

/// A row of `funnel`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FunnelRow {
    /// Start of the window.
    pub start_ms: i64,
    /// Its end.
    pub end_ms: i64,
    /// Sessions with a view.
    pub viewed: i64,
    /// Sessions with an addition.
    pub carted: i64,
    /// Sessions with an order.
    pub ordered: i64,
}

/// A row of `sessions`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SessionRow {
    /// The first event.
    pub start_ms: i64,
    /// The last event and the gap.
    pub end_ms: i64,
    /// Its id.
    pub session: String,
    /// Views.
    pub views: i64,
    /// Additions.
    pub additions: i64,
    /// What orders brought.
    pub revenue_cents: i64,
}

/// Final rows, by query.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Of `top_products`.
    pub top_products: u64,
    /// Of `funnel`.
    pub funnel: u64,
    /// Of `sessions`.
    pub sessions: u64,
}

/// What came out.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// Events read.
    pub events: u64,
    /// Final rows.
    pub counts: Counts,
    /// The rows, if they were wanted, in no order in particular.
    pub top_products: Vec<TopRow>,
    /// The rows, if they were wanted.
    pub funnel: Vec<FunnelRow>,
    /// The rows, if they were wanted.
    pub sessions: Vec<SessionRow>,
}

impl Answer {
    fn add(&mut self, other: Answer) {
        self.events += other.events;
        self.counts.top_products += other.counts.top_products;
        self.counts.funnel += other.counts.funnel;
        self.counts.sessions += other.counts.sessions;
        self.top_products.extend(other.top_products);
        self.funnel.extend(other.funnel);
        self.sessions.extend(other.sessions);
    }
}

/// Reads a file of events on so many threads and answers what is wanted; with nothing wanted it decodes only.
pub fn run(path: &Path, threads: usize, wanted: Wanted) -> anyhow::Result<Answer> {
    threads::run(path, threads.max(1), wanted)
}
