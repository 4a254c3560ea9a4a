//! `window_funnel(window, mode, timestamp, step_1, …, step_n)`: how many steps were done in order.
//!
//! The name and the order of the arguments are Apache Doris's; ClickHouse has the same aggregate as
//! `windowFunnel(window)(timestamp, step_1, …)`. The result is the greatest `k` such that events for
//! `step_1 … step_k` exist with non-decreasing times, the last at most `window` after the first; 0 where no
//! event did `step_1`. Other events may lie between the steps.
//!
//! | argument | type |
//! |---|---|
//! | `window` | literal INTERVAL of days or less, or whole seconds |
//! | `mode` | `'default'`, the only one so far |
//! | `timestamp` | the event's time |
//! | `step_k` | BOOLEAN condition; at most 32 |
//!
//! State per group: the times at which at least one step was done, with the set of steps as bits, flattened
//! into one list `[time, steps, time, steps, …]`. Events that do no step are not kept; repeated ones are kept
//! once. Rows with a NULL time do not count.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, Int64Builder, ListBuilder},
    datatypes::{DataType, Field, FieldRef, Int64Type, TimestampMicrosecondType},
};
use datafusion::{
    common::{Result, ScalarValue, exec_err, internal_err, plan_err},
    logical_expr::{
        Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, GroupsAccumulator, Signature, Volatility,
        function::{AccumulatorArgs, StateFieldsArgs},
    },
    physical_expr::{PhysicalExpr, aggregate::AggregateFunctionExpr, expressions::Literal},
};

use crate::{
    error::StreamError,
    operator::aggregate::slots::{
        slot::{SlotAccumulator, grow},
        words::{Slot, Words, index},
    },
    table::timestamp_type,
};

/// Its name in SQL.
pub const NAME: &str = "window_funnel";
const MAX_STEPS: usize = 32;
const USAGE: &str = "write window_funnel(INTERVAL '1' DAY, 'default', event_time, step_1, step_2, …)";

/// The aggregate, for registration.
pub fn window_funnel() -> AggregateUDF {
    AggregateUDF::from(WindowFunnel { signature: Signature::user_defined(Volatility::Immutable) })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct WindowFunnel {
    signature: Signature,
}

impl WindowFunnel {
    fn state(arguments: &[Arc<dyn PhysicalExpr>]) -> Result<FunnelStates> {
        let literal = |index: usize| {
            let literal = arguments.get(index).and_then(|expr| expr.downcast_ref::<Literal>());
            literal.map(|literal| literal.value().clone())
        };
        let window_us = match literal(0) {
            Some(ScalarValue::IntervalMonthDayNano(Some(interval))) if interval.months == 0 => {
                i64::from(interval.days)
                    .saturating_mul(86_400_000_000)
                    .saturating_add(interval.nanoseconds / 1_000)
            }
            Some(ScalarValue::Int64(Some(seconds))) => seconds.saturating_mul(1_000_000),
            _ => {
                return plan_err!(
                    "window_funnel: the window must be a literal interval of days or less; {USAGE}"
                );
            }
        };
        match literal(1) {
            Some(ScalarValue::Utf8(Some(mode))) if mode == "default" => {}
            _ => return plan_err!("window_funnel: the mode must be 'default'; {USAGE}"),
        }
        Ok(FunnelStates { window_us, steps: arguments.len().saturating_sub(3), groups: Vec::new() })
    }
}

impl AggregateUDFImpl for WindowFunnel {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        if types.len() < 4 || types.len() > 3 + MAX_STEPS {
            return plan_err!("window_funnel takes 1 to {MAX_STEPS} steps; {USAGE}");
        }
        let window = match &types[0] {
            DataType::Interval(_) => DataType::Interval(arrow::datatypes::IntervalUnit::MonthDayNano),
            _ => DataType::Int64,
        };
        let mut coerced = vec![window, DataType::Utf8, timestamp_type()];
        coerced.resize(types.len(), DataType::Boolean);
        Ok(coerced)
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int64)
    }

    fn is_nullable(&self) -> bool {
        false
    }

    fn default_value(&self, _: &DataType) -> Result<ScalarValue> {
        Ok(ScalarValue::Int64(Some(0)))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        Ok(vec![Arc::new(Field::new(format!("{}[steps]", args.name), state_type(), true))])
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(OneGroup(Self::state(args.exprs)?)))
    }

    fn groups_accumulator_supported(&self, _: AccumulatorArgs) -> bool {
        true
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(Self::state(args.exprs)?))
    }
}

fn state_type() -> DataType {
    DataType::List(Arc::new(Field::new_list_field(DataType::Int64, true)))
}

/// A time and the steps done at it, one bit each, step 1 lowest.
type Done = (i64, u32);

/// The states of all groups.
#[derive(Debug)]
struct FunnelStates {
    window_us: i64,
    steps: usize,
    groups: Vec<Vec<Done>>,
}

impl FunnelStates {
    /// The funnel level of a group.
    ///
    /// One pass in time order: `started[k]` is the latest start of a chain that has done steps `0..=k`. A
    /// later start can only help, since the window is counted from the start.
    fn level(&self, done: &mut [Done]) -> i64 {
        done.sort_unstable();
        let mut started = vec![None::<i64>; self.steps];
        // Events at one time count together, step by step: which of them came first is not known.
        for together in done.chunk_by(|a, b| a.0 == b.0) {
            let time = together[0].0;
            let steps = together.iter().fold(0, |steps, (_, more)| steps | more);
            for step in (0..self.steps).filter(|step| steps & (1 << step) != 0) {
                let start = if step == 0 {
                    Some(time)
                } else {
                    started[step - 1].filter(|start| time.saturating_sub(*start) <= self.window_us)
                };
                // Chains are compared by start; a chain that was begun later replaces an older one.
                started[step] = started[step].max(start);
            }
        }
        let level = started.iter().rposition(Option::is_some).map_or(0, |step| step + 1);
        i64::try_from(level).unwrap_or(i64::MAX)
    }

    fn take(&mut self, emit_to: EmitTo) -> Vec<Vec<Done>> {
        emit_to.take_needed(&mut self.groups)
    }
}

impl GroupsAccumulator for FunnelStates {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.groups.resize(total_num_groups.max(self.groups.len()), Vec::new());
        let [_, _, times, steps @ ..] = values else { return internal_err!("window_funnel lacks arguments") };
        let times = times.as_primitive::<TimestampMicrosecondType>();
        let steps: Vec<&BooleanArray> = steps.iter().map(|step| step.as_boolean()).collect();
        for (row, &group) in group_indices.iter().enumerate() {
            if times.is_null(row) || opt_filter.is_some_and(|f| f.is_null(row) || !f.value(row)) {
                continue;
            }
            let mut bits = 0_u32;
            for (index, step) in steps.iter().enumerate() {
                bits |= u32::from(step.is_valid(row) && step.value(row)) << index;
            }
            if bits != 0 {
                self.groups[group].push((times.value(row), bits));
            }
        }
        Ok(())
    }

    fn merge_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        total_num_groups: usize,
    ) -> Result<()> {
        self.groups.resize(total_num_groups.max(self.groups.len()), Vec::new());
        let states = values[0].as_list::<i32>();
        for (row, &group) in group_indices.iter().enumerate() {
            if states.is_null(row) {
                continue;
            }
            let state = states.value(row);
            for pair in state.as_primitive::<Int64Type>().values().chunks_exact(2) {
                let Ok(steps) = u32::try_from(pair[1]) else {
                    return exec_err!("window_funnel: damaged state");
                };
                self.groups[group].push((pair[0], steps));
            }
        }
        Ok(())
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let levels: Int64Array = self.take(emit_to).iter_mut().map(|done| Some(self.level(done))).collect();
        Ok(Arc::new(levels))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let mut builder = ListBuilder::new(Int64Builder::new());
        for mut done in self.take(emit_to) {
            done.sort_unstable();
            done.dedup();
            for (time, steps) in done {
                builder.values().append_value(time);
                builder.values().append_value(i64::from(steps));
            }
            builder.append(true);
        }
        Ok(vec![Arc::new(builder.finish())])
    }

    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        opt_filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        let rows = values.first().map_or(0, |array| array.len());
        let mut states = FunnelStates { groups: Vec::new(), ..*self };
        states.update_batch(values, &(0..rows).collect::<Vec<_>>(), opt_filter, rows)?;
        GroupsAccumulator::state(&mut states, EmitTo::All)
    }

    fn size(&self) -> usize {
        let events: usize = self.groups.iter().map(Vec::capacity).sum();
        size_of::<Self>() + self.groups.capacity() * size_of::<Vec<Done>>() + events * size_of::<Done>()
    }
}

/// The same by slot, for sessions.
pub struct FunnelSlots(FunnelStates);

impl FunnelSlots {
    /// For a call of the function.
    pub fn new(function: &AggregateFunctionExpr) -> std::result::Result<Self, StreamError> {
        Ok(FunnelSlots(WindowFunnel::state(&function.expressions())?))
    }
}

impl SlotAccumulator for FunnelSlots {
    fn grow(&mut self, slots: usize) {
        grow(&mut self.0.groups, slots, Vec::new());
    }

    fn clear(&mut self, slot: Slot) {
        self.0.groups[index(slot)] = Vec::new();
    }

    fn update(
        &mut self,
        _: &mut Words,
        slots: &[Slot],
        arguments: &[ArrayRef],
        filter: Option<&BooleanArray>,
    ) -> std::result::Result<(), StreamError> {
        let groups: Vec<usize> = slots.iter().copied().map(index).collect();
        Ok(GroupsAccumulator::update_batch(&mut self.0, arguments, &groups, filter, 0)?)
    }

    fn merge(
        &mut self,
        _: &mut Words,
        slots: &[Slot],
        states: &[ArrayRef],
    ) -> std::result::Result<(), StreamError> {
        let groups: Vec<usize> = slots.iter().copied().map(index).collect();
        Ok(GroupsAccumulator::merge_batch(&mut self.0, states, &groups, 0)?)
    }

    fn join(&mut self, _: &mut Words, into: Slot, from: Slot) -> std::result::Result<(), StreamError> {
        let done = std::mem::take(&mut self.0.groups[index(from)]);
        self.0.groups[index(into)].extend(done);
        Ok(())
    }

    fn states(&mut self, _: &Words, slots: &[Slot]) -> std::result::Result<Vec<ArrayRef>, StreamError> {
        let groups = slots.iter().map(|slot| self.0.groups[index(*slot)].clone()).collect();
        let mut copy = FunnelStates { groups, ..self.0 };
        Ok(GroupsAccumulator::state(&mut copy, EmitTo::All)?)
    }

    fn evaluate(&mut self, _: &Words, slots: &[Slot]) -> std::result::Result<ArrayRef, StreamError> {
        let groups = slots.iter().map(|slot| self.0.groups[index(*slot)].clone()).collect();
        let mut copy = FunnelStates { groups, ..self.0 };
        Ok(GroupsAccumulator::evaluate(&mut copy, EmitTo::All)?)
    }
}

/// The same for a single group, which DataFusion's batch plans without `GROUP BY` use.
#[derive(Debug)]
struct OneGroup(FunnelStates);

impl Accumulator for OneGroup {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let rows = values.first().map_or(0, |array| array.len());
        GroupsAccumulator::update_batch(&mut self.0, values, &vec![0; rows], None, 1)
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let rows = states.first().map_or(0, |array| array.len());
        GroupsAccumulator::merge_batch(&mut self.0, states, &vec![0; rows], 1)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let mut done = self.0.groups.first().cloned().unwrap_or_default();
        Ok(ScalarValue::Int64(Some(self.0.level(&mut done))))
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.0.groups.resize(1, Vec::new());
        let arrays = GroupsAccumulator::state(&mut self.0, EmitTo::All)?;
        arrays.iter().map(|array| ScalarValue::try_from_array(array, 0)).collect()
    }

    fn size(&self) -> usize {
        GroupsAccumulator::size(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn states(window_us: i64, steps: usize) -> FunnelStates {
        FunnelStates { window_us, steps, groups: Vec::new() }
    }

    /// By trying every chain.
    fn naive(done: &[Done], step: usize, steps: usize, from: i64, until: i64) -> i64 {
        if step == steps {
            return 0;
        }
        let reach = |time: i64| {
            let until = if step == 0 { time.saturating_add(until) } else { until };
            1 + naive(done, step + 1, steps, time, until)
        };
        let hits = done
            .iter()
            .filter(|(t, bits)| bits & (1 << step) != 0 && *t >= from && (step == 0 || *t <= until));
        hits.map(|(time, _)| reach(*time)).max().unwrap_or(0)
    }

    proptest! {
        #[test]
        fn equals_trying_every_chain(
            done in prop::collection::vec((0_i64..12, 0_u32..8), 0..8), window in 0_i64..12,
        ) {
            let expected = naive(&done, 0, 3, i64::MIN, window);
            prop_assert_eq!(states(window, 3).level(&mut done.clone()), expected);
        }
    }

    #[test]
    fn steps_count_only_in_order_and_within_the_window() {
        let funnel = states(10, 3);
        assert_eq!(funnel.level(&mut [(1, 1), (2, 2), (3, 4)]), 3);
        assert_eq!(funnel.level(&mut [(1, 4), (2, 2), (3, 1)]), 1);
        assert_eq!(funnel.level(&mut [(1, 1), (20, 2)]), 1);
        assert_eq!(funnel.level(&mut [(1, 2)]), 0);
        assert_eq!(funnel.level(&mut [(5, 7)]), 3);
        assert_eq!(funnel.level(&mut [(2, 0b101), (2, 0b010)]), 3);
    }
}
