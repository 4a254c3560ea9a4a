//! Flink's window table functions, rewritten on the token stream.
//!
//! ```sql
//! FROM TABLE(HOP(TABLE events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE, INTERVAL '1' HOUR))
//! ```
//!
//! becomes a subquery that adds the three window columns by marker functions, which the planner recognises
//! ([`crate::sql::functions::window`]):
//!
//! ```sql
//! FROM (SELECT *,
//!       __window_start('hop', event_time, INTERVAL '1' MINUTE, INTERVAL '1' HOUR) AS window_start,
//!       __window_end('hop', …) AS window_end, __window_time('hop', …) AS window_time FROM events)
//! ```
//!
//! `TUMBLE`, `HOP`, `CUMULATE` and `SESSION` (with `PARTITION BY`) are understood, with positional or named arguments
//! (`DATA =>`, `TIMECOL =>`, `SIZE =>`, `SLIDE =>`, `STEP =>`, `GAP =>`, and but for sessions `OFFSET =>`). The new tokens carry the place of the ones they
//! stand for.

use datafusion::sql::sqlparser::tokenizer::{Span, Token, TokenWithSpan};

use super::tokens::{identifier, is_word, keyword, place};
use crate::error::SqlError;

/// The functions and their arguments after `DATA` and `TIMECOL`, in order.
const FUNCTIONS: [(&str, &[&str], &str); 4] = [
    ("TUMBLE", &["SIZE"], "TABLE(TUMBLE(TABLE t, DESCRIPTOR(time_column), INTERVAL '1' MINUTE))"),
    (
        "HOP",
        &["SLIDE", "SIZE"],
        "TABLE(HOP(TABLE t, DESCRIPTOR(time_column), INTERVAL '1' MINUTE, INTERVAL '1' HOUR))",
    ),
    (
        "CUMULATE",
        &["STEP", "SIZE"],
        "TABLE(CUMULATE(TABLE t, DESCRIPTOR(time_column), INTERVAL '1' HOUR, INTERVAL '1' DAY))",
    ),
    (
        "SESSION",
        &["GAP"],
        "TABLE(SESSION(TABLE t PARTITION BY key, DESCRIPTOR(time_column), INTERVAL '30' MINUTE))",
    ),
];

/// Rewrites every window table function in a statement.
pub(crate) fn rewrite(script: &str, tokens: Vec<TokenWithSpan>) -> Result<Vec<TokenWithSpan>, SqlError> {
    let mut out = Vec::with_capacity(tokens.len());
    let mut index = 0;
    while index < tokens.len() {
        match call_at(&tokens, index) {
            None => {
                out.push(tokens[index].clone());
                index += 1;
            }
            Some(open) => {
                let close = matching(&tokens, open).ok_or_else(|| unclosed(script, &tokens[open]))?;
                let outer = close + 1;
                if tokens.get(outer).map(|t| &t.token) != Some(&Token::RParen) {
                    return Err(unclosed(script, &tokens[index + 1]));
                }
                let function = &tokens[open - 1];
                Call::read(script, function, &tokens[open + 1..close])?.write(function.span, &mut out);
                index = outer + 1;
            }
        }
    }
    Ok(out)
}

/// `TABLE ( NAME (` at `index`: the index of the inner parenthesis.
fn call_at(tokens: &[TokenWithSpan], index: usize) -> Option<usize> {
    let word = |offset: usize| tokens.get(index + offset).map(|t| &t.token);
    let is_call = is_word(word(0)?, "TABLE")
        && word(1)? == &Token::LParen
        && matches!(word(2)?, Token::Word(w) if w.quote_style.is_none())
        && word(3)? == &Token::LParen;
    is_call.then_some(index + 3)
}

/// The parenthesis that closes the one at `open`.
pub(super) fn matching(tokens: &[TokenWithSpan], open: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (index, token) in tokens.iter().enumerate().skip(open) {
        match token.token {
            Token::LParen => depth += 1,
            Token::RParen => {
                depth -= 1;
                if depth == 0 {
                    return Some(index);
                }
            }
            _ => {}
        }
    }
    None
}

fn unclosed(script: &str, token: &TokenWithSpan) -> SqlError {
    SqlError::at(script, place(token.span.start), "this parenthesis is not closed where expected")
}

/// A call, taken apart.
struct Call {
    name: &'static str,
    table: Vec<TokenWithSpan>,
    partition_by: Vec<TokenWithSpan>,
    time: Vec<TokenWithSpan>,
    intervals: Vec<Vec<TokenWithSpan>>,
}

impl Call {
    fn read(script: &str, function: &TokenWithSpan, arguments: &[TokenWithSpan]) -> Result<Self, SqlError> {
        let at =
            |token: &TokenWithSpan, message: &str| SqlError::at(script, place(token.span.start), message);
        let Some((name, interval_names, example)) =
            FUNCTIONS.iter().find(|(name, ..)| is_word(&function.token, name))
        else {
            return Err(at(function, &format!("unknown window function {}", function.token))
                .with_help("the window functions are TUMBLE, HOP, CUMULATE and SESSION"));
        };
        let usage =
            |token: &TokenWithSpan, message: &str| at(token, message).with_help(format!("write {example}"));
        let is_session = *name == "SESSION";
        let mut names = vec!["DATA", "TIMECOL"];
        names.extend(interval_names.iter().copied().chain((!is_session).then_some("OFFSET")));

        // Data, time column and intervals, in this order.
        let mut slots: Vec<Option<Vec<TokenWithSpan>>> = vec![None; names.len()];
        for (position, argument) in split_commas(arguments).into_iter().enumerate() {
            let first = argument.first().ok_or_else(|| usage(function, "an argument is empty"))?;
            let (slot, value) = match argument.get(1).map(|t| &t.token) {
                Some(Token::RArrow) => {
                    let slot = names.iter().position(|n| is_word(&first.token, n)).ok_or_else(|| {
                        at(first, &format!("{name} has no argument {}", first.token))
                            .with_help(format!("its arguments are {}", names.join(", ")))
                    })?;
                    (slot, &argument[2..])
                }
                _ => (position, &argument[..]),
            };
            match slots.get_mut(slot) {
                Some(free @ None) => *free = Some(value.to_vec()),
                _ => return Err(usage(first, &format!("{name} has too many arguments"))),
            }
        }
        let mut slots = slots.into_iter();
        let mut next = |what: &str| {
            slots.next().flatten().ok_or_else(|| usage(function, &format!("{name} lacks {what}")))
        };
        let (table, partition_by) = data_argument(next("its table")?, usage)?;
        let time = descriptor(next("DESCRIPTOR(time_column)")?, usage)?;
        let mut intervals = Vec::new();
        for interval in *interval_names {
            intervals.push(next(&format!("its {interval}"))?);
        }
        intervals.extend(slots.next().flatten());
        if !partition_by.is_empty() && !is_session {
            return Err(usage(function, &format!("{name} takes no PARTITION BY")));
        }
        Ok(Call { name, table, partition_by, time, intervals })
    }

    /// Writes its subquery, all of it at one place.
    fn write(self, span: Span, out: &mut Vec<TokenWithSpan>) {
        let token = |token: Token| TokenWithSpan { token, span };
        out.push(token(Token::LParen));
        out.push(keyword("SELECT", span));
        out.push(token(Token::Mul));
        for (marker, column) in [
            ("__window_start", "window_start"),
            ("__window_end", "window_end"),
            ("__window_time", "window_time"),
        ] {
            out.push(token(Token::Comma));
            out.push(identifier(marker, span));
            out.push(token(Token::LParen));
            out.push(token(Token::SingleQuotedString(self.name.to_lowercase())));
            out.push(token(Token::Comma));
            out.extend(self.time.iter().cloned());
            for interval in &self.intervals {
                out.push(token(Token::Comma));
                out.extend(interval.iter().cloned());
            }
            for column in &self.partition_by {
                out.push(token(Token::Comma));
                out.push(column.clone());
            }
            out.push(token(Token::RParen));
            out.push(keyword("AS", span));
            out.push(identifier(column, span));
        }
        out.push(keyword("FROM", span));
        out.extend(self.table);
        out.push(token(Token::RParen));
    }
}

/// `TABLE name [PARTITION BY a, b]`: the name's tokens and the columns.
///
/// The columns' commas were seen as argument commas by [`split_commas`], unless it knew of PARTITION BY.
fn data_argument(
    tokens: Vec<TokenWithSpan>,
    usage: impl Fn(&TokenWithSpan, &str) -> SqlError,
) -> Result<(Vec<TokenWithSpan>, Vec<TokenWithSpan>), SqlError> {
    let mut tokens = tokens.into_iter().peekable();
    let Some(first) = tokens.next() else { return Ok((Vec::new(), Vec::new())) };
    if !is_word(&first.token, "TABLE") {
        return Err(usage(&first, "expected TABLE and a table's name"));
    }
    let mut table = Vec::new();
    let mut columns = Vec::new();
    let mut in_columns = false;
    while let Some(token) = tokens.next() {
        if is_word(&token.token, "PARTITION") && tokens.peek().is_some_and(|t| is_word(&t.token, "BY")) {
            tokens.next();
            in_columns = true;
        } else if in_columns {
            match &token.token {
                Token::Word(_) => columns.push(token),
                Token::Comma => {}
                _ => return Err(usage(&token, "PARTITION BY takes column names")),
            }
        } else if matches!(token.token, Token::Word(_) | Token::Period) {
            table.push(token);
        } else {
            return Err(usage(&token, "expected a table's name"));
        }
    }
    if table.is_empty() {
        return Err(usage(&first, "expected a table's name after TABLE"));
    }
    Ok((table, columns))
}

/// `DESCRIPTOR(column)`: the column's tokens.
fn descriptor(
    tokens: Vec<TokenWithSpan>,
    usage: impl Fn(&TokenWithSpan, &str) -> SqlError,
) -> Result<Vec<TokenWithSpan>, SqlError> {
    match tokens.as_slice() {
        [name, open, column, close]
            if is_word(&name.token, "DESCRIPTOR")
                && open.token == Token::LParen
                && matches!(column.token, Token::Word(_))
                && close.token == Token::RParen =>
        {
            Ok(vec![column.clone()])
        }
        [first, ..] => Err(usage(first, "expected DESCRIPTOR(time_column)")),
        [] => Ok(Vec::new()),
    }
}

/// Splits at commas outside parentheses. In `TABLE t PARTITION BY a, b, DESCRIPTOR(…)` the commas between the
/// columns stay: a column is a lone word, and every later argument is not.
fn split_commas(tokens: &[TokenWithSpan]) -> Vec<Vec<TokenWithSpan>> {
    let mut parts: Vec<Vec<TokenWithSpan>> = vec![Vec::new()];
    let mut depth = 0_usize;
    for (index, token) in tokens.iter().enumerate() {
        match token.token {
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.saturating_sub(1),
            _ => {}
        }
        let in_partition_by =
            parts.last().is_some_and(|part| part.iter().any(|t| is_word(&t.token, "PARTITION")));
        let lone_word_follows = matches!(tokens.get(index + 1).map(|t| &t.token), Some(Token::Word(_)))
            && matches!(tokens.get(index + 2).map(|t| &t.token), Some(Token::Comma));
        if token.token == Token::Comma && depth == 0 && !(in_partition_by && lone_word_follows) {
            parts.push(Vec::new());
        } else if let Some(part) = parts.last_mut() {
            part.push(token.clone());
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::tokens::statements;

    fn rewritten(script: &str) -> String {
        let statement = statements(script).unwrap().remove(0);
        match rewrite(script, statement) {
            Ok(tokens) => tokens.iter().map(|t| t.token.to_string()).collect::<Vec<_>>().join(" "),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn hop_becomes_a_subquery_with_markers() {
        insta::assert_snapshot!(
            rewritten("SELECT * FROM TABLE(HOP(TABLE e, DESCRIPTOR(ts), INTERVAL '1' MINUTE, INTERVAL '1' HOUR)) x"),
            @r#"SELECT * FROM ( SELECT * , "__window_start" ( 'hop' , ts , INTERVAL '1' MINUTE , INTERVAL '1' HOUR ) AS "window_start" , "__window_end" ( 'hop' , ts , INTERVAL '1' MINUTE , INTERVAL '1' HOUR ) AS "window_end" , "__window_time" ( 'hop' , ts , INTERVAL '1' MINUTE , INTERVAL '1' HOUR ) AS "window_time" FROM e ) x"#
        );
    }

    #[test]
    fn named_arguments_and_partition_by() {
        let named = rewritten(
            "FROM TABLE(SESSION(DATA => TABLE e PARTITION BY a, b, TIMECOL => DESCRIPTOR(ts), GAP => INTERVAL '1' MINUTE))",
        );
        let positional =
            rewritten("FROM TABLE(SESSION(TABLE e PARTITION BY a, b, DESCRIPTOR(ts), INTERVAL '1' MINUTE))");
        assert_eq!(named, positional);
        assert!(named.contains("( 'session' , ts , INTERVAL '1' MINUTE , a , b )"), "{named}");
    }

    #[test]
    fn mistakes_point_at_their_place() {
        insta::assert_snapshot!(rewritten("SELECT *\nFROM TABLE(TUMBEL(TABLE e, DESCRIPTOR(ts), INTERVAL '1' MINUTE))"), @r"
        unknown window function TUMBEL
          at line 2, column 12
          2 | FROM TABLE(TUMBEL(TABLE e, DESCRIPTOR(ts), INTERVAL '1' MINUTE))
            |            ^
          help: the window functions are TUMBLE, HOP, CUMULATE and SESSION
        ");
        insta::assert_snapshot!(rewritten("SELECT * FROM TABLE(HOP(TABLE e, ts, INTERVAL '1' MINUTE))"), @r"
        expected DESCRIPTOR(time_column)
          at line 1, column 34
          1 | SELECT * FROM TABLE(HOP(TABLE e, ts, INTERVAL '1' MINUTE))
            |                                  ^
          help: write TABLE(HOP(TABLE t, DESCRIPTOR(time_column), INTERVAL '1' MINUTE, INTERVAL '1' HOUR))
        ");
    }
}
