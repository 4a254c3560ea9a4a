//! PostgreSQL and Redis for the demo: given, or private instances of installed binaries, or none.
//!
//! A private instance listens on loopback only, on a free port, keeps its data in the demo's folder (or, where
//! the server's user cannot get there, in a temporary one), and ends with the demo.

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, bail};
use tokio::process::{Child, Command};

/// What the demo found.
pub(crate) struct Services {
    database_url: Option<String>,
    redis_url: Option<String>,
    missing: Vec<String>,
    /// Servers, and the signal that stops each.
    children: Vec<(Child, &'static str)>,
    temporary: Option<PathBuf>,
}

impl Services {
    /// Uses what is given, starts what is installed, notes what is missing.
    pub(crate) async fn start(
        folder: &Path,
        database_url: Option<String>,
        redis_url: Option<String>,
    ) -> Services {
        let mut services =
            Services { database_url, redis_url, missing: Vec::new(), children: Vec::new(), temporary: None };
        if services.redis_url.is_none() {
            match services.start_redis(folder).await {
                Ok(url) => services.redis_url = Some(url),
                Err(error) => services.missing.push(format!(
                    "redis: off ({error:#}); live values stay in this process. Install redis-server or set REDIS_URL."
                )),
            }
        }
        if services.database_url.is_none() {
            match services.start_postgres(folder).await {
                Ok(url) => services.database_url = Some(url),
                Err(error) => services
                    .missing
                    .push(format!("storefront: off ({error:#}). Install postgresql or set DATABASE_URL.")),
            }
        }
        services
    }

    /// PostgreSQL, if there is one.
    pub(crate) fn database_url(&self) -> Option<&str> {
        self.database_url.as_deref()
    }

    /// Redis, if there is one.
    pub(crate) fn redis_url(&self) -> Option<&str> {
        self.redis_url.as_deref()
    }

    /// A line for each service that is off, and how to turn it on.
    pub(crate) fn missing(&self) -> &[String] {
        &self.missing
    }

    async fn start_redis(&mut self, folder: &Path) -> anyhow::Result<String> {
        let binary = find("redis-server", &[]).context("redis-server is not installed")?;
        let folder = folder.join("redis");
        std::fs::create_dir_all(&folder)?;
        let port = free_port()?;
        let mut command = Command::new(binary);
        command
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .arg("--dir")
            .arg(&folder);
        let child = spawn(command, &folder.join("log"))?;
        self.children.push((child, "TERM"));
        wait_for_port(port).await.context("redis-server did not start")?;
        Ok(format!("redis://127.0.0.1:{port}"))
    }

    async fn start_postgres(&mut self, folder: &Path) -> anyhow::Result<String> {
        let bin = postgres_folder().context("postgresql is not installed")?;
        let data = self.postgres_data(folder)?;
        init_postgres(&bin, &data).await?;
        let port = free_port()?.to_string();
        let mut server = of_postgres(&bin.join("postgres"));
        let settings = ["-h", "127.0.0.1", "-c", "unix_socket_directories=", "-c", "fsync=off"];
        server.arg("-D").arg(&data).args(["-p", &port]).args(settings).current_dir("/");
        let child = spawn(server, &folder.join("postgres.log"))?;
        self.children.push((child, "INT"));
        let url = format!("postgres://plamatio@127.0.0.1:{port}/postgres");
        for _ in 0..100 {
            if crate::migrate::try_connect(&url).await {
                return Ok(url);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        bail!(
            "the server did not accept connections within 10 s; see {}",
            folder.join("postgres.log").display()
        )
    }

    /// Where PostgreSQL's data go. The server refuses to run as root; its own user may not be able to get into our folder.
    fn postgres_data(&mut self, folder: &Path) -> anyhow::Result<PathBuf> {
        if !is_root() {
            std::fs::create_dir_all(folder.join("postgres"))?;
            return Ok(folder.canonicalize()?.join("postgres").join("data"));
        }
        let folder = std::env::temp_dir().join(format!("plamatio-demo-postgres-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        self.temporary = Some(folder.clone());
        let owned = std::process::Command::new("chown").arg("postgres").arg(&folder).status()?;
        anyhow::ensure!(owned.success(), "there is no user postgres to run it as");
        Ok(folder.join("data"))
    }

    /// Ends the private instances.
    pub(crate) async fn stop(mut self) {
        for (child, signal) in &mut self.children {
            if let Some(pid) = child.id() {
                // A polite signal first; dropping the child kills it if that was not enough.
                let asked =
                    Command::new("kill").arg(format!("-{}", signal)).arg(pid.to_string()).status().await;
                if asked.is_ok() {
                    let _ended = tokio::time::timeout(Duration::from_secs(5), child.wait()).await;
                }
            }
        }
        self.children.clear();
        if let Some(folder) = &self.temporary
            && let Err(error) = std::fs::remove_dir_all(folder)
        {
            tracing::warn!(folder = %folder.display(), %error, "cannot remove a temporary folder");
        }
    }
}

fn spawn(mut command: Command, log: &Path) -> anyhow::Result<Child> {
    let log = std::fs::File::create(log)?;
    let child = command
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        // Ctrl-C goes to the demo alone, which stops its servers when it is done with them.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()?;
    Ok(child)
}

fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

async fn wait_for_port(port: u16) -> anyhow::Result<()> {
    for _ in 0..100 {
        if tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    bail!("nothing listens on port {port} after 5 s")
}

/// The program in PATH or one of these folders.
fn find(program: &str, folders: &[PathBuf]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).chain(folders.iter().cloned()).map(|f| f.join(program)).find(|p| p.is_file())
}

/// Where initdb and postgres are; Debian keeps them out of PATH.
fn postgres_folder() -> Option<PathBuf> {
    let mut folders: Vec<PathBuf> = Vec::new();
    for entry in std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten() {
        folders.push(entry.path().join("bin"));
    }
    folders.sort();
    folders.reverse();
    find("initdb", &folders)?.parent().map(Path::to_owned)
}

/// A program of PostgreSQL, as its own user where we are root.
fn of_postgres(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--init-groups"]).arg(program);
    command
}

async fn init_postgres(bin: &Path, data: &Path) -> anyhow::Result<()> {
    let mut init = of_postgres(&bin.join("initdb"));
    let settings = ["-A", "trust", "-U", "plamatio", "--no-sync", "-E", "UTF8", "--locale=C"];
    init.arg("-D").arg(data).args(settings);
    let output = init.stdin(Stdio::null()).current_dir("/").output().await.context("cannot run initdb")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("initdb failed: {}", said.lines().last().unwrap_or_default());
    }
    Ok(())
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}
