//! A table of groups that is read without being used up, as panes in the merge stage are: again and again for
//! provisional rows, and for checkpoints.
//!
//! DataFusion gives keys and values away when it is asked for them. So the keys are kept beside its table of groups,
//! in the order of their numbers, and each aggregate in one of three forms:
//!
//! | aggregate | is kept as | when it is read |
//! |---|---|---|
//! | COUNT(DISTINCT) on [hashes](super::distinct) | its sets | the counts are copied |
//! | COUNT, SUM, MIN, MAX, AVG, BIT_…, BOOL_… | an accumulator | its state is taken out and given back, which changes nothing |
//! | any other | the states that came | they are merged anew: a state may be long, or not be the same when it is given back |
//!
//! Beside what final rows made there may be what [provisional ones](super::open) add, in the same groups. It is in no
//! state that leaves: a checkpoint and a window that closes are of final rows alone.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, BooleanArray, UInt32Array, UInt64Array},
    compute::{concat, filter, filter_record_batch, take},
    record_batch::RecordBatch,
};
use datafusion::{
    common::Result,
    logical_expr::{EmitTo, GroupsAccumulator},
    physical_expr::aggregate::AggregateFunctionExpr,
    physical_plan::aggregates::group_values::GroupValues,
};

use super::{
    Aggregate, Aggregation, Evaluated, Inputs, accumulator,
    distinct::{DistinctGroups, for_each_state},
    open::{Direction, Open},
};
use crate::error::StreamError;

/// Parts of something are put together when there are more than this.
const MOST_PARTS: usize = 16;
/// The aggregates of DataFusion whose state is a few values and is the same when it is given back.
const EXACT: [&str; 10] =
    ["count", "sum", "min", "max", "avg", "bit_and", "bit_or", "bit_xor", "bool_and", "bool_or"];

/// Groups, to be read at any time.
pub struct LiveTable {
    aggregation: Aggregation,
    /// Key to number; `None` where there is no key and so one group.
    groups: Option<Box<dyn GroupValues>>,
    /// The keys by number, in parts.
    keys: Vec<Vec<ArrayRef>>,
    aggregates: Vec<Live>,
    length: usize,
    /// Of provisional rows, as soon as there were some.
    picture: Option<Picture>,
    // Kept for its memory.
    numbers: Vec<usize>,
}

/// What provisional rows add.
struct Picture {
    aggregates: Vec<Open>,
    /// How many provisional rows each group has.
    rows: Vec<i64>,
    /// The number of each group among those that have final rows, if it has. What final rows make is kept by it:
    /// DataFusion's accumulators take it that each group that they are told of has a row.
    places: Vec<Option<usize>>,
    /// The groups that have final rows, by that number.
    settled: Vec<usize>,
    // Kept for its memory.
    numbers: Vec<usize>,
}

/// One aggregate.
enum Live {
    Distinct(DistinctGroups),
    Exact { function: Arc<AggregateFunctionExpr>, accumulator: Box<dyn GroupsAccumulator> },
    Parts { function: Arc<AggregateFunctionExpr>, parts: Vec<(Vec<ArrayRef>, Vec<usize>)> },
}

impl LiveTable {
    /// No groups yet.
    pub fn new(aggregation: Aggregation) -> Result<Self, StreamError> {
        let aggregates = aggregation.aggregates.iter().map(Live::new).collect::<Result<_>>()?;
        Ok(LiveTable {
            groups: aggregation.groups()?,
            aggregation,
            keys: Vec::new(),
            aggregates,
            length: 0,
            picture: None,
            numbers: Vec::new(),
        })
    }

    /// Adds a batch of states.
    pub fn merge(&mut self, batch: &RecordBatch) -> Result<(), StreamError> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let (keys, mut states) = batch.columns().split_at(self.aggregation.keys.len());
        self.intern(keys, batch.num_rows())?;
        let length = self.length;
        let mut picture = self.picture.as_mut();
        if let Some(picture) = &mut picture {
            picture.settle(&self.numbers, length);
        }
        for (index, (live, aggregate)) in
            self.aggregates.iter_mut().zip(&self.aggregation.aggregates).enumerate()
        {
            let (own, rest) = states.split_at(aggregate.state_columns);
            match &mut picture {
                None => live.merge(own, &self.numbers, length)?,
                Some(picture) => match (live, &mut picture.aggregates[index]) {
                    (Live::Distinct(distinct), Open::Distinct(open)) => {
                        distinct.grow(length);
                        for_each_state(&own[0], |row, value| {
                            if distinct.add(self.numbers[row], value) {
                                open.settle(self.numbers[row], value);
                            }
                        })?;
                    }
                    (live, _) => live.merge(own, &picture.numbers, picture.settled.len())?,
                },
            }
            states = rest;
        }
        Ok(())
    }

    /// Takes provisional rows, or lets go of such that it has taken.
    pub fn change(&mut self, direction: Direction, inputs: &Inputs) -> Result<(), StreamError> {
        if inputs.rows == 0 {
            return Ok(());
        }
        let known = self.length;
        self.intern(&inputs.keys, inputs.rows)?;
        let picture = self.picture.get_or_insert_with(|| Picture {
            aggregates: self.aggregation.aggregates.iter().map(Open::new).collect(),
            rows: Vec::new(),
            places: (0..known).map(Some).collect(),
            settled: (0..known).collect(),
            numbers: Vec::new(),
        });
        picture.rows.resize(self.length, 0);
        picture.places.resize(self.length, None);
        let step = if direction == Direction::Come { 1 } else { -1 };
        self.numbers.iter().for_each(|number| picture.rows[*number] += step);
        let of_aggregates = self.aggregates.iter().zip(&mut picture.aggregates);
        for ((live, open), (arguments, filter)) in
            of_aggregates.zip(inputs.arguments.iter().zip(&inputs.filters))
        {
            let settled = if let Live::Distinct(distinct) = live { Some(distinct) } else { None };
            open.change(direction, arguments, filter.as_ref(), &self.numbers, self.length, settled)?;
        }
        Ok(())
    }

    /// Leaves each row's group in `numbers`, and keeps the keys of new groups.
    fn intern(&mut self, keys: &[ArrayRef], rows: usize) -> Result<(), StreamError> {
        let Some(groups) = &mut self.groups else {
            self.numbers.clear();
            self.numbers.resize(rows, 0);
            self.length = 1;
            return Ok(());
        };
        groups.intern(keys, &mut self.numbers)?;
        let known = std::mem::replace(&mut self.length, groups.len());
        // New groups are not numbered in the order of their rows: some row of each.
        let mut rows_of_new = vec![0_u32; self.length - known];
        for (row, number) in (0_u32..).zip(&self.numbers) {
            if let Some(new) = number.checked_sub(known) {
                rows_of_new[new] = row;
            }
        }
        if !rows_of_new.is_empty() {
            let rows = UInt32Array::from(rows_of_new);
            self.keys.push(keys.iter().map(|key| take(key, &rows, None)).collect::<Result<_, _>>()?);
        }
        if self.keys.len() > MOST_PARTS {
            self.keys = vec![self.keys()?];
        }
        Ok(())
    }

    fn keys(&self) -> Result<Vec<ArrayRef>, StreamError> {
        if let [keys] = self.keys.as_slice() {
            return Ok(keys.clone());
        }
        let column = |column: usize| {
            let parts: Vec<&dyn Array> = self.keys.iter().map(|keys| keys[column].as_ref()).collect();
            concat(&parts)
        };
        Ok((0..self.aggregation.keys.len()).map(column).collect::<Result<_, _>>()?)
    }

    /// All groups of final rows as a batch of states.
    pub fn states(&mut self) -> Result<RecordBatch, StreamError> {
        let settled = self.settled();
        if settled == 0 {
            return Ok(RecordBatch::new_empty(Arc::clone(self.aggregation.state_schema())));
        }
        let mut states = Vec::new();
        for live in &mut self.aggregates {
            let is_by_group = matches!(live, Live::Distinct(_));
            let own = match live {
                Live::Distinct(distinct) => vec![distinct.peek_state_of(self.length)],
                live => live.states(settled)?,
            };
            for column in own {
                states.push(in_order(&column, self.picture.as_ref(), is_by_group)?);
            }
        }
        self.aggregation.state_batch(self.settled_keys()?, states, settled)
    }

    /// How many groups have final rows.
    fn settled(&self) -> usize {
        self.picture.as_ref().map_or(self.length, |picture| picture.settled.len())
    }

    fn settled_keys(&self) -> Result<Vec<ArrayRef>, StreamError> {
        let keys = self.keys()?;
        keys.iter().map(|key| in_order(key, self.picture.as_ref(), true)).collect()
    }

    /// The groups of provisional rows as a batch of states, if there are any.
    pub fn provisional_states(&self) -> Result<Option<RecordBatch>, StreamError> {
        let Some(picture) = self.picture.as_ref().filter(|picture| picture.rows.iter().any(|rows| *rows > 0))
        else {
            return Ok(None);
        };
        let length = picture.rows.len();
        let mut states = Vec::new();
        for open in &picture.aggregates {
            states.extend(open.states(length)?);
        }
        let keys = self.keys()?.iter().map(|key| key.slice(0, length)).collect();
        let batch = self.aggregation.state_batch(keys, states, length)?;
        let present: BooleanArray = picture.rows.iter().map(|rows| Some(*rows > 0)).collect();
        Ok(Some(filter_record_batch(&batch, &present)?))
    }

    /// All groups of final rows evaluated.
    pub fn evaluate(&mut self) -> Result<Evaluated, StreamError> {
        let settled = self.settled();
        if settled == 0 {
            return self.aggregation.evaluate([]);
        }
        let mut values = Vec::with_capacity(self.aggregates.len());
        for live in &mut self.aggregates {
            let is_by_group = matches!(live, Live::Distinct(_));
            let own = match live {
                Live::Distinct(distinct) => distinct.peek_counts(self.length),
                live => live.values(settled)?,
            };
            values.push(in_order(&own, self.picture.as_ref(), is_by_group)?);
        }
        Ok((self.settled_keys()?, values, settled))
    }

    /// All groups evaluated, with what provisional rows add.
    pub fn evaluate_provisional(&mut self) -> Result<Evaluated, StreamError> {
        let Some(picture) = &mut self.picture else { return self.evaluate() };
        let length = self.length;
        picture.rows.resize(length, 0);
        let groups = picture.rows.iter().zip(&picture.places);
        let present: BooleanArray = groups.map(|(rows, place)| Some(*rows > 0 || place.is_some())).collect();
        if present.true_count() == 0 {
            return self.aggregation.evaluate([]);
        }
        let mut values = Vec::with_capacity(self.aggregates.len());
        for (live, open) in self.aggregates.iter_mut().zip(&picture.aggregates) {
            values.push(live.values_with(open, &picture.settled, length)?);
        }
        let mut keys = self.keys()?;
        for column in keys.iter_mut().chain(&mut values) {
            *column = filter(column, &present)?;
        }
        Ok((keys, values, present.true_count()))
    }
}

impl Picture {
    /// These groups, of so many, have final rows.
    fn settle(&mut self, groups: &[usize], length: usize) {
        self.places.resize(length, None);
        self.numbers.clear();
        for group in groups {
            let next = self.settled.len();
            let place = *self.places[*group].get_or_insert(next);
            if place == next {
                self.settled.push(*group);
            }
            self.numbers.push(place);
        }
    }
}

/// A column of what final rows have made, in the order in which they came to a group; as it is, if it is that already and
/// not `by_group`.
fn in_order(column: &ArrayRef, picture: Option<&Picture>, by_group: bool) -> Result<ArrayRef, StreamError> {
    let Some(picture) = picture.filter(|_| by_group) else { return Ok(Arc::clone(column)) };
    let groups = picture.settled.iter().map(|group| u64::try_from(*group).unwrap_or(u64::MAX));
    Ok(take(column, &UInt64Array::from_iter_values(groups), None)?)
}

impl Live {
    fn new(aggregate: &Aggregate) -> Result<Self> {
        let function = Arc::clone(&aggregate.function);
        if aggregate.is_hashed {
            return Ok(Live::Distinct(DistinctGroups::default()));
        }
        let is_exact = !function.is_distinct()
            && function.order_bys().is_empty()
            && function.groups_accumulator_supported()
            && EXACT.contains(&function.fun().name());
        if is_exact {
            return Ok(Live::Exact { accumulator: accumulator(&function)?, function });
        }
        Ok(Live::Parts { function, parts: Vec::new() })
    }

    fn merge(&mut self, states: &[ArrayRef], numbers: &[usize], length: usize) -> Result<()> {
        match self {
            Live::Distinct(distinct) => distinct.merge_batch(states, numbers, length),
            Live::Exact { accumulator, .. } => accumulator.merge_batch(states, numbers, length),
            Live::Parts { parts, .. } => {
                parts.push((states.to_vec(), numbers.to_vec()));
                if parts.len() > MOST_PARTS {
                    let states = self.states(length)?;
                    if let Live::Parts { parts, .. } = self {
                        *parts = vec![(states, (0..length).collect())];
                    }
                }
                Ok(())
            }
        }
    }

    fn states(&mut self, length: usize) -> Result<Vec<ArrayRef>> {
        match self {
            Live::Distinct(distinct) => Ok(vec![distinct.peek_state_of(length)]),
            Live::Exact { accumulator, .. } => {
                let states = accumulator.state(EmitTo::All)?;
                accumulator.merge_batch(&states, &(0..length).collect::<Vec<_>>(), length)?;
                Ok(states)
            }
            Live::Parts { function, parts } => merged(function, parts, length)?.state(EmitTo::All),
        }
    }

    fn values(&mut self, length: usize) -> Result<ArrayRef> {
        match self {
            Live::Distinct(distinct) => Ok(distinct.peek_counts(length)),
            Live::Exact { .. } => {
                let states = self.states(length)?;
                let Live::Exact { function, .. } = self else {
                    return datafusion::common::internal_err!("an aggregate has changed its form");
                };
                merged(function, &[(states, (0..length).collect())], length)?.evaluate(EmitTo::All)
            }
            Live::Parts { function, parts } => merged(function, parts, length)?.evaluate(EmitTo::All),
        }
    }

    /// The values of so many groups with what provisional rows add; final rows have `settled`.
    fn values_with(&mut self, open: &Open, settled: &[usize], length: usize) -> Result<ArrayRef> {
        if let (Live::Distinct(distinct), Open::Distinct(open)) = (&*self, open) {
            return Ok(open.counts(distinct, length));
        }
        let mut numbers: Vec<usize> = (0..length).collect();
        let mut states = open.states(length)?;
        if !settled.is_empty() {
            // In one batch, in which each group has a row: an accumulator takes it that each has.
            let of_final = self.states(settled.len())?;
            for (state, of_final) in states.iter_mut().zip(&of_final) {
                *state = concat(&[state.as_ref(), of_final.as_ref()])?;
            }
            numbers.extend_from_slice(settled);
        }
        match self {
            Live::Distinct(_) => datafusion::common::internal_err!("an aggregate is kept in two forms"),
            Live::Exact { function, .. } | Live::Parts { function, .. } => {
                merged(function, &[(states, numbers)], length)?.evaluate(EmitTo::All)
            }
        }
    }
}

/// An accumulator into which states have gone; all of so many groups are known to it.
fn merged(
    function: &Arc<AggregateFunctionExpr>,
    parts: &[(Vec<ArrayRef>, Vec<usize>)],
    length: usize,
) -> Result<Box<dyn GroupsAccumulator>> {
    let mut merged = accumulator(function)?;
    for (states, numbers) in parts {
        merged.merge_batch(states, numbers, length)?;
    }
    Ok(merged)
}
