//! A planned job, which says what the threads that read do, what the merge stage does, and what goes where.

use std::sync::Arc;

use arrow::datatypes::{FieldRef, SchemaRef};
use datafusion::physical_expr::PhysicalExpr;

use super::{canonical::sink_identity, identity::Identity, settings::Settings};
use crate::{
    decode::plan::DecodePlan,
    error::StreamError,
    operator::{
        TimeBound, first_rows::FirstRowsSpec, interval_join::IntervalJoinSpec, rank::RankSpec, step::Step,
        time_order::TimeOrderSpec, whole::WholeSpec, window_aggregate::WindowAggregateSpec,
    },
    sink::{EmitMode, SinkFactory},
    source::SourceOptions,
    table::{SourceMetadata, TableDef},
    window::WindowSpec,
};

/// A planned job: what [`crate::runtime`] runs.
#[derive(Debug)]
pub struct JobPlan {
    /// The sources that are read, each once.
    pub sources: Vec<SourcePlan>,
    /// What happens to a source's rows on the thread that reads them.
    pub locals: Vec<LocalPlan>,
    /// The merge stage, inputs before those that they feed.
    pub nodes: Vec<NodePlan>,
    /// The sinks, one a table that is inserted into.
    pub sinks: Vec<SinkPlan>,
    /// The script's settings.
    pub settings: Settings,
    /// The script asks to be explained (`EXPLAIN …`), not run.
    pub is_explained: bool,
}

impl JobPlan {
    /// Whether every source ends by itself.
    pub fn is_bounded(&self) -> bool {
        self.sources.iter().all(|source| {
            let options = &source.table.options;
            source.table.connector() != "kafka" || options.get("scan.bounded.mode") == Some("latest-offset")
        })
    }
}

/// A source and what is decoded of it.
#[derive(Clone, Debug)]
pub struct SourcePlan {
    /// Its table.
    pub table: TableDef,
    /// What its positions and keys are known by.
    pub identity: Identity,
    /// The options every source has.
    pub options: SourceOptions,
    /// What is decoded of a record.
    pub decode: DecodePlan,
    /// What is known of a record besides its bytes, as columns.
    pub(crate) metadata: Vec<(SourceMetadata, FieldRef)>,
    /// The columns computed from those, appended in this order.
    pub generated: Vec<(Arc<dyn PhysicalExpr>, FieldRef)>,
    /// Decoded columns, then metadata, then generated, then derived ones.
    pub schema: SchemaRef,
    /// Index of the event-time column, if the table has a watermark.
    pub(crate) time_column: Option<usize>,
    /// Indexes of the columns of `'deduplicate.key'`.
    pub(crate) deduplicate_columns: Vec<usize>,
}

/// One way from a source to the merge stage.
#[derive(Clone, Debug)]
pub struct LocalPlan {
    /// Index of its source.
    pub(crate) source: usize,
    /// Stateless steps, from the source's schema on.
    pub steps: Vec<Step>,
    /// What is done at the end.
    pub terminal: Terminal,
    /// The node that is fed.
    pub node: usize,
}

impl LocalPlan {
    /// The windows that a row of the source is held against, and how long they take it behind their ends.
    pub fn windows(&self) -> Vec<(WindowSpec, i64)> {
        // The time may lie behind the promise by a known length.
        let within = |lateness_us: i64, bound: TimeBound| lateness_us.saturating_add(bound.slack_us);
        let of_step = |step: &Step| match step {
            Step::Assign(assign) => Some((assign.window, within(assign.lateness_us, assign.bound))),
            // A row on its own: as if its window were its own time.
            Step::OnTime { bound, .. } => Some((WindowSpec::tumble(1), within(0, *bound))),
            _ => None,
        };
        let terminal = match &self.terminal {
            Terminal::Window(spec) => Some((spec.window, within(spec.lateness_us, spec.bound))),
            Terminal::Forward => None,
        };
        let mut windows: Vec<(WindowSpec, i64)> = self.steps.iter().filter_map(of_step).collect();
        // Behind an assignment the rows' windows are those that it gave them.
        windows.extend(terminal.filter(|_| windows.is_empty()));
        windows
    }
}

/// The end of a local chain.
#[derive(Clone, Debug)]
pub enum Terminal {
    /// Rows go on as they are.
    Forward,
    /// Rows are aggregated partially.
    Window(Arc<WindowAggregateSpec>),
}

/// A node of the merge stage.
#[derive(Clone, Debug)]
pub struct NodePlan {
    /// What it does.
    pub(crate) operator: OperatorPlan,
    /// What its state is known by, if it has any.
    pub state: Option<Identity>,
    /// Where its rows go.
    pub(crate) outputs: Vec<Target>,
}

/// The operator of a node.
#[derive(Clone, Debug)]
pub enum OperatorPlan {
    /// Filter or projection, or nothing: where streams meet.
    Steps {
        /// The steps.
        steps: Vec<Step>,
        /// The output schema.
        schema: SchemaRef,
    },
    /// A windowed aggregation.
    Window(Arc<WindowAggregateSpec>),
    /// A row number within a window.
    Rank(RankSpec),
    /// A computation over whole windows.
    Whole(Arc<WholeSpec>),
    /// A join of rows that lie near each other in time.
    IntervalJoin(Arc<IntervalJoinSpec>),
    /// Rows in the order of their time.
    TimeOrder(Arc<TimeOrderSpec>),
    /// The first rows.
    FirstRows(FirstRowsSpec),
}

impl OperatorPlan {
    /// Whether it keeps anything that a checkpoint must hold.
    pub(crate) fn has_state(&self) -> bool {
        match self {
            OperatorPlan::Steps { .. } | OperatorPlan::Rank(_) => false,
            OperatorPlan::Window(_)
            | OperatorPlan::Whole(_)
            | OperatorPlan::IntervalJoin(_)
            | OperatorPlan::TimeOrder(_)
            | OperatorPlan::FirstRows(_) => true,
        }
    }
}

/// What a node feeds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Target {
    /// An input of another node.
    Node {
        /// Its number.
        node: usize,
        /// Which of its inputs.
        port: usize,
    },
    /// A sink.
    Sink(usize),
}

/// A sink of the job.
#[derive(Clone, Debug)]
pub struct SinkPlan {
    /// Its table.
    pub table: TableDef,
    /// What its commits are known by.
    pub identity: Identity,
    /// Which rows it takes.
    pub emit: EmitMode,
}

impl SinkPlan {
    /// A sink into a table whose options have been checked.
    pub(crate) fn of(
        table: TableDef,
        factory: &dyn SinkFactory,
        emit: EmitMode,
    ) -> Result<Self, StreamError> {
        let identity = sink_identity(&table, factory.identity(&table)?);
        Ok(SinkPlan { table, identity, emit })
    }
}
