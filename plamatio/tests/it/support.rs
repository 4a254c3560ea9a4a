//! What the tests share.

pub(crate) mod broker;
pub(crate) mod http;
pub(crate) mod lake;
pub(crate) mod process;
pub(crate) mod services;
pub(crate) mod traffic;

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

/// Bound of every wait; reached only when something is broken.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// Asks again until there is an answer; fails after [`PATIENCE`].
pub(crate) fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(started.elapsed() < PATIENCE, "never happened: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Runs a future to its end.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// A name that nothing else has.
pub(crate) fn unique(prefix: &str) -> String {
    format!("{prefix}-{}", uuid::Uuid::new_v4().simple())
}

/// The project's folder.
pub(crate) fn project() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The script of a metric.
pub(crate) fn metric_script(metric: &str) -> PathBuf {
    project().join("queries/metrics").join(format!("{metric}.sql"))
}

/// Batch SQL that answers the rows in which a metric differs from the raw events.
pub(crate) fn check_script(metric: &str) -> String {
    std::fs::read_to_string(project().join("queries/checks").join(format!("{metric}.sql"))).unwrap()
}
