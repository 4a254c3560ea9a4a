//! Options and columns of a `delta` table.

use std::{num::NonZeroU64, path::PathBuf};

use arrow::datatypes::{DataType, Field};
use deltalake::kernel::{StructField, engine::arrow_conversion::TryIntoKernel};
use stream::{error::StreamError, table::TableDef};

use crate::options;

const DEFAULT_TARGET_FILE_SIZE: u64 = 128_000_000;

/// What a table declares.
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
    pub(super) fn read(table: &TableDef) -> Result<Self, StreamError> {
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
        let columns = columns(table)?;
        Ok(DeltaConfig { path, app_id, target_file_size, partition_by, columns })
    }
}

/// The declared columns as Delta knows them.
fn columns(table: &TableDef) -> Result<Vec<StructField>, StreamError> {
    let convert = |column: &stream::table::ColumnDef| {
        let field = Field::new(&column.name, column.data_type.clone(), true);
        let converted = match has_no_type(&column.data_type) {
            true => None,
            false => TryIntoKernel::<StructField>::try_into_kernel(&field).ok(),
        };
        converted.ok_or_else(|| {
            let problem = format!(
                "column {} of type {} has no Delta type; declare another one, such as BIGINT or VARCHAR",
                column.name, column.data_type
            );
            StreamError::connector(&table.name, problem)
        })
    };
    table.columns.iter().map(convert).collect()
}

/// Whether a type, or one inside of it, has no Delta type that means the same: delta-rs would take unsigned numbers as
/// signed ones of the same width.
fn has_no_type(data_type: &DataType) -> bool {
    match data_type {
        DataType::UInt8 | DataType::UInt16 | DataType::UInt32 | DataType::UInt64 => true,
        DataType::Time32(_) | DataType::Time64(_) => true,
        DataType::List(item) => has_no_type(item.data_type()),
        DataType::Map(entries, _) => has_no_type(entries.data_type()),
        DataType::Struct(fields) => fields.iter().any(|field| has_no_type(field.data_type())),
        _ => false,
    }
}
