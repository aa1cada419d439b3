//! Reads that are interrupted go on where they were, and what changed since the last time is all that is asked for. The
//! request log of the source tells what was read twice.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use jiff::SignedDuration;
use rollcall::model::{Counts, ErrorReason, FeedId, FeedState, Run, RunOutcome};
use rollcall::store::ChangeSet;
use serde_json::{Value, json};

use crate::support::{Appliance, Asked, Installation, ONE_FEED, Scripted, json, store_text, until, without_runs};

const PAGE: usize = 10;

/// A list with tokens: page `n` says that `t<n+1>` asks for the next.
struct List {
    pages: usize,
    /// Changes everybody's last name.
    name: AtomicUsize,
    /// The page that is answered by this status, as long as it is not 0.
    broken: AtomicUsize,
    status: AtomicUsize,
}

impl List {
    fn new(pages: usize) -> Arc<Self> {
        let (name, broken, status) = (AtomicUsize::new(0), AtomicUsize::new(usize::MAX), AtomicUsize::new(500));
        Arc::new(Self { pages, name, broken, status })
    }

    fn answer(&self, asked: &Asked) -> Response {
        let page = page_of(asked);
        if page == self.broken.load(Ordering::Relaxed) {
            let status = u16::try_from(self.status.load(Ordering::Relaxed)).unwrap();
            return (StatusCode::from_u16(status).unwrap(), "{}").into_response();
        }
        let name = self.name.load(Ordering::Relaxed);
        let record = |n: usize| {
            // Every third person changes with the name.
            let last = if n.is_multiple_of(3) { format!("L{name}") } else { "L".to_owned() };
            let email = if n == 4 { "nobody".to_owned() } else { format!("p{n}@x.org") };
            json!({"id": n, "email": email, "first": "F", "last": last, "groups": [format!("G{}", n % 7)]})
        };
        let records: Vec<Value> = (page * PAGE..(page + 1) * PAGE).map(record).collect();
        let next = (page + 1 < self.pages).then(|| format!("t{}", page + 1));
        json(&json!({"items": records, "next": next}))
    }
}

/// The page that was asked for, from 0.
fn page_of(asked: &Asked) -> usize {
    asked.query.get("after").map_or(0, |token| token[1..].parse().unwrap())
}

fn pages_of(asked: &[Asked]) -> Vec<usize> {
    asked.iter().map(page_of).collect()
}

fn config(server: &Scripted) -> String {
    let text =
        ONE_FEED.replace("kind = \"page\"\nparam = \"page\"", "kind = \"cursor\"\nquery = \"after\"\nfrom = \".next\"");
    server.config(&text)
}

async fn start(list: &Arc<List>) -> (Scripted, Appliance) {
    let list = Arc::clone(list);
    let server = Scripted::start(move |asked, _| list.answer(asked)).await;
    let config = config(&server) + "\n[source.s.limits]\ntries = 1\n";
    let appliance = Appliance::open(&config).await;
    (server, appliance)
}

fn log(run: &Run) -> String {
    run.log.iter().map(|line| line.text.as_str()).collect::<Vec<_>>().join("\n")
}

/// The counts of a run, but for what a read that was interrupted cannot tell.
fn counts(run: &Run) -> Counts {
    Counts { missing: 0, ..run.counts }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_that_failed_goes_on_and_ends_as_if_it_had_not() {
    let (list, straight) = (List::new(12), List::new(12));
    let (server, appliance) = start(&list).await;
    let (_other, whole) = start(&straight).await;
    for name in 0..3 {
        for list in [&list, &straight] {
            list.name.store(name, Ordering::Relaxed);
        }
        list.broken.store(7, Ordering::Relaxed);
        let failed = appliance.sync("e", "s", false, false).await;
        assert_eq!(failed.error.as_ref().map(|error| error.reason), Some(ErrorReason::Status), "{failed:?}");
        list.broken.store(usize::MAX, Ordering::Relaxed);
        assert_eq!(pages_of(&server.take()), [0, 1, 2, 3, 4, 5, 6, 7]);
        let resumed = appliance.sync("e", "s", false, false).await;
        assert_eq!(pages_of(&server.take()), [7, 8, 9, 10, 11]);
        assert_eq!(resumed.outcome, Some(RunOutcome::Done), "{resumed:?}");
        assert!(log(&resumed).contains("goes on after 7 pages with 70 records"), "{resumed:?}");
        assert!(!resumed.complete, "people may have slipped by meanwhile");
        let expected = whole.sync("e", "s", false, false).await;
        assert!(expected.complete && expected.counts.reject == 1);
        assert_eq!(counts(&resumed), counts(&expected));
    }
    assert_eq!(stored(&appliance), stored(&whole));
    // Nothing is left over: the next read is of everything.
    let next = appliance.sync("e", "s", false, false).await;
    assert!(next.complete, "{next:?}");
    assert_eq!(server.take().len(), 12);
    let left: Vec<_> = std::fs::read_dir(appliance.app.store.runs_folder()).unwrap().flatten().collect();
    assert!(left.iter().all(|entry| entry.path().extension().is_some_and(|e| e == "journal")), "{left:?}");
}

/// Everything but when it happened and under which run.
fn stored(appliance: &Appliance) -> String {
    let mut text = without_runs(&store_text(&appliance.app));
    while let Some(at) = text.find("2026-") {
        text.replace_range(at..at + "2026-03-01T08:00:00Z".len(), "then");
    }
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_longer_means_the_same_is_read_anew() {
    let list = List::new(6);
    let (server, mut appliance) = start(&list).await;
    let text = config(&server) + "\n[source.s.limits]\ntries = 1\n";
    appliance.sync("e", "s", false, false).await;
    let all: Vec<usize> = (0..6).collect();
    let interrupt = async |appliance: &Appliance| {
        list.broken.store(3, Ordering::Relaxed);
        appliance.sync("e", "s", false, false).await;
        list.broken.store(usize::MAX, Ordering::Relaxed);
        server.take();
    };

    interrupt(&appliance).await;
    appliance.sync("e", "s", true, false).await;
    assert_eq!(pages_of(&server.take()), all, "a dry run neither goes on nor is gone on from");
    appliance.sync("e", "s", false, true).await;
    assert_eq!(pages_of(&server.take()), all, "a full run is of everything");

    interrupt(&appliance).await;
    appliance = appliance.reopen(&text.replace(".first", ".last")).await;
    appliance.sync("e", "s", false, false).await;
    assert_eq!(pages_of(&server.take()), all, "another mapping");

    interrupt(&appliance).await;
    appliance.clock.advance(SignedDuration::from_hours(24 * 7));
    appliance.sync("e", "s", false, false).await;
    assert_eq!(pages_of(&server.take()), all, "too long ago");

    interrupt(&appliance).await;
    for status in [503, 401] {
        list.broken.store(3, Ordering::Relaxed);
        list.status.store(status, Ordering::Relaxed);
        appliance.sync("e", "s", false, false).await;
        assert_eq!(pages_of(&server.take()), [3], "{status} says nothing of the place");
    }
    list.status.store(410, Ordering::Relaxed);
    appliance.sync("e", "s", false, false).await;
    assert_eq!(pages_of(&server.take()), [3]);
    list.broken.store(usize::MAX, Ordering::Relaxed);
    appliance.sync("e", "s", false, false).await;
    assert_eq!(pages_of(&server.take()), all, "the token that the source no longer knows is given up");
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_count_from_a_beginning_that_moves_so_such_a_read_starts_again() {
    let broken = Arc::new(AtomicBool::new(true));
    let breaks = Arc::clone(&broken);
    let server = Scripted::start(move |asked, _| match asked.number("page").unwrap() {
        3 if breaks.load(Ordering::Relaxed) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        page @ 1..=4 => {
            json(&json!({"items": [{"id": page, "email": format!("p{page}@x.org"), "first": "F", "last": "L"}]}))
        }
        _ => json(&json!({"items": []})),
    })
    .await;
    for (stable, again) in [("", 1), ("stable = true", 3)] {
        let text = ONE_FEED.replace("param = \"page\"", &format!("param = \"page\"\n{stable}"));
        let appliance = Appliance::open(&(server.config(&text) + "\n[source.s.limits]\ntries = 1\n")).await;
        broken.store(true, Ordering::Relaxed);
        appliance.sync("e", "s", false, false).await;
        broken.store(false, Ordering::Relaxed);
        server.take();
        let run = appliance.sync("e", "s", false, false).await;
        assert_eq!((server.take()[0].number("page"), run.counts.create), (Some(again), 4), "{stable}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_in_a_list_of_200_pages_reads_no_finished_page_again() {
    let list = List::new(200);
    let answers = Arc::clone(&list);
    let server = Scripted::start(move |asked, _| {
        std::thread::sleep(std::time::Duration::from_millis(5));
        answers.answer(asked)
    })
    .await;
    let place = Installation::new(&config(&server));
    let program = place.start(&["serve"]);
    program.serves().await;
    assert_eq!(program.ask("POST", "/v1/events/e/sync").await.unwrap().0, 202);
    until("half of the list is read", async || server.asked().len() >= 100).await;
    program.kill();
    let before = server.take();
    let program = place.start(&["serve"]);
    program.serves().await;
    let done = async || {
        let runs = program.get("/v1/runs").await.unwrap();
        runs["items"][0]["outcome"] == "done"
    };
    until("the sync has gone on by itself and ended", done).await;
    let after = server.take();
    let mut times: BTreeMap<usize, usize> = BTreeMap::new();
    for page in pages_of(&before).into_iter().chain(pages_of(&after)) {
        *times.entry(page).or_default() += 1;
    }
    assert_eq!(times.len(), 200);
    assert!(before.iter().chain(&after).all(|asked| asked.path == "/s"));
    // The page that was being read when it was killed, and those that were fetched ahead of it, are not finished.
    let again = times.values().filter(|times| **times > 1).count();
    assert!(again <= 4 && times.values().all(|times| *times <= 2), "{again} pages were read twice");
    let status = program.get("/v1/status").await.unwrap();
    assert_eq!(status["events"][0]["attendees"], json!(1999), "{status}");
}

/// [`ONE_FEED`] whose list is one answer.
fn one_answer() -> String {
    ONE_FEED.replace("[source.s.pagination]\nkind = \"page\"\nparam = \"page\"\n", "")
}

/// The same, asked for what changed.
fn changes() -> String {
    one_answer().replace("path = \"s\"", "path = \"s\"\nquery = { since = \"{since}\" }")
        + "[source.s.incremental]\nwatermark = \"record_max\"\nrecord = \".at\"\nlookback = \"0s\"\nfull_every = \"1h\"\n"
}

#[tokio::test(flavor = "multi_thread")]
async fn the_watermark_moves_with_what_was_read_and_never_after_a_failure() {
    let broken = Arc::new(AtomicBool::new(false));
    let breaks = Arc::clone(&broken);
    let people = [(1, "2026-02-01T00:00:00Z"), (2, "2026-02-02T00:00:00Z"), (3, "2026-02-03T00:00:00Z")];
    let shown = Arc::new(AtomicUsize::new(1));
    let shows = Arc::clone(&shown);
    let server = Scripted::start(move |asked, _| {
        if breaks.load(Ordering::Relaxed) {
            return (StatusCode::OK, r#"{"items":[{"id":9,"at":"2026-02-09T00:00:00Z"}"#).into_response();
        }
        let since = asked.query.get("since").cloned().unwrap_or_default();
        let new = people[..shows.load(Ordering::Relaxed)].iter().filter(|(_, at)| *at >= since.as_str());
        let record = |(id, at): &(i32, &str)| json!({"id": id, "at": at, "email": format!("p{id}@x.org"), "first": "F", "last": "L"});
        json(&json!({"items": new.map(record).collect::<Vec<_>>()}))
    })
    .await;
    let appliance = Appliance::open(&server.config(&changes())).await;
    let since = |asked: Vec<Asked>| asked.iter().map(|asked| asked.query.get("since").cloned()).collect::<Vec<_>>();
    let some = |text: &str| vec![Some(text.to_owned())];

    let first = appliance.sync("e", "s", false, false).await;
    assert!(first.complete);
    assert_eq!(since(server.take()), [None]);
    shown.store(2, Ordering::Relaxed);
    let second = appliance.sync("e", "s", false, false).await;
    assert_eq!(since(server.take()), some("2026-02-01T00:00:00Z"));
    assert_eq!(
        (second.complete, second.counts.create, second.counts.unchanged, second.counts.missing),
        (false, 1, 1, 0)
    );
    assert!(log(&second).contains("only what changed was asked for"), "{second:?}");

    shown.store(3, Ordering::Relaxed);
    broken.store(true, Ordering::Relaxed);
    assert_eq!(appliance.sync("e", "s", false, false).await.outcome, Some(RunOutcome::Failed));
    broken.store(false, Ordering::Relaxed);
    server.take();
    appliance.sync("e", "s", true, false).await;
    appliance.sync("e", "s", false, false).await;
    let expected = "2026-02-02T00:00:00Z";
    assert_eq!(since(server.take()), [Some(expected.to_owned()), Some(expected.to_owned())], "neither moved it");

    let appliance = appliance.reopen(&server.config(&changes())).await;
    appliance.sync("e", "s", false, false).await;
    assert_eq!(since(server.take()), some("2026-02-03T00:00:00Z"), "it outlives the process");
    appliance.clock.advance(SignedDuration::from_hours(1));
    let whole = appliance.sync("e", "s", false, false).await;
    assert_eq!((since(server.take()), whole.complete, whole.counts.unchanged), (vec![None], true, 3));
    appliance.sync("e", "s", false, true).await;
    assert_eq!(since(server.take()), [None], "a full run asks for everything");
    let appliance = appliance.reopen(&server.config(&changes().replace(".first", ".last"))).await;
    appliance.sync("e", "s", false, false).await;
    assert_eq!(since(server.take()), [None], "so does another mapping");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_is_as_it_was_costs_one_request_and_counts_as_a_success() {
    let version = Arc::new(AtomicUsize::new(1));
    let current = Arc::clone(&version);
    let server = Scripted::start(move |asked, _| {
        let version = current.load(Ordering::Relaxed);
        let etag = format!("\"v{version}\"");
        if asked.header("if-none-match") == Some(&etag) {
            return (StatusCode::NOT_MODIFIED, [("etag", etag)]).into_response();
        }
        let body = json!({"items": [{"id": 1, "email": "p1@x.org", "first": "F", "last": format!("L{version}")}]});
        ([("etag", etag)], body.to_string()).into_response()
    })
    .await;
    let appliance = Appliance::open(&server.config(&one_answer())).await;
    appliance.sync("e", "s", false, false).await;
    server.take();
    let feed: FeedId = appliance.sync("e", "s", false, false).await.feed;
    let state = appliance.app.store.feed_state(&feed);
    assert_eq!(server.take().len(), 1);
    assert_eq!(
        (state.last_success, state.complete_reads),
        (Some(appliance.clock.now()), 1),
        "fresh, but nobody was counted"
    );
    let unchanged = appliance.sync("e", "s", false, false).await;
    assert_eq!((unchanged.outcome, unchanged.counts.records, unchanged.complete), (Some(RunOutcome::Done), 0, false));
    assert!(log(&unchanged).contains("the list is as it was"));
    version.store(2, Ordering::Relaxed);
    assert_eq!(appliance.sync("e", "s", false, false).await.counts.update, 1);
    server.take();
    let full = appliance.sync("e", "s", false, true).await;
    assert!(full.complete && server.take()[0].header("if-none-match").is_none());
}

const QUOTA: &str =
    "\n[source.s.limits]\ntries = 1\nrun_timeout = \"20s\"\n[[source.s.budget]]\nrequests = 10\nper = \"day\"\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_list_longer_than_the_days_quota_is_finished_over_days() {
    let list = List::new(25);
    let answers = Arc::clone(&list);
    let server = Scripted::start(move |asked, _| answers.answer(asked)).await;
    let text = config(&server) + QUOTA;
    let mut appliance = Appliance::open(&text).await;
    let first = appliance.sync("e", "s", false, false).await;
    let feed = first.feed.clone();
    assert_eq!(first.error.as_ref().map(|error| error.reason), Some(ErrorReason::Quota), "{first:?}");
    assert!(log(&first).contains("the source can be asked again at 2026-03-02T08:0"), "{}", log(&first));
    let mut days = vec![server.take()];
    for _ in 0..2 {
        let goes_on_at = appliance.app.store.feed_state(&feed).goes_on_at.expect("the status says when");
        assert_eq!(appliance.app.store.user_count(), 0, "nobody is changed by half a list");
        let before = appliance.app.store.feed_state(&feed).last_run;
        // An hour too early nothing happens; then the day is over.
        let too_early = goes_on_at - SignedDuration::from_hours(1);
        appliance.clock.advance(too_early.duration_since(appliance.clock.now()));
        appliance = appliance.reopen(&text).await;
        appliance.app.runner.start_again_what_was_cut_short().await;
        tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
        assert_eq!(appliance.app.store.feed_state(&feed).last_run, before);
        appliance.clock.advance(SignedDuration::from_hours(2));
        appliance = appliance.reopen(&text).await;
        appliance.app.runner.start_again_what_was_cut_short().await;
        until("the sync has gone on by itself and ended", async || {
            appliance.app.store.feed_state(&feed).last_run != before
        })
        .await;
        days.push(server.take());
    }
    let days: Vec<Vec<usize>> = days.iter().map(|asked| pages_of(asked)).collect();
    assert_eq!(days, [(0..10).collect::<Vec<_>>(), (10..20).collect(), (20..25).collect()]);
    let state = appliance.app.store.feed_state(&feed);
    assert_eq!((state.goes_on_at, state.consecutive_failures, state.complete_reads), (None, 0, 0));
    assert_eq!(appliance.app.store.user_count(), 249);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_that_the_source_tells_of_opens_in_a_running_server() {
    let used_up = Arc::new(AtomicBool::new(false));
    let list = List::new(8);
    let (answers, shut) = (Arc::clone(&list), Arc::clone(&used_up));
    let server = Scripted::start(move |asked, _| match page_of(asked) {
        5 if !shut.swap(true, Ordering::Relaxed) => {
            (StatusCode::FORBIDDEN, [("retry-after", "2")], r#"{"error":"quota"}"#).into_response()
        }
        _ => answers.answer(asked),
    })
    .await;
    let rule = "\n[[source.s.error]]\nwhen = '.error == \"quota\"'\nthen = \"quota_exhausted\"\n";
    let place = Installation::new(&(config(&server) + rule));
    let program = place.start(&["serve"]);
    program.serves().await;
    assert_eq!(program.ask("POST", "/v1/events/e/sync?wait=30s").await.unwrap().0, 200);
    let status = program.get("/v1/status").await.unwrap();
    let event = program.get("/v1/events/e").await.unwrap();
    assert!(status["events"][0]["goes_on_at"].is_string(), "{status}");
    assert_eq!(event["feeds"][0]["goes_on_at"], status["events"][0]["goes_on_at"]);
    until("the sync has gone on by itself and ended", async || {
        let status = program.get("/v1/status").await.unwrap();
        status["events"][0]["last_run"]["outcome"] == "done"
    })
    .await;
    assert_eq!(pages_of(&server.take()), [0, 1, 2, 3, 4, 5, 5, 6, 7]);
    let status = program.get("/v1/status").await.unwrap();
    assert_eq!(status["events"][0]["goes_on_at"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_that_would_begin_anew_each_day_does_not_use_up_every_quota() {
    let server = Scripted::start(|_, _| (StatusCode::FORBIDDEN, [("retry-after", "1")], "{}").into_response()).await;
    let rule = "\n[[source.s.error]]\nstatus = 403\nthen = \"quota_exhausted\"\n";
    let place = Installation::new(&(server.config(ONE_FEED) + rule));
    let program = place.start(&["serve"]);
    program.serves().await;
    assert_eq!(program.ask("POST", "/v1/events/e/sync").await.unwrap().0, 202);
    until("it has gone on by itself twice", async || server.asked().len() == 3).await;
    // More than twice as long as the quota takes to open.
    tokio::time::sleep(std::time::Duration::from_secs(4)).await;
    assert_eq!(server.asked().len(), 3, "three in a row, and nobody but a person starts it again");
}

#[tokio::test(flavor = "multi_thread")]
async fn how_far_the_source_was_read_outlives_a_commit_that_was_paused() {
    let list = List::new(40);
    let answers = Arc::clone(&list);
    let server = Scripted::start(move |asked, _| answers.answer(asked)).await;
    let text = config(&server).replace("path = \"s\"", "path = \"s\"\nquery = { since = \"{since}\" }")
        + "\n[source.s.incremental]\nwatermark = \"run_start\"\n";
    let appliance = Appliance::open(&text).await;
    let run = appliance.sync("e", "s", false, false).await;
    let done = appliance.app.store.feed_state(&run.feed);
    let position = done.position.clone().expect("it was read");
    // As a kill before the last batch leaves it: the run open, its people there, its end not.
    let open = Run { outcome: None, ended_at: None, ..run.clone() };
    let before = FeedState { position: None, ..done };
    let feed = run.feed.clone();
    let set = ChangeSet { runs: vec![open], feed: Some((feed, before)), ..ChangeSet::default() };
    appliance.app.store.commit_async(set).await.unwrap();
    let appliance = appliance.reopen(&text).await;
    assert_eq!(appliance.app.store.feed_state(&run.feed).position, Some(position));
}
