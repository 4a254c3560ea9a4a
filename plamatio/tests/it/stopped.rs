//! A process that is stopped for longer than the idle timeout: what came meanwhile was not there to be read, and no row
//! of it is late.

use std::time::Duration;

use rdkafka::{
    ClientConfig,
    producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer},
};
use serde_json::Value;

use crate::support::{
    broker,
    process::{Running, script_command},
    services,
    traffic::count,
    unique,
};

const ROWS: u64 = 40_000;
const PARTITIONS: i32 = 2;

/// Sends rows a millisecond apart from `from_s` seconds of a day on, to one partition.
fn send(
    producer: &ThreadedProducer<DefaultProducerContext>,
    topic: &str,
    partition: i32,
    from_s: i64,
    rows: u64,
) {
    for row in 0..i64::try_from(rows).unwrap() {
        let time = chrono::DateTime::from_timestamp_millis((1_767_571_200 + from_s) * 1_000 + row).unwrap();
        let payload =
            format!(r#"{{"time":"{}"}}"#, time.to_rfc3339_opts(chrono::SecondsFormat::Millis, true));
        let record = BaseRecord::<(), str>::to(topic).partition(partition).payload(payload.as_str());
        producer.send(record).map_err(|(error, _)| error).unwrap();
    }
    producer.flush(Duration::from_secs(60)).unwrap();
}

#[test]
fn a_process_that_was_stopped_for_longer_than_the_idle_timeout_loses_no_row() {
    let kafka = services::kafka();
    let folder = tempfile::tempdir().unwrap();
    let topic = unique("it-stopped");
    broker::create_topics(&kafka.brokers, &[&topic], PARTITIONS);
    let script = format!(
        "SET 'checkpoint.interval' = '200 ms'; SET 'parallelism' = '2';
         CREATE TABLE events (`time` TIMESTAMP(3), WATERMARK FOR `time` AS `time` - INTERVAL '1' SECOND) WITH (
           'connector' = 'kafka', 'topic' = '{topic}', 'properties.bootstrap.servers' = '{}', 'format' = 'json',
           'properties.group.id' = '{topic}', 'scan.startup.mode' = 'earliest-offset', 'idle-timeout' = '1500 ms');
         CREATE TABLE out (e TIMESTAMP(3), n BIGINT) WITH ('connector' = 'print', 'emit' = 'final');
         INSERT INTO out SELECT window_end, COUNT(*)
         FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(`time`), INTERVAL '10' SECOND)) GROUP BY window_start, window_end;",
        kafka.brokers
    );
    let path = folder.path().join("stopped.sql");
    std::fs::write(&path, script).unwrap();
    let state = folder.path().join("state");
    let mut producer = ClientConfig::new();
    producer.set("bootstrap.servers", &kafka.brokers).set("queue.buffering.max.messages", "2000000");
    let producer: ThreadedProducer<DefaultProducerContext> = producer.create().unwrap();

    let mut command = script_command::<&str>(folder.path(), &path, "none", &[]);
    command.arg("--state").arg(&state);
    let mut job = Running::start(command);
    // Half of them before, on both partitions; while it stands still, one partition gets an hour ahead of the other.
    send(&producer, &topic, 0, 0, ROWS / 4);
    send(&producer, &topic, 1, 0, ROWS / 4);
    job.wait_for_checkpoint(&state, ROWS / 2);
    job.signal("STOP");
    send(&producer, &topic, 1, 3_600, ROWS / 4);
    std::thread::sleep(Duration::from_secs(4));
    send(&producer, &topic, 0, i64::try_from(ROWS / 4_000).unwrap(), ROWS / 4);
    job.signal("CONT");
    // What closes all windows but its own.
    (0..PARTITIONS).for_each(|partition| send(&producer, &topic, partition, 2 * 3_600, 1));
    let all = ROWS + u64::try_from(PARTITIONS).unwrap();
    job.wait_for_checkpoint(&state, all);
    let ended = job.terminate().ok();
    let ledger = ended.json();
    assert_eq!(ledger["balanced"], true, "{ledger}");
    assert_eq!((count(&ledger, "read"), count(&ledger, "on_time")), (all, all), "{ledger}");
    let text = ended.text();
    let windows = text.lines().filter_map(|line| line.strip_prefix("= "));
    let counted = windows.map(|row| serde_json::from_str::<Value>(row).unwrap()["n"].as_u64().unwrap());
    assert_eq!(counted.sum::<u64>(), ROWS, "{text}");
    broker::delete_topics(&kafka.brokers, &[&topic]);
}
