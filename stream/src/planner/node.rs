//! What the planner asks of a streaming node, and what a node may ask of the graph that it becomes a part of.
//!
//! The nodes are in [`nodes`](super::nodes), the graph in [`graph`](super::graph); neither knows the other.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::logical_expr::LogicalPlan;

use super::{
    OperatorPlan,
    attributes::Attributes,
    canonical::{Canonical, Words},
    identity::Identity,
    physical::Physical,
};
use crate::{
    error::StreamError,
    operator::{step::Step, window_aggregate::WindowAggregateSpec},
};

/// A node of a logical plan that the engine has operators for.
pub(crate) trait StreamingNode {
    /// The time attributes of its columns, given those of its inputs.
    fn attributes(&self, inputs: &[Attributes]) -> Attributes;

    /// Whether all rows with one value of this column come in one batch, final ones and provisional ones.
    fn whole_by(&self, column: usize) -> WholeBy {
        let _ = column;
        WholeBy::Never
    }

    /// Its rows in words.
    fn canonical(&self, words: &Words<'_>) -> Result<Canonical, StreamError>;

    /// Its operators in the graph. With `knows_starts`, something behind it may wait for the starts of
    /// windows, so that they must be promised.
    fn lower(
        &self,
        graph: &mut dyn Lowering,
        physical: &Physical<'_>,
        knows_starts: bool,
    ) -> Result<Stream, StreamError>;
}

/// Whether all rows with one value of a column come in one batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum WholeBy {
    /// They do.
    Always,
    /// They may not.
    Never,
    /// They do if they come so by this column of the node's only input.
    Input(usize),
}

/// The graph, while it is built.
pub(crate) trait Lowering {
    /// What a plan becomes.
    fn stream(
        &mut self,
        physical: &Physical<'_>,
        plan: &LogicalPlan,
        knows_starts: bool,
    ) -> Result<Stream, StreamError>;

    /// A stateless step behind what `input` becomes.
    fn step(
        &mut self,
        physical: &Physical<'_>,
        input: &LogicalPlan,
        step: Step,
        schema: SchemaRef,
        knows_starts: bool,
    ) -> Result<Stream, StreamError>;

    /// A windowed aggregation over a plan, its first phase on the threads that read where rows come straight from there.
    fn window(
        &mut self,
        physical: &Physical<'_>,
        input: &LogicalPlan,
        spec: Arc<WindowAggregateSpec>,
        state: Identity,
    ) -> Result<usize, StreamError>;

    /// A node whose output is `stream`; local chains get one to meet in.
    fn node_of(&mut self, stream: Stream, schema: SchemaRef) -> usize;

    /// A node without state, with one input or several, by port.
    fn add(&mut self, operator: OperatorPlan, inputs: &[usize]) -> usize;

    /// The same for one whose state is known by this.
    fn add_stateful(&mut self, operator: OperatorPlan, inputs: &[usize], state: Identity) -> usize;

    /// Plans in words.
    fn words<'a>(&self, physical: &'a Physical<'a>) -> Words<'a>;
}

/// What a sub-plan has become: local chains, a node's output, or, for a union of such, both.
///
/// Chains are kept apart from nodes as long as possible: what their rows are held against is known on the threads that
/// read them alone.
#[derive(Clone, Default)]
pub(crate) struct Stream {
    /// Local chains, not yet fed into a node.
    pub(super) locals: Vec<LocalDraft>,
    /// A node's output.
    pub(super) node: Option<usize>,
}

impl Stream {
    /// A node's output.
    pub(crate) fn of(node: usize) -> Self {
        Stream { locals: Vec::new(), node: Some(node) }
    }

    /// Leaves out what is late of the rows that come straight from where they are read; those of a node are in time.
    pub(crate) fn judge(&mut self, step: &Step) {
        self.locals.iter_mut().for_each(|draft| draft.steps.push(step.clone()));
    }
}

/// A local chain whose source's columns are not settled yet.
#[derive(Clone)]
pub(crate) struct LocalDraft {
    /// Its source.
    pub(super) table: String,
    /// The columns that the chain's first step keeps.
    pub(super) columns: Vec<String>,
    pub(super) steps: Vec<Step>,
}

/// The schema of a plan's rows.
pub(crate) fn schema_of(plan: &LogicalPlan) -> SchemaRef {
    Arc::clone(plan.schema().inner())
}
