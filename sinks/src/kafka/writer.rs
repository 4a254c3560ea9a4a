//! The running `kafka` sink.

use async_trait::async_trait;
use stream::{
    error::StreamError,
    sink::{Sink, SinkRows},
    time::Epoch,
};

use super::producer::Records;
use crate::{format::RowFormat, keys::KeyText, telemetry::SinkMetrics};

pub(super) struct KafkaSink {
    /// Indices of the key columns.
    key: Vec<usize>,
    format: Box<dyn RowFormat>,
    records: Records,
    metrics: SinkMetrics,
}

impl KafkaSink {
    pub(super) fn new(table: &str, key: Vec<usize>, format: Box<dyn RowFormat>, records: Records) -> Self {
        KafkaSink { key, format, records, metrics: SinkMetrics::new(table) }
    }
}

#[async_trait]
impl Sink for KafkaSink {
    async fn write(&mut self, rows: SinkRows) -> Result<(), StreamError> {
        let keys = match self.key.as_slice() {
            [] => None,
            columns => Some(KeyText::new(&rows.batch, columns)?),
        };
        // Encoded first: the encoder borrows Arrow arrays that must not be held across a wait.
        let (mut objects, mut ends) = (Vec::new(), Vec::with_capacity(rows.batch.num_rows()));
        self.format.for_each_row(&rows.batch, &mut |row| {
            objects.extend_from_slice(row);
            ends.push(objects.len());
            Ok(())
        })?;
        let mut start = 0;
        for (row, end) in ends.into_iter().enumerate() {
            let key = keys.as_ref().and_then(|keys| keys.row(row));
            self.records.send(key.as_deref(), &objects[start..end]).await?;
            start = end;
        }
        self.metrics.rows(rows.batch.num_rows(), rows.is_final);
        Ok(())
    }

    async fn pre_commit(&mut self, _epoch: Epoch) -> Result<Vec<u8>, StreamError> {
        self.records.flush().await?;
        Ok(Vec::new())
    }

    async fn commit(&mut self, _epoch: Epoch, _token: Vec<u8>) -> Result<(), StreamError> {
        self.metrics.commits.increment(1);
        Ok(())
    }

    async fn close(&mut self) -> Result<(), StreamError> {
        self.records.flush().await
    }
}
