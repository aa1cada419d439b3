//! The real binary under strace, through every round.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use super::community::{self, ROUNDS};
use super::trace::{CALLS, Trace};
use crate::support::{ListServer, SOURCE_TOKEN};

/// What was recorded.
pub struct Recording {
    pub trace: Trace,
    /// The folder that holds the data directory, as the trace names it.
    pub root: String,
    /// On which the API answered.
    pub ports: Vec<u16>,
    /// Serves every round's list, under the names of [`list_name`].
    pub lists: ListServer,
    folder: TempDir,
}

pub fn list_name(round: usize) -> String {
    format!("round-{round}")
}

/// The list that the traced process reads.
const CURRENT: &str = "current";

impl Recording {
    /// Runs the command line, has it compact the store, then a server, then the command line again: killed, and once more.
    pub async fn make() -> Self {
        let (mut folder, lists) = (tempfile::tempdir().unwrap(), ListServer::start().await);
        // To be looked at when an image fails.
        folder.disable_cleanup(std::env::var_os("ROLLCALL_KEEP").is_some());
        for round in 1..=ROUNDS {
            lists.set(&list_name(round), community::pages(round));
        }
        let root = folder.path().canonicalize().unwrap().to_str().unwrap().to_owned();
        let mut recording = Self { trace: Trace::default(), root, ports: Vec::new(), lists, folder };
        let config = format!("{}\n[store]\npath = \"data\"\n", recording.config(CURRENT));
        fs::write(recording.folder.path().join("rollcall.toml"), config).unwrap();
        recording.sync(1).await;
        recording.compact().await;
        recording.serve().await;
        recording.sync_killed(5).await;
        recording.sync(5).await;
        let names = ["sync-1", "compact", "serve", "killed-5", "sync-5"];
        let traces = names.map(|name| fs::read_to_string(recording.trace_path(name)).unwrap());
        recording.trace = Trace::parse(&traces.concat(), &recording.root);
        recording
    }

    /// A configuration whose feed reads the list of this name.
    pub fn config(&self, list: &str) -> String {
        community::CONFIG.replace("URL", &format!("http://{}", self.lists.address)).replace("LIST", list)
    }

    /// The data directory as it was when the round had ended.
    pub fn copy_after(&self, round: usize) -> PathBuf {
        self.folder.path().join(format!("after-{round}"))
    }

    pub fn data_folder(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn trace_path(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.trace"))
    }

    fn traced(&self, name: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new("strace");
        command.args(["-f", "-yy", "-xx", "-qq", "-s", "100000000", "-e", "signal=none"]);
        command.arg(format!("-etrace={CALLS}")).arg("-o").arg(self.trace_path(name));
        command.arg(env!("CARGO_BIN_EXE_rollcall")).args(arguments);
        command.current_dir(&self.root).env("SOURCE_TOKEN", SOURCE_TOKEN).stdin(Stdio::null());
        command
    }

    fn show(&self, round: usize) {
        self.lists.set(CURRENT, community::pages(round));
    }

    fn keep(&self, round: usize) {
        copy(&self.data_folder(), &self.copy_after(round));
    }

    async fn sync(&self, round: usize) {
        self.show(round);
        let mut command = self.traced(&format!("sync-{round}"), &["sync", "e", "--json"]);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        self.keep(round);
    }

    /// Has the store written anew.
    async fn compact(&self) {
        let mut command = self.traced("compact", &["compact"]);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Killed while it commits, as far as one can tell. Stopped first, so that no call is cut off in its middle.
    async fn sync_killed(&self, round: usize) {
        self.show(round);
        let mut command = self.traced(&format!("killed-{round}"), &["sync", "e", "--json"]);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let process = Process { child, lock: self.data_folder().join("lock") };
        let journal = self.data_folder().join(format!("runs/{round}.journal"));
        until(|| journal.exists().then_some(())).await;
        process.signal("-STOP");
        tokio::time::sleep(Duration::from_millis(200)).await;
        process.kill().await;
    }

    /// Rounds 2 to 4: the first by looking until its run has ended, the others by waiting for the answer.
    async fn serve(&mut self) {
        let child = self.traced("serve", &["serve"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let beacon = self.data_folder().join("server.json");
        let server = Process { child, lock: self.data_folder().join("lock") };
        let (address, token) = until(|| read_beacon(&beacon)).await;
        self.ports.push(address.rsplit_once(':').unwrap().1.parse().unwrap());
        let ask = async |line: &str| {
            let head =
                format!("{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\r\n");
            let answer = exchange(address.clone(), head.into_bytes()).await;
            let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default();
            serde_json::from_str::<Value>(&body).unwrap_or_else(|error| panic!("{line}: {error}: {answer}"))
        };
        self.show(2);
        let started = ask("POST /v1/events/e/sync").await;
        let run = started["runs"][0]["run"].as_u64().unwrap();
        while ask(&format!("GET /v1/runs/{run}")).await["ended_at"].is_null() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        self.keep(2);
        for round in [3, 4] {
            self.show(round);
            let ended = ask("POST /v1/events/e/sync?wait=120s").await;
            assert_eq!(ended["runs"][0]["outcome"], "done", "{ended}");
            self.keep(round);
        }
        server.end().await;
    }
}

/// A traced process. Should the test fail, it is ended with it.
struct Process {
    child: Child,
    /// Names the process beneath strace.
    lock: PathBuf,
}

impl Process {
    async fn end(mut self) {
        self.signal("-TERM");
        let ended = tokio::task::spawn_blocking(move || self.child.wait().unwrap()).await.unwrap();
        assert!(ended.success(), "{ended}");
    }

    async fn kill(mut self) {
        self.signal("-KILL");
        tokio::task::spawn_blocking(move || self.child.wait().unwrap()).await.unwrap();
    }

    fn signal(&self, signal: &str) {
        let process = fs::read_to_string(&self.lock).unwrap_or_default();
        if !process.trim().is_empty() {
            let line = format!("kill {signal} {}", process.trim());
            // It may have ended by itself.
            let _ = Command::new("sh").args(["-c", &line]).stderr(Stdio::null()).status().unwrap();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.signal("-KILL");
        }
    }
}

fn read_beacon(path: &Path) -> Option<(String, String)> {
    let beacon: Value = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
    Some((beacon["address"].as_str()?.to_owned(), beacon["token"].as_str()?.to_owned()))
}

/// One request on a connection of its own: everything that is answered.
async fn exchange(address: String, request: Vec<u8>) -> String {
    let exchanging = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(180))).unwrap();
        stream.write_all(&request).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    });
    exchanging.await.unwrap()
}

async fn until<T>(found: impl Fn() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(start.elapsed() < Duration::from_secs(60), "waited in vain");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(|entry| entry.unwrap().path()) {
        let target = to.join(entry.file_name().unwrap());
        if entry.is_dir() {
            copy(&entry, &target);
        } else {
            fs::copy(&entry, &target).unwrap();
        }
    }
}
