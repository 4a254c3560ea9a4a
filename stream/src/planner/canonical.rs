//! A plan in words that say what its rows are, and nothing else.
//!
//! Columns are told by what they are computed from, down to the columns of tables, so that no alias, view or subquery
//! shows; conditions are a set, wherever they stand. Two plans of the same words have the same rows. The reverse need not
//! hold: what is written quite differently has other words.
//!
//! ```text
//! CREATE VIEW v AS SELECT k AS a, v * 2 AS b FROM events WHERE v > 1;  SELECT b FROM v AS x WHERE x.a = 'z'
//! rows      events where events.k = Utf8("z") and events.v > Int64(1)
//! columns   events.v * Int64(2)
//! ```
//!
//! Where a plan has an operator with state, the words behind it are the operator's uid: they need not go further.

mod expr;

use std::collections::BTreeSet;

use arrow::datatypes::Schema;
use datafusion::{
    common::{DFSchema, Result as DataFusionResult},
    logical_expr::{Expr, LogicalPlan},
};

pub(super) use self::expr::Columns;
use super::{
    identity::{Identity, SHORT, digits},
    physical::Physical,
    words::{bound_text, interval_text, window_text},
};
use crate::{
    error::StreamError,
    operator::TimeBound,
    table::{ColumnKind, TableDef},
    window::WindowSpec,
};

/// Longer texts are cut and end in their hash: what is nested would grow without end.
const LONGEST: usize = 400;
/// What is kept of them.
const KEPT: usize = 100;

/// A plan in words.
#[derive(Clone, Debug, Default)]
pub(crate) struct Canonical {
    /// The rows before conditions.
    pub(crate) rows: String,
    /// What holds for them.
    pub(crate) conditions: BTreeSet<String>,
    /// What each column is.
    pub(crate) columns: Vec<String>,
    /// The table columns that are read, with their types, down to the first operator with state.
    pub(crate) tables: BTreeSet<String>,
}

impl Canonical {
    /// The rows of an operator with state, given what its columns are to itself.
    pub(crate) fn behind(state: &Identity, columns: impl IntoIterator<Item = String>) -> Self {
        let short = state.short();
        Canonical {
            rows: format!("{} {}", state.kind, state.uid),
            columns: columns.into_iter().map(|column| cut(format!("{short}[{column}]"))).collect(),
            ..Canonical::default()
        }
    }

    /// Rows and conditions.
    pub(crate) fn relation(&self) -> String {
        if self.conditions.is_empty() {
            return self.rows.clone();
        }
        let conditions: Vec<&str> = self.conditions.iter().map(String::as_str).collect();
        cut(format!("{} where {}", self.rows, conditions.join(" and ")))
    }

    /// The table columns, for an identity.
    pub(crate) fn read(&self) -> String {
        self.tables.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
    }

    /// Each row with values that are computed over all of them.
    pub(crate) fn computed(self, values: Vec<String>) -> Self {
        let rows = cut(format!("({} with {})", self.relation(), values.join(", ")));
        self.made_into(rows, values)
    }

    /// The same columns, and more of the new `rows` alone: what holds for these has been said with them.
    pub(crate) fn made_into(self, rows: String, more: impl IntoIterator<Item = String>) -> Self {
        let rows = cut(rows);
        let mut columns = self.columns;
        columns.extend(of_rows(&rows, more));
        Canonical { rows, conditions: BTreeSet::new(), columns, tables: self.tables }
    }
}

/// Columns that only these rows have.
pub(super) fn of_rows<T: std::fmt::Display>(rows: &str, columns: impl IntoIterator<Item = T>) -> Vec<String> {
    let hash = digits([rows]);
    columns.into_iter().map(|column| cut(format!("#{}[{column}]", &hash[..SHORT]))).collect()
}

/// Puts plans into words. How, is known to [`relation`](super::relation).
pub(crate) struct Words<'a> {
    pub(crate) physical: &'a Physical<'a>,
    pub(super) of: fn(&Physical<'_>, &LogicalPlan, &[Canonical]) -> Result<Canonical, StreamError>,
}

impl Words<'_> {
    /// A plan in words.
    pub(crate) fn of(&self, plan: &LogicalPlan) -> Result<Canonical, StreamError> {
        self.computed(plan, &[])
    }

    /// A computation over what was gathered of some `inputs` in words.
    pub(crate) fn computed(
        &self,
        plan: &LogicalPlan,
        inputs: &[Canonical],
    ) -> Result<Canonical, StreamError> {
        (self.of)(self.physical, plan, inputs)
    }
}

/// An aggregate by window that is to be known again.
pub(crate) struct Windowed<'a> {
    pub(crate) kind: &'a str,
    /// `None` where rows carry it.
    pub(crate) window: Option<WindowSpec>,
    pub(crate) lateness_us: i64,
    pub(crate) time: &'a Expr,
    pub(crate) bound: TimeBound,
    /// In the order of the state's columns.
    pub(crate) keys: &'a [Expr],
    pub(crate) aggregates: &'a [Expr],
    /// The state's columns.
    pub(crate) state: &'a Schema,
}

impl Windowed<'_> {
    /// What its state is known by, over these rows.
    pub(crate) fn identity(&self, input: &Canonical, schema: &DFSchema) -> DataFusionResult<Identity> {
        let columns = Columns::new(schema, &input.columns);
        let list = |exprs: &[Expr]| columns.list(exprs);
        let lateness = if self.lateness_us == 0 { String::new() } else { interval_text(self.lateness_us) };
        let window = self.window.map_or_else(|| "that of the rows".to_owned(), window_text);
        Ok(Identity::new(
            self.kind,
            [
                ("window", window),
                ("time", format!("{} by {}", columns.text(self.time)?, bound_text(self.bound))),
                ("key", list(self.keys)?),
                ("aggregates", list(self.aggregates)?),
                ("allowed lateness", lateness),
                ("rows", input.relation()),
                ("columns", input.read()),
                ("state", schema_text(self.state)),
            ],
        ))
    }
}

/// A schema in words.
pub(crate) fn schema_text(schema: &Schema) -> String {
    let fields = schema.fields().iter().map(|field| format!("{} {}", field.name(), field.data_type()));
    fields.collect::<Vec<_>>().join(", ")
}

/// The columns of a table and what they are computed from, with their types.
pub(super) fn declared<'a>(
    table: &TableDef,
    names: impl IntoIterator<Item = &'a str>,
) -> Result<BTreeSet<String>, StreamError> {
    let schema = DFSchema::try_from(table.schema().as_ref().clone())?;
    let own: Vec<String> = table.columns.iter().map(|column| column_text(table, &column.name)).collect();
    let columns = Columns::new(&schema, &own);
    let mut texts = BTreeSet::new();
    let mut wanted: Vec<String> = names.into_iter().map(str::to_owned).collect();
    while let Some(name) = wanted.pop() {
        let Some(column) = table.columns.iter().find(|column| column.name == name) else { continue };
        let mut text = format!("{} {}", column_text(table, &name), column.data_type);
        if column.is_json {
            text.push_str(" as it is written");
        }
        match &column.kind {
            ColumnKind::Generated(expr) => {
                text.push_str(&format!(" as {}", columns.text(expr)?));
                wanted.extend(expr.column_refs().into_iter().map(|column| column.name.clone()));
            }
            ColumnKind::FromSource { metadata, .. } => {
                text.push_str(&format!(" from metadata {}", metadata.name()));
            }
            ColumnKind::Physical | ColumnKind::Metadata(_) => {}
        }
        texts.insert(text);
    }
    Ok(texts)
}

/// What a source's positions and keys are known by. `outside` is what it reads outside, by its connector.
pub(super) fn source_identity(
    table: &TableDef,
    options: &crate::source::SourceOptions,
    outside: Vec<(&'static str, String)>,
) -> Result<Identity, StreamError> {
    let time = table.watermark.as_ref();
    let used = time.map(|time| time.column.as_str()).into_iter();
    let used = declared(table, used.chain(options.deduplicate_key.iter().map(String::as_str)))?;
    let deduplicated = match options.deduplicate_key.as_slice() {
        [] => String::new(),
        key => format!("by {}, for {}", key.join(", "), interval_text(options.deduplicate_horizon_us)),
    };
    let mut details = vec![("table", table.name.clone()), ("connector", table.connector())];
    details.extend(outside);
    details.extend([
        ("format", format_text(table)),
        ("event time", time.map(|time| time.column.clone()).unwrap_or_default()),
        ("watermark delay", time.map(|time| interval_text(time.delay_us)).unwrap_or_default()),
        ("deduplication", deduplicated),
        ("columns", used.into_iter().collect::<Vec<_>>().join(", ")),
    ]);
    Ok(Identity::new("source", details))
}

/// A table's format with its options, since records mean something else with others.
fn format_text(table: &TableDef) -> String {
    let format = table.options.get("format").unwrap_or("json");
    let own = format!("{format}.");
    // Either form of times is read as it comes, and what cannot be read is set aside in any case.
    let means_nothing =
        |name: &str| name.ends_with(".timestamp-format.standard") || name.ends_with(".ignore-parse-errors");
    let options = table.options.values().iter();
    let options = options.filter(|(name, _)| name.starts_with(&own) && !means_nothing(name));
    let options: String = options.map(|(name, value)| format!(", {name} '{value}'")).collect();
    format!("{format}{options}")
}

/// What a sink's commits are known by. `outside` is what it writes outside, by its connector.
pub(crate) fn sink_identity(table: &TableDef, outside: Vec<(&'static str, String)>) -> Identity {
    let own = [("table", table.name.clone()), ("connector", table.connector())];
    Identity::new("sink", own.into_iter().chain(outside))
}

/// A column of a table in words.
pub(super) fn column_text(table: &TableDef, column: &str) -> String {
    format!("{}.{}", name_text(&table.name), name_text(column))
}

/// A name, quoted where it could be taken for something else.
pub(super) fn name_text(name: &str) -> String {
    let is_plain = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_');
    if is_plain { name.to_owned() } else { format!("`{}`", name.replace('`', "``")) }
}

/// A text, or its beginning and its hash where it is long.
pub(super) fn cut(text: String) -> String {
    if text.len() <= LONGEST {
        return text;
    }
    let kept: String = text.chars().take(KEPT).collect();
    format!("{kept}… ({})", digits([text.as_str()]))
}
