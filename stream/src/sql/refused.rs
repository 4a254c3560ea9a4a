//! Statements of Flink and Arroyo that a script does not have, each with what to write instead.

use datafusion::sql::sqlparser::tokenizer::TokenWithSpan;

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

/// Refuses a statement that no script has.
pub(crate) fn refuse(text: &str, tokens: &[TokenWithSpan]) -> Option<SqlError> {
    let starts = |words: &str| {
        words
            .split(' ')
            .enumerate()
            .all(|(index, word)| tokens.get(index).is_some_and(|token| tokens::is_word(&token.token, word)))
    };
    let (words, help) = KNOWN.iter().find(|(words, _)| starts(words))?;
    let place = tokens::place(tokens.first()?.span.start);
    Some(SqlError::at(text, place, format!("a streaming script has no {words} statement")).with_help(*help))
}
