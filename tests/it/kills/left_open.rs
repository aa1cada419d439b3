//! What the end of a process can leave open, made on purpose, and what the next start makes of it.

use std::future::ready;
use std::time::Duration;

use rollcall::model::{EventName, Run, RunId, RunOutcome, SourceName, Trigger};
use rollcall::sync::{Feed, Phase, Request, StartError, Started, Stopping};
use serde_json::{Value, json};

use crate::support::{Appliance, Installation, ListServer, ONE_FEED, Program, check_indexes, noise, until};

/// Several batches.
const MANY: usize = 500;

struct Place {
    server: ListServer,
    config: String,
    appliance: Appliance,
}

const REQUEST: Request = Request { trigger: Trigger::Api, dry_run: false, full: false };

impl Place {
    async fn new() -> Self {
        let server = ListServer::start().await;
        let config = ONE_FEED.replace("URL", &format!("http://{}", server.address));
        server.set("s", pages());
        let appliance = Appliance::open(&config).await;
        Self { server, config, appliance }
    }

    fn feed(&self) -> Feed {
        let (event, source) = (EventName::parse("e").unwrap(), SourceName::parse("s").unwrap());
        self.appliance.app.runner.feeds(&event, Some(&source)).unwrap().remove(0)
    }

    async fn start(&self) -> Result<Started, StartError> {
        self.appliance.app.runner.start(self.feed(), REQUEST).await
    }

    fn run(&self, id: u64) -> Option<Run> {
        self.appliance.app.store.run(RunId(id)).unwrap()
    }

    fn users(&self) -> usize {
        usize::try_from(self.appliance.app.store.user_count()).unwrap()
    }

    /// With a first sync whose commit was paused half-way.
    async fn half_way() -> Self {
        let place = Self::new().await;
        let run = place.start().await.unwrap().run;
        let runner = place.appliance.app.runner.clone();
        let begun = async || runner.going(run).is_none_or(|p| p.phase == Phase::Committing && p.applied > 0);
        until("the commit has begun", begun).await;
        assert!(runner.shutdown().await);
        let told = runner.wait(run).await.unwrap().unwrap();
        assert!(told.outcome.is_none() && told.applied > 0 && Some(told.applied) < told.planned, "{told:?}");
        assert!(place.users() < MANY);
        place
    }

    async fn reopen(self, config: &str) -> Self {
        let Self { server, appliance, .. } = self;
        let appliance = appliance.reopen(config).await;
        Self { server, config: config.to_owned(), appliance }
    }
}

/// Everybody is in one of two groups.
fn pages() -> Vec<String> {
    let record = |id: usize| -> Value {
        let (biography, group) = (noise(id as u64, 12 * 1024), if id.is_multiple_of(2) { "Even" } else { "Odd" });
        json!({"id": id, "email": format!("p{id}@x.org"), "first": "A", "last": "B",
            "biography": biography, "groups": [group]})
    };
    let records: Vec<Value> = (0..MANY).map(record).collect();
    records.chunks(100).map(|page| json!({ "items": page }).to_string()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_goes_on_though_its_feed_is_no_longer_configured() {
    let place = Place::half_way().await;
    let place = place.reopen("").await;
    assert_eq!(place.run(1).unwrap().outcome, Some(RunOutcome::Done));
    assert_eq!(place.users(), MANY);
    // Nothing is there to start again.
    place.appliance.app.runner.start_again_what_was_cut_short().await;
    assert_eq!(place.run(2), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_plan_is_lost_has_failed_and_the_next_sync_mends_it() {
    let place = Place::half_way().await;
    let config = place.config.clone();
    std::fs::remove_file(place.appliance.app.store.runs_folder().join("1.journal")).unwrap();
    let place = place.reopen(&config).await;
    let run = place.run(1).unwrap();
    assert_eq!(run.outcome, Some(RunOutcome::Failed), "{run:?}");
    assert!(place.users() > 0 && place.users() < MANY);
    check_indexes(&place.appliance.app.store, &["e"]);
    let run = place.appliance.sync("e", "s", false, false).await;
    assert_eq!((run.outcome, place.users()), (Some(RunOutcome::Done), MANY));
    check_indexes(&place.appliance.app.store, &["e"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_kept_while_its_commit_is_open_however_the_clock_jumps() {
    let place = Place::half_way().await;
    place.appliance.clock.advance(jiff::SignedDuration::from_hours(24 * 400));
    let Place { server, config, appliance } = place;
    let told_to_end = Stopping::default();
    told_to_end.say();
    let appliance = appliance.reopen_until(&config, told_to_end).await;
    let place = Place { server, config: config.clone(), appliance };
    assert_eq!(place.run(1).unwrap().outcome, None, "it ends before the commit does");
    let place = place.reopen(&config).await;
    assert_eq!((place.run(1).unwrap().outcome, place.users()), (Some(RunOutcome::Done), MANY));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_goes_away_while_a_run_is_entered_leaves_none_open() {
    let place = Place::new().await;
    // Polled once, then dropped, as the server does with the request of a client that hangs up.
    tokio::select! {
        biased;
        _ = place.start() => panic!("it needs the disk"),
        () = ready(()) => {}
    }
    until("it is run to its end", async || place.run(1).is_some_and(|run| run.ended_at.is_some())).await;
    assert_eq!(place.run(1).unwrap().outcome, Some(RunOutcome::Done));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_was_cancelled_before_the_end_stays_cancelled() {
    let place = Place::new().await;
    place.server.stall("s");
    let run = place.start().await.unwrap().run;
    until("the source is asked", async || place.server.stalled() > 0).await;
    assert!(place.appliance.app.runner.cancel(run).await);
    assert!(place.appliance.app.runner.shutdown().await);
    assert_eq!(place.run(1).unwrap().outcome, Some(RunOutcome::Cancelled));
    assert!(matches!(place.start().await, Err(StartError::Stopping)), "nothing begins any more");
    let config = place.config.clone();
    let place = place.reopen(&config).await;
    place.appliance.app.runner.start_again_what_was_cut_short().await;
    assert_eq!(place.run(2), None, "nobody wants it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_beacon_left_behind_is_not_taken_for_a_server() {
    let server = ListServer::start().await;
    let config = ONE_FEED.replace("URL", &format!("http://{}", server.address));
    let (ours, others) = (Installation::new(&config), Installation::new(&config));
    let killed = ours.start(&["serve"]);
    killed.serves().await;
    killed.kill();
    let other = others.start(&["serve"]);
    other.serves().await;
    // The other server has got the address that ours had.
    let path = ours.data().join("server.json");
    let mut beacon: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    beacon["address"] = json!(other.caller().unwrap().address);
    std::fs::write(&path, beacon.to_string()).unwrap();
    let mut status: Program = ours.start(&["status"]);
    let code = tokio::time::timeout(Duration::from_secs(30), status.code()).await.unwrap();
    assert_eq!(code, Some(0), "{}", status.stderr());
}
