//! PostgreSQL and Redis for the tests: from the environment, else private ones.
//!
//! A private instance is the child of a small shell that waits for the end of its standard input. That pipe
//! closes when the test process ends, however it ends; the shell then stops the server and deletes its files.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Instant;

use super::PATIENCE;

/// URL of a database whose user may create databases.
pub(crate) fn postgres_url() -> &'static str {
    static URL: OnceLock<(String, Option<Child>)> = OnceLock::new();
    let (url, _) = URL.get_or_init(|| match std::env::var("DATABASE_URL") {
        Ok(url) => (url, None),
        Err(_) => start_postgres(),
    });
    url
}

/// URL of a Redis.
pub(crate) fn redis_url() -> &'static str {
    static URL: OnceLock<(String, Option<Child>)> = OnceLock::new();
    let (url, _) = URL.get_or_init(|| match std::env::var("REDIS_URL") {
        Ok(url) => (url, None),
        Err(_) => {
            let (port, child) = start_redis();
            (format!("redis://127.0.0.1:{port}"), Some(child))
        }
    });
    url
}

fn missing(what: &str) -> ! {
    panic!("{what} is not installed and its URL is not set: run `make services` and use its .services/env");
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A new folder that any user may enter.
fn folder(name: &str) -> PathBuf {
    let folder = tempfile::Builder::new().prefix(&format!("plm-{name}-")).tempdir().unwrap().keep();
    run(Command::new("chmod").arg("755").arg(&folder));
    folder
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// The newest installed PostgreSQL's programs.
fn postgres_programs() -> PathBuf {
    let mut versions: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .filter(|bin| bin.join("initdb").exists())
        .collect();
    versions.sort();
    versions.pop().unwrap_or_else(|| missing("PostgreSQL"))
}

/// Runs the server under a shell that outlives neither it nor the tests.
fn supervise(server: &str, stop_signal: &str, folder: &Path) -> Child {
    let script = format!(
        "{server} >{log} 2>&1 & server=$!; cat >/dev/null; kill -{stop_signal} $server; wait $server; rm -rf {folder}",
        log = folder.join("log").display(),
        folder = folder.display(),
    );
    Command::new("sh").arg("-c").arg(script).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap()
}

fn wait_for(what: &str, folder: &Path, mut ready: impl FnMut() -> bool) {
    let started = Instant::now();
    while !ready() {
        if started.elapsed() > PATIENCE {
            let log = std::fs::read_to_string(folder.join("log")).unwrap_or_default();
            panic!("{what} did not start:\n{log}");
        }
        std::thread::yield_now();
    }
}

fn start_postgres() -> (String, Option<Child>) {
    let programs = postgres_programs();
    let folder = folder("postgres");
    let data = folder.join("data");
    // PostgreSQL refuses to run as root; its package brings a user for it.
    let id = Command::new("id").arg("-u").output().unwrap();
    let as_root = id.stdout.starts_with(b"0\n");
    // setpriv becomes the server instead of staying its parent, so a signal to its pid is one to the server.
    let prefix: &[&str] = if as_root {
        &["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
    } else {
        &["env"]
    };
    if as_root {
        run(Command::new("chown").arg("postgres").arg(&folder));
    }
    run(Command::new(prefix[0])
        .args(&prefix[1..])
        .arg(programs.join("initdb"))
        .args(["--auth=trust", "--username=postgres", "--encoding=UTF8", "--no-sync", "-D"])
        .arg(&data)
        .current_dir("/"));
    let port = free_port();
    let server = format!(
        "{prefix} {postgres} -D {data} -p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= \
         -c fsync=off -c synchronous_commit=off -c full_page_writes=off -c max_connections=300",
        prefix = prefix.join(" "),
        postgres = programs.join("postgres").display(),
        data = data.display(),
    );
    let child = supervise(&server, "INT", &folder);
    wait_for("PostgreSQL", &folder, || {
        Command::new(programs.join("pg_isready"))
            .args(["-q", "-h", "127.0.0.1", "-U", "postgres", "-p", &port.to_string()])
            .status()
            .is_ok_and(|status| status.success())
    });
    (format!("postgres://postgres@127.0.0.1:{port}/postgres"), Some(child))
}

/// A private Redis that a test may kill: its port and its shell.
pub(crate) fn start_redis() -> (u16, Child) {
    let port = free_port();
    (port, start_redis_at(port))
}

/// The same at a given port.
pub(crate) fn start_redis_at(port: u16) -> Child {
    if !Command::new("redis-server")
        .arg("--version")
        .stdout(Stdio::null())
        .status()
        .is_ok_and(|s| s.success())
    {
        missing("Redis");
    }
    let folder = folder("redis");
    let dir = folder.display();
    let server = format!("redis-server --bind 127.0.0.1 --port {port} --save '' --appendonly no --dir {dir}");
    let child = supervise(&server, "TERM", &folder);
    wait_for("Redis", &folder, || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
    child
}

/// Stops a server started here and waits until it is gone.
pub(crate) fn stop(mut child: Child) {
    drop(child.stdin.take());
    child.wait().unwrap();
}
