//! `plamatio serve`: the commerce API, the outbox relay and the live page.

use std::sync::Arc;

use anyhow::Context;
use api::{
    ApiConfig, AppState,
    live::redis::{RedisLive, RedisSettings},
    publish::kafka::{KafkaPublisher, KafkaSettings},
    relay::{self, RelayConfig},
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{cli::ServeArgs, migrate, run::wait_for_signal, telemetry};

/// Serves until a signal comes.
pub(crate) async fn serve(args: ServeArgs) -> anyhow::Result<()> {
    let metrics = telemetry::init_metrics()?;
    let publisher = Arc::new(KafkaPublisher::connect(KafkaSettings::new(&args.brokers))?);
    let live = Arc::new(RedisLive::connect(RedisSettings::new(&args.redis_url, &args.shop))?);
    let config = ApiConfig { cors_origins: args.cors_origin, ..ApiConfig::default() };
    let mut state = AppState::builder(Arc::clone(&publisher) as _, live).config(config).metrics(metrics);
    let token = CancellationToken::new();
    let mut relay = None;
    match &args.database_url {
        None => println!("storefront: off, no database (set DATABASE_URL or --database-url)"),
        Some(url) => {
            let pool = migrate::connect(url).await?;
            if args.migrate {
                migrate::apply(&pool).await?;
            }
            state = state.database(pool.clone());
            relay = Some(tokio::spawn(relay::run(pool, publisher, RelayConfig::default(), token.clone())));
        }
    }
    let listener = TcpListener::bind(args.listen)
        .await
        .with_context(|| format!("cannot listen on {} (--listen)", args.listen))?;
    println!("serving on http://{}", listener.local_addr()?);
    let stop = token.clone();
    tokio::spawn(async move {
        wait_for_signal().await;
        stop.cancel();
    });
    api::serve(listener, state.build(), token).await?;
    if let Some(relay) = relay {
        relay.await.context("the outbox relay failed")?;
    }
    Ok(())
}
