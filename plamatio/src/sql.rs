//! `plamatio sql`: SQL over the lake.

use anyhow::Context;
use queries::{Format, Lake, Options, Session, repl};

use crate::cli::{SqlArgs, SqlFormat};

/// Runs SQL from a flag, a file, a report, or standard input.
pub(crate) async fn sql(args: SqlArgs) -> anyhow::Result<()> {
    let session = Session::with(Lake::open(&args.lake)?, stream::sql::functions::register);
    let format = match args.format {
        SqlFormat::Table => Format::Table,
        SqlFormat::Json => Format::Json,
        SqlFormat::Csv => Format::Csv,
    };
    let options = Options { format, timeout: args.timeout, row_limit: None, timing: false };
    let mut out = std::io::stdout().lock();
    let script = match (args.command, args.file, args.report) {
        (Some(command), ..) => Some(command),
        (_, Some(file), _) => {
            Some(std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?)
        }
        (.., Some(name)) => Some(queries::report(&name)?.sql_over(session.lake(), &args.zone).await?),
        _ => None,
    };
    let done = match script {
        Some(script) => session.run(&script, &options, &mut out).await,
        None => {
            let options = Options { row_limit: Some(repl::DEFAULT_ROW_LIMIT), ..options };
            let history = std::env::home_dir().map(|home| home.join(".plamatio_history"));
            repl::run(&session, repl::ReplOptions { run: options, history }, &mut out).await
        }
    };
    match done {
        Err(error) if error.is_broken_pipe() => Ok(()),
        done => Ok(done.map(|_| ())?),
    }
}
