//! The running `print` sink.

use std::{
    collections::BTreeMap,
    fmt,
    io::{self, Write},
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use stream::{
    error::StreamError,
    sink::{Sink, SinkRows},
    table::TableDef,
    time::Epoch,
};

use crate::{
    content::{Content, objects},
    telemetry::SinkMetrics,
};

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

/// A row with its marker in front.
type Line = (&'static [u8], Vec<u8>);

pub(super) struct PrintSink {
    table: String,
    /// Text before the marker, with a blank after it unless empty.
    prefix: String,
    content: Content,
    output: SharedWriter,
    metrics: SinkMetrics,
}

impl PrintSink {
    pub(super) fn new(table: &TableDef, prefix: &str, output: SharedWriter) -> Self {
        let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix} ") };
        let (content, metrics) = (Content::new(table), SinkMetrics::new(&table.name));
        PrintSink { table: table.name.clone(), prefix, content, output, metrics }
    }

    /// What is to be printed, each with its marker: what has come and what is gone, but not what is in both. Final rows
    /// are all printed.
    fn lines(&self, rows: &SinkRows) -> Result<Vec<Line>, StreamError> {
        let mut gone: BTreeMap<Vec<u8>, (usize, Vec<u8>)> = BTreeMap::new();
        if let Some(batch) = &rows.gone {
            for (content, object) in self.content.of(batch)?.into_iter().zip(objects(batch)?) {
                gone.entry(content).or_insert((0, object)).0 += 1;
            }
        }
        let mut come: Vec<Line> = Vec::new();
        for (content, object) in self.content.of(&rows.batch)?.into_iter().zip(objects(&rows.batch)?) {
            let stays = gone.get_mut(&content).filter(|(count, _)| *count > 0);
            match stays {
                Some((count, _)) => {
                    *count -= 1;
                    if rows.is_final {
                        come.push((b"= ", object));
                    }
                }
                None => come.push((if rows.is_final { b"= " } else { b"~ " }, object)),
            }
        }
        let gone = gone.into_values().flat_map(|(count, object)| vec![(b"- ".as_slice(), object); count]);
        Ok(gone.chain(come).collect())
    }
}

#[async_trait]
impl Sink for PrintSink {
    async fn write(&mut self, rows: SinkRows) -> Result<(), StreamError> {
        let mut lines = Vec::new();
        for (marker, object) in self.lines(&rows)? {
            for part in [self.prefix.as_bytes(), marker, &object, b"\n"] {
                lines.extend_from_slice(part);
            }
        }
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
