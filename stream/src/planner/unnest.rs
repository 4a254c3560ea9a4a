//! `UNNEST`: a list of a row as rows.
//!
//! In `FROM t CROSS JOIN UNNEST(t.items) AS i (a, b)` the list is of the row at its left. DataFusion reads that as a
//! join with a subquery that refers to the row, and knows no execution of it. Here [`Relations`] makes an
//! [`UnnestNode`] over nothing of the `UNNEST`, with the columns that it has by its type, and [`joined`] puts that node
//! over the rows in place of the join.
//!
//! | form | rows |
//! |---|---|
//! | `FROM t, UNNEST(items)`, `CROSS JOIN`, `INNER JOIN … ON …` | one for each element |
//! | `LEFT JOIN UNNEST(items) ON TRUE` | also one, of NULLs, where there is no element |
//! | `SELECT UNNEST(items)` | one for each element, in place of the expression |
//!
//! The fields of a row become columns of their own, and so do key and value of a map. `WITH ORDINALITY` adds the number
//! of the element, from 1.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use datafusion::{
    common::{
        Column, DFSchema, JoinType, Result, ScalarValue, plan_err,
        tree_node::{Transformed, TreeNode},
    },
    error::DataFusionError,
    functions::core::expr_fn::get_field,
    logical_expr::{
        Expr, ExprSchemable, Join, LogicalPlan, LogicalPlanBuilder, Unnest,
        planner::{PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning},
    },
    sql::sqlparser::{
        ast::{Expr as SqlExpr, TableAlias, TableFactor},
        tokenizer::Span,
    },
};

use super::{
    catalog::Catalog,
    nodes::{extension, unnest::UnnestNode},
};
use crate::{error::StreamError, operator::unnest::UnnestColumn};

/// What plans the lists of `FROM`.
pub(super) fn relations() -> Arc<dyn RelationPlanner> {
    Arc::new(Relations)
}

/// Plans an `UNNEST` of `FROM`.
#[derive(Debug)]
struct Relations;

impl RelationPlanner for Relations {
    fn plan_relation(
        &self,
        relation: TableFactor,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<RelationPlanning> {
        let TableFactor::UNNEST { alias, mut array_exprs, with_offset, with_ordinality, .. } = relation
        else {
            return Ok(RelationPlanning::Original(Box::new(relation)));
        };
        if with_offset {
            return plan_err!("UNNEST has no WITH OFFSET. write WITH ORDINALITY, which counts from 1");
        }
        let (Some(list), true) = (array_exprs.pop(), array_exprs.is_empty()) else {
            return plan_err!("UNNEST takes one array or map. join one UNNEST for each");
        };
        let nothing = DFSchema::empty();
        let list = list_of(context, list, &nothing)?;
        let data_type = list.get_type(&nothing)?;
        let name = alias.as_ref().map_or_else(|| "EXPR$0".to_owned(), |alias| alias.name.value.clone());
        let Some(mut columns) = UnnestNode::columns_of(&data_type, &name) else {
            return plan_err!("UNNEST takes an array or a map, and this is {data_type}");
        };
        if with_ordinality {
            let number = Field::new("ORDINALITY", DataType::Int32, true);
            columns.push((UnnestColumn::Ordinality, Arc::new(number)));
        }
        let (alias, names) = match alias {
            None => (None, Vec::new()),
            Some(TableAlias { columns: names, name, explicit, at }) => {
                (Some(TableAlias { name, columns: Vec::new(), explicit, at }), names)
            }
        };
        if !names.is_empty() && names.len() != columns.len() {
            let known = columns.iter().map(|(_, field)| field.name().as_str()).collect::<Vec<_>>().join(", ");
            return plan_err!(
                "UNNEST has {} columns here ({known}), but {} names are given to them",
                columns.len(),
                names.len()
            );
        }
        for ((_, field), name) in columns.iter_mut().zip(names) {
            *field = Arc::new(Field::new(name.name.value, field.data_type().clone(), true));
        }
        let columns = columns.into_iter().map(|(column, field)| (column, None, field)).collect();
        let nothing = LogicalPlanBuilder::empty(true).build()?;
        let node = UnnestNode::new(nothing, list, false, columns)?;
        Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(extension(node), alias))))
    }
}

/// The list that a text stands for. DataFusion does not look into the columns of the row at the left for fields of
/// theirs, as in `t.ctx.items`: the longest part that it knows is a column, and the rest are fields.
fn list_of(context: &mut dyn RelationPlannerContext, list: SqlExpr, nothing: &DFSchema) -> Result<Expr> {
    let error = match (context.sql_to_expr(list.clone(), nothing), &list) {
        (Err(error), SqlExpr::CompoundIdentifier(_)) => error,
        (answer, _) => return answer,
    };
    let SqlExpr::CompoundIdentifier(names) = list else { return Err(error) };
    for known in (1..names.len()).rev() {
        let (column, fields) = names.split_at(known);
        let column = match column {
            [name] => SqlExpr::Identifier(name.clone()),
            names => SqlExpr::CompoundIdentifier(names.to_vec()),
        };
        if let Ok(column) = context.sql_to_expr(column, nothing) {
            return Ok(fields.iter().fold(column, |row, field| get_field(row, field.value.clone())));
        }
    }
    Err(error)
}

/// A plan whose lists are over their rows.
pub(super) fn joined(
    catalog: &Catalog,
    plan: LogicalPlan,
    statement: Span,
) -> Result<LogicalPlan, StreamError> {
    let rewritten = plan.transform_up_with_subqueries(|plan| match plan {
        LogicalPlan::Join(join) => match node_of(&join.right) {
            Some(node) => Ok(Transformed::yes(over(join, &node)?)),
            None => Ok(Transformed::no(LogicalPlan::Join(join))),
        },
        LogicalPlan::Unnest(unnest) => Ok(Transformed::yes(selected(unnest)?)),
        other => Ok(Transformed::no(other)),
    });
    rewritten.map(|plan| plan.data).map_err(|error| refused(catalog, error, statement))
}

/// An error of the rewriting, at the statement where it has no place of its own.
fn refused(catalog: &Catalog, error: DataFusionError, statement: Span) -> StreamError {
    match error {
        DataFusionError::Plan(message) => catalog.error(statement, message).into(),
        other => catalog.diagnose(other),
    }
}

/// The list that a plan is, its columns with the name of the relation.
fn node_of(plan: &LogicalPlan) -> Option<UnnestNode> {
    match plan {
        LogicalPlan::SubqueryAlias(alias) => {
            let mut node = node_of(&alias.input)?;
            for (_, qualifier, _) in &mut node.columns {
                *qualifier = Some(alias.alias.clone());
            }
            Some(node)
        }
        LogicalPlan::Subquery(subquery) => node_of(&subquery.subquery),
        LogicalPlan::Extension(extension) => {
            let node = extension.node.as_any().downcast_ref::<UnnestNode>()?;
            matches!(node.input, LogicalPlan::EmptyRelation(_)).then(|| node.clone())
        }
        _ => None,
    }
}

/// The node over the rows at the left of a join.
fn over(join: Join, node: &UnnestNode) -> Result<LogicalPlan> {
    let Join { left, on, filter, join_type, .. } = join;
    let is_true = |expr: &Expr| matches!(expr, Expr::Literal(ScalarValue::Boolean(Some(true)), _));
    let conditions = on.into_iter().map(|(a, b)| a.eq(b)).chain(filter).filter(|expr| !is_true(expr));
    let condition = conditions.reduce(Expr::and);
    let keeps_empty = match (join_type, &condition) {
        (JoinType::Inner, _) => false,
        (JoinType::Left, None) => true,
        (JoinType::Left, Some(_)) => return plan_err!("LEFT JOIN UNNEST(…) takes no condition but ON TRUE"),
        _ => return plan_err!("UNNEST is joined by CROSS JOIN, INNER JOIN or LEFT JOIN … ON TRUE"),
    };
    let schema = Arc::clone(left.schema());
    let list = node.list.clone().transform_up(|expr| match expr {
        Expr::OuterReferenceColumn(_, column) if schema.has_column(&column) => {
            Ok(Transformed::yes(Expr::Column(column)))
        }
        Expr::OuterReferenceColumn(_, column) => {
            plan_err!("UNNEST is of '{column}', which is no column of what it is joined to")
        }
        other => Ok(Transformed::no(other)),
    })?;
    let node = UnnestNode::new(Arc::unwrap_or_clone(left), list.data, keeps_empty, node.columns.clone())?;
    match condition {
        Some(condition) => LogicalPlanBuilder::from(extension(node)).filter(condition)?.build(),
        None => Ok(extension(node)),
    }
}

/// `SELECT UNNEST(list)`, as DataFusion reads it: an element comes out as it is.
fn selected(unnest: Unnest) -> Result<LogicalPlan> {
    let Unnest { input, list_type_columns, struct_type_columns, schema, .. } = unnest;
    let [(index, list)] = list_type_columns.as_slice() else {
        return plan_err!("a SELECT has one UNNEST. write CROSS JOIN UNNEST(…) for each list");
    };
    if list.depth != 1 || !struct_type_columns.is_empty() {
        return plan_err!("UNNEST of an UNNEST is not supported. write CROSS JOIN UNNEST(…) for each list");
    }
    let unnested = schema.index_of_column(&list.output_column)?;
    let element = Field::new(&list.output_column.name, schema.field(unnested).data_type().clone(), true);
    let of = Expr::Column(Column::from(input.schema().qualified_field(*index)));
    let of_input = |column: &Column| input.schema().maybe_index_of_column(column).is_some();
    // The list gives way to its elements, the other columns stay where they are.
    let columns = schema.columns().into_iter().enumerate().map(|(index, column)| {
        let name = column.name.clone();
        match index == unnested || !of_input(&column) {
            true => Expr::Column(Column::from_name(name)),
            false => Expr::Column(column),
        }
    });
    let columns: Vec<Expr> = columns.collect();
    let element = vec![(UnnestColumn::Element, None, Arc::new(element))];
    let node = UnnestNode::new(Arc::unwrap_or_clone(input), of, false, element)?;
    LogicalPlanBuilder::from(extension(node)).project(columns)?.build()
}
