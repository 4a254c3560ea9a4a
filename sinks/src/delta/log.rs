//! Commits to the Delta log: each epoch once, beside other writers.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use backon::{BackoffBuilder, ExponentialBuilder};
use deltalake::{
    DeltaResult, DeltaTable, DeltaTableError,
    kernel::{
        Action, Transaction,
        transaction::{CommitBuilder, CommitProperties, TableReference, TransactionError},
    },
    protocol::{DeltaOperation, OutputMode},
};
use serde_json::Value;
use stream::{error::StreamError, time::Epoch};

use super::token::Token;
use crate::{disk, telemetry::SinkMetrics};

/// Commits lost to other writers before the job stops; each is followed by a pause.
const ATTEMPTS: usize = 10;

pub(super) struct DeltaLog {
    table: String,
    path: PathBuf,
    app_id: String,
    delta: DeltaTable,
}

impl DeltaLog {
    pub(super) fn new(table: &str, path: PathBuf, app_id: String, delta: DeltaTable) -> Self {
        DeltaLog { table: table.to_owned(), path, app_id, delta }
    }

    /// The table's folder.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn failed(&self, what: &str, cause: DeltaTableError) -> StreamError {
        disk::error(&self.table, what, &self.path, cause)
    }

    /// Commits the files of an epoch, unless that has been done; answers whether it did. `fresh` says that
    /// this process has just written them and never tried to commit them.
    pub(super) async fn commit(
        &mut self,
        epoch: Epoch,
        token: &Token,
        fresh: bool,
        metrics: &SinkMetrics,
    ) -> Result<bool, StreamError> {
        let number = i64::try_from(epoch.number())
            .map_err(|_| StreamError::internal(format!("epoch {epoch} is too high for Delta")))?;
        let mut delays = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(20))
            .with_max_delay(Duration::from_secs(2))
            .with_max_times(ATTEMPTS)
            .with_jitter()
            .build();
        loop {
            let committed = self.committed().await.map_err(|e| self.failed("read the Delta log in", e))?;
            if self.already(committed, number, fresh)? {
                return Ok(false);
            }
            let error = match self.try_commit(number, token).await {
                Ok(version) => {
                    self.sync(version).await?;
                    return Ok(true);
                }
                Err(error) => error,
            };
            if !is_lost_race(&error) {
                // What follows a commit (Delta's checkpoint) can fail too: then it has got through after all.
                if let Ok(Some(newest)) = self.committed().await
                    && newest >= number
                {
                    tracing::warn!(table = self.table, %epoch, %error, "committed, but the follow-up failed");
                    return Ok(true);
                }
                return Err(self.failed("commit to the Delta table in", error));
            }
            let Some(delay) = delays.next() else {
                let problem = format!(
                    "lost {ATTEMPTS} commits of epoch {epoch} to other writers of {}; let fewer jobs write \
                     this table",
                    self.path.display()
                );
                return Err(StreamError::connector_caused(&self.table, problem, error));
            };
            metrics.retries.increment(1);
            tokio::time::sleep(delay).await;
        }
    }

    /// The newest epoch that the table has of this job, as of now.
    async fn committed(&mut self) -> DeltaResult<Option<i64>> {
        self.delta.update_state().await?;
        let log_store = self.delta.log_store();
        self.delta.snapshot()?.transaction_version(log_store.as_ref(), &self.app_id).await
    }

    /// Whether the epoch is in the table already. Rows that this process has just written cannot be there, so
    /// finding their epoch means that skipping it would lose them.
    fn already(&self, committed: Option<i64>, epoch: i64, fresh: bool) -> Result<bool, StreamError> {
        let Some(newest) = committed.filter(|newest| *newest >= epoch) else { return Ok(false) };
        if !fresh {
            return Ok(true);
        }
        let problem = format!(
            "epoch {epoch} has new rows, but the Delta table in {} has epoch {newest} of app-id '{}' already: \
             the job's state was reset, or another job uses this app-id; restore the state, or set another \
             'app-id'",
            self.path.display(),
            self.app_id
        );
        Err(StreamError::connector(&self.table, problem))
    }

    /// One attempt, on the state last read; answers the table version.
    async fn try_commit(&self, epoch: i64, token: &Token) -> DeltaResult<u64> {
        let commit_info: [(&str, Value); 3] =
            [("engine", "plamatio".into()), ("epoch", epoch.into()), ("rows", token.rows.into())];
        let properties = CommitProperties::default()
            .with_metadata(commit_info.map(|(name, value)| (name.to_owned(), value)))
            .with_application_transaction(Transaction::new(&self.app_id, epoch));
        let operation = DeltaOperation::StreamingUpdate {
            output_mode: OutputMode::Append,
            query_id: self.app_id.clone(),
            epoch_id: epoch,
        };
        let snapshot: &dyn TableReference = self.delta.snapshot()?;
        let commit = CommitBuilder::from(properties)
            .with_actions(token.adds.iter().cloned().map(Action::Add).collect())
            .build(Some(snapshot), self.delta.log_store(), operation)
            .await?;
        Ok(commit.version())
    }

    /// Makes a commit survive a power cut: the object store leaves that to the system.
    async fn sync(&self, version: u64) -> Result<(), StreamError> {
        let log = self.path.join("_delta_log");
        let entry = log.join(format!("{version:020}.json"));
        let sync = async {
            tokio::fs::File::open(&entry).await?.sync_all().await?;
            disk::sync_folder(&log).await
        };
        sync.await.map_err(|e| disk::error(&self.table, "sync", &entry, e))
    }
}

/// Whether another writer was first and this commit certainly is not in the log.
fn is_lost_race(error: &DeltaTableError) -> bool {
    match error {
        DeltaTableError::VersionAlreadyExists(_) => true,
        DeltaTableError::Transaction { source } => matches!(
            source,
            TransactionError::VersionAlreadyExists(_)
                | TransactionError::CommitConflict(_)
                | TransactionError::MaxCommitAttempts(_)
        ),
        _ => false,
    }
}
