//! `plamatio demo`: a whole shop in one process.
//!
//! ```text
//! shoppers ─▶ broker (in process) ─▶ engine: three metrics ─▶ Redis or memory ─▶ live page
//!    └─ storefront (PostgreSQL, outbox relay) ─┘   └─▶ Delta tables ─▶ plamatio sql
//! ```
//!
//! What it cannot have (PostgreSQL, Redis) it does without, and says so. At the end every window is closed,
//! the ledger is printed, and the final rows are compared with what batch SQL makes of the raw events.

mod broker;
mod check;
mod services;
mod traffic;

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Context;
use api::{
    ApiConfig, AppState, LiveReader, ServeError,
    live::redis::{RedisLive, RedisSettings},
    publish::kafka::{KafkaPublisher, KafkaSettings},
    relay::{self, RelayConfig},
};
use chrono::Utc;
use events::{generate::Catalogue, topic::Topic};
use indicatif::{ProgressBar, ProgressStyle};
use metrics_exporter_prometheus::PrometheusHandle;
use sinks::{Extras, MemoryLiveStore};
use stream::{
    ledger::Ledger,
    planner::{self, Connectors},
    runtime::{
        clock,
        job::{Job, JobOptions, Status},
    },
};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use self::{broker::Broker, services::Services, traffic::Traffic};
use crate::{cli::DemoArgs, connectors, live::MemoryLive, migrate, report, run, telemetry};

/// The shop's name in Redis keys.
const SHOP: &str = "demo";
/// The scripts that run, by name; the first three are the metrics.
const SCRIPTS: [(&str, &str); 4] = [
    ("conversion", include_str!("../../queries/metrics/conversion.sql")),
    ("cart_abandonment", include_str!("../../queries/metrics/cart_abandonment.sql")),
    ("top_products", include_str!("../../queries/metrics/top_products.sql")),
    ("events", include_str!("../../queries/archive/events.sql")),
];

/// Runs the demo.
pub(crate) async fn demo(args: DemoArgs) -> anyhow::Result<()> {
    anyhow::ensure!(
        args.rate > 0.0 && args.rate <= 1e6,
        "--rate must be above 0 and at most 1,000,000 events a second"
    );
    let metrics = telemetry::init_metrics()?;
    let folder = args.data_dir.join(format!("demo-{}", Utc::now().format("%Y%m%d-%H%M%S")));
    let lake = folder.join("lake");
    std::fs::create_dir_all(&lake)
        .with_context(|| format!("cannot make {}; choose another --data-dir", lake.display()))?;
    let lake = lake.canonicalize()?;

    // First what can fail at once: nothing has to be stopped then.
    let listener = TcpListener::bind(("127.0.0.1", args.port))
        .await
        .with_context(|| format!("cannot listen on port {}; choose another --port", args.port))?;
    let broker = Broker::start(&Topic::ALL.map(|topic| topic.name()))?;
    let services = Services::start(&folder, args.database_url.clone(), args.redis_url.clone()).await;
    for line in services.missing() {
        println!("{line}");
    }

    let store = MemoryLiveStore::new();
    let (storefront, catalogue) =
        Storefront::open(listener, metrics, &services, broker.address(), store.clone(), args.seed).await?;
    println!("lake:      {}", lake.display());

    let redis = services.redis_url().unwrap_or("memory://").to_owned();
    let shop = Shop { brokers: broker.address(), redis: &redis, lake: &lake, store, catalogue };
    let outcome = Box::pin(shop.run(&args)).await;

    // Whatever came of it: end what was started, readers before what they read.
    storefront.close().await?;
    services.stop().await;
    drop(broker);
    let sent = outcome?;
    let equal = check::check(&lake, sent).await?;
    println!("\ntables are in {}; try:", lake.display());
    println!(
        "  plamatio sql --lake {} -c 'SELECT * FROM top_products ORDER BY window_end DESC, ranked_by, \"rank\" LIMIT 10'",
        lake.display()
    );
    anyhow::ensure!(equal, "final rows differ from batch SQL over the raw events");
    Ok(())
}

/// The API, with what there is.
struct Storefront {
    token: CancellationToken,
    server: JoinHandle<Result<(), ServeError>>,
    /// Orders to Kafka, where there is a database.
    relay: Option<JoinHandle<()>>,
}

impl Storefront {
    /// Serves it; with a database also answers the products of its shop.
    async fn open(
        listener: TcpListener,
        metrics: PrometheusHandle,
        services: &Services,
        brokers: &str,
        store: MemoryLiveStore,
        seed: u64,
    ) -> anyhow::Result<(Self, Option<Catalogue>)> {
        let publisher = Arc::new(KafkaPublisher::connect(KafkaSettings::new(brokers))?);
        let live: Arc<dyn LiveReader> = match services.redis_url() {
            Some(url) => Arc::new(RedisLive::connect(RedisSettings::new(url, SHOP))?),
            None => Arc::new(MemoryLive::new(store)),
        };
        let token = CancellationToken::new();
        let mut state = AppState::builder(Arc::clone(&publisher) as _, live)
            .config(ApiConfig::default())
            .metrics(metrics);
        let (mut relay, mut catalogue) = (None, None);
        if let Some(url) = services.database_url() {
            let pool = migrate::connect(url).await?;
            migrate::apply(&pool).await?;
            catalogue = traffic::catalogue(&pool, seed).await?;
            state = state.database(pool.clone());
            relay = Some(tokio::spawn(relay::run(pool, publisher, RelayConfig::default(), token.clone())));
        }
        let address = listener.local_addr()?;
        let server = tokio::spawn(api::serve(listener, state.build(), token.clone()));
        println!("live page: http://{address}");
        Ok((Storefront { token, server, relay }, catalogue))
    }

    async fn close(self) -> anyhow::Result<()> {
        self.token.cancel();
        self.server.await??;
        if let Some(relay) = self.relay {
            relay.await?;
        }
        Ok(())
    }
}

/// What the engine and the shoppers need.
struct Shop<'a> {
    brokers: &'a str,
    redis: &'a str,
    lake: &'a Path,
    store: MemoryLiveStore,
    catalogue: Option<Catalogue>,
}

impl Shop<'_> {
    /// Runs engine and shoppers, then closes the books; answers how many events were sent.
    async fn run(self, args: &DemoArgs) -> anyhow::Result<u64> {
        let connectors = connectors::all(Extras { live: self.store.clone(), ..Extras::default() });
        let mut jobs = Vec::new();
        for (name, script) in SCRIPTS {
            jobs.push((name, self.start_job(name, script, &connectors).await?));
        }
        let started = Instant::now();
        let readers = jobs.iter().map(|(_, job)| job.status()).collect();
        let traffic = Traffic::start(self.brokers, args.rate, args.seed, self.catalogue.clone(), readers)?;
        let progress = Progress::start(&jobs, &traffic, args.duration);
        let waited = wait(&jobs, &traffic, args.duration, &progress).await;
        let stopped = traffic.stop();

        // Everything that was sent is read, every window is closed.
        progress.say("closing windows");
        let sent = traffic.sent();
        for (_, job) in &jobs {
            job.drain();
        }
        let mut ledgers = BTreeMap::new();
        for (name, job) in jobs {
            ledgers.insert(name, job.wait().await.with_context(|| format!("in {name}"))?);
        }
        progress.finish();
        stopped?;
        waited?;
        let balanced = print_ledgers(sent, started.elapsed(), &ledgers);
        anyhow::ensure!(balanced, "the ledger does not balance");
        Ok(sent)
    }

    async fn start_job(&self, name: &str, script: &str, connectors: &Connectors) -> anyhow::Result<Job> {
        let lake = self.lake.display().to_string();
        let mut values = vec![("brokers", self.brokers), ("lake", &lake)];
        if name != "events" {
            values.extend([("redis", self.redis), ("shop", SHOP)]);
        }
        let values = values.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let plan =
            planner::plan(script, &values, connectors).await.with_context(|| format!("in {name}.sql"))?;
        let letters = self.lake.join("dead_letters").join(name);
        let options = JobOptions {
            name: name.to_owned(),
            state: None,
            may_drop_state: false,
            dead_letters: run::dead_letter_table(&letters.display().to_string()),
            clock: clock::system(),
            parallelism: Some(1),
        };
        Job::start(plan, connectors, options).await.with_context(|| format!("cannot start {name}"))
    }
}

/// Prints every job's ledger; whether all balance and nothing that was sent is missing.
fn print_ledgers(sent: u64, elapsed: Duration, ledgers: &BTreeMap<&str, Ledger>) -> bool {
    println!("\n{sent} events sent in {:.1} s", elapsed.as_secs_f64());
    let mut balanced = true;
    for (name, ledger) in ledgers {
        println!("\n{name}\n{}", report::text(ledger));
        let read: u64 = ledger.sources.values().map(|source| source.read).sum();
        // Orders placed through the storefront come on top of what the shoppers sent.
        if read < sent {
            balanced = false;
            println!("LOST: {sent} events were sent, {read} were read");
        }
        balanced &= ledger.is_balanced();
    }
    balanced
}

/// Waits for the duration, a signal, or a failure of the shoppers or a job.
async fn wait(
    jobs: &[(&str, Job)],
    traffic: &Traffic,
    duration: Option<Duration>,
    progress: &Progress,
) -> anyhow::Result<()> {
    let until = async {
        match duration {
            Some(duration) => tokio::time::sleep(duration).await,
            None => std::future::pending().await,
        }
    };
    let watch = async {
        let mut tick = tokio::time::interval(Duration::from_millis(200));
        loop {
            tick.tick().await;
            progress.update();
            if traffic.has_failed() || jobs.iter().any(|(_, job)| job.has_ended()) {
                return;
            }
        }
    };
    tokio::select! {
        () = until => Ok(()),
        () = run::wait_for_signal() => Ok(()),
        () = watch => anyhow::bail!("a part of the demo has stopped"),
    }
}

/// One line that moves.
struct Progress {
    bar: ProgressBar,
    statuses: Vec<Arc<Status>>,
    sent: Arc<std::sync::atomic::AtomicU64>,
    started: Instant,
    done: AtomicBool,
}

impl Progress {
    fn start(jobs: &[(&str, Job)], traffic: &Traffic, duration: Option<Duration>) -> Self {
        let bar = match duration {
            Some(duration) => ProgressBar::new(duration.as_secs().max(1)),
            None => ProgressBar::new_spinner(),
        };
        let template = if duration.is_some() { "{bar:24} {msg}" } else { "{spinner} {msg}" };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Progress {
            bar,
            statuses: jobs.iter().map(|(_, job)| job.status()).collect(),
            sent: traffic.counter(),
            started: Instant::now(),
            done: AtomicBool::new(false),
        }
    }

    fn update(&self) {
        if self.done.load(Ordering::Relaxed) {
            return;
        }
        let sent = self.sent.load(Ordering::Relaxed);
        let read = self.statuses.iter().map(|status| reads(status)).min().unwrap_or_default();
        let (provisional, finals) = self
            .statuses
            .iter()
            .flat_map(|status| status.ledger().sinks)
            .fold((0, 0), |(provisional, finals), (_, sink)| {
                (provisional + sink.provisional, finals + sink.finals)
            });
        let elapsed = self.started.elapsed();
        self.bar.set_position(elapsed.as_secs());
        self.bar.set_message(format!(
            "{:>4} s  {sent} sent  {read} read  {} behind  {provisional} provisional rows  {finals} final rows",
            elapsed.as_secs(),
            sent.saturating_sub(read),
        ));
    }

    fn say(&self, text: &str) {
        self.update();
        self.done.store(true, Ordering::Relaxed);
        self.bar.set_message(text.to_owned());
    }

    fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// Records that a job has read.
fn reads(status: &Status) -> u64 {
    status.ledger().sources.values().map(|source| source.read).sum()
}
