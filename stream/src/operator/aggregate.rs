//! Grouped aggregation over DataFusion's accumulators, in the two phases that windows need.
//!
//! | module | what |
//! |---|---|
//! | [`distinct`] | `COUNT(DISTINCT x)` on hashed keys, in DataFusion's place |
//! | [`live`] | a table of groups that is read without being used up |
//! | [`open`] | what provisional rows add, and take with them |
//! | [`pages`] | a list that grows without moving |
//! | `sum` | `SUM` that fails where it does not fit |
//! | `zeros` | floats that are to be told apart |
//! | [`slots`] | aggregates that are read and cleared one group at a time, for sessions |
//!
//! An [`Aggregation`] says what is computed; a [`GroupTable`] computes it for some rows. In transit and in a
//! checkpoint, state is always an Arrow batch (keys, then the aggregates' state columns): it can be merged, sent and
//! written without any accumulator knowing.

pub mod distinct;
pub mod live;
pub mod open;
pub mod pages;
pub mod slots;
mod sum;
pub(super) mod zeros;

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, BooleanArray, UInt32Array, new_empty_array},
    compute::take,
    datatypes::{Field, FieldRef, Schema, SchemaRef},
    record_batch::{RecordBatch, RecordBatchOptions},
};
use datafusion::{
    common::{Result, cast::as_boolean_array},
    logical_expr::{EmitTo, GroupsAccumulator},
    physical_expr::{GroupsAccumulatorAdapter, PhysicalExpr, aggregate::AggregateFunctionExpr},
    physical_plan::aggregates::{
        group_values::{GroupValues, new_group_values},
        order::GroupOrdering,
    },
};

use self::{distinct::DistinctGroups, slots::SlotAccumulators};
use crate::error::StreamError;

/// An expression over rows.
pub type Expr = Arc<dyn PhysicalExpr>;

/// What to compute: group keys and aggregates.
#[derive(Clone, Debug)]
pub struct Aggregation {
    keys: Vec<Expr>,
    key_schema: SchemaRef,
    aggregates: Vec<Aggregate>,
    state_schema: SchemaRef,
}

#[derive(Clone, Debug)]
struct Aggregate {
    function: Arc<AggregateFunctionExpr>,
    arguments: Vec<Expr>,
    filter: Option<Expr>,
    state_columns: usize,
    /// Counted by [`distinct`], not by DataFusion.
    is_hashed: bool,
}

/// Key columns, aggregate columns, number of groups.
pub type Evaluated = (Vec<ArrayRef>, Vec<ArrayRef>, usize);

/// An aggregate and its `FILTER (WHERE …)`.
pub type FilteredAggregate = (Arc<AggregateFunctionExpr>, Option<Expr>);

/// Keys, arguments and filters of a batch, evaluated once.
#[derive(Debug)]
pub struct Inputs {
    keys: Vec<ArrayRef>,
    arguments: Vec<Vec<ArrayRef>>,
    filters: Vec<Option<BooleanArray>>,
    rows: usize,
}

impl Aggregation {
    /// An aggregation of rows of the schema `input` by `keys` of `aggregates`, each with its
    /// `FILTER (WHERE …)`.
    pub fn new(
        keys: Vec<(Expr, FieldRef)>,
        aggregates: Vec<FilteredAggregate>,
        input: &Schema,
    ) -> Result<Self, StreamError> {
        let mut fields: Vec<FieldRef> = Vec::new();
        for (index, (_, field)) in keys.iter().enumerate() {
            fields.push(Arc::new(Field::new(format!("key_{index}"), field.data_type().clone(), true)));
        }
        let key_schema = Arc::new(Schema::new(fields.clone()));
        let mut all = Vec::new();
        for (index, (function, filter)) in aggregates.into_iter().enumerate() {
            let is_hashed = distinct::is_counted(&function, input)?;
            let states = if is_hashed {
                vec![Arc::new(Field::new("values", distinct::STATE_TYPE, true))]
            } else {
                function.state_fields()?
            };
            for (part, state) in states.iter().enumerate() {
                fields.push(Arc::new(Field::new(
                    format!("state_{index}_{part}"),
                    state.data_type().clone(),
                    true,
                )));
            }
            let arguments = function.expressions();
            all.push(Aggregate { function, arguments, filter, state_columns: states.len(), is_hashed });
        }
        let keys = keys.into_iter().map(|(expr, _)| expr).collect();
        Ok(Aggregation { keys, key_schema, aggregates: all, state_schema: Arc::new(Schema::new(fields)) })
    }

    /// The same over rows in which columns have moved: keys, arguments and filters become what `map` makes of
    /// them, which must be of the same types.
    pub fn map_exprs(&self, map: &mut dyn FnMut(&Expr) -> Result<Expr>) -> Result<Self> {
        let mut mapped = self.clone();
        let aggregates = mapped.aggregates.iter_mut();
        let of_aggregates = aggregates.flat_map(|a| a.arguments.iter_mut().chain(&mut a.filter));
        for expr in mapped.keys.iter_mut().chain(of_aggregates) {
            *expr = map(expr)?;
        }
        Ok(mapped)
    }

    /// Shows every expression that is evaluated over rows.
    pub fn for_each_expr(&self, see: &mut dyn FnMut(&Expr)) {
        let of_aggregates = self.aggregates.iter().flat_map(|a| a.arguments.iter().chain(&a.filter));
        self.keys.iter().chain(of_aggregates).for_each(see);
    }

    /// The keys and the aggregates as text, for people.
    pub(crate) fn texts(&self) -> (Vec<String>, Vec<String>) {
        let aggregates = self.aggregates.iter().map(|aggregate| {
            let filter = aggregate.filter.as_ref();
            let filter = filter.map(|filter| format!(" FILTER (WHERE {filter})")).unwrap_or_default();
            let distinct = if aggregate.function.is_distinct() { "DISTINCT " } else { "" };
            let arguments: Vec<String> = aggregate.arguments.iter().map(ToString::to_string).collect();
            let name = aggregate.function.fun().name();
            format!("{name}({distinct}{}){filter}", arguments.join(", "))
        });
        (self.keys.iter().map(ToString::to_string).collect(), aggregates.collect())
    }

    /// Keys, then state columns.
    pub fn state_schema(&self) -> &SchemaRef {
        &self.state_schema
    }

    /// The keys alone.
    pub fn key_schema(&self) -> &SchemaRef {
        &self.key_schema
    }

    /// Evaluates the expressions over a batch.
    pub fn inputs(&self, batch: &RecordBatch) -> Result<Inputs, StreamError> {
        let rows = batch.num_rows();
        let evaluate = |expr: &Expr| expr.evaluate(batch)?.into_array(rows);
        let value = |expr: &Expr| evaluate(expr).map(zeros::one_zero);
        let keys = self.keys.iter().map(value).collect::<Result<_, _>>()?;
        let mut arguments = Vec::with_capacity(self.aggregates.len());
        let mut filters = Vec::with_capacity(self.aggregates.len());
        for aggregate in &self.aggregates {
            let values = aggregate.arguments.iter();
            arguments.push(match aggregate.function.is_distinct() {
                true => values.map(value).collect::<Result<_, _>>()?,
                false => values.map(evaluate).collect::<Result<_, _>>()?,
            });
            filters.push(match &aggregate.filter {
                None => None,
                Some(filter) => Some(as_boolean_array(&evaluate(filter)?)?.clone()),
            });
        }
        Ok(Inputs { keys, arguments, filters, rows })
    }

    /// An empty table.
    pub fn table(&self) -> Result<GroupTable, StreamError> {
        Ok(GroupTable { groups: self.groups()?, accumulators: self.accumulators()?, indices: Vec::new() })
    }

    /// Key to group number; `None` where there is no key and so one group.
    pub fn groups(&self) -> Result<Option<Box<dyn GroupValues>>, StreamError> {
        if self.keys.is_empty() {
            return Ok(None);
        }
        Ok(Some(new_group_values(Arc::clone(&self.key_schema), &GroupOrdering::None)?))
    }

    /// Fresh accumulators, one an aggregate.
    pub fn accumulators(&self) -> Result<Accumulators, StreamError> {
        let all = self.aggregates.iter().map(groups_of).collect::<Result<_>>()?;
        Ok(Accumulators { all, state_columns: self.aggregates.iter().map(|a| a.state_columns).collect() })
    }

    /// Aggregates by slot.
    pub fn slots(&self) -> Result<SlotAccumulators, StreamError> {
        SlotAccumulators::new(&self.aggregates)
    }

    /// A batch of states from key columns and state columns.
    pub fn state_batch(
        &self,
        mut keys: Vec<ArrayRef>,
        states: Vec<ArrayRef>,
        rows: usize,
    ) -> Result<RecordBatch, StreamError> {
        keys.extend(states);
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.state_schema), keys, &options)?)
    }

    /// Merges batches of states into one, a row a key.
    pub fn combine<'a>(
        &self,
        batches: impl IntoIterator<Item = &'a RecordBatch>,
    ) -> Result<RecordBatch, StreamError> {
        let mut table = self.table()?;
        for batch in batches {
            table.merge(self, batch)?;
        }
        table.take_states(self)
    }

    /// Merges batches of states and evaluates: key columns, aggregate columns, number of rows.
    pub fn evaluate<'a>(
        &self,
        batches: impl IntoIterator<Item = &'a RecordBatch>,
    ) -> Result<Evaluated, StreamError> {
        let mut table = self.table()?;
        for batch in batches {
            table.merge(self, batch)?;
        }
        if table.is_empty() {
            // Not every accumulator evaluates no groups.
            let keys = self.key_schema.fields().iter().map(|field| new_empty_array(field.data_type()));
            let values = self.aggregates.iter().map(|a| new_empty_array(a.function.field().data_type()));
            return Ok((keys.collect(), values.collect(), 0));
        }
        table.evaluate()
    }
}

impl Inputs {
    /// The rows at `indices`.
    pub fn take(&self, indices: &UInt32Array) -> Result<Inputs, StreamError> {
        let take_array = |array: &ArrayRef| take(array, indices, None);
        let mut filters = Vec::with_capacity(self.filters.len());
        for filter in &self.filters {
            filters.push(match filter {
                None => None,
                Some(filter) => Some(as_boolean_array(&take(filter, indices, None)?)?.clone()),
            });
        }
        let mut arguments = Vec::with_capacity(self.arguments.len());
        for arrays in &self.arguments {
            arguments.push(arrays.iter().map(take_array).collect::<Result<_, _>>()?);
        }
        Ok(Inputs {
            keys: self.keys.iter().map(take_array).collect::<Result<_, _>>()?,
            arguments,
            filters,
            rows: indices.len(),
        })
    }

    /// The key columns.
    pub fn keys(&self) -> &[ArrayRef] {
        &self.keys
    }
}

/// A fresh accumulator of an aggregate.
fn groups_of(aggregate: &Aggregate) -> Result<Box<dyn GroupsAccumulator>> {
    if aggregate.is_hashed {
        return Ok(Box::new(DistinctGroups::default()));
    }
    accumulator(&aggregate.function)
}

/// DataFusion's accumulator of a function, but for sums.
pub(super) fn accumulator(function: &Arc<AggregateFunctionExpr>) -> Result<Box<dyn GroupsAccumulator>> {
    if let Some(sum) = sum::of(function) {
        return Ok(sum);
    }
    if function.groups_accumulator_supported() {
        return function.create_groups_accumulator();
    }
    let function = Arc::clone(function);
    Ok(Box::new(GroupsAccumulatorAdapter::new(move || function.create_accumulator())))
}

/// The accumulators of some groups.
pub struct Accumulators {
    all: Vec<Box<dyn GroupsAccumulator>>,
    state_columns: Vec<usize>,
}

impl Accumulators {
    /// Adds rows: row `i` goes to group `groups[i]`.
    pub fn update(&mut self, inputs: &Inputs, groups: &[usize], total: usize) -> Result<(), StreamError> {
        for ((accumulator, arguments), filter) in
            self.all.iter_mut().zip(&inputs.arguments).zip(&inputs.filters)
        {
            accumulator.update_batch(arguments, groups, filter.as_ref(), total)?;
        }
        Ok(())
    }

    /// Adds states: the columns of [`Aggregation::state_schema`] without the keys.
    pub fn merge(&mut self, states: &[ArrayRef], groups: &[usize], total: usize) -> Result<(), StreamError> {
        let mut states = states;
        for (accumulator, columns) in self.all.iter_mut().zip(&self.state_columns) {
            let (own, rest) = states.split_at(*columns);
            accumulator.merge_batch(own, groups, total)?;
            states = rest;
        }
        Ok(())
    }

    /// The states of all groups; the accumulators start anew.
    pub fn take_states(&mut self) -> Result<Vec<ArrayRef>, StreamError> {
        let mut columns = Vec::new();
        for accumulator in &mut self.all {
            columns.extend(accumulator.state(EmitTo::All)?);
        }
        Ok(columns)
    }

    /// The values of all groups; the accumulators start anew.
    pub fn evaluate(&mut self) -> Result<Vec<ArrayRef>, StreamError> {
        Ok(self
            .all
            .iter_mut()
            .map(|accumulator| accumulator.evaluate(EmitTo::All))
            .collect::<Result<_, _>>()?)
    }
}

/// Groups and their accumulators.
pub struct GroupTable {
    groups: Option<Box<dyn GroupValues>>,
    accumulators: Accumulators,
    indices: Vec<usize>,
}

impl GroupTable {
    /// Number of groups. Without keys there is one, as soon as there is a row.
    pub fn len(&self) -> usize {
        match &self.groups {
            Some(groups) => groups.len(),
            None => usize::from(!self.indices.is_empty()),
        }
    }

    /// Whether no row went in.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn intern(&mut self, keys: &[ArrayRef], rows: usize) -> Result<usize, StreamError> {
        match &mut self.groups {
            Some(groups) => {
                groups.intern(keys, &mut self.indices)?;
                Ok(groups.len())
            }
            None => {
                if rows > 0 {
                    self.indices.clear();
                    self.indices.resize(rows, 0);
                }
                Ok(1)
            }
        }
    }

    /// Adds rows.
    pub fn update(&mut self, inputs: &Inputs) -> Result<(), StreamError> {
        if inputs.rows == 0 {
            return Ok(());
        }
        let total = self.intern(&inputs.keys, inputs.rows)?;
        self.accumulators.update(inputs, &self.indices, total)
    }

    /// Adds a batch of states.
    pub fn merge(&mut self, aggregation: &Aggregation, batch: &RecordBatch) -> Result<(), StreamError> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let (keys, states) = batch.columns().split_at(aggregation.keys.len());
        let total = self.intern(keys, batch.num_rows())?;
        self.accumulators.merge(states, &self.indices, total)
    }

    fn take_keys(&mut self) -> Result<Vec<ArrayRef>, StreamError> {
        match &mut self.groups {
            Some(groups) => {
                let (rows, keys) = (groups.len(), groups.emit(EmitTo::All)?);
                // Not all kinds forget the keys that they gave away.
                groups.clear_shrink(rows);
                Ok(keys)
            }
            None => Ok(Vec::new()),
        }
    }

    /// All groups evaluated; the table is empty afterwards.
    pub fn evaluate(&mut self) -> Result<Evaluated, StreamError> {
        let rows = self.len();
        let keys = self.take_keys()?;
        let values = self.accumulators.evaluate()?;
        self.indices.clear();
        Ok((keys, values, rows))
    }

    /// All groups as a batch of states; the table is empty afterwards.
    pub fn take_states(&mut self, aggregation: &Aggregation) -> Result<RecordBatch, StreamError> {
        let rows = self.len();
        if rows == 0 {
            return Ok(RecordBatch::new_empty(Arc::clone(&aggregation.state_schema)));
        }
        let keys = self.take_keys()?;
        let states = self.accumulators.take_states()?;
        self.indices.clear();
        aggregation.state_batch(keys, states, rows)
    }
}
