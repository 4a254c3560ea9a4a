//! A script: its statements in order, each with its place.
//!
//! Understood are `CREATE TABLE`, `CREATE VIEW`, `INSERT INTO`, `EXPLAIN`, `SET 'name' = 'value'`, and Flink's statement
//! sets (`EXECUTE STATEMENT SET BEGIN …; END;`), whose brackets are dropped since all `INSERT`s of a script
//! run as one job anyway. Everything else is refused with a word on what would work. Here the text is cut and the
//! tokens are prepared; each statement is read in `sql::statement`, and is then as in `sql::parsed`.

use datafusion::sql::sqlparser::{
    keywords::Keyword,
    tokenizer::{Token, TokenWithSpan},
};

pub use super::parsed::{Script, Statement};
use super::{group_window, json_forms, refused, statement, syntax, tokens, tvf};
use crate::error::SqlError;

/// Parses a script whose variables are filled in already.
pub fn parse(text: &str) -> Result<Script, SqlError> {
    let mut script = Script { text: text.to_owned(), ..Script::default() };
    let mut in_explained_set = false;
    for tokens in tokens::statements(text)? {
        let (bracket, mut statement) = without_set_bracket(tokens);
        match bracket {
            Some("EXPLAIN") => in_explained_set = true,
            Some("END") => in_explained_set = false,
            _ => {}
        }
        if statement.is_empty() {
            continue;
        }
        refused::form(text, &statement)?;
        quote_window_alias(&mut statement);
        name_local_time(&mut statement);
        let statement = syntax::rewrite(tvf::rewrite(text, group_window::rewrite(statement))?);
        let statement = json_forms::rewrite(text, statement)?;
        statement::parse(&mut script, statement, in_explained_set)?;
    }
    Ok(script)
}

/// Drops the brackets of a statement set in front of a statement, and `EXECUTE` in front of `INSERT`; also tells the
/// first word of what was dropped.
fn without_set_bracket(mut tokens: Vec<TokenWithSpan>) -> (Option<&'static str>, Vec<TokenWithSpan>) {
    const BRACKETS: [(&[&str], usize); 5] = [
        (&["EXPLAIN", "STATEMENT", "SET", "BEGIN"], 4),
        (&["EXECUTE", "STATEMENT", "SET", "BEGIN"], 4),
        (&["EXECUTE", "INSERT"], 1),
        (&["BEGIN", "STATEMENT", "SET"], 3),
        (&["END"], 1),
    ];
    let starts = |(words, _): &&(&[&str], usize)| {
        tokens.len() >= words.len()
            && words.iter().zip(&tokens).all(|(word, t)| tokens::is_word(&t.token, word))
    };
    let Some((words, dropped)) = BRACKETS.iter().find(starts) else { return (None, tokens) };
    tokens.drain(..*dropped);
    (words.first().copied(), tokens)
}

/// `window` is what Arroyo's users call the window column, and a keyword to the parser: quote it wherever it
/// cannot start a `WINDOW name AS (…)` clause.
fn quote_window_alias(tokens: &mut [TokenWithSpan]) {
    for index in 0..tokens.len() {
        let clause = matches!(tokens.get(index + 1).map(|t| &t.token), Some(Token::Word(_)))
            && matches!(tokens.get(index + 2).map(|t| &t.token), Some(t) if tokens::is_keyword(t, Keyword::AS));
        if tokens::is_keyword(&tokens[index].token, Keyword::WINDOW) && !clause {
            let span = tokens[index].span;
            tokens[index] = tokens::identifier("window", span);
        }
    }
}

/// `TIMESTAMP(p) WITH LOCAL TIME ZONE`, which the parser does not know, in its short form `TIMESTAMP_LTZ(p)`.
fn name_local_time(tokens: &mut Vec<TokenWithSpan>) {
    const WORDS: [&str; 4] = ["WITH", "LOCAL", "TIME", "ZONE"];
    let mut index = 0;
    while index < tokens.len() {
        let digits = matches!(tokens.get(index + 1).map(|t| &t.token), Some(Token::LParen))
            && matches!(tokens.get(index + 3).map(|t| &t.token), Some(Token::RParen));
        let behind = index + if digits { 4 } else { 1 };
        let is_local = WORDS.iter().enumerate().all(|(offset, word)| {
            tokens.get(behind + offset).is_some_and(|t| tokens::is_word(&t.token, word))
        });
        if is_local && tokens::is_word(&tokens[index].token, "TIMESTAMP") {
            tokens[index].token = Token::make_word("TIMESTAMP_LTZ", None);
            tokens.drain(behind..behind + WORDS.len());
        }
        index += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        parse(text).unwrap_err().to_string()
    }

    #[test]
    fn statements_of_every_kind() {
        let script = parse(
            "SET 'emit.interval' = '50 ms';
             CREATE TEMPORARY TABLE t (a INT, b AS a + 1, WATERMARK FOR b AS b - INTERVAL '1' SECOND)
               WITH ('connector' = 'print', parallelism = 2);
             CREATE VIEW v AS SELECT a FROM t;
             EXECUTE STATEMENT SET BEGIN
             INSERT INTO s (x) SELECT a FROM v; INSERT INTO s SELECT a FROM v; END;",
        )
        .unwrap();
        assert_eq!(script.settings["emit.interval"].0, "50 ms");
        assert_eq!(script.statements.len(), 4);
        let Statement::Table(table) = &script.statements[0] else { panic!("not a table") };
        assert_eq!(table.options["parallelism"].0, "2");
        assert!(table.columns[1].generated.is_some() && table.watermark.is_some());
    }

    #[test]
    fn the_window_keyword_is_a_name() {
        assert!(parse("INSERT INTO s SELECT hop(INTERVAL '1' MINUTE, INTERVAL '1' HOUR) AS window, a FROM t GROUP BY window, a").is_ok());
    }

    #[test]
    fn mistakes_point_at_their_place() {
        insta::assert_snapshot!(error("CREATE TABLE t (\n  a INT,\n  b\n) WITH ('connector' = 'print')"), @r"
        expected a data type name, found: )
          at line 4, column 1
          4 | ) WITH ('connector' = 'print')
            | ^
        ");
        insta::assert_snapshot!(error("SELECT 1"), @r"
        a query alone has nowhere to send its rows
          at line 1, column 1
          1 | SELECT 1
            | ^
          help: write INSERT INTO a_sink_table SELECT …; a table WITH ('connector' = 'print') shows them
        ");
        insta::assert_snapshot!(error("INSERT INTO s SELECT FROM"), @r"
        expected identifier, found the end of the statement
          at line 1, column 26
          1 | INSERT INTO s SELECT FROM
            |                          ^
        ");
        insta::assert_snapshot!(error("DROP TABLE t"), @r"
        a streaming script has no DROP statement
          at line 1, column 1
          1 | DROP TABLE t
            | ^
          help: a script begins with nothing: leave the DROP out, or give the new table another name
        ");
        insta::assert_snapshot!(error("SET 'a' = 'unclosed"), @r"
        unterminated string literal
          at line 1, column 11
          1 | SET 'a' = 'unclosed
            |           ^
        ");
    }
}
