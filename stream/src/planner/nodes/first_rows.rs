//! The first rows of a stream: `LIMIT`, `OFFSET`.

use std::{fmt, sync::Arc};

use datafusion::{
    common::{DFSchemaRef, Result, internal_err},
    logical_expr::{Expr, LogicalPlan, UserDefinedLogicalNodeCore},
};

use crate::{
    error::StreamError,
    operator::first_rows::FirstRowsSpec,
    planner::{
        OperatorPlan,
        attributes::Attributes,
        canonical::{Canonical, Words},
        identity::Identity,
        node::{Lowering, Stream, StreamingNode, schema_of},
        physical::Physical,
    },
};

/// The first rows. Its schema is the input's.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct FirstRowsNode {
    /// The rows.
    pub(crate) input: LogicalPlan,
    /// Rows that are left out before.
    pub(crate) skip: usize,
    /// How many are wanted; `None` for all.
    pub(crate) fetch: Option<usize>,
}

impl UserDefinedLogicalNodeCore for FirstRowsNode {
    fn name(&self) -> &str {
        "FirstRows"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        self.input.schema()
    }

    fn expressions(&self) -> Vec<Expr> {
        Vec::new()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FirstRows: skip={}, fetch={:?}", self.skip, self.fetch)
    }

    fn with_exprs_and_inputs(&self, _: Vec<Expr>, mut inputs: Vec<LogicalPlan>) -> Result<Self> {
        match inputs.pop() {
            Some(input) => Ok(FirstRowsNode { input, ..self.clone() }),
            None => internal_err!("the first rows lost their input"),
        }
    }

    fn necessary_children_exprs(&self, columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        Some(vec![columns.to_vec()])
    }
}

impl FirstRowsNode {
    /// What its state is known by.
    fn identity(&self, input: &Canonical) -> Identity {
        let wanted = match self.fetch {
            Some(fetch) => format!("{fetch} after {}", self.skip),
            None => format!("all after {}", self.skip),
        };
        Identity::new(
            "first rows",
            [("wanted", wanted), ("rows", input.relation()), ("columns", input.read())],
        )
    }
}

impl StreamingNode for FirstRowsNode {
    /// None: late rows are among the first as well.
    fn attributes(&self, _: &[Attributes]) -> Attributes {
        vec![None; self.schema().fields().len()]
    }

    fn canonical(&self, words: &Words<'_>) -> std::result::Result<Canonical, StreamError> {
        let input = words.of(&self.input)?;
        Ok(Canonical::behind(&self.identity(&input), input.columns))
    }

    fn lower(
        &self,
        graph: &mut dyn Lowering,
        physical: &Physical<'_>,
        _: bool,
    ) -> std::result::Result<Stream, StreamError> {
        let input = graph.stream(physical, &self.input, true)?;
        let schema = schema_of(&self.input);
        let input = graph.node_of(input, Arc::clone(&schema));
        let spec = FirstRowsSpec { skip: self.skip, fetch: self.fetch, schema };
        let identity = self.identity(&graph.words(physical).of(&self.input)?);
        Ok(Stream::of(graph.add_stateful(OperatorPlan::FirstRows(spec), &[input], identity)))
    }
}
