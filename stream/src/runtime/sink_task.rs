//! Drives one sink: rows in, epochs pre-committed and committed.

use std::{sync::Arc, time::Instant};

use arrow::{
    array::{ArrayRef, BooleanArray, Int64Array},
    record_batch::{RecordBatch, RecordBatchOptions},
};
use tokio::sync::{mpsc, oneshot};

use crate::{
    error::StreamError,
    ledger::SinkCounters,
    sink::{Sink, SinkRows},
    table::{ColumnKind, MetadataKey, TableDef},
    time::Epoch,
};

/// What a sink task is told.
pub(crate) enum ToSink {
    /// Rows of the query's schema.
    Rows(SinkRows),
    /// Make what came so far durable and answer the token.
    PreCommit {
        /// The epoch.
        epoch: Epoch,
        /// For the token.
        token: oneshot::Sender<Vec<u8>>,
    },
    /// Make it visible.
    Commit {
        /// The epoch.
        epoch: Epoch,
        /// From [`ToSink::PreCommit`].
        token: Vec<u8>,
        /// Answered when it is done.
        done: oneshot::Sender<()>,
    },
}

/// Runs a sink until the channel closes; answers the first error.
pub(crate) async fn run(
    mut sink: Box<dyn Sink>,
    table: TableDef,
    counters: Arc<SinkCounters>,
    mut inbox: mpsc::Receiver<ToSink>,
) -> Result<(), StreamError> {
    let name = table.name.clone();
    while let Some(message) = inbox.recv().await {
        match message {
            ToSink::Rows(rows) => {
                let gone = rows.gone.as_ref().map(|gone| with_metadata(&table, gone, &rows, false));
                let gone = gone.transpose()?;
                let batch = with_metadata(&table, &rows.batch, &rows, rows.is_final)?;
                let rows = SinkRows { batch, gone, ..rows };
                let (count, is_final) = (rows.batch.num_rows(), rows.is_final);
                sink.write(rows).await?;
                counters.add(u64::try_from(count).unwrap_or(u64::MAX), is_final);
            }
            // An asker that is gone has ended for its own reason.
            ToSink::PreCommit { epoch, token } => {
                let _gone = token.send(sink.pre_commit(epoch).await?);
            }
            ToSink::Commit { epoch, token, done } => {
                let started = Instant::now();
                sink.commit(epoch, token).await?;
                metrics::histogram!("plamatio_sink_commit_seconds", "sink" => name.clone())
                    .record(started.elapsed().as_secs_f64());
                let _gone = done.send(());
            }
        }
    }
    sink.close().await
}

/// The table's declared columns: the query's by position, and the metadata columns filled in.
fn with_metadata(
    table: &TableDef,
    batch: &RecordBatch,
    rows: &SinkRows,
    is_final: bool,
) -> Result<RecordBatch, StreamError> {
    let count = batch.num_rows();
    let whole = |number: u64| Int64Array::from_value(i64::try_from(number).unwrap_or(i64::MAX), count);
    let mut query = batch.columns().iter();
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(table.columns.len());
    for column in &table.columns {
        columns.push(match &column.kind {
            ColumnKind::Metadata(MetadataKey::IsFinal) => Arc::new(BooleanArray::from(vec![is_final; count])),
            ColumnKind::Metadata(MetadataKey::Epoch) => Arc::new(whole(rows.epoch.number())),
            ColumnKind::Metadata(MetadataKey::Revision) => Arc::new(whole(rows.revision)),
            ColumnKind::Physical => match query.next() {
                Some(array) => Arc::clone(array),
                None => return Err(StreamError::internal("a sink was given too few columns")),
            },
            ColumnKind::Generated(_) | ColumnKind::FromSource { .. } => {
                arrow::array::new_null_array(&column.data_type, count)
            }
        });
    }
    let options = RecordBatchOptions::new().with_row_count(Some(count));
    Ok(RecordBatch::try_new_with_options(table.schema(), columns, &options)?)
}
