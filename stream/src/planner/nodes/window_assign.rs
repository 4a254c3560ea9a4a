//! Rows with the columns of the windows that they belong to: what a window table function gives.

use std::{fmt, sync::Arc};

use arrow::datatypes::{Field, Schema};
use datafusion::{
    common::{Column, DFSchema, DFSchemaRef, Result, TableReference, internal_err},
    functions::core::expr_fn::named_struct,
    functions_aggregate::expr_fn::array_agg,
    logical_expr::{Expr, ExprSchemable, LogicalPlan, UserDefinedLogicalNodeCore, lit},
    physical_expr::expressions::Column as PhysicalColumn,
};

use super::needed_of;
use crate::{
    error::StreamError,
    operator::{
        Clock, TimeBound,
        aggregate::Aggregation,
        assign::{Assign, AssignColumn},
        step::Step,
        unnest::{Unnest, UnnestColumn},
        window_aggregate::{GroupColumn, WindowAggregateSpec},
    },
    planner::{
        OperatorPlan,
        attributes::{Attributes, Role, TimeAttribute},
        canonical::{Canonical, Columns, Windowed, Words},
        identity::Identity,
        node::{Lowering, Stream, StreamingNode},
        physical::Physical,
        words::{interval_text, window_text},
    },
    table::timestamp_type,
    window::WindowSpec,
};

/// The columns that come behind the input's: start, end and last millisecond. No script can name them; the subquery
/// that stands for the window function gives them their names.
pub(crate) const WINDOW_COLUMNS: [(&str, Role, AssignColumn); 3] = [
    ("__window_start", Role::Start, AssignColumn::Start),
    ("__window_end", Role::End, AssignColumn::End),
    ("__window_time", Role::Time, AssignColumn::Time),
];

/// Assigns rows to windows. Its schema is the input's, and the [`WINDOW_COLUMNS`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct WindowAssignNode {
    /// The rows.
    pub(crate) input: LogicalPlan,
    /// The window.
    pub(crate) window: WindowSpec,
    /// The event time of a row, a column.
    pub(crate) time: Expr,
    /// What is promised about it.
    pub(crate) bound: TimeBound,
    /// How long windows take rows after the watermark passed their end.
    pub(crate) lateness_us: i64,
    /// Columns whose values have sessions of their own.
    pub(crate) partition_by: Vec<Expr>,
    /// The schema.
    pub(crate) schema: DFSchemaRef,
}

impl WindowAssignNode {
    /// The schema over an input's.
    pub(crate) fn schema_over(input: &DFSchema) -> Result<DFSchemaRef> {
        let mut fields: Vec<(Option<TableReference>, Arc<Field>)> =
            input.iter().map(|(qualifier, field)| (qualifier.cloned(), Arc::clone(field))).collect();
        for (name, ..) in WINDOW_COLUMNS {
            fields.push((None, Arc::new(Field::new(name, timestamp_type(), false))));
        }
        Ok(Arc::new(DFSchema::new_with_metadata(fields, input.metadata().clone())?))
    }

    /// Which session a row belongs to is known when the session is over: an aggregate by session gathers its rows, and
    /// they come out with the session's bounds.
    fn lower_session(
        &self,
        graph: &mut dyn Lowering,
        physical: &Physical<'_>,
        knows_starts: bool,
    ) -> std::result::Result<Stream, StreamError> {
        let spec = self.session_spec(physical, knows_starts)?;
        let identity = self.session_identity(physical, &graph.words(physical).of(&self.input)?)?;
        let list = spec.group_columns.len();
        let sessions = graph.window(physical, &self.input, Arc::new(spec), identity)?;
        let schema = Arc::clone(self.schema.inner());
        let members = (0..self.input.schema().fields().len()).map(UnnestColumn::Member);
        let steps = vec![Step::Unnest(Unnest {
            list: Arc::new(PhysicalColumn::new("rows", list)),
            keeps_empty: false,
            columns: members.chain((0..list).map(UnnestColumn::Input)).collect(),
            schema: Arc::clone(&schema),
        })];
        Ok(Stream::of(graph.add(OperatorPlan::Steps { steps, schema }, &[sessions])))
    }

    /// A row of the input as one value, all of a session's in a list.
    fn rows_of_session(&self) -> Expr {
        let columns = self.input.schema().columns().into_iter().enumerate();
        let members = columns.flat_map(|(index, column)| [lit(format!("c{index}")), Expr::Column(column)]);
        array_agg(named_struct(members.collect()))
    }

    fn session_spec(
        &self,
        physical: &Physical<'_>,
        knows_starts: bool,
    ) -> std::result::Result<WindowAggregateSpec, StreamError> {
        let input = self.input.schema();
        let (aggregate, filter) = physical.aggregate(&self.rows_of_session(), input, "rows")?;
        let mut fields: Vec<Arc<Field>> = WINDOW_COLUMNS
            .iter()
            .map(|(name, ..)| Arc::new(Field::new(*name, timestamp_type(), false)))
            .collect();
        fields.push(aggregate.field());
        let keys = self.partition_by.iter().enumerate().map(|(index, key)| {
            let field = Field::new(format!("k{index}"), key.get_type(input)?, true);
            Ok((physical.key(key, input)?, Arc::new(field)))
        });
        let keys = keys.collect::<std::result::Result<Vec<_>, StreamError>>()?;
        Ok(WindowAggregateSpec {
            window: self.window,
            lateness_us: self.lateness_us,
            time: physical.expr(&self.time, input)?,
            bound: self.bound,
            aggregation: Aggregation::new(keys, vec![(aggregate, filter)], input.as_arrow())?,
            group_columns: vec![GroupColumn::WindowStart, GroupColumn::WindowEnd, GroupColumn::WindowTime],
            schema: Arc::new(Schema::new(fields)),
            knows_starts,
        })
    }

    /// What the state of a session's rows is known by.
    fn session_identity(
        &self,
        physical: &Physical<'_>,
        input: &Canonical,
    ) -> std::result::Result<Identity, StreamError> {
        let spec = self.session_spec(physical, false)?;
        let windowed = Windowed {
            kind: "rows of sessions",
            window: Some(self.window),
            lateness_us: self.lateness_us,
            time: &self.time,
            bound: self.bound,
            keys: &self.partition_by,
            aggregates: &[self.rows_of_session()],
            state: spec.aggregation.state_schema(),
        };
        Ok(windowed.identity(input, self.input.schema())?)
    }

    /// The column of a role.
    pub(crate) fn column(role: Role) -> Option<Expr> {
        let (name, ..) = WINDOW_COLUMNS.iter().find(|(_, of, _)| *of == role)?;
        Some(Expr::Column(Column::from_name(*name)))
    }
}

impl UserDefinedLogicalNodeCore for WindowAssignNode {
    fn name(&self) -> &str {
        "WindowAssign"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        std::iter::once(self.time.clone()).chain(self.partition_by.iter().cloned()).collect()
    }

    fn prevent_predicate_push_down_columns(&self) -> std::collections::HashSet<String> {
        let of_window = WINDOW_COLUMNS.iter().map(|(name, ..)| (*name).to_owned());
        if !matches!(self.window, WindowSpec::Session { .. }) {
            return of_window.collect();
        }
        // A row that is filtered out still belongs to its session, and makes it longer.
        let keys: Vec<&Expr> = self.partition_by.iter().collect();
        let is_key = |name: &str| keys.iter().any(|key| matches!(key, Expr::Column(c) if c.name == name));
        let others = self.input.schema().fields().iter().map(|field| field.name().clone());
        of_window.chain(others.filter(|name| !is_key(name))).collect()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WindowAssign: {:?}, time=[{}]", self.window, self.time)
    }

    fn with_exprs_and_inputs(&self, exprs: Vec<Expr>, mut inputs: Vec<LogicalPlan>) -> Result<Self> {
        let (mut exprs, input) = (exprs.into_iter(), inputs.pop());
        let (Some(time), Some(input)) = (exprs.next(), input) else {
            return internal_err!("a window lost its time or its input");
        };
        let schema = Self::schema_over(input.schema())?;
        Ok(WindowAssignNode { input, time, partition_by: exprs.collect(), schema, ..self.clone() })
    }

    fn necessary_children_exprs(&self, columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        Some(vec![needed_of(self.input.schema(), &self.expressions(), columns)])
    }
}

impl StreamingNode for WindowAssignNode {
    fn attributes(&self, inputs: &[Attributes]) -> Attributes {
        let mut attributes = inputs.first().cloned().unwrap_or_default();
        if matches!(self.window, WindowSpec::Session { .. }) {
            // Rows come when their session is over: long after the promise that was made for them.
            for attribute in attributes.iter_mut().flatten() {
                attribute.bound = None;
            }
            attributes.extend(WINDOW_COLUMNS.iter().map(|(_, role, _)| {
                let of_window = TimeAttribute::of_window(*role, self.window, TimeBound::EVENT);
                let starts = TimeBound { clock: Clock::Starts, slack_us: 0 };
                Some(TimeAttribute { bound: of_window.bound.or(Some(starts)), ..of_window })
            }));
            return attributes;
        }
        // A row goes into windows that end after its time, and a late one into those that still take it.
        let ends = self.bound.later_by(self.lateness_us).later_by(-1);
        attributes.extend(
            WINDOW_COLUMNS
                .iter()
                .map(|(_, role, _)| Some(TimeAttribute::of_window(*role, self.window, ends))),
        );
        attributes
    }

    fn canonical(&self, words: &Words<'_>) -> std::result::Result<Canonical, StreamError> {
        let input = words.of(&self.input)?;
        let names = WINDOW_COLUMNS.iter().map(|(name, ..)| (*name).to_owned());
        if matches!(self.window, WindowSpec::Session { .. }) {
            let identity = self.session_identity(words.physical, &input)?;
            return Ok(Canonical::behind(&identity, input.columns.into_iter().chain(names)));
        }
        let time = Columns::new(self.input.schema(), &input.columns).text(&self.time)?;
        let rows = format!(
            "{} in windows ({}) by {time}, {} late",
            input.relation(),
            window_text(self.window),
            interval_text(self.lateness_us)
        );
        Ok(input.made_into(rows, names))
    }

    fn lower(
        &self,
        graph: &mut dyn Lowering,
        physical: &Physical<'_>,
        knows_starts: bool,
    ) -> std::result::Result<Stream, StreamError> {
        if matches!(self.window, WindowSpec::Session { .. }) {
            return self.lower_session(graph, physical, knows_starts);
        }
        let width = self.input.schema().fields().len();
        let mut columns: Vec<AssignColumn> = (0..width).map(AssignColumn::Input).collect();
        columns.extend(WINDOW_COLUMNS.iter().map(|(.., column)| *column));
        let schema = Arc::clone(self.schema.inner());
        let step = Step::Assign(Assign {
            window: self.window,
            lateness_us: self.lateness_us,
            time: physical.expr(&self.time, self.input.schema())?,
            bound: self.bound,
            columns,
            schema: Arc::clone(&schema),
        });
        graph.step(physical, &self.input, step, schema, knows_starts)
    }
}
