//! `CREATE TABLE` to a [`TableDef`].

use std::{collections::BTreeMap, sync::Arc};

use arrow::datatypes::{DataType, Field, Schema};
use datafusion::{
    common::DFSchema,
    datasource::empty::EmptyTable,
    logical_expr::cast,
    sql::sqlparser::{
        ast::{BinaryOperator, DataType as SqlType, Expr as SqlExpr},
        tokenizer::Span,
    },
};

use super::Catalog;
use crate::{
    error::{SqlError, StreamError},
    options::Options,
    planner::interval::interval_micros,
    sql::{
        ddl::{Column, CreateTable},
        types::{KNOWN_TYPES, arrow_field},
    },
    table::{ColumnDef, ColumnKind, MetadataKey, SourceMetadata, TableDef, WatermarkDef, timestamp_type},
};

/// How far a watermark trails the event time where nothing is said, as in Arroyo.
const DEFAULT_DELAY_US: i64 = 1_000_000;

impl Catalog {
    /// Adds a table. The columns of `CREATE TABLE … AS query` are those of the query, `queried`.
    pub(crate) fn create_table(
        &mut self,
        statement: &CreateTable,
        queried: Option<&DFSchema>,
    ) -> Result<(), StreamError> {
        let mut own = statement.options.clone();
        let arroyo = ArroyoOptions::take(&mut own);
        let inherited = self.inherited(statement)?;
        self.declare(&statement.name, statement.span)?;
        let mut options = inherited.options;
        options.extend(own.into_iter().map(|(name, (value, _))| (name, value)));

        // What is read comes first: generated ones are expressions over them.
        let mut columns = inherited.columns;
        let first_own = columns.len();
        for column in &statement.columns {
            columns.push(self.column(column)?);
        }
        let physical = physical_schema(&columns)?;
        for (column, declared) in columns[first_own..].iter_mut().zip(&statement.columns) {
            if let Some(expr) = &declared.generated {
                self.generate(column, declared, expr, &physical)?;
            }
        }
        if let Some(schema) = queried {
            columns.extend(self.queried(statement, schema)?);
        }
        if let Some(twice) = first_repeated(columns.iter().map(|column| column.name.as_str())) {
            return Err(self.error(statement.span, format!("column '{twice}' is declared twice")).into());
        }
        let watermark = self.watermark(statement, &arroyo, &columns)?.or(inherited.watermark);
        let primary_key = match statement.primary_key.is_empty() {
            true => inherited.primary_key,
            false => statement.primary_key.iter().map(|(key, _)| key.clone()).collect(),
        };
        self.check_names(statement, &columns, watermark.as_ref(), &primary_key)?;
        let mut required = inherited.required;
        required.extend(statement.columns.iter().filter(|c| c.is_required).map(|c| c.name.clone()));
        required.extend(primary_key.iter().cloned());
        self.required.insert(statement.name.clone(), required);
        let options = Options::new(&statement.name, options);
        let table = TableDef { name: statement.name.clone(), columns, watermark, primary_key, options };
        let places = statement.columns.iter().map(|column| (column.name.clone(), column.span));
        self.places.insert(table.name.clone(), (statement.span, places.collect()));
        self.note_memory(&table, statement.span)?;
        self.context.register_table(super::quoted(&table.name), Arc::new(EmptyTable::new(table.schema())))?;
        self.tables.insert(table.name.clone(), table);
        Ok(())
    }

    /// The columns that a table has of its query.
    fn queried(&self, statement: &CreateTable, schema: &DFSchema) -> Result<Vec<ColumnDef>, StreamError> {
        if let Some(column) = statement.columns.iter().find(|column| column.metadata.is_none()) {
            let message = format!("'{}' cannot be declared: the columns are those of the query", column.name);
            return Err(self
                .error(column.span, message)
                .with_help("cast in the query, and give its columns their names with AS")
                .into());
        }
        let mut columns = Vec::new();
        for field in schema.fields() {
            let data_type = own_type(field.data_type());
            if matches!(data_type, DataType::Null | DataType::Interval(_) | DataType::Duration(_)) {
                let message =
                    format!("column '{}' of the query has no type that a table can have", field.name());
                return Err(self
                    .error(statement.span, message)
                    .with_help("cast it: CAST(… AS STRING)")
                    .into());
            }
            columns.push(ColumnDef {
                name: field.name().clone(),
                data_type,
                is_json: false,
                kind: ColumnKind::Physical,
            });
        }
        Ok(columns)
    }

    /// Key and event time are columns.
    fn check_names(
        &self,
        statement: &CreateTable,
        columns: &[ColumnDef],
        watermark: Option<&WatermarkDef>,
        primary_key: &[String],
    ) -> Result<(), SqlError> {
        let is_absent = |name: &str| columns.iter().all(|column| column.name != name);
        if let Some(key) = primary_key.iter().find(|key| is_absent(key)) {
            let declared = statement.primary_key.iter().find(|(name, _)| name == key);
            let span = declared.map_or(statement.span, |(_, span)| *span);
            let message = format!("PRIMARY KEY names '{key}', which is not a column of {}", statement.name);
            return Err(self.error(span, message));
        }
        // One of its own has been looked at already.
        let Some(lost) = watermark.filter(|watermark| is_absent(&watermark.column)) else { return Ok(()) };
        let message = format!("the watermark that is taken over is for '{}', which is not", lost.column);
        Err(self.error(statement.span, message).with_help("add EXCLUDING WATERMARKS"))
    }

    fn column(&self, column: &Column) -> Result<ColumnDef, StreamError> {
        let data_type = match &column.data_type {
            // A computed column gets its type from its expression, later.
            None => DataType::Null,
            Some(declared) => {
                let field = arrow_field(&column.name, declared).map_err(|problem| {
                    self.error(
                        column.span,
                        format!("the type of column '{}' is not supported: {problem}", column.name),
                    )
                    .with_help(format!("the types are {KNOWN_TYPES}"))
                })?;
                field.data_type().clone()
            }
        };
        let is_json = column.data_type == Some(SqlType::JSON);
        let kind = match &column.metadata {
            None => ColumnKind::Physical,
            Some(key) => self.metadata(column, key, &data_type)?,
        };
        Ok(ColumnDef { name: column.name.clone(), data_type, is_json, kind })
    }

    fn metadata(&self, column: &Column, key: &str, data_type: &DataType) -> Result<ColumnKind, SqlError> {
        if let Some(known) = MetadataKey::from_name(key) {
            if *data_type != known.data_type() {
                let message =
                    format!("metadata column '{}' must be of type {}", column.name, known.data_type());
                return Err(self.error(column.span, message));
            }
            return Ok(ColumnKind::Metadata(known));
        }
        let Some(metadata) = SourceMetadata::from_name(key) else {
            let of_sources = SourceMetadata::NAMES.map(|(name, _)| name).join(", ");
            return Err(self.error(column.span, format!("there is no metadata '{key}'")).with_help(format!(
                "of sinks there are is_final BOOLEAN, epoch BIGINT and revision BIGINT; of sources {of_sources}"
            )));
        };
        if !metadata.types().contains(data_type) {
            let message =
                format!("metadata column '{}' must be of type {}", column.name, metadata.expected());
            return Err(self.error(column.span, message));
        }
        Ok(ColumnKind::FromSource { metadata, is_virtual: column.is_virtual })
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
        let computed = typed.data_type(physical.as_arrow())?;
        if declared.data_type.is_none() {
            column.data_type = own_type(&computed);
        }
        column.kind = ColumnKind::Generated(cast(expr, column.data_type.clone()));
        Ok(())
    }

    /// The watermark that is declared by `WATERMARK FOR`, or by the options `event_time_field` and `watermark_field` of
    /// Arroyo's older form.
    fn watermark(
        &self,
        statement: &CreateTable,
        arroyo: &ArroyoOptions,
        columns: &[ColumnDef],
    ) -> Result<Option<WatermarkDef>, StreamError> {
        let (event_time, trails) = (arroyo.event_time_field.as_ref(), arroyo.watermark_field.as_ref());
        if let Some(watermark) = &statement.watermark {
            if let Some((_, span)) = event_time.or(trails) {
                return Err(self
                    .error(*span, "the table has a WATERMARK clause, which tells its event time already")
                    .with_help("leave out either the option or the clause")
                    .into());
            }
            let delay = watermark.expr.as_ref().map(|expr| (expr, watermark.span));
            return self.watermark_of(&watermark.column, watermark.span, delay, columns).map(Some);
        }
        let Some((column, span)) = event_time else {
            return match trails {
                None => Ok(None),
                Some((_, span)) => Err(self
                    .error(*span, "a 'watermark_field' needs an 'event_time_field', whose values it trails")
                    .into()),
            };
        };
        let mut delay = None;
        if let Some((name, span)) = trails {
            let declared = statement.columns.iter().find(|column| column.name == *name);
            let expr = declared.and_then(|column| column.generated.as_ref()).ok_or_else(|| {
                self.error(*span, format!("'watermark_field' names '{name}', which is no computed column"))
                    .with_help(format!("write WATERMARK FOR {column} AS {column} - INTERVAL '5' SECOND"))
            })?;
            delay = Some((expr, *span));
        }
        self.watermark_of(column, *span, delay, columns).map(Some)
    }

    /// A watermark that trails `column`: by an expression `column - INTERVAL delay`, or `column` for no delay.
    fn watermark_of(
        &self,
        column: &str,
        span: Span,
        expr: Option<(&SqlExpr, Span)>,
        columns: &[ColumnDef],
    ) -> Result<WatermarkDef, StreamError> {
        self.check_event_time(column, span, columns)?;
        let delay_us = match expr {
            None => DEFAULT_DELAY_US,
            Some((expr, span)) => self.delay(column, expr)?.ok_or_else(|| {
                self.error(span, format!("the watermark of '{column}' is not understood"))
                    .with_help(format!("write WATERMARK FOR {column} AS {column} - INTERVAL '5' SECOND"))
            })?,
        };
        Ok(WatermarkDef { column: column.to_owned(), delay_us })
    }

    /// How far `expr` lies behind the column, if it is the column less a fixed interval.
    fn delay(&self, column: &str, expr: &SqlExpr) -> Result<Option<i64>, StreamError> {
        let is_column = |expr: &SqlExpr| matches!(expr, SqlExpr::Identifier(ident) if ident.value == column);
        match expr {
            SqlExpr::Nested(expr) => self.delay(column, expr),
            expr if is_column(expr) => Ok(Some(0)),
            SqlExpr::BinaryOp { left, op: BinaryOperator::Minus, right } if is_column(left) => {
                let interval = self.expression(right, &DFSchema::empty())?;
                Ok(interval_micros(&interval).filter(|delay| *delay >= 0))
            }
            _ => Ok(None),
        }
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
    event_time_field: Option<(String, Span)>,
    watermark_field: Option<(String, Span)>,
}

impl ArroyoOptions {
    fn take(options: &mut BTreeMap<String, (String, Span)>) -> Self {
        // Whether a table is source or sink shows from its use.
        if options.get("type").is_some_and(|(kind, _)| matches!(kind.as_str(), "source" | "sink")) {
            options.remove("type");
        }
        if let Some((connector, _)) = options.get_mut("connector").filter(|(name, _)| name == "single_file") {
            *connector = "filesystem".to_owned();
        }
        if let Some(servers) = options.remove("bootstrap_servers") {
            options.insert("properties.bootstrap.servers".to_owned(), servers);
        }
        ArroyoOptions {
            event_time_field: options.remove("event_time_field"),
            watermark_field: options.remove("watermark_field"),
        }
    }
}

/// The engine's own type for one of DataFusion's: there is one of timestamps, and one of texts.
fn own_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Timestamp(..) => timestamp_type(),
        DataType::Utf8View | DataType::LargeUtf8 => DataType::Utf8,
        other => other.clone(),
    }
}

fn physical_schema(columns: &[ColumnDef]) -> Result<DFSchema, StreamError> {
    let fields: Vec<Field> = columns
        .iter()
        .filter(|column| {
            let is_read = matches!(column.kind, ColumnKind::Physical | ColumnKind::FromSource { .. });
            is_read && column.data_type != DataType::Null
        })
        .map(|column| Field::new(&column.name, column.data_type.clone(), true))
        .collect();
    Ok(DFSchema::try_from(Schema::new(fields))?)
}

fn first_repeated<'a>(names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let mut seen = std::collections::BTreeSet::new();
    names.into_iter().find(|name| !seen.insert(*name))
}
