//! What Flink and Arroyo have and a script does not, statements and forms within them, by name and each with what to write
//! instead: what the parser would say of them is no help.

use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use super::tokens;
use crate::error::SqlError;

/// First words of a statement, and what works. The longer ones of two come first.
const KNOWN: [(&str, &str); 36] = [
    ("CREATE FUNCTION", NO_FUNCTIONS),
    ("CREATE TEMPORARY FUNCTION", NO_FUNCTIONS),
    ("CREATE TEMPORARY SYSTEM FUNCTION", NO_FUNCTIONS),
    ("CREATE CATALOG", NO_CATALOG),
    ("CREATE DATABASE", NO_CATALOG),
    ("CREATE MODEL", "there are no models. compute features here, and send them to what has the model"),
    ("CREATE MATERIALIZED TABLE", "write CREATE TABLE name WITH (…) AS SELECT …"),
    ("CREATE MATERIALIZED VIEW", "write CREATE TABLE name WITH (…) AS SELECT …"),
    ("CREATE CONNECTION", "options of a connection go into the WITH (…) of each table"),
    ("INSERT OVERWRITE", "rows of a stream are added: write INSERT INTO"),
    ("DROP", "a script begins with nothing: leave the DROP out, or give the new table another name"),
    (
        "ALTER",
        "write the table as it shall be in its CREATE TABLE, or CREATE TABLE … LIKE with other options",
    ),
    ("UPDATE", ROWS_STAY),
    ("DELETE", ROWS_STAY),
    ("MERGE", ROWS_STAY),
    ("TRUNCATE", ROWS_STAY),
    ("ANALYZE", "plans do not depend on statistics: leave it out"),
    ("SHOW", "plamatio explain FILE.sql shows what a script does; plamatio sql has SHOW TABLES for the lake"),
    ("DESCRIBE", DESCRIBED),
    ("DESC", DESCRIBED),
    ("USE", NO_CATALOG),
    ("RESET", "a script begins with the settings' defaults: leave it out"),
    ("LOAD", NO_MODULES),
    ("UNLOAD", NO_MODULES),
    ("ADD JAR", NO_MODULES),
    ("REMOVE JAR", NO_MODULES),
    ("CALL", "there are no procedures"),
    ("STOP JOB", "end the process with SIGTERM: it commits what it has read"),
    ("COMPILE", "plamatio run plans a script each time it starts: run the script itself"),
    ("EXECUTE PLAN", "plamatio run plans a script each time it starts: run the script itself"),
    ("EXECUTE IMMEDIATE", "write the statement itself"),
    ("COMMIT", NO_TRANSACTIONS),
    ("ROLLBACK", NO_TRANSACTIONS),
    ("START TRANSACTION", NO_TRANSACTIONS),
    ("COPY", "write INSERT INTO a_table WITH ('connector' = 'filesystem', …)"),
    ("VALUES", "write INSERT INTO a_sink_table SELECT … over a source"),
];

const NO_FUNCTIONS: &str = "functions are built in: docs/sql.md lists them";
const NO_CATALOG: &str =
    "tables and views belong to their script, and have no catalog or database: name them alone";
const NO_MODULES: &str = "connectors, formats and functions are built in: leave it out";
const NO_TRANSACTIONS: &str =
    "all INSERTs of a script run as one job, and its sinks commit together: leave it out";
const ROWS_STAY: &str = "a stream's rows are never changed afterwards. filter or compute them in a query";
const DESCRIBED: &str = "EXPLAIN SELECT * FROM name shows a table's columns";

/// The words that a form begins with, what it is, and what would work.
const FORMS: [(&str, &str, &str); 4] = [
    (
        "FOR SYSTEM_TIME",
        "FOR SYSTEM_TIME AS OF, a join with a table as it was at a time, is not supported",
        "join two streams ON a.k = b.k AND a.t BETWEEN b.t - INTERVAL '5' MINUTE AND b.t + INTERVAL '5' MINUTE",
    ),
    (
        "MATCH_RECOGNIZE",
        "MATCH_RECOGNIZE is not supported",
        "window_funnel(…) counts the steps that came in order within a window; LAG(…) OVER a window sees the row before",
    ),
    (
        "CURRENT_WATERMARK (",
        "CURRENT_WATERMARK is not supported: it tells when a row came and not what it is",
        "a window, or ORDER BY the event time, waits for the watermark",
    ),
    (
        "PROCTIME (",
        "PROCTIME(), the time of the clock, is not supported: a result would depend on when a row is read",
        "declare WATERMARK FOR the column that says when it happened, and window over that",
    ),
];

/// Refuses a statement that no script has.
pub(crate) fn statement(script: &str, tokens: &[TokenWithSpan]) -> Result<(), SqlError> {
    match KNOWN.iter().find(|(words, _)| begins(tokens, words)) {
        Some((words, help)) => {
            Err(error(script, tokens, format!("a streaming script has no {words} statement"), help))
        }
        None => Ok(()),
    }
}

/// Refuses a statement with one of the forms, at its place.
pub(crate) fn form(script: &str, tokens: &[TokenWithSpan]) -> Result<(), SqlError> {
    for (words, message, help) in FORMS {
        for index in 0..tokens.len() {
            let rest = &tokens[index..];
            if begins(rest, words) && rest.len() > words.split(' ').count() {
                return Err(error(script, rest, message.to_owned(), help));
            }
        }
    }
    Ok(())
}

/// Whether tokens begin with these words, of which a parenthesis may be one.
fn begins(tokens: &[TokenWithSpan], words: &str) -> bool {
    words.split(' ').enumerate().all(|(index, word)| {
        tokens.get(index).is_some_and(|token| match word {
            "(" => token.token == Token::LParen,
            word => tokens::is_word(&token.token, word),
        })
    })
}

/// An error at the first of some tokens.
fn error(script: &str, tokens: &[TokenWithSpan], message: String, help: &str) -> SqlError {
    let place = tokens.first().and_then(|token| tokens::place(token.span.start));
    SqlError::at(script, place, message).with_help(help)
}
