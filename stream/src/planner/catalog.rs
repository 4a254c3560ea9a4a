//! The script's tables and views, as DataFusion plans against them.

use std::{collections::BTreeMap, sync::Arc};

use arrow::datatypes::{DataType, Field, Schema};
use datafusion::{
    common::{DFSchema, ScalarValue},
    datasource::{ViewTable, empty::EmptyTable},
    error::DataFusionError,
    execution::session_state::SessionState,
    logical_expr::{Expr, LogicalPlan, cast},
    prelude::{SessionConfig, SessionContext},
    sql::sqlparser::{
        ast::{BinaryOperator, Expr as SqlExpr, ExprWithAlias},
        tokenizer::Span,
    },
};

use super::{diagnose, dialect};
use crate::{
    error::{SqlError, StreamError},
    options::Options,
    sql::{
        ddl::{Column, CreateTable, Watermark},
        functions, tokens,
        types::{KNOWN_TYPES, arrow_type},
    },
    table::{ColumnDef, ColumnKind, MetadataKey, TableDef, WatermarkDef, timestamp_type},
};

/// Tables and views, and the DataFusion session that knows them.
pub struct Catalog {
    script: String,
    context: SessionContext,
    tables: BTreeMap<String, TableDef>,
    names: Vec<String>,
}

impl Catalog {
    /// An empty catalogue; `script` is for error messages.
    pub fn new(script: &str) -> Result<Self, StreamError> {
        // What DataFusion computes for us it computes on one thread.
        let mut config = SessionConfig::new().with_target_partitions(1);
        let options = config.options_mut();
        options.sql_parser.collect_spans = true;
        options.sql_parser.map_string_types_to_utf8view = false;
        options.sql_parser.parse_float_as_decimal = true;
        // As in Flink: a column `anonymousId` is the JSON field of just that name.
        options.sql_parser.enable_ident_normalization = false;
        let mut context = SessionContext::new_with_config(config);
        functions::register(&context);
        dialect::register(&mut context)?;
        Ok(Catalog { script: script.to_owned(), context, tables: BTreeMap::new(), names: Vec::new() })
    }

    /// DataFusion's state, with all tables and views so far.
    pub fn state(&self) -> SessionState {
        self.context.state()
    }

    /// The table of that name.
    pub fn table(&self, name: &str) -> Option<&TableDef> {
        self.tables.get(name)
    }

    /// An error at a place in the script.
    pub fn error(&self, span: Span, message: impl Into<String>) -> SqlError {
        SqlError::at(&self.script, tokens::place(span.start), message)
    }

    /// An error about a table that does not exist.
    pub fn unknown_table(&self, name: &str, span: Span) -> SqlError {
        if self.names.iter().any(|known| known == name) {
            return self.error(span, format!("'{name}' is a view: only a table can be inserted into"));
        }
        self.error(span, format!("there is no table '{name}'"))
            .with_help(diagnose::tables_help(name, &self.names))
    }

    /// DataFusion's error with its place.
    pub fn diagnose(&self, error: DataFusionError) -> StreamError {
        diagnose::diagnose(&self.script, &self.names, error)
    }

    fn declare(&mut self, name: &str, span: Span) -> Result<(), SqlError> {
        if self.names.iter().any(|known| known == name) {
            return Err(self.error(span, format!("'{name}' is declared twice")));
        }
        self.names.push(name.to_owned());
        Ok(())
    }

    /// Adds a view.
    pub fn create_view(&mut self, name: &str, span: Span, plan: LogicalPlan) -> Result<(), StreamError> {
        self.declare(name, span)?;
        self.context.register_table(quoted(name), Arc::new(ViewTable::new(plan, None)))?;
        Ok(())
    }

    /// Adds a table.
    pub fn create_table(&mut self, statement: &CreateTable) -> Result<(), StreamError> {
        self.declare(&statement.name, statement.span)?;
        let mut options = statement.options.clone();
        let arroyo = ArroyoOptions::take(&mut options);
        let options = Options::new(&statement.name, options);

        // Physical columns first: generated ones are expressions over them.
        let mut columns = Vec::new();
        for column in &statement.columns {
            columns.push(self.column(column)?);
        }
        let physical = physical_schema(&columns)?;
        for (column, declared) in columns.iter_mut().zip(&statement.columns) {
            if let Some(expr) = &declared.generated {
                self.generate(column, declared, expr, &physical)?;
            }
        }
        if let Some(twice) = first_repeated(columns.iter().map(|column| column.name.as_str())) {
            return Err(self.error(statement.span, format!("column '{twice}' is declared twice")).into());
        }
        let watermark = match (&statement.watermark, arroyo.event_time_field) {
            (Some(watermark), _) => Some(self.watermark(watermark, &columns)?),
            // Arroyo's watermark trails the event time by one second unless a field of its own is named.
            (None, Some(column)) => {
                self.check_event_time(&column, statement.span, &columns)?;
                Some(WatermarkDef { column, delay_us: 1_000_000 })
            }
            (None, None) => None,
        };
        for key in &statement.primary_key {
            if columns.iter().all(|column| column.name != *key) {
                let message =
                    format!("PRIMARY KEY names '{key}', which is not a column of {}", statement.name);
                return Err(self.error(statement.span, message).into());
            }
        }
        let table = TableDef {
            name: statement.name.clone(),
            columns,
            watermark,
            primary_key: statement.primary_key.clone(),
            options,
        };
        self.context.register_table(quoted(&table.name), Arc::new(EmptyTable::new(table.schema())))?;
        self.tables.insert(table.name.clone(), table);
        Ok(())
    }

    fn column(&self, column: &Column) -> Result<ColumnDef, StreamError> {
        let data_type = match &column.data_type {
            // A computed column gets its type from its expression, later.
            None => DataType::Null,
            Some(declared) => arrow_type(declared).ok_or_else(|| {
                self.error(
                    column.span,
                    format!("column '{}' has type {declared}, which is not supported", column.name),
                )
                .with_help(format!("the types are {KNOWN_TYPES}"))
            })?,
        };
        let kind = match &column.metadata {
            None => ColumnKind::Physical,
            Some(key) => {
                let known = MetadataKey::from_name(key).ok_or_else(|| {
                    self.error(column.span, format!("there is no metadata '{key}'")).with_help(
                        "the metadata columns are is_final BOOLEAN, epoch BIGINT and revision BIGINT",
                    )
                })?;
                if data_type != known.data_type() {
                    let message =
                        format!("metadata column '{}' must be of type {}", column.name, known.data_type());
                    return Err(self.error(column.span, message).into());
                }
                ColumnKind::Metadata(known)
            }
        };
        Ok(ColumnDef { name: column.name.clone(), data_type, kind })
    }

    fn generate(
        &self,
        column: &mut ColumnDef,
        declared: &Column,
        expr: &SqlExpr,
        physical: &DFSchema,
    ) -> Result<(), StreamError> {
        let expr = self.expression(expr, physical)?;
        let state = self.state();
        let typed =
            state.create_physical_expr(expr.clone(), physical).map_err(|error| self.diagnose(error))?;
        let own_type = typed.data_type(physical.as_arrow())?;
        if declared.data_type.is_none() {
            // Timestamps of any unit become the engine's own.
            column.data_type = match own_type {
                DataType::Timestamp(..) => timestamp_type(),
                DataType::Utf8View | DataType::LargeUtf8 => DataType::Utf8,
                other => other,
            };
        }
        column.kind = ColumnKind::Generated(cast(expr, column.data_type.clone()));
        Ok(())
    }

    fn expression(&self, expr: &SqlExpr, schema: &DFSchema) -> Result<Expr, StreamError> {
        let expr = ExprWithAlias { expr: expr.clone(), alias: None };
        let expr = self.state().create_logical_expr_from_sql_expr(expr, schema);
        let checked = expr.and_then(|expr| dialect::check(&expr, schema).map(|()| expr));
        checked.map_err(|error| self.diagnose(error))
    }

    /// `WATERMARK FOR column AS column - INTERVAL delay`, or `AS column` for no delay.
    fn watermark(&self, watermark: &Watermark, columns: &[ColumnDef]) -> Result<WatermarkDef, StreamError> {
        self.check_event_time(&watermark.column, watermark.span, columns)?;
        let unclear = || {
            self.error(watermark.span, format!("the watermark of '{}' is not understood", watermark.column))
                .with_help(format!("write WATERMARK FOR {0} AS {0} - INTERVAL '5' SECOND", watermark.column))
        };
        let is_column = |expr: &SqlExpr| match expr {
            SqlExpr::Identifier(ident) => ident.value == watermark.column,
            _ => false,
        };
        let delay_us = match &watermark.expr {
            expr if is_column(expr) => 0,
            SqlExpr::BinaryOp { left, op: BinaryOperator::Minus, right } if is_column(left) => {
                let interval = self.expression(right, &DFSchema::empty())?;
                interval_micros(&interval).filter(|delay| *delay >= 0).ok_or_else(unclear)?
            }
            _ => return Err(unclear().into()),
        };
        Ok(WatermarkDef { column: watermark.column.clone(), delay_us })
    }

    fn check_event_time(&self, name: &str, span: Span, columns: &[ColumnDef]) -> Result<(), SqlError> {
        let Some(column) = columns.iter().find(|column| column.name == name) else {
            let known = columns.iter().map(|c| c.name.as_str()).collect::<Vec<_>>().join(", ");
            return Err(self
                .error(span, format!("the watermark is for '{name}', which is not a column"))
                .with_help(format!("the columns are {known}")));
        };
        if column.data_type != timestamp_type() {
            return Err(self
                .error(span, format!("'{name}' cannot be event time: it is of type {}", column.data_type))
                .with_help(
                    "declare it as TIMESTAMP(3), or compute one: event_time AS CAST(… AS TIMESTAMP)",
                ));
        }
        Ok(())
    }
}

/// Options that Arroyo's tables have and Flink's do not.
#[derive(Default)]
struct ArroyoOptions {
    event_time_field: Option<String>,
}

impl ArroyoOptions {
    fn take(options: &mut BTreeMap<String, String>) -> Self {
        // Whether a table is source or sink shows from its use.
        if options.get("type").is_some_and(|kind| matches!(kind.as_str(), "source" | "sink")) {
            options.remove("type");
        }
        if options.get("connector").is_some_and(|connector| connector == "single_file") {
            options.insert("connector".to_owned(), "filesystem".to_owned());
        }
        if let Some(servers) = options.remove("bootstrap_servers") {
            options.insert("properties.bootstrap.servers".to_owned(), servers);
        }
        ArroyoOptions { event_time_field: options.remove("event_time_field") }
    }
}

/// A literal interval in microseconds; `None` for anything else, and for months, which have no fixed length.
pub(crate) fn interval_micros(expr: &Expr) -> Option<i64> {
    match expr {
        Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(interval)), _) if interval.months == 0 => {
            i64::from(interval.days).checked_mul(86_400_000_000)?.checked_add(interval.nanoseconds / 1_000)
        }
        Expr::Literal(ScalarValue::IntervalDayTime(Some(interval)), _) => i64::from(interval.days)
            .checked_mul(86_400_000_000)?
            .checked_add(i64::from(interval.milliseconds).checked_mul(1_000)?),
        Expr::Cast(cast) => interval_micros(&cast.expr),
        Expr::Alias(alias) => interval_micros(&alias.expr),
        _ => None,
    }
}

fn physical_schema(columns: &[ColumnDef]) -> Result<DFSchema, StreamError> {
    let fields: Vec<Field> = columns
        .iter()
        .filter(|column| matches!(column.kind, ColumnKind::Physical) && column.data_type != DataType::Null)
        .map(|column| Field::new(&column.name, column.data_type.clone(), true))
        .collect();
    Ok(DFSchema::try_from(Schema::new(fields))?)
}

fn first_repeated<'a>(names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let mut seen = std::collections::BTreeSet::new();
    names.into_iter().find(|name| !seen.insert(*name))
}

/// A table reference that DataFusion does not lower the case of.
fn quoted(name: &str) -> datafusion::common::TableReference {
    datafusion::common::TableReference::bare(name)
}
