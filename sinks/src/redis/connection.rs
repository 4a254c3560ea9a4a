//! One Redis server: connects, and again after a failure, and runs the script.

use std::time::Duration;

use events::{live, wire_time};
use redis::{
    AsyncConnectionConfig, Client, ErrorKind, RedisError, RedisResult, RetryMethod, Script,
    aio::MultiplexedConnection,
};
use stream::time::Watermark;

use crate::live::{LiveValue, WINDOWS_KEPT, watermark_ms};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// Values per script call. A call blocks the server for about 5 µs a value, and a window's values rarely come
/// near this; only a flood of them is cut into several calls.
const VALUES_PER_CALL: usize = 10_000;
/// Lua writes longer numbers with an exponent, which Redis does not read; this is 31,000 years.
const LONGEST_TTL_MS: u64 = 1_000_000_000_000_000;

pub(super) struct RedisConnection {
    client: Client,
    /// Dropped after any failure, so that the next call starts from a fresh one.
    connection: Option<MultiplexedConnection>,
    script: Script,
    shop: String,
    metric: String,
}

impl RedisConnection {
    /// Does not connect yet.
    pub(super) fn new(client: Client, shop: String, metric: String) -> Self {
        let script = Script::new(include_str!("put.lua"));
        RedisConnection { client, connection: None, script, shop, metric }
    }

    /// Connects, if that has not been done or is no longer good, and asks for an answer.
    pub(super) async fn check(&mut self) -> RedisResult<()> {
        let mut connection = self.connected().await?;
        redis::cmd("PING").query_async::<()>(&mut connection).await.inspect_err(|_| self.connection = None)
    }

    /// Writes values; answers which of them were accepted. They are all windows or none is.
    pub(super) async fn put(&mut self, values: &[LiveValue], watermark: Watermark) -> RedisResult<Vec<bool>> {
        let mut answers = Vec::with_capacity(values.len());
        for values in values.chunks(VALUES_PER_CALL) {
            let mut connection = self.connected().await?;
            let call = self.call(values, watermark);
            let called = call.invoke_async::<Vec<u8>>(&mut connection).await;
            let accepted = called.inspect_err(|_| self.connection = None)?;
            answers.extend(accepted.into_iter().map(|answer| answer == 1));
        }
        Ok(answers)
    }

    async fn connected(&mut self) -> RedisResult<MultiplexedConnection> {
        if let Some(connection) = &self.connection {
            return Ok(connection.clone());
        }
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(ANSWER_TIMEOUT));
        let connection = self.client.get_multiplexed_async_connection_with_config(&config).await?;
        Ok(self.connection.insert(connection).clone())
    }

    fn call(&self, values: &[LiveValue], watermark: Watermark) -> redis::ScriptInvocation<'_> {
        let channel = live::channel(&self.shop, &self.metric);
        let mut call = self.script.prepare_invoke();
        call.key(live::windows_key(&self.shop, &self.metric));
        call.key(live::current_key(&self.shop, &self.metric));
        let windows = values.iter().all(|value| value.window.is_some());
        call.arg(&self.metric).arg(&channel).arg(u8::from(windows)).arg(WINDOWS_KEPT);
        call.arg(match watermark_ms(watermark) {
            None => "-inf".to_owned(),
            Some(ms) => format!("({ms}"),
        });
        for value in values {
            call.key(format!("{channel}:{}", value.id));
            let time = |time: Option<_>| time.map(wire_time::format).unwrap_or_default();
            call.arg(&value.id)
                .arg(u64::try_from(value.ttl.as_millis()).unwrap_or(u64::MAX).min(LONGEST_TTL_MS))
                .arg(value.version.epoch)
                .arg(value.version.revision)
                .arg(if value.version.is_final { "true" } else { "false" })
                .arg(wire_time::format(value.updated_at))
                .arg(time(value.window.map(|window| window.start)))
                .arg(time(value.window.map(|window| window.end)))
                // No rows are an empty text: a value is taken back.
                .arg(value.rows.as_deref().unwrap_or_default());
        }
        call
    }
}

/// Whether trying again can help.
pub(super) fn is_transient(error: &RedisError) -> bool {
    error.kind() != ErrorKind::AuthenticationFailed && !matches!(error.retry_method(), RetryMethod::NoRetry)
}
