//! Options of `redis`.

use std::time::Duration;

use async_trait::async_trait;
use redis::Client;
use stream::{
    error::StreamError,
    sink::{EmitMode, Sink, SinkFactory},
    table::TableDef,
};
use url::Url;

use super::{
    connection::RedisConnection,
    values::Values,
    writer::{RedisSink, Store},
};
use crate::{memory::MemoryLiveStore, options};

const DEFAULT_TTL: Duration = Duration::from_secs(2 * 24 * 3600);
const DEFAULT_RETRY: Duration = Duration::from_secs(30);

/// Makes `redis` sinks; those with `'url' = 'memory://'` share one store.
pub struct RedisSinkFactory {
    memory: MemoryLiveStore,
}

impl RedisSinkFactory {
    /// Sinks whose `memory://` is `memory`.
    pub fn new(memory: MemoryLiveStore) -> Self {
        RedisSinkFactory { memory }
    }
}

#[async_trait]
impl SinkFactory for RedisSinkFactory {
    fn default_emit(&self) -> EmitMode {
        EmitMode::Updates
    }

    fn validate(&self, table: &TableDef) -> Result<(), StreamError> {
        RedisConfig::read(table)?;
        table.options.finish()
    }

    async fn open(&self, table: &TableDef) -> Result<Box<dyn Sink>, StreamError> {
        let config = RedisConfig::read(table)?;
        let store = match config.server {
            None => Store::Memory { store: self.memory.clone(), metric: config.metric },
            Some(client) => Store::Redis(Box::new(RedisConnection::new(client, config.shop, config.metric))),
        };
        let mut sink = RedisSink::new(&table.name, config.place, store, config.values, config.retry);
        sink.connect().await?;
        Ok(Box::new(sink))
    }
}

struct RedisConfig {
    /// `None` for `memory://`.
    server: Option<Client>,
    /// The URL without its password, for messages.
    place: String,
    shop: String,
    metric: String,
    retry: Duration,
    values: Values,
}

impl RedisConfig {
    fn read(table: &TableDef) -> Result<Self, StreamError> {
        options::ask_common(table);
        let (server, place) = server(table)?;
        let shop = name(table, "shop", "default")?;
        let metric = name(table, "metric", &table.name)?;
        let ttl = table.options.duration_or("ttl", DEFAULT_TTL)?;
        if ttl.is_zero() {
            return Err(table.options.bad("ttl", "longer than nothing"));
        }
        let retry = table.options.duration_or("retry.timeout", DEFAULT_RETRY)?;
        Ok(RedisConfig { server, place, shop, metric, retry, values: Values::new(table, ttl)? })
    }
}

/// The server, and its URL with the password masked. The text itself is never shown, since a URL that does
/// not parse may hold a password anywhere.
fn server(table: &TableDef) -> Result<(Option<Client>, String), StreamError> {
    let text = table.options.require("url")?.trim();
    if text == "memory://" {
        return Ok((None, text.to_owned()));
    }
    let bad = || {
        StreamError::connector(
            &table.name,
            "option 'url' is not redis://[user:password@]host:port[/db] or memory:// (the value is not shown, \
             since it may hold a password)",
        )
    };
    let mut place = Url::parse(text).map_err(|_| bad())?;
    let client = Client::open(text).map_err(|_| bad())?;
    if place.password().is_some() {
        place.set_password(Some("***")).map_err(|()| bad())?;
    }
    Ok((Some(client), place.to_string()))
}

/// A part of a key. Braces would move the hash tag, `:` the parts.
fn name(table: &TableDef, option: &str, default: &str) -> Result<String, StreamError> {
    match table.options.get(option) {
        None => Ok(default.to_owned()),
        Some(text)
            if text.is_empty() || text.contains(['{', '}', ':']) || text.contains(char::is_whitespace) =>
        {
            Err(table.options.bad(option, "a name without blanks, ':', '{' and '}'"))
        }
        Some(text) => Ok(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::DataType;
    use stream::table::timestamp_type;

    use super::*;
    use crate::options::tests::table;

    fn refusal(columns: &[(&str, DataType)], options: &[(&str, &str)]) -> String {
        let factory = RedisSinkFactory::new(MemoryLiveStore::new());
        factory.validate(&table(columns, options)).unwrap_err().to_string()
    }

    #[test]
    fn options_are_checked() {
        let columns = [("window_end", timestamp_type())];
        let factory = RedisSinkFactory::new(MemoryLiveStore::new());
        let full = [
            ("connector", "redis"),
            ("url", "redis://127.0.0.1:6379"),
            ("shop", "demo"),
            ("metric", "conversion"),
            ("ttl", "3 days"),
            ("retry.timeout", "5 s"),
            ("emit", "final"),
        ];
        factory.validate(&table(&columns, &full)).unwrap();
        factory.validate(&table(&columns, &[("url", "memory://")])).unwrap();
        assert!(refusal(&columns, &[]).contains("option 'url' is missing"));
        assert!(refusal(&columns, &[("url", "memory://"), ("shop", "a:b")]).contains("option 'shop'"));
        assert!(refusal(&columns, &[("url", "memory://"), ("ttl", "0 s")]).contains("option 'ttl'"));
        assert!(refusal(&columns, &[("url", "memory://"), ("tll", "0 s")]).contains("unknown option 'tll'"));
        let error = refusal(&columns, &[("url", "redis//:secret@host")]);
        assert!(error.contains("option 'url'") && !error.contains("secret"), "{error}");
    }

    #[test]
    fn a_table_needs_windows_or_a_key() {
        let options = [("url", "memory://")];
        let error = refusal(&[("a", DataType::Int64)], &options);
        assert!(error.contains("PRIMARY KEY"), "{error}");
        let error = refusal(&[("window_end", DataType::Int64)], &options);
        assert!(error.contains("column window_end must be TIMESTAMP"), "{error}");
        let mut keyed = table(&[("a", DataType::Int64)], &options);
        keyed.primary_key = vec!["a".to_owned()];
        RedisSinkFactory::new(MemoryLiveStore::new()).validate(&keyed).unwrap();
    }

    #[test]
    fn the_password_is_masked() {
        let table = table(&[], &[("url", "redis://user:secret@host:6379/2")]);
        let (_, place) = server(&table).unwrap();
        assert_eq!(place, "redis://user:***@host:6379/2");
    }
}
