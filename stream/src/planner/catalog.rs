//! The script's tables and views, as DataFusion plans against them.

mod create;
mod like;
mod memory;

use std::{collections::BTreeMap, sync::Arc};

use datafusion::{
    common::DFSchema,
    datasource::ViewTable,
    error::DataFusionError,
    execution::session_state::SessionState,
    logical_expr::{Expr, LogicalPlan, planner::RelationPlanner},
    prelude::{SessionConfig, SessionContext},
    sql::sqlparser::{
        ast::{Expr as SqlExpr, ExprWithAlias},
        tokenizer::Span,
    },
};

use super::{diagnose, dialect};
use crate::{
    error::{SqlError, StreamError},
    sql::{functions, tokens},
    table::TableDef,
};

/// Tables and views, and the DataFusion session that knows them.
pub(crate) struct Catalog {
    script: String,
    context: SessionContext,
    tables: BTreeMap<String, TableDef>,
    names: Vec<String>,
    /// By table, the columns that an `INSERT` has to name.
    required: BTreeMap<String, Vec<String>>,
    memory: BTreeMap<String, memory::Memory>,
    /// By table, where its name stands and where those of its own columns do.
    places: BTreeMap<String, (Span, BTreeMap<String, Span>)>,
}

impl Catalog {
    /// An empty catalogue; `script` is for error messages, `relations` plans what stands in `FROM` and is no table.
    pub(crate) fn new(script: &str, relations: Arc<dyn RelationPlanner>) -> Result<Self, StreamError> {
        // What DataFusion computes for us it computes on one thread.
        let mut config = SessionConfig::new().with_target_partitions(1);
        let options = config.options_mut();
        options.sql_parser.collect_spans = true;
        options.sql_parser.map_string_types_to_utf8view = false;
        options.sql_parser.parse_float_as_decimal = true;
        // As in Flink: a column `anonymousId` is the JSON field of just that name.
        options.sql_parser.enable_ident_normalization = false;
        // Takes two columns of one aggregate for one name twice.
        options.optimizer.enable_leaf_expression_pushdown = false;
        // The zone of what is cast to TIMESTAMP_LTZ. Columns are in "UTC", which is the same and tells the two apart.
        options.execution.time_zone = Some("+00:00".to_owned());
        let mut context = SessionContext::new_with_config(config);
        functions::register(&context);
        dialect::register(&mut context)?;
        context.register_relation_planner(relations)?;
        Ok(Catalog {
            script: script.to_owned(),
            context,
            tables: BTreeMap::new(),
            names: Vec::new(),
            required: BTreeMap::new(),
            memory: BTreeMap::new(),
            places: BTreeMap::new(),
        })
    }

    /// DataFusion's state, with all tables and views so far.
    pub(crate) fn state(&self) -> SessionState {
        self.context.state()
    }

    /// The table of that name.
    pub(crate) fn table(&self, name: &str) -> Option<&TableDef> {
        self.tables.get(name)
    }

    /// Whether there is a table or a view of that name.
    pub(crate) fn knows(&self, name: &str) -> bool {
        self.names.iter().any(|known| known == name)
    }

    /// Whether an `INSERT` that names columns has to name this one.
    pub(crate) fn is_required(&self, table: &str, column: &str) -> bool {
        self.required.get(table).is_some_and(|columns| columns.iter().any(|known| known == column))
    }

    /// Where a column of a table is declared, or the table where it has the column of another.
    pub(crate) fn place(&self, table: &str, column: &str) -> Span {
        let places = self.places.get(table);
        places.map_or(Span::empty(), |(span, columns)| columns.get(column).copied().unwrap_or(*span))
    }

    /// An error at a place in the script.
    pub(crate) fn error(&self, span: Span, message: impl Into<String>) -> SqlError {
        SqlError::at(&self.script, tokens::place(span.start), message)
    }

    /// An error about a table that does not exist.
    pub(crate) fn unknown_table(&self, name: &str, span: Span) -> SqlError {
        if self.knows(name) {
            return self.error(span, format!("'{name}' is a view: only a table can be inserted into"));
        }
        self.error(span, format!("there is no table '{name}'"))
            .with_help(diagnose::tables_help(name, &self.names))
    }

    /// DataFusion's error with its place.
    pub(crate) fn diagnose(&self, error: DataFusionError) -> StreamError {
        diagnose::diagnose(&self.script, &self.names, error)
    }

    fn declare(&mut self, name: &str, span: Span) -> Result<(), SqlError> {
        if self.knows(name) {
            return Err(self.error(span, format!("'{name}' is declared twice")));
        }
        self.names.push(name.to_owned());
        Ok(())
    }

    /// Adds a view.
    pub(crate) fn create_view(
        &mut self,
        name: &str,
        span: Span,
        plan: LogicalPlan,
    ) -> Result<(), StreamError> {
        self.declare(name, span)?;
        self.context.register_table(quoted(name), Arc::new(ViewTable::new(plan, None)))?;
        Ok(())
    }

    /// An expression over a table's columns, in Flink's meaning.
    fn expression(&self, expr: &SqlExpr, schema: &DFSchema) -> Result<Expr, StreamError> {
        let expr = ExprWithAlias { expr: expr.clone(), alias: None };
        let expr = self.state().create_logical_expr_from_sql_expr(expr, schema);
        let checked = expr.and_then(|expr| dialect::check(&expr, schema).map(|()| expr));
        checked.map_err(|error| self.diagnose(error))
    }
}

/// A table reference that DataFusion does not lower the case of.
fn quoted(name: &str) -> datafusion::common::TableReference {
    datafusion::common::TableReference::bare(name)
}
