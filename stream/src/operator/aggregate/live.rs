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

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, UInt32Array},
    compute::{concat, take},
    record_batch::RecordBatch,
};
use datafusion::{
    common::Result,
    logical_expr::{EmitTo, GroupsAccumulator},
    physical_expr::aggregate::AggregateFunctionExpr,
    physical_plan::aggregates::group_values::GroupValues,
};

use super::{Aggregate, Aggregation, Evaluated, accumulator, distinct::DistinctGroups};
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
        for (live, aggregate) in self.aggregates.iter_mut().zip(&self.aggregation.aggregates) {
            let (own, rest) = states.split_at(aggregate.state_columns);
            live.merge(own, &self.numbers, self.length)?;
            states = rest;
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

    /// All groups as a batch of states.
    pub fn states(&mut self) -> Result<RecordBatch, StreamError> {
        if self.length == 0 {
            return Ok(RecordBatch::new_empty(Arc::clone(self.aggregation.state_schema())));
        }
        let mut states = Vec::new();
        for live in &mut self.aggregates {
            states.extend(live.states(self.length)?);
        }
        self.aggregation.state_batch(self.keys()?, states, self.length)
    }

    /// All groups evaluated.
    pub fn evaluate(&mut self) -> Result<Evaluated, StreamError> {
        if self.length == 0 {
            return self.aggregation.evaluate([]);
        }
        let length = self.length;
        let values = self.aggregates.iter_mut().map(|live| live.values(length)).collect::<Result<_>>()?;
        Ok((self.keys()?, values, length))
    }
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
            Live::Distinct(distinct) => Ok(vec![distinct.peek_state()]),
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
            Live::Distinct(distinct) => Ok(distinct.peek_counts()),
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
