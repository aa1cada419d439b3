//! The real binary, serving: its API, its metrics, its log.

use std::collections::BTreeMap;
use std::fs::File;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::SOURCE_TOKEN;

pub struct Served {
    child: Child,
    folder: TempDir,
    address: SocketAddr,
    token: String,
}

/// Every series of `/metrics` with its value.
pub type Metrics = BTreeMap<String, f64>;

impl Served {
    /// Starts it in a folder that holds `rollcall.toml`, and the certificate to trust as `ca.pem`.
    pub async fn start(folder: TempDir) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rollcall"));
        command.arg("serve").current_dir(folder.path());
        for proxy in ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
            command.env_remove(proxy);
        }
        command.env("SOURCE_TOKEN", SOURCE_TOKEN).env("SSL_CERT_FILE", folder.path().join("ca.pem"));
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let mut child = command.stderr(File::create(folder.path().join("log")).unwrap()).spawn().unwrap();
        let beacon = folder.path().join("data/server.json");
        let start = Instant::now();
        let beacon: Value = loop {
            if let Some(beacon) = std::fs::read(&beacon).ok().and_then(|text| serde_json::from_slice(&text).ok()) {
                break beacon;
            }
            assert!(
                start.elapsed() < Duration::from_secs(30) && child.try_wait().unwrap().is_none(),
                "{}",
                log_of(folder.path())
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        let address = beacon["address"].as_str().unwrap().parse().unwrap();
        let token = beacon["token"].as_str().unwrap().to_owned();
        Self { child, folder, address, token }
    }

    pub async fn get(&self, path: &str) -> String {
        self.ask("GET", path).await
    }

    pub async fn json(&self, path: &str) -> Value {
        let text = self.get(path).await;
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}: {text}"))
    }

    /// Runs the one feed of an event to its end.
    pub async fn sync(&self, event: &str) -> Value {
        let answer = self.ask("POST", &format!("/v1/events/{event}/sync?wait=60s")).await;
        let mut answer: Value = serde_json::from_str(&answer).unwrap();
        let run = answer["runs"][0].take();
        assert!(run["ended_at"].is_string(), "{event} does not end: {run}");
        run
    }

    pub async fn ask(&self, method: &str, path: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {}\r\n\r\n",
            self.token
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200 "), "{method} {path}: {answer}");
        body.to_owned()
    }

    /// A list from its first page to its last, as text.
    async fn list(&self, path: &str) -> Vec<String> {
        let (mut lines, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = self.json(&format!("{path}limit=1000{cursor}")).await;
            lines.extend(page["items"].as_array().unwrap().iter().map(Value::to_string));
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return lines,
            }
        }
    }

    /// Everything that the API tells of people: users with their registrations and groups, groups with the
    /// number of their members, and the attendees, present and past, of these events.
    pub async fn dump(&self, events: &[&str]) -> Vec<String> {
        let mut dump = self.list("/v1/users?").await;
        dump.extend(self.list("/v1/groups?").await);
        for event in events {
            let attendees = self.list(&format!("/v1/events/{event}/attendees?state=all&")).await;
            dump.extend(attendees.into_iter().map(|attendee| format!("{event}: {attendee}")));
        }
        dump
    }

    pub async fn metrics(&self) -> Metrics {
        let text = self.get("/metrics").await;
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let series = lines.filter_map(|line| line.rsplit_once(' '));
        series.map(|(name, value)| (name.to_owned(), value.parse().unwrap())).collect()
    }

    pub fn log(&self) -> String {
        log_of(self.folder.path())
    }

    /// The journals and whatever else runs leave behind.
    pub fn files_of_runs(&self) -> Vec<String> {
        let files = std::fs::read_dir(self.folder.path().join("data/runs")).unwrap();
        files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect()
    }

    /// Memory in use at most so far, in MiB; `None` where the system does not tell.
    pub fn peak_mib(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib / 1024)
    }

    /// Asks it to end and gives its exit code.
    pub async fn end(mut self) -> Option<i32> {
        let line = format!("kill -TERM {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &line]).status().unwrap().success());
        tokio::task::spawn_blocking(move || self.child.wait().unwrap().code()).await.unwrap()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It has ended, unless a test failed.
        let _ = self.child.kill();
    }
}

fn log_of(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("log")).unwrap()
}
