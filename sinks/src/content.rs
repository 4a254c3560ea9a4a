//! What a row says, without the columns that the engine fills in: a provisional row is known again by it when it is
//! gone, in another epoch and revision.

use arrow::record_batch::RecordBatch;
use stream::{
    error::StreamError,
    table::{ColumnKind, TableDef},
};

use crate::json;

/// The columns that make up the content of a table's rows.
#[derive(Clone, Debug)]
pub(crate) struct Content {
    /// `None` where it is all of them.
    columns: Option<Vec<usize>>,
}

impl Content {
    pub(crate) fn new(table: &TableDef) -> Self {
        let is_content = |index: &usize| !matches!(table.columns[*index].kind, ColumnKind::Metadata(_));
        let columns: Vec<usize> = (0..table.columns.len()).filter(is_content).collect();
        Content { columns: (columns.len() < table.columns.len()).then_some(columns) }
    }

    /// Whether the whole row is content.
    pub(crate) fn is_all(&self) -> bool {
        self.columns.is_none()
    }

    /// The content of each row, as JSON.
    pub(crate) fn of(&self, batch: &RecordBatch) -> Result<Vec<Vec<u8>>, StreamError> {
        match &self.columns {
            None => objects(batch),
            Some(columns) => objects(&batch.project(columns)?),
        }
    }
}

/// Each row as JSON.
pub(crate) fn objects(batch: &RecordBatch) -> Result<Vec<Vec<u8>>, StreamError> {
    let mut objects = Vec::with_capacity(batch.num_rows());
    json::for_each_row(batch, |_, object| {
        objects.push(object.to_vec());
        Ok(())
    })?;
    Ok(objects)
}
