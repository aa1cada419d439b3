//! Syncs that wait, for somebody's decision, for their source's quota or for the end of a pause, beside a schedule.

use std::sync::atomic::{AtomicU32, Ordering};

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::model::{ErrorReason, EventName, FeedId, RunId};
use crate::schedule::FinalState;
use crate::sync::progress::Progress;

/// How the list answers.
#[derive(Clone, Copy)]
enum Mood {
    Open,
    /// Its quota is used up for so many seconds.
    Shut(u32),
    Silent,
}

/// A list that grows, is shut and falls silent as a test says.
struct List {
    people: AtomicU32,
    mood: Mutex<Mood>,
    asked: AtomicU32,
}

impl List {
    async fn start(people: u32) -> (Arc<Self>, std::net::SocketAddr) {
        let list = Self { people: people.into(), mood: Mutex::new(Mood::Open), asked: AtomicU32::default() };
        let list = Arc::new(list);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, answering) = (listener.local_addr().unwrap(), Arc::clone(&list));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(Arc::clone(&answering).answer(stream));
            }
        });
        (list, address)
    }

    async fn answer(self: Arc<Self>, mut stream: TcpStream) {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let Ok(byte) = stream.read_u8().await else { return };
            head.push(byte);
        }
        self.asked.fetch_add(1, Ordering::SeqCst);
        let mood = *self.mood.lock();
        let (status, body) = match mood {
            Mood::Open => ("200 OK".to_owned(), self.page()),
            Mood::Shut(seconds) => (format!("403 Forbidden\r\nretry-after: {seconds}"), "{}".to_owned()),
            Mood::Silent => std::future::pending().await,
        };
        let head = format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\nconnection: close\r\n");
        let answer = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
        let _ = stream.write_all(answer.as_bytes()).await;
    }

    fn page(&self) -> String {
        let people = self.people.load(Ordering::SeqCst);
        let record = |n: u32| {
            serde_json::json!({
                "id": format!("r{n}"), "email": format!("p{n}@x.org"), "first_name": "F", "last_name": "L",
                "status": "confirmed", "groups": [], "answers": {}, "ticket": {},
            })
        };
        let data: Vec<_> = (1..=people).map(record).collect();
        serde_json::json!({"data": data, "meta": {"total": people}}).to_string()
    }

    fn add(&self, people: u32) {
        self.people.fetch_add(people, Ordering::SeqCst);
    }

    fn set(&self, mood: Mood) {
        *self.mood.lock() = mood;
    }
}

/// A server on a folder, as it is between a start and a stop.
struct Served {
    app: App,
    driver: JoinHandle<()>,
}

/// A folder, a list and a clock that outlast servers.
struct Place {
    folder: tempfile::TempDir,
    list: Arc<List>,
    address: std::net::SocketAddr,
    event: &'static str,
    clock: Clock,
    _stopped: mpsc::Sender<()>,
}

impl Place {
    async fn new(people: u32, event: &'static str) -> Self {
        let (list, address) = List::start(people).await;
        let folder = tempfile::tempdir().unwrap();
        Self { folder, list, address, event, clock: clock(), _stopped: stopped_clock() }
    }

    /// Starts a server: it begins again what is to begin again, then keeps the schedule.
    async fn serve(&self) -> Served {
        let quota = "[[source.demo.error]]\nstatus = 403\nthen = \"quota_exhausted\"\n\n[event.summit]\n";
        let title = "title = \"Demo Summit\"\n";
        let text = config_toml(self.address, 1000).replace("[event.summit]\n", quota);
        let text = text.replace(title, &format!("{title}{}\n", self.event));
        let app = open_text(self.folder.path(), &text, &self.clock, &Stopping::default()).await;
        app.runner.start_again_what_was_cut_short().await;
        let runner = app.runner.clone();
        Served { app, driver: tokio::spawn(async move { runner.keep_schedules().await }) }
    }
}

fn summit() -> EventName {
    EventName::parse("summit").unwrap()
}

impl Served {
    async fn stop(self) {
        stop(&self.app, self.driver).await;
    }

    async fn until(&self, then: &str) {
        until(&self.app, at(&format!("2026-03-27T{then}:00Z"))).await;
    }

    /// When each run of a sync began, by which trigger, and what became of it.
    fn told(&self) -> Vec<String> {
        let word = |run: &Run| run.outcome.map_or("going", RunOutcome::as_str);
        let told = |run: &Run| {
            let time = run.started_at.to_string();
            format!("{} {} {}", &time[8..16], run.trigger.as_str(), word(run))
        };
        runs(&self.app, "summit").iter().map(told).collect()
    }

    fn newest(&self) -> RunId {
        runs(&self.app, "summit").last().unwrap().id
    }

    fn why(&self) -> &'static str {
        let event = self.app.runner.event(&summit()).unwrap();
        self.app.runner.timing(&event, &event.feeds[0]).next.as_str()
    }

    async fn approve(&self) {
        let run = self.newest();
        self.app.runner.approve(run, Actor::CommandLine).await.unwrap();
        let run = self.app.runner.wait(run).await.unwrap().unwrap();
        assert_eq!(run.outcome, Some(RunOutcome::Done), "{run:?}");
    }

    async fn reject(&self) {
        self.app.runner.reject(self.newest(), Actor::CommandLine).await.unwrap();
    }

    async fn pause(&self) {
        self.app.runner.pause(&summit(), Actor::CommandLine).await.unwrap();
    }

    async fn resume(&self) {
        self.app.runner.resume(&summit(), Actor::CommandLine).await.unwrap();
    }

    /// A sync by hand.
    async fn sync(&self) -> RunId {
        let feed = self.app.runner.feeds(&summit(), None).unwrap().remove(0);
        let request = Request { trigger: Trigger::Api, dry_run: false, full: false };
        self.app.runner.start(feed, request).await.unwrap().run
    }

    fn goes_on_at(&self) -> Option<Timestamp> {
        let feed = FeedId { event: summit(), source: "demo".to_owned().try_into().unwrap() };
        self.app.store.feed_state(&feed).goes_on_at
    }
}

const GUARDED: &str = "schedule = { kind = \"hourly\", jitter = \"0s\" }\n\
    [event.summit.invitations]\nexisting = \"invite\"\nmax_invites = 5\n\
    template = { subject = \"Come\", text = \"Come\" }\n";

#[tokio::test(start_paused = true)]
async fn what_max_invites_holds_is_planned_anew_each_time_until_somebody_decides() {
    let place = Place::new(8, GUARDED).await;
    let served = place.serve().await;
    served.until("13:30").await;
    let waiting = |served: &Served| served.app.runner.waiting(&summit()).len();
    assert_eq!((served.app.runner.held_runs(), waiting(&served), served.why()), (1, 0, "time"));
    served.approve().await;
    assert_eq!((served.app.runner.held_runs(), waiting(&served)), (0, 8));
    // Few enough are invited unasked; of more, whoever decides says so.
    place.list.add(5);
    served.until("14:30").await;
    assert_eq!(waiting(&served), 13);
    place.list.add(6);
    served.until("15:30").await;
    served.reject().await;
    assert_eq!((served.app.runner.held_runs(), waiting(&served)), (0, 13));
    served.until("16:30").await;
    served.stop().await;
    // It is held still after a restart, and while the event is paused, when nothing takes its place.
    let served = place.serve().await;
    assert_eq!(served.app.runner.held_runs(), 1);
    served.until("17:30").await;
    served.pause().await;
    served.until("19:20").await;
    assert_eq!((served.app.runner.held_runs(), served.why()), (1, "paused"));
    served.approve().await;
    assert_eq!(waiting(&served), 19);
    // The approval was a sync: no time before it is due.
    served.resume().await;
    served.until("20:30").await;
    served.stop().await;
    let served = place.serve().await;
    let expected = [
        "27T12:00 schedule superseded",
        "27T13:00 schedule done",
        "27T14:00 schedule done",
        "27T15:00 schedule rejected",
        "27T16:00 schedule superseded",
        "27T17:00 schedule done",
        "27T20:00 schedule done",
    ];
    assert_eq!(served.told(), expected);
    assert_eq!(waiting(&served), 19, "nobody twice");
    served.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_final_sync_that_is_held_waits_and_is_tried_again_once_it_is_rejected() {
    const EVENT: &str = "schedule = { kind = \"hourly\", jitter = \"0s\", final_sync = 2026-03-27T13:10:00Z }\n\
        [event.summit.invitations]\nexisting = \"invite\"\nmax_invites = 5\n\
        template = { subject = \"Come\", text = \"Come\" }\n";
    let place = Place::new(4, EVENT).await;
    let served = place.serve().await;
    served.until("13:05").await;
    place.list.add(7);
    served.until("16:30").await;
    assert_eq!(served.why(), "final_held");
    served.stop().await;
    let served = place.serve().await;
    served.until("17:30").await;
    assert_eq!(served.why(), "final_held");
    served.reject().await;
    assert_eq!(served.why(), "final_retry");
    served.until("18:30").await;
    assert_eq!(served.why(), "final_held");
    served.approve().await;
    assert_eq!(served.why(), "final_done");
    served.until("23:30").await;
    let expected =
        ["27T12:00 schedule done", "27T13:00 schedule done", "27T13:10 schedule rejected", "27T17:30 schedule done"];
    assert_eq!(served.told(), expected);
    let event = served.app.runner.event(&summit()).unwrap();
    let last = served.app.runner.timing(&event, &event.feeds[0]).final_sync;
    assert_eq!(last, Some((at("2026-03-27T13:10:00Z"), FinalState::Done)));
    served.stop().await;
}

const HOURLY: &str = "schedule = { kind = \"hourly\", jitter = \"0s\" }";

#[tokio::test(start_paused = true)]
async fn a_schedule_waits_for_the_quota_over_restarts_and_pauses_and_then_begins_one_sync() {
    let place = Place::new(3, HOURLY).await;
    let served = place.serve().await;
    served.until("12:30").await;
    place.list.set(Mood::Shut(90 * 60));
    served.until("13:30").await;
    assert_eq!(served.goes_on_at().map(|at| format!("{at:.0}")), Some("2026-03-27T14:30:00Z".to_owned()));
    place.list.set(Mood::Open);
    served.until("15:30").await;
    // It opens in another process.
    place.list.set(Mood::Shut(90 * 60));
    served.until("16:30").await;
    served.stop().await;
    let served = place.serve().await;
    place.list.set(Mood::Open);
    served.until("18:30").await;
    // It opens while nothing runs.
    place.list.set(Mood::Shut(90 * 60));
    served.until("19:30").await;
    served.stop().await;
    place.list.set(Mood::Open);
    tokio::time::advance(Duration::from_secs(80 * 60)).await;
    let served = place.serve().await;
    // And while the event is paused.
    served.until("21:30").await;
    place.list.set(Mood::Shut(15 * 60));
    served.until("22:05").await;
    served.pause().await;
    place.list.set(Mood::Open);
    served.until("22:40").await;
    served.resume().await;
    served.until("23:10").await;
    let expected = [
        "27T12:00 schedule done",
        "27T13:00 schedule failed",
        "27T14:30 schedule done",
        "27T15:00 schedule done",
        "27T16:00 schedule failed",
        "27T17:30 schedule done",
        "27T18:00 schedule done",
        "27T19:00 schedule failed",
        "27T20:50 schedule done",
        "27T21:00 schedule done",
        "27T22:00 schedule failed",
        "27T22:40 schedule done",
        "27T23:00 schedule done",
    ];
    assert_eq!(served.told(), expected);
    assert_eq!(served.goes_on_at(), None);
    served.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_quota_that_opens_after_the_final_sync_was_given_up_begins_nothing() {
    let event = "schedule = { kind = \"hourly\", jitter = \"0s\", final_sync = 2026-03-27T13:10:00Z }";
    let place = Place::new(3, event).await;
    let served = place.serve().await;
    served.until("13:05").await;
    place.list.set(Mood::Shut(26 * 60 * 60));
    served.until("14:00").await;
    place.list.set(Mood::Open);
    assert_eq!(served.goes_on_at().map(|at| format!("{at:.0}")), Some("2026-03-28T15:10:00Z".to_owned()));
    until(&served.app, at("2026-03-28T17:00:00Z")).await;
    // Time for what might begin.
    for _ in 0..300 {
        tokio::task::yield_now().await;
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(served.why(), "final_given_up");
    assert_eq!(served.told(), ["27T12:00 schedule done", "27T13:00 schedule done", "27T13:10 schedule failed"]);
    // One by hand is made, and makes it good.
    served.app.runner.wait(served.sync().await).await.unwrap();
    assert_eq!(served.why(), "final_done");
    assert_eq!(served.told()[3..], ["28T17:00 api done"]);
    served.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_sync_by_hand_that_waited_for_its_quota_goes_on_when_the_pause_is_lifted() {
    let place = Place::new(3, "schedule = { kind = \"off\" }").await;
    let served = place.serve().await;
    place.list.set(Mood::Shut(60 * 60));
    served.app.runner.wait(served.sync().await).await.unwrap();
    place.list.set(Mood::Open);
    served.until("12:30").await;
    served.pause().await;
    served.until("13:30").await;
    assert_eq!(served.told(), ["27T12:00 api failed"]);
    served.resume().await;
    until_runs(&served, 2).await;
    served.until("15:00").await;
    assert_eq!(served.told(), ["27T12:00 api failed", "27T13:30 api done"]);
    // Lifted before it opens: then, and once.
    place.list.set(Mood::Shut(60 * 60));
    served.app.runner.wait(served.sync().await).await.unwrap();
    place.list.set(Mood::Open);
    served.pause().await;
    served.until("15:20").await;
    served.resume().await;
    served.until("15:59").await;
    assert_eq!(served.told()[2..], ["27T15:00 api failed"]);
    served.until("16:00").await;
    until_runs(&served, 4).await;
    served.until("18:00").await;
    assert_eq!(served.told()[2..], ["27T15:00 api failed", "27T16:00 api done"]);
    served.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_a_stop_cut_short_begins_again_only_when_the_pause_is_lifted() {
    for event in [HOURLY, "schedule = { kind = \"off\" }"] {
        let place = Place::new(3, event).await;
        place.list.set(Mood::Silent);
        let served = place.serve().await;
        if event != HOURLY {
            served.sync().await;
        }
        while place.list.asked.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
            std::thread::sleep(Duration::from_millis(1));
        }
        served.pause().await;
        served.stop().await;
        place.list.set(Mood::Open);
        let served = place.serve().await;
        let cut_short = runs(&served.app, "summit");
        let reasons: Vec<_> = cut_short.iter().map(|run| run.error.as_ref().map(|error| error.reason)).collect();
        assert_eq!(reasons, [Some(ErrorReason::Interrupted)]);
        served.until("12:30").await;
        assert_eq!(served.told().len(), 1, "{event}: {:?}", served.told());
        served.resume().await;
        until_runs(&served, 2).await;
        served.until("12:50").await;
        let told = served.told();
        assert!(told.len() == 2 && told[1].starts_with("27T12:30") && told[1].ends_with("done"), "{event}: {told:?}");
        served.stop().await;
    }
}

/// Until so many runs are in history and none goes on.
async fn until_runs(served: &Served, count: usize) {
    for _ in 0..2_000 {
        let is_idle = served.app.runner.inner.active.all().is_empty();
        if is_idle && served.told().len() >= count {
            return;
        }
        tokio::task::yield_now().await;
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("there are not {count} runs: {:?}", served.told());
}

#[tokio::test]
async fn whoever_reads_that_a_run_has_ended_is_given_another() {
    let folder = tempfile::tempdir().unwrap();
    let app = open(folder.path(), "", &clock(), &Stopping::default()).await;
    let feed = app.runner.feeds(&EventName::parse("summit").unwrap(), None).unwrap().remove(0);
    let start = || {
        let (runner, feed) = (app.runner.clone(), feed.clone());
        let request = Request { trigger: Trigger::Api, dry_run: false, full: false };
        async move { runner.start(feed, request).await.unwrap() }
    };
    let first = app.runner.wait(start().await.run).await.unwrap().unwrap();
    assert_eq!(first.outcome, Some(RunOutcome::Done));

    // History has its end; the table does not know it yet.
    let active = &app.runner.inner.active;
    let worked = active.turn().await.enter(&first, Progress::START);
    let second = tokio::spawn(start());
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!second.is_finished(), "it waits for the table");
    active.remove(&feed.id);
    worked.ended.send(Some(first.clone())).unwrap();
    let second = second.await.unwrap();
    assert!(!second.already_running && second.run != first.id, "{second:?}");
    assert_eq!(app.runner.wait(second.run).await.unwrap().unwrap().outcome, Some(RunOutcome::Done));
    assert!(app.runner.shutdown().await);
}
