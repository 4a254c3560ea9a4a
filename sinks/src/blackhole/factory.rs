//! Options of `blackhole`.

use async_trait::async_trait;
use stream::{
    error::StreamError,
    sink::{EmitMode, Sink, SinkFactory},
    table::TableDef,
};

use super::writer::BlackholeSink;
use crate::options;

/// Makes `blackhole` sinks.
pub struct BlackholeSinkFactory;

#[async_trait]
impl SinkFactory for BlackholeSinkFactory {
    fn default_emit(&self) -> EmitMode {
        EmitMode::Final
    }

    fn validate(&self, table: &TableDef) -> Result<(), StreamError> {
        options::ask_common(table);
        table.options.finish()
    }

    async fn open(&self, table: &TableDef) -> Result<Box<dyn Sink>, StreamError> {
        Ok(Box::new(BlackholeSink::new(&table.name)))
    }
}
