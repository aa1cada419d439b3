//! Rollcall installed in a folder: its configuration, its data, the command `sync` and the server.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rollcall::demo::{EVENT, TOKEN, TOKEN_VARIABLE, config_toml};
use serde_json::Value;
use tempfile::TempDir;

use super::process::{self, Ended, Memory, Process};
use super::wire::{self, Connection};
use super::{Outcome, PER_PAGE};

/// A second event with a source of its own; see [`Installation::with_small`].
pub const SMALL: &str = "small";

/// Longest time until a server listens.
const START: Duration = Duration::from_secs(60);

/// What is logged, by every verb: where the time goes, see [`super::stages`].
const LOG: (&str, &str) = ("ROLLCALL_LOG", "info,rollcall::stages=debug");

const SETTINGS: &str = r#"
[server]
listen = "127.0.0.1:0"

[store]
path = "data"

[log]
format = "json"

[event.summit.access]
admission = "restricted"

[event.summit.access.pages.lounge]
groups = ["VIP", "Speakers"]
"#;

pub struct Installation {
    folder: TempDir,
}

/// A sync that ended well.
pub struct Synced {
    pub ended: Ended,
    /// The run as the API shows it.
    pub run: Value,
    /// What the program wrote on standard error.
    pub log: String,
}

/// A running server and a connection to it.
pub struct Server {
    pub address: SocketAddr,
    pub token: String,
    process: Process,
    connection: Connection,
    log: PathBuf,
}

impl Installation {
    /// With the event of the bundled registration system, fed from `source`.
    pub fn new(scratch: &Path, source: SocketAddr) -> Outcome<Self> {
        Self::of(scratch, &config_toml(source, PER_PAGE))
    }

    /// The same, and the event [`SMALL`] fed from `small`.
    pub fn with_small(scratch: &Path, source: SocketAddr, small: SocketAddr) -> Outcome<Self> {
        Self::of(scratch, &format!("{}\n{}", config_toml(source, PER_PAGE), small_toml(small)))
    }

    /// Only with the event [`SMALL`].
    pub fn only_small(scratch: &Path, small: SocketAddr) -> Outcome<Self> {
        Self::of(scratch, &small_toml(small))
    }

    /// With these sources and events, the bundled one among them.
    pub fn of(scratch: &Path, config: &str) -> Outcome<Self> {
        let folder = tempfile::tempdir_in(scratch)?;
        std::fs::write(folder.path().join("rollcall.toml"), format!("{config}{SETTINGS}"))?;
        Ok(Self { folder })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Outcome<Command> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rollcall"));
        command.args(arguments).current_dir(self.folder.path()).env(TOKEN_VARIABLE, TOKEN);
        command.env(LOG.0, LOG.1).stdin(Stdio::null());
        command.stdout(File::create(self.path("stdout"))?).stderr(File::create(self.path("stderr"))?);
        Ok(command)
    }

    /// `rollcall sync`, to its end. Every record of `count` must have been read.
    pub fn sync(&self, count: u32) -> Outcome<Synced> {
        let ended = process::run(&mut self.command(&["sync", EVENT, "--json"])?)?;
        let log = std::fs::read_to_string(self.path("stderr"))?;
        if !ended.status.success() {
            return Err(format!("rollcall sync ended with {}: {log}", ended.status).into());
        }
        let mut answer: Value = serde_json::from_slice(&std::fs::read(self.path("stdout"))?)?;
        let run = checked(answer["runs"][0].take(), count)?;
        Ok(Synced { ended, run, log })
    }

    /// `rollcall serve`, as soon as it listens.
    pub fn serve(&self) -> Outcome<Server> {
        let mut process = Process::start(&mut self.command(&["serve"])?)?;
        let start = Instant::now();
        let beacon = loop {
            // Written whole or not yet.
            let beacon = std::fs::read(self.path("data/server.json")).unwrap_or_default();
            if let Ok(beacon) = serde_json::from_slice::<Value>(&beacon) {
                break beacon;
            }
            if process.has_ended()? || start.elapsed() > START {
                return Err(
                    format!("the server does not start: {}", std::fs::read_to_string(self.path("stderr"))?).into()
                );
            }
            thread::sleep(Duration::from_millis(5));
        };
        let text = |name: &str| beacon[name].as_str().ok_or("server.json has no address or no token");
        let address = text("address")?.parse()?;
        let token = text("token")?.to_owned();
        Ok(Server { address, token, process, connection: Connection::open(address)?, log: self.path("stderr") })
    }

    /// What the data directory takes of the disk, as `du` counts: people, journals and the ballast.
    pub fn disk_bytes(&self) -> Outcome<u64> {
        disk_bytes(&self.path("data"))
    }
}

impl Server {
    /// Starts the sync of an event and waits for its end: the run, and the time from request to answer.
    pub fn sync(&mut self, event: &str, count: u32) -> Outcome<(Value, Duration)> {
        let path = format!("/v1/events/{event}/sync?wait=300s");
        let request = wire::request("POST", &path, &self.token, "");
        let start = Instant::now();
        let mut answer = self.connection.ask_json(&request)?;
        let took = start.elapsed();
        Ok((checked(answer["runs"][0].take(), count)?, took))
    }

    pub fn ask_json(&mut self, request: &[u8]) -> Outcome<Value> {
        self.connection.ask_json(request)
    }

    pub fn memory(&self) -> Outcome<Memory> {
        self.process.memory()
    }

    /// What it has written on standard error so far.
    pub fn log(&self) -> Outcome<String> {
        Ok(std::fs::read_to_string(&self.log)?)
    }
}

/// The bundled configuration under other names; the registration system itself knows one event only.
fn small_toml(source: SocketAddr) -> String {
    let renamed = [("[source.demo", "[source.tiny"), ("source = \"demo\"", "source = \"tiny\"")];
    let renamed = renamed.into_iter().fold(config_toml(source, PER_PAGE), |text, (old, new)| text.replace(old, new));
    renamed.replace(&format!("[event.{EVENT}"), &format!("[event.{SMALL}"))
}

/// A run that is worth a figure.
fn checked(run: Value, count: u32) -> Outcome<Value> {
    let whole = run["outcome"] == "done" && run["complete"] == true && run["counts"]["records"] == count;
    if whole { Ok(run) } else { Err(format!("a run did not do what it should: {run}").into()) }
}

/// From a run's start to its end, as its record has it.
pub fn run_seconds(run: &Value) -> Outcome<f64> {
    let instant =
        |name: &str| -> Outcome<Timestamp> { Ok(run[name].as_str().ok_or("a run without its times")?.parse()?) };
    Ok(instant("ended_at")?.duration_since(instant("started_at")?).as_secs_f64())
}

fn disk_bytes(folder: &Path) -> Outcome<u64> {
    use std::os::unix::fs::MetadataExt as _;
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.metadata()?;
        // stat(2) counts in blocks of 512 bytes, whatever the file system's are.
        bytes += if kind.is_dir() { disk_bytes(&entry.path())? } else { kind.blocks() * 512 };
    }
    Ok(bytes)
}
