//! Ends: SIGTERM and SIGINT in every phase of the real binary. It ends by itself within the time promised, with the
//! code promised, and what it leaves behind opens again and says the truth.

use std::time::Duration;

use rollcall::model::{Run, RunId};
use rollcall::store::Store;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use crate::support::{Installation, ListServer, ONE_FEED, Program, noise, until};

/// What README and FAULTS promise.
const PROMISED: Duration = Duration::from_secs(30);

struct Place {
    server: ListServer,
    installation: Installation,
}

impl Place {
    async fn new() -> Self {
        Self::with("").await
    }

    /// With more in the config.
    async fn with(more: &str) -> Self {
        let server = ListServer::start().await;
        let config = ONE_FEED.replace("URL", &format!("http://{}", server.address)) + more;
        let installation = Installation::new(&config);
        server.set("s", pages(10, 0));
        Self { server, installation }
    }

    async fn serve(&self) -> Program {
        let program = self.installation.start(&["serve"]);
        program.serves().await;
        program
    }

    /// A command that ends by itself, and its JSON.
    async fn json(&self, arguments: &[&str]) -> Value {
        let mut program = self.installation.start(&[arguments, &["--json"]].concat());
        let code = program.code().await;
        assert_eq!(code, Some(0), "{arguments:?}: {}", program.stderr());
        serde_json::from_str(&program.stdout()).unwrap()
    }
}

/// So many people on pages of a hundred, each with a biography of so many bytes.
fn pages(people: usize, biography: usize) -> Vec<String> {
    let record = |id: usize| {
        let biography = noise(id as u64, biography);
        json!({"id": id, "email": format!("p{id}@x.org"), "first": "A", "last": "B", "biography": biography})
    };
    let records: Vec<Value> = (0..people).map(record).collect();
    records.chunks(100).map(|page| json!({ "items": page }).to_string()).collect()
}

/// Sends the signal and waits for the end, which must come in time.
async fn end(program: &mut Program, signal: &str) -> Option<i32> {
    let began = Instant::now();
    program.signal(signal);
    let code = timeout(PROMISED, program.code()).await;
    code.unwrap_or_else(|_| panic!("still there after {:?}\n{}", began.elapsed(), program.stderr()))
}

async fn begin(program: &Program) {
    let (status, answer) = program.ask("POST", "/v1/events/e/sync").await.unwrap();
    assert_eq!(status, 202, "{answer}");
}

async fn until_run(program: &Program, run: u64, what: &str, is_so: impl Fn(&Value) -> bool) {
    let path = format!("/v1/runs/{run}");
    until(what, async || program.get(&path).await.is_some_and(|run| is_so(&run))).await;
}

fn said(run: &Value) -> (Option<&str>, Option<&str>) {
    (run["outcome"].as_str(), run["error"]["reason"].as_str())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_server_ends_with_code_0() {
    for signal in ["-TERM", "-INT"] {
        let place = Place::new().await;
        let mut server = place.serve().await;
        assert_eq!(end(&mut server, signal).await, Some(0), "{}", server.stderr());
        assert!(!place.installation.data().join("server.json").exists());
        let why = format!("SIG{}", &signal[1..]);
        assert!(server.stderr().contains(&why), "{}", server.stderr());
    }
}

/// The source does not answer, asks for a long pause, or its allowance is used up.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_waits_for_its_source_ends_with_code_0_and_reads_again_when_it_is_back() {
    const BUDGET: &str = "[[source.s.budget]]\nrequests = 1\nper = \"minute\"\n";
    for (what, budget) in [("stalls", ""), ("busy", ""), ("budget", BUDGET)] {
        let place = Place::with(budget).await;
        match what {
            "stalls" => place.server.stall("s"),
            // The next process keeps the pause, too.
            "busy" => place.server.be_busy("s", 3),
            _ => {}
        }
        let mut server = place.serve().await;
        begin(&server).await;
        match what {
            "stalls" => until("the source is asked", async || place.server.stalled() > 0).await,
            // A wait that begins while a page is being mapped is not told.
            "budget" => until_run(&server, 1, "a page is read", |run| run["progress"]["pages"] == 1).await,
            _ => until_run(&server, 1, "it waits", |run| run["progress"]["waiting_ms"].as_u64() > Some(0)).await,
        }
        assert_eq!(end(&mut server, "-TERM").await, Some(0), "{what}: {}", server.stderr());
        let run = place.json(&["runs", "show", "1"]).await;
        assert_eq!(said(&run), (Some("failed"), Some("interrupted")), "{what}: {run}");

        place.server.go_on("s");
        let server = place.serve().await;
        until_run(&server, 2, "it is read again", |run| run["outcome"] == "done" || what == "budget").await;
        let again = server.get("/v1/runs/2/log").await.unwrap();
        assert!(what == "budget" || again.to_string().contains("starts again what run 1"), "{again}");
        assert_eq!(server.get("/v1/runs/3").await.unwrap()["status"], 404, "once");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_that_keeps_being_cut_short_starts_again_twice() {
    let place = Place::new().await;
    place.server.stall("s");
    let server = place.serve().await;
    begin(&server).await;
    until("the source is asked", async || place.server.stalled() == 1).await;
    drop(server);
    for run in 2..=3 {
        let server = place.serve().await;
        until("the source is asked again", async || place.server.stalled() == run).await;
        drop(server);
    }
    let mut server = place.serve().await;
    assert_eq!(said(&server.get("/v1/runs/3").await.unwrap()), (Some("failed"), Some("interrupted")));
    assert_eq!(server.get("/v1/runs/4").await.unwrap()["status"], 404, "not a third time");
    begin(&server).await;
    assert!(server.get("/v1/runs/4").await.unwrap()["ended_at"].is_null(), "a person may start it still");
    assert_eq!(end(&mut server, "-TERM").await, Some(0));
}

/// So many and so large that their commit takes a while.
const MANY: usize = 1200;

impl Place {
    async fn with_many() -> Self {
        let place = Self::new().await;
        place.server.set("s", pages(MANY, 16 * 1024));
        place
    }

    /// The store as it lies there, nothing gone on with: run 1 and how many people there are.
    fn look(&self) -> (Run, u64) {
        let store = Store::open(&self.installation.data()).unwrap();
        (store.run(RunId(1)).unwrap().unwrap(), store.user_count())
    }

    /// Whatever is started next goes on with run 1 to its end.
    async fn goes_on(&self) {
        let status = self.json(&["status"]).await;
        let run = &status["events"][0]["last_run"];
        assert_eq!((&run["id"], &run["outcome"], &status["users"]), (&json!(1), &json!("done"), &json!(MANY)));
    }
}

fn assert_half_way((run, people): &(Run, u64)) {
    assert_eq!((run.ended_at, run.outcome), (None, None));
    assert!(run.applied > 0 && Some(run.applied) < run.planned, "{} of {:?}", run.applied, run.planned);
    assert_eq!(run.applied, *people, "each entry is a new person");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_pauses_and_goes_on_at_the_next_start() {
    let place = Place::with_many().await;
    let mut server = place.serve().await;
    begin(&server).await;
    until_run(&server, 1, "some is committed", |run| run["progress"]["applied"].as_u64() > Some(0)).await;
    assert_eq!(end(&mut server, "-TERM").await, Some(0), "{}", server.stderr());
    assert!(server.stderr().contains("sync paused"), "{}", server.stderr());
    let left = place.look();
    assert_half_way(&left);

    // A start that is told to end while it goes on with the commit pauses it again.
    let mut server = place.installation.start(&["serve"]);
    let lock = place.installation.data().join("lock");
    let opened = || std::fs::read_to_string(&lock).is_ok_and(|pid| pid.trim() == server.id().to_string());
    until("the store is opened", async || opened()).await;
    assert_eq!(end(&mut server, "-INT").await, Some(0), "{}", server.stderr());
    let later = place.look();
    assert!(later.0.applied >= left.0.applied && later.0.planned == left.0.planned);
    place.goes_on().await;
    let runs = place.json(&["runs"]).await;
    assert_eq!(runs["items"].as_array().unwrap().len(), 1, "nothing was started again: {runs}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_in_the_making_changes_nobody() {
    let place = Place::with_many().await;
    let mut server = place.serve().await;
    begin(&server).await;
    until_run(&server, 1, "it is planned", |run| run["progress"]["phase"] != "reading").await;
    assert_eq!(end(&mut server, "-TERM").await, Some(0), "{}", server.stderr());
    let (run, people) = place.look();
    match run.outcome {
        Some(outcome) => {
            assert_eq!((outcome.as_str(), run.error.unwrap().reason.as_str(), people), ("failed", "interrupted", 0));
            let left = std::fs::read_dir(place.installation.data().join("runs")).unwrap().count();
            assert_eq!(left, 0, "neither spool nor plan is left");
        }
        // The signal came when the commit had begun.
        None => assert_half_way(&(run, people)),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_without_a_server_says_what_became_of_it() {
    let place = Place::with_many().await;
    place.server.stall("s");
    for signal in ["-TERM", "-INT"] {
        let stalled = place.server.stalled();
        let mut sync = place.installation.start(&["sync", "e"]);
        until("the source is asked", async || place.server.stalled() > stalled).await;
        assert_eq!(end(&mut sync, signal).await, Some(1), "{}", sync.stderr());
        assert!(sync.stderr().contains("was stopped before it changed anybody"), "{}", sync.stderr());
    }
    place.server.go_on("s");

    let place = Place::with_many().await;
    let mut sync = place.installation.start(&["sync", "e"]);
    until("it commits", async || sync.stderr().contains("committing")).await;
    assert_eq!(end(&mut sync, "-TERM").await, Some(1), "{}", sync.stderr());
    let left = place.look();
    if left.0.applied > 0 {
        assert!(sync.stderr().contains("the next start of rollcall"), "{}", sync.stderr());
        assert_half_way(&left);
        place.goes_on().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_wait_are_told_how_it_ended() {
    let place = Place::new().await;
    place.server.stall("s");
    let mut server = place.serve().await;
    let mut sync = place.installation.start(&["sync", "e"]);
    until("the source is asked", async || place.server.stalled() > 0).await;
    let caller = server.caller().unwrap();
    let waiting = tokio::spawn(async move { caller.ask("POST", "/v1/events/e/sync?wait=60s").await });
    // Nothing shows that a request waits; one that came later is refused with 503.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let code = end(&mut server, "-TERM").await;
    let (status, answer) = waiting.await.unwrap().expect("an answer");
    assert_eq!((status, said(&answer["runs"][0])), (200, (Some("failed"), Some("interrupted"))), "{answer}");
    assert_eq!(code, Some(0), "{}", server.stderr());
    assert_eq!(sync.code().await, Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_finish_does_not_hold_the_end() {
    let place = Place::new().await;
    for impatient in [false, true] {
        let mut server = place.serve().await;
        let mut slow = TcpStream::connect(server.caller().unwrap().address).await.unwrap();
        slow.write_all(b"POST /v1/events/e/sync HTTP/1.1\r\nhost: x\r\n").await.unwrap();
        // Answered means that the one before was accepted.
        server.get("/healthz").await;
        if impatient {
            server.signal("-TERM");
            until("it is ending", async || server.stderr().matches("stopping").count() == 2).await;
        }
        let code = end(&mut server, "-INT").await;
        assert_eq!(code, Some(i32::from(impatient)), "a second signal ends it at once: {}", server.stderr());
        // Whatever comes, the connection ends.
        let _ = slow.read_to_end(&mut Vec::new()).await;
    }
}
