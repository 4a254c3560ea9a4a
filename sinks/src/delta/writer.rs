//! The running `delta` sink: rows into Parquet files, epochs to the log.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use arrow::{compute::cast, datatypes::FieldRef, record_batch::RecordBatch};
use async_trait::async_trait;
use deltalake::{
    DeltaTable,
    kernel::Add,
    writer::{DeltaWriter, RecordBatchWriter},
};
use stream::{
    error::StreamError,
    sink::{Sink, SinkRows},
    time::Epoch,
};

use super::{config::DeltaConfig, log::DeltaLog, token::Token};
use crate::{disk, telemetry::SinkMetrics};

/// Files are closed early when an epoch has written this many target sizes, so that open files of many
/// partitions cannot fill the memory.
const TARGET_SIZES_OPEN: u64 = 4;

pub(super) struct DeltaSink {
    table: String,
    log: DeltaLog,
    /// Encodes rows as they come; holds the open files.
    writer: RecordBatchWriter,
    /// Bytes in open files at which they are closed.
    flush_bytes: u64,
    /// Files of this epoch that are closed already.
    adds: Vec<Add>,
    /// Rows of this epoch.
    rows: u64,
    /// The epoch whose files this process has written and not yet tried to commit.
    fresh: Option<Epoch>,
    metrics: SinkMetrics,
}

impl DeltaSink {
    pub(super) fn new(
        table: &str,
        config: &DeltaConfig,
        path: PathBuf,
        delta: DeltaTable,
    ) -> Result<Self, StreamError> {
        let writer = RecordBatchWriter::for_table(&delta)
            .map_err(|e| disk::error(table, "write to the Delta table in", &path, e))?
            .with_target_file_size(config.target_file_size.get());
        Ok(DeltaSink {
            table: table.to_owned(),
            log: DeltaLog::new(table, path, config.app_id.clone(), delta),
            writer,
            flush_bytes: config.target_file_size.get().saturating_mul(TARGET_SIZES_OPEN),
            adds: Vec::new(),
            rows: 0,
            fresh: None,
            metrics: SinkMetrics::new(table),
        })
    }

    /// The batch in the table's own order of columns and Arrow types (it may keep texts in another layout).
    fn conform(&self, batch: &RecordBatch) -> Result<RecordBatch, StreamError> {
        let schema = self.writer.arrow_schema();
        let column = |field: &FieldRef| {
            let column = batch.column_by_name(field.name()).ok_or_else(|| {
                StreamError::internal(format!("rows for table {} lack column {}", self.table, field.name()))
            })?;
            Ok(cast(column, field.data_type())?)
        };
        let columns = schema.fields().iter().map(column).collect::<Result<Vec<_>, StreamError>>()?;
        Ok(RecordBatch::try_new(schema, columns)?)
    }

    /// Closes all open files.
    async fn flush(&mut self) -> Result<(), StreamError> {
        let flushed = self.writer.flush().await;
        self.adds.extend(flushed.map_err(|e| self.log.failed("write to the Delta table in", e))?);
        Ok(())
    }
}

/// Makes the files and their names survive a power cut: the object store leaves that to the system.
async fn sync_files(table: &str, folder: &Path, adds: &[Add]) -> Result<(), StreamError> {
    let mut folders = BTreeSet::from([folder.to_owned()]);
    for add in adds {
        let path = folder.join(&add.path);
        folders.extend(path.ancestors().skip(1).take_while(|a| a.starts_with(folder)).map(Path::to_owned));
        let sync = async { tokio::fs::File::open(&path).await?.sync_all().await };
        sync.await.map_err(|e| disk::error(table, "sync", &path, e))?;
    }
    for folder in folders {
        disk::sync_folder(&folder).await.map_err(|e| disk::error(table, "sync", &folder, e))?;
    }
    Ok(())
}

#[async_trait]
impl Sink for DeltaSink {
    async fn write(&mut self, rows: SinkRows) -> Result<(), StreamError> {
        if rows.batch.num_rows() == 0 {
            return Ok(());
        }
        let batch = self.conform(&rows.batch)?;
        let written = self.writer.write(batch).await;
        written.map_err(|e| self.log.failed("write to the Delta table in", e))?;
        self.rows += rows.batch.num_rows() as u64;
        self.metrics.rows(rows.batch.num_rows(), rows.is_final);
        if self.writer.buffer_len() as u64 >= self.flush_bytes {
            self.flush().await?;
        }
        Ok(())
    }

    async fn pre_commit(&mut self, epoch: Epoch) -> Result<Vec<u8>, StreamError> {
        if self.rows == 0 {
            return Ok(Vec::new());
        }
        self.flush().await?;
        let token = Token::new(std::mem::take(&mut self.rows), std::mem::take(&mut self.adds));
        sync_files(&self.table, self.log.path(), &token.adds).await?;
        self.fresh = Some(epoch);
        token.to_bytes()
    }

    async fn commit(&mut self, epoch: Epoch, token: Vec<u8>) -> Result<(), StreamError> {
        if token.is_empty() {
            return Ok(());
        }
        let token = Token::from_bytes(&self.table, epoch, &token)?;
        let fresh = self.fresh.take() == Some(epoch);
        let new = self.log.commit(epoch, &token, fresh, &self.metrics).await?;
        tracing::debug!(table = self.table, %epoch, rows = token.rows, new, "committed");
        self.metrics.commits.increment(1);
        Ok(())
    }

    async fn close(&mut self) -> Result<(), StreamError> {
        self.writer.reset();
        Ok(())
    }
}
