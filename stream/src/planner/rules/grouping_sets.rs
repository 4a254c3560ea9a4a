//! `GROUPING SETS`, `ROLLUP` and `CUBE`: an aggregate for each set, one below another.
//!
//! Each set is grouped on its own, by the rule for plain groups, so that each must hold a window. Columns that a set leaves
//! out are NULL in its rows, and `GROUPING(…)` tells which they are.

use std::sync::Arc;

use datafusion::{
    common::{Column, DFSchema, Result, ScalarValue},
    logical_expr::{
        Aggregate, Expr, GroupingSet, LogicalPlan, Projection, Union, lit, utils::grouping_set_to_exprlist,
    },
};

/// The sets of a group, each a list of expressions; `None` for a plain group.
fn sets(group: &[Expr]) -> Option<Vec<Vec<Expr>>> {
    let [Expr::GroupingSet(set)] = group else { return None };
    Some(match set {
        GroupingSet::GroupingSets(sets) => sets.clone(),
        GroupingSet::Rollup(exprs) => (0..=exprs.len()).rev().map(|count| exprs[..count].to_vec()).collect(),
        GroupingSet::Cube(exprs) => {
            let is_in = |chosen: usize, index: usize| chosen >> index & 1 == 1;
            let of = |chosen: usize| {
                let members = exprs.iter().enumerate().filter(|(index, _)| is_in(chosen, *index));
                members.map(|(_, expr)| expr.clone()).collect()
            };
            (0..1_usize << exprs.len().min(16)).map(of).collect()
        }
    })
}

/// The aggregates of each set, and how their rows become those of all; `None` for a plain group.
pub(super) struct Sets {
    /// An aggregate a set.
    pub(super) aggregates: Vec<Aggregate>,
    exprs: Vec<Expr>,
    sets: Vec<Vec<Expr>>,
    schema: Arc<DFSchema>,
}

impl Sets {
    pub(super) fn of(aggregate: &Aggregate) -> Result<Option<Sets>> {
        let Some(sets) = sets(&aggregate.group_expr) else { return Ok(None) };
        let exprs = grouping_set_to_exprlist(&aggregate.group_expr)?.into_iter().cloned().collect();
        let one = |set: &Vec<Expr>| {
            Aggregate::try_new(Arc::clone(&aggregate.input), set.clone(), aggregate.aggr_expr.clone())
        };
        let aggregates = sets.iter().map(one).collect::<Result<_>>()?;
        Ok(Some(Sets { aggregates, exprs, sets, schema: Arc::clone(&aggregate.schema) }))
    }

    /// The rows of all sets, given what became of each aggregate.
    pub(super) fn together(&self, plans: Vec<LogicalPlan>) -> Result<LogicalPlan> {
        let mut parts = Vec::with_capacity(plans.len());
        for (set, plan) in self.sets.iter().zip(plans) {
            let mut columns = Vec::with_capacity(self.schema.fields().len());
            for (expr, field) in self.exprs.iter().zip(self.schema.fields()) {
                columns.push(match set.iter().position(|member| member == expr) {
                    Some(index) => column(plan.schema(), index),
                    None => lit(ScalarValue::try_from(field.data_type())?),
                });
            }
            columns.push(self.grouping_id(set)?);
            columns
                .extend((set.len()..plan.schema().fields().len()).map(|index| column(plan.schema(), index)));
            parts.push(Arc::new(self.named(columns, plan)?));
        }
        let union = Union::try_new_with_loose_types(parts)?;
        let columns = (0..self.schema.fields().len()).map(|index| column(&union.schema, index)).collect();
        self.named(columns, LogicalPlan::Union(union))
    }

    /// These columns, by the names of the aggregate's.
    fn named(&self, columns: Vec<Expr>, input: LogicalPlan) -> Result<LogicalPlan> {
        let named = columns
            .into_iter()
            .zip(self.schema.iter())
            .map(|(column, (qualifier, field))| column.alias_qualified(qualifier.cloned(), field.name()));
        Ok(LogicalPlan::Projection(Projection::try_new(named.collect(), Arc::new(input))?))
    }

    /// A bit for each expression that a set leaves out, the last one's the lowest.
    fn grouping_id(&self, set: &[Expr]) -> Result<Expr> {
        let id = self.exprs.iter().fold(0_u64, |id, expr| id << 1 | u64::from(!set.contains(expr)));
        let of_type = self.schema.field(self.exprs.len()).data_type();
        Ok(lit(ScalarValue::UInt64(Some(id)).cast_to(of_type)?))
    }
}

fn column(schema: &DFSchema, index: usize) -> Expr {
    Expr::Column(Column::from(schema.qualified_field(index)))
}
