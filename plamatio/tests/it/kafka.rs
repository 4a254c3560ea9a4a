//! From Kafka, filled by `plamatio generate`, into Redis and Delta.

use events::generate::GeneratorConfig;
use redis::Commands;
use serde_json::Value;

use crate::support::{
    broker, lake, metric_script,
    process::{plamatio, run, run_script},
    services,
    traffic::{self, assert_ledger},
    unique,
};

#[test]
fn top_products_of_a_filled_topic() {
    let _alone = services::shared_topics();
    let kafka = services::kafka();
    let folder = tempfile::tempdir().unwrap();
    let lake_folder = folder.path().join("lake");
    let number = kafka.events(300_000);
    let config = GeneratorConfig { seed: 23, events: Some(number), ..GeneratorConfig::default() };
    let (records, made) = traffic::records(config);
    traffic::write_batch_events(&lake_folder, &records);

    broker::create_topics(&kafka.brokers, &broker::TOPICS, 4);
    let group = unique("it-kafka");
    // Committed positions: what other runs have left in the topics is not read.
    let consumer = broker::at_the_end(&kafka.brokers, &group, &broker::TOPICS);
    let mut generate = plamatio(folder.path(), &["generate", "--seed", "23", "--summary", "json"]);
    generate.args(["--events", &number.to_string(), "--brokers", &kafka.brokers]);
    assert_eq!(run(generate).ok().json(), serde_json::to_value(&made).unwrap());

    let shop = unique("it");
    let source = format!(
        "'connector' = 'kafka', 'topic' = '{}', 'properties.bootstrap.servers' = '{}',
         'properties.group.id' = '{group}', 'scan.startup.mode' = 'group-offsets',
         'scan.bounded.mode' = 'latest-offset'",
        broker::TOPICS.join(";"),
        kafka.brokers
    );
    let values = [
        ("source", source.as_str()),
        ("redis", services::redis_url()),
        ("shop", &shop),
        ("lake", lake_folder.to_str().unwrap()),
    ];
    let letters = lake_folder.join("dead_letters/top_products");
    let ledger = run_script(folder.path(), &metric_script("top_products"), letters, &values);
    assert_ledger(&ledger, &made, false);
    lake::assert_equals_batch(&lake_folder, "top_products");
    let letters = "SELECT COUNT(*) FROM dead_letters.top_products WHERE kind = 'malformed'";
    assert_eq!(u64::try_from(lake::number(&lake_folder, letters)).unwrap(), made.malformed);
    redis_has_the_last_windows(&lake_folder, &shop);

    // Positions were committed: another run of the group finds nothing left.
    drop(consumer);
    let other = tempfile::tempdir().unwrap();
    let values = [values[0], values[1], values[2], ("lake", other.path().to_str().unwrap())];
    let ledger = run_script(folder.path(), &metric_script("top_products"), "none", &values);
    assert_eq!(traffic::count(&ledger, "read"), 0, "{ledger}");
}

/// The windows in Redis are final and have the rows of the lake.
fn redis_has_the_last_windows(lake_folder: &std::path::Path, shop: &str) {
    let mut redis = redis::Client::open(services::redis_url()).unwrap().get_connection().unwrap();
    let key = |rest: &str| format!("plm:{{{shop}}}:live:top_products:{rest}");
    let ends: Vec<i64> = redis.zrevrange(key("windows"), 0, 2).unwrap();
    assert_eq!(ends.len(), 3, "three windows at least");
    for end in ends {
        let window: std::collections::HashMap<String, String> = redis.hgetall(key(&end.to_string())).unwrap();
        assert_eq!(window["is_final"], "true", "{window:?}");
        let rows: Vec<Value> = serde_json::from_str(&window["rows"]).unwrap();
        let count = format!(
            "SELECT COUNT(*) FROM top_products WHERE window_end = TIMESTAMP '{}'",
            window["window_end"].trim_end_matches('Z')
        );
        assert_eq!(rows.len(), usize::try_from(lake::number(lake_folder, &count)).unwrap(), "{window:?}");
        for row in rows {
            let same = format!(
                "{count} AND ranked_by = '{}' AND \"rank\" = {} AND product_id = {} AND views = {} AND units = {}
                 AND revenue_minor = {}",
                row["ranked_by"].as_str().unwrap(),
                row["rank"],
                row["product_id"],
                row["views"],
                row["units"],
                row["revenue_minor"]
            );
            assert_eq!(lake::number(lake_folder, &same), 1, "{row}");
        }
    }
}
