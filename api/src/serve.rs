//! Running the router on a socket until a token is cancelled.

use std::future::IntoFuture;

use axum::serve::ListenerExt;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::error::ServeError;
use crate::router::router;
use crate::state::AppState;

/// Serves until the token is cancelled; then accepts no more, ends the live streams, and waits for the open
/// requests at most [`shutdown_grace`](crate::ApiConfig::shutdown_grace).
pub async fn serve(
    listener: TcpListener,
    state: AppState,
    token: CancellationToken,
) -> Result<(), ServeError> {
    let grace = state.config().shutdown_grace;
    let app = router(state.with_shutdown(token.clone()));
    // Small answers and stream events must not wait for more data to fill a packet.
    let listener = listener.tap_io(|socket| {
        if let Err(error) = socket.set_nodelay(true) {
            tracing::debug!(error = &error as &dyn std::error::Error, "no TCP_NODELAY");
        }
    });
    let server =
        axum::serve(listener, app).with_graceful_shutdown(token.clone().cancelled_owned()).into_future();
    let out_of_grace = async {
        token.cancelled().await;
        tokio::time::sleep(grace).await;
    };
    tokio::select! {
        served = server => served.map_err(|source| ServeError::Listener { source }),
        () = out_of_grace => {
            tracing::warn!("requests were still open at the end of the shutdown grace and were cut");
            Ok(())
        }
    }
}
