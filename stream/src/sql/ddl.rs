//! `CREATE TABLE` as Flink and Arroyo write it.
//!
//! ```sql
//! CREATE TABLE events (
//!   type       STRING,
//!   time       STRING,
//!   event_time TIMESTAMP(3) GENERATED ALWAYS AS (CAST(time AS TIMESTAMP)) STORED,   -- or: event_time AS …
//!   is_final   BOOLEAN METADATA,                                                    -- of a sink
//!   offset     BIGINT METADATA VIRTUAL,                                             -- of a source
//!   PRIMARY KEY (type) NOT ENFORCED,                                  -- or behind a column's type
//!   WATERMARK FOR event_time AS event_time - INTERVAL '5' SECOND      -- or, in Arroyo, without AS …
//! ) WITH ('connector' = 'kafka', 'topic' = 'events', …)
//! ```
//!
//! Behind `WITH (…)` may stand `LIKE another_table` ([`like`]), or `AS query`, whose columns the table then has.
//!
//! The grammar of the column list is ours, since sqlparser knows neither `WATERMARK FOR` nor `METADATA`;
//! types and expressions inside it are sqlparser's. What the words mean is decided in [`crate::planner`].

pub(crate) mod like;

use std::collections::BTreeMap;

use datafusion::sql::sqlparser::{
    ast::{DataType as SqlType, Expr as SqlExpr, Query},
    keywords::Keyword,
    parser::{Parser, ParserError},
    tokenizer::{Span, Token},
};

use self::like::Like;
use super::{
    dialect,
    grammar::{end, failed, identifier, name_value, query},
    tokens::{is_word, parenthesised},
    types,
};

/// A `CREATE TABLE` statement.
#[derive(Clone, Debug)]
pub struct CreateTable {
    /// Table name, as written.
    pub name: String,
    /// Where the name stands.
    pub(crate) span: Span,
    /// Columns in order.
    pub columns: Vec<Column>,
    /// `WATERMARK FOR column AS expression`.
    pub watermark: Option<Watermark>,
    /// `PRIMARY KEY (…) NOT ENFORCED`, each with its place.
    pub primary_key: Vec<(String, Span)>,
    /// `WITH ('name' = 'value', …)`, each with its place.
    pub options: BTreeMap<String, (String, Span)>,
    /// `IF NOT EXISTS`: nothing, where there is a table of the name.
    pub(crate) if_not_exists: bool,
    /// `LIKE table`.
    pub(crate) like: Option<Like>,
    /// `AS query`, which is inserted.
    pub(crate) query: Option<Box<Query>>,
}

impl CreateTable {
    /// Whether rows go somewhere by this statement alone.
    pub(crate) fn is_run(&self) -> bool {
        let connector = self.options.get("connector").map(|(connector, _)| connector.as_str());
        self.query.is_some() && !matches!(connector, None | Some("memory"))
    }
}

/// A column of a `CREATE TABLE`.
#[derive(Clone, Debug)]
pub struct Column {
    /// Column name, as written.
    pub name: String,
    /// Where it stands.
    pub(crate) span: Span,
    /// Declared type; a computed column in Flink's form has none.
    pub data_type: Option<SqlType>,
    /// `NOT NULL`. A record may leave the field out all the same; an `INSERT` that names columns may not.
    pub(crate) is_required: bool,
    /// `GENERATED ALWAYS AS (…)` or `AS …`.
    pub(crate) generated: Option<SqlExpr>,
    /// `METADATA [FROM 'key']`: the key.
    pub(crate) metadata: Option<String>,
    /// `VIRTUAL` behind that.
    pub(crate) is_virtual: bool,
}

/// The watermark clause.
#[derive(Clone, Debug)]
pub struct Watermark {
    /// The event-time column.
    pub column: String,
    /// Where it stands.
    pub(crate) span: Span,
    /// The watermark's expression, if one is given.
    pub(crate) expr: Option<SqlExpr>,
}

/// Parses a statement that starts with `CREATE [OR REPLACE] [TEMPORARY] TABLE`.
pub(crate) fn parse(parser: &mut Parser<'_>) -> Result<CreateTable, ParserError> {
    parser.expect_keyword(Keyword::CREATE)?;
    let _optional = parser.parse_keywords(&[Keyword::OR, Keyword::REPLACE]);
    let _optional = parser.parse_one_of_keywords(&[Keyword::TEMPORARY, Keyword::TEMP]);
    parser.expect_keyword(Keyword::TABLE)?;
    let if_not_exists = parser.parse_keywords(&[Keyword::IF, Keyword::NOT, Keyword::EXISTS]);
    let (name, span) = identifier(parser)?;
    let mut table = CreateTable {
        name,
        span,
        columns: Vec::new(),
        watermark: None,
        primary_key: Vec::new(),
        options: BTreeMap::new(),
        if_not_exists,
        like: None,
        query: None,
    };
    let opened = parser.peek_token();
    let has_items = opened.token == Token::LParen;
    if has_items {
        parenthesised(parser, |parser| item(parser, &mut table))?;
    }
    if parser.parse_keyword(Keyword::COMMENT) {
        parser.parse_literal_string()?;
    }
    refuse_partitions(parser)?;
    if parser.parse_keyword(Keyword::WITH) {
        options(parser, &mut table.options)?;
    }
    if parser.parse_keyword(Keyword::LIKE) {
        table.like = Some(like::parse(parser)?);
    } else if parser.parse_keyword(Keyword::AS) {
        table.query = Some(query(parser)?);
    } else if !has_items {
        return parser.expected("(, LIKE or AS", opened);
    }
    end(parser, "CREATE TABLE")?;
    Ok(table)
}

/// How rows are spread over a sink's files or brokers' partitions is no part of a table's definition here.
fn refuse_partitions(parser: &mut Parser<'_>) -> Result<(), ParserError> {
    let token = parser.peek_token();
    let word = ["PARTITIONED", "DISTRIBUTED"].into_iter().find(|word| is_word(&token.token, word));
    word.map_or(Ok(()), |word| {
        failed(
            &format!("{word} is not supported: a table has no partitions of its own. leave it out"),
            token.span,
        )
    })
}

/// `('name' = 'value', …)`.
fn options(
    parser: &mut Parser<'_>,
    options: &mut BTreeMap<String, (String, Span)>,
) -> Result<(), ParserError> {
    parenthesised(parser, |parser| {
        let span = parser.peek_token().span;
        let (name, value) = name_value(parser)?;
        options.insert(name, (value, span));
        Ok(())
    })?;
    Ok(())
}

fn item(parser: &mut Parser<'_>, table: &mut CreateTable) -> Result<(), ParserError> {
    if is_word(&parser.peek_token().token, "WATERMARK") && is_word(&parser.peek_nth_token(1).token, "FOR") {
        parser.next_token();
        parser.next_token();
        let (column, span) = identifier(parser)?;
        let expr = if parser.parse_keyword(Keyword::AS) { Some(parser.parse_expr()?) } else { None };
        if table.watermark.is_some() {
            return failed("a table has one watermark", span);
        }
        table.watermark = Some(Watermark { column, span, expr });
        return Ok(());
    }
    if parser.parse_keyword(Keyword::CONSTRAINT) {
        identifier(parser)?;
        if !is_word(&parser.peek_token().token, "PRIMARY") {
            return parser.expected("PRIMARY KEY", parser.peek_token());
        }
    }
    let span = parser.peek_token().span;
    if parser.parse_keywords(&[Keyword::PRIMARY, Keyword::KEY]) {
        let key = parenthesised(parser, identifier)?;
        return primary_key(parser, table, key, span);
    }
    let column = column(parser, table)?;
    table.columns.push(column);
    Ok(())
}

/// Notes a key, and reads what may stand behind it.
fn primary_key(
    parser: &mut Parser<'_>,
    table: &mut CreateTable,
    key: Vec<(String, Span)>,
    span: Span,
) -> Result<(), ParserError> {
    if !table.primary_key.is_empty() {
        return failed("a table has one PRIMARY KEY", span);
    }
    table.primary_key = key;
    let enforced = parser.peek_token();
    if parser.parse_keyword(Keyword::ENFORCED) {
        return failed("nobody enforces a key here. write PRIMARY KEY … NOT ENFORCED", enforced.span);
    }
    let _optional = parser.parse_keywords(&[Keyword::NOT, Keyword::ENFORCED]);
    Ok(())
}

fn column(parser: &mut Parser<'_>, table: &mut CreateTable) -> Result<Column, ParserError> {
    let (name, span) = identifier(parser)?;
    let mut column = Column {
        name,
        span,
        data_type: None,
        is_required: false,
        generated: None,
        metadata: None,
        is_virtual: false,
    };
    if parser.parse_keyword(Keyword::AS) {
        column.generated = Some(expression(parser)?);
    } else {
        column.data_type = Some(types::parse(parser)?);
    }
    loop {
        let place = parser.peek_token().span;
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
            column.is_virtual = parser.parse_keyword(Keyword::VIRTUAL);
        } else if parser.parse_keywords(&[Keyword::PRIMARY, Keyword::KEY]) {
            primary_key(parser, table, vec![(column.name.clone(), column.span)], place)?;
        } else if parser.parse_keyword(Keyword::CONSTRAINT) {
            identifier(parser)?;
            if !is_word(&parser.peek_token().token, "PRIMARY") {
                return parser.expected("PRIMARY KEY", parser.peek_token());
            }
        } else if parser.parse_keywords(&[Keyword::NOT, Keyword::NULL]) {
            column.is_required = true;
        } else if parser.parse_keyword(Keyword::NULL) {
            // As if nothing were said.
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
