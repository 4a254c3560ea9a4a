//! Expressions in words. Each part that is not a name, a value or a call stands in brackets: what binds stronger need not
//! be known to read it, and no two expressions have one text.

use datafusion::{
    arrow::util::display::array_value_to_string,
    common::{
        Column, DFSchema, Result, ScalarValue,
        tree_node::{Transformed, TreeNode},
    },
    logical_expr::{BinaryExpr, Expr},
};

use super::cut;

/// What columns of a schema are, by their place.
pub(crate) struct Columns<'a> {
    schema: &'a DFSchema,
    texts: &'a [String],
}

impl<'a> Columns<'a> {
    /// Of a plan's schema.
    pub(crate) fn new(schema: &'a DFSchema, texts: &'a [String]) -> Self {
        Columns { schema, texts }
    }

    /// Some expressions, in order.
    pub(crate) fn list(&self, exprs: &[Expr]) -> Result<String> {
        let texts = exprs.iter().map(|expr| self.text(expr)).collect::<Result<Vec<_>>>()?;
        Ok(texts.join(", "))
    }

    /// An expression.
    pub(crate) fn text(&self, expr: &Expr) -> Result<String> {
        Ok(cut(self.whole(expr)?))
    }

    fn whole(&self, expr: &Expr) -> Result<String> {
        match expr {
            Expr::Alias(alias) => self.whole(&alias.expr),
            Expr::Column(column) => Ok(self.column(column)),
            Expr::Literal(value, _) => literal(value),
            Expr::ScalarSubquery(subquery) => Ok(subquery.subquery.display_indent_schema().to_string()),
            Expr::BinaryExpr(binary) => self.binary(binary),
            other => self.call(other.clone()),
        }
    }

    /// As DataFusion writes it, over its parts in words.
    fn call(&self, expr: Expr) -> Result<String> {
        let named = expr.map_children(|part| {
            let text = self.part(&part)?;
            Ok(Transformed::yes(Expr::Column(Column::new_unqualified(text))))
        })?;
        Ok(named.data.to_string())
    }

    /// A comparison has its value on the right; of two columns the optimiser puts first what comes first by a name that
    /// may be a script's own.
    fn binary(&self, binary: &BinaryExpr) -> Result<String> {
        let (left, right) = (self.part(&binary.left)?, self.part(&binary.right)?);
        let is_value = |side: &Expr| matches!(side, Expr::Literal(..));
        let turns = match (is_value(&binary.left), is_value(&binary.right)) {
            (false, true) => false,
            (true, false) => true,
            _ => right < left,
        };
        match binary.op.swap() {
            Some(turned) if turns => Ok(format!("{right} {turned} {left}")),
            _ => Ok(format!("{left} {} {right}", binary.op)),
        }
    }

    fn part(&self, expr: &Expr) -> Result<String> {
        let text = self.text(expr)?;
        Ok(if is_closed(expr) { text } else { format!("({text})") })
    }

    fn column(&self, column: &Column) -> String {
        let index = self.schema.maybe_index_of_column(column);
        let text = index.and_then(|index| self.texts.get(index));
        // A column of something around the plan: it is none of its own.
        text.cloned().unwrap_or_else(|| format!("outer {column}"))
    }
}

fn is_closed(expr: &Expr) -> bool {
    match expr {
        Expr::Alias(alias) => is_closed(&alias.expr),
        Expr::Column(_) | Expr::Literal(..) | Expr::Cast(_) | Expr::TryCast(_) | Expr::ScalarFunction(_) => {
            true
        }
        _ => false,
    }
}

/// A value with its type; lists and the like whole, which their own text is not.
fn literal(value: &ScalarValue) -> Result<String> {
    if !value.data_type().is_nested() {
        return Ok(format!("{value:?}"));
    }
    let text = array_value_to_string(value.to_array()?.as_ref(), 0)?;
    Ok(format!("{}({text})", value.data_type()))
}
