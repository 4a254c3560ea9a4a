//! Flags and environment, typed. clap refuses unknown flags; each command's help ends with an example.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Plamatio: live and final numbers from a shop's events.
#[derive(Parser, Debug)]
#[command(name = "plamatio", version, about, long_about = None, disable_help_subcommand = true)]
pub(crate) struct Cli {
    /// Log more: -v for information, -vv for debugging. RUST_LOG overrides it.
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    pub verbose: u8,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// A whole shop in one process: simulated shoppers, broker, engine, live page, lake.
    Demo(DemoArgs),
    /// Run a streaming SQL script.
    Run(RunArgs),
    /// Show what a streaming SQL script would do: its operators, their windows, time and state.
    Explain(ExplainArgs),
    /// Query the lake with SQL, interactively or once.
    Sql(SqlArgs),
    /// Make realistic shop traffic, the same for the same seed.
    Generate(GenerateArgs),
    /// Serve the commerce API, the outbox relay and the live page.
    Serve(ServeArgs),
    /// Bring the PostgreSQL schema up to date.
    Migrate(MigrateArgs),
}

#[derive(Args, Debug)]
#[command(after_help = "\
The broker inside the demo keeps about 5 MB a partition: it is for the demo, not for data.

Example:
  plamatio demo --duration 60s --rate 2000
  plamatio demo                      # until Ctrl-C; open http://127.0.0.1:8080")]
pub(crate) struct DemoArgs {
    /// How long shoppers shop, such as 60s or 5m; until Ctrl-C if not given.
    #[arg(long, value_parser = duration)]
    pub duration: Option<std::time::Duration>,
    /// Port of the live page and the API; 0 for a free one.
    #[arg(long, default_value_t = 8080, env = "PLAMATIO_PORT")]
    pub port: u16,
    /// Events a second.
    #[arg(long, default_value_t = 500.0)]
    pub rate: f64,
    /// Where lake and private services keep their data.
    #[arg(long, default_value = "plamatio-data", env = "PLAMATIO_DATA")]
    pub data_dir: PathBuf,
    /// Seed of the simulated traffic.
    #[arg(long, default_value_t = 7)]
    pub seed: u64,
    /// PostgreSQL for the storefront; a private instance is started if it is installed and this is not set.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    pub database_url: Option<String>,
    /// Redis for live values; a private instance is started if it is installed and this is not set.
    #[arg(long, env = "REDIS_URL", hide_env_values = true)]
    pub redis_url: Option<String>,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Bounded sources end the run: every window is closed, exit 0. Unbounded ones run until Ctrl-C or SIGTERM,
which commits what was read; started again, the run goes on from there.

The variables brokers, redis, shop and lake are taken from KAFKA_BROKERS, REDIS_URL, PLAMATIO_SHOP and
PLAMATIO_LAKE where the script has them and --set does not give them.

Example:
  plamatio run queries/metrics/top_products.sql --set brokers=localhost:9092 --set lake=/data/lake
  plamatio run my.sql --summary json")]
pub(crate) struct RunArgs {
    /// The script.
    pub file: PathBuf,
    /// A value for a variable of the script, as NAME=VALUE; may be repeated.
    #[arg(long = "set", value_parser = name_value)]
    pub set: Vec<(String, String)>,
    /// Print the ledger at the end as text or as JSON.
    #[arg(long, value_enum, default_value_t = SummaryFormat::Text)]
    pub summary: SummaryFormat,
    /// Where state is kept, and the lake if PLAMATIO_LAKE does not say.
    #[arg(long, default_value = "plamatio-data", env = "PLAMATIO_DATA")]
    pub data_dir: PathBuf,
    /// Folder of the job's checkpoints. By default DATA_DIR/state/NAME for a script NAME.sql with an unbounded
    /// source, and none for bounded ones; 'none' for none.
    #[arg(long)]
    pub state: Option<PathBuf>,
    /// Drop state of the checkpoint that the script has no use for any more, such as that of a statement that was
    /// removed. Without this, such a checkpoint is refused.
    #[arg(long)]
    pub allow_dropped_state: bool,
    /// Delta table for records that are set aside; 'none' to count them only. By default
    /// dead_letters/NAME in the lake; two jobs cannot share one.
    #[arg(long)]
    pub dead_letters: Option<String>,
    /// Compute threads, if the script does not say; one a core by default.
    #[arg(long)]
    pub threads: Option<usize>,
    /// Serve Prometheus metrics on this address, such as 127.0.0.1:9100.
    #[arg(long, env = "PLAMATIO_METRICS")]
    pub metrics: Option<std::net::SocketAddr>,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Example:
  plamatio explain queries/metrics/conversion.sql --set brokers=localhost:9092 --set lake=/data/lake
  plamatio explain my.sql --format mermaid")]
pub(crate) struct ExplainArgs {
    /// The script.
    pub file: PathBuf,
    /// A value for a variable of the script, as NAME=VALUE; may be repeated.
    #[arg(long = "set", value_parser = name_value)]
    pub set: Vec<(String, String)>,
    /// As text, JSON, or the text of a Mermaid flow chart.
    #[arg(long, value_enum, default_value_t = ExplainFormat::Text)]
    pub format: ExplainFormat,
}

#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ExplainFormat {
    Text,
    Json,
    Mermaid,
}

#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum SummaryFormat {
    Text,
    Json,
    None,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Example:
  plamatio sql -c 'SELECT * FROM conversion ORDER BY window_start DESC LIMIT 10'
  plamatio sql --lake /data/lake --format csv -f report.sql
  plamatio sql --report daily_conversion")]
pub(crate) struct SqlArgs {
    /// The lake: a folder or URL with Delta tables.
    #[arg(long, default_value = "plamatio-data/lake", env = "PLAMATIO_LAKE")]
    pub lake: String,
    /// Run this SQL and exit.
    #[arg(short = 'c', long, conflicts_with_all = ["file", "report"])]
    pub command: Option<String>,
    /// Run this file and exit.
    #[arg(short = 'f', long, conflicts_with = "report")]
    pub file: Option<PathBuf>,
    /// Run a report that comes with Plamatio; an unknown name lists them.
    #[arg(long)]
    pub report: Option<String>,
    /// Time zone of a report's days.
    #[arg(long, default_value = "UTC")]
    pub zone: String,
    /// How results are written.
    #[arg(long, value_enum, default_value_t = SqlFormat::Table)]
    pub format: SqlFormat,
    /// Longest time for one statement, such as 30s.
    #[arg(long, value_parser = duration)]
    pub timeout: Option<std::time::Duration>,
}

#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum SqlFormat {
    Table,
    Json,
    Csv,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Example:
  plamatio generate --events 1000000 --seed 1 --out events.jsonl
  plamatio generate --events 1000000 --brokers localhost:9092
  plamatio generate --events 60000 --rate 1000 --brokers localhost:9092   # as they happen, now")]
pub(crate) struct GenerateArgs {
    /// How many records.
    #[arg(long)]
    pub events: u64,
    /// The same seed gives the same traffic.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Write JSON lines to this file; '-' for standard output.
    #[arg(long, required_unless_present = "brokers")]
    pub out: Option<PathBuf>,
    /// Write to Kafka; --out goes first.
    #[arg(long, env = "KAFKA_BROKERS")]
    pub brokers: Option<String>,
    /// Partitions of topics that do not exist yet.
    #[arg(long, default_value_t = 4)]
    pub partitions: i32,
    /// Write so many events a second, with event times of now; as fast as possible if not given.
    #[arg(long)]
    pub rate: Option<f64>,
    /// Events a second of event time, when not paced by --rate.
    #[arg(long, default_value_t = 200.0)]
    pub event_rate: f64,
    /// Event time of the beginning (RFC 3339), when not paced by --rate.
    #[arg(long, default_value = "2026-01-05T00:00:00Z")]
    pub start: chrono::DateTime<chrono::Utc>,
    /// Products in the catalogue.
    #[arg(long, default_value_t = 500)]
    pub products: u32,
    /// Greatest disorder of events on time, such as 2s.
    #[arg(long, value_parser = duration, default_value = "2s")]
    pub disorder: std::time::Duration,
    /// Share of late events.
    #[arg(long, default_value_t = 0.001)]
    pub late: f64,
    /// Share of duplicates.
    #[arg(long, default_value_t = 0.002)]
    pub duplicates: f64,
    /// Share of malformed records.
    #[arg(long, default_value_t = 0.0005)]
    pub malformed: f64,
    /// Share of sessions that are bots'.
    #[arg(long)]
    pub bots: Option<f64>,
    /// Print what was made as JSON.
    #[arg(long, value_enum, default_value_t = SummaryFormat::Text)]
    pub summary: SummaryFormat,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Example:
  plamatio serve --database-url postgres://localhost/shop --brokers localhost:9092 --redis-url redis://localhost")]
pub(crate) struct ServeArgs {
    /// Address to listen on.
    #[arg(long, default_value = "127.0.0.1:8080", env = "PLAMATIO_LISTEN")]
    pub listen: std::net::SocketAddr,
    /// PostgreSQL; without it the storefront is off.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    pub database_url: Option<String>,
    /// Kafka.
    #[arg(long, env = "KAFKA_BROKERS", default_value = "localhost:9092")]
    pub brokers: String,
    /// Redis, where the live values are.
    #[arg(long, env = "REDIS_URL", hide_env_values = true, default_value = "redis://localhost:6379")]
    pub redis_url: String,
    /// The shop's name in Redis keys.
    #[arg(long, env = "PLAMATIO_SHOP", default_value = "default")]
    pub shop: String,
    /// Origins that a browser may call from; '*' for any. May be repeated or separated by commas.
    #[arg(long, env = "PLAMATIO_CORS_ORIGINS", value_delimiter = ',')]
    pub cors_origin: Vec<String>,
    /// Bring the schema up to date first.
    #[arg(long)]
    pub migrate: bool,
}

#[derive(Args, Debug)]
#[command(after_help = "Example:\n  plamatio migrate --database-url postgres://localhost/shop")]
pub(crate) struct MigrateArgs {
    /// PostgreSQL.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    pub database_url: String,
}

fn duration(text: &str) -> Result<std::time::Duration, String> {
    stream::options::parse_duration(text).ok_or_else(|| "not a duration such as 60s, 5m or 500ms".to_owned())
}

fn name_value(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    Ok((name.trim().to_owned(), value.to_owned()))
}
