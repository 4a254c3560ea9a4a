//! `SIMILAR TO`: SQL's regular expressions, written as those of [`REGEXP`](crate::sql::functions).
//!
//! `%` is any text, and `_` and `.` are any character but the end of a line; `|`, `*`, `+`, `?`, `{n}`, parentheses and brackets are as in other regular
//! expressions, and everything else is itself. The whole text must match.

use datafusion::sql::sqlparser::ast::{Expr, Value};

pub(super) fn expression(pattern: &Expr, escape: Option<Value>) -> Result<String, String> {
    let Expr::Value(literal) = pattern else { return Err("SIMILAR TO needs a literal pattern".to_owned()) };
    let Value::SingleQuotedString(pattern) = &literal.value else {
        return Err("SIMILAR TO needs a literal pattern".to_owned());
    };
    let escape = match escape {
        None => None,
        Some(Value::SingleQuotedString(text)) => Some(super::like::one_character(&text)?),
        Some(other) => return Err(format!("SIMILAR TO cannot be escaped by {other}")),
    };
    let mut out = String::from("^(?:");
    let mut chars = pattern.chars();
    let mut in_brackets = false;
    while let Some(c) = chars.next() {
        match c {
            c if Some(c) == escape => match chars.next() {
                Some(next) => literal_character(next, &mut out),
                None => return Err(format!("the pattern '{pattern}' ends with its escape character")),
            },
            '[' | ']' => {
                in_brackets = c == '[';
                out.push(c);
            }
            c if in_brackets => out.push(c),
            '_' | '.' => out.push('.'),
            '%' => out.push_str(r"[\s\S]*"),
            '|' | '*' | '+' | '?' | '{' | '}' | '(' | ')' => out.push(c),
            // Flink hands these on as well, where they have their meaning in Java.
            '\\' | '^' | '$' => {
                return Err(format!(
                    "the pattern '{pattern}' has a {c}, which is not understood. write REGEXP"
                ));
            }
            other => literal_character(other, &mut out),
        }
    }
    out.push_str(")$");
    Ok(out)
}

fn literal_character(c: char, out: &mut String) {
    out.push_str(&regex::escape(&c.to_string()));
}
