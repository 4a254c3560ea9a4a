//! Rows in the order of their time, numbered or not.

use std::{fmt, sync::Arc};

use datafusion::{
    common::{DFSchemaRef, Result, internal_err},
    logical_expr::{Expr, ExprSchemable, LogicalPlan, SortExpr, UserDefinedLogicalNodeCore},
};

use crate::{
    error::StreamError,
    operator::{TimeBound, step::Step, time_order::TimeOrderSpec},
    planner::{
        OperatorPlan,
        attributes::{Attributes, TimeAttribute},
        canonical::{Canonical, Columns, Words, schema_text},
        identity::Identity,
        node::{Lowering, Stream, StreamingNode, schema_of},
        physical::Physical,
        words::bound_text,
    },
};

/// Rows in the order of their time. Its schema is the input's and, where they are numbered, the number.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct TimeOrderNode {
    /// The rows.
    pub(crate) input: LogicalPlan,
    /// The column of their time.
    pub(crate) time: usize,
    /// What is promised about it, allowed lateness included.
    pub(crate) bound: TimeBound,
    /// Whether it is event time, so that rows from a source may be late; rows are not late for a window's column.
    pub(crate) is_event: bool,
    /// `ORDER BY`, the time first.
    pub(crate) order_by: Vec<SortExpr>,
    /// The keys that are numbered apart; `None` where rows are not numbered.
    pub(crate) number_by: Option<Vec<Expr>>,
    /// The schema.
    pub(crate) schema: DFSchemaRef,
}

impl UserDefinedLogicalNodeCore for TimeOrderNode {
    fn name(&self) -> &str {
        "TimeOrder"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        let order_by = self.order_by.iter().map(|sort| sort.expr.clone());
        order_by.chain(self.number_by.iter().flatten().cloned()).collect()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let order: Vec<String> = self.order_by.iter().map(ToString::to_string).collect();
        write!(f, "TimeOrder: order_by=[{}], numbered={}", order.join(", "), self.number_by.is_some())
    }

    fn with_exprs_and_inputs(&self, exprs: Vec<Expr>, mut inputs: Vec<LogicalPlan>) -> Result<Self> {
        let Some(input) = inputs.pop() else { return internal_err!("an order of rows lost its input") };
        let mut exprs = exprs.into_iter();
        let order_by = self.order_by.iter().zip(exprs.by_ref()).map(|(sort, expr)| sort.with_expr(expr));
        let order_by = order_by.collect();
        let number_by = self.number_by.as_ref().map(|keys| exprs.take(keys.len()).collect());
        Ok(TimeOrderNode { input, order_by, number_by, ..self.clone() })
    }

    fn necessary_children_exprs(&self, _: &[usize]) -> Option<Vec<Vec<usize>>> {
        Some(vec![(0..self.input.schema().fields().len()).collect()])
    }
}

impl TimeOrderNode {
    /// What its state is known by.
    fn identity(&self, input: &Canonical) -> std::result::Result<Identity, StreamError> {
        let columns = Columns::new(self.input.schema(), &input.columns);
        let order = self.order_by.iter().map(|sort| {
            let direction = if sort.asc { "ascending" } else { "descending" };
            let nulls = if sort.nulls_first { "nulls first" } else { "nulls last" };
            Ok(format!("{} {direction}, {nulls}", columns.text(&sort.expr)?))
        });
        let mut details = vec![
            ("time", bound_text(self.bound)),
            ("order", order.collect::<Result<Vec<_>>>()?.join("; ")),
            ("keeps", input.columns.join(", ")),
            ("rows", input.relation()),
            ("columns", input.read()),
            ("state", schema_text(self.input.schema().as_arrow())),
        ];
        if let Some(keys) = &self.number_by {
            details.push(("numbered by", columns.list(keys)?));
        }
        Ok(Identity::new("order of time", details))
    }
}

impl StreamingNode for TimeOrderNode {
    fn attributes(&self, inputs: &[Attributes]) -> Attributes {
        let input = inputs.first().cloned().unwrap_or_default();
        let of_time = input.get(self.time).copied().flatten();
        let of = |(index, attribute): (usize, &Option<TimeAttribute>)| {
            let attribute = (*attribute)?;
            if index == self.time {
                return Some(TimeAttribute { bound: Some(TimeBound::EVENT), lateness_us: 0, ..attribute });
            }
            Some(attribute).filter(|attribute| attribute.is_of_window())?.beside(of_time?).into()
        };
        let mut attributes: Attributes = input.iter().enumerate().map(of).collect();
        attributes.resize(self.schema.fields().len(), None);
        attributes
    }

    fn canonical(&self, words: &Words<'_>) -> std::result::Result<Canonical, StreamError> {
        let input = words.of(&self.input)?;
        let identity = self.identity(&input)?;
        let number = self.number_by.as_ref().map(|_| "number".to_owned());
        Ok(Canonical::behind(&identity, input.columns.into_iter().chain(number)))
    }

    fn lower(
        &self,
        graph: &mut dyn Lowering,
        physical: &Physical<'_>,
        _: bool,
    ) -> std::result::Result<Stream, StreamError> {
        let schema = self.input.schema();
        let time = Expr::Column(schema.qualified_field(self.time).into());
        // The starts of sessions below must be promised.
        let mut stream = graph.stream(physical, &self.input, true)?;
        if self.is_event {
            stream.judge(&Step::OnTime { time: physical.expr(&time, schema)?, bound: self.bound });
        }
        let input = graph.node_of(stream, schema_of(&self.input));
        let number_by = self.number_by.as_ref().map(|keys| {
            let keys = keys.iter().map(|key| Ok((physical.key(key, schema)?, key.get_type(schema)?)));
            keys.collect::<std::result::Result<Vec<_>, StreamError>>()
        });
        let spec = TimeOrderSpec {
            input: schema_of(&self.input),
            time: self.time,
            bound: self.bound,
            order_by: physical.order_by(&self.order_by, schema)?,
            number_by: number_by.transpose()?,
            schema: Arc::clone(self.schema.inner()),
        };
        let identity = self.identity(&graph.words(physical).of(&self.input)?)?;
        Ok(Stream::of(graph.add_stateful(OperatorPlan::TimeOrder(Arc::new(spec)), &[input], identity)))
    }
}
