//! Options of `filesystem`.

use std::path::PathBuf;

use async_trait::async_trait;
use stream::{
    error::StreamError,
    sink::{EmitMode, Sink, SinkFactory},
    table::TableDef,
};

use super::{target::Target, writer::FilesystemSink};
use crate::options;

/// Makes `filesystem` sinks.
pub struct FilesystemSinkFactory;

#[async_trait]
impl SinkFactory for FilesystemSinkFactory {
    fn default_emit(&self) -> EmitMode {
        EmitMode::Final
    }

    fn validate(&self, table: &TableDef) -> Result<(), StreamError> {
        path(table)?;
        table.options.finish()
    }

    fn identity(&self, table: &TableDef) -> Result<Vec<(&'static str, String)>, StreamError> {
        Ok(vec![("path", path(table)?.display().to_string())])
    }

    async fn open(&self, table: &TableDef) -> Result<Box<dyn Sink>, StreamError> {
        let target = Target::open(&table.name, path(table)?).await?;
        Ok(Box::new(FilesystemSink::new(&table.name, target)))
    }
}

/// Reads all options; the path is the only one with something to say.
fn path(table: &TableDef) -> Result<PathBuf, StreamError> {
    options::ask_common(table);
    options::final_only(table)?;
    match table.options.get("format") {
        None | Some("json") => {}
        Some(_) => return Err(table.options.bad("format", "'json', the only format of this connector")),
    }
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
        assert!(refusal(&[("path", "x"), ("format", "csv")]).contains("is not 'json'"));
        assert!(refusal(&[("path", "x"), ("emit", "updates")]).contains("is not 'final'"));
        assert!(refusal(&[("path", "x"), ("paht", "x")]).contains("unknown option 'paht'"));
    }
}
