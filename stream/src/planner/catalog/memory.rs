//! Memory tables: named relations between the queries of a script, as in Arroyo.
//!
//! A table with `'connector' = 'memory'`, or without any option, holds nothing: whoever reads it reads the queries that
//! are inserted into it, as a view over the `UNION ALL` of them. So their time attributes go on, and so does what is
//! computed twice. All `INSERT`s stand before the first reader, since a view's meaning does not change afterwards.

use std::{ops::ControlFlow, sync::Arc};

use datafusion::{
    datasource::ViewTable,
    logical_expr::LogicalPlan,
    sql::sqlparser::{
        ast::{Query, visit_relations},
        tokenizer::Span,
    },
};

use super::{Catalog, quoted};
use crate::{
    error::{SqlError, StreamError},
    planner::together::together,
    table::{ColumnKind, TableDef},
};

/// What has become of a memory table so far.
#[derive(Default)]
pub(super) struct Memory {
    /// Where its first `INSERT` stands.
    span: Option<Span>,
    plans: Vec<LogicalPlan>,
    is_read: bool,
}

impl Catalog {
    /// Whether a table is one; decided when it is declared.
    pub(super) fn note_memory(&mut self, table: &TableDef, span: Span) -> Result<(), SqlError> {
        let named =
            table.options.values().get("connector").is_some_and(|name| name.eq_ignore_ascii_case("memory"));
        if !named && !table.options.values().is_empty() {
            return Ok(());
        }
        if let Some(option) = table.options.values().keys().find(|option| *option != "connector") {
            let message = format!("a memory table has no option '{option}'");
            return Err(self
                .error(span, message)
                .with_help("leave it out: the rows are those of its INSERTs"));
        }
        let physical = |kind: &ColumnKind| matches!(kind, ColumnKind::Physical);
        let odd =
            table.columns.iter().find(|column| !physical(&column.kind)).map(|column| column.name.as_str());
        let odd = odd.or(table.watermark.as_ref().map(|watermark| watermark.column.as_str()));
        match odd {
            // Without a connector it may still be what another table is LIKE.
            Some(_) if !named => Ok(()),
            Some(column) => {
                let message = format!("'{column}' of the memory table {} cannot be declared so", table.name);
                Err(self.error(span, message).with_help(
                    "its columns and their event time are those of the queries that are inserted: compute there",
                ))
            }
            None => {
                self.memory.insert(table.name.clone(), Memory::default());
                Ok(())
            }
        }
    }

    /// Whether there is a memory table of that name.
    pub(crate) fn is_memory(&self, name: &str) -> bool {
        self.memory.contains_key(name)
    }

    /// The rows of `plan`, which has the table's columns, are in the memory table from here on.
    pub(crate) fn insert_into_memory(
        &mut self,
        name: &str,
        span: Span,
        plan: LogicalPlan,
    ) -> Result<(), StreamError> {
        let Some(memory) = self.memory.get_mut(name) else {
            return Err(StreamError::internal(format!("{name} is no memory table")));
        };
        if memory.is_read {
            return Err(self
                .error(span, format!("the memory table '{name}' has been read already"))
                .with_help("put all INSERTs into it in front of the first query that reads it")
                .into());
        }
        memory.span.get_or_insert(span);
        memory.plans.push(plan);
        let plan = together(memory.plans.clone())?;
        self.context.deregister_table(quoted(name))?;
        self.context.register_table(quoted(name), Arc::new(ViewTable::new(plan, None)))?;
        Ok(())
    }

    /// Notes which memory tables a query reads.
    pub(crate) fn note_read(&mut self, query: &Query) -> Result<(), SqlError> {
        let mut read: Vec<(String, Span)> = Vec::new();
        let _all: ControlFlow<()> = visit_relations(query, |name| {
            if let Some(ident) = name.0.last().and_then(|part| part.as_ident()) {
                read.push((ident.value.clone(), ident.span));
            }
            ControlFlow::Continue(())
        });
        for (name, span) in read {
            let Some(memory) = self.memory.get_mut(&name) else { continue };
            if memory.plans.is_empty() {
                let message = format!("'{name}' is read before anything is inserted into it");
                return Err(self.error(span, message).with_help(
                    "without a 'connector' a table is in memory: put INSERT INTO in front, or add 'connector' = '…' to its WITH (…)",
                ));
            }
            memory.is_read = true;
        }
        Ok(())
    }

    /// Fails where rows are inserted that nobody reads.
    pub(crate) fn all_memory_is_read(&self) -> Result<(), SqlError> {
        let unread = self
            .memory
            .iter()
            .find_map(|(name, memory)| memory.span.filter(|_| !memory.is_read).map(|span| (name, span)));
        unread.map_or(Ok(()), |(name, span)| {
            Err(self.error(span, format!("nothing reads the memory table '{name}'")).with_help(
                "add 'connector' = '…' to its WITH (…), such as 'print', or read it in another INSERT",
            ))
        })
    }
}
