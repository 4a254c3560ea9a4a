//! What rules know besides the node: the catalogue, where the statement stands, and the time attributes of a plan.

use datafusion::{
    logical_expr::{Expr, LogicalPlan},
    sql::sqlparser::tokenizer::{Location, Span},
};

use crate::{
    error::{SqlError, StreamError},
    planner::{
        attributes::{Attributes, TimeAttribute, of_expr},
        catalog::Catalog,
        interval::interval_micros,
        nodes,
    },
    source::SourceOptions,
    window::{Fixed, WindowSpec},
};

/// What a rule makes of a node: `Err` gives a node that it does not know back.
pub(super) type Outcome = Result<Result<LogicalPlan, LogicalPlan>, StreamError>;

/// What rules know besides the node.
pub(super) struct Context<'a> {
    pub(super) catalog: &'a Catalog,
    pub(super) statement: Span,
}

impl Context<'_> {
    /// An error at the first column of some expressions.
    pub(super) fn error(&self, exprs: &[Expr], message: impl Into<String>) -> SqlError {
        self.catalog.error(place_of(exprs).unwrap_or(self.statement), message)
    }

    /// The time attributes of a plan's columns.
    pub(super) fn attributes(&self, plan: &LogicalPlan) -> Attributes {
        of(self.catalog, plan)
    }

    /// A window's shape from its name and intervals.
    pub(super) fn window(
        &self,
        kind: &str,
        intervals: &[Expr],
        args: &[Expr],
    ) -> Result<WindowSpec, StreamError> {
        let mut micros = Vec::new();
        for interval in intervals {
            micros.push(interval_micros(interval).ok_or_else(|| {
                self.error(args, "this is not the length of a window")
                    .with_help("write a positive interval of days or less, such as INTERVAL '1' MINUTE")
            })?);
        }
        let window = match (kind, micros.as_slice()) {
            ("tumble", [size]) => WindowSpec::tumble(*size),
            ("tumble", [size, offset]) => WindowSpec::Fixed(Fixed::hop(*size, *size).with_offset(*offset)),
            ("hop", [slide, size]) => WindowSpec::Fixed(Fixed::hop(*slide, *size)),
            ("hop", [slide, size, offset]) => {
                WindowSpec::Fixed(Fixed::hop(*slide, *size).with_offset(*offset))
            }
            ("cumulate", [step, size]) => WindowSpec::Fixed(Fixed::cumulate(*step, *size)),
            ("cumulate", [step, size, offset]) => {
                WindowSpec::Fixed(Fixed::cumulate(*step, *size).with_offset(*offset))
            }
            ("session", [gap]) => WindowSpec::Session { gap_us: *gap },
            (kind, given) => {
                return Err(self
                    .error(args, format!("{kind} does not take {} intervals", given.len()))
                    .with_help("write tumble(size), hop(slide, size), cumulate(step, size) or session(gap); all but session take an offset as well")
                    .into());
            }
        };
        let lengths = &micros[..micros.len().min(if matches!(kind, "hop" | "cumulate") { 2 } else { 1 })];
        if lengths.iter().any(|length| *length <= 0) {
            return Err(self
                .error(args, "this is not the length of a window")
                .with_help("write a positive interval of days or less, such as INTERVAL '1' MINUTE")
                .into());
        }
        match window {
            WindowSpec::Fixed(fixed) if fixed.size_us % fixed.pane_us != 0 => {
                let (size, part) = if fixed.cumulates {
                    ("largest size of a cumulating window", "step")
                } else {
                    ("size of a hopping window", "slide")
                };
                Err(self
                    .error(args, format!("the {size} must be a whole multiple of its {part}"))
                    .with_help(format!(
                        "the {part} comes first: {}(…, INTERVAL '1' MINUTE, INTERVAL '1' HOUR)",
                        kind.to_uppercase()
                    ))
                    .into())
            }
            window => Ok(window),
        }
    }
}

/// The attributes of a plan's columns.
fn of(catalog: &Catalog, plan: &LogicalPlan) -> Attributes {
    match plan {
        LogicalPlan::Projection(projection) => {
            let input = of(catalog, &projection.input);
            let schema = projection.input.schema();
            projection.expr.iter().map(|expr| of_expr(expr, schema, &input)).collect()
        }
        LogicalPlan::SubqueryAlias(alias) => of(catalog, &alias.input),
        LogicalPlan::Filter(filter) => of(catalog, &filter.input),
        LogicalPlan::TableScan(scan) => {
            let event_time = catalog.table(scan.table_name.table()).and_then(|table| {
                let column = &table.watermark.as_ref()?.column;
                // Bad options are reported when the source is planned.
                let lateness = SourceOptions::read(table).map(|options| options.allowed_lateness_us);
                Some((column, TimeAttribute::event(lateness.unwrap_or_default())))
            });
            let of_field = |name: &String| match event_time {
                Some((column, attribute)) if column == name => Some(attribute),
                _ => None,
            };
            scan.projected_schema.fields().iter().map(|field| of_field(field.name())).collect()
        }
        LogicalPlan::Union(union) => {
            let mut inputs = union.inputs.iter().map(|input| of(catalog, input));
            let Some(mut common) = inputs.next() else { return nothing(plan) };
            for input in inputs {
                for (known, other) in common.iter_mut().zip(input) {
                    *known = known.zip(other).and_then(|(a, b)| a.union(b));
                }
            }
            common
        }
        LogicalPlan::Extension(extension) => match nodes::streaming(extension.node.as_ref()) {
            Some(node) => {
                let inputs: Vec<Attributes> =
                    extension.node.inputs().into_iter().map(|input| of(catalog, input)).collect();
                node.attributes(&inputs)
            }
            None => nothing(plan),
        },
        _ => nothing(plan),
    }
}

fn nothing(plan: &LogicalPlan) -> Attributes {
    vec![None; plan.schema().fields().len()]
}

/// The expression without its names.
pub(super) fn unaliased(expr: &Expr) -> &Expr {
    match expr {
        Expr::Alias(alias) => unaliased(&alias.expr),
        other => other,
    }
}

/// The first place in the script that one of the expressions' columns has.
pub(super) fn place_of(exprs: &[Expr]) -> Option<Span> {
    exprs
        .iter()
        .flat_map(Expr::column_refs)
        .filter_map(|column| column.spans.first())
        .map(span_of)
        .min_by_key(|s| s.start)
}

fn span_of(span: datafusion::common::Span) -> Span {
    let location = |l: datafusion::common::Location| Location { line: l.line, column: l.column };
    Span { start: location(span.start), end: location(span.end) }
}
