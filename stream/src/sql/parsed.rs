//! What a script says, once it is read: its statements in order, each with its place.

use std::collections::BTreeMap;

use datafusion::sql::sqlparser::{ast::Query, tokenizer::Span};

use super::ddl::CreateTable;

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
        /// Nothing, where there is a view of the name.
        if_not_exists: bool,
        /// Names for the query's columns; empty for their own.
        columns: Vec<(String, Span)>,
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
