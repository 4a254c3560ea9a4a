//! The demo's broker: librdkafka's mock cluster, in this process.
//!
//! It speaks the Kafka protocol and needs nothing installed, but it keeps no more than about 5 MB a partition,
//! in memory, and drops the oldest records silently beyond that. The shoppers therefore wait for an engine
//! that falls behind (see [`super::traffic`]), and the demo compares what was sent with what was read.

use anyhow::Context;
use rdkafka::{mocking::MockCluster, producer::DefaultProducerContext};

/// Partitions of each topic.
const PARTITIONS: i32 = 4;

/// A running broker; it ends when dropped.
pub(crate) struct Broker {
    _cluster: MockCluster<'static, DefaultProducerContext>,
    address: String,
}

impl Broker {
    /// Starts a broker with these topics.
    pub(crate) fn start(topics: &[&str]) -> anyhow::Result<Self> {
        let cluster = MockCluster::new(1).context("cannot start the in-process broker")?;
        for topic in topics {
            cluster
                .create_topic(topic, PARTITIONS, 1)
                .with_context(|| format!("cannot create topic {topic}"))?;
        }
        let address = cluster.bootstrap_servers();
        Ok(Broker { _cluster: cluster, address })
    }

    /// Host and port.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }
}
