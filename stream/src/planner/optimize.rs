//! A lowered graph made cheaper, without another answer.
//!
//! | module | what |
//! |---|---|
//! | [`texts`] | conditions on texts are computed once per distinct value, by the decoder |
//! | [`columns`] | columns that nobody looks at are neither decoded nor handed on |
//! | [`condition`] | which expressions may be computed ahead of their turn |
//! | [`case_when`] | CASE between a whole number and a constant is computed for all rows at once |
//! | [`rank_limit`] | rankings sort only the rows that are wanted |
//!
//! Only what a row of the merge stage never sees may change, so all but the last look at local chains alone.

mod case_when;
mod columns;
mod condition;
mod rank_limit;
mod texts;

use std::{collections::BTreeSet, sync::Arc};

use datafusion::{
    common::{
        Result,
        tree_node::{Transformed, TreeNode},
    },
    physical_expr::{expressions::Column, utils::collect_columns},
};

use super::{JobPlan, LocalPlan};
use crate::{error::StreamError, operator::aggregate::Expr};

/// While a chain is rewritten, derived column `d` is the column of index `DERIVED + d`.
const DERIVED: usize = 1 << 32;

/// Rewrites the local chains of every source, settles what it decodes, and limits rankings.
pub(super) fn optimize(plan: &mut JobPlan) -> std::result::Result<(), StreamError> {
    for (index, source) in plan.sources.iter_mut().enumerate() {
        let mut locals: Vec<&mut LocalPlan> =
            plan.locals.iter_mut().filter(|local| local.source == index).collect();
        let derived = texts::derive(source, &mut locals)?;
        for local in &mut locals {
            columns::prune(local, &source.schema, &derived)?;
        }
        columns::settle(source, &mut locals, derived)?;
        for local in locals {
            case_when::replace_all(local, &source.schema)?;
        }
    }
    rank_limit::limit(&mut plan.nodes);
    Ok(())
}

/// The expression over columns in other places.
fn map_columns(expr: &Expr, to: &dyn Fn(usize) -> usize) -> Result<Expr> {
    let mapped = Arc::clone(expr).transform_up(|expr| match expr.downcast_ref::<Column>() {
        None => Ok(Transformed::no(expr)),
        Some(column) => {
            let column: Expr = Arc::new(Column::new(column.name(), to(column.index())));
            Ok(Transformed::yes(column))
        }
    })?;
    Ok(mapped.data)
}

/// Adds the columns that an expression is over.
fn add_columns(expr: &Expr, columns: &mut BTreeSet<usize>) {
    columns.extend(collect_columns(expr).iter().map(Column::index));
}
