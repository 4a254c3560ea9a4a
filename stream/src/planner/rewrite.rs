//! Aggregates and row numbers over windows become streaming nodes.
//!
//! Runs after types are coerced and before DataFusion's optimiser, which then pushes filters and projections
//! through the result. A window is recognised by what the aggregate groups by:
//!
//! - columns that come from the markers of a window table function (`window_start`, `window_end`,
//!   `window_time`), or
//! - a call of `tumble`, `hop` or `session`.
//!
//! The markers below the aggregate are replaced by the event time itself: the column that was called
//! `window_start` carries the time down there, and the aggregate makes the window of it.

use std::sync::Arc;

use datafusion::{
    common::{
        Column, ScalarValue,
        tree_node::{Transformed, TreeNode, TreeNodeRecursion},
    },
    logical_expr::{
        Aggregate, Expr, Filter, LogicalPlan, Projection, Window, WindowFunctionDefinition,
        expr::ScalarFunction,
    },
    sql::sqlparser::tokenizer::{Location, Span},
};

use super::{
    catalog::{Catalog, interval_micros},
    lineage::{Origin, origin, origin_at, origin_of},
    nodes::{RankNode, WindowAggregateNode, extension},
};
use crate::{
    error::{SqlError, StreamError},
    operator::window_aggregate::{GroupColumn, TimeKind},
    source::SourceOptions,
    sql::functions::window::{Marker, marker},
    window::WindowSpec,
};

/// Rewrites a plan; `insert` is where its statement stands, for errors that have no better place.
pub(crate) fn to_streaming(
    catalog: &Catalog,
    plan: LogicalPlan,
    insert: Span,
) -> Result<LogicalPlan, StreamError> {
    let mut failed = None;
    let rewritten = plan.transform_up(|plan| {
        let rewritten = match plan {
            LogicalPlan::Aggregate(aggregate) => Rewrite { catalog, insert }.aggregate(aggregate),
            LogicalPlan::Window(window) => Rewrite { catalog, insert }.rank(window),
            other => return Ok(Transformed::no(other)),
        };
        match rewritten {
            Ok(plan) => Ok(Transformed::yes(plan)),
            Err(error) => {
                failed = Some(error);
                datafusion::common::plan_err!("rewriting stopped")
            }
        }
    });
    match (rewritten, failed) {
        (_, Some(error)) => Err(error),
        (Err(error), None) => Err(catalog.diagnose(error)),
        (Ok(plan), None) => Ok(plan.data),
    }
}

/// Fails where a window is left that nothing groups by: it has no value that a row could be given.
pub(crate) fn refuse_markers(catalog: &Catalog, plan: &LogicalPlan, insert: Span) -> Result<(), StreamError> {
    let is_marker = |expr: &Expr| {
        let function = match expr {
            Expr::ScalarFunction(function) => function,
            _ => return Ok(false),
        };
        Ok(marker(&function.func).is_some())
    };
    let mut left = None;
    plan.apply(|node| {
        node.apply_expressions(|expr| {
            if expr.exists(is_marker)? {
                left = Some(place_of(std::slice::from_ref(expr)).unwrap_or(insert));
                return Ok(TreeNodeRecursion::Stop);
            }
            Ok(TreeNodeRecursion::Continue)
        })
    })?;
    match left {
        None => Ok(()),
        Some(place) => Err(catalog
            .error(place, "a window can only be grouped by")
            .with_help("GROUP BY window_start, window_end, or by tumble(…), hop(…) or session(…)")
            .into()),
    }
}

struct Rewrite<'a> {
    catalog: &'a Catalog,
    insert: Span,
}

/// A window as the script spells it.
struct Found {
    spec: WindowSpec,
    /// Columns of `PARTITION BY` in `SESSION(…)`; empty where none were named.
    partition_by: Vec<String>,
    time_kind: TimeKind,
    lateness_us: i64,
}

impl Rewrite<'_> {
    fn error(&self, exprs: &[Expr], message: impl Into<String>) -> SqlError {
        self.catalog.error(place_of(exprs).unwrap_or(self.insert), message)
    }

    fn aggregate(&self, aggregate: Aggregate) -> Result<LogicalPlan, StreamError> {
        let groups = &aggregate.group_expr;
        if let Some(Expr::GroupingSet(_)) = groups.first() {
            return Err(self
                .error(groups, "GROUPING SETS, CUBE and ROLLUP are not supported in a stream")
                .into());
        }
        let mut window: Option<Found> = None;
        let mut time: Option<Expr> = None;
        let mut group_columns = Vec::new();
        let mut keys = Vec::new();
        for group in groups {
            let Origin::Marker(marker, function, below) = origin_of(group, &aggregate.input) else {
                group_columns.push(GroupColumn::Key(keys.len()));
                keys.push(group.clone());
                continue;
            };
            let found = match marker {
                Marker::Window => {
                    let (column, found) = self.function_window(function, &aggregate.input)?;
                    time.get_or_insert(Expr::Column(column));
                    group_columns.push(GroupColumn::Window);
                    found
                }
                Marker::Start | Marker::End | Marker::Time => {
                    time.get_or_insert(unaliased(group).clone());
                    group_columns.push(match marker {
                        Marker::Start => GroupColumn::WindowStart,
                        Marker::End => GroupColumn::WindowEnd,
                        _ => GroupColumn::WindowTime,
                    });
                    self.table_window(function, below)?
                }
            };
            if let Some(first) = &window
                && first.spec != found.spec
            {
                return Err(self.error(groups, "the query groups by two different windows").into());
            }
            window = Some(found);
        }
        let (Some(window), Some(time)) = (window, time) else {
            let mut exprs = groups.clone();
            exprs.extend(aggregate.aggr_expr.iter().cloned());
            return Err(self
                .error(&exprs, "this aggregation has no window, so it would never be final")
                .with_help(
                    "select FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(time_column), INTERVAL '1' MINUTE)) \
                     and GROUP BY window_start, window_end",
                )
                .into());
        };
        self.check_partition_by(&window, &keys, groups)?;
        let input = without_markers(Arc::unwrap_or_clone(aggregate.input))?;
        Ok(extension(WindowAggregateNode {
            input,
            window: window.spec,
            lateness_us: window.lateness_us,
            time,
            time_kind: window.time_kind,
            group_columns,
            keys,
            aggregates: aggregate.aggr_expr,
            schema: aggregate.schema,
        }))
    }

    /// `SESSION(TABLE t PARTITION BY a, …)`: the sessions are those of the keys that are grouped by.
    fn check_partition_by(&self, window: &Found, keys: &[Expr], groups: &[Expr]) -> Result<(), StreamError> {
        if window.partition_by.is_empty() {
            return Ok(());
        }
        let names: Vec<&str> = keys.iter().map(key_name).collect();
        let mut wanted: Vec<&str> = window.partition_by.iter().map(String::as_str).collect();
        let mut given = names.clone();
        wanted.sort_unstable();
        given.sort_unstable();
        if wanted != given {
            return Err(self
                .error(
                    groups,
                    format!(
                        "the session is by {}, but the query groups by {}",
                        wanted.join(", "),
                        if given.is_empty() { "no column".to_owned() } else { given.join(", ") }
                    ),
                )
                .with_help("group by window_start, window_end and the columns of PARTITION BY")
                .into());
        }
        Ok(())
    }

    /// The window of `__window_start(kind, time, intervals…, partition_by)`.
    fn table_window(&self, function: &ScalarFunction, below: &LogicalPlan) -> Result<Found, StreamError> {
        let [kind, time, intervals @ .., partition_by] = function.args.as_slice() else {
            return Err(StreamError::internal("a window marker has too few arguments"));
        };
        let kind = text(kind).unwrap_or_default();
        let partition_by = text(partition_by).unwrap_or_default();
        let Expr::Column(column) = unaliased(time) else {
            return Err(self.error(&function.args, "DESCRIPTOR takes the name of a column").into());
        };
        let (time_kind, lateness_us) = self.time_of(&origin(below, column), column)?;
        Ok(Found {
            spec: self.spec(kind, intervals, &function.args)?,
            partition_by: partition_by
                .split(',')
                .filter(|name| !name.is_empty())
                .map(str::to_owned)
                .collect(),
            time_kind,
            lateness_us,
        })
    }

    /// The window of `tumble(…)`, `hop(…)` or `session(…)`: over the event time of the input.
    fn function_window(
        &self,
        function: &ScalarFunction,
        input: &LogicalPlan,
    ) -> Result<(Column, Found), StreamError> {
        let mut best: Option<(usize, TimeKind, i64)> = None;
        for index in 0..input.schema().fields().len() {
            let time = match origin_at(input, index) {
                Origin::Table(table, column) => {
                    self.source_time(table, column).map(|lateness| (TimeKind::Event, lateness))
                }
                Origin::Window(GroupColumn::WindowTime) => Some((TimeKind::WindowTime, 0)),
                Origin::Window(GroupColumn::WindowEnd) => Some((TimeKind::Event, 0)),
                _ => None,
            };
            if let Some((kind, lateness)) = time
                && best.is_none_or(|(_, known, _)| kind == TimeKind::WindowTime && known == TimeKind::Event)
            {
                best = Some((index, kind, lateness));
            }
        }
        let Some((index, time_kind, lateness_us)) = best else {
            return Err(self
                .error(&function.args, format!("{}() has no event time to work on", function.func.name()))
                .with_help("declare WATERMARK FOR a column of the table, and keep that column in the query")
                .into());
        };
        let spec = self.spec(function.func.name(), &function.args, &function.args)?;
        let column = Column::from(input.schema().qualified_field(index));
        Ok((column, Found { spec, partition_by: Vec::new(), time_kind, lateness_us }))
    }

    fn spec(&self, kind: &str, intervals: &[Expr], args: &[Expr]) -> Result<WindowSpec, StreamError> {
        let mut micros = Vec::new();
        for interval in intervals {
            let length = interval_micros(interval).filter(|length| *length > 0).ok_or_else(|| {
                self.error(args, "this is not the length of a window")
                    .with_help("write a positive interval of days or less, such as INTERVAL '1' MINUTE")
            })?;
            micros.push(length);
        }
        match (kind, micros.as_slice()) {
            ("tumble", [size]) => Ok(WindowSpec::tumble(*size)),
            ("hop", [slide, size]) if size % slide == 0 => {
                Ok(WindowSpec::Hop { slide_us: *slide, size_us: *size })
            }
            ("hop", [_, _]) => Err(self
                .error(args, "the size of a hopping window must be a whole multiple of its slide")
                .with_help("the slide comes first: HOP(…, INTERVAL '1' MINUTE, INTERVAL '1' HOUR)")
                .into()),
            ("session", [gap]) => Ok(WindowSpec::Session { gap_us: *gap }),
            (kind, given) => Err(self
                .error(args, format!("{kind} does not take {} intervals", given.len()))
                .with_help("write tumble(size), hop(slide, size) or session(gap)")
                .into()),
        }
    }

    fn time_of(&self, origin: &Origin<'_>, column: &Column) -> Result<(TimeKind, i64), StreamError> {
        let fail = |message: String, help: &str| {
            let place = column.spans.first().map(span_of).unwrap_or(self.insert);
            Err(StreamError::from(self.catalog.error(place, message).with_help(help)))
        };
        match origin {
            Origin::Window(GroupColumn::WindowStart) => Ok((TimeKind::WindowStart, 0)),
            Origin::Window(GroupColumn::WindowEnd) => Ok((TimeKind::Event, 0)),
            Origin::Window(GroupColumn::WindowTime) => Ok((TimeKind::WindowTime, 0)),
            Origin::Table(table, name) => match self.source_time(table, name) {
                Some(lateness_us) => Ok((TimeKind::Event, lateness_us)),
                None => fail(
                    format!("'{name}' is not the event time of table {table}"),
                    &format!(
                        "declare WATERMARK FOR {name} AS {name} - INTERVAL '5' SECOND in CREATE TABLE {table}"
                    ),
                ),
            },
            _ => fail(
                format!("'{}' is not event time", column.name),
                "a window goes over the WATERMARK column of a table, or over window_start, window_end or window_time of another window",
            ),
        }
    }

    /// The allowed lateness of a table, if `column` is its event time.
    fn source_time(&self, table: &str, column: &str) -> Option<i64> {
        let table = self.catalog.table(table)?;
        table.watermark.as_ref().filter(|watermark| watermark.column == column)?;
        // Bad options are reported when the source is planned.
        Some(SourceOptions::read(table).map(|options| options.allowed_lateness_us).unwrap_or_default())
    }

    fn rank(&self, window: Window) -> Result<LogicalPlan, StreamError> {
        let help = "write ROW_NUMBER() OVER (PARTITION BY window_start, window_end ORDER BY …) over a windowed aggregate";
        let [expr] = window.window_expr.as_slice() else {
            return Err(self
                .error(&window.window_expr, "only one ROW_NUMBER() at a time is supported")
                .with_help("take each from a subquery of its own, and put them together with UNION ALL")
                .into());
        };
        let Expr::WindowFunction(function) = unaliased(expr) else {
            return Err(StreamError::internal("a window node without a window function"));
        };
        let name = match &function.fun {
            WindowFunctionDefinition::WindowUDF(udf) => udf.name(),
            WindowFunctionDefinition::AggregateUDF(udf) => udf.name(),
        };
        if name != "row_number" {
            return Err(self
                .error(
                    &window.window_expr,
                    format!("the window function {name} is not supported in a stream"),
                )
                .with_help(help)
                .into());
        }
        let bounded = function
            .params
            .partition_by
            .iter()
            .any(|expr| matches!(origin_of(expr, &window.input), Origin::Window(column) if !matches!(column, GroupColumn::Key(_))));
        if !bounded {
            return Err(self
                .error(
                    &function.params.partition_by,
                    "ROW_NUMBER() must be within a window, or it would never be final",
                )
                .with_help(help)
                .into());
        }
        Ok(extension(RankNode {
            partition_by: function.params.partition_by.clone(),
            order_by: function.params.order_by.clone(),
            schema: Arc::clone(&window.schema),
            input: Arc::unwrap_or_clone(window.input),
        }))
    }
}

/// Puts the event time in the place of window markers, down to the next streaming node.
fn without_markers(plan: LogicalPlan) -> Result<LogicalPlan, StreamError> {
    let replaced = plan.transform_down(|plan| match plan {
        LogicalPlan::Extension(_) => Ok(Transformed::new(plan, false, TreeNodeRecursion::Jump)),
        LogicalPlan::Projection(Projection { expr, input, schema, .. }) => {
            let expr = expr.into_iter().map(time_for_marker).collect::<Result<Vec<_>, _>>()?;
            Ok(Transformed::yes(LogicalPlan::Projection(Projection::try_new_with_schema(
                expr, input, schema,
            )?)))
        }
        LogicalPlan::Filter(Filter { .. }) => Ok(Transformed::no(plan)),
        other => Ok(Transformed::no(other)),
    })?;
    Ok(replaced.data)
}

fn time_for_marker(expr: Expr) -> datafusion::common::Result<Expr> {
    Ok(expr
        .transform_up(|expr| match &expr {
            Expr::ScalarFunction(function) => match (marker(&function.func), function.args.get(1)) {
                (Some(Marker::Start | Marker::End | Marker::Time), Some(time)) => {
                    Ok(Transformed::yes(time.clone()))
                }
                _ => Ok(Transformed::no(expr)),
            },
            _ => Ok(Transformed::no(expr)),
        })?
        .data)
}

fn unaliased(expr: &Expr) -> &Expr {
    match expr {
        Expr::Alias(alias) => unaliased(&alias.expr),
        other => other,
    }
}

fn key_name(expr: &Expr) -> &str {
    match unaliased(expr) {
        Expr::Column(column) => &column.name,
        _ => "an expression",
    }
}

fn text(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Literal(ScalarValue::Utf8(Some(text)) | ScalarValue::Utf8View(Some(text)), _) => Some(text),
        _ => None,
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
