//! Makes `delta` sinks.

use async_trait::async_trait;
use stream::{
    error::StreamError,
    sink::{EmitMode, Sink, SinkFactory},
    table::TableDef,
};

use super::{config::DeltaConfig, table, writer::DeltaSink};

/// Makes `delta` sinks.
pub struct DeltaSinkFactory;

#[async_trait]
impl SinkFactory for DeltaSinkFactory {
    fn default_emit(&self) -> EmitMode {
        EmitMode::Final
    }

    fn validate(&self, table: &TableDef) -> Result<(), StreamError> {
        DeltaConfig::read(table)?;
        table.options.finish()
    }

    fn identity(&self, table: &TableDef) -> Result<Vec<(&'static str, String)>, StreamError> {
        let config = DeltaConfig::read(table)?;
        Ok(vec![("path", config.path.display().to_string()), ("app-id", config.app_id)])
    }

    async fn open(&self, table: &TableDef) -> Result<Box<dyn Sink>, StreamError> {
        let config = DeltaConfig::read(table)?;
        let (delta, path) = table::open(&table.name, &config).await?;
        Ok(Box::new(DeltaSink::new(&table.name, &config, path, delta)?))
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::DataType;

    use super::*;
    use crate::options::tests::table;

    fn refusal(columns: &[(&str, DataType)], options: &[(&str, &str)]) -> String {
        DeltaSinkFactory.validate(&table(columns, options)).unwrap_err().to_string()
    }

    #[test]
    fn options_are_checked() {
        let columns = [("a", DataType::Int64), ("b", DataType::Utf8)];
        let full = [
            ("connector", "delta"),
            ("path", "lake/t"),
            ("app-id", "job"),
            ("target-file-size", "64 MB"),
            ("partition-by", "b"),
            ("emit", "final"),
        ];
        DeltaSinkFactory.validate(&table(&columns, &full)).unwrap();
        assert!(refusal(&columns, &[]).contains("option 'path' is missing"));
        assert!(refusal(&columns, &[("path", "s3://lake/t")]).contains("option 'path'"));
        assert!(refusal(&columns, &[("path", "x"), ("emit", "updates")]).contains("is not 'final'"));
        assert!(refusal(&columns, &[("path", "x"), ("partition-by", "c")]).contains("no column 'c'"));
        assert!(refusal(&columns, &[("path", "x"), ("partition-by", "a,b")]).contains("leaves a column"));
        assert!(refusal(&columns, &[("path", "x"), ("target-file-size", "0")]).contains("a size"));
        assert!(refusal(&columns, &[("path", "x"), ("appid", "y")]).contains("unknown option 'appid'"));
        let error = refusal(&[("u", DataType::UInt64)], &[("path", "x")]);
        assert!(error.contains("column u") && error.contains("BIGINT"), "{error}");
    }
}
