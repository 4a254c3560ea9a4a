//! Runs SQL text: one statement or a script.
//!
//! Entry type: [`Session`]. It holds one DataFusion context, so `SET` lasts from statement to
//! statement. A script stops at its first error; what earlier statements wrote stays written.

use std::io::Write;
use std::time::{Duration, Instant};

use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::prelude::SessionContext;
use datafusion::sql::parser::{DFParserBuilder, Statement as DfStatement};
use datafusion::sql::sqlparser::ast::{Query, SetExpr, Statement as SqlStatement};

use crate::diagnose::Names;
use crate::error::{Error, Result};
use crate::lake::{Lake, check_plan};
use crate::output::{self, Format};
use crate::script::{self, Statement};
use crate::statement_error::StatementError;

/// How statements are run and shown.
#[derive(Debug, Clone, Default)]
pub struct Options {
    pub format: Format,
    /// Longest time for one statement, its output included.
    pub timeout: Option<Duration>,
    /// Most rows of a result that [`Format::Table`] shows; JSON and CSV are never cut.
    pub row_limit: Option<usize>,
    /// Adds the elapsed time below each table.
    pub timing: bool,
}

/// What a script did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    pub statements: u64,
    /// Rows written.
    pub rows: u64,
}

/// Read-only SQL over a lake.
#[derive(Clone)]
pub struct Session {
    lake: Lake,
    context: SessionContext,
}

impl Session {
    pub fn new(lake: Lake) -> Self {
        Self::with(lake, |_| {})
    }

    /// A session with functions added by `register`, such as those shared with the engine.
    pub fn with(lake: Lake, register: impl FnOnce(&SessionContext)) -> Self {
        let context = lake.context_with(register);
        Self { lake, context }
    }

    pub fn lake(&self) -> &Lake {
        &self.lake
    }

    /// Runs all statements of `script` in order and writes each result to `out`.
    ///
    /// # Errors
    /// The first failure: [`Error::Statement`], [`Error::Timeout`], or [`Error::Write`]. When a
    /// statement fails while its rows are being written, `out` holds a JSON array that is not
    /// closed.
    pub async fn run<W: Write>(&self, script: &str, options: &Options, out: &mut W) -> Result<Summary> {
        let result = self.run_statements(script, options, out).await;
        // Also after an error, so that what was written comes before the message.
        out.flush().map_err(|source| Error::Write { source })?;
        result
    }

    async fn run_statements<W: Write>(
        &self,
        script: &str,
        options: &Options,
        out: &mut W,
    ) -> Result<Summary> {
        let mut summary = Summary::default();
        let (statements, _) = script::split(script);
        for statement in statements {
            let run = Box::pin(self.run_statement(&statement, options, out));
            let rows = match options.timeout {
                Some(limit) => tokio::time::timeout(limit, run)
                    .await
                    .map_err(|_| Error::Timeout { line: statement.line, after: limit })??,
                None => run.await?,
            };
            summary.statements += 1;
            summary.rows += rows;
        }
        Ok(summary)
    }

    /// Runs one statement and gives its rows as a stream.
    ///
    /// # Errors
    /// [`Error::Statement`]; also when `sql` holds no or several statements. Errors of the stream
    /// itself are DataFusion's.
    pub async fn query(&self, sql: &str) -> Result<SendableRecordBatchStream> {
        let (statements, _) = script::split(sql);
        match statements.as_slice() {
            [statement] => self.plan_and_start(statement).await,
            other => {
                let message = format!("expected one statement, found {}", other.len());
                let at = other.get(1).copied().unwrap_or(Statement { text: "", line: 1, column: 1 });
                let hint = "run a script of several statements with Session::run";
                Err(Error::Statement(Box::new(StatementError::refused(&at, message, hint))))
            }
        }
    }

    async fn run_statement<W: Write>(
        &self,
        statement: &Statement<'_>,
        options: &Options,
        out: &mut W,
    ) -> Result<u64> {
        let started = Instant::now();
        let stream = self.plan_and_start(statement).await?;
        // SET has no result; an empty table after it would only be noise.
        if stream.schema().fields().is_empty() {
            return Ok(0);
        }
        let written = match output::write(stream, options.format, options.row_limit, out).await {
            Ok(written) => written,
            Err(output::WriteError::Query { source }) => {
                return Err(self.explain(&source, statement).await);
            }
            Err(output::WriteError::Encode { format, source }) => {
                return Err(Error::Encode { format, reason: source.to_string() });
            }
            Err(output::WriteError::Write { source }) => return Err(Error::Write { source }),
        };
        if options.format == Format::Table {
            output::write_footer(written, options.timing.then(|| started.elapsed()), out)
                .map_err(|source| Error::Write { source })?;
        }
        Ok(written.rows)
    }

    async fn plan_and_start(&self, statement: &Statement<'_>) -> Result<SendableRecordBatchStream> {
        match self.try_start(statement).await {
            Ok(stream) => Ok(stream),
            Err(Failure::Refused(error)) => Err(Error::Statement(Box::new(error))),
            Err(Failure::DataFusion(error)) => Err(self.explain(&error, statement).await),
        }
    }

    async fn try_start(&self, statement: &Statement<'_>) -> Result<SendableRecordBatchStream, Failure> {
        let mut parsed = DFParserBuilder::new(statement.text).build()?.parse_statements()?;
        let Some(parsed) = parsed.pop_front() else {
            return Err(DataFusionError::Plan("no statement found".to_owned()).into());
        };
        if let Some(verb) = writing_verb(&parsed, statement.text) {
            let message = if verb.split(' ').any(|word| WRITES.contains(&word)) {
                format!("{verb} is refused: the lake is read-only")
            } else {
                format!("{verb} does not work here")
            };
            let hint = "SELECT, WITH, VALUES, EXPLAIN, SHOW, DESCRIBE and SET work here";
            return Err(Failure::Refused(StatementError::refused(statement, message, hint)));
        }
        let plan = Box::pin(self.context.state().statement_to_plan(parsed)).await?;
        if let Err(message) = check_plan(&plan) {
            let hint = "SELECT, WITH, VALUES, EXPLAIN, SHOW and DESCRIBE work here";
            return Err(Failure::Refused(StatementError::refused(statement, message, hint)));
        }
        let frame = Box::pin(self.context.execute_logical_plan(plan)).await?;
        Ok(Box::pin(frame.execute_stream()).await?)
    }

    async fn explain(&self, error: &DataFusionError, statement: &Statement<'_>) -> Error {
        let tables = self.lake.tables().await.unwrap_or_else(|_| self.lake.known_tables());
        let state = self.context.state();
        let functions = state
            .scalar_functions()
            .keys()
            .chain(state.aggregate_functions().keys())
            .chain(state.window_functions().keys())
            .chain(state.table_functions().keys());
        let mut functions: Vec<_> = functions.cloned().collect();
        // Sorted, because hash maps would make the suggestion differ from run to run.
        functions.sort();
        let names = Names { tables: tables.iter().map(|table| table.sql_name()).collect(), functions };
        Error::Statement(Box::new(StatementError::explain(error, statement, &names)))
    }
}

/// First words of statements that would change something, for the wording of the refusal only.
const WRITES: [&str; 10] =
    ["INSERT", "UPDATE", "DELETE", "TRUNCATE", "MERGE", "COPY", "CREATE", "DROP", "ALTER", "writing"];

enum Failure {
    Refused(StatementError),
    DataFusion(DataFusionError),
}

impl From<DataFusionError> for Failure {
    fn from(error: DataFusionError) -> Self {
        Self::DataFusion(error)
    }
}

/// The first words of a statement that is not one of the reading kinds. Told before planning,
/// because planning a write first complains about its target table.
fn writing_verb(statement: &DfStatement, text: &str) -> Option<String> {
    let reads = match statement {
        DfStatement::Statement(statement) => sql_reads(statement),
        DfStatement::Explain(explain) => {
            return writing_verb(&explain.statement, &explain.statement.to_string());
        }
        DfStatement::Reset(_) => true,
        DfStatement::CreateExternalTable(_) | DfStatement::CopyTo(_) => false,
    };
    if reads {
        return None;
    }
    let words =
        |count| text.split_whitespace().take(count).map(str::to_uppercase).collect::<Vec<_>>().join(" ");
    if let DfStatement::Statement(statement) = statement
        && matches!(statement.as_ref(), SqlStatement::Query(_))
    {
        return Some("writing in a query".to_owned());
    }
    let first = words(1);
    Some(match first.as_str() {
        "CREATE" | "DROP" | "ALTER" => words(2),
        _ => first,
    })
}

fn sql_reads(statement: &SqlStatement) -> bool {
    match statement {
        SqlStatement::Explain { statement, .. } => sql_reads(statement),
        SqlStatement::Query(query) => query_reads(query),
        SqlStatement::Set(_)
        | SqlStatement::ExplainTable { .. }
        | SqlStatement::ShowTables { .. }
        | SqlStatement::ShowColumns { .. }
        | SqlStatement::ShowVariable { .. }
        | SqlStatement::ShowVariables { .. }
        | SqlStatement::ShowFunctions { .. }
        | SqlStatement::ShowSchemas { .. }
        | SqlStatement::ShowCreate { .. }
        | SqlStatement::ShowDatabases { .. } => true,
        _ => false,
    }
}

/// `WITH ... INSERT INTO ...` is a query to the parser.
fn query_reads(query: &Query) -> bool {
    fn body_reads(body: &SetExpr) -> bool {
        match body {
            SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => false,
            SetExpr::Query(query) => query_reads(query),
            SetExpr::SetOperation { left, right, .. } => body_reads(left) && body_reads(right),
            SetExpr::Select(select) => select.into.is_none(),
            SetExpr::Values(_) | SetExpr::Table(_) => true,
        }
    }
    let tables = query.with.iter().flat_map(|with| &with.cte_tables);
    body_reads(&query.body) && tables.into_iter().all(|table| query_reads(&table.query))
}

/// By hand, because DataFusion's state would fill pages.
impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("lake", &self.lake.url().as_str()).finish_non_exhaustive()
    }
}
