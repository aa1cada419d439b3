//! What a disk can do to a running appliance: fill up, be read-only, belong to somebody else, flip a bit.
//!
//! Through the real binary, on file systems of its own where it takes root to make them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Installation, ListServer, Program, noise, until};

fn config(server: &ListServer) -> String {
    let base = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases/base.toml")).unwrap();
    base.replace("\"URL\"", &format!("\"http://{}\"", server.address))
}

/// People whose biographies are long, so that a store fills a small disk quickly.
fn list(server: &ListServer, people: std::ops::Range<usize>, bytes: usize) {
    let person = |n: usize| {
        json!({
            "id": n, "email": format!("p{n}@x.org"), "first": "First", "last": format!("L{n}"),
            "company": noise(n as u64, bytes), "groups": ["all"],
        })
    };
    let records: Vec<Value> = people.map(person).collect();
    let pages = records.chunks(100).map(|page| json!({ "items": page }).to_string());
    server.set("s", pages.collect());
}

/// A small file system in memory, mounted as long as this lives.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: &Path, megabytes: u32) -> Self {
        std::fs::create_dir_all(at).unwrap();
        shell(&format!("mount -t tmpfs -o size={megabytes}m,mode=0700 tmpfs '{}'", at.display()));
        Self(at.to_owned())
    }

    /// Takes all the room there is.
    fn fill(&self) {
        shell(&format!("dd if=/dev/zero of='{}' bs=64k 2>/dev/null || true", self.filler().display()));
        shell(&format!("dd if=/dev/zero of='{}2' bs=1 count=65536 2>/dev/null || true", self.filler().display()));
    }

    /// Takes all the room but this.
    fn leave(&self, megabytes: u64) {
        let free = rustix::fs::statvfs(&self.0).map(|stat| stat.f_bavail * stat.f_frsize).unwrap();
        let file = std::fs::File::create(self.filler()).unwrap();
        let bytes = free - megabytes * 1_000_000;
        rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, bytes).unwrap();
    }

    fn empty(&self) {
        std::fs::remove_file(self.filler()).unwrap();
        let _ = std::fs::remove_file(format!("{}2", self.filler().display()));
    }

    fn filler(&self) -> PathBuf {
        self.0.join("somebody-elses-file")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily, for a process that was just killed may hold it.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn shell(line: &str) {
    assert!(Command::new("sh").args(["-c", line]).status().unwrap().success(), "{line}");
}

async fn sync(program: &Program) -> (u16, Value) {
    program.ask("POST", "/v1/events/e/sync?source=s&wait=60s").await.unwrap()
}

async fn is_ready(program: &Program) -> bool {
    program.ask("GET", "/readyz").await.is_some_and(|(status, _)| status == 200)
}

async fn metrics(place: &Installation) -> String {
    let beacon: Value = serde_json::from_slice(&std::fs::read(place.data().join("server.json")).unwrap()).unwrap();
    let (address, token) = (beacon["address"].as_str().unwrap(), beacon["token"].as_str().unwrap());
    let request = format!("GET /metrics HTTP/1.0\r\nauthorization: Bearer {token}\r\n\r\n");
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    assert!(text.starts_with("HTTP/1.0 200") || text.starts_with("HTTP/1.1 200"), "{text}");
    text
}

/// Runs the binary to its good end and reads the JSON it prints.
async fn told(place: &Installation, arguments: &[&str]) -> Value {
    let mut program = place.start(arguments);
    assert_eq!(program.code().await, Some(0), "{arguments:?}: {}", program.stderr());
    serde_json::from_str(&program.stdout()).unwrap()
}

async fn metric(place: &Installation, wanted: &str) -> f64 {
    let text = metrics(place).await;
    let line = text.lines().find(|line| line.starts_with(wanted));
    line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or_else(|| panic!("no {wanted} in\n{text}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs root, to mount a small file system"]
async fn a_full_disk_fails_syncs_with_its_name_and_work_resumes_by_itself() {
    let server = ListServer::start().await;
    let place = Installation::new(&config(&server));
    let disk = SmallDisk::mount(&place.data(), 96);
    list(&server, 0..200, 1_000);
    let program = place.start(&["serve"]);
    program.serves().await;
    assert_eq!(sync(&program).await.1["runs"][0]["outcome"], "done");
    let before = program.get("/v1/events/e/attendees?limit=1000").await.unwrap();
    let errors = r#"rollcall_sync_errors_total{source="s",reason="disk_full"}"#;
    assert_eq!(metric(&place, errors).await, 0.0);

    disk.fill();
    until("readiness tells of the full disk", async || !is_ready(&program).await).await;
    assert_eq!(program.ask("GET", "/readyz").await.unwrap(), (503, json!({ "status": "the disk is full" })));
    list(&server, 0..400, 1_000);
    let (status, problem) = sync(&program).await;
    assert_eq!(status, 507, "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("full"), "{problem}");
    assert_eq!(metric(&place, errors).await, 1.0);
    assert_eq!(program.get("/v1/events/e/attendees?limit=1000").await.unwrap(), before, "reads go on");
    assert_eq!(program.ask("GET", "/healthz").await.unwrap().0, 200);

    // Killed meanwhile, it opens again on the full disk: the ballast makes room.
    program.kill();
    let program = place.start(&["serve"]);
    program.serves().await;
    assert_eq!(program.get("/v1/events/e/attendees?limit=1000").await.unwrap(), before, "after a kill");
    assert!(!is_ready(&program).await);

    disk.empty();
    until("it is ready again", async || is_ready(&program).await).await;
    let (status, answer) = sync(&program).await;
    assert_eq!((status, &answer["runs"][0]["outcome"]), (200, &json!("done")), "{answer}");
    assert_eq!(answer["runs"][0]["counts"]["create"], 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs root, to mount a small file system"]
async fn a_disk_that_fills_up_amid_a_sync_fails_the_run_and_changes_nobody_wrongly() {
    let server = ListServer::start().await;
    // The spool of this list takes 16 MB, the journal as much, the people as much again: each room ends elsewhere.
    let mut phases = BTreeSet::new();
    for room in [10, 20, 30, 38, 44, 50] {
        let place = Installation::new(&config(&server));
        let disk = SmallDisk::mount(&place.data(), 128);
        list(&server, 0..50, 1_000);
        let program = place.start(&["serve"]);
        program.serves().await;
        assert_eq!(sync(&program).await.1["runs"][0]["outcome"], "done");
        disk.leave(room);
        list(&server, 0..1_000, 16_000);
        let (status, answer) = sync(&program).await;
        let run = &answer["runs"][0];
        assert_eq!((status, &run["outcome"]), (200, &json!("failed")), "{room} MB: {answer}");
        assert_eq!(run["error"]["reason"], "disk_full", "{room} MB: {answer}");
        phases.insert(match (run["planned"].as_u64(), run["applied"].as_u64()) {
            (None, _) => "reading or planning",
            (Some(_), Some(0) | None) => "before the first batch",
            _ => "between batches",
        });
        let id = run["id"].as_u64().unwrap();
        let told = program.get(&format!("/v1/runs/{id}")).await.unwrap();
        assert_eq!(told["error"]["reason"], "disk_full", "history, or what waits to be written there: {told}");
        assert!(metrics(&place).await.contains(r#"rollcall_event_attendees{event="e",state="active"}"#));
        disk.empty();
        until("it is ready again", async || is_ready(&program).await).await;
        let (_, answer) = sync(&program).await;
        assert_eq!(answer["runs"][0]["outcome"], "done", "{room} MB: the same process goes on: {answer}");
        let people = program.get("/v1/status").await.unwrap()["users"].clone();
        assert_eq!(people, 1_000);
        let runs = program.get("/v1/runs?limit=100").await.unwrap();
        let open = runs["items"].as_array().unwrap().iter().filter(|run| run["ended_at"].is_null()).count();
        assert_eq!(open, 0, "{room} MB: every run has its end in history: {runs}");
    }
    println!("the disk was full while {phases:?}");
    assert!(phases.len() > 1, "always full at the same time: {phases:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs root, to mount a file system read-only"]
async fn a_read_only_file_system_is_named_with_what_to_do() {
    let server = ListServer::start().await;
    let place = Installation::new(&config(&server));
    let _disk = SmallDisk::mount(&place.data(), 64);
    list(&server, 0..5, 10);
    assert_eq!(place.start(&["sync", "e", "--source", "s"]).code().await, Some(0));
    shell(&format!("mount -o remount,ro '{}'", place.data().display()));
    for verb in [&["sync", "e"][..], &["serve"], &["status"]] {
        let mut program = place.start(verb);
        assert_eq!(program.code().await, Some(1), "{verb:?}");
        let said = program.stderr();
        assert!(said.contains("ead-only file system") && said.contains("mount the file system writable"), "{said}");
    }
    shell(&format!("mount -o remount,rw '{}'", place.data().display()));
    assert_eq!(place.start(&["sync", "e", "--source", "s"]).code().await, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs root, to become another user"]
async fn somebody_elses_data_directory_is_named_with_what_to_do() {
    let server = ListServer::start().await;
    let place = Installation::new(&config(&server));
    list(&server, 0..5, 10);
    assert_eq!(place.start(&["sync", "e", "--source", "s"]).code().await, Some(0));
    // The folder may be entered, the data may not be read.
    shell(&format!("chmod 0755 '{}'", place.folder.path().display()));
    let binary = place.folder.path().join("rollcall");
    std::fs::copy(env!("CARGO_BIN_EXE_rollcall"), &binary).unwrap();
    let output = Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(&binary)
        .args(["status"])
        .current_dir(place.folder.path())
        .env("SOURCE_TOKEN", "x")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("ermission denied") && said.contains("chown"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_of_a_newer_version_is_left_alone() {
    let server = ListServer::start().await;
    let place = Installation::new(&config(&server));
    list(&server, 0..5, 10);
    assert_eq!(place.start(&["sync", "e", "--source", "s"]).code().await, Some(0));
    std::fs::write(place.data().join("schema"), "2\n").unwrap();
    for verb in [&["sync", "e"][..], &["rebuild"]] {
        let mut program = place.start(verb);
        assert_eq!(program.code().await, Some(1));
        assert!(
            program.stderr().contains("has layout 2") && program.stderr().contains("newer"),
            "{}",
            program.stderr()
        );
    }
    std::fs::write(place.data().join("schema"), "1\n").unwrap();
    assert_eq!(place.start(&["sync", "e", "--source", "s"]).code().await, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flipped_bits_are_named_and_rebuild_brings_everybody_back() {
    let server = ListServer::start().await;
    let place = Installation::new(&config(&server));
    list(&server, 0..120, 500);
    for other in ["t", "s-f", "t-f"] {
        server.set(other, vec![r#"{"items":[]}"#.into()]);
    }
    assert_eq!(place.start(&["sync", "e", "--source", "s"]).code().await, Some(0));
    let people = told(&place, &["status", "--json"]).await;
    assert_eq!(people["users"], 120);

    let mut whole = place.start(&["rebuild"]);
    assert_eq!(whole.code().await, Some(0));
    assert!(whole.stdout().contains("nothing to rebuild"), "{}", whole.stdout());

    flip_half(&place.data().join("db/db"));
    let mut refused = place.start(&["status"]);
    assert_eq!(refused.code().await, Some(1));
    assert!(refused.stderr().contains("run `rollcall rebuild`"), "{}", refused.stderr());

    let mut rebuilt = place.start(&["rebuild"]);
    assert_eq!(rebuilt.code().await, Some(0), "{}", rebuilt.stderr());
    assert!(rebuilt.stdout().contains("lost: "), "{}", rebuilt.stdout());
    assert!(rebuilt.stdout().contains("the damaged store is kept in"), "{}", rebuilt.stdout());
    assert_eq!(told(&place, &["status", "--json"]).await["users"], 120, "the source brought them back");
    let again = told(&place, &["sync", "e", "--source", "s", "--json"]).await;
    assert_eq!(again["runs"][0]["counts"]["unchanged"], 120, "{again}");
}

/// Flips a bit in every other 4 KiB of what is in use.
fn flip_half(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    for page in bytes.chunks_mut(4096).step_by(2) {
        if let Some(byte) = page.iter_mut().find(|byte| **byte != 0) {
            *byte ^= 1;
        }
    }
    std::fs::write(path, bytes).unwrap();
}
