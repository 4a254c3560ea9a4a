//! The outbox relay: order, failures, kills, gaps, hand-over.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use api::publish::memory::MemoryPublisher;
use api::relay::{self, RelayConfig};
use api::{EventPublisher, PublishError, Record};
use async_trait::async_trait;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::support::database::TestDb;
use crate::support::eventually;

/// Quick retries; polling slower than any test, so that notifications are what wakes the relay.
fn config() -> RelayConfig {
    RelayConfig {
        batch_rows: 50,
        poll: Duration::from_secs(3600),
        standby: Duration::from_millis(10),
        backoff: (Duration::from_millis(1), Duration::from_millis(20)),
        ..RelayConfig::default()
    }
}

fn start(
    db: &TestDb,
    publisher: Arc<dyn EventPublisher>,
    config: RelayConfig,
) -> (CancellationToken, JoinHandle<()>) {
    let token = CancellationToken::new();
    let relay = relay::run(db.pool.clone(), publisher, config, token.clone());
    (token, tokio::spawn(relay))
}

async fn stop((token, task): (CancellationToken, JoinHandle<()>)) {
    token.cancel();
    task.await.unwrap();
}

/// `rows` rows over `keys` keys; the payload is the row's number.
async fn fill(db: &TestDb, rows: i32, keys: i32) {
    sqlx::query(
        "INSERT INTO outbox (topic, key, event_id, event_time, payload)
         SELECT 'cart-events', 'k' || (n % $2), 'e' || n, now(), n::text
         FROM generate_series((SELECT count(*) FROM outbox) + 1, (SELECT count(*) FROM outbox) + $1) n",
    )
    .bind(rows)
    .bind(keys)
    .execute(&db.pool)
    .await
    .unwrap();
}

async fn drained(db: &TestDb) {
    eventually("the outbox is drained", || async {
        db.count("SELECT count(*) FROM outbox WHERE published_at IS NULL").await == 0
    })
    .await;
}

/// The numbers of each key, first occurrences only, as readers see them after removing repetitions.
fn by_key(records: &[Record]) -> BTreeMap<String, Vec<i64>> {
    let mut seen = HashSet::new();
    let mut keys: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for record in records.iter().filter(|record| seen.insert(record.payload.clone())) {
        keys.entry(record.key.clone()).or_default().push(record.payload.parse().unwrap());
    }
    keys
}

#[track_caller]
fn assert_complete_and_ordered(records: &[Record], rows: usize) {
    let keys = by_key(records);
    assert_eq!(keys.values().map(Vec::len).sum::<usize>(), rows);
    for (key, numbers) in keys {
        assert!(numbers.is_sorted(), "{key}: {numbers:?}");
    }
}

#[tokio::test]
async fn everything_is_sent_once_and_in_order_per_key() {
    let db = TestDb::create().await;
    fill(&db, 500, 7).await;
    let kafka = Arc::new(MemoryPublisher::new());
    let relay = start(&db, kafka.clone(), config());
    drained(&db).await;
    fill(&db, 300, 7).await; // found by notification
    drained(&db).await;
    stop(relay).await;
    assert_eq!(kafka.records().len(), 800, "no repetition without a failure");
    assert_complete_and_ordered(&kafka.records(), 800);
}

#[tokio::test]
async fn without_notifications_the_poll_finds_the_rows() {
    let db = TestDb::create().await;
    db.run("DROP TRIGGER outbox_notify ON outbox").await;
    let kafka = Arc::new(MemoryPublisher::new());
    let relay = start(&db, kafka.clone(), RelayConfig { poll: Duration::from_millis(20), ..config() });
    fill(&db, 10, 2).await;
    drained(&db).await;
    fill(&db, 10, 2).await;
    drained(&db).await;
    stop(relay).await;
    assert_complete_and_ordered(&kafka.records(), 20);
}

/// Fails every third record, and one key's records until told otherwise. A failed record may have been
/// written all the same, so every second failure writes it.
#[derive(Default)]
struct Flaky {
    inner: MemoryPublisher,
    calls: Mutex<u64>,
    cured: std::sync::atomic::AtomicBool,
}

#[async_trait]
impl EventPublisher for Flaky {
    async fn publish(&self, records: &[Record]) -> Vec<Result<(), PublishError>> {
        let mut results = Vec::new();
        for record in records {
            let call = {
                let mut calls = self.calls.lock().unwrap();
                *calls += 1;
                *calls
            };
            let sick = record.key == "k1" && !self.cured.load(std::sync::atomic::Ordering::SeqCst);
            let fails = sick || call.is_multiple_of(3);
            if !fails || (!sick && call.is_multiple_of(6)) {
                self.inner.publish(std::slice::from_ref(record)).await;
            }
            results.push(if fails { Err(PublishError::TimedOut) } else { Ok(()) });
        }
        results
    }

    async fn check(&self) -> Result<(), PublishError> {
        Ok(())
    }
}

#[tokio::test]
async fn failures_keep_the_order_and_one_key_does_not_hold_up_the_others() {
    let db = TestDb::create().await;
    fill(&db, 400, 5).await;
    let kafka = Arc::new(Flaky::default());
    let relay = start(&db, kafka.clone(), config());
    eventually("all but the failing key are sent", || async {
        db.count("SELECT count(*) FROM outbox WHERE published_at IS NULL AND key <> 'k1'").await == 0
    })
    .await;
    assert_eq!(db.count("SELECT count(*) FROM outbox WHERE published_at IS NULL").await, 80);
    kafka.cured.store(true, std::sync::atomic::Ordering::SeqCst);
    drained(&db).await;
    stop(relay).await;
    assert_complete_and_ordered(&kafka.inner.records(), 400);
    assert!(kafka.inner.records().len() > 400, "some were written by failing calls, and again");
}

/// Writes every record but answers only as many times as it has permits: then the relay hangs in mid-batch.
struct Stuck {
    inner: Arc<MemoryPublisher>,
    permits: Semaphore,
}

#[async_trait]
impl EventPublisher for Stuck {
    async fn publish(&self, records: &[Record]) -> Vec<Result<(), PublishError>> {
        let results = self.inner.publish(records).await;
        self.permits.acquire().await.unwrap().forget();
        results
    }

    async fn check(&self) -> Result<(), PublishError> {
        Ok(())
    }
}

#[tokio::test]
async fn a_relay_killed_in_mid_batch_loses_nothing() {
    let db = TestDb::create().await;
    fill(&db, 200, 6).await;
    let kafka = Arc::new(MemoryPublisher::new());
    for round in 1..=3 {
        let stuck = Arc::new(Stuck { inner: kafka.clone(), permits: Semaphore::new(25) });
        let before = kafka.records().len();
        let (_token, task) = start(&db, stuck.clone(), config());
        eventually("the relay hangs", || async {
            stuck.permits.available_permits() == 0 && kafka.records().len() > before + 25
        })
        .await;
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled(), "round {round}");
    }
    assert_eq!(db.count("SELECT count(*) FROM outbox WHERE published_at IS NOT NULL").await, 0);
    let relay = start(&db, kafka.clone(), config());
    drained(&db).await;
    stop(relay).await;
    let records = kafka.records();
    assert_complete_and_ordered(&records, 200);
    assert!(records.len() >= 200 + 3 * 25, "written before each kill, and again: {}", records.len());
    for record in &records {
        let twin = records.iter().find(|other| other.payload == record.payload).unwrap();
        assert_eq!(record, twin, "a repetition is the same record");
    }
}

#[tokio::test]
async fn a_smaller_id_that_commits_later_is_not_skipped() {
    let db = TestDb::create().await;
    let mut slow = db.pool.begin().await.unwrap();
    sqlx::query(
        "INSERT INTO outbox (topic, key, event_id, event_time, payload) VALUES ('t', 'a', 'e', now(), '1')",
    )
    .execute(&mut *slow)
    .await
    .unwrap();
    sqlx::query(
        "INSERT INTO outbox (topic, key, event_id, event_time, payload) VALUES ('t', 'b', 'e', now(), '2')",
    )
    .execute(&db.pool)
    .await
    .unwrap();
    let kafka = Arc::new(MemoryPublisher::new());
    let relay = start(&db, kafka.clone(), config());
    drained(&db).await;
    assert_eq!(kafka.records().len(), 1);
    slow.commit().await.unwrap();
    eventually("the late row is sent", || async { kafka.records().len() == 2 }).await;
    stop(relay).await;
    assert_eq!(kafka.records().iter().map(|r| r.payload.as_str()).collect::<Vec<_>>(), ["2", "1"]);
}

#[tokio::test]
async fn one_relay_at_a_time_and_a_standby_takes_over() {
    let db = TestDb::create().await;
    let quick = RelayConfig { poll: Duration::from_millis(20), ..config() };
    let (first, second) = (Arc::new(MemoryPublisher::new()), Arc::new(MemoryPublisher::new()));
    let active = start(&db, first.clone(), quick.clone());
    fill(&db, 10, 2).await;
    drained(&db).await;
    let standby = start(&db, second.clone(), quick);
    for _ in 0..20 {
        fill(&db, 10, 2).await;
    }
    drained(&db).await;
    assert_eq!((first.records().len(), second.records().len()), (210, 0));

    // The server ends the active relay's connection: its lock is free, and it joins the contest again.
    db.run(
        "SELECT pg_terminate_backend(pid) FROM pg_locks
         WHERE locktype = 'advisory' AND granted
           AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
    )
    .await;
    fill(&db, 10, 2).await;
    drained(&db).await;
    stop(active).await;
    fill(&db, 10, 2).await;
    drained(&db).await;
    stop(standby).await;
    assert!(!second.records().is_empty());
    let mut all = first.records();
    all.extend(second.records());
    assert_complete_and_ordered(&all, 230);
}

#[tokio::test]
async fn cancellation_marks_what_was_sent() {
    let db = TestDb::create().await;
    fill(&db, 100, 3).await;
    let kafka = Arc::new(MemoryPublisher::new());
    let stuck = Arc::new(Stuck { inner: kafka.clone(), permits: Semaphore::new(10) });
    let (token, task) = start(&db, stuck.clone(), config());
    eventually("the relay waits for Kafka", || async { kafka.records().len() == 13 }).await;
    token.cancel();
    stuck.permits.add_permits(1000);
    task.await.unwrap();
    assert_eq!(kafka.records().len(), 13, "nothing new is handed over");
    assert_eq!(db.count("SELECT count(*) FROM outbox WHERE published_at IS NOT NULL").await, 13);
}

#[tokio::test]
async fn old_rows_and_keys_are_pruned() {
    let db = TestDb::create().await;
    db.run(
        "INSERT INTO outbox (topic, key, event_id, event_time, payload, published_at) VALUES
             ('t', 'a', 'old', now(), '1', now() - interval '8 days'),
             ('t', 'a', 'recent', now(), '2', now() - interval '6 days');
         INSERT INTO idempotency_keys (scope, key, request, created_at) VALUES
             ('orders', 'old', '{}', now() - interval '3 days'), ('orders', 'recent', '{}', now())",
    )
    .await;
    let relay = start(&db, Arc::new(MemoryPublisher::new()), config());
    eventually("both are pruned", || async {
        db.count("SELECT count(*) FROM outbox").await == 1
            && db.count("SELECT count(*) FROM idempotency_keys").await == 1
    })
    .await;
    stop(relay).await;
    assert_eq!(db.count("SELECT count(*) FROM outbox WHERE event_id = 'recent'").await, 1);
}
