//! Simulated shoppers, paced by the clock.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use anyhow::{Context, anyhow};
use chrono::Utc;
use events::generate::{Catalogue, Generator, GeneratorConfig, Product};
use sqlx::{PgPool, Row};
use stream::runtime::job::Status;

use super::reads;
use crate::produce::KafkaProducer;

/// How many records the slowest reader may fall behind before the shoppers wait. The broker keeps 5 MiB a
/// partition; nine in ten records are product views, on four partitions, and none is larger than about 450 bytes
/// with its headers: 40,000 of them fit, even uncompressed.
const MOST_BEHIND: u64 = 40_000;
/// How many records are sent between two looks at the readers.
const LOOK_EVERY: u64 = 500;

/// Shoppers on a thread of their own.
pub(crate) struct Traffic {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    thread: Mutex<Option<JoinHandle<anyhow::Result<()>>>>,
}

impl Traffic {
    /// Starts shopping at `rate` events a second. `readers` are waited for if they fall behind.
    pub(crate) fn start(
        brokers: &str,
        rate: f64,
        seed: u64,
        catalogue: Option<Catalogue>,
        readers: Vec<Arc<Status>>,
    ) -> anyhow::Result<Self> {
        let config = GeneratorConfig {
            seed,
            start: Utc::now(),
            events_per_second: rate,
            ..GeneratorConfig::default()
        };
        let mut generator = match catalogue {
            Some(catalogue) => Generator::with_catalogue(config, catalogue)?,
            None => Generator::new(config)?,
        };
        let producer = KafkaProducer::new(brokers, 50)?;
        let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (stopped, count) = (Arc::clone(&stop), Arc::clone(&sent));
        let thread = std::thread::Builder::new().name("shoppers".to_owned()).spawn(move || {
            let stopped = || stopped.load(Ordering::Relaxed);
            let wait_for_readers = |sent: u64| {
                let behind = |status: &Arc<Status>| sent.saturating_sub(reads(status)) > MOST_BEHIND;
                while !stopped() && readers.iter().any(behind) {
                    std::thread::sleep(Duration::from_millis(5));
                }
            };
            while !stopped() {
                let now = Utc::now();
                // After a pause of the whole process there is much to send: look at the readers meanwhile.
                while let Some(record) = generator.next_until(now) {
                    producer.send(&record)?;
                    let sent = count.fetch_add(1, Ordering::Relaxed) + 1;
                    if sent.is_multiple_of(LOOK_EVERY) {
                        wait_for_readers(sent);
                        if stopped() {
                            break;
                        }
                    }
                }
                producer.check()?;
                std::thread::sleep(Duration::from_millis(10));
            }
            producer.flush()?;
            anyhow::ensure!(
                producer.acknowledged() == count.load(Ordering::Relaxed),
                "the broker acknowledged {} of {} records",
                producer.acknowledged(),
                count.load(Ordering::Relaxed)
            );
            Ok(())
        });
        let thread = thread.context("cannot start a thread")?;
        Ok(Traffic { stop, sent, thread: Mutex::new(Some(thread)) })
    }

    /// Records sent so far.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// The counter behind [`Traffic::sent`].
    pub(crate) fn counter(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.sent)
    }

    /// Whether the thread has ended before it was asked to.
    pub(crate) fn has_failed(&self) -> bool {
        self.thread.lock().is_ok_and(|thread| thread.as_ref().is_some_and(JoinHandle::is_finished))
    }

    /// Stops and waits until the broker has everything.
    pub(crate) fn stop(&self) -> anyhow::Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        let thread = self.thread.lock().map(|mut thread| thread.take()).unwrap_or_default();
        match thread.map(JoinHandle::join) {
            None => Ok(()),
            Some(Ok(result)) => result.context("the shoppers stopped"),
            Some(Err(_)) => Err(anyhow!("the shoppers' thread panicked")),
        }
    }
}

/// The shop's own products, so that simulated and real orders agree on prices.
pub(crate) async fn catalogue(pool: &PgPool, seed: u64) -> anyhow::Result<Option<Catalogue>> {
    let rows = sqlx::query("SELECT id, category_id, price_minor FROM products ORDER BY id")
        .fetch_all(pool)
        .await
        .context("cannot read the products")?;
    let mut products = Vec::new();
    for row in rows {
        let whole = |column: &str| -> anyhow::Result<u32> {
            let value: i64 =
                row.try_get::<i64, _>(column).or_else(|_| row.try_get::<i32, _>(column).map(i64::from))?;
            Ok(u32::try_from(value)?)
        };
        products.push(Product {
            id: whole("id")?,
            category_id: whole("category_id")?,
            price_minor: whole("price_minor")?,
        });
    }
    if products.is_empty() {
        return Ok(None);
    }
    Ok(Some(Catalogue::new(products, GeneratorConfig::default().zipf_exponent, seed)?))
}
