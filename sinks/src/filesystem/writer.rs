//! The running `filesystem` sink.

use std::{
    path::PathBuf,
    time::{SystemTime, UNIX_EPOCH},
};

use async_trait::async_trait;
use stream::{
    error::StreamError,
    sink::{Sink, SinkRows},
    time::Epoch,
};
use tokio::{fs::File, io::AsyncWriteExt};

use super::target::{TOKEN_VERSION, Target, Token};
use crate::{disk, format::RowFormat, telemetry::SinkMetrics};

pub(super) struct FilesystemSink {
    table: String,
    target: Target,
    format: Box<dyn RowFormat>,
    /// The hidden file of the epoch being written; opened by its first row.
    part: Option<Part>,
    metrics: SinkMetrics,
}

struct Part {
    name: String,
    path: PathBuf,
    file: File,
    bytes: u64,
    rows: u64,
}

impl FilesystemSink {
    pub(super) fn new(table: &str, target: Target, format: Box<dyn RowFormat>) -> Self {
        let metrics = SinkMetrics::new(table);
        FilesystemSink { table: table.to_owned(), target, format, part: None, metrics }
    }

    async fn new_part(&self) -> Result<Part, StreamError> {
        // The time keeps the name apart from what a crashed process left; `create_new` makes sure.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let name = format!(".part-{now:x}-{}.tmp", std::process::id());
        let path = self.target.folder().join(&name);
        let file = File::options().write(true).create_new(true).open(&path).await;
        let file = file.map_err(|e| disk::error(&self.table, "create", &path, e))?;
        Ok(Part { name, path, file, bytes: 0, rows: 0 })
    }
}

#[async_trait]
impl Sink for FilesystemSink {
    async fn write(&mut self, rows: SinkRows) -> Result<(), StreamError> {
        if rows.batch.num_rows() == 0 {
            return Ok(());
        }
        let mut lines = Vec::new();
        self.format.for_each_row(&rows.batch, &mut |row| {
            lines.extend_from_slice(row);
            lines.push(b'\n');
            Ok(())
        })?;
        if self.part.is_none() {
            self.part = Some(self.new_part().await?);
        }
        let Some(part) = &mut self.part else { return Ok(()) };
        let written = part.file.write_all(&lines).await;
        written.map_err(|e| disk::error(&self.table, "write to", &part.path, e))?;
        part.bytes += lines.len() as u64;
        part.rows += rows.batch.num_rows() as u64;
        self.metrics.rows(rows.batch.num_rows(), rows.is_final);
        Ok(())
    }

    async fn pre_commit(&mut self, _epoch: Epoch) -> Result<Vec<u8>, StreamError> {
        let Some(mut part) = self.part.take() else { return Ok(Vec::new()) };
        let failed = |e| disk::error(&self.table, "write to", &part.path, e);
        part.file.flush().await.map_err(failed)?;
        part.file.sync_all().await.map_err(failed)?;
        disk::sync_folder(self.target.folder()).await.map_err(failed)?;
        let offset = self.target.offset(&self.table).await?;
        let token =
            Token { version: TOKEN_VERSION, hidden: part.name, bytes: part.bytes, rows: part.rows, offset };
        serde_json::to_vec(&token)
            .map_err(|e| StreamError::internal(format!("a commit token cannot be written: {e}")))
    }

    async fn commit(&mut self, epoch: Epoch, token: Vec<u8>) -> Result<(), StreamError> {
        if token.is_empty() {
            return Ok(());
        }
        let token: Token = serde_json::from_slice(&token).map_err(|e| {
            StreamError::connector_caused(
                &self.table,
                format!("the commit token of epoch {epoch} is damaged"),
                e,
            )
        })?;
        if token.version != TOKEN_VERSION {
            let problem = format!(
                "the commit token of epoch {epoch} has format {}, this version reads {TOKEN_VERSION}; finish \
                 the job with the version that wrote it",
                token.version
            );
            return Err(StreamError::connector(&self.table, problem));
        }
        self.target.publish(&self.table, epoch, &token).await?;
        self.metrics.commits.increment(1);
        tracing::debug!(table = self.table, %epoch, rows = token.rows, "committed");
        Ok(())
    }

    async fn close(&mut self) -> Result<(), StreamError> {
        Ok(())
    }
}
