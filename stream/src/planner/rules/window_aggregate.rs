//! `GROUP BY` with a window, and `SELECT DISTINCT` within one.
//!
//! Three forms, by what is grouped by:
//!
//! - `tumble(…)`, `hop(…)` or `session(…)`: windows of the input's event time, counted in panes or sessions;
//! - the columns of a window table function right below, used for nothing else on the way: the same, and the rows are
//!   never [assigned](crate::operator::assign) to their windows one by one;
//! - any other column of a window that the rows carry: their values are keys, see
//!   [`WindowAggregateNode`](crate::planner::nodes::window_aggregate).

use std::sync::Arc;

use datafusion::{
    common::tree_node::{Transformed, TreeNode, TreeNodeRecursion},
    logical_expr::{Aggregate, Distinct, Expr, LogicalPlan, Projection},
};

use super::{
    context::{Context, Outcome, unaliased},
    function_window,
    grouping_sets::Sets,
    ordered_aggregate::{is_ordered, no_window, over_whole},
    whole::{bound_of, preference},
};
use crate::{
    error::StreamError,
    operator::window_aggregate::GroupColumn,
    planner::{
        attributes::{Role, index_of, of_expr},
        nodes::{
            extension,
            window_aggregate::WindowAggregateNode,
            window_assign::{WINDOW_COLUMNS, WindowAssignNode},
        },
    },
    window::WindowSpec,
};

pub(super) fn apply(context: &Context<'_>, plan: LogicalPlan) -> Outcome {
    match plan {
        LogicalPlan::Aggregate(aggregate) => rewrite(context, aggregate).map(Ok),
        LogicalPlan::Distinct(Distinct::All(input)) => {
            let columns = input.schema().columns().into_iter().map(Expr::Column).collect();
            rewrite(context, Aggregate::try_new(input, columns, Vec::new())?).map(Ok)
        }
        other => Ok(Err(other)),
    }
}

fn rewrite(context: &Context<'_>, aggregate: Aggregate) -> Result<LogicalPlan, StreamError> {
    if let Some(sets) = Sets::of(&aggregate)? {
        let plans = sets.aggregates.iter().map(|aggregate| rewrite(context, aggregate.clone()));
        return Ok(sets.together(plans.collect::<Result<_, _>>()?)?);
    }
    let groups = &aggregate.group_expr;
    let is_function = groups.iter().any(|group| function_window::function(group, &aggregate.input).is_some());
    if is_function && aggregate.aggr_expr.iter().any(is_ordered) {
        return function_window::ordered(context, aggregate);
    }
    if is_function {
        return function_window::of_function(context, aggregate);
    }
    if aggregate.aggr_expr.iter().any(is_ordered) {
        return over_whole(context, aggregate);
    }
    if let Some(fused) = Fused::of(&aggregate) {
        return fused.node(aggregate);
    }
    attached(context, aggregate)
}

/// A group by the columns of the window table function below, which are used for nothing else.
struct Fused {
    group_columns: Vec<GroupColumn>,
    keys: Vec<Expr>,
    time: Expr,
    window: WindowSpec,
    bound: crate::operator::TimeBound,
    lateness_us: i64,
}

impl Fused {
    fn of(aggregate: &Aggregate) -> Option<Fused> {
        let (assign, columns) = below(&aggregate.input)?;
        let schema = aggregate.input.schema();
        let width = assign.input.schema().fields().len();
        let origin = |expr: &Expr| match unaliased(expr) {
            Expr::Column(column) => columns.get(index_of(schema, column)?).copied().flatten(),
            _ => None,
        };
        let (mut group_columns, mut keys, mut time) = (Vec::new(), Vec::new(), None);
        for group in &aggregate.group_expr {
            let window_column = origin(group).and_then(|column| column.checked_sub(width));
            match window_column.and_then(|column| WINDOW_COLUMNS.get(column)) {
                Some((_, role, _)) => {
                    time.get_or_insert_with(|| unaliased(group).clone());
                    group_columns.push(match role {
                        Role::Start => GroupColumn::WindowStart,
                        Role::Time => GroupColumn::WindowTime,
                        _ => GroupColumn::WindowEnd,
                    });
                }
                None => {
                    group_columns.push(GroupColumn::Key(keys.len()));
                    keys.push(group.clone());
                }
            }
        }
        let is_window = |index: usize| index >= width;
        let uses = |expr: &Expr| uses_any(expr, schema, &columns, is_window);
        if keys.iter().any(uses) || aggregate.aggr_expr.iter().any(uses) {
            return None;
        }
        let starts = group_columns.contains(&GroupColumn::WindowStart);
        let ends = group_columns
            .iter()
            .any(|column| matches!(column, GroupColumn::WindowEnd | GroupColumn::WindowTime));
        // Windows that cumulate have their start in common, and are one group by it.
        if matches!(assign.window, WindowSpec::Fixed(window) if window.cumulates) && !ends {
            return None;
        }
        if matches!(assign.window, WindowSpec::Session { .. }) {
            // Sessions of one key may share a start or an end; and they are those of PARTITION BY, not of the group.
            let mut of_keys = keys.iter().map(origin).collect::<Option<Vec<_>>>()?;
            let mut of_partition = partition_columns(assign)?;
            of_keys.sort_unstable();
            of_partition.sort_unstable();
            of_keys.dedup();
            of_partition.dedup();
            if !(starts && ends) || of_keys != of_partition {
                return None;
            }
        }
        Some(Fused {
            group_columns,
            keys,
            time: time?,
            window: assign.window,
            bound: assign.bound,
            lateness_us: assign.lateness_us,
        })
    }

    fn node(self, aggregate: Aggregate) -> Result<LogicalPlan, StreamError> {
        Ok(extension(WindowAggregateNode {
            input: unassigned(Arc::unwrap_or_clone(aggregate.input))?,
            window: self.window,
            lateness_us: self.lateness_us,
            time: self.time,
            bound: self.bound,
            group_columns: self.group_columns,
            keys: self.keys,
            aggregates: aggregate.aggr_expr,
            schema: aggregate.schema,
        }))
    }
}

/// The assignment below projections, filters and aliases, and which of its columns each column of `plan` is; `None`
/// where there is none, or where a window's column is computed with on the way.
fn below(plan: &LogicalPlan) -> Option<(&WindowAssignNode, Vec<Option<usize>>)> {
    match plan {
        LogicalPlan::Extension(extension) => {
            let assign = extension.node.as_any().downcast_ref::<WindowAssignNode>()?;
            Some((assign, (0..assign.schema.fields().len()).map(Some).collect()))
        }
        LogicalPlan::SubqueryAlias(alias) => below(&alias.input),
        LogicalPlan::Filter(filter) => {
            let (assign, columns) = below(&filter.input)?;
            let width = assign.input.schema().fields().len();
            // A row that is filtered out still belongs to its session, and makes it longer. Only a condition on the key
            // leaves out whole sessions.
            let partition = match assign.window {
                WindowSpec::Session { .. } => Some(partition_columns(assign)?),
                WindowSpec::Fixed(_) => None,
            };
            let is_barred = |index: usize| {
                index >= width || partition.as_ref().is_some_and(|keys| !keys.contains(&index))
            };
            let uses = uses_any(&filter.predicate, filter.input.schema(), &columns, is_barred);
            (!uses).then_some((assign, columns))
        }
        LogicalPlan::Projection(projection) => {
            let (assign, columns) = below(&projection.input)?;
            let width = assign.input.schema().fields().len();
            let schema = projection.input.schema();
            let mut origins = Vec::with_capacity(projection.expr.len());
            for expr in &projection.expr {
                origins.push(match unaliased(expr) {
                    Expr::Column(column) => columns.get(index_of(schema, column)?).copied().flatten(),
                    other if uses_any(other, schema, &columns, |index| index >= width) => return None,
                    _ => None,
                });
            }
            Some((assign, origins))
        }
        _ => None,
    }
}

/// The columns of `PARTITION BY`.
fn partition_columns(assign: &WindowAssignNode) -> Option<Vec<usize>> {
    let schema = assign.input.schema();
    let columns = assign.partition_by.iter().map(|expr| match expr {
        Expr::Column(column) => index_of(schema, column),
        _ => None,
    });
    columns.collect()
}

/// Whether an expression looks at a column whose origin is one that counts.
fn uses_any(
    expr: &Expr,
    schema: &datafusion::common::DFSchema,
    columns: &[Option<usize>],
    counts: impl Fn(usize) -> bool,
) -> bool {
    expr.column_refs().into_iter().any(|column| {
        let origin = index_of(schema, column).and_then(|index| columns.get(index).copied().flatten());
        origin.is_some_and(&counts)
    })
}

/// Takes the assignment out: the columns that were a window's carry the event time, of which the aggregate makes the
/// window.
fn unassigned(plan: LogicalPlan) -> Result<LogicalPlan, StreamError> {
    let replaced = plan.transform_down(|plan| {
        let LogicalPlan::Projection(projection) = plan else { return Ok(Transformed::no(plan)) };
        let assign = match projection.input.as_ref() {
            LogicalPlan::Extension(extension) => {
                extension.node.as_any().downcast_ref::<WindowAssignNode>().cloned()
            }
            _ => None,
        };
        let Some(assign) = assign else { return Ok(Transformed::no(LogicalPlan::Projection(projection))) };
        let time_for_window = |expr: Expr| {
            expr.transform_up(|expr| {
                let is_window = matches!(&expr, Expr::Column(column)
                    if column.relation.is_none() && WINDOW_COLUMNS.iter().any(|(name, ..)| *name == column.name));
                Ok(if is_window { Transformed::yes(assign.time.clone()) } else { Transformed::no(expr) })
            })
            .map(|replaced| replaced.data)
        };
        let exprs = projection.expr.into_iter().map(time_for_window).collect::<Result<Vec<_>, _>>()?;
        let projection =
            Projection::try_new_with_schema(exprs, Arc::new(assign.input), projection.schema)?;
        Ok(Transformed::new(LogicalPlan::Projection(projection), true, TreeNodeRecursion::Jump))
    })?;
    Ok(replaced.data)
}

/// A group by columns of a window that the rows carry.
fn attached(context: &Context<'_>, aggregate: Aggregate) -> Result<LogicalPlan, StreamError> {
    let schema = aggregate.input.schema();
    let attributes = context.attributes(&aggregate.input);
    let of_window = aggregate.group_expr.iter().filter_map(|group| {
        let attribute = of_expr(group, schema, &attributes)?;
        Some((group, bound_of(attribute)?, preference(attribute.role)))
    });
    let Some((time, bound, _)) = of_window.min_by_key(|(.., rank)| *rank) else {
        return Err(no_window(context, &aggregate));
    };
    Ok(extension(WindowAggregateNode {
        window: WindowSpec::tumble(1),
        lateness_us: 0,
        time: time.clone(),
        bound,
        group_columns: (0..aggregate.group_expr.len()).map(GroupColumn::Key).collect(),
        keys: aggregate.group_expr.clone(),
        aggregates: aggregate.aggr_expr,
        schema: aggregate.schema,
        input: Arc::unwrap_or_clone(aggregate.input),
    }))
}
