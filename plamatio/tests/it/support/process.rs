//! The binary as a child process.

use std::{
    ffi::OsStr,
    io::Read,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    thread::JoinHandle,
};

use serde_json::Value;

use super::eventually;

/// Variables that would change what the binary does.
const VARIABLES: [&str; 12] = [
    "DATABASE_URL",
    "REDIS_URL",
    "KAFKA_BROKERS",
    "PLAMATIO_PORT",
    "PLAMATIO_DATA",
    "PLAMATIO_DEAD_LETTERS",
    "PLAMATIO_METRICS",
    "PLAMATIO_LAKE",
    "PLAMATIO_LISTEN",
    "PLAMATIO_SHOP",
    "PLAMATIO_CORS_ORIGINS",
    "RUST_LOG",
];

/// A command of the binary, in `folder`, with nothing from the environment that would change it.
pub(crate) fn plamatio(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_plamatio"));
    command.args(arguments).current_dir(folder);
    for variable in VARIABLES {
        command.env_remove(variable);
    }
    command
}

/// `--set NAME=VALUE` for each.
pub(crate) fn with_values<V: AsRef<str>>(command: &mut Command, values: &[(&str, V)]) {
    for (name, value) in values {
        command.arg("--set").arg(format!("{name}={}", value.as_ref()));
    }
}

/// What a child that ended has left.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Ended {
    /// Fails with what the child said if it did not end well.
    pub(crate) fn ok(self) -> Self {
        assert!(self.status.success(), "{}\n{}\n{}", self.status, self.text(), self.stderr);
        self
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// The last line of standard output as JSON.
    pub(crate) fn json(&self) -> Value {
        let text = self.text();
        let line =
            text.lines().last().unwrap_or_else(|| panic!("nothing on standard output; {}", self.stderr));
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}"))
    }
}

/// A child; it is killed when dropped.
pub(crate) struct Running {
    child: Child,
    stdout: Stream,
    stderr: Stream,
}

/// What a child writes, read by a thread so that it never waits for us.
struct Stream {
    text: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

impl Stream {
    fn of(mut from: impl Read + Send + 'static) -> Self {
        let text = Arc::new(Mutex::new(Vec::new()));
        let to = Arc::clone(&text);
        let reader = std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = from.read(&mut buffer) {
                to.lock().unwrap().extend_from_slice(&buffer[..read]);
            }
        });
        Stream { text, reader: Some(reader) }
    }

    fn so_far(&self) -> String {
        String::from_utf8_lossy(&self.text.lock().unwrap()).into_owned()
    }

    fn all(&mut self) -> Vec<u8> {
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        std::mem::take(&mut self.text.lock().unwrap())
    }
}

impl Running {
    pub(crate) fn start(mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let stdout = Stream::of(child.stdout.take().unwrap());
        let stderr = Stream::of(child.stderr.take().unwrap());
        Running { child, stdout, stderr }
    }

    /// Sends a signal, such as `TERM`.
    pub(crate) fn signal(&self, signal: &str) {
        let status =
            Command::new("kill").args(["-s", signal, &self.child.id().to_string()]).status().unwrap();
        assert!(status.success(), "the process has already ended: {}", self.stderr.so_far());
    }

    /// The rest of the first line on standard output that begins so.
    pub(crate) fn line(&mut self, begins: &str) -> String {
        eventually(&format!("a line '{begins}…'"), || {
            self.assert_runs();
            let text = self.stdout.so_far();
            let whole = text.rfind('\n').map(|end| &text[..end])?;
            whole.lines().find_map(|line| line.strip_prefix(begins)).map(|rest| rest.trim().to_owned())
        })
    }

    /// Fails with what it said if it has ended.
    pub(crate) fn assert_runs(&mut self) {
        if let Some(status) = self.child.try_wait().unwrap() {
            panic!("it ended too early, {status}\n{}\n{}", self.stdout.so_far(), self.stderr.so_far());
        }
    }

    /// Waits for a checkpoint in the folder `state` behind at least so many records.
    pub(crate) fn wait_for_checkpoint(&mut self, state: &Path, records: u64) {
        eventually(&format!("a checkpoint with {records} records"), || {
            self.assert_runs();
            (checkpointed(state) >= records).then_some(())
        });
    }

    /// Waits for its end.
    pub(crate) fn wait(mut self) -> Ended {
        let status = eventually("the end of a process", || self.child.try_wait().unwrap());
        Ended {
            status,
            stdout: self.stdout.all(),
            stderr: String::from_utf8_lossy(&self.stderr.all()).into_owned(),
        }
    }

    /// SIGTERM, and the end it makes.
    pub(crate) fn terminate(self) -> Ended {
        self.signal("TERM");
        self.wait()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Already ended is as good.
        let _killed = self.child.kill();
        let _waited = self.child.wait();
    }
}

/// Runs a command to its end.
pub(crate) fn run(command: Command) -> Ended {
    Running::start(command).wait()
}

/// A script to its end with these values; its ledger, checked to balance.
pub(crate) fn run_script<V: AsRef<str>>(
    folder: &Path,
    script: &Path,
    dead_letters: impl AsRef<OsStr>,
    values: &[(&str, V)],
) -> Value {
    let mut command = script_command(folder, script, dead_letters, values);
    command.arg("--state").arg("none");
    let ledger = run(command).ok().json();
    assert_eq!(ledger["balanced"], true, "{ledger}");
    ledger
}

/// `plamatio run` of a script with these values.
pub(crate) fn script_command<V: AsRef<str>>(
    folder: &Path,
    script: &Path,
    dead_letters: impl AsRef<OsStr>,
    values: &[(&str, V)],
) -> Command {
    let mut command = plamatio(folder, &["run", "--summary", "json"]);
    command.arg(script).arg("--dead-letters").arg(dead_letters);
    with_values(&mut command, values);
    command
}

/// The newest checkpoint's count of records read.
pub(crate) fn checkpointed(state: &Path) -> u64 {
    let manifests = std::fs::read_dir(state).into_iter().flatten().flatten();
    let read = manifests.filter_map(|folder| {
        let text = std::fs::read(folder.path().join("manifest.json")).ok()?;
        let manifest: Value = serde_json::from_slice(&text).ok()?;
        manifest["ledger"]["sources"]["events"]["read"].as_u64()
    });
    read.max().unwrap_or_default()
}
