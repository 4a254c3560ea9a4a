//! Patterns of `LIKE`.

use datafusion::sql::sqlparser::ast::{Expr, Value};

/// DataFusion takes a backslash for an escape character where none is declared, Flink takes it for itself.
pub(super) fn pattern(pattern: &mut Expr, escape: Option<char>) -> Result<(), String> {
    let literal = match pattern {
        Expr::Value(value) => match &mut value.value {
            Value::SingleQuotedString(text) => Some(text),
            _ => None,
        },
        _ => None,
    };
    let Some(literal) = literal else {
        if escape.is_some() {
            return Err("LIKE … ESCAPE needs a literal pattern".to_owned());
        }
        let plain = pattern.clone();
        *pattern = super::call("replace", vec![plain, super::text("\\"), super::text("\\\\")]);
        return Ok(());
    };
    if escape.is_none() && !literal.contains('\\') {
        return Ok(());
    }
    let mut out = String::with_capacity(literal.len() + 2);
    let mut chars = literal.chars();
    while let Some(c) = chars.next() {
        if Some(c) == escape {
            match chars.next() {
                Some(next) if matches!(next, '%' | '_') || Some(next) == escape => {
                    if next == '\\' || matches!(next, '%' | '_') {
                        out.push('\\');
                    }
                    out.push(next);
                }
                _ => {
                    return Err(format!(
                        "in the pattern '{literal}' the escape character stands before neither % nor _ nor itself"
                    ));
                }
            }
        } else {
            if c == '\\' {
                out.push('\\');
            }
            out.push(c);
        }
    }
    *literal = out;
    Ok(())
}

pub(super) fn one_character(text: &str) -> Result<char, String> {
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (Some(c), None) if !c.is_whitespace() && !c.is_control() => Ok(c),
        _ => Err(format!("'{text}' is not one escape character")),
    }
}
