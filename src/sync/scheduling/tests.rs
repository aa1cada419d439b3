//! The driver with a real runner, store and source on loopback; only the clock is tokio's. It is put forward, from one time to the
//! next, when nothing is due and nothing goes on.

use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::app::{App, AppError};
use crate::clock::Clock;
use crate::config::{Config, Environment};
use crate::demo::{Fake, FakeOptions, TOKEN, TOKEN_VARIABLE, config_toml};
use crate::faults::Faults;
use crate::model::{Actor, Event, FeedSettings, FinalSync, Run, RunOutcome, Trigger};
use crate::store::{ChangeSet, EventWrite, StoreError};
use crate::sync::{Request, Stopping};

mod waiting;

const START: &str = "2026-03-27T12:00:00Z";

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// The clock, as it stands where this begins.
fn clock() -> Clock {
    Clock::Tokio(at(START), Instant::now())
}

/// As long as this is there, tokio's clock does not go by itself.
fn stopped_clock() -> mpsc::Sender<()> {
    let (keep, gone) = mpsc::channel();
    tokio::task::spawn_blocking(move || gone.recv().is_err());
    keep
}

/// An appliance on a folder, reading the bundled registration system for the event `summit`, of which `event` is said.
async fn open(folder: &Path, event: &str, clock: &Clock, stopping: &Stopping) -> App {
    let fake = Arc::new(Fake::new(FakeOptions { count: 20, ..FakeOptions::default() }));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(fake.serve(listener, std::future::pending()));
    let text = config_toml(address, 100).replace("[event.summit]", &format!("[event.summit]\n{event}"));
    open_text(folder, &text, clock, stopping).await
}

/// An appliance on a folder, of this configuration.
async fn open_text(folder: &Path, text: &str, clock: &Clock, stopping: &Stopping) -> App {
    let text = format!("{text}\n[store]\npath = \"data\"\n");
    let environment = Environment::from_iter([(TOKEN_VARIABLE, TOKEN)]);
    let (config, _) = Config::parse(&text, &folder.join("rollcall.toml"), &environment).unwrap();
    let (clock, stopping) = (clock.clone(), stopping.clone());
    tokio::task::spawn_blocking(move || open_when_free(&config, &clock, &stopping)).await.unwrap()
}

/// A run that has just ended may hold the store for a moment longer.
fn open_when_free(config: &Config, clock: &Clock, stopping: &Stopping) -> App {
    loop {
        match App::open_with(config.clone(), clock.clone(), stopping.clone(), Faults::none()) {
            Ok(app) => return app,
            Err(AppError::Store(StoreError::Locked { .. })) => std::thread::sleep(Duration::from_millis(2)),
            Err(error) => panic!("{error}"),
        }
    }
}

/// Lets the schedule go on for so many hours of the clock, then stops it as the server would.
async fn serve(folder: &Path, event: &str, clock: &Clock, hours: i64) -> Vec<Run> {
    let stopping = Stopping::default();
    let app = open(folder, event, clock, &stopping).await;
    let runner = app.runner.clone();
    let driver = tokio::spawn(async move { runner.keep_schedules().await });
    until(&app, clock.now() + SignedDuration::from_hours(hours)).await;
    stop(&app, driver).await;
    runs(&app, "summit")
}

async fn stop(app: &App, driver: JoinHandle<()>) {
    assert!(app.runner.shutdown().await);
    driver.await.unwrap();
}

/// Oldest first.
fn runs(app: &App, event: &str) -> Vec<Run> {
    let mut runs = app.runner.runs(None, 10_000, |run| run.feed.event.as_str() == event).unwrap();
    runs.reverse();
    runs
}

/// The next times of all feeds.
fn nexts(app: &App) -> Vec<Timestamp> {
    let of_event = |event: Arc<Event>| {
        let next = |feed: &FeedSettings| app.runner.timing(&event, feed).next.at();
        event.feeds.iter().filter_map(next).collect::<Vec<_>>()
    };
    app.runner.events().into_iter().flat_map(of_event).collect()
}

/// Goes from one time to the next.
async fn until(app: &App, then: Timestamp) {
    loop {
        while !app.runner.inner.active.all().is_empty() || nexts(app).iter().any(|at| *at <= app.clock.now()) {
            tokio::task::yield_now().await;
            std::thread::sleep(Duration::from_millis(1));
        }
        let now = app.clock.now();
        if now >= then {
            return;
        }
        let next = nexts(app).into_iter().min().map_or(then, |next| next.min(then));
        tokio::time::advance(Duration::try_from(next.duration_since(now)).unwrap()).await;
    }
}

/// When each began, to the second.
fn begun(runs: &[Run]) -> Vec<String> {
    assert!(runs.iter().all(|run| run.outcome == Some(RunOutcome::Done)), "{runs:?}");
    runs.iter().map(|run| format!("{:.0} {}", run.started_at, run.trigger.as_str())).collect()
}

#[tokio::test(start_paused = true)]
async fn days_of_schedules_over_a_night_on_which_clocks_are_set_and_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (clock, _stopped) = (clock(), stopped_clock());
    let event = "zone = \"Europe/Berlin\"\nschedule = { kind = \"cron\", cron = \"30 2,14 * * *\", jitter = \"0s\" }";
    let runs = serve(folder.path(), event, &clock, 36).await;
    let mut expected =
        vec!["2026-03-27T12:00:00Z", "2026-03-27T13:30:00Z", "2026-03-28T01:30:00Z", "2026-03-28T13:30:00Z"];
    let said = |times: &[&str]| times.iter().map(|time| format!("{time} schedule")).collect::<Vec<_>>();
    assert_eq!(begun(&runs), said(&expected), "the first at once");
    // Down from midnight to noon, over 02:30, which clocks skip: once, late.
    tokio::time::advance(Duration::from_secs(10 * 60 * 60)).await;
    let runs = serve(folder.path(), event, &clock, 48).await;
    expected.extend([
        "2026-03-29T10:00:00Z",
        "2026-03-29T12:30:00Z",
        "2026-03-30T00:30:00Z",
        "2026-03-30T12:30:00Z",
        "2026-03-31T00:30:00Z",
    ]);
    assert_eq!(begun(&runs), said(&expected));
}

#[tokio::test(start_paused = true)]
async fn it_goes_on_hourly_until_the_final_sync_and_not_while_it_is_paused() {
    let folder = tempfile::tempdir().unwrap();
    let (clock, stopping, _stopped) = (clock(), Stopping::default(), stopped_clock());
    let event = "schedule = { kind = \"hourly\", jitter = \"0s\", final_sync = 2026-03-27T18:10:00Z }";
    let app = open(folder.path(), event, &clock, &stopping).await;
    let runner = app.runner.clone();
    let driver = tokio::spawn(async move { runner.keep_schedules().await });
    let name = "summit".to_owned().try_into().unwrap();
    let next = || {
        let event = app.runner.event(&name).unwrap();
        let timing = app.runner.timing(&event, &event.feeds[0]);
        (timing.next.at().map(|at| at.to_string()), timing.next.as_str(), timing.fresh_until.map(|at| at.to_string()))
    };
    until(&app, at("2026-03-27T14:30:00Z")).await;
    let fresh = Some("2026-03-27T16:15:00Z".to_owned());
    assert_eq!(next(), (Some("2026-03-27T15:00:00Z".to_owned()), "time", fresh));
    app.runner.pause(&name, Actor::CommandLine).await.unwrap();
    assert_eq!(next(), (None, "paused", None));
    until(&app, at("2026-03-27T16:20:00Z")).await;
    app.runner.resume(&name, Actor::CommandLine).await.unwrap();
    // By hand, at any time.
    until(&app, at("2026-03-27T16:40:00Z")).await;
    let feed = app.runner.feeds(&name, None).unwrap().remove(0);
    let request = Request { trigger: Trigger::Api, dry_run: false, full: false };
    let by_hand = app.runner.start(feed, request).await.unwrap();
    app.runner.wait(by_hand.run).await.unwrap();
    until(&app, at("2026-03-28T18:00:00Z")).await;
    assert_eq!(next(), (None, "final_done", None));
    stop(&app, driver).await;
    let expected = [
        "2026-03-27T12:00:00Z schedule",
        "2026-03-27T13:00:00Z schedule",
        "2026-03-27T14:00:00Z schedule",
        // Two times passed while it was paused: one sync.
        "2026-03-27T16:20:00Z schedule",
        "2026-03-27T16:40:00Z api",
        "2026-03-27T17:00:00Z schedule",
        "2026-03-27T18:00:00Z schedule",
        "2026-03-27T18:10:00Z schedule",
    ];
    assert_eq!(begun(&runs(&app, "summit")), expected);
}

#[tokio::test(start_paused = true)]
async fn a_sync_that_fails_is_tried_again_later_and_later_and_at_its_time_anyway() {
    let folder = tempfile::tempdir().unwrap();
    let (clock, _stopped) = (clock(), stopped_clock());
    // The demo has no such event.
    let event = "schedule = { kind = \"hourly\", jitter = \"0s\" }";
    let stopping = Stopping::default();
    let app = open(folder.path(), event, &clock, &stopping).await;
    let mut gone = (*app.runner.event(&"summit".to_owned().try_into().unwrap()).unwrap()).clone();
    (gone.name, gone.feeds[0].params) =
        ("gone".to_owned().try_into().unwrap(), [("event".to_owned(), "nowhere".to_owned())].into());
    gone.schedule.as_mut().unwrap().final_sync = Some(FinalSync::At(at("2026-03-27T13:30:00Z")));
    let runner = app.runner.clone();
    let driver = tokio::spawn(async move { runner.keep_schedules().await });
    until(&app, at("2026-03-27T12:10:00Z")).await;
    // Saved while the driver sleeps; it is seen at once.
    let set = ChangeSet { event: Some(EventWrite::Put(Box::new(gone))), ..ChangeSet::default() };
    app.store.commit_async(set).await.unwrap();
    app.runner.schedules_changed();
    until(&app, at("2026-03-29T13:00:00Z")).await;
    stop(&app, driver).await;
    let runs = runs(&app, "gone");
    assert!(runs.iter().all(|run| run.outcome == Some(RunOutcome::Failed)));
    let began: Vec<_> = runs.iter().map(|run| format!("{:.0}", run.started_at)).collect();
    let expected = ["12:10", "12:11", "12:13", "12:17", "12:25", "12:41", "13:00", "13:30", "14:30", "15:30"];
    let expected: Vec<_> = expected.iter().map(|time| format!("2026-03-27T{time}:00Z")).collect();
    assert_eq!(began[..10], expected);
    // The last try is within a day of the final sync, and then it is given up.
    assert_eq!((began.len(), began.last().map(String::as_str)), (10 + 21, Some("2026-03-28T12:30:00Z")));
}
