//! Forms of Flink's SQL that are not supported, by their names: what the parser would say of them is no help.

use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use super::tokens::{is_word, place};
use crate::error::SqlError;

/// The words that a form begins with, what it is, and what would work.
const FORMS: [(&[&str], &str, &str); 4] = [
    (
        &["FOR", "SYSTEM_TIME"],
        "FOR SYSTEM_TIME AS OF, a join with a table as it was at a time, is not supported",
        "join two streams ON a.k = b.k AND a.t BETWEEN b.t - INTERVAL '5' MINUTE AND b.t + INTERVAL '5' MINUTE",
    ),
    (
        &["MATCH_RECOGNIZE"],
        "MATCH_RECOGNIZE is not supported",
        "window_funnel(…) counts the steps that came in order within a window; LAG(…) OVER a window sees the row before",
    ),
    (
        &["CURRENT_WATERMARK", "("],
        "CURRENT_WATERMARK is not supported: it tells when a row came and not what it is",
        "a window, or ORDER BY the event time, waits for the watermark",
    ),
    (
        &["PROCTIME", "("],
        "PROCTIME(), the time of the clock, is not supported: a result would depend on when a row is read",
        "declare WATERMARK FOR the column that says when it happened, and window over that",
    ),
];

/// Refuses a statement with one of the forms, at its place.
pub(crate) fn check(script: &str, tokens: &[TokenWithSpan]) -> Result<(), SqlError> {
    let is = |token: &TokenWithSpan, word: &str| match word {
        "(" => token.token == Token::LParen,
        word => is_word(&token.token, word),
    };
    for (words, message, help) in FORMS {
        for (index, token) in tokens.iter().enumerate() {
            let rest = &tokens[index..];
            if rest.len() > words.len() && rest.iter().zip(words).all(|(token, word)| is(token, word)) {
                return Err(SqlError::at(script, place(token.span.start), message).with_help(help));
            }
        }
    }
    Ok(())
}
