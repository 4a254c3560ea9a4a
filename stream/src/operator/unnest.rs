//! Rows from a list of them: a row comes out once for each element, with the element's columns.
//!
//! - **Input**: rows, and an expression over them that is an array or a map.
//! - **Output**: the columns that are asked for, of the row or of the element, in the order of the rows and of the
//!   elements. An element that is NULL has NULL columns. A row without elements, and one whose list is NULL, comes out
//!   once with NULLs where [`keeps_empty`](Unnest::keeps_empty) says so (`LEFT JOIN`), and not at all otherwise.
//! - **State**: none.
//!
//! ```text
//! (order, items)  (7, [(mug, 2), (cup, 1)])      ->  (order, name, n)  (7, mug, 2)  (7, cup, 1)
//! ```

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, AsArray, Int32Array, UInt32Array},
    compute::take,
    datatypes::{DataType, SchemaRef},
    record_batch::{RecordBatch, RecordBatchOptions},
};
use datafusion::physical_expr::PhysicalExpr;

use crate::error::StreamError;

/// A column that comes out.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum UnnestColumn {
    /// The input's column of this index.
    Input(usize),
    /// The field of this index of an element that is a row, or key (0) and value (1) of a map.
    Member(usize),
    /// The element.
    Element,
    /// Which element it is, from 1.
    Ordinality,
}

/// A list to be turned into rows, planned.
#[derive(Clone, Debug)]
pub struct Unnest {
    /// The list.
    pub list: Arc<dyn PhysicalExpr>,
    /// Whether a row without elements comes out.
    pub keeps_empty: bool,
    /// What comes out.
    pub columns: Vec<UnnestColumn>,
    /// The schema of `columns`.
    pub schema: SchemaRef,
}

/// The lists of a batch: where each begins and ends among all elements.
struct Lists {
    offsets: Vec<i32>,
    lists: ArrayRef,
    elements: ArrayRef,
}

impl Lists {
    fn new(lists: ArrayRef) -> Result<Self, StreamError> {
        let (offsets, elements): (&[i32], ArrayRef) = match lists.data_type() {
            DataType::List(_) => {
                let lists = lists.as_list::<i32>();
                (lists.offsets(), Arc::clone(lists.values()))
            }
            DataType::Map(..) => {
                let maps = lists.as_map();
                (maps.offsets(), Arc::new(maps.entries().clone()))
            }
            other => return Err(StreamError::internal(format!("rows were to be unnested of {other}"))),
        };
        Ok(Lists { offsets: offsets.to_vec(), elements, lists })
    }
}

/// For each row that comes out, which row and which element it is of, and the how manieth of the row that is.
#[derive(Default)]
struct Picked {
    rows: Vec<u32>,
    elements: Vec<Option<i32>>,
    numbers: Vec<Option<i32>>,
}

impl Picked {
    fn of(lists: &Lists, keeps_empty: bool) -> Self {
        let mut picked = Picked::default();
        for (row, (index, range)) in (0_u32..).zip(lists.offsets.windows(2).enumerate()) {
            let elements = if lists.lists.is_valid(index) { range[0]..range[1] } else { 0..0 };
            if elements.is_empty() && keeps_empty {
                picked.rows.push(row);
                picked.elements.push(None);
                picked.numbers.push(None);
            }
            for (number, element) in (1..).zip(elements) {
                let is_valid = usize::try_from(element).is_ok_and(|element| lists.elements.is_valid(element));
                picked.rows.push(row);
                picked.elements.push(is_valid.then_some(element));
                picked.numbers.push(Some(number));
            }
        }
        picked
    }
}

impl Unnest {
    /// The rows of a batch.
    pub fn apply(&self, batch: &RecordBatch) -> Result<RecordBatch, StreamError> {
        let lists = Lists::new(self.list.evaluate(batch)?.into_array(batch.num_rows())?)?;
        let picked = Picked::of(&lists, self.keeps_empty);
        let (rows, elements) = (UInt32Array::from(picked.rows), Int32Array::from(picked.elements));
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.columns.len());
        for column in &self.columns {
            columns.push(match column {
                UnnestColumn::Input(index) => take(batch.column(*index), &rows, None)?,
                UnnestColumn::Element => take(&lists.elements, &elements, None)?,
                UnnestColumn::Ordinality => Arc::new(Int32Array::from(picked.numbers.clone())),
                UnnestColumn::Member(index) => {
                    let members = lists.elements.as_struct_opt().and_then(|rows| rows.columns().get(*index));
                    let missing = || StreamError::internal("a list of rows holds no such column");
                    take(members.ok_or_else(missing)?, &elements, None)?
                }
            });
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?)
    }
}
