//! Limits and switches of the HTTP side, already validated; the binary fills it from flags and environment.

use std::time::Duration;

/// Settings of the router. `Default` gives the documented defaults.
#[derive(Debug, Clone)]
pub struct ApiConfig {
    /// Origins that a browser may call from: exact origins, or one `*` for any. Empty: same origin only.
    pub cors_origins: Vec<String>,
    /// Largest body of `POST /v1/events`, in bytes.
    pub events_body_bytes: usize,
    /// Most events in one `POST /v1/events`.
    pub events_batch: usize,
    /// Largest body of every other route, in bytes.
    pub body_bytes: usize,
    /// How far ahead of the server's clock an event's time may be.
    pub event_time_ahead: Duration,
    /// How long `POST /v1/events` waits for Kafka's acknowledgement before it answers 503.
    pub publish_timeout: Duration,
    /// How long any request may take to its response head; a stream's body is not bounded by it.
    pub request_timeout: Duration,
    /// How long each part may take to answer `/readyz`.
    pub ready_timeout: Duration,
    /// Most server-sent-event streams at a time; further ones get 503.
    pub max_streams: usize,
    /// A comment line is sent on a silent stream this often, so that proxies keep it open.
    pub heartbeat: Duration,
    /// How long `serve` waits for open requests after cancellation.
    pub shutdown_grace: Duration,
}

impl Default for ApiConfig {
    fn default() -> Self {
        Self {
            cors_origins: Vec::new(),
            events_body_bytes: 1 << 20,
            events_batch: 500,
            body_bytes: 64 << 10,
            event_time_ahead: Duration::from_secs(300),
            publish_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(30),
            ready_timeout: Duration::from_secs(2),
            max_streams: 1024,
            heartbeat: Duration::from_secs(10),
            shutdown_grace: Duration::from_secs(10),
        }
    }
}
