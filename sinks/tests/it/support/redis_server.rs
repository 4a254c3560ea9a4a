//! A private Redis server for the tests.

use std::{
    io::ErrorKind,
    net::{Ipv4Addr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

/// `REDIS_URL`, or the URL of a server started for this test process.
pub(crate) fn url() -> String {
    static SERVER: OnceLock<RedisServer> = OnceLock::new();
    match std::env::var("REDIS_URL") {
        Ok(url) if !url.is_empty() => url,
        _ => SERVER.get_or_init(|| RedisServer::start(free_port())).url(),
    }
}

/// A shop of its own for each caller, also on a server that other test runs use.
pub(crate) fn shop() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos();
    format!("test-{now:x}-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A port that nothing listens on.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// A server that ends when this is dropped or the process ends.
pub(crate) struct RedisServer {
    port: u16,
    shell: Child,
}

impl RedisServer {
    /// Starts an empty server and waits until it accepts connections.
    pub(crate) fn start(port: u16) -> Self {
        if let Err(e) = Command::new("redis-server").arg("--version").stdout(Stdio::null()).status() {
            assert_eq!(e.kind(), ErrorKind::NotFound, "redis-server does not start: {e}");
            panic!(
                "these tests need Redis, and redis-server is not installed: run `make services`, or set REDIS_URL"
            );
        }
        // The shell waits for the end of its input, which comes with the end of this process, however it
        // ends; statics are never dropped.
        let script = r#"
            folder=$(mktemp -d) || exit 1
            redis-server --port "$1" --bind 127.0.0.1 --save '' --appendonly no --dir "$folder" >/dev/null &
            server=$!
            read -r _
            kill -9 "$server"; wait "$server" 2>/dev/null; rm -rf "$folder""#;
        let shell = Command::new("sh")
            .args(["-c", script, "redis", &port.to_string()])
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("sh starts");
        let server = RedisServer { port, shell };
        let deadline = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            assert!(Instant::now() < deadline, "redis-server does not listen on port {port}");
            std::thread::yield_now();
        }
        server
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    /// Kills the server and waits for its end.
    pub(crate) fn kill(&mut self) {
        drop(self.shell.stdin.take());
        self.shell.wait().expect("the shell ends");
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}
