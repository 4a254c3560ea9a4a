//! A server that goes away and comes back.

use std::time::{Duration, Instant};

use stream::time::Epoch;

use super::{redis_table, window};
use crate::support::{
    self, message,
    redis_server::{RedisServer, free_port, shop},
    rows, window_rows, window_table,
};

#[tokio::test]
async fn provisional_values_wait_and_the_newest_wins() {
    let mut server = RedisServer::start(free_port());
    let (url, shop) = (server.url(), shop());
    let mut sink = support::open(&redis_table(&url, &shop)).await.unwrap();
    let provisional =
        |revision: u64| rows(window_rows(&[(60_000, "a", revision as i64)]), 1, revision, false);
    sink.write(provisional(1)).await.unwrap();
    server.kill();
    for revision in 2..20 {
        sink.write(provisional(revision)).await.unwrap();
    }
    let port = url.trim_end_matches("/0").rsplit(':').next().unwrap().parse().unwrap();
    let _server = RedisServer::start(port);
    let mut connection = super::connection(&url).await;
    // No more writes: the epoch's end delivers what waits, once the pause between attempts is over.
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        sink.pre_commit(Epoch::new(1)).await.unwrap();
        if let Some(window) = window(&mut connection, &shop, 60_000).await {
            assert_eq!(window.revision, 19);
            break;
        }
        assert!(Instant::now() < deadline, "the newest value never came");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_final_value_waits_for_the_server() {
    let mut server = RedisServer::start(free_port());
    let (url, shop) = (server.url(), shop());
    let mut sink = support::open(&redis_table(&url, &shop)).await.unwrap();
    server.kill();
    sink.write(rows(window_rows(&[(60_000, "a", 1), (120_000, "a", 1)]), 1, 1, false)).await.unwrap();
    let last = rows(window_rows(&[(60_000, "a", 2)]), 1, 2, true);
    let writer = tokio::spawn(async move {
        sink.write(last).await.unwrap();
        sink
    });
    let port = url.trim_end_matches("/0").rsplit(':').next().unwrap().parse().unwrap();
    let _server = tokio::task::spawn_blocking(move || RedisServer::start(port)).await.unwrap();
    writer.await.unwrap();
    let mut connection = super::connection(&url).await;
    let first = window(&mut connection, &shop, 60_000).await.unwrap();
    assert_eq!((first.revision, first.is_final), (2, true));
    // What waited went along.
    assert_eq!(window(&mut connection, &shop, 120_000).await.unwrap().revision, 1);
}

#[tokio::test]
async fn the_job_stops_when_the_server_stays_away() {
    let mut server = RedisServer::start(free_port());
    let url = server.url();
    let options = [("connector", "redis"), ("url", url.as_str()), ("retry.timeout", "200 ms")];
    let table = window_table("conversion", &options);
    let mut sink = support::open(&table).await.unwrap();
    let mut other = support::open(&table).await.unwrap();
    server.kill();
    let batch = window_rows(&[(60_000, "a", 1)]);
    let error = sink.write(rows(batch.clone(), 1, 1, true)).await.unwrap_err();
    let text = message(&error);
    assert!(text.contains(&url) && text.contains("option 'url'"), "{text}");
    // Nor do provisional values wait for ever.
    let begin = Instant::now();
    let error = loop {
        if let Err(error) = other.write(rows(batch.clone(), 1, 1, false)).await {
            break error;
        }
        assert!(begin.elapsed() < Duration::from_secs(20), "no error");
        tokio::task::yield_now().await;
    };
    assert!(error.to_string().contains("does not answer"), "{error}");
}

#[tokio::test]
async fn an_unreachable_server_is_named_without_its_password() {
    let url = format!("redis://user:secret@127.0.0.1:{}/0", free_port());
    let error = support::refusal(&redis_table(&url, "s")).await;
    assert!(error.contains("redis://user:***@127.0.0.1") && error.contains("option 'url'"), "{error}");
    assert!(!error.contains("secret"), "{error}");
}

#[tokio::test]
async fn a_wrong_password_is_told_at_once() {
    let server = RedisServer::start(free_port());
    let url = server.url().replace("redis://", "redis://:secret@");
    let error = support::refusal(&redis_table(&url, "s")).await;
    assert!(error.contains(":***@") && !error.contains("secret"), "{error}");
}
