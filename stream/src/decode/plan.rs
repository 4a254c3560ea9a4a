//! What is read of a record, and what columns are made of it.

use std::sync::Arc;

use arrow::{
    array::ArrayRef,
    datatypes::{FieldRef, Schema, SchemaRef},
    record_batch::{RecordBatch, RecordBatchOptions},
};
use datafusion::physical_expr::PhysicalExpr;

use crate::error::StreamError;

/// A BOOLEAN column computed from one text field, once per distinct value.
///
/// A filter on a text of few values, such as `type = 'purchase'`, needs neither the text as a column nor a
/// comparison per row. The expression must depend on nothing but its input, since it is not asked again for
/// a value that it has answered for. It is only asked for values of records that are good.
#[derive(Clone, Debug)]
pub struct Derived {
    /// Index of the text field in [`DecodePlan::fields`].
    pub column: usize,
    /// A BOOLEAN expression over a batch whose only column is that field.
    pub(crate) expr: Arc<dyn PhysicalExpr>,
    /// Name and type (BOOLEAN, nullable) of the column.
    pub(crate) field: FieldRef,
}

/// What is read of a record and what becomes a column.
///
/// Every field is checked against its type, also where no column is made of it.
#[derive(Clone, Debug)]
pub struct DecodePlan {
    /// What is read of a record.
    pub fields: SchemaRef,
    /// Which of the fields become columns, in this order.
    pub columns: Vec<usize>,
    /// Columns behind those.
    pub(crate) derived: Vec<Derived>,
}

impl DecodePlan {
    /// Every field becomes a column, as it is.
    pub fn all(schema: SchemaRef) -> Self {
        DecodePlan { columns: (0..schema.fields().len()).collect(), fields: schema, derived: Vec::new() }
    }

    /// The columns that are made. Indexes without a field are left out here; a decoder refuses them.
    pub fn schema(&self) -> SchemaRef {
        let columns = self.columns.iter().filter_map(|column| self.fields.fields().get(*column));
        let derived = self.derived.iter().map(|derived| &derived.field);
        let fields: Vec<FieldRef> = columns.chain(derived).map(Arc::clone).collect();
        Arc::new(Schema::new_with_metadata(fields, self.fields.metadata().clone()))
    }

    /// A batch in the plan's [`schema`](Self::schema) from the values of all fields, derived columns computed at once:
    /// for decoders that make whole columns first.
    pub fn batch(
        &self,
        schema: &SchemaRef,
        values: &[ArrayRef],
        rows: usize,
    ) -> Result<RecordBatch, StreamError> {
        let missing = || StreamError::internal("a field that was asked for is missing");
        let mut columns = Vec::with_capacity(self.columns.len() + self.derived.len());
        for index in &self.columns {
            columns.push(Arc::clone(values.get(*index).ok_or_else(missing)?));
        }
        for derived in &self.derived {
            let alone = Arc::new(self.fields.project(&[derived.column])?);
            let text = Arc::clone(values.get(derived.column).ok_or_else(missing)?);
            let alone = RecordBatch::try_new(alone, vec![text])?;
            columns.push(derived.expr.evaluate(&alone)?.into_array(rows)?);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        Ok(RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)?)
    }
}
