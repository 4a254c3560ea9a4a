//! Options of `kafka`.

use std::collections::BTreeMap;

use async_trait::async_trait;
use rdkafka::ClientConfig;
use stream::{
    error::StreamError,
    sink::{EmitMode, Sink, SinkFactory},
    table::TableDef,
};

use super::{producer::Records, writer::KafkaSink};
use crate::{
    format::{self, RowFormat},
    options,
};

/// Makes `kafka` sinks.
pub struct KafkaSinkFactory;

#[async_trait]
impl SinkFactory for KafkaSinkFactory {
    fn default_emit(&self) -> EmitMode {
        EmitMode::Final
    }

    fn validate(&self, table: &TableDef) -> Result<(), StreamError> {
        KafkaConfig::read(table)?;
        table.options.finish()
    }

    async fn open(&self, table: &TableDef) -> Result<Box<dyn Sink>, StreamError> {
        let config = KafkaConfig::read(table)?;
        let records = Records::open(&table.name, config.topic, config.brokers, &config.client).await?;
        Ok(Box::new(KafkaSink::new(&table.name, config.key, config.format, records)))
    }
}

struct KafkaConfig {
    topic: String,
    brokers: String,
    /// Indices of the key columns.
    key: Vec<usize>,
    format: Box<dyn RowFormat>,
    client: ClientConfig,
}

impl KafkaConfig {
    fn read(table: &TableDef) -> Result<Self, StreamError> {
        options::ask_common(table);
        options::final_only(table)?;
        let topic = table.options.require("topic")?.to_owned();
        let brokers = table.options.require("properties.bootstrap.servers")?.to_owned();
        let format = format::of(table)?;
        let key = match options::columns(table, "key.fields")? {
            Some(names) => names,
            None => table.primary_key.clone(),
        };
        let index = |name: &String| table.columns.iter().position(|column| column.name == *name);
        let key = key.iter().filter_map(index).collect();
        let client = client(table, table.options.with_prefix("properties."))?;
        Ok(KafkaConfig { topic, brokers, key, format, client })
    }
}

/// librdkafka's settings: ours as defaults, the table's over them, and those that the guarantee rests on.
fn client(table: &TableDef, properties: BTreeMap<String, String>) -> Result<ClientConfig, StreamError> {
    for (name, fixed) in [
        ("acks", &["all", "-1"][..]),
        ("request.required.acks", &["all", "-1"]),
        ("enable.idempotence", &["true"]),
    ] {
        if properties.get(name).is_some_and(|value| !fixed.contains(&value.trim())) {
            let expected = format!("'{}', without which rows could be lost or repeated", fixed[0]);
            return Err(table.options.bad(&format!("properties.{name}"), &expected));
        }
    }
    let mut client = ClientConfig::new();
    client.set("partitioner", "murmur2_random").set("linger.ms", "5");
    for (name, value) in properties {
        client.set(name, value);
    }
    client.set("acks", "all").set("enable.idempotence", "true");
    Ok(client)
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::DataType;

    use super::*;
    use crate::options::tests::table;

    const BROKERS: (&str, &str) = ("properties.bootstrap.servers", "localhost:9092");

    fn refusal(options: &[(&str, &str)]) -> String {
        KafkaSinkFactory.validate(&table(&[("a", DataType::Int64)], options)).unwrap_err().to_string()
    }

    #[test]
    fn options_are_checked() {
        let full = [
            ("connector", "kafka"),
            ("topic", "out"),
            BROKERS,
            ("properties.acks", "all"),
            ("key.fields", "a"),
            ("format", "json"),
            ("emit", "final"),
        ];
        KafkaSinkFactory.validate(&table(&[("a", DataType::Int64)], &full)).unwrap();
        assert!(refusal(&[("topic", "x"), BROKERS, ("emit", "updates")]).contains("is not 'final'"));
        assert!(refusal(&[BROKERS]).contains("option 'topic' is missing"));
        assert!(refusal(&[("topic", "x")]).contains("'properties.bootstrap.servers' is missing"));
        assert!(refusal(&[("topic", "x"), BROKERS, ("properties.acks", "1")]).contains("properties.acks"));
        assert!(refusal(&[("topic", "x"), BROKERS, ("key.fields", "b")]).contains("no column 'b'"));
        assert!(refusal(&[("topic", "x"), BROKERS, ("format", "avro")]).contains("these are: 'csv', 'json'"));
        assert!(refusal(&[("topic", "x"), BROKERS, ("topik", "y")]).contains("unknown option 'topik'"));
    }

    #[test]
    fn the_primary_key_is_the_default_key() {
        let mut keyed = table(&[("a", DataType::Int64), ("b", DataType::Utf8)], &[("topic", "x"), BROKERS]);
        keyed.primary_key = vec!["b".to_owned(), "a".to_owned()];
        assert_eq!(KafkaConfig::read(&keyed).unwrap().key, [1, 0]);
    }
}
