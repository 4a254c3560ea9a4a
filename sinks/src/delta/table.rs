//! The Delta table behind a sink: found or created, and compared with the declaration.

use std::path::{Path, PathBuf};

use deltalake::{
    DeltaTable, DeltaTableBuilder, kernel::transaction::CommitProperties, operations::create::CreateBuilder,
};
use serde_json::Value;
use stream::error::StreamError;
use url::Url;

use super::config::DeltaConfig;
use crate::disk;

/// Opens the table in `config.path`, or creates it there; answers it with the folder's full path.
pub(super) async fn open(table: &str, config: &DeltaConfig) -> Result<(DeltaTable, PathBuf), StreamError> {
    let path = &config.path;
    tokio::fs::create_dir_all(path).await.map_err(|e| disk::error(table, "create the folder", path, e))?;
    let path =
        tokio::fs::canonicalize(path).await.map_err(|e| disk::error(table, "open the folder", path, e))?;
    let failed = |e| disk::error(table, "open the Delta table in", &path, e);
    let url = Url::from_directory_path(&path)
        .map_err(|()| StreamError::connector(table, format!("{} is not a usable path", path.display())))?;
    let mut delta = DeltaTableBuilder::from_url(url).and_then(DeltaTableBuilder::build).map_err(failed)?;
    if !delta.verify_deltatable_existence().await.map_err(failed)?
        && let Err(e) = create(table, config, &delta).await
    {
        // Another writer may have been first; then its table will do.
        if !delta.verify_deltatable_existence().await.unwrap_or(false) {
            return Err(disk::error(table, "create a Delta table in", &path, e));
        }
    }
    delta.load().await.map_err(failed)?;
    compare(table, config, &path, &delta)?;
    Ok((delta, path))
}

async fn create(table: &str, config: &DeltaConfig, delta: &DeltaTable) -> deltalake::DeltaResult<()> {
    let engine = [("engine".to_owned(), Value::from("plamatio"))];
    CreateBuilder::new()
        .with_log_store(delta.log_store())
        .with_table_name(table)
        .with_columns(config.columns.clone())
        .with_partition_columns(config.partition_by.clone())
        .with_commit_properties(CommitProperties::default().with_metadata(engine))
        .await?;
    tracing::info!(table, url = %delta.table_url(), "created a Delta table");
    Ok(())
}

/// Fails, naming every difference, when the table is not what was declared.
fn compare(table: &str, config: &DeltaConfig, path: &Path, delta: &DeltaTable) -> Result<(), StreamError> {
    let failed = |e| disk::error(table, "read the Delta table in", path, e);
    let snapshot = delta.snapshot().map_err(failed)?;
    let schema = snapshot.schema();
    let mut differences = Vec::new();
    for declared in &config.columns {
        match schema.field(declared.name()) {
            None => differences.push(format!("column {} is not in the table", declared.name())),
            Some(found) if found.data_type() != declared.data_type() => differences.push(format!(
                "column {} is {} in the table and {} in the declaration",
                declared.name(),
                found.data_type(),
                declared.data_type()
            )),
            Some(_) => {}
        }
    }
    for found in schema.fields() {
        if !config.columns.iter().any(|declared| declared.name() == found.name()) {
            differences.push(format!("column {} ({}) is not declared", found.name(), found.data_type()));
        }
    }
    let partitions: Vec<&str> = snapshot.metadata().partition_columns().iter().map(AsRef::as_ref).collect();
    if partitions != config.partition_by {
        let list = |names: &[&str]| if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
        let declared: Vec<&str> = config.partition_by.iter().map(String::as_str).collect();
        differences.push(format!(
            "the table is partitioned by {}, the declaration says {}",
            list(&partitions),
            list(&declared)
        ));
    }
    if differences.is_empty() {
        return Ok(());
    }
    let problem = format!(
        "the Delta table in {} is another one: {}; change the declaration, or choose another 'path'",
        path.display(),
        differences.join("; ")
    );
    Err(StreamError::connector(table, problem))
}
