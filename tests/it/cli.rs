//! The real binary, as it is typed.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{ListServer, ONE_FEED, SOURCE_TOKEN};

const SERVER: &str = r#"
[server]
listen = "127.0.0.1:0"
[store]
path = "data"
"#;

const ADA: &str = r#"{"id": 1, "email": "ada@example.org", "first": "Ada", "last": "Lovelace", "groups": ["VIP"]}"#;
const GRACE: &str = r#"{"id": 2, "email": "grace@example.org", "first": "Grace", "last": "Hopper"}"#;

fn page(records: &[&str]) -> String {
    format!(r#"{{"items": [{}]}}"#, records.join(","))
}

/// A folder with a config for a list server.
struct Place {
    folder: TempDir,
    server: ListServer,
}

impl Place {
    async fn new() -> Self {
        let (folder, server) = (tempfile::tempdir().unwrap(), ListServer::start().await);
        let config = format!("{SERVER}{ONE_FEED}").replace("URL", &format!("http://{}", server.address));
        std::fs::write(folder.path().join("rollcall.toml"), config).unwrap();
        server.set("s", vec![page(&[ADA, GRACE])]);
        Self { folder, server }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rollcall"));
        command.args(arguments).current_dir(self.folder.path()).env("SOURCE_TOKEN", SOURCE_TOKEN);
        command.stdin(Stdio::null());
        command
    }

    /// Runs it to its end, off the runtime that serves the lists.
    async fn run(&self, arguments: &[&str]) -> Output {
        let mut command = self.command(arguments);
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
    }

    async fn json(&self, arguments: &[&str]) -> Value {
        let output = self.run(&[arguments, &["--json"]].concat()).await;
        let text = String::from_utf8(output.stdout).unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{arguments:?}: {error}\n{text}\n{said}"))
    }

    async fn serve(&self) -> Server {
        let mut command = self.command(&["serve"]);
        let child = command.stderr(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let beacon = self.folder.path().join("data/server.json");
        let server = Server { child };
        wait_for(|| beacon.is_file()).await;
        server
    }
}

struct Server {
    child: Child,
}

impl Server {
    /// Sends a signal and waits for the end: exit code and log.
    async fn end(mut self, signal: &str) -> (Option<i32>, String) {
        send(signal, &self.child);
        tokio::task::spawn_blocking(move || {
            let mut log = String::new();
            self.child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
            (self.child.wait().unwrap().code(), log)
        })
        .await
        .unwrap()
    }
}

/// The shell's own `kill`, for a program of that name is not everywhere.
fn send(signal: &str, child: &Child) {
    let line = format!("kill {signal} {}", child.id());
    assert!(Command::new("sh").args(["-c", &line]).status().unwrap().success());
}

async fn wait_for(done: impl Fn() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(30), "waited in vain");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn sync_without_a_server_opens_the_store_itself() {
    let place = Place::new().await;
    let first = place.run(&["sync", "e"]).await;
    assert_eq!(first.status.code(), Some(0), "{}", text(&first.stderr));
    assert!(text(&first.stdout).contains("run 1 of e from s: done"), "{}", text(&first.stdout));
    assert!(text(&first.stdout).contains("2 records: 2 created"), "{}", text(&first.stdout));
    let again = place.json(&["sync", "e"]).await;
    assert_eq!(again["runs"][0]["counts"]["unchanged"], 2);
    let status = place.json(&["status"]).await;
    assert_eq!(status["users"], 2);
    assert_eq!(status["events"][0]["attendees"], 2);
    assert_eq!(status["events"][0]["last_run"]["counts"]["unchanged"], 2);
    let changes = text(&place.run(&["runs", "show", "1", "--changes", "--log"]).await.stdout);
    assert!(changes.contains("create  ada@example.org"), "{changes}");
    assert!(changes.contains("field first_name: - -> Ada"), "{changes}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_lines_work_beside_a_server() {
    let place = Place::new().await;
    let server = place.serve().await;
    assert_eq!(place.run(&["healthcheck"]).await.status.code(), Some(0));
    let dry = text(&place.run(&["sync", "e", "--dry-run"]).await.stdout);
    assert!(dry.contains("(dry run)") && dry.contains("create  grace@example.org"), "{dry}");
    let sync = place.json(&["sync", "e"]).await;
    assert_eq!(sync["runs"][0]["counts"]["create"], 2, "the dry run committed nothing: {sync}");
    let token = place.run(&["token", "create", "--name", "cron", "--scope", "read,sync"]).await;
    let token = text(&token.stdout).trim().to_owned();
    assert!(token.starts_with("rc_"), "{token}");
    let list = place.json(&["token", "list"]).await;
    assert_eq!(list["items"][0]["name"], "cron");
    assert!(!list.to_string().contains(&token), "a token is shown once");
    let id = list["items"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(place.run(&["token", "revoke", &id]).await.status.code(), Some(0));
    assert_eq!(place.json(&["token", "list"]).await["items"].as_array().unwrap().len(), 0);
    let (code, log) = server.end("-TERM").await;
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("sync ended"), "{log}");
    for secret in [SOURCE_TOKEN, token.as_str(), "ada@example.org", "Lovelace"] {
        assert!(!log.contains(secret), "the log holds {secret}:\n{log}");
    }
    assert!(!place.folder.path().join("data/server.json").exists());
    let after = place.json(&["status"]).await;
    assert_eq!(after["users"], 2, "what the server acknowledged is there");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_ends_a_read_and_changes_nobody() {
    let place = Place::new().await;
    place.run(&["sync", "e"]).await;
    place.server.stall("s");
    let server = place.serve().await;
    let mut sync = place.command(&["sync", "e"]);
    let mut sync = sync.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_for(|| place.server.stalled() > 0).await;
    let (code, log) = server.end("-INT").await;
    assert_eq!(code, Some(0), "{log}");
    sync.wait().unwrap();
    let runs = place.json(&["runs"]).await;
    assert_eq!(runs["items"][0]["error"]["reason"], "interrupted", "{runs}");
    assert_eq!(place.json(&["status"]).await["users"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_read_is_told_at_the_next_start() {
    let place = Place::new().await;
    place.run(&["sync", "e"]).await;
    place.server.stall("s");
    let killed = place.serve().await;
    let mut sync = place.command(&["sync", "e"]);
    let mut sync = sync.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_for(|| place.server.stalled() > 0).await;
    killed.end("-KILL").await;
    sync.wait().unwrap();
    std::fs::remove_file(place.folder.path().join("data/server.json")).unwrap();
    let next = place.serve().await;
    let run = place.json(&["runs", "show", "2", "--log"]).await;
    assert_eq!(run["error"]["reason"], "interrupted", "{run}");
    assert!(run["log"].to_string().contains("interrupted: the process was stopped"), "{run}");
    assert_eq!(place.json(&["status"]).await["users"], 2);
    let (_, log) = next.end("-TERM").await;
    assert!(log.contains("\"outcome\":\"failed\"") && log.contains("\"reason\":\"interrupted\""), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_have_a_sentence_and_an_exit_code() {
    let place = Place::new().await;
    for (arguments, code, words) in [
        (&["sync", "nope"][..], 2, "nope"),
        (&["sync", "e", "--source", "x"], 2, "'x'"),
        (&["sync", "Not A Name"], 2, "name"),
        (&["frobnicate"], 2, "frobnicate"),
        (&["runs", "show", "99"], 2, "99"),
        (&["preview", "nope"], 2, "nope"),
        (&["token", "create", "--name", "x", "--scope", "king"], 2, "king"),
        (&["healthcheck"], 1, "no server"),
        (&["check", "absent.toml"], 2, "absent.toml"),
        (&["--config", "absent.toml", "status"], 2, "absent.toml"),
    ] {
        let output = place.run(arguments).await;
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains(words), "{arguments:?}: {said}");
    }
    place.server.set("s", vec!["<html>".into()]);
    let failed = place.run(&["sync", "e"]).await;
    assert_eq!(failed.status.code(), Some(1));
    assert!(text(&failed.stdout).contains("failed: decode"), "{}", text(&failed.stdout));
}

#[tokio::test(flavor = "multi_thread")]
async fn check_reports_every_fault_with_its_place() {
    let place = Place::new().await;
    assert_eq!(place.run(&["check"]).await.status.code(), Some(0));
    let bad = ONE_FEED
        .replace("email = \".email\"", "email = \".email | now\"")
        .replace("kind = \"page\"", "kind = \"pages\"");
    std::fs::write(place.folder.path().join("bad.toml"), bad.replace("URL", "http://127.0.0.1:1")).unwrap();
    let output = place.run(&["check", "bad.toml"]).await;
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    for words in ["source.s.mapping.email", "^^^", "source.s.pagination.kind", "bad.toml:"] {
        assert!(said.contains(words), "{words} is not in\n{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_server_names_the_lock() {
    let place = Place::new().await;
    let server = place.serve().await;
    let second = place.run(&["serve"]).await;
    assert_eq!(second.status.code(), Some(1));
    assert!(text(&second.stderr).contains("locked by another rollcall"), "{}", text(&second.stderr));
    server.end("-TERM").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn preview_shows_raw_and_mapped() {
    let place = Place::new().await;
    let bad = r#"{"id": 3, "email": "nobody", "first": "No", "last": "Body"}"#;
    place.server.set("s", vec![page(&[ADA, bad])]);
    let shown = text(&place.run(&["preview", "e"]).await.stdout);
    for words in [
        "/s?page=1",
        "> authorization: ***",
        "synced:\n#  external id  email            name          state      change",
        "1  1            ada@example.org  Ada Lovelace  attending  create",
        "excluded:\n#  external id  email  name  why",
        "2  3            -      -     rejected: invalid_email (email)",
        "2 records on the first page",
        "it alone would do: 2 records: 1 created, 1 rejected",
        "next page: GET",
    ] {
        assert!(shown.contains(words), "{words} is not in\n{shown}");
    }
    let one = text(&place.run(&["preview", "e", "--record", "1"]).await.stdout);
    for words in ["raw ", "\"first\": \"Ada\"", "\"first_name\": \"Ada\"", "field first_name: - -> Ada"] {
        assert!(one.contains(words), "{words} is not in\n{one}");
    }
    assert_eq!(place.run(&["preview", "e", "--record", "9"]).await.status.code(), Some(2));
    let json = place.json(&["preview", "e"]).await;
    assert_eq!((&json["page_records"], &json["records"][0]["raw"]["id"]), (&Value::from(2), &Value::from(1)));
    place.server.set("s", vec!["{}".into()]);
    let failed = place.run(&["preview", "e"]).await;
    assert_eq!(failed.status.code(), Some(1));
    let (said, shown) = (text(&failed.stderr), text(&failed.stdout));
    assert!(said.contains("page 1: ") && shown.contains("/s?page=1"), "{said}{shown}");
    assert_eq!(place.json(&["status"]).await["users"], 0, "a preview changes nobody");
}

#[tokio::test(flavor = "multi_thread")]
async fn preview_tries_the_settings_of_its_file_beside_a_server() {
    let place = Place::new().await;
    let server = place.serve().await;
    let file = place.folder.path().join("rollcall.toml");
    let saved = std::fs::read_to_string(&file).unwrap();
    let tried = saved.replace(r#"first_name = ".first""#, r#"first_name = ".last""#);
    std::fs::write(place.folder.path().join("tried.toml"), tried).unwrap();
    for (config, first_name) in [("rollcall.toml", "Ada"), ("tried.toml", "Lovelace")] {
        let preview = place.json(&["--config", config, "preview", "e"]).await;
        assert_eq!(preview["records"][0]["mapped"]["fields"]["first_name"], first_name, "{config}");
    }
    let (_, log) = server.end("-TERM").await;
    for secret in [SOURCE_TOKEN, "ada@example.org", "Lovelace"] {
        assert!(!log.contains(secret), "the log holds {secret}:\n{log}");
    }
}

/// Runs a shell line and parses its output as JSON.
fn shell(line: &str) -> Value {
    let output = Command::new("sh").args(["-c", line]).output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{line}: {error}: {}", text(&output.stdout)))
}

#[test]
#[ignore = "needs curl; tests/run runs it"]
fn the_lines_that_the_demo_prints_work_as_printed() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rollcall"));
    let mut demo =
        command.args(["demo", "--listen", "127.0.0.1:0", "--count", "200"]).stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(demo.stdout.take().unwrap()).lines().map(Result::unwrap);
    let printed: Vec<String> = lines.take_while(|line| !line.starts_with("Ctrl-C")).collect();
    let all = printed.join("\n");
    assert!(all.contains("200 records") && all.contains("unchanged"), "{all}");
    let curls: Vec<_> = printed.iter().map(|line| line.trim()).filter(|line| line.starts_with("curl")).collect();
    let [attendee, members, changes] = curls[..] else { panic!("{all}") };
    assert!(shell(attendee)["email"].is_string(), "{attendee}");
    assert!(!shell(members)["items"].as_array().unwrap().is_empty(), "{members}");
    let changes = shell(changes);
    let created = changes["items"].as_array().unwrap().iter().any(|change| change["action"] == "create");
    assert!(created, "{changes}");
    send("-TERM", &demo);
    assert_eq!(demo.wait().unwrap().code(), Some(0));
}

#[test]
fn the_example_configuration_passes_the_check_once_its_secrets_are_there() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/rollcall.example.toml");
    let output = Command::new(env!("CARGO_BIN_EXE_rollcall")).arg("check").arg(&example).env_clear().output().unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "its secrets are not set here: {said}");
    assert!(said.contains("rollcall.example.toml:"), "{said}");
}
