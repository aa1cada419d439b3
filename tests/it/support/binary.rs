//! The real binary in a folder of its own, as a process that can be asked, signalled and killed.

use std::fs::{File, OpenOptions};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::SOURCE_TOKEN;

/// Longer than anything here takes on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(60);

/// A folder with a config, a data directory and what the processes said.
pub struct Installation {
    pub folder: TempDir,
}

impl Installation {
    /// Writes the config; the store and a free port are added.
    pub fn new(config: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let text = format!("{config}\n[store]\npath = \"data\"\n[server]\nlisten = \"127.0.0.1:0\"\n");
        std::fs::write(folder.path().join("rollcall.toml"), text).unwrap();
        Self { folder }
    }

    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Starts the binary; what it says goes to files.
    pub fn start(&self, arguments: &[&str]) -> Program {
        Program::start(self.folder.path(), arguments)
    }
}

/// A process of the binary. Dropping it kills it.
pub struct Program {
    child: Child,
    folder: PathBuf,
    /// Who the beacon told of before: a process that was killed leaves it behind.
    stale: Option<Caller>,
}

/// Asks one server, also while its process is waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    pub address: SocketAddr,
    token: String,
}

impl Caller {
    /// The status and the body; `None` where no whole answer comes.
    pub async fn ask(&self, method: &str, path: &str) -> Option<(u16, Value)> {
        let text = self.exchange(method, path).await?;
        let (head, body) = text.split_once("\r\n\r\n")?;
        let status = head.split(' ').nth(1)?.parse().ok()?;
        // A body cut off is no JSON.
        Some((status, serde_json::from_str(body).ok()?))
    }

    /// Everything that comes until the connection ends.
    pub async fn exchange(&self, method: &str, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect(self.address).await.ok()?;
        let token = &self.token;
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.ok()?;
        String::from_utf8(bytes).ok()
    }
}

impl Program {
    /// Runs the binary in a folder with a configuration.
    pub fn start(folder: &Path, arguments: &[&str]) -> Self {
        let stale = beacon(folder);
        let file = |name: &str| File::create(folder.join(name)).unwrap();
        let log = OpenOptions::new().create(true).append(true).open(folder.join("stderr")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_rollcall"));
        command.args(arguments).current_dir(folder).env("SOURCE_TOKEN", SOURCE_TOKEN).stdin(Stdio::null());
        let child = command.stdout(file("stdout")).stderr(log).spawn().unwrap();
        Self { child, folder: folder.to_owned(), stale }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, signal: &str) {
        // The shell's own `kill`, for a program of that name is not everywhere.
        let line = format!("kill {signal} {}", self.id());
        assert!(Command::new("sh").args(["-c", &line]).status().unwrap().success());
    }

    /// SIGKILL. How it ended, where it did by itself before.
    pub fn kill(mut self) -> Option<ExitStatus> {
        let ended = self.child.try_wait().unwrap();
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        ended
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Waits for its end and gives the exit code.
    pub async fn code(&mut self) -> Option<i32> {
        let mut status = None;
        until("the process ends", async || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        })
        .await;
        status.and_then(|status| status.code())
    }

    /// What this process printed.
    pub fn stdout(&self) -> String {
        std::fs::read_to_string(self.folder.join("stdout")).unwrap()
    }

    /// What all processes of the installation have said so far.
    pub fn stderr(&self) -> String {
        std::fs::read_to_string(self.folder.join("stderr")).unwrap()
    }

    /// Waits until it serves.
    pub async fn serves(&self) {
        until("the server listens", async || self.caller().is_some()).await;
    }

    /// Whom to ask, where it serves.
    pub fn caller(&self) -> Option<Caller> {
        beacon(&self.folder).filter(|caller| self.stale.as_ref() != Some(caller))
    }

    pub async fn ask(&self, method: &str, path: &str) -> Option<(u16, Value)> {
        self.caller()?.ask(method, path).await
    }

    pub async fn get(&self, path: &str) -> Option<Value> {
        self.ask("GET", path).await.map(|(_, body)| body)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended long ago.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn beacon(folder: &Path) -> Option<Caller> {
    let beacon: Value = serde_json::from_slice(&std::fs::read(folder.join("data/server.json")).ok()?).ok()?;
    Some(Caller { address: beacon["address"].as_str()?.parse().ok()?, token: beacon["token"].as_str()?.to_owned() })
}

/// Looks again and again until it is so.
pub async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !is_so().await {
        assert!(start.elapsed() < PATIENCE, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
