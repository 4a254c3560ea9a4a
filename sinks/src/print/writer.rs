//! The running `print` sink.

use std::{
    fmt,
    io::{self, Write},
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use stream::{
    error::StreamError,
    sink::{Sink, SinkRows},
    time::Epoch,
};

use crate::{json, telemetry::SinkMetrics};

/// An output that several sinks write whole batches of lines to, in turn.
#[derive(Clone)]
pub struct SharedWriter(Arc<Mutex<dyn Write + Send>>);

impl SharedWriter {
    /// Shares `output`.
    pub fn new(output: impl Write + Send + 'static) -> Self {
        SharedWriter(Arc::new(Mutex::new(output)))
    }

    fn write(&self, lines: &[u8]) -> io::Result<()> {
        // A panic in another writer leaves at worst a cut line; the output itself is still good.
        let mut output = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        output.write_all(lines)?;
        output.flush()
    }
}

impl Default for SharedWriter {
    fn default() -> Self {
        SharedWriter::new(io::stdout())
    }
}

impl fmt::Debug for SharedWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedWriter")
    }
}

pub(super) struct PrintSink {
    table: String,
    /// Text before the marker, with a blank after it unless empty.
    prefix: String,
    output: SharedWriter,
    metrics: SinkMetrics,
}

impl PrintSink {
    pub(super) fn new(table: &str, prefix: &str, output: SharedWriter) -> Self {
        let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix} ") };
        PrintSink { table: table.to_owned(), prefix, output, metrics: SinkMetrics::new(table) }
    }
}

#[async_trait]
impl Sink for PrintSink {
    async fn write(&mut self, rows: SinkRows) -> Result<(), StreamError> {
        let marker: &[u8] = if rows.is_final { b"= " } else { b"~ " };
        let mut lines = Vec::new();
        json::for_each_row(&rows.batch, |_, object| {
            for part in [self.prefix.as_bytes(), marker, object, b"\n"] {
                lines.extend_from_slice(part);
            }
            Ok(())
        })?;
        self.output
            .write(&lines)
            .map_err(|e| StreamError::connector_caused(&self.table, "cannot write to the output", e))?;
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
