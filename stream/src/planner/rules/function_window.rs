//! `GROUP BY tumble(…)`, `hop(…)` or `session(…)`: a window as a function, of the event time that it names or finds.

use std::sync::Arc;

use datafusion::{
    common::Column,
    functions::core::expr_fn::named_struct,
    logical_expr::{Aggregate, Expr, LogicalPlan, Projection, expr::ScalarFunction, lit},
};

use super::{
    context::{Context, unaliased},
    ordered_aggregate::over_whole,
};
use crate::{
    error::StreamError,
    operator::window_aggregate::GroupColumn,
    planner::{
        attributes::{Role, TimeAttribute, index_of, of_expr},
        nodes::{extension, window_aggregate::WindowAggregateNode, window_assign::WindowAssignNode},
    },
    sql::functions::window::{Marker, marker},
    window::WindowSpec,
};

/// The window of `GROUP BY tumble(…)`: its shape, and the time that it goes over.
fn window_of_function(
    context: &Context<'_>,
    aggregate: &Aggregate,
) -> Result<(WindowSpec, Expr, TimeAttribute), StreamError> {
    let mut window: Option<(WindowSpec, Expr, TimeAttribute)> = None;
    for function in aggregate.group_expr.iter().filter_map(|group| function(group, &aggregate.input)) {
        let (_, intervals) = time_argument(function);
        let spec = context.window(function.func.name(), intervals, &function.args)?;
        if window.as_ref().is_some_and(|(first, ..)| *first != spec) {
            return Err(context
                .error(&aggregate.group_expr, "the query groups by two different windows")
                .into());
        }
        let (time, attribute) = event_time(context, function, &aggregate.input)?;
        window = Some((spec, time, attribute));
    }
    window.ok_or_else(|| StreamError::internal("a window function got lost"))
}

/// `GROUP BY tumble(…)`.
pub(super) fn of_function(context: &Context<'_>, aggregate: Aggregate) -> Result<LogicalPlan, StreamError> {
    let (window, time, attribute) = window_of_function(context, &aggregate)?;
    let (mut group_columns, mut keys) = (Vec::new(), Vec::new());
    for group in &aggregate.group_expr {
        if function(group, &aggregate.input).is_some() {
            group_columns.push(GroupColumn::Window);
        } else {
            group_columns.push(GroupColumn::Key(keys.len()));
            keys.push(group.clone());
        }
    }
    let Some(bound) = attribute.bound else {
        return Err(StreamError::internal("event time without a bound"));
    };
    let input = without_functions(Arc::unwrap_or_clone(aggregate.input), &time)?;
    Ok(extension(WindowAggregateNode {
        input,
        window,
        lateness_us: attribute.lateness_us,
        time,
        bound,
        group_columns,
        keys,
        aggregates: aggregate.aggr_expr,
        schema: aggregate.schema,
    }))
}

/// `GROUP BY tumble(…)` with aggregates that want the rows in order: rows get the columns of their windows, and are grouped by those.
pub(super) fn ordered(context: &Context<'_>, aggregate: Aggregate) -> Result<LogicalPlan, StreamError> {
    let (window, time, attribute) = window_of_function(context, &aggregate)?;
    let Some(bound) = attribute.bound else {
        return Err(StreamError::internal("event time without a bound"));
    };
    let mut keys = aggregate.group_expr.clone();
    keys.retain(|group| function(group, &aggregate.input).is_none());
    let partition_by = match window {
        WindowSpec::Session { .. } => keys.iter().map(|key| unaliased(key).clone()).collect(),
        WindowSpec::Fixed(_) => Vec::new(),
    };
    if let Some(computed) = partition_by.iter().find(|key| !matches!(key, Expr::Column(_))) {
        return Err(context
            .error(
                std::slice::from_ref(computed),
                "sessions by what is computed cannot have aggregates that depend on the order of rows",
            )
            .with_help("compute it in a view below, and group by its column")
            .into());
    }
    let input = without_functions(Arc::unwrap_or_clone(Arc::clone(&aggregate.input)), &time)?;
    let assign = WindowAssignNode {
        schema: WindowAssignNode::schema_over(input.schema())?,
        input,
        window,
        time,
        bound,
        lateness_us: attribute.lateness_us,
        partition_by,
    };
    let bounds = [Role::Start, Role::End].into_iter().filter_map(WindowAssignNode::column);
    let groups = bounds.chain(keys).collect();
    let rows = Arc::new(extension(assign));
    let by_columns = over_whole(context, Aggregate::try_new(rows, groups, aggregate.aggr_expr.clone())?)?;
    let column = |index: usize| Expr::Column(Column::from(by_columns.schema().qualified_field(index)));
    let (mut columns, mut next) = (Vec::new(), 2);
    for group in &aggregate.group_expr {
        if function(group, &aggregate.input).is_some() {
            columns.push(named_struct(vec![lit("start"), column(0), lit("end"), column(1)]));
        } else {
            columns.push(column(next));
            next += 1;
        }
    }
    columns.extend((next..by_columns.schema().fields().len()).map(column));
    let named = columns
        .into_iter()
        .zip(aggregate.schema.iter())
        .map(|(column, (qualifier, field))| column.alias_qualified(qualifier.cloned(), field.name()));
    Ok(LogicalPlan::Projection(Projection::try_new(named.collect(), Arc::new(by_columns.clone()))?))
}

/// The window function that a group is, also where the projection below computes it.
pub(super) fn function<'a>(group: &'a Expr, input: &'a LogicalPlan) -> Option<&'a ScalarFunction> {
    match unaliased(group) {
        Expr::ScalarFunction(function) => {
            (marker(&function.func) == Some(Marker::Window)).then_some(function)
        }
        Expr::Column(column) => match input {
            LogicalPlan::Projection(projection) => {
                let expr = projection.expr.get(index_of(&projection.schema, column)?)?;
                function(expr, &projection.input)
            }
            LogicalPlan::SubqueryAlias(alias) => {
                let index = index_of(&alias.schema, column)?;
                let (qualifier, field) = alias.input.schema().qualified_field(index);
                let inner = Column::from((qualifier, field));
                // The expression lives in the projection below, which outlives this one.
                match alias.input.as_ref() {
                    LogicalPlan::Projection(projection) => {
                        let expr = projection.expr.get(index_of(&projection.schema, &inner)?)?;
                        function(expr, &projection.input)
                    }
                    _ => None,
                }
            }
            LogicalPlan::Filter(filter) => function(group, &filter.input),
            _ => None,
        },
        _ => None,
    }
}

/// `TUMBLE(time, size)` of Flink's older form names its time column; Arroyo's form does not.
fn time_argument(function: &ScalarFunction) -> (Option<&Expr>, &[Expr]) {
    match function.args.split_first() {
        Some((time @ Expr::Column(_), intervals)) => (Some(time), intervals),
        _ => (None, &function.args),
    }
}

/// The event time of a window function: the column that it names, or one of its input. Where there are several, the time of another window goes before a
/// source's.
fn event_time(
    context: &Context<'_>,
    function: &ScalarFunction,
    input: &LogicalPlan,
) -> Result<(Expr, TimeAttribute), StreamError> {
    let rank = |role: Role| match role {
        Role::Time => 0,
        Role::Event => 1,
        Role::End => 2,
        Role::Start | Role::Window => 3,
    };
    let attributes = context.attributes(input);
    if let (Some(time), _) = time_argument(function) {
        let found = of_expr(time, input.schema(), &attributes).filter(|found| found.bound.is_some());
        return match found {
            Some(attribute) => Ok((time.clone(), attribute)),
            None => Err(super::window_assign::no_event_time(context, time, None, input)),
        };
    }
    let columns = attributes.into_iter().enumerate().filter_map(|(index, found)| Some((index, found?)));
    let usable = columns.filter(|(_, found)| found.bound.is_some() && rank(found.role) < 3);
    let Some((index, attribute)) = usable.min_by_key(|(index, found)| (rank(found.role), *index)) else {
        return Err(context
            .error(&function.args, format!("{}() has no event time to work on", function.func.name()))
            .with_help("declare WATERMARK FOR a column of the table, and keep that column in the query")
            .into());
    };
    let column = Column::from(input.schema().qualified_field(index));
    Ok((Expr::Column(column), attribute))
}

/// A projection below that computed the window function passes on the time instead: only the group wanted it.
fn without_functions(plan: LogicalPlan, time: &Expr) -> Result<LogicalPlan, StreamError> {
    let is_function = |expr: &Expr| matches!(unaliased(expr), Expr::ScalarFunction(f) if marker(&f.func) == Some(Marker::Window));
    let Expr::Column(time) = time else { return Ok(plan) };
    match plan {
        LogicalPlan::Projection(projection) if projection.expr.iter().any(is_function) => {
            let index = index_of(&projection.schema, time);
            let Some(source) = index.and_then(|index| projection.expr.get(index)).cloned() else {
                return Err(StreamError::internal("event time got lost below a window function"));
            };
            let exprs = projection
                .expr
                .into_iter()
                .map(|expr| if is_function(&expr) { unaliased(&source).clone() } else { expr })
                .collect();
            let projection = Projection::try_new_with_schema(exprs, projection.input, projection.schema)?;
            Ok(LogicalPlan::Projection(projection))
        }
        other => Ok(other),
    }
}
