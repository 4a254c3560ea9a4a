//! The columns of Flink's older group windows, rewritten on the token stream.
//!
//! ```sql
//! SELECT TUMBLE_START(t, INTERVAL '1' MINUTE), COUNT(*) FROM e GROUP BY TUMBLE(t, INTERVAL '1' MINUTE)
//! ```
//!
//! `TUMBLE_START(…)` becomes the field `start` of the window that `TUMBLE(…)` is, `_END` its `end`, and `_ROWTIME` its
//! last millisecond; the same for `HOP` and `SESSION`. The planner knows the window functions themselves.

use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use super::tokens::{identifier, is_word, keyword};

/// Window functions; `_START`, `_END` and `_ROWTIME` are appended to their names.
const WINDOWS: [&str; 3] = ["TUMBLE", "HOP", "SESSION"];

/// Rewrites every such call in a statement.
pub(crate) fn rewrite(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let mut out = Vec::with_capacity(tokens.len());
    let mut index = 0;
    while index < tokens.len() {
        match call_at(&tokens, index) {
            None => {
                out.push(tokens[index].clone());
                index += 1;
            }
            Some((window, field, close)) => {
                expand(&tokens[index..=close], window, field, &mut out);
                index = close + 1;
            }
        }
    }
    out
}

/// A call at `index`: its window function, what is asked of it, and its closing parenthesis.
fn call_at(tokens: &[TokenWithSpan], index: usize) -> Option<(&'static str, &'static str, usize)> {
    if tokens.get(index + 1)?.token != Token::LParen {
        return None;
    }
    let (window, field) = WINDOWS.iter().find_map(|window| {
        let fields = ["START", "END", "ROWTIME"];
        let field =
            fields.iter().find(|field| is_word(&tokens[index].token, &format!("{window}_{field}")))?;
        Some((*window, *field))
    })?;
    Some((window, field, super::tvf::matching(tokens, index + 1)?))
}

fn expand(call: &[TokenWithSpan], window: &str, field: &str, out: &mut Vec<TokenWithSpan>) {
    let span = call[0].span;
    let token = |token: Token| TokenWithSpan { token, span };
    let of = if field == "START" { "start" } else { "end" };
    out.push(token(Token::LParen));
    out.push(identifier("get_field", span));
    out.push(token(Token::LParen));
    out.push(identifier(&window.to_lowercase(), span));
    out.extend(call[1..].iter().cloned());
    out.push(token(Token::Comma));
    out.push(token(Token::SingleQuotedString(of.to_owned())));
    out.push(token(Token::RParen));
    if field == "ROWTIME" {
        out.push(token(Token::Minus));
        out.push(keyword("INTERVAL", span));
        out.push(token(Token::SingleQuotedString("1 millisecond".to_owned())));
    }
    out.push(token(Token::RParen));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::tokens::statements;

    #[test]
    fn the_start_is_a_field_of_the_window() {
        let statement =
            statements("SELECT HOP_START(t, INTERVAL '1' DAY, INTERVAL '2' DAY) AS s, TUMBLE_STARTED(t)");
        let tokens = rewrite(statement.unwrap().remove(0));
        let text = tokens.iter().map(|t| t.token.to_string()).collect::<Vec<_>>().join(" ");
        insta::assert_snapshot!(
            text,
            @r#"SELECT ( "get_field" ( "hop" ( t , INTERVAL '1' DAY , INTERVAL '2' DAY ) , 'start' ) ) AS s , TUMBLE_STARTED ( t )"#
        );
    }
}
