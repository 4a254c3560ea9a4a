//! What the routes need, collected once by the binary.

use std::sync::Arc;

use metrics_exporter_prometheus::PrometheusHandle;
use sqlx::PgPool;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::clock::{self, Clock};
use crate::config::ApiConfig;
use crate::error::ApiError;
use crate::live::LiveReader;
use crate::publish::EventPublisher;

/// Shared by all requests; cloning it is cheap.
#[derive(Clone)]
pub struct AppState {
    shared: Arc<Shared>,
    /// Cancelled when the server stops: ends the streams, which would otherwise go on for ever.
    shutdown: CancellationToken,
}

struct Shared {
    database: Option<PgPool>,
    publisher: Arc<dyn EventPublisher>,
    live: Arc<dyn LiveReader>,
    metrics: Option<PrometheusHandle>,
    config: ApiConfig,
    clock: Clock,
    streams: Arc<Semaphore>,
}

/// Collects the parts of an [`AppState`].
pub struct AppStateBuilder {
    shared: Shared,
}

impl AppStateBuilder {
    /// Turns the storefront on. The schema must be up to date ([`crate::MIGRATOR`]).
    pub fn database(mut self, pool: PgPool) -> Self {
        self.shared.database = Some(pool);
        self
    }

    /// Turns `GET /metrics` on. The binary installs the recorder and runs its upkeep.
    pub fn metrics(mut self, handle: PrometheusHandle) -> Self {
        self.shared.metrics = Some(handle);
        self
    }

    /// Replaces the default settings.
    pub fn config(mut self, config: ApiConfig) -> Self {
        self.shared.streams = Arc::new(Semaphore::new(config.max_streams.min(Semaphore::MAX_PERMITS)));
        self.shared.config = config;
        self
    }

    /// Replaces the machine's clock.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.shared.clock = clock;
        self
    }

    /// The finished state.
    pub fn build(self) -> AppState {
        AppState { shared: Arc::new(self.shared), shutdown: CancellationToken::new() }
    }
}

impl AppState {
    /// Begins with the two parts that are always there. The database is optional.
    pub fn builder(publisher: Arc<dyn EventPublisher>, live: Arc<dyn LiveReader>) -> AppStateBuilder {
        let config = ApiConfig::default();
        let streams = Arc::new(Semaphore::new(config.max_streams));
        let shared =
            Shared { database: None, publisher, live, metrics: None, config, clock: clock::wall, streams };
        AppStateBuilder { shared }
    }

    pub(crate) fn with_shutdown(mut self, token: CancellationToken) -> Self {
        self.shutdown = token;
        self
    }

    /// The database, or the answer that the storefront is off.
    pub(crate) fn database(&self) -> Result<&PgPool, ApiError> {
        self.shared.database.as_ref().ok_or(ApiError::StorefrontOff)
    }

    pub(crate) fn publisher(&self) -> &dyn EventPublisher {
        &*self.shared.publisher
    }

    pub(crate) fn live(&self) -> &dyn LiveReader {
        &*self.shared.live
    }

    pub(crate) fn metrics(&self) -> Option<&PrometheusHandle> {
        self.shared.metrics.as_ref()
    }

    pub(crate) fn config(&self) -> &ApiConfig {
        &self.shared.config
    }

    pub(crate) fn clock(&self) -> Clock {
        self.shared.clock
    }

    pub(crate) fn streams(&self) -> Arc<Semaphore> {
        Arc::clone(&self.shared.streams)
    }

    pub(crate) fn shutdown(&self) -> &CancellationToken {
        &self.shutdown
    }
}
