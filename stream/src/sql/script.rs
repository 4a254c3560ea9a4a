//! A script: its statements in order, each with its place.
//!
//! Understood are `CREATE TABLE`, `CREATE VIEW`, `INSERT INTO`, `EXPLAIN`, `SET 'name' = 'value'`, and Flink's statement
//! sets (`EXECUTE STATEMENT SET BEGIN …; END;`), whose brackets are dropped since all `INSERT`s of a script
//! run as one job anyway. Everything else is refused with a word on what would work.

use std::collections::BTreeMap;

use datafusion::sql::sqlparser::{
    ast::{Query, Statement as SqlStatement},
    keywords::Keyword,
    parser::Parser,
    tokenizer::{Span, Token, TokenWithSpan},
};

use super::{ddl, ddl::CreateTable, dialect, group_window, tokens, tvf};
use crate::error::SqlError;

/// A parsed script.
#[derive(Debug, Default)]
pub struct Script {
    /// The text, for error messages.
    pub text: String,
    /// Its statements in order.
    pub statements: Vec<Statement>,
    /// `SET 'name' = 'value'`, names in lower case.
    pub settings: BTreeMap<String, (String, Span)>,
    /// Its queries are to be explained, not run.
    pub is_explained: bool,
}

/// A statement of a script.
#[derive(Debug)]
pub enum Statement {
    /// `CREATE TABLE`.
    Table(Box<CreateTable>),
    /// `CREATE VIEW name [(columns)] AS query`.
    View {
        /// View name.
        name: String,
        /// Where it stands.
        span: Span,
        /// Its query.
        query: Box<Query>,
    },
    /// `INSERT INTO table [(columns)] query`.
    Insert {
        /// The sink table.
        table: String,
        /// Where its name stands.
        span: Span,
        /// Named columns; empty for all, by position.
        columns: Vec<(String, Span)>,
        /// The query.
        query: Box<Query>,
    },
    /// `EXPLAIN query`, without a table to insert into.
    Explain {
        /// Where it stands.
        span: Span,
        /// The query.
        query: Box<Query>,
    },
}

/// Parses a script whose variables are filled in already.
pub fn parse(text: &str) -> Result<Script, SqlError> {
    let mut script = Script { text: text.to_owned(), ..Script::default() };
    for statement in tokens::statements(text)? {
        let mut statement = without_set_brackets(statement);
        if statement.is_empty() {
            continue;
        }
        quote_window_alias(&mut statement);
        let statement = tvf::rewrite(text, group_window::rewrite(statement))?;
        parse_statement(&mut script, statement)?;
    }
    Ok(script)
}

/// Drops `EXECUTE STATEMENT SET BEGIN`, `BEGIN STATEMENT SET` and `END` in front of a statement.
fn without_set_brackets(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    const BRACKETS: [&[&str]; 3] =
        [&["EXECUTE", "STATEMENT", "SET", "BEGIN"], &["BEGIN", "STATEMENT", "SET"], &["END"]];
    let starts = |words: &&&[&str]| {
        tokens.len() >= words.len()
            && words.iter().zip(&tokens).all(|(word, t)| tokens::is_word(&t.token, word))
    };
    match BRACKETS.iter().find(starts) {
        Some(words) => tokens[words.len()..].to_vec(),
        None => tokens,
    }
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

fn parse_statement(script: &mut Script, tokens: Vec<TokenWithSpan>) -> Result<(), SqlError> {
    let text = script.text.clone();
    let first = tokens[0].clone();
    if tokens::is_word(&first.token, "EXPLAIN") {
        return parse_explain(script, first, tokens);
    }
    let is_insert = tokens::is_word(&first.token, "INSERT");
    if is_insert && script.is_explained {
        return Err(explained_and_run(&text, first.span));
    }
    let word = |index: usize, word: &str| tokens.get(index).is_some_and(|t| tokens::is_word(&t.token, word));
    let temporary = usize::from(word(1, "TEMPORARY") || word(1, "TEMP"));
    let mut parser = tokens::parser(tokens.clone());
    let failed = |error| tokens::parser_error(&text, &error, &tokens);

    if word(0, "CREATE") && word(1 + temporary, "TABLE") {
        script.statements.push(Statement::Table(Box::new(ddl::parse(&mut parser).map_err(failed)?)));
    } else if word(0, "CREATE") && (word(1 + temporary, "VIEW") || word(1, "OR")) {
        script.statements.push(parse_view(&text, &mut parser, &first).map_err(|e| e.or(failed))?);
    } else if word(0, "INSERT") {
        script.statements.push(parse_insert(&mut parser).map_err(failed)?);
    } else if word(0, "SET") {
        let (name, value) = parse_set(&mut parser).map_err(failed)?;
        script.settings.insert(name, (value, first.span));
    } else if word(0, "SELECT") || word(0, "WITH") {
        return Err(SqlError::at(
            &text,
            tokens::place(first.span.start),
            "a query alone has nowhere to send its rows",
        )
        .with_help(
            "write INSERT INTO a_sink_table SELECT …; a table WITH ('connector' = 'print') shows them",
        ));
    } else {
        return Err(SqlError::at(
            &text,
            tokens::place(first.span.start),
            format!("a streaming script has no {} statement", first.token),
        )
        .with_help("it has CREATE TABLE, CREATE VIEW, INSERT INTO, EXPLAIN and SET; for queries over the lake use plamatio sql"));
    }
    Ok(())
}

/// `EXPLAIN [PLAN FOR] INSERT INTO … | SELECT …`.
fn parse_explain(
    script: &mut Script,
    first: TokenWithSpan,
    mut tokens: Vec<TokenWithSpan>,
) -> Result<(), SqlError> {
    let text = script.text.clone();
    let is_run = |statement: &Statement| matches!(statement, Statement::Insert { .. });
    if !script.is_explained && script.statements.iter().any(is_run) {
        return Err(explained_and_run(&text, first.span));
    }
    let word = |tokens: &[TokenWithSpan], index: usize, word: &str| {
        tokens.get(index).is_some_and(|t| tokens::is_word(&t.token, word))
    };
    let words = if word(&tokens, 1, "PLAN") && word(&tokens, 2, "FOR") { 3 } else { 1 };
    tokens.drain(..words);
    if word(&tokens, 0, "INSERT") {
        let parsed = parse_insert(&mut tokens::parser(tokens.clone()));
        script.statements.push(parsed.map_err(|error| tokens::parser_error(&text, &error, &tokens))?);
    } else if word(&tokens, 0, "SELECT") || word(&tokens, 0, "WITH") {
        let parsed = tokens::parser(tokens.clone()).parse_query().and_then(|mut query| {
            dialect::translate(query.as_mut())?;
            Ok(query)
        });
        let query = parsed.map_err(|error| tokens::parser_error(&text, &error, &tokens))?;
        script.statements.push(Statement::Explain { span: first.span, query });
    } else {
        return Err(SqlError::at(&text, tokens::place(first.span.start), "EXPLAIN takes a query")
            .with_help("write EXPLAIN INSERT INTO … or EXPLAIN SELECT …"));
    }
    script.is_explained = true;
    Ok(())
}

fn explained_and_run(text: &str, span: Span) -> SqlError {
    SqlError::at(text, tokens::place(span.start), "a script is either explained or run")
        .with_help("put EXPLAIN in front of every INSERT, or use plamatio explain FILE.sql")
}

/// Either an error that has its place already, or the parser's.
enum Failure {
    Placed(SqlError),
    Parser(datafusion::sql::sqlparser::parser::ParserError),
}

impl Failure {
    fn or(self, place: impl FnOnce(datafusion::sql::sqlparser::parser::ParserError) -> SqlError) -> SqlError {
        match self {
            Failure::Placed(error) => error,
            Failure::Parser(error) => place(error),
        }
    }
}

impl From<datafusion::sql::sqlparser::parser::ParserError> for Failure {
    fn from(error: datafusion::sql::sqlparser::parser::ParserError) -> Self {
        Failure::Parser(error)
    }
}

fn parse_view(text: &str, parser: &mut Parser<'_>, first: &TokenWithSpan) -> Result<Statement, Failure> {
    match parser.parse_statement()? {
        SqlStatement::CreateView(view) if !view.materialized => {
            let Some(name) = view.name.0.last().and_then(|part| part.as_ident()) else {
                return Err(Failure::Placed(SqlError::at(
                    text,
                    tokens::place(first.span.start),
                    "the view has no name",
                )));
            };
            if !view.columns.is_empty() {
                return Err(Failure::Placed(
                    SqlError::at(
                        text,
                        tokens::place(name.span.start),
                        "a view takes its column names from its query",
                    )
                    .with_help("give the columns their names with AS"),
                ));
            }
            let (span, mut query) = (name.span, view.query);
            dialect::translate(query.as_mut())?;
            Ok(Statement::View { name: name.value.clone(), span, query })
        }
        _ => Err(Failure::Placed(
            SqlError::at(text, tokens::place(first.span.start), "this kind of view is not known")
                .with_help("write CREATE VIEW name AS SELECT …"),
        )),
    }
}

fn parse_insert(
    parser: &mut Parser<'_>,
) -> Result<Statement, datafusion::sql::sqlparser::parser::ParserError> {
    parser.expect_keyword(Keyword::INSERT)?;
    parser.expect_keyword(Keyword::INTO)?;
    let _optional = parser.parse_keyword(Keyword::TABLE);
    let (table, span) = ddl::identifier(parser)?;
    let mut columns = Vec::new();
    let named = parser.peek_token().token == Token::LParen
        && !tokens::is_word(&parser.peek_nth_token(1).token, "SELECT")
        && !tokens::is_word(&parser.peek_nth_token(1).token, "WITH");
    if named {
        parser.expect_token(&Token::LParen)?;
        loop {
            columns.push(ddl::identifier(parser)?);
            if !parser.consume_token(&Token::Comma) {
                break;
            }
        }
        parser.expect_token(&Token::RParen)?;
    }
    let mut query = parser.parse_query()?;
    dialect::translate(query.as_mut())?;
    if parser.peek_token().token != Token::EOF {
        return parser.expected("the end of INSERT (is a semicolon missing?)", parser.peek_token());
    }
    Ok(Statement::Insert { table, span, columns, query })
}

fn parse_set(
    parser: &mut Parser<'_>,
) -> Result<(String, String), datafusion::sql::sqlparser::parser::ParserError> {
    parser.expect_keyword(Keyword::SET)?;
    let setting = ddl::name_value(parser)?;
    if parser.peek_token().token != Token::EOF {
        return parser.expected("the end of SET", parser.peek_token());
    }
    Ok(setting)
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
        assert_eq!(table.options["parallelism"], "2");
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
          help: it has CREATE TABLE, CREATE VIEW, INSERT INTO, EXPLAIN and SET; for queries over the lake use plamatio sql
        ");
        insta::assert_snapshot!(error("SET 'a' = 'unclosed"), @r"
        unterminated string literal
          at line 1, column 11
          1 | SET 'a' = 'unclosed
            |           ^
        ");
    }
}
