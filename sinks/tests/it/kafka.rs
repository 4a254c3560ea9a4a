//! `kafka` against librdkafka's mock cluster.

use std::time::Duration;

use rdkafka::{
    ClientConfig, Message, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    mocking::MockCluster,
    producer::DefaultProducerContext,
    types::{RDKafkaApiKey, RDKafkaRespErr},
};
use stream::{table::TableDef, time::Epoch};

use crate::support::{self, commit, message, rows, window_rows, window_table};

fn cluster() -> MockCluster<'static, DefaultProducerContext> {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("out", 3, 1).unwrap();
    cluster
}

fn table(brokers: &str, options: &[(&str, &str)]) -> TableDef {
    let mut all = vec![("connector", "kafka"), ("topic", "out"), ("properties.bootstrap.servers", brokers)];
    all.extend_from_slice(options);
    window_table("t", &all)
}

/// The first `count` records of the topic: partition, key and value.
fn records(brokers: &str, count: usize) -> Vec<(i32, Option<String>, String)> {
    let consumer: BaseConsumer =
        ClientConfig::new().set("bootstrap.servers", brokers).set("group.id", "test").create().unwrap();
    let mut partitions = TopicPartitionList::new();
    for partition in 0..3 {
        partitions.add_partition_offset("out", partition, rdkafka::Offset::Beginning).unwrap();
    }
    consumer.assign(&partitions).unwrap();
    let mut records = Vec::new();
    while records.len() < count {
        let record = consumer.poll(Duration::from_secs(20)).expect("a record in time").unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        records.push((record.partition(), record.key().map(text), text(record.payload().unwrap())));
    }
    records
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_rows_with_their_keys() {
    let cluster = cluster();
    let brokers = cluster.bootstrap_servers();
    let mut sink = support::open(&table(&brokers, &[("key.fields", "name;n")])).await.unwrap();
    commit(sink.as_mut(), 1, window_rows(&[(60_000, "a:b", 1), (60_000, "c", 2)])).await;
    commit(sink.as_mut(), 2, window_rows(&[(120_000, "a:b", 1)])).await;
    sink.close().await.unwrap();
    let records = tokio::task::spawn_blocking(move || records(&brokers, 3)).await.unwrap();
    let of = |key: &str| records.iter().filter(|(_, k, _)| k.as_deref() == Some(key)).collect::<Vec<_>>();
    let (ab, c) = (of("a%3Ab:1"), of("c:2"));
    assert_eq!((ab.len(), c.len()), (2, 1));
    assert_eq!(ab[0].0, ab[1].0, "one key, one partition");
    assert_eq!(
        c[0].2,
        r#"{"window_start":"1970-01-01T00:00:00.000Z","window_end":"1970-01-01T00:01:00.000Z","name":"c","n":2}"#
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_primary_key_is_the_key() {
    let cluster = cluster();
    let brokers = cluster.bootstrap_servers();
    let mut table = table(&brokers, &[]);
    table.primary_key = vec!["window_end".to_owned()];
    let mut sink = support::open(&table).await.unwrap();
    sink.write(rows(window_rows(&[(60_000, "a", 1)]), 1, 1, true)).await.unwrap();
    sink.pre_commit(Epoch::new(1)).await.unwrap();
    let records = tokio::task::spawn_blocking(move || records(&brokers, 1)).await.unwrap();
    assert_eq!(records[0].1.as_deref(), Some("1970-01-01T00:01:00.000Z"));
}

#[tokio::test(flavor = "multi_thread")]
async fn more_rows_than_the_queue_holds() {
    let cluster = cluster();
    let brokers = cluster.bootstrap_servers();
    let options = [("properties.queue.buffering.max.messages", "100"), ("key.fields", "n")];
    let mut sink = support::open(&table(&brokers, &options)).await.unwrap();
    let many: Vec<_> = (0..1_000).map(|n| (60_000, "a", n)).collect();
    commit(sink.as_mut(), 1, window_rows(&many)).await;
    let records = tokio::task::spawn_blocking(move || records(&brokers, 1_000)).await.unwrap();
    let mut keys: Vec<i64> =
        records.iter().map(|(_, key, _)| key.as_ref().unwrap().parse().unwrap()).collect();
    keys.sort_unstable();
    assert_eq!(keys, (0..1_000).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn passing_errors_lose_and_repeat_nothing() {
    let cluster = cluster();
    let brokers = cluster.bootstrap_servers();
    let mut sink = support::open(&table(&brokers, &[("key.fields", "n")])).await.unwrap();
    let errors = [
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
        RDKafkaRespErr::RD_KAFKA_RESP_ERR__TRANSPORT,
    ];
    cluster.request_errors(RDKafkaApiKey::Produce, &errors);
    commit(sink.as_mut(), 1, window_rows(&[(60_000, "a", 1), (60_000, "a", 2), (60_000, "a", 3)])).await;
    commit(sink.as_mut(), 2, window_rows(&[(60_000, "a", 4)])).await;
    let records = tokio::task::spawn_blocking(move || records(&brokers, 4)).await.unwrap();
    let mut keys: Vec<_> = records.into_iter().map(|(_, key, _)| key.unwrap()).collect();
    keys.sort();
    assert_eq!(keys, ["1", "2", "3", "4"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_cannot_be_delivered_fail_the_epoch() {
    let cluster = cluster();
    let brokers = cluster.bootstrap_servers();
    let options = [("properties.message.timeout.ms", "1000")];
    let mut sink = support::open(&table(&brokers, &options)).await.unwrap();
    cluster.broker_down(1).unwrap();
    sink.write(rows(window_rows(&[(60_000, "a", 1)]), 1, 1, true)).await.unwrap();
    let error = message(&sink.pre_commit(Epoch::new(1)).await.unwrap_err());
    assert!(error.contains("not delivered to topic 'out'") && error.contains(&brokers), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn brokers_out_of_reach_are_named() {
    let port = support::redis_server::free_port();
    let brokers = format!("127.0.0.1:{port}");
    let error = support::refusal(&table(&brokers, &[])).await;
    assert!(error.contains(&brokers) && error.contains("properties.bootstrap.servers"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_settings_and_topics_are_named() {
    let cluster = cluster();
    let brokers = cluster.bootstrap_servers();
    let error = support::refusal(&table(&brokers, &[("properties.no.such.setting", "1")])).await;
    assert!(error.contains("properties.*") && error.contains("no.such.setting"), "{error}");
    cluster.topic_error("out", RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED).unwrap();
    let error = support::refusal(&table(&brokers, &[])).await;
    assert!(error.contains("topic 'out'") && error.contains("authorization failed"), "{error}");
}
