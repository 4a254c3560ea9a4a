//! Options of `delta`.

use std::{num::NonZeroU64, path::PathBuf};

use async_trait::async_trait;
use deltalake::kernel::StructField;
use stream::{
    error::StreamError,
    sink::{EmitMode, Sink, SinkFactory},
    table::TableDef,
};

use super::{table, writer::DeltaSink};
use crate::options;

const DEFAULT_TARGET_FILE_SIZE: u64 = 128_000_000;

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

    async fn open(&self, table: &TableDef) -> Result<Box<dyn Sink>, StreamError> {
        let config = DeltaConfig::read(table)?;
        let (delta, path) = table::open(&table.name, &config).await?;
        Ok(Box::new(DeltaSink::new(&table.name, &config, path, delta)?))
    }
}

pub(super) struct DeltaConfig {
    pub(super) path: PathBuf,
    pub(super) app_id: String,
    /// In bytes.
    pub(super) target_file_size: NonZeroU64,
    pub(super) partition_by: Vec<String>,
    /// The declared columns as Delta knows them.
    pub(super) columns: Vec<StructField>,
}

impl DeltaConfig {
    fn read(table: &TableDef) -> Result<Self, StreamError> {
        options::ask_common(table);
        options::final_only(table)?;
        let path = options::local_path(table)?;
        let app_id = table.options.get("app-id").unwrap_or(&table.name).to_owned();
        if app_id.trim().is_empty() {
            return Err(table.options.bad("app-id", "a name"));
        }
        let target_file_size = options::bytes_or(table, "target-file-size", DEFAULT_TARGET_FILE_SIZE)?;
        let target_file_size = NonZeroU64::new(target_file_size).unwrap_or(NonZeroU64::MIN);
        let partition_by = options::columns(table, "partition-by")?.unwrap_or_default();
        if !table.columns.is_empty() && partition_by.len() == table.columns.len() {
            return Err(table.options.bad("partition-by", "a list that leaves a column for the files"));
        }
        let columns = table::columns(table)?;
        Ok(DeltaConfig { path, app_id, target_file_size, partition_by, columns })
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
