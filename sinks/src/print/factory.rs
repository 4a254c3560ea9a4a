//! Options of `print`.

use async_trait::async_trait;
use stream::{
    error::StreamError,
    sink::{EmitMode, Sink, SinkFactory},
    table::TableDef,
};

use super::writer::{PrintSink, SharedWriter};
use crate::options;

/// Makes `print` sinks that share one output.
pub struct PrintSinkFactory {
    output: SharedWriter,
}

impl PrintSinkFactory {
    /// Sinks that write to `output`.
    pub fn new(output: SharedWriter) -> Self {
        PrintSinkFactory { output }
    }
}

#[async_trait]
impl SinkFactory for PrintSinkFactory {
    fn default_emit(&self) -> EmitMode {
        EmitMode::Updates
    }

    fn validate(&self, table: &TableDef) -> Result<(), StreamError> {
        options::ask_common(table);
        table.options.get("prefix");
        table.options.finish()
    }

    async fn open(&self, table: &TableDef) -> Result<Box<dyn Sink>, StreamError> {
        let prefix = table.options.get("prefix").unwrap_or_default();
        Ok(Box::new(PrintSink::new(table, prefix, self.output.clone())))
    }
}
