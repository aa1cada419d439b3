//! A real pretix, filled by its own models (`tests/peers/pretix/`): the store says what pretix says.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use jiff::Timestamp;
use rollcall::model::{Run, RunOutcome};
use serde_json::Value;

use super::story::config;
use super::truth::{Seen, State, Ticket, View, stored};
use crate::support::{Appliance, SOURCE_TOKEN};

/// Where `tests/run` puts it: a Python with pretix, and an empty database.
fn folder() -> PathBuf {
    let given = std::env::var_os("PRETIX").map(PathBuf::from);
    given.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target/pretix"))
}

struct Peer {
    process: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
    url: String,
    tickets: Vec<Ticket>,
}

impl Peer {
    fn start() -> Self {
        let program = folder().join("bin/python");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/pretix/peer.py");
        let mut command = Command::new(&program);
        command.arg(script).arg("serve").arg(folder()).arg(SOURCE_TOKEN);
        let started = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut process = started.unwrap_or_else(|error| panic!("{}: {error}; run tests/run", program.display()));
        let (orders, answers) = (process.stdin.take().unwrap(), BufReader::new(process.stdout.take().unwrap()));
        let mut peer = Self { process, orders, answers, url: String::new(), tickets: Vec::new() };
        let said = peer.hear();
        said["url"].as_str().unwrap().clone_into(&mut peer.url);
        peer
    }

    /// Has it do something, by its own models.
    fn have(&mut self, what: &str) {
        writeln!(self.orders, "{what}").unwrap();
        self.hear();
    }

    fn hear(&mut self) -> Value {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        let said: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"));
        self.tickets = said["truth"].as_array().unwrap().iter().map(ticket).collect();
        said
    }

    fn ticket(&self, email: &str) -> &Ticket {
        self.tickets.iter().find(|ticket| ticket.email == email).unwrap()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn ticket(told: &Value) -> Ticket {
    let text = |key: &str| told[key].as_str().unwrap().to_owned();
    let state = match told["state"].as_str().unwrap() {
        "attending" => State::Attending,
        "pending" => State::Pending,
        _ => State::Cancelled,
    };
    let (id, changed) = (told["id"].as_u64().unwrap(), Timestamp::UNIX_EPOCH);
    let [email, first, last, kind] = ["email", "first", "last", "kind"].map(text);
    Ticket { id, email, first, last, kind, tags: Vec::new(), state, changed }
}

const VIEW: View = View { people: 0, pending: true, kind: |ticket| Some(ticket.kind.clone()), groups: |_| Vec::new() };

/// A sync, after which the store says what pretix says.
async fn sync(appliance: &Appliance, peer: &Peer, what: &str) -> Run {
    let run = appliance.sync("summit", "tickets", false, false).await;
    assert_eq!(run.outcome, Some(RunOutcome::Done), "{what}: {run:?}");
    assert_eq!(run.counts.reject, 0, "{what}: {run:?}");
    assert_eq!(stored(appliance, "summit"), VIEW.of(&peer.tickets), "{what}");
    run
}

fn seen(appliance: &Appliance, email: &str) -> Option<Seen> {
    stored(appliance, "summit").remove(email)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs pretix; tests/run runs it"]
async fn a_real_pretix_is_followed() {
    let mut peer = Peer::start();
    // Without looking back, a read tells just what changed.
    let source = "auth = { key = { env = \"SOURCE_TOKEN\" } }\nincremental = { lookback = \"0s\" }";
    let text = config("pretix", source, "organizer = \"org\", event = \"conf\"");
    let appliance = Appliance::open(&text.replace("URL", &format!("{}/api/v1/", peer.url))).await;

    let first = sync(&appliance, &peer, "the first sync").await;
    assert!(first.complete && first.traffic.pages == 2, "more orders than one page holds: {first:?}");
    let group = seen(&appliance, "buyer@example.org").unwrap();
    assert_eq!(group.tickets, 3, "several positions on the buyer's email are one person: {group:?}");
    assert!(seen(&appliance, "test@example.org").is_none(), "an order in test mode is nobody");
    assert!(!seen(&appliance, "edsger@example.org").unwrap().attends, "an unpaid order does not attend");
    let name = |email: &str| seen(&appliance, email).map(|seen| format!("{}|{}", seen.first, seen.last)).unwrap();
    assert_eq!(name("anna@example.org"), "Anna Maria van|Dyck");
    assert_eq!(name("cher@example.org"), "Cher|-");
    assert_eq!(name("barbara@example.org"), "Barbara|Liskov", "of the invoice's address");

    let again = sync(&appliance, &peer, "nothing changed").await;
    assert_eq!((again.counts.records, again.complete), (0, false), "only what changed is asked for: {again:?}");

    for (order, records, what) in [
        ("cancel", 1, "a cancellation"),
        ("rename", 1, "a changed name"),
        ("readdress", 1, "a changed email"),
        ("add", 1, "a new order"),
        ("leave_group", 3, "one position of three cancelled"),
        ("pay", 1, "a payment"),
    ] {
        peer.have(order);
        let run = sync(&appliance, &peer, what).await;
        assert_eq!(run.counts.records, records, "{what}, seen through modified_since: {run:?}");
    }
    assert!(seen(&appliance, "ada@example.org").is_none());
    assert_eq!(peer.ticket("Ada@example.org").state, State::Cancelled);
    assert_eq!(name("anna@example.org"), "Anna Maria|Meyer");
    assert!(seen(&appliance, "seven@example.org").is_some() && seen(&appliance, "many7@example.org").is_none());
    assert!(seen(&appliance, "katherine@example.org").is_some());
    assert_eq!(seen(&appliance, "buyer@example.org").unwrap().tickets, 2);
    assert!(seen(&appliance, "edsger@example.org").unwrap().attends);

    let whole = appliance.sync("summit", "tickets", false, true).await;
    assert!(whole.complete, "{whole:?}");
    assert_eq!((whole.counts.create, whole.counts.update, whole.counts.remove), (0, 0, 0), "{whole:?}");
    assert_eq!(stored(&appliance, "summit"), VIEW.of(&peer.tickets));
}
