//! `GROUP BY` a window and keys.
//!
//! Of two kinds. *Fused*: the rows come as they are and the operator makes the windows of their event time, in panes or
//! sessions. *Attached*: the rows carry columns of a window already, since an operator below has put them there, and
//! are grouped by the values of these columns; a group is over when no more rows with its window can come. Every group
//! column is then a key, and the window is one microsecond of the column that bounds the group.

use std::{fmt, sync::Arc};

use datafusion::{
    common::{DFSchemaRef, Result, internal_err},
    logical_expr::{Expr, LogicalPlan, UserDefinedLogicalNodeCore},
};

use super::needed_of;
use crate::{
    error::StreamError,
    operator::{
        Clock, TimeBound,
        aggregate::Aggregation,
        window_aggregate::{GroupColumn, WindowAggregateSpec},
    },
    planner::{
        attributes::{Attributes, Role, TimeAttribute, of_expr},
        canonical::{Canonical, Columns, Windowed, Words},
        identity::Identity,
        node::{Lowering, Stream, StreamingNode, WholeBy},
        physical::Physical,
    },
    window::WindowSpec,
};

/// `GROUP BY` a window and keys. Its schema is that of the aggregate that it replaces.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct WindowAggregateNode {
    /// The rows that are aggregated.
    pub(crate) input: LogicalPlan,
    /// The window.
    pub(crate) window: WindowSpec,
    /// How long windows take rows after the watermark passed their end.
    pub(crate) lateness_us: i64,
    /// Event time of a row.
    pub(crate) time: Expr,
    /// What is promised about it.
    pub(crate) bound: TimeBound,
    /// Columns in front of the aggregates.
    pub(crate) group_columns: Vec<GroupColumn>,
    /// Group keys.
    pub(crate) keys: Vec<Expr>,
    /// Aggregates.
    pub(crate) aggregates: Vec<Expr>,
    /// Group columns, then aggregates.
    pub(crate) schema: DFSchemaRef,
}

impl UserDefinedLogicalNodeCore for WindowAggregateNode {
    fn name(&self) -> &str {
        "WindowAggregate"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        let time = std::iter::once(self.time.clone());
        time.chain(self.keys.iter().cloned()).chain(self.aggregates.iter().cloned()).collect()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |exprs: &[Expr]| exprs.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        write!(f, "WindowAggregate: {:?}, time=[{}]", self.window, self.time)?;
        write!(f, ", keys=[{}], aggregates=[{}]", list(&self.keys), list(&self.aggregates))
    }

    fn with_exprs_and_inputs(&self, exprs: Vec<Expr>, mut inputs: Vec<LogicalPlan>) -> Result<Self> {
        let (mut exprs, input) = (exprs.into_iter(), inputs.pop());
        let (Some(time), Some(input)) = (exprs.next(), input) else {
            return internal_err!("a window aggregate lost its time or its input");
        };
        let keys: Vec<Expr> = exprs.by_ref().take(self.keys.len()).collect();
        Ok(WindowAggregateNode { input, time, keys, aggregates: exprs.collect(), ..self.clone() })
    }

    fn necessary_children_exprs(&self, _: &[usize]) -> Option<Vec<Vec<usize>>> {
        Some(vec![needed_of(self.input.schema(), &self.expressions(), &[])])
    }
}

impl WindowAggregateNode {
    fn spec(
        &self,
        physical: &Physical<'_>,
        knows_starts: bool,
    ) -> std::result::Result<WindowAggregateSpec, StreamError> {
        let input = self.input.schema();
        let fields = self.schema.fields();
        let mut keys = Vec::new();
        for (column, field) in self.group_columns.iter().zip(fields) {
            if let GroupColumn::Key(index) = column {
                keys.push((physical.key(&self.keys[*index], input)?, Arc::clone(field)));
            }
        }
        let mut aggregates = Vec::new();
        for (expr, field) in self.aggregates.iter().zip(fields.iter().skip(self.group_columns.len())) {
            aggregates.push(physical.aggregate(expr, input, field.name())?);
        }
        Ok(WindowAggregateSpec {
            window: self.window,
            lateness_us: self.lateness_us,
            time: physical.expr(&self.time, input)?,
            bound: self.bound,
            aggregation: Aggregation::new(keys, aggregates, input.as_arrow())?,
            group_columns: self.group_columns.clone(),
            schema: Arc::clone(self.schema.inner()),
            knows_starts,
        })
    }

    /// Rows are grouped by a window that they carry.
    fn is_attached(&self) -> bool {
        self.group_columns.iter().all(|column| matches!(column, GroupColumn::Key(_)))
    }

    /// The attribute of a key of an attached window. The bounding column is passed by the watermark once all its rows
    /// are out.
    fn key_attribute(
        &self,
        key: Option<TimeAttribute>,
        bounding: Option<TimeAttribute>,
    ) -> Option<TimeAttribute> {
        let key = key.filter(|key| key.is_of_window())?;
        if Some(key) == bounding {
            return Some(TimeAttribute { bound: Some(TimeBound::EVENT), lateness_us: 0, ..key });
        }
        Some(key.beside(bounding?))
    }
}

impl WindowAggregateNode {
    /// What its state is known by.
    fn identity(
        &self,
        physical: &Physical<'_>,
        input: &Canonical,
    ) -> std::result::Result<Identity, StreamError> {
        let spec = self.spec(physical, false)?;
        let windowed = Windowed {
            kind: "window aggregate",
            window: (!self.is_attached()).then_some(self.window),
            lateness_us: self.lateness_us,
            time: &self.time,
            bound: self.bound,
            keys: &self.keys_of_state(),
            aggregates: &self.aggregates,
            state: spec.aggregation.state_schema(),
        };
        Ok(windowed.identity(input, self.input.schema())?)
    }

    /// The keys in the order of the columns.
    fn keys_of_state(&self) -> Vec<Expr> {
        let keys = self.group_columns.iter().filter_map(|column| match column {
            GroupColumn::Key(key) => self.keys.get(*key).cloned(),
            _ => None,
        });
        keys.collect()
    }
}

impl StreamingNode for WindowAggregateNode {
    fn attributes(&self, inputs: &[Attributes]) -> Attributes {
        let schema = self.input.schema();
        let input = inputs.first().map(Vec::as_slice).unwrap_or_default();
        // No window that is written ends at the watermark or before it; a session may end right at it.
        let ends = match self.window {
            WindowSpec::Fixed(_) => TimeBound::EVENT.later_by(-1),
            WindowSpec::Session { .. } => TimeBound::EVENT,
        };
        let bounding = of_expr(&self.time, schema, input);
        let of = |column: &GroupColumn| match column {
            GroupColumn::WindowStart => Some(TimeAttribute {
                bound: Some(TimeBound { clock: Clock::Starts, slack_us: 0 }),
                ..TimeAttribute::of_window(Role::Start, self.window, ends)
            }),
            GroupColumn::WindowEnd => Some(TimeAttribute::of_window(Role::End, self.window, ends)),
            GroupColumn::WindowTime => Some(TimeAttribute::of_window(Role::Time, self.window, ends)),
            GroupColumn::Window => Some(TimeAttribute::of_window(Role::Window, self.window, ends)),
            GroupColumn::Key(key) if self.is_attached() => {
                self.key_attribute(of_expr(&self.keys[*key], schema, input), bounding)
            }
            GroupColumn::Key(_) => None,
        };
        let aggregates = std::iter::repeat_n(None, self.aggregates.len());
        self.group_columns.iter().map(of).chain(aggregates).collect()
    }

    fn whole_by(&self, column: usize) -> WholeBy {
        let is_whole = match self.group_columns.get(column) {
            // Sessions are shown one by one as they change, also those that end together.
            _ if matches!(self.window, WindowSpec::Session { .. }) => false,
            Some(GroupColumn::WindowEnd | GroupColumn::WindowTime) => true,
            // Cumulating windows that start together are written one after another, too.
            Some(GroupColumn::WindowStart) => {
                matches!(self.window, WindowSpec::Fixed(window) if !window.cumulates)
            }
            Some(GroupColumn::Key(key)) => self.is_attached() && self.keys[*key] == self.time,
            Some(GroupColumn::Window) | None => false,
        };
        if is_whole { WholeBy::Always } else { WholeBy::Never }
    }

    fn canonical(&self, words: &Words<'_>) -> std::result::Result<Canonical, StreamError> {
        let input = words.of(&self.input)?;
        let identity = self.identity(words.physical, &input)?;
        let texts = Columns::new(self.input.schema(), &input.columns);
        let of = |column: &GroupColumn| match column {
            GroupColumn::WindowStart => Ok("window_start".to_owned()),
            GroupColumn::WindowEnd => Ok("window_end".to_owned()),
            GroupColumn::WindowTime => Ok("window_time".to_owned()),
            GroupColumn::Window => Ok("window".to_owned()),
            GroupColumn::Key(key) => texts.text(&self.keys[*key]),
        };
        let groups = self.group_columns.iter().map(of);
        let columns = groups.chain(self.aggregates.iter().map(|aggregate| texts.text(aggregate)));
        Ok(Canonical::behind(&identity, columns.collect::<Result<Vec<_>>>()?))
    }

    fn lower(
        &self,
        graph: &mut dyn Lowering,
        physical: &Physical<'_>,
        knows_starts: bool,
    ) -> std::result::Result<Stream, StreamError> {
        let spec = Arc::new(self.spec(physical, knows_starts)?);
        let identity = self.identity(physical, &graph.words(physical).of(&self.input)?)?;
        Ok(Stream::of(graph.window(physical, &self.input, spec, identity)?))
    }
}
