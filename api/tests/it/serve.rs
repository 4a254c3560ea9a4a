//! The server on a real socket, and its end.

use std::time::Duration;

use api::ApiConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::support::PATIENCE;
use crate::support::app::{TestApp, builder};

#[tokio::test]
async fn cancellation_ends_streams_and_lets_go_of_the_socket() {
    let app = TestApp::without_database(ApiConfig::default());
    let config = ApiConfig { shutdown_grace: Duration::from_secs(3600), ..ApiConfig::default() };
    let state = builder(app.events.clone(), &app.shop).config(config).build();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let token = CancellationToken::new();
    let server = tokio::spawn(api::serve(listener, state, token.clone()));

    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET /v1/live/conversion/stream HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut text = String::new();
    while !text.contains("event: snapshot") {
        let mut buffer = [0; 4096];
        let read = tokio::time::timeout(PATIENCE, stream.read(&mut buffer)).await.unwrap().unwrap();
        assert!(read > 0, "{text}");
        text.push_str(&String::from_utf8_lossy(&buffer[..read]));
    }
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
    token.cancel();
    tokio::time::timeout(PATIENCE, server).await.expect("the server ends").unwrap().unwrap();
    let mut rest = Vec::new();
    tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await.expect("the stream ends").unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn an_open_request_is_cut_at_the_end_of_the_grace() {
    let app = TestApp::without_database(ApiConfig::default());
    let config = ApiConfig { shutdown_grace: Duration::from_millis(10), ..ApiConfig::default() };
    let state = builder(app.events.clone(), &app.shop).config(config).build();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let token = CancellationToken::new();
    let server = tokio::spawn(api::serve(listener, state, token.clone()));
    // A body that never comes.
    let head =
        b"POST /v1/events HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\
                 expect: 100-continue\r\n\r\n";
    stream.write_all(head).await.unwrap();
    let mut reply = [0; 12];
    tokio::time::timeout(PATIENCE, stream.read_exact(&mut reply)).await.unwrap().unwrap();
    assert_eq!(&reply, b"HTTP/1.1 100");
    token.cancel();
    tokio::time::timeout(PATIENCE, server).await.expect("the server ends").unwrap().unwrap();
}
