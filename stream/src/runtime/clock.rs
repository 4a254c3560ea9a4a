//! Time of day, handed in at the edge so that tests can hold it.

use std::sync::Arc;

/// Tells the time of day in microseconds since the Unix epoch.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// The machine's clock.
pub fn system() -> Clock {
    Arc::new(|| chrono::Utc::now().timestamp_micros())
}

/// A clock that stands still.
pub fn fixed(micros: i64) -> Clock {
    Arc::new(move || micros)
}
