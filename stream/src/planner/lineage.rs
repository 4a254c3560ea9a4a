//! Where a column comes from: the planner's knowledge of time.
//!
//! A window needs to know that the column it is given is event time, under which watermark; a ranking needs to
//! know that it ranks within a window. Both follow a column down the plan through projections, aliases,
//! filters and unions.

use datafusion::{
    common::{Column, DFSchema},
    logical_expr::{Expr, LogicalPlan, expr::ScalarFunction},
};

use super::nodes::{RankNode, WindowAggregateNode};
use crate::{
    operator::window_aggregate::GroupColumn,
    sql::functions::window::{Marker, marker},
};

/// Where a column comes from.
#[derive(Clone, Debug)]
pub(crate) enum Origin<'a> {
    /// A column of a table, by the table's name and the column's.
    Table(&'a str, &'a str),
    /// A column that a window aggregation put in front of its aggregates.
    Window(GroupColumn),
    /// A window marker, and the plan that its arguments are over.
    Marker(Marker, &'a ScalarFunction, &'a LogicalPlan),
    /// Anything that is computed.
    Computed,
}

/// Follows `column` of `plan`'s schema down.
pub(crate) fn origin<'a>(plan: &'a LogicalPlan, column: &Column) -> Origin<'a> {
    let Some(index) = index_of(plan.schema(), column) else { return Origin::Computed };
    origin_at(plan, index)
}

fn index_of(schema: &DFSchema, column: &Column) -> Option<usize> {
    schema.maybe_index_of_column(column).or_else(|| schema.index_of_column_by_name(None, &column.name))
}

/// Follows the column at `index` down.
pub(crate) fn origin_at(plan: &LogicalPlan, index: usize) -> Origin<'_> {
    match plan {
        LogicalPlan::Projection(projection) => match projection.expr.get(index) {
            Some(expr) => origin_of(expr, &projection.input),
            None => Origin::Computed,
        },
        LogicalPlan::SubqueryAlias(alias) => origin_at(&alias.input, index),
        LogicalPlan::Filter(filter) => origin_at(&filter.input, index),
        LogicalPlan::TableScan(scan) => {
            Origin::Table(scan.table_name.table(), scan.projected_schema.field(index).name())
        }
        LogicalPlan::Union(union) => {
            // A union's column has the origin that it has in all inputs.
            let mut origins = union.inputs.iter().map(|input| origin_at(input, index));
            let Some(first) = origins.next() else { return Origin::Computed };
            if origins.all(|other| same(&first, &other)) { first } else { Origin::Computed }
        }
        LogicalPlan::Extension(extension) => {
            let node = extension.node.as_any();
            if let Some(window) = node.downcast_ref::<WindowAggregateNode>() {
                return window
                    .group_columns
                    .get(index)
                    .map_or(Origin::Computed, |column| Origin::Window(*column));
            }
            match node.downcast_ref::<RankNode>() {
                Some(rank) if index < rank.input.schema().fields().len() => origin_at(&rank.input, index),
                _ => Origin::Computed,
            }
        }
        _ => Origin::Computed,
    }
}

/// Follows an expression over `input` down.
pub(crate) fn origin_of<'a>(expr: &'a Expr, input: &'a LogicalPlan) -> Origin<'a> {
    match expr {
        Expr::Alias(alias) => origin_of(&alias.expr, input),
        Expr::Column(column) => origin(input, column),
        Expr::ScalarFunction(function) => match marker(&function.func) {
            Some(marker) => Origin::Marker(marker, function, input),
            None => Origin::Computed,
        },
        _ => Origin::Computed,
    }
}

fn same(a: &Origin<'_>, b: &Origin<'_>) -> bool {
    match (a, b) {
        (Origin::Window(a), Origin::Window(b)) => a == b,
        (Origin::Table(..), Origin::Table(..)) => true,
        (Origin::Marker(m, a, _), Origin::Marker(n, b, _)) => m == n && a.args == b.args,
        _ => false,
    }
}
