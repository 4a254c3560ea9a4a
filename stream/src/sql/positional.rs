//! The columns of `INSERT INTO t SELECT …` go by their position: their names are nobody's concern, and may repeat.
//!
//! DataFusion wants them to differ. So columns without a name of their own get Flink's, `EXPR$0` and so on.

use std::collections::BTreeSet;

use datafusion::sql::sqlparser::ast::{Expr, Ident, Query, Select, SelectItem, SetExpr};

/// Names the columns of an inserted query.
pub(crate) fn name_columns(query: &mut Query) {
    of_body(&mut query.body);
}

fn of_body(body: &mut SetExpr) {
    match body {
        SetExpr::Select(select) => of_select(select),
        SetExpr::Query(query) => name_columns(query),
        SetExpr::SetOperation { left, right, .. } => {
            of_body(left);
            of_body(right);
        }
        _ => {}
    }
}

fn of_select(select: &mut Select) {
    let is_all =
        |item: &SelectItem| matches!(item, SelectItem::Wildcard(..) | SelectItem::QualifiedWildcard(..));
    let has_all = select.projection.iter().any(is_all);
    // What is computed is called after its expression without its casts: it may have another column's name.
    let is_alone = select.projection.len() == 1;
    let mut taken: BTreeSet<String> = BTreeSet::new();
    for item in &select.projection {
        if let SelectItem::ExprWithAlias { alias, .. } = item {
            taken.insert(alias.value.clone());
        }
    }
    for (index, item) in select.projection.iter_mut().enumerate() {
        let SelectItem::UnnamedExpr(expr) = item else { continue };
        let is_unique = match name_of(expr) {
            Some(name) => !has_all && taken.insert(name.to_owned()),
            None => !has_all && is_alone,
        };
        if !is_unique {
            let alias = Ident::with_quote('`', format!("EXPR${index}"));
            *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias };
        }
    }
}

/// The name of a column that is selected as it is.
fn name_of(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Identifier(name) => Some(&name.value),
        Expr::CompoundIdentifier(names) => names.last().map(|name| name.value.as_str()),
        _ => None,
    }
}
