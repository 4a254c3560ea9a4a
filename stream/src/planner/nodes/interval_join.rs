//! A join of rows of two streams whose keys are equal and whose times lie near each other.

use std::{fmt, sync::Arc};

use datafusion::{
    common::{DFSchemaRef, JoinType, Result, internal_err},
    logical_expr::{
        Expr, ExprSchemable, LogicalPlan, UserDefinedLogicalNodeCore,
        logical_plan::builder::build_join_schema,
    },
};

use crate::{
    error::StreamError,
    operator::{
        TimeBound,
        interval_join::{IntervalJoinSpec, JoinKind, SideSpec},
        step::Step,
    },
    planner::{
        OperatorPlan,
        attributes::{Attributes, TimeAttribute, index_of},
        canonical::{Canonical, Columns, Words, schema_text},
        identity::Identity,
        node::{Lowering, Stream, StreamingNode, schema_of},
        physical::Physical,
        words::{bound_text, interval_text},
    },
};

/// An interval join. Its schema is that of the join that it replaces.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct IntervalJoinNode {
    /// Left and right.
    pub(crate) inputs: [LogicalPlan; 2],
    /// Their times, a column of each.
    pub(crate) times: [Expr; 2],
    /// What is promised about these, allowed lateness included.
    pub(crate) bounds: [TimeBound; 2],
    /// Whether these are event times, so that rows from a source may be late; rows are not late for a window's column.
    pub(crate) are_events: [bool; 2],
    /// The least and the greatest of the right time less the left one.
    pub(crate) interval_us: (i64, i64),
    /// Pairs of keys that must be equal.
    pub(crate) on: Vec<(Expr, Expr)>,
    /// Further conditions.
    pub(crate) filter: Option<Expr>,
    /// Which rows are written.
    pub(crate) kind: JoinKind,
    /// The schema.
    pub(crate) schema: DFSchemaRef,
}

impl IntervalJoinNode {
    /// The schema over two inputs.
    pub(crate) fn schema_over(inputs: &[LogicalPlan; 2], kind: JoinKind) -> Result<DFSchemaRef> {
        let join_type = match kind {
            JoinKind::Inner => JoinType::Inner,
            JoinKind::Left => JoinType::Left,
            JoinKind::Right => JoinType::Right,
            JoinKind::Full => JoinType::Full,
            JoinKind::Semi => JoinType::LeftSemi,
            JoinKind::Anti => JoinType::LeftAnti,
        };
        let [left, right] = inputs;
        Ok(Arc::new(build_join_schema(left.schema(), right.schema(), &join_type)?))
    }

    /// Left and right columns, whatever is written.
    fn pairs(&self) -> Result<DFSchemaRef> {
        Self::schema_over(&self.inputs, JoinKind::Inner)
    }

    /// What holds of a side's columns behind the join. Its time lies behind the lesser promise of both sides by no more
    /// than the interval reaches; what lies by a known length from that time goes with it, and nothing else.
    fn of_side(&self, side: usize, attributes: &Attributes) -> Attributes {
        let (lower, upper) = self.interval_us;
        let behind = if side == 0 { upper.max(0) } else { lower.saturating_neg().max(0) };
        let time = match &self.times[side] {
            Expr::Column(column) => index_of(self.inputs[side].schema(), column),
            _ => None,
        };
        let of_time = time.and_then(|time| attributes.get(time).copied().flatten());
        let of = |(index, attribute): (usize, &Option<TimeAttribute>)| {
            let (attribute, of_time) = (*attribute).zip(of_time)?;
            let bound = if Some(index) == time {
                Some(TimeBound::EVENT)
            } else {
                attribute.beside(of_time).bound.filter(|_| attribute.is_of_window())
            };
            let bound = Some(bound?.later_by(behind));
            Some(TimeAttribute { bound, lateness_us: 0, ..attribute })
        };
        attributes.iter().enumerate().map(of).collect()
    }
}

impl IntervalJoinNode {
    /// Left and right columns in words: which side one is of shows, also where a table is joined with itself.
    fn canonical_columns(inputs: &[Canonical; 2]) -> Vec<String> {
        let sides = ["left", "right"].into_iter().zip(inputs);
        sides
            .flat_map(|(side, input)| input.columns.iter().map(move |column| format!("{side} {column}")))
            .collect()
    }

    fn canonical_inputs(&self, words: &Words<'_>) -> std::result::Result<[Canonical; 2], StreamError> {
        let [left, right] = &self.inputs;
        Ok([words.of(left)?, words.of(right)?])
    }

    /// What its state is known by: the rows of both sides, and which of them have met a partner.
    fn identity(&self, inputs: &[Canonical; 2]) -> std::result::Result<Identity, StreamError> {
        let [left, right] =
            [0, 1].map(|side| Columns::new(self.inputs[side].schema(), &inputs[side].columns));
        let (lower, upper) = self.interval_us;
        let keys = self.on.iter().map(|(a, b)| Ok(format!("{} = {}", left.text(a)?, right.text(b)?)));
        let both = |of: &dyn Fn(usize) -> String| [of(0), of(1)].join("; ");
        let times = [left.text(&self.times[0])?, right.text(&self.times[1])?];
        let mut details = vec![
            ("time", both(&|side| format!("{} by {}", times[side], bound_text(self.bounds[side])))),
            ("interval", format!("{} to {}", interval_text(lower), interval_text(upper))),
            ("key", keys.collect::<Result<Vec<_>>>()?.join(", ")),
            ("join", format!("{:?}", self.kind).to_lowercase()),
            ("keeps", both(&|side| inputs[side].columns.join(", "))),
            ("rows", both(&|side| inputs[side].relation())),
            ("columns", both(&|side| inputs[side].read())),
            ("state", both(&|side| schema_text(self.inputs[side].schema().as_arrow()))),
        ];
        if let Some(filter) = &self.filter {
            let (schema, columns) = (self.pairs()?, Self::canonical_columns(inputs));
            details.push(("where", Columns::new(&schema, &columns).text(filter)?));
        }
        Ok(Identity::new("interval join", details))
    }
}

impl UserDefinedLogicalNodeCore for IntervalJoinNode {
    fn name(&self) -> &str {
        "IntervalJoin"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        self.inputs.iter().collect()
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        let keys = self.on.iter().flat_map(|(left, right)| [left.clone(), right.clone()]);
        self.times.iter().cloned().chain(keys).chain(self.filter.clone()).collect()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [left, right] = &self.times;
        write!(f, "IntervalJoin: {:?}, {right} - {left} in {:?}", self.kind, self.interval_us)
    }

    fn with_exprs_and_inputs(&self, exprs: Vec<Expr>, inputs: Vec<LogicalPlan>) -> Result<Self> {
        let Ok(inputs) = <[LogicalPlan; 2]>::try_from(inputs) else {
            return internal_err!("an interval join lost an input");
        };
        let mut exprs = exprs.into_iter();
        let mut next = || exprs.next();
        let (Some(left), Some(right)) = (next(), next()) else {
            return internal_err!("an interval join lost its times");
        };
        let mut on = Vec::with_capacity(self.on.len());
        for _ in &self.on {
            match (next(), next()) {
                (Some(left), Some(right)) => on.push((left, right)),
                _ => return internal_err!("an interval join lost a key"),
            }
        }
        let schema = Self::schema_over(&inputs, self.kind)?;
        Ok(IntervalJoinNode { times: [left, right], on, filter: next(), inputs, schema, ..self.clone() })
    }

    fn necessary_children_exprs(&self, columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        let [left, right] = self.inputs.each_ref().map(|input| input.schema());
        let width = left.fields().len();
        let mut needed: [Vec<usize>; 2] = [Vec::new(), Vec::new()];
        for column in columns {
            match column.checked_sub(width) {
                Some(of_right) => needed[1].push(of_right),
                None => needed[0].push(*column),
            }
        }
        let own = self.expressions();
        for column in own.iter().flat_map(Expr::column_refs) {
            // A name that both sides have is qualified, or the condition would not have been understood.
            match (left.maybe_index_of_column(column), right.maybe_index_of_column(column)) {
                (Some(index), _) => needed[0].push(index),
                (None, Some(index)) => needed[1].push(index),
                (None, None) => return None,
            }
        }
        for needed in &mut needed {
            needed.sort_unstable();
            needed.dedup();
        }
        Some(needed.into())
    }
}

impl StreamingNode for IntervalJoinNode {
    fn attributes(&self, inputs: &[Attributes]) -> Attributes {
        let [left, right] = inputs else { return vec![None; self.schema.fields().len()] };
        let (left, right) = (self.of_side(0, left), self.of_side(1, right));
        // The columns of a side that may be missing are NULL then.
        let nothing = |side: Attributes| vec![None; side.len()];
        match self.kind {
            JoinKind::Inner => [left, right].concat(),
            JoinKind::Left => [left, nothing(right)].concat(),
            JoinKind::Right => [nothing(left), right].concat(),
            JoinKind::Full => [nothing(left), nothing(right)].concat(),
            JoinKind::Semi | JoinKind::Anti => left,
        }
    }

    fn canonical(&self, words: &Words<'_>) -> std::result::Result<Canonical, StreamError> {
        let inputs = self.canonical_inputs(words)?;
        let identity = self.identity(&inputs)?;
        let mut columns = Self::canonical_columns(&inputs);
        columns.truncate(self.schema.fields().len());
        Ok(Canonical::behind(&identity, columns))
    }

    fn lower(
        &self,
        graph: &mut dyn Lowering,
        physical: &Physical<'_>,
        _: bool,
    ) -> std::result::Result<Stream, StreamError> {
        let (mut nodes, mut sides) = (Vec::new(), Vec::new());
        for (side, input) in self.inputs.iter().enumerate() {
            let schema = input.schema();
            let time = match &self.times[side] {
                Expr::Column(column) => index_of(schema, column),
                _ => None,
            };
            let time = time.ok_or_else(|| StreamError::internal("an interval join lost a time"))?;
            // The starts of sessions below must be promised.
            let mut stream = graph.stream(physical, input, true)?;
            let bound = self.bounds[side];
            if self.are_events[side] {
                stream.judge(&Step::OnTime { time: physical.expr(&self.times[side], schema)?, bound });
            }
            nodes.push(graph.node_of(stream, schema_of(input)));
            let (mut keys, mut key_types) = (Vec::new(), Vec::new());
            for (left, right) in &self.on {
                let key = if side == 0 { left } else { right };
                keys.push(physical.key(key, schema)?);
                key_types.push(key.get_type(schema)?);
            }
            sides.push(SideSpec { schema: schema_of(input), keys, key_types, time, bound });
        }
        let Ok(sides) = <[SideSpec; 2]>::try_from(sides) else {
            return Err(StreamError::internal("an interval join has no two sides"));
        };
        if sides[0].key_types != sides[1].key_types {
            return Err(StreamError::internal("the keys of an interval join differ in type"));
        }
        let pairs = self.pairs()?;
        let filter = self.filter.as_ref().map(|filter| physical.expr(filter, &pairs)).transpose()?;
        let spec = IntervalJoinSpec {
            sides,
            lower_us: self.interval_us.0,
            upper_us: self.interval_us.1,
            filter,
            pairs: Arc::clone(pairs.inner()),
            kind: self.kind,
            schema: Arc::clone(self.schema.inner()),
        };
        let identity = self.identity(&self.canonical_inputs(&graph.words(physical))?)?;
        Ok(Stream::of(graph.add_stateful(OperatorPlan::IntervalJoin(Arc::new(spec)), &nodes, identity)))
    }
}
