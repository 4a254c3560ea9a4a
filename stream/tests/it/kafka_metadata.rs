//! `METADATA` columns of Kafka: through librdkafka, from Apache Kafka where `KAFKA_BROKERS` names one, else from the
//! mock cluster that librdkafka has.

use std::time::Duration;

use insta::assert_snapshot;
use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    message::{Header, OwnedHeaders},
    mocking::MockCluster,
    producer::{FutureProducer, FutureRecord},
};

use crate::run::try_run;

/// Noon of 5 January 2026.
const NOON_MS: i64 = 1_767_614_400_000;
const PARTITIONS: i32 = 2;
const EACH: i64 = 500;

/// Sends records with a key and a time of their own to both partitions of a new topic.
async fn send(brokers: &str, topic: &str) {
    let producer: FutureProducer =
        ClientConfig::new().set("bootstrap.servers", brokers).set("linger.ms", "20").create().unwrap();
    let mut sent = Vec::new();
    for n in 0..EACH {
        for partition in 0..PARTITIONS {
            let (key, value) = (format!("k-{partition}-{n}"), format!(r#"{{"n":{n},"p":{partition}}}"#));
            let record = FutureRecord::to(topic).payload(&value).partition(partition);
            let time = NOON_MS + n * 100 + i64::from(partition);
            // A tenth has no key, and no headers either.
            let number = n.to_string();
            let header = |key, value| Header { key, value };
            let headers = OwnedHeaders::new()
                .insert(header("n", Some("before")))
                .insert(header("none", None::<&str>))
                .insert(header("n", Some(number.as_str())));
            let record = if n % 10 == 9 { record } else { record.key(&key).headers(headers) };
            sent.push(producer.send_result(record.timestamp(time)).map_err(|(error, _)| error).unwrap());
        }
    }
    for acknowledged in sent {
        acknowledged.await.unwrap().map_err(|(error, _)| error).unwrap();
    }
}

async fn create(brokers: &str, topic: &str) {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", brokers).create().unwrap();
    let new = NewTopic::new(topic, PARTITIONS, TopicReplication::Fixed(1));
    let options = AdminOptions::new().operation_timeout(Some(Duration::from_secs(30)));
    admin.create_topics([&new], &options).await.unwrap()[0].as_ref().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_times_and_places_come_with_the_records() {
    let topic = format!("metadata-{}", std::process::id());
    let mock = std::env::var("KAFKA_BROKERS").is_err().then(|| MockCluster::new(1).unwrap());
    let brokers = match &mock {
        Some(mock) => {
            mock.create_topic(&topic, PARTITIONS, 1).unwrap();
            mock.bootstrap_servers()
        }
        None => {
            let brokers = std::env::var("KAFKA_BROKERS").unwrap();
            create(&brokers, &topic).await;
            brokers
        }
    };
    send(&brokers, &topic).await;
    // Each row says whether all that came with its record is what was sent with it.
    let script = format!(
        "CREATE TABLE events (
           n BIGINT, p INT, k STRING METADATA FROM 'key', t TIMESTAMP_LTZ(3) METADATA FROM 'timestamp' VIRTUAL,
           ms BIGINT METADATA FROM 'timestamp', kind STRING METADATA FROM 'timestamp-type', topic STRING METADATA,
           `partition` INT METADATA VIRTUAL, `offset` BIGINT METADATA VIRTUAL,
           h MAP<STRING, STRING> METADATA FROM 'headers', leader INT METADATA FROM 'leader-epoch', WATERMARK FOR t AS t
         ) WITH ('connector' = 'kafka', 'topic' = '{topic}', 'properties.bootstrap.servers' = '{brokers}',
                 'scan.startup.mode' = 'earliest-offset', 'scan.bounded.mode' = 'latest-offset');
         CREATE VIEW checked AS SELECT t,
           n = `offset` AND p = `partition` AND topic = '{topic}' AND kind = 'CreateTime'
             AND ms = {NOON_MS} + n * 100 + p AND t = TO_TIMESTAMP_LTZ(ms, 3)
             AND COALESCE(leader, 0) >= 0 AND h['none'] IS NULL
             AND CASE WHEN k IS NULL THEN CARDINALITY(h) = 0
                   ELSE CARDINALITY(h) = 2 AND h['n'] = CAST(n AS STRING) END AS is_right,
           k IS NULL AND n % 10 = 9 AS lacks_key, k = CONCAT('k-', CAST(p AS STRING), '-', CAST(n AS STRING)) AS has_key
         FROM events;
         CREATE TABLE out (w TIMESTAMP(3), n BIGINT, is_right BIGINT, lacks_key BIGINT, has_key BIGINT)
         WITH ('connector' = 'collect', 'emit' = 'final');
         INSERT INTO out SELECT window_start, COUNT(*), COUNT(*) FILTER (WHERE is_right),
           COUNT(*) FILTER (WHERE lacks_key), COUNT(*) FILTER (WHERE has_key)
         FROM TABLE(TUMBLE(TABLE checked, DESCRIPTOR(t), INTERVAL '30' SECOND)) GROUP BY window_start, window_end"
    );
    let done = try_run(&script).await.unwrap_or_else(|error| panic!("{error}"));
    // 300 records a partition in the first half minute, 200 in the second; a tenth of each without a key.
    assert_snapshot!(done.finals(), @"
    w         n    is_right  lacks_key  has_key
    12:00:00  600  600       60         540
    12:00:30  400  400       40         360
    ");
    assert_eq!(done.counts(), [1000, 1000, 0, 0, 0, 0]);
}
