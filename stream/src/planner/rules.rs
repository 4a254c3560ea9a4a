//! The rules that put streaming nodes into a plan.
//!
//! They run over a plan from its leaves up, after types are coerced and before DataFusion's optimiser, which then
//! pushes filters and projections through the result. Each rule has one concern and a file; the first that knows what
//! to do with a node does it. What no rule knows stays as it is, and is refused when the graph is built, unless it is
//! stateless.
//!
//! | rule | from | to |
//! |---|---|---|
//! | [`window_assign`] | a window table function | rows with the columns of their windows |
//! | [`window_aggregate`] | `GROUP BY` with a window, `SELECT DISTINCT` within one | an aggregate over panes, sessions, or windows that the rows carry |
//! | [`over`] | a function `OVER` a window | a ranking, or a computation over whole windows |
//! | [`window_join`] | a join on equal windows | a computation over whole windows |

mod over;
mod whole;
mod window_aggregate;
mod window_assign;
mod window_join;

pub(super) use whole::is_whole_by;

use datafusion::{
    common::tree_node::{Transformed, TreeNode, TreeNodeRecursion},
    logical_expr::{Expr, LogicalPlan},
    sql::sqlparser::tokenizer::{Location, Span},
};

use super::{
    attributes::{self, Attributes},
    catalog::{Catalog, interval_micros},
};
use crate::{
    error::{SqlError, StreamError},
    sql::functions::window::marker,
    window::{Fixed, WindowSpec},
};

/// What a rule makes of a node: `Err` gives a node that it does not know back.
type Outcome = Result<Result<LogicalPlan, LogicalPlan>, StreamError>;

/// In the order in which they are tried.
const RULES: [fn(&Context<'_>, LogicalPlan) -> Outcome; 4] =
    [window_assign::apply, window_aggregate::apply, over::apply, window_join::apply];

/// Rewrites a plan; `statement` is where it stands, for errors that have no better place. `by_window`: who takes the
/// rows wants those of a window together.
pub(crate) fn to_streaming(
    catalog: &Catalog,
    plan: LogicalPlan,
    statement: Span,
    by_window: bool,
) -> Result<LogicalPlan, StreamError> {
    let context = Context { catalog, statement };
    let mut failed = None;
    let rewritten = plan.transform_up(|mut plan| {
        for rule in RULES {
            match rule(&context, plan) {
                Ok(Ok(rewritten)) => return Ok(Transformed::yes(rewritten)),
                Ok(Err(unknown)) => plan = unknown,
                Err(error) => {
                    failed = Some(error);
                    return datafusion::common::plan_err!("rewriting stopped");
                }
            }
        }
        Ok(Transformed::no(plan))
    });
    match (rewritten, failed) {
        (_, Some(error)) => Err(error),
        (Err(error), None) => Err(catalog.diagnose(error)),
        (Ok(plan), None) if by_window => Ok(whole::for_updates(&context, plan.data)?),
        (Ok(plan), None) => Ok(plan.data),
    }
}

/// Fails where a window function is left that nothing groups by: it has no value that a row could be given.
pub(crate) fn refuse_markers(
    catalog: &Catalog,
    plan: &LogicalPlan,
    statement: Span,
) -> Result<(), StreamError> {
    let is_marker =
        |expr: &Expr| Ok(matches!(expr, Expr::ScalarFunction(function) if marker(&function.func).is_some()));
    let mut left = None;
    plan.apply(|node| {
        node.apply_expressions(|expr| {
            if expr.exists(is_marker)? {
                left = Some(place_of(std::slice::from_ref(expr)).unwrap_or(statement));
                return Ok(TreeNodeRecursion::Stop);
            }
            Ok(TreeNodeRecursion::Continue)
        })
    })?;
    match left {
        None => Ok(()),
        Some(place) => Err(catalog
            .error(place, "a window function can only be grouped by")
            .with_help("GROUP BY tumble(…), hop(…) or session(…), or select FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(time_column), …))")
            .into()),
    }
}

/// What rules know besides the node.
struct Context<'a> {
    catalog: &'a Catalog,
    statement: Span,
}

impl Context<'_> {
    /// An error at the first column of some expressions.
    fn error(&self, exprs: &[Expr], message: impl Into<String>) -> SqlError {
        self.catalog.error(place_of(exprs).unwrap_or(self.statement), message)
    }

    /// The time attributes of a plan's columns.
    fn attributes(&self, plan: &LogicalPlan) -> Attributes {
        attributes::of(self.catalog, plan)
    }

    /// A window's shape from its name and intervals.
    fn window(&self, kind: &str, intervals: &[Expr], args: &[Expr]) -> Result<WindowSpec, StreamError> {
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

fn unaliased(expr: &Expr) -> &Expr {
    match expr {
        Expr::Alias(alias) => unaliased(&alias.expr),
        other => other,
    }
}

/// The first place in the script that one of the expressions' columns has.
fn place_of(exprs: &[Expr]) -> Option<Span> {
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
