//! One statement from its tokens.

use datafusion::sql::sqlparser::{
    keywords::Keyword,
    parser::{Parser, ParserError},
    tokenizer::{Span, Token, TokenWithSpan},
};

use super::{
    ddl,
    grammar::{end, failed, identifier, name_value, query},
    parsed::{Script, Statement},
    positional, refused, tokens,
};
use crate::error::SqlError;

/// Adds a statement to the script. Those `in_explained_set` are not run, as if each had an EXPLAIN in front.
pub(crate) fn parse(
    script: &mut Script,
    tokens: Vec<TokenWithSpan>,
    in_explained_set: bool,
) -> Result<(), SqlError> {
    let text = script.text.clone();
    let first = tokens[0].clone();
    let word = |index: usize, word: &str| tokens.get(index).is_some_and(|t| tokens::is_word(&t.token, word));
    if word(0, "EXPLAIN") {
        return explain(script, &first, tokens, 1);
    }
    if in_explained_set && word(0, "INSERT") {
        return explain(script, &first, tokens, 0);
    }
    refused::statement(&text, &tokens)?;
    // `CREATE [OR REPLACE] [TEMPORARY] TABLE | VIEW`
    let replace = if word(1, "OR") && word(2, "REPLACE") { 2 } else { 0 };
    let temporary = usize::from(word(1 + replace, "TEMPORARY") || word(1 + replace, "TEMP"));
    let kind = 1 + replace + temporary;
    let mut parser = tokens::parser(tokens.clone());
    let failed = |error| tokens::parser_error(&text, &error, &tokens);
    let statement = if word(0, "CREATE") && word(kind, "TABLE") {
        let table = ddl::parse(&mut parser).map_err(failed)?;
        if script.is_explained && table.is_run() {
            return Err(explained_and_run(&text, first.span));
        }
        Statement::Table(Box::new(table))
    } else if word(0, "CREATE") && word(kind, "VIEW") {
        view(&mut parser).map_err(failed)?
    } else if word(0, "INSERT") {
        if script.is_explained {
            return Err(explained_and_run(&text, first.span));
        }
        insert(&mut parser).map_err(failed)?
    } else if word(0, "SET") {
        let (name, value) = set(&mut parser).map_err(failed)?;
        script.settings.insert(name, (value, first.span));
        return Ok(());
    } else if word(0, "SELECT") || word(0, "WITH") || first.token == Token::LParen {
        let message = "a query alone has nowhere to send its rows";
        return Err(SqlError::at(&text, tokens::place(first.span.start), message).with_help(
            "write INSERT INTO a_sink_table SELECT …; a table WITH ('connector' = 'print') shows them",
        ));
    } else {
        let message = format!("a streaming script has no {} statement", first.token);
        return Err(SqlError::at(&text, tokens::place(first.span.start), message).with_help(
            "it has CREATE TABLE, CREATE VIEW, INSERT INTO, EXPLAIN and SET; for queries over the lake use plamatio sql",
        ));
    };
    script.statements.push(statement);
    Ok(())
}

/// `EXPLAIN [PLAN FOR] INSERT INTO … | SELECT …`, behind so many words.
fn explain(
    script: &mut Script,
    first: &TokenWithSpan,
    mut tokens: Vec<TokenWithSpan>,
    mut words: usize,
) -> Result<(), SqlError> {
    let text = script.text.clone();
    let is_run = |statement: &Statement| match statement {
        Statement::Insert { .. } => true,
        Statement::Table(table) => table.is_run(),
        _ => false,
    };
    if !script.is_explained && script.statements.iter().any(is_run) {
        return Err(explained_and_run(&text, first.span));
    }
    let word = |tokens: &[TokenWithSpan], index: usize, word: &str| {
        tokens.get(index).is_some_and(|t| tokens::is_word(&t.token, word))
    };
    if words == 1 && word(&tokens, 1, "PLAN") && word(&tokens, 2, "FOR") {
        words = 3;
    }
    tokens.drain(..words);
    if word(&tokens, 0, "INSERT") {
        let parsed = insert(&mut tokens::parser(tokens.clone()));
        script.statements.push(parsed.map_err(|error| tokens::parser_error(&text, &error, &tokens))?);
    } else if word(&tokens, 0, "SELECT") || word(&tokens, 0, "WITH") {
        let parsed = query(&mut tokens::parser(tokens.clone()));
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

/// `CREATE [OR REPLACE] [TEMPORARY] VIEW [IF NOT EXISTS] name [(columns)] [COMMENT 'text'] AS query`.
fn view(parser: &mut Parser<'_>) -> Result<Statement, ParserError> {
    parser.expect_keyword(Keyword::CREATE)?;
    let _optional = parser.parse_keywords(&[Keyword::OR, Keyword::REPLACE]);
    let _optional = parser.parse_one_of_keywords(&[Keyword::TEMPORARY, Keyword::TEMP]);
    parser.expect_keyword(Keyword::VIEW)?;
    let if_not_exists = parser.parse_keywords(&[Keyword::IF, Keyword::NOT, Keyword::EXISTS]);
    let (name, span) = identifier(parser)?;
    let mut columns = Vec::new();
    if parser.peek_token().token == Token::LParen {
        columns = tokens::parenthesised(parser, |parser| {
            let column = identifier(parser)?;
            if parser.parse_keyword(Keyword::COMMENT) {
                parser.parse_literal_string()?;
            }
            Ok(column)
        })?;
    }
    if parser.parse_keyword(Keyword::COMMENT) {
        parser.parse_literal_string()?;
    }
    parser.expect_keyword(Keyword::AS)?;
    let query = query(parser)?;
    end(parser, "CREATE VIEW")?;
    Ok(Statement::View { name, span, if_not_exists, columns, query })
}

fn insert(parser: &mut Parser<'_>) -> Result<Statement, ParserError> {
    parser.expect_keyword(Keyword::INSERT)?;
    parser.expect_keyword(Keyword::INTO)?;
    let _optional = parser.parse_keyword(Keyword::TABLE);
    let (table, span) = identifier(parser)?;
    let partition = parser.peek_token();
    if parser.parse_keyword(Keyword::PARTITION) {
        let message = "PARTITION is not supported: write the value as a column of the query";
        return failed(message, partition.span);
    }
    let named = parser.peek_token().token == Token::LParen
        && !tokens::is_word(&parser.peek_nth_token(1).token, "SELECT")
        && !tokens::is_word(&parser.peek_nth_token(1).token, "WITH");
    let columns = if named { tokens::parenthesised(parser, identifier)? } else { Vec::new() };
    let mut query = query(parser)?;
    positional::name_columns(&mut query);
    end(parser, "INSERT")?;
    Ok(Statement::Insert { table, span, columns, query })
}

fn set(parser: &mut Parser<'_>) -> Result<(String, String), ParserError> {
    parser.expect_keyword(Keyword::SET)?;
    let setting = name_value(parser)?;
    end(parser, "SET")?;
    Ok(setting)
}
