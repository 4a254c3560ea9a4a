//! Options of `filesystem`.

use std::path::PathBuf;

use async_trait::async_trait;
use stream::{
    error::StreamError,
    sink::{EmitMode, Sink, SinkFactory},
    table::TableDef,
};

use super::{target::Target, writer::FilesystemSink};
use crate::{format, options};

/// Makes `filesystem` sinks.
pub struct FilesystemSinkFactory;

#[async_trait]
impl SinkFactory for FilesystemSinkFactory {
    fn default_emit(&self) -> EmitMode {
        EmitMode::Final
    }

    fn validate(&self, table: &TableDef) -> Result<(), StreamError> {
        path(table)?;
        format::of(table)?;
        table.options.finish()
    }

    fn identity(&self, table: &TableDef) -> Result<Vec<(&'static str, String)>, StreamError> {
        Ok(vec![("path", path(table)?.display().to_string())])
    }

    async fn open(&self, table: &TableDef) -> Result<Box<dyn Sink>, StreamError> {
        let format = format::of(table)?;
        let target = Target::open(&table.name, path(table)?, format.extensions()).await?;
        Ok(Box::new(FilesystemSink::new(&table.name, target, format)))
    }
}

/// Reads all options but the format's; the path is the only one with something to say.
fn path(table: &TableDef) -> Result<PathBuf, StreamError> {
    options::ask_common(table);
    options::final_only(table)?;
    options::local_path(table)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::tests::table;

    fn refusal(options: &[(&str, &str)]) -> String {
        FilesystemSinkFactory.validate(&table(&[], options)).unwrap_err().to_string()
    }

    #[test]
    fn options_are_checked() {
        FilesystemSinkFactory
            .validate(&table(&[], &[("connector", "filesystem"), ("path", "x"), ("format", "json")]))
            .unwrap();
        assert!(refusal(&[]).contains("option 'path' is missing"));
        FilesystemSinkFactory.validate(&table(&[], &[("path", "x"), ("format", "csv")])).unwrap();
        assert!(refusal(&[("path", "x"), ("format", "avro")]).contains("these are: 'csv', 'json'"));
        assert!(refusal(&[("path", "x"), ("emit", "updates")]).contains("is not 'final'"));
        assert!(refusal(&[("path", "x"), ("paht", "x")]).contains("unknown option 'paht'"));
    }
}
