//! PostgreSQL, Redis and Kafka: from the environment, else from `scripts/services.sh`.

use std::{
    collections::BTreeMap,
    process::{Command, Stdio},
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
};

use rdkafka::{mocking::MockCluster, producer::DefaultProducerContext};

use super::project;

/// Addresses by variable name.
fn addresses() -> &'static BTreeMap<String, String> {
    static ADDRESSES: OnceLock<BTreeMap<String, String>> = OnceLock::new();
    ADDRESSES.get_or_init(|| {
        let services = [("postgres", "DATABASE_URL"), ("redis", "REDIS_URL"), ("kafka", "KAFKA_BROKERS")];
        let mut found = BTreeMap::new();
        let mut missing = Vec::new();
        for (service, variable) in services {
            match std::env::var(variable) {
                Ok(address) if !address.is_empty() => {
                    found.insert(variable.to_owned(), address);
                }
                _ => missing.push(service),
            }
        }
        if !missing.is_empty() {
            let script = project().join("scripts/services.sh");
            // They are left running, as after `make services`: other tests use them too.
            let status =
                Command::new(script).arg("start").args(&missing).stdin(Stdio::null()).status().unwrap();
            assert!(status.success(), "scripts/services.sh could not start {missing:?}");
            let lines = std::fs::read_to_string(project().join(".services/env")).unwrap_or_default();
            for (variable, address) in lines.lines().filter_map(|line| line.split_once('=')) {
                found.entry(variable.to_owned()).or_insert_with(|| address.to_owned());
            }
        }
        found
    })
}

fn address(variable: &str) -> &'static str {
    addresses().get(variable).unwrap_or_else(|| panic!("no {variable}: set it, or run `make services`"))
}

/// A PostgreSQL whose user may create databases.
pub(crate) fn database_url() -> &'static str {
    address("DATABASE_URL")
}

/// A Redis.
pub(crate) fn redis_url() -> &'static str {
    address("REDIS_URL")
}

/// A broker.
pub(crate) struct Kafka {
    /// Host and port.
    pub(crate) brokers: String,
    /// Whether it is Apache Kafka; the one in process keeps only about 5 MB a partition.
    pub(crate) real: bool,
}

impl Kafka {
    /// So many events where the broker can keep them, else few.
    pub(crate) fn events(&self, many: u64) -> u64 {
        if self.real { many } else { many.min(20_000) }
    }
}

/// The broker; in process where Apache Kafka cannot be had.
pub(crate) fn kafka() -> &'static Kafka {
    static KAFKA: OnceLock<Kafka> = OnceLock::new();
    KAFKA.get_or_init(|| match addresses().get("KAFKA_BROKERS") {
        Some(brokers) => Kafka { brokers: brokers.clone(), real: true },
        None => {
            eprintln!("\n************************************************************************");
            eprintln!("NO APACHE KAFKA: these tests run on librdkafka's mock cluster, with fewer");
            eprintln!("events. What only a real broker can show is NOT tested. Set KAFKA_BROKERS.");
            eprintln!("************************************************************************\n");
            let cluster: MockCluster<'static, DefaultProducerContext> = MockCluster::new(1).unwrap();
            let brokers = cluster.bootstrap_servers();
            // It must live as long as the process.
            std::mem::forget(cluster);
            Kafka { brokers, real: false }
        }
    })
}

/// Held by tests that write to the three shared topics: their names are fixed, and what one test sends
/// would be late, or make others late, in another's run.
pub(crate) fn shared_topics() -> MutexGuard<'static, ()> {
    static TOPICS: Mutex<()> = Mutex::new(());
    TOPICS.lock().unwrap_or_else(PoisonError::into_inner)
}
