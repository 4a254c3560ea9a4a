//! Conditions on texts are computed once per distinct value.
//!
//! A condition such as `event_type = 'order_completed'` costs a comparison of bytes for each row and each place
//! where it stands. Events have few types, so the decoder computes it once per type and hands over a BOOLEAN
//! column instead (a [`Derived`] column); where all uses of a text are such conditions, the text itself is not
//! made into a column at all. The chains' expressions are rewritten accordingly.
//!
//! ```text
//! before   decode type, session_id, …     count filter (type = 'view')   sum(case when type = 'order' then …)
//! after    decode session_id, …, d0, d1   count filter (d0)              sum(case when d1 then …)
//! ```

use std::{collections::BTreeSet, sync::Arc};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::{
    common::{
        Result,
        tree_node::{Transformed, TreeNode, TreeNodeRecursion},
    },
    physical_expr::expressions::Column,
};

use super::{DERIVED, condition::is_condition, map_columns};
use crate::{
    decode::plan::Derived,
    operator::{aggregate::Expr, assign::AssignColumn, step::Step, unnest::UnnestColumn},
    planner::{LocalPlan, SourcePlan, Terminal},
};

/// Replaces the conditions on texts in the chains of a source; answers what it is to decode instead.
pub(super) fn derive(source: &SourcePlan, locals: &mut [&mut LocalPlan]) -> Result<Vec<Derived>> {
    let mut found = Found { fields: Arc::clone(&source.decode.fields), derived: Vec::new() };
    for local in locals {
        found.conditions(local, &source.schema)?;
    }
    Ok(found.derived)
}

/// The derived columns found so far.
struct Found {
    fields: SchemaRef,
    derived: Vec<Derived>,
}

impl Found {
    /// Replaces the conditions in a chain.
    fn conditions(&mut self, local: &mut LocalPlan, source: &Schema) -> Result<()> {
        // Which text field of the records each column of the present step is, unchanged.
        let mut texts: Vec<Option<usize>> = (0..source.fields().len())
            .map(|column| {
                let field = self.fields.fields().get(column)?;
                (*field.data_type() == DataType::Utf8 && field.name() == source.field(column).name())
                    .then_some(column)
            })
            .collect();
        for step in &mut local.steps {
            match step {
                Step::Select { indexes } => texts = indexes.iter().map(|index| texts[*index]).collect(),
                Step::Filter { predicate } => *predicate = self.replace(predicate, &texts)?,
                Step::OnTime { .. } => {}
                Step::Project { exprs, .. } => {
                    for expr in exprs.iter_mut() {
                        *expr = self.replace(expr, &texts)?;
                    }
                    texts = exprs.iter().map(|expr| texts.get(column_of(expr)?).copied().flatten()).collect();
                }
                Step::Unnest(unnest) => {
                    let of = |column: &UnnestColumn| match column {
                        UnnestColumn::Input(index) => texts.get(*index).copied().flatten(),
                        _ => None,
                    };
                    texts = unnest.columns.iter().map(of).collect();
                }
                Step::Assign(assign) => {
                    let of = |column: &AssignColumn| match column {
                        AssignColumn::Input(index) => texts.get(*index).copied().flatten(),
                        _ => None,
                    };
                    texts = assign.columns.iter().map(of).collect();
                }
            }
        }
        if let Terminal::Window(spec) = &mut local.terminal {
            let mut own = spec.as_ref().clone();
            own.aggregation = own.aggregation.map_exprs(&mut |expr| self.replace(expr, &texts))?;
            *spec = Arc::new(own);
        }
        Ok(())
    }

    /// Replaces the largest conditions over one text each.
    fn replace(&mut self, expr: &Expr, texts: &[Option<usize>]) -> Result<Expr> {
        let replaced = Arc::clone(expr).transform_down(|expr| {
            let Some(text) = condition_on(&expr, texts) else { return Ok(Transformed::no(expr)) };
            let alone = map_columns(&expr, &|_| 0)?;
            let known =
                self.derived.iter().position(|d| d.column == text && d.expr.as_ref() == alone.as_ref());
            let number = known.unwrap_or_else(|| {
                let number = self.derived.len();
                let field = Arc::new(Field::new(format!("{alone}"), DataType::Boolean, true));
                self.derived.push(Derived { column: text, expr: alone, field });
                number
            });
            let column: Expr = Arc::new(Column::new("condition", DERIVED + number));
            Ok(Transformed::new(column, true, TreeNodeRecursion::Jump))
        })?;
        Ok(replaced.data)
    }
}

/// The one text field that a condition is on, if it is a condition on one.
fn condition_on(expr: &Expr, texts: &[Option<usize>]) -> Option<usize> {
    let mut fields = BTreeSet::new();
    is_condition(expr, &mut |column| {
        let text = texts.get(column).copied().flatten();
        fields.extend(text);
        text.is_some()
    })
    .then_some(())?;
    match (fields.len(), fields.first()) {
        (1, Some(text)) => Some(*text),
        _ => None,
    }
}

fn column_of(expr: &Expr) -> Option<usize> {
    expr.downcast_ref::<Column>().map(Column::index)
}
