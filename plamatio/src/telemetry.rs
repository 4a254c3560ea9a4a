//! Logs to standard error, metrics to Prometheus.

use std::net::SocketAddr;

use anyhow::Context;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;

/// Starts logging. Warnings and errors are always shown.
pub(crate) fn init_tracing(verbose: u8) {
    let default = match verbose {
        0 => "warn,sqlx=error,rdkafka=off,librdkafka=off,deltalake_core=error",
        1 => "info,rdkafka=error,librdkafka=off",
        _ => "debug",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
}

/// Starts collecting metrics; the handle renders them.
pub(crate) fn init_metrics() -> anyhow::Result<PrometheusHandle> {
    PrometheusBuilder::new().install_recorder().context("cannot start collecting metrics")
}

/// Serves metrics on an address of their own.
pub(crate) fn serve_metrics(address: SocketAddr) -> anyhow::Result<()> {
    PrometheusBuilder::new()
        .with_http_listener(address)
        .install()
        .with_context(|| format!("cannot serve metrics on {address} (--metrics)"))
}
