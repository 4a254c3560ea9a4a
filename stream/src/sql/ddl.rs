//! `CREATE TABLE` as Flink and Arroyo write it.
//!
//! ```sql
//! CREATE TABLE events (
//!   type       STRING,
//!   time       STRING,
//!   event_time TIMESTAMP(3) GENERATED ALWAYS AS (CAST(time AS TIMESTAMP)) STORED,   -- or: event_time AS …
//!   is_final   BOOLEAN METADATA,                                                    -- sinks only
//!   PRIMARY KEY (type) NOT ENFORCED,
//!   WATERMARK FOR event_time AS event_time - INTERVAL '5' SECOND
//! ) WITH ('connector' = 'kafka', 'topic' = 'events', …)
//! ```
//!
//! The grammar of the column list is ours, since sqlparser knows neither `WATERMARK FOR` nor `METADATA`;
//! types and expressions inside it are sqlparser's. What the words mean is decided in [`crate::planner`].

use std::collections::BTreeMap;

use datafusion::sql::sqlparser::{
    ast::{DataType as SqlType, Expr as SqlExpr},
    keywords::Keyword,
    parser::{Parser, ParserError},
    tokenizer::{Span, Token},
};

use super::{dialect, tokens::is_word};

/// A `CREATE TABLE` statement.
#[derive(Clone, Debug)]
pub struct CreateTable {
    /// Table name, as written.
    pub name: String,
    /// Where the name stands.
    pub span: Span,
    /// Columns in order.
    pub columns: Vec<Column>,
    /// `WATERMARK FOR column AS expression`.
    pub watermark: Option<Watermark>,
    /// `PRIMARY KEY (…) NOT ENFORCED`.
    pub primary_key: Vec<String>,
    /// `WITH ('name' = 'value', …)`.
    pub options: BTreeMap<String, String>,
}

/// A column of a `CREATE TABLE`.
#[derive(Clone, Debug)]
pub struct Column {
    /// Column name, as written.
    pub name: String,
    /// Where it stands.
    pub span: Span,
    /// Declared type; a computed column in Flink's form has none.
    pub data_type: Option<SqlType>,
    /// `GENERATED ALWAYS AS (…)` or `AS …`.
    pub generated: Option<SqlExpr>,
    /// `METADATA [FROM 'key']`: the key.
    pub metadata: Option<String>,
}

/// The watermark clause.
#[derive(Clone, Debug)]
pub struct Watermark {
    /// The event-time column.
    pub column: String,
    /// Where it stands.
    pub span: Span,
    /// The watermark's expression.
    pub expr: SqlExpr,
}

/// Parses a statement that starts with `CREATE [TEMPORARY] TABLE`.
pub(crate) fn parse(parser: &mut Parser<'_>) -> Result<CreateTable, ParserError> {
    parser.expect_keyword(Keyword::CREATE)?;
    let _optional = parser.parse_one_of_keywords(&[Keyword::TEMPORARY, Keyword::TEMP]);
    parser.expect_keyword(Keyword::TABLE)?;
    let _optional = parser.parse_keywords(&[Keyword::IF, Keyword::NOT, Keyword::EXISTS]);
    let (name, span) = identifier(parser)?;
    let mut table = CreateTable {
        name,
        span,
        columns: Vec::new(),
        watermark: None,
        primary_key: Vec::new(),
        options: BTreeMap::new(),
    };
    parser.expect_token(&Token::LParen)?;
    loop {
        item(parser, &mut table)?;
        if !parser.consume_token(&Token::Comma) {
            break;
        }
    }
    parser.expect_token(&Token::RParen)?;
    if parser.parse_keyword(Keyword::COMMENT) {
        parser.parse_literal_string()?;
    }
    if parser.parse_keyword(Keyword::WITH) {
        parser.expect_token(&Token::LParen)?;
        loop {
            let (name, value) = name_value(parser)?;
            table.options.insert(name, value);
            if !parser.consume_token(&Token::Comma) {
                break;
            }
        }
        parser.expect_token(&Token::RParen)?;
    }
    if parser.peek_token().token != Token::EOF {
        return parser.expected("the end of CREATE TABLE", parser.peek_token());
    }
    Ok(table)
}

fn item(parser: &mut Parser<'_>, table: &mut CreateTable) -> Result<(), ParserError> {
    if is_word(&parser.peek_token().token, "WATERMARK") && is_word(&parser.peek_nth_token(1).token, "FOR") {
        parser.next_token();
        parser.next_token();
        let (column, span) = identifier(parser)?;
        parser.expect_keyword(Keyword::AS)?;
        let expr = parser.parse_expr()?;
        if table.watermark.is_some() {
            return Err(ParserError::ParserError(format!(
                "a table has one watermark at Line: {}, Column: {}",
                span.start.line, span.start.column
            )));
        }
        table.watermark = Some(Watermark { column, span, expr });
        return Ok(());
    }
    if parser.parse_keyword(Keyword::CONSTRAINT) {
        identifier(parser)?;
    }
    if parser.parse_keywords(&[Keyword::PRIMARY, Keyword::KEY]) {
        parser.expect_token(&Token::LParen)?;
        loop {
            table.primary_key.push(identifier(parser)?.0);
            if !parser.consume_token(&Token::Comma) {
                break;
            }
        }
        parser.expect_token(&Token::RParen)?;
        let _optional = parser.parse_keywords(&[Keyword::NOT, Keyword::ENFORCED]);
        return Ok(());
    }
    table.columns.push(column(parser)?);
    Ok(())
}

fn column(parser: &mut Parser<'_>) -> Result<Column, ParserError> {
    let (name, span) = identifier(parser)?;
    let mut column = Column { name, span, data_type: None, generated: None, metadata: None };
    if parser.parse_keyword(Keyword::AS) {
        column.generated = Some(expression(parser)?);
        return Ok(column);
    }
    column.data_type = Some(parser.parse_data_type()?);
    loop {
        if parser.parse_keywords(&[Keyword::GENERATED, Keyword::ALWAYS, Keyword::AS]) {
            parser.expect_token(&Token::LParen)?;
            column.generated = Some(expression(parser)?);
            parser.expect_token(&Token::RParen)?;
            let _optional = parser.parse_one_of_keywords(&[Keyword::STORED, Keyword::VIRTUAL]);
        } else if is_word(&parser.peek_token().token, "METADATA") {
            parser.next_token();
            column.metadata = Some(if parser.parse_keyword(Keyword::FROM) {
                parser.parse_literal_string()?
            } else {
                column.name.clone()
            });
            let _optional = parser.parse_keyword(Keyword::VIRTUAL);
        } else if parser.parse_keywords(&[Keyword::NOT, Keyword::NULL]) || parser.parse_keyword(Keyword::NULL)
        {
            // Accepted as documentation: whether a JSON field is there is known only when it is read.
        } else if parser.parse_keyword(Keyword::COMMENT) {
            parser.parse_literal_string()?;
        } else {
            return Ok(column);
        }
    }
}

/// An expression in Flink's meaning.
fn expression(parser: &mut Parser<'_>) -> Result<SqlExpr, ParserError> {
    let mut expr = parser.parse_expr()?;
    dialect::translate(&mut expr)?;
    Ok(expr)
}

/// `'name' = 'value'`, or `name = value` with a dotted name and a number or a word: an option of a table, or a
/// setting of the script.
pub(crate) fn name_value(parser: &mut Parser<'_>) -> Result<(String, String), ParserError> {
    let token = parser.next_token();
    let name = match token.token {
        Token::SingleQuotedString(name) => name,
        Token::Word(word) => {
            let mut name = word.value;
            while parser.consume_token(&Token::Period) {
                name = format!("{name}.{}", parser.parse_identifier()?.value);
            }
            name
        }
        _ => return parser.expected("a name in quotes", token),
    };
    parser.expect_token(&Token::Eq)?;
    let token = parser.next_token();
    let value = match token.token {
        Token::SingleQuotedString(value) | Token::Number(value, _) => value,
        Token::Word(word) if word.quote_style.is_none() => word.value.to_lowercase(),
        _ => return parser.expected("a value in quotes", token),
    };
    Ok((name.to_lowercase(), value))
}

/// An identifier as written, and its place: names keep their case, as in Flink.
pub(crate) fn identifier(parser: &mut Parser<'_>) -> Result<(String, Span), ParserError> {
    let token = parser.next_token();
    match &token.token {
        // As it is written: names keep their case, as in Flink, and a field of a record is matched by it.
        Token::Word(word) => Ok((word.value.clone(), token.span)),
        _ => parser.expected("a name", token),
    }
}
