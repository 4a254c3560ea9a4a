//! A computation over whole windows: DataFusion's own plan, over what is gathered of each input.
//!
//! Whoever makes one has seen to it that the computation treats windows apart: it partitions by, or joins on, the
//! column that bounds each input.

use std::{fmt, sync::Arc};

use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::{
    catalog::streaming::StreamingTable,
    common::{DFSchema, DFSchemaRef, Result, internal_err},
    datasource::provider_as_source,
    logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, TableScan, UserDefinedLogicalNodeCore, col},
    physical_plan::streaming::PartitionStream,
};

use crate::{
    error::StreamError,
    operator::{
        TimeBound,
        whole::{Port, PortSpec, WholeSpec},
    },
    planner::{
        OperatorPlan,
        attributes::{Attributes, TimeAttribute},
        canonical::{Canonical, Words, schema_text},
        identity::Identity,
        node::{Lowering, Stream, StreamingNode, WholeBy, schema_of},
        physical::Physical,
        words::bound_text,
    },
};

/// An input of the computation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct WholeInput {
    /// Its rows.
    pub(crate) plan: LogicalPlan,
    /// The column that tells the window.
    pub(crate) column: usize,
    /// What is promised about it.
    pub(crate) bound: TimeBound,
}

/// The computation. Its schema is that of the plan that it replaces.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct WholeNode {
    /// What it is called.
    pub(crate) name: String,
    /// The inputs, by port.
    pub(crate) inputs: Vec<WholeInput>,
    /// The computation, over a [`placeholder`] an input.
    pub(crate) computation: LogicalPlan,
    /// The time attributes of its columns.
    pub(crate) attributes: Attributes,
    /// The column of the result that tells the window, if one does.
    pub(crate) window_column: Option<usize>,
    /// The schema.
    pub(crate) schema: DFSchemaRef,
}

/// The attributes of an input's columns once its rows have been gathered by the column `by`: what lies by a known
/// length from it has a bound, nothing else has.
pub(crate) fn gathered(attributes: &[Option<TimeAttribute>], by: usize) -> Attributes {
    let bounding = attributes.get(by).copied().flatten();
    let of = |(index, attribute): (usize, &Option<TimeAttribute>)| {
        let attribute = (*attribute).filter(|attribute| attribute.is_of_window())?;
        if index == by {
            return Some(TimeAttribute { bound: Some(TimeBound::EVENT), lateness_us: 0, ..attribute });
        }
        Some(attribute.beside(bounding?))
    };
    attributes.iter().enumerate().map(of).collect()
}

/// The names of an input's columns in the computation: those of the script may repeat.
fn port_schema(input: &DFSchema) -> SchemaRef {
    let fields = input.fields().iter().enumerate();
    let fields = fields.map(|(index, field)| {
        Field::new(format!("c{index}"), field.data_type().clone(), field.is_nullable())
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// A plan of what will have been gathered of an input, with its columns' names.
pub(crate) fn placeholder(index: usize, input: &DFSchema) -> Result<LogicalPlan> {
    let schema = port_schema(input);
    let port: Arc<dyn PartitionStream> = Arc::new(Port { index, schema: Arc::clone(&schema) });
    let table = StreamingTable::try_new(schema, vec![port])?;
    let scan =
        LogicalPlanBuilder::scan(format!("__port_{index}"), provider_as_source(Arc::new(table)), None)?;
    let named = input.iter().enumerate().map(|(index, (qualifier, field))| {
        let column = col(format!("c{index}"));
        match qualifier {
            Some(qualifier) => column.alias_qualified(Some(qualifier.clone()), field.name()),
            None => column.alias(field.name()),
        }
    });
    scan.project(named.collect::<Vec<_>>())?.build()
}

/// Which input a scan is the [`placeholder`] of, and which of its columns it has.
pub(crate) fn port_of(scan: &TableScan) -> Option<(usize, Vec<usize>)> {
    let port = scan.table_name.table().strip_prefix("__port_")?.parse().ok()?;
    let column = |field: &Arc<Field>| field.name().strip_prefix('c')?.parse().ok();
    Some((port, scan.projected_schema.fields().iter().map(column).collect::<Option<_>>()?))
}

impl UserDefinedLogicalNodeCore for WholeNode {
    fn name(&self) -> &str {
        "Whole"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        self.inputs.iter().map(|input| &input.plan).collect()
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        Vec::new()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Whole: {}", self.name)
    }

    fn with_exprs_and_inputs(&self, _: Vec<Expr>, inputs: Vec<LogicalPlan>) -> Result<Self> {
        if inputs.len() != self.inputs.len() {
            return internal_err!("a computation over windows lost an input");
        }
        let mut node = self.clone();
        for (input, plan) in node.inputs.iter_mut().zip(inputs) {
            input.plan = plan;
        }
        Ok(node)
    }

    fn necessary_children_exprs(&self, _: &[usize]) -> Option<Vec<Vec<usize>>> {
        let all = |input: &WholeInput| (0..input.plan.schema().fields().len()).collect();
        Some(self.inputs.iter().map(all).collect())
    }
}

impl WholeNode {
    fn canonical_inputs(&self, words: &Words<'_>) -> std::result::Result<Vec<Canonical>, StreamError> {
        self.inputs.iter().map(|input| words.of(&input.plan)).collect()
    }

    /// What its state is known by: that is the rows which it has gathered, whatever is then computed of them.
    fn identity(&self, inputs: &[Canonical]) -> Identity {
        let list = |of: &dyn Fn(&WholeInput, &Canonical) -> String| {
            self.inputs
                .iter()
                .zip(inputs)
                .map(|(input, words)| of(input, words))
                .collect::<Vec<_>>()
                .join("; ")
        };
        let column = |input: &WholeInput, words: &Canonical| words.columns.get(input.column).cloned();
        let by = |input: &WholeInput, words: &Canonical| {
            format!("{} by {}", column(input, words).unwrap_or_default(), bound_text(input.bound))
        };
        let details = [
            ("time", list(&by)),
            ("gathers", list(&|_, words| words.columns.join(", "))),
            ("rows", list(&|_, words| words.relation())),
            ("columns", list(&|_, words| words.read())),
            ("state", list(&|input, _| schema_text(&port_schema(input.plan.schema())))),
        ];
        Identity::new("gathered windows", details)
    }
}

impl StreamingNode for WholeNode {
    fn attributes(&self, _: &[Attributes]) -> Attributes {
        self.attributes.clone()
    }

    fn whole_by(&self, column: usize) -> WholeBy {
        if self.window_column == Some(column) { WholeBy::Always } else { WholeBy::Never }
    }

    fn canonical(&self, words: &Words<'_>) -> std::result::Result<Canonical, StreamError> {
        let inputs = self.canonical_inputs(words)?;
        let identity = self.identity(&inputs);
        let computed = words.computed(&self.computation, &inputs)?;
        let rows = format!("{} {} as ({})", identity.kind, identity.uid, computed.relation());
        Ok(Canonical::default().made_into(rows, computed.columns))
    }

    fn lower(
        &self,
        graph: &mut dyn Lowering,
        physical: &Physical<'_>,
        _: bool,
    ) -> std::result::Result<Stream, StreamError> {
        let (mut inputs, mut ports) = (Vec::new(), Vec::new());
        for input in &self.inputs {
            // A window is complete by its start, where that is what its rows go by.
            let stream = graph.stream(physical, &input.plan, true)?;
            inputs.push(graph.node_of(stream, schema_of(&input.plan)));
            ports.push(PortSpec {
                schema: port_schema(input.plan.schema()),
                column: input.column,
                bound: input.bound,
            });
        }
        let spec = WholeSpec {
            name: self.name.clone(),
            ports,
            plan: physical.plan(&self.computation)?,
            schema: Arc::clone(self.schema.inner()),
            window_column: self.window_column,
        };
        let identity = self.identity(&self.canonical_inputs(&graph.words(physical))?);
        Ok(Stream::of(graph.add_stateful(OperatorPlan::Whole(Arc::new(spec)), &inputs, identity)))
    }
}
