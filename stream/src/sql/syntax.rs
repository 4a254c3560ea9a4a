//! Flink's syntax that the parser does not know, rewritten on the token stream.
//!
//! | written | becomes |
//! |---|---|
//! | `CASE a WHEN 1, 2 THEN x` | `CASE a WHEN 1 THEN x WHEN 2 THEN x` |
//! | `a BETWEEN ASYMMETRIC b AND c` | `a BETWEEN b AND c` |
//! | `MAP[a, b, c, d]` | `__map(a, b, c, d)`, which `dialect.rs` reads |
//! | `TRIM(LEADING FROM a)` | `TRIM(LEADING ' ' FROM a)` |

use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use super::tokens::{identifier, is_word, keyword};

type Tokens = Vec<TokenWithSpan>;

/// Rewrites a statement.
pub(crate) fn rewrite(tokens: Tokens) -> Tokens {
    let mut out: Tokens = Vec::with_capacity(tokens.len());
    let mut index = 0;
    while index < tokens.len() {
        let is = |ahead: usize, word| tokens.get(index + ahead).is_some_and(|t| is_word(&t.token, word));
        if is(0, "MAP")
            && tokens.get(index + 1).is_some_and(|t| t.token == Token::LBracket)
            && let Some(close) = closing(&tokens, index + 1)
        {
            let span = tokens[index].span;
            out.push(identifier("__map", span));
            out.push(TokenWithSpan { token: Token::LParen, span });
            out.extend(rewrite(tokens[index + 2..close].to_vec()));
            out.push(TokenWithSpan { token: Token::RParen, span });
            index = close + 1;
            continue;
        }
        if is(0, "TRIM") && ["LEADING", "TRAILING", "BOTH"].iter().any(|side| is(2, side)) && is(3, "FROM") {
            out.extend_from_slice(&tokens[index..index + 3]);
            let blank = Token::SingleQuotedString(" ".to_owned());
            out.push(TokenWithSpan { token: blank, span: tokens[index].span });
            index += 3;
            continue;
        }
        if is(0, "BETWEEN") && is(1, "ASYMMETRIC") {
            out.push(tokens[index].clone());
            index += 2;
            continue;
        }
        if is(0, "WHEN")
            && let Some(end) = values(&tokens, index + 1)
        {
            out.extend(repeated(&tokens[index..end.then], &tokens[end.then..end.next]));
            index = end.next;
            continue;
        }
        out.push(tokens[index].clone());
        index += 1;
    }
    out
}

/// The bracket that closes the one at `open`.
fn closing(tokens: &[TokenWithSpan], open: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (index, token) in tokens.iter().enumerate().skip(open) {
        match token.token {
            Token::LBracket => depth += 1,
            Token::RBracket => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(index);
                }
            }
            _ => {}
        }
    }
    None
}

/// Where a `WHEN` with several values ends.
struct When {
    then: usize,
    next: usize,
}

/// The end of `WHEN a, b THEN x`, whose values start at `from`; `None` for one value.
fn values(tokens: &[TokenWithSpan], from: usize) -> Option<When> {
    let (mut depth, mut then, mut several) = (0_usize, None, false);
    for (index, token) in tokens.iter().enumerate().skip(from) {
        match &token.token {
            Token::LParen | Token::LBracket => depth += 1,
            Token::RParen | Token::RBracket => depth = depth.checked_sub(1)?,
            word if is_word(word, "CASE") => depth += 1,
            word if depth > 0 && is_word(word, "END") => depth -= 1,
            Token::Comma if depth == 0 && then.is_none() => several = true,
            word if depth == 0 && then.is_none() && is_word(word, "THEN") => {
                if !several {
                    return None;
                }
                then = Some(index);
            }
            word if depth == 0 && ["WHEN", "ELSE", "END"].iter().any(|end| is_word(word, end)) => {
                return then.map(|then| When { then, next: index });
            }
            _ => {}
        }
    }
    None
}

/// `WHEN a, b` and `THEN x`, as one `WHEN` for each value.
fn repeated(when: &[TokenWithSpan], then: &[TokenWithSpan]) -> Tokens {
    let mut out = Vec::new();
    let mut depth = 0_usize;
    out.push(when[0].clone());
    for token in &when[1..] {
        match token.token {
            Token::LParen | Token::LBracket => depth += 1,
            Token::RParen | Token::RBracket => depth = depth.saturating_sub(1),
            Token::Comma if depth == 0 => {
                out.extend_from_slice(then);
                out.push(keyword("WHEN", token.span));
                continue;
            }
            _ => {}
        }
        out.push(token.clone());
    }
    out.extend_from_slice(then);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::tokens::statements;

    fn rewritten(text: &str) -> String {
        let tokens = rewrite(statements(text).unwrap().remove(0));
        tokens.iter().map(|t| t.token.to_string()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_value_has_a_branch_of_its_own() {
        insta::assert_snapshot!(
            rewritten("CASE a WHEN f(1, 2), 2 THEN g(1, 2) WHEN 3 THEN 4 ELSE 5 END"),
            @"CASE a WHEN f ( 1 , 2 ) THEN g ( 1 , 2 ) WHEN 2 THEN g ( 1 , 2 ) WHEN 3 THEN 4 ELSE 5 END"
        );
        insta::assert_snapshot!(rewritten("CASE WHEN a IN (1, 2) THEN 1 END"), @"CASE WHEN a IN ( 1 , 2 ) THEN 1 END");
    }
}
