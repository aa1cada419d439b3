//! The real binary on a store of its own, with the bundled registration system behind it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rollcall::demo::{Fake, FakeOptions, TOKEN, TOKEN_VARIABLE, config_toml};
use serde_json::Value;
use tempfile::TempDir;

/// Longer than anything here takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub struct Served {
    pub address: SocketAddr,
    folder: TempDir,
    child: Child,
}

/// What came back on a connection, read to its end.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(bytes);
        let (head, body) = text.split_once("\r\n\r\n")?;
        let status = head.split(' ').nth(1)?.parse().ok()?;
        Some(Self { status, head: head.to_ascii_lowercase(), body: body.to_owned() })
    }
}

impl Served {
    /// Serves the demo event, not synced yet.
    pub async fn start(records: u32) -> Self {
        Self::start_by(records, |binary| {
            let mut command = Command::new(binary);
            command.arg("serve");
            command
        })
        .await
    }

    /// The same under a hard limit of open files.
    pub async fn start_with_descriptors(records: u32, most: u32) -> Self {
        Self::start_by(records, |binary| {
            let mut command = Command::new("sh");
            command.args(["-c", &format!("ulimit -n {most} && exec '{}' serve", binary.display())]);
            command
        })
        .await
    }

    async fn start_by(records: u32, command: impl FnOnce(&Path) -> Command) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let fake = Arc::new(Fake::new(FakeOptions { count: records, ..FakeOptions::default() }));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let source = config_toml(listener.local_addr().unwrap(), 100);
        // Nothing is asked of other machines: whoever looks for badges is refused at once.
        let nowhere = "badge_url = '\"https://127.0.0.1:1/badge.png\"'";
        let source = source.replace("badge_url = \".badge_url\"", nowhere);
        assert!(source.contains(nowhere), "{source}");
        tokio::spawn(fake.serve(listener, std::future::pending()));
        let config = format!("[server]\nlisten = \"127.0.0.1:0\"\n[store]\npath = \"data\"\n{source}");
        std::fs::write(folder.path().join("rollcall.toml"), config).unwrap();
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let mut command = command(Path::new(env!("CARGO_BIN_EXE_rollcall")));
        command.current_dir(folder.path()).env(TOKEN_VARIABLE, TOKEN).stdin(Stdio::null());
        let mut child = command.stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let began = Instant::now();
        let address = loop {
            if let Some(address) = beacon(folder.path()).and_then(|beacon| beacon["address"].as_str()?.parse().ok()) {
                break address;
            }
            let ended = child.try_wait().unwrap();
            assert!(ended.is_none() && began.elapsed() < PATIENCE, "no server: {ended:?} {}", log_of(folder.path()));
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        Self { address, folder, child }
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The token of this machine's command line: it can do everything and cannot be revoked.
    pub fn local_token(&self) -> String {
        beacon(self.folder()).unwrap()["token"].as_str().unwrap().to_owned()
    }

    /// Makes a token as an operator does.
    pub async fn token(&self, scopes: &str) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rollcall"));
        command.args(["token", "create", "--name", scopes, "--scope", scopes]);
        command.current_dir(self.folder()).env(TOKEN_VARIABLE, TOKEN).stdin(Stdio::null());
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Sends bytes on a connection of their own and reads until the server ends it. `None` where it just ended.
    pub async fn exchange(&self, bytes: impl Into<Vec<u8>>) -> Option<Answer> {
        let (address, bytes) = (self.address, bytes.into());
        tokio::task::spawn_blocking(move || Answer::parse(&exchange(address, &bytes))).await.unwrap()
    }

    /// A request with the local token.
    pub async fn ask(&self, method: &str, path: &str) -> Answer {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {}\r\n\r\n",
            self.local_token()
        );
        self.exchange(request).await.unwrap_or_else(|| panic!("no answer to {method} {path}"))
    }

    /// Syncs the demo event to the end and gives the run.
    pub async fn sync(&self) -> Value {
        let answer = self.ask("POST", "/v1/events/summit/sync?wait=60s").await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let mut body: Value = serde_json::from_str(&answer.body).unwrap();
        body["runs"][0].take()
    }

    /// The server's resident memory, in bytes.
    pub fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }

    /// How many descriptors the server has open.
    pub fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap().count()
    }

    /// Ends the server as an operator does: it must still know how, and never have panicked.
    pub async fn end(mut self) {
        let line = format!("kill -TERM {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &line]).status().unwrap().success());
        let (code, log) = tokio::task::spawn_blocking(move || {
            let code = self.child.wait().unwrap().code();
            (code, log_of(self.folder()))
        })
        .await
        .unwrap();
        assert_eq!(code, Some(0), "{log}");
        assert!(log.contains("listening") && !log.contains("panicked"), "{log}");
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It has ended already, unless the test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn beacon(folder: &Path) -> Option<Value> {
    serde_json::from_slice(&std::fs::read(folder.join("data/server.json")).ok()?).ok()
}

fn log_of(folder: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(folder.join("log")).unwrap_or_default()).into_owned()
}

fn exchange(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    // A server that refuses may close before it has read everything.
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    answer
}
