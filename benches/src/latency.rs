//! How long it takes from an event to the value in Redis that has counted it.
//!
//! A producer sends events at a fixed rate to a topic with four partitions. Each partition is a *lane*: its
//! session ids begin with its number, and its events come in their order. The engine computes
//! `sql/latency.sql` (the funnel, and how many events of each lane it has counted) and `sql/top_products.sql`
//! into Redis, with provisional values every 50 ms. An observer asks Redis for the funnel's newest values every
//! 2 ms.
//!
//! The latency of the n-th event of a lane is the time from the moment at which it was **due to be sent** to the
//! first answer of Redis in which the lane's count, over all windows, is n or more. Event time is the moment at
//! which it was due, so events fall into windows as the schedule says, and the count of a window tells exactly
//! which of them it has. What the producer is late counts as latency (no coordinated omission), and so do its
//! own batching (`linger.ms` 5), broker, engine, emission interval, Redis, and up to 2 ms between two looks.
//!
//! Everything runs on the same cores: producer, broker, engine, Redis and observer.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, anyhow, ensure};
use rdkafka::producer::{BaseRecord, Producer};
use serde::{Deserialize, Serialize};
use stream::{planner, runtime::job::Job};

use crate::{
    case::Input,
    kafka::{self, PARTITIONS, Topic},
    measure::{connectors, job_options},
    workload::Workload,
};

const LANES: usize = PARTITIONS as usize;
const WINDOW_MS: i64 = 60_000;
const LOOK_EVERY: Duration = Duration::from_millis(2);
const LINGER_MS: u32 = 5;
/// How long the observer waits for the last events.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is sent and where.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Kafka.
    pub brokers: String,
    /// Redis.
    pub redis: String,
    /// Events per second.
    pub rate: u64,
    /// For so long.
    pub seconds: u64,
    /// Events of the first seconds do not count.
    pub warm_up_seconds: u64,
    /// The engine's compute threads.
    pub threads: usize,
    /// How often provisional values are written.
    pub emit_interval_ms: u64,
}

/// What was found, in milliseconds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Latency {
    /// Events that count.
    pub events: u64,
    /// Half of them took no longer.
    pub p50_ms: f64,
    /// Nine of ten.
    pub p90_ms: f64,
    /// 99 of a hundred.
    pub p99_ms: f64,
    /// All of them.
    pub max_ms: f64,
    /// How late the producer was at most; part of the above.
    pub producer_behind_ms: f64,
    /// Different values that the observer saw.
    pub values_seen: u64,
}

/// When events are due, in microseconds since the start. Event `n` of lane `l` is the `n * LANES + l`-th.
#[derive(Clone, Copy, Debug)]
struct Schedule {
    /// Time of day at the start.
    start_ms: i64,
    rate: u64,
    events: u64,
}

impl Schedule {
    fn due_us(&self, event: u64) -> u64 {
        event * 1_000_000 / self.rate
    }

    fn time_ms(&self, event: u64) -> i64 {
        self.start_ms.saturating_add_unsigned(self.due_us(event) / 1_000)
    }
}

/// What Redis held when it was looked at.
#[derive(Clone, Copy, Debug)]
struct Seen {
    /// Since the start.
    at_us: u64,
    window_ms: i64,
    lanes: [u64; LANES],
}

/// Measures once.
pub async fn measure(settings: &Settings) -> anyhow::Result<Latency> {
    let topic = Topic::create(&settings.brokers).await?;
    let measured = measure_over(settings, &topic.name).await;
    topic.delete().await?;
    measured
}

async fn measure_over(settings: &Settings, topic: &str) -> anyhow::Result<Latency> {
    let shop = format!("bench-{}", now_ms());
    let job = start_engine(settings, topic, &shop).await?;
    let schedule =
        Schedule { start_ms: now_ms(), rate: settings.rate, events: settings.rate * settings.seconds };
    let started = Instant::now();
    let over = Arc::new(AtomicBool::new(false));
    let producing = {
        let (brokers, topic) = (settings.brokers.clone(), topic.to_owned());
        tokio::task::spawn_blocking(move || produce(&brokers, &topic, schedule, started))
    };
    let observing = {
        let (redis, over) = (settings.redis.clone(), Arc::clone(&over));
        tokio::task::spawn_blocking(move || observe(&redis, &shop, schedule, started, &over))
    };
    let produced = producing.await?;
    if produced.is_err() {
        over.store(true, Ordering::Relaxed);
    }
    let observed = observing.await?;
    job.stop();
    job.wait().await?;
    let (behind_us, seen) = (produced?, observed?);
    let warm_up_us = settings.warm_up_seconds * 1_000_000;
    let (mut latencies, missing) = latencies(schedule, &seen, warm_up_us);
    ensure!(missing == 0, "{missing} events were not seen in Redis within {} s", PATIENCE.as_secs());
    ensure!(!latencies.is_empty(), "no event came after the warm-up");
    latencies.sort_unstable();
    let at = |share: u64| {
        let index = (latencies.len() as u64 * share).div_ceil(100).saturating_sub(1);
        let value = usize::try_from(index).ok().and_then(|index| latencies.get(index)).copied();
        value.map_or(f64::NAN, millis)
    };
    Ok(Latency {
        events: latencies.len() as u64,
        p50_ms: at(50),
        p90_ms: at(90),
        p99_ms: at(99),
        max_ms: at(100),
        producer_behind_ms: millis(behind_us),
        values_seen: seen.len() as u64,
    })
}

#[expect(clippy::cast_precision_loss, reason = "microseconds of a few minutes are far below 2^53")]
fn millis(micros: u64) -> f64 {
    micros as f64 / 1_000.0
}

fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
}

async fn start_engine(settings: &Settings, topic: &str, shop: &str) -> anyhow::Result<Job> {
    let script = format!(
        "SET 'emit.interval' = '{} ms';\n{}{}{}",
        settings.emit_interval_ms,
        include_str!("../sql/events.sql"),
        include_str!("../sql/latency.sql"),
        include_str!("../sql/top_products.sql"),
    );
    let input = Input::Kafka { brokers: settings.brokers.clone(), topic: topic.to_owned() };
    // The topic is empty now, and is not to end here.
    let source = input.options().replace(", 'scan.bounded.mode' = 'latest-offset'", "");
    let redis = format!(
        "'connector' = 'redis', 'url' = '{}', 'shop' = '{shop}', 'ttl' = '10 min', 'emit' = 'updates'",
        settings.redis.replace('\'', "''")
    );
    let values = [("source", source), ("funnel", redis.clone()), ("top_products", redis)];
    let values: BTreeMap<String, String> = values.map(|(name, value)| (name.to_owned(), value)).into();
    let connectors = connectors();
    let plan = planner::plan(&script, &values, &connectors).await?;
    Ok(Job::start(plan, &connectors, job_options(settings.threads)).await?)
}

/// Sends every event when it is due; answers how late it was at most, in microseconds.
fn produce(brokers: &str, topic: &str, schedule: Schedule, started: Instant) -> anyhow::Result<u64> {
    let producer = kafka::producer(brokers, LINGER_MS)?;
    let workload = Workload { rate: schedule.rate, ..Workload::new(schedule.events) };
    let mut lanes = Vec::new();
    for lane in 0..PARTITIONS {
        let generator = workload.partition(lane, LANES as u16).starting_at(schedule.start_ms);
        lanes.push((lane, generator));
    }
    let (mut next, mut behind_us, mut line) = (0, 0, Vec::new());
    while next < schedule.events {
        let now_us = u64::try_from(started.elapsed().as_micros())?;
        let due = (now_us * schedule.rate / 1_000_000 + 1).min(schedule.events);
        if next < due {
            behind_us = behind_us.max(now_us.saturating_sub(schedule.due_us(next)));
        }
        for event in next..due {
            let index = usize::try_from(event)? % LANES;
            let (lane, generator) = &mut lanes[index];
            let time_ms = schedule.time_ms(event);
            line.clear();
            let made = generator.append_at(time_ms, &mut line);
            let record = BaseRecord::to(topic).partition(*lane).key(&made.session[..]);
            kafka::send(&producer, record.payload(line.as_slice()).timestamp(time_ms))?;
        }
        next = due;
        producer.poll(Duration::ZERO);
        std::thread::sleep(Duration::from_micros(500));
    }
    producer.flush(PATIENCE).with_context(|| format!("Kafka at {brokers} did not acknowledge everything"))?;
    Ok(behind_us)
}

/// The one row of a window that is looked at.
#[derive(Deserialize)]
struct Row {
    lane_0: u64,
    lane_1: u64,
    lane_2: u64,
    lane_3: u64,
}

/// Looks at Redis until every event is counted, or too long after the last one was due, or `over`.
fn observe(
    url: &str,
    shop: &str,
    schedule: Schedule,
    started: Instant,
    over: &AtomicBool,
) -> anyhow::Result<Vec<Seen>> {
    let unreachable = || anyhow!("no answer from Redis; check --redis (REDIS_URL) and that it runs");
    let client = redis::Client::open(url).map_err(|error| unreachable().context(error))?;
    let mut redis = client.get_connection().map_err(|error| unreachable().context(error))?;
    let mut all: Vec<Seen> = Vec::new();
    let mut newest: BTreeMap<i64, [u64; LANES]> = BTreeMap::new();
    let last = Duration::from_micros(schedule.due_us(schedule.events)) + PATIENCE;
    let mut look = started.elapsed();
    while look < last && !over.load(Ordering::Relaxed) {
        let now_ms = schedule.start_ms.saturating_add_unsigned(u64::try_from(look.as_millis())?);
        // Events of the window before may still be under way.
        let window_ms = now_ms - now_ms.rem_euclid(WINDOW_MS);
        let windows = [window_ms - WINDOW_MS, window_ms];
        let mut ask = redis::pipe();
        for window_ms in windows {
            // As in the docs of `events::live`.
            ask.hget(format!("plm:{{{shop}}}:live:funnel:{}", window_ms + WINDOW_MS), "rows");
        }
        let answers: Vec<Option<String>> = ask.query(&mut redis)?;
        let at_us = u64::try_from(started.elapsed().as_micros())?;
        for (window_ms, rows) in windows.into_iter().zip(answers) {
            let Some(rows) = rows else { continue };
            let rows: Vec<Row> = serde_json::from_str(&rows).context("a live value of the funnel")?;
            let Some(Row { lane_0, lane_1, lane_2, lane_3 }) = rows.into_iter().next() else { continue };
            let lanes = [lane_0, lane_1, lane_2, lane_3];
            if newest.insert(window_ms, lanes) != Some(lanes) {
                all.push(Seen { at_us, window_ms, lanes });
            }
        }
        if newest.values().flatten().sum::<u64>() >= schedule.events {
            break;
        }
        std::thread::sleep((look + LOOK_EVERY).saturating_sub(started.elapsed()));
        look = started.elapsed();
    }
    Ok(all)
}

/// The latency of every event that was due after the warm-up, in microseconds, and how many were never seen.
fn latencies(schedule: Schedule, seen: &[Seen], warm_up_us: u64) -> (Vec<u64>, u64) {
    let (mut latencies, mut missing) = (Vec::new(), 0);
    let mut windows: BTreeMap<i64, Vec<&Seen>> = BTreeMap::new();
    for value in seen {
        windows.entry(value.window_ms).or_default().push(value);
    }
    for lane in 0..LANES {
        // Within a window: how many events of the lane came before, and the value that is looked at.
        let (mut current_ms, mut before, mut value) = (i64::MIN, 0, 0);
        for event in (lane as u64..schedule.events).step_by(LANES) {
            let time_ms = schedule.time_ms(event);
            let window_ms = time_ms - time_ms.rem_euclid(WINDOW_MS);
            if window_ms != current_ms {
                (current_ms, before, value) = (window_ms, 0, 0);
            }
            before += 1;
            let values = windows.get(&window_ms).map(Vec::as_slice).unwrap_or_default();
            while values.get(value).is_some_and(|seen| seen.lanes[lane] < before) {
                value += 1;
            }
            let due_us = schedule.due_us(event);
            match values.get(value) {
                None => missing += 1,
                Some(seen) if due_us >= warm_up_us => latencies.push(seen.at_us.saturating_sub(due_us)),
                Some(_) => {}
            }
        }
    }
    (latencies, missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_seen_when_its_lane_has_counted_it() {
        // Twelve events, one a second, from five seconds before a minute is over.
        let schedule = Schedule { start_ms: 55_000, rate: 1, events: 12 };
        let seen = |at_us, window_ms, lanes| Seen { at_us, window_ms, lanes };
        let all = [
            // Lanes 0 to 3 have two, one, one and one events in the first window.
            seen(1_500_000, 0, [1, 1, 0, 0]),
            seen(5_000_000, 0, [2, 1, 1, 1]),
            seen(9_000_000, 60_000, [1, 1, 1, 1]),
            seen(20_000_000, 60_000, [1, 2, 2, 2]),
        ];
        let (mut found, missing) = latencies(schedule, &all, 0);
        assert_eq!(missing, 0);
        found.sort_unstable();
        // Due at 0 to 11 s; seen at 1.5, 1.5, 5, 5, 5 and 9, 9, 9, 9, 20, 20, 20 s.
        let expected = [500, 1_000, 1_000, 1_500, 2_000, 2_000, 3_000, 3_000, 4_000, 9_000, 10_000, 11_000];
        assert_eq!(found, expected.map(|millis| millis * 1_000));

        assert_eq!(latencies(schedule, &all, 10_000_000).0, [10_000_000, 9_000_000]);
        assert_eq!(latencies(schedule, &all[..3], 0).1, 3);
    }
}
