//! The bundled registration system in a process of its own, as `rollcall demo-source` starts it.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{ChildStdout, Command, Stdio};

use rollcall::demo::{EVENT, TOKEN};
use serde_json::Value;

use super::process::Process;
use super::wire::{self, Connection};
use super::{Outcome, PER_PAGE};

pub struct Fake {
    pub address: SocketAddr,
    pub count: u32,
    _process: Process,
    /// Kept open: who prints to nobody fails.
    _output: BufReader<ChildStdout>,
}

impl Fake {
    /// Makes up so many people and lists them. Another seed makes other people.
    pub fn start(count: u32, seed: u64) -> Outcome<Self> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rollcall"));
        command.args(["demo-source", "--clean", "--listen", "127.0.0.1:0"]);
        command.args(["--count", &count.to_string(), "--per-page", &PER_PAGE.to_string(), "--seed", &seed.to_string()]);
        let mut process = Process::start(command.stdin(Stdio::null()).stdout(Stdio::piped()))?;
        let mut output = BufReader::new(process.output().ok_or("no pipe from the registration system")?);
        let mut line = String::new();
        output.read_line(&mut line)?;
        let address = line.trim().strip_prefix("listening on http://").and_then(|rest| rest.strip_suffix('/'));
        let address = address.ok_or_else(|| format!("the registration system said '{}'", line.trim()))?.parse()?;
        Ok(Self { address, count, _process: process, _output: output })
    }

    pub fn pages(&self) -> u32 {
        self.count.div_ceil(PER_PAGE)
    }

    /// Changes one record in a hundred; the pages are made anew before this returns.
    pub fn change_one_percent(&self) -> Outcome<()> {
        let answer = self.connect()?.ask_json(&wire::request("POST", "/control/churn?percent=1", TOKEN, ""))?;
        if answer["count"].as_u64().unwrap_or(0) == 0 { Err("nothing was changed".into()) } else { Ok(()) }
    }

    /// What the list should make of every record: `id`, `email`, `state` and more.
    pub fn truth(&self) -> Outcome<Vec<Value>> {
        Ok(serde_json::from_value(self.connect()?.ask_json(&wire::get("/control/truth", TOKEN))?)?)
    }

    pub fn connect(&self) -> Outcome<Connection> {
        Connection::open(self.address)
    }
}

/// Path and query of a page of the list.
pub fn page_path(page: u32) -> String {
    format!("/api/events/{EVENT}/attendees?page={page}&per_page={PER_PAGE}")
}
