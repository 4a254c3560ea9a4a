//! The running `blackhole` sink.

use async_trait::async_trait;
use stream::{
    error::StreamError,
    sink::{Sink, SinkRows},
    time::Epoch,
};

use crate::telemetry::SinkMetrics;

pub(super) struct BlackholeSink {
    metrics: SinkMetrics,
}

impl BlackholeSink {
    pub(super) fn new(table: &str) -> Self {
        BlackholeSink { metrics: SinkMetrics::new(table) }
    }
}

#[async_trait]
impl Sink for BlackholeSink {
    async fn write(&mut self, rows: SinkRows) -> Result<(), StreamError> {
        self.metrics.rows(rows.batch.num_rows(), rows.is_final);
        Ok(())
    }

    async fn pre_commit(&mut self, _epoch: Epoch) -> Result<Vec<u8>, StreamError> {
        Ok(Vec::new())
    }

    async fn commit(&mut self, _epoch: Epoch, _token: Vec<u8>) -> Result<(), StreamError> {
        self.metrics.commits.increment(1);
        Ok(())
    }

    async fn close(&mut self) -> Result<(), StreamError> {
        Ok(())
    }
}
