//! `CREATE TABLE … LIKE`: what a table takes over from another, before its own definition is added.

use std::collections::BTreeMap;

use datafusion::sql::sqlparser::tokenizer::Span;

use super::Catalog;
use crate::{
    error::SqlError,
    sql::ddl::{
        CreateTable,
        like::{Like, Merging},
    },
    table::{ColumnDef, ColumnKind, WatermarkDef},
};

/// What a new table begins with.
#[derive(Default)]
pub(super) struct Inherited {
    pub(super) columns: Vec<ColumnDef>,
    pub(super) watermark: Option<WatermarkDef>,
    pub(super) primary_key: Vec<String>,
    pub(super) options: BTreeMap<String, String>,
    /// Columns that an `INSERT` has to name.
    pub(super) required: Vec<String>,
}

impl Catalog {
    /// What the table of `statement` takes over.
    pub(super) fn inherited(&self, statement: &CreateTable) -> Result<Inherited, SqlError> {
        let Some(like) = &statement.like else { return Ok(Inherited::default()) };
        let Some(base) = self.table(&like.table) else {
            if self.names.contains(&like.table) {
                let message = format!("'{}' is a view: only a table can be LIKE another table", like.table);
                return Err(self.error(like.span, message).with_help(format!(
                    "write CREATE TABLE {} WITH (…) AS SELECT * FROM {}",
                    statement.name, like.table
                )));
            }
            return Err(self.unknown_table(&like.table, like.span));
        };
        let columns = self.columns_of(like, &base.columns, statement)?;
        let watermark = match (&base.watermark, &statement.watermark, like.watermarks) {
            (None, ..) | (_, _, Merging::Excluding) | (_, Some(_), Merging::Overwriting) => None,
            (Some(_), Some(own), Merging::Including) => {
                return Err(self.both(own.span, "a watermark", like, "WATERMARKS"));
            }
            (Some(watermark), ..) => Some(watermark.clone()),
        };
        let primary_key = match (statement.primary_key.first(), like.constraints) {
            (_, Merging::Excluding) => Vec::new(),
            (Some((_, span)), _) if !base.primary_key.is_empty() => {
                return Err(self
                    .error(*span, format!("{} has a PRIMARY KEY already", like.table))
                    .with_help(format!("write LIKE {} (EXCLUDING CONSTRAINTS)", like.table)));
            }
            _ => base.primary_key.clone(),
        };
        let mut options = base.options.values().clone();
        match like.options {
            Merging::Excluding => options.clear(),
            Merging::Overwriting => {}
            Merging::Including => {
                if let Some((name, (_, span))) =
                    statement.options.iter().find(|(name, _)| options.contains_key(*name))
                {
                    return Err(self.both(*span, &format!("an option '{name}'"), like, "OPTIONS"));
                }
            }
        }
        let is_kept = |name: &String| columns.iter().any(|column| column.name == *name);
        let required = self.required.get(&like.table).into_iter().flatten().filter(|name| is_kept(name));
        Ok(Inherited { required: required.cloned().collect(), columns, watermark, primary_key, options })
    }

    fn columns_of(
        &self,
        like: &Like,
        columns: &[ColumnDef],
        statement: &CreateTable,
    ) -> Result<Vec<ColumnDef>, SqlError> {
        let mut kept = Vec::new();
        for column in columns {
            let own = statement.columns.iter().find(|own| own.name == column.name);
            let (merging, feature) = match &column.kind {
                ColumnKind::Physical => (Merging::Including, ""),
                ColumnKind::Generated(_) => (like.generated, "GENERATED"),
                ColumnKind::Metadata(_) | ColumnKind::FromSource { .. } => (like.metadata, "METADATA"),
            };
            match (merging, own) {
                (Merging::Excluding, _) | (Merging::Overwriting, Some(_)) => {}
                (Merging::Including, Some(own)) if feature.is_empty() => {
                    let message = format!("{} has a column '{}' already", like.table, own.name);
                    return Err(self
                        .error(own.span, message)
                        .with_help("a table that is LIKE another has all its columns"));
                }
                (Merging::Including, Some(own)) => {
                    return Err(self.both(own.span, &format!("a column '{}'", own.name), like, feature));
                }
                (_, None) => kept.push(column.clone()),
            }
        }
        Ok(kept)
    }

    fn both(&self, span: Span, what: &str, like: &Like, feature: &str) -> SqlError {
        self.error(span, format!("{} has {what} already", like.table)).with_help(format!(
            "write LIKE {0} (OVERWRITING {feature}) to replace it, or LIKE {0} (EXCLUDING {feature})",
            like.table
        ))
    }
}
