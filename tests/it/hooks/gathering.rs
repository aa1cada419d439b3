//! Many hooks are few runs, and a sync comes before a hint.

use rollcall::model::{RunOutcome, Trigger};
use rollcall::sync::Request;
use serde_json::json;

use super::system::{NAMING, Stage, feed};
use crate::support::{everybody, until};

const EVERYTHING: &str =
    "secret = { env = \"SOURCE_TOKEN\" }\nsignature_header = \"X-Signature\"\nmin_interval = \"1h\"";

fn request(dry_run: bool) -> Request {
    Request { trigger: Trigger::Api, dry_run, full: false }
}

async fn start(stage: &Stage, dry_run: bool) -> rollcall::sync::Started {
    let feed = stage.appliance.app.runner.feeds(&feed().event, None).unwrap().remove(0);
    stage.appliance.app.runner.start(feed, request(dry_run)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_burst_is_a_run_or_two_and_each_record_is_asked_for_once() {
    let stage = Stage::synced(NAMING, "").await;
    stage.people.shut();
    assert_eq!(stage.hook(&json!({"ids": 1, "n": 0})).await, 202);
    stage.people.holds_one_up().await;
    for n in 1..=100 {
        stage.people.set(100 + n % 20, &format!("p{}@x.org", n % 20), json!({}));
        assert_eq!(stage.hook(&json!({"ids": [100 + n % 20], "n": n})).await, 202);
    }
    stage.people.open();
    let runs = stage.hook_runs(2).await;
    assert_eq!(runs.len(), 2, "{runs:?}");
    assert_eq!((runs[1].counts.records, runs[1].counts.create), (20, 20), "{:?}", runs[1]);
    assert_eq!(stage.asked().len(), 21);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn hooks_that_name_nobody_start_one_sync_in_the_interval() {
    let stage = Stage::synced(EVERYTHING, "").await;
    for n in 0..100 {
        assert_eq!(stage.hook(&json!({"n": n})).await, 202);
    }
    let runs = stage.hook_runs(1).await;
    assert_eq!((runs.len(), runs[0].trigger, runs[0].complete), (1, Trigger::Hook, true), "{runs:?}");
    assert_eq!(stage.asked(), ["/people"]);
    assert_eq!(stage.state().last_run, Some(runs[0].id), "it is a sync like any");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn hooks_amid_a_sync_are_one_more_after_it() {
    for (hook, trigger, asked) in [
        (NAMING, Trigger::Hint, &["/people", "/people/1", "/people/2"][..]),
        (EVERYTHING, Trigger::Hook, &["/people", "/people"]),
    ] {
        let stage = Stage::synced(hook, "").await;
        stage.people.shut();
        let sync = start(&stage, false).await;
        stage.people.holds_one_up().await;
        for n in 0..10 {
            assert_eq!(stage.hook(&json!({"ids": [1 + n % 2], "n": n})).await, 202);
        }
        assert_eq!(stage.runs().len(), 0, "they wait");
        stage.people.open();
        let runs = stage.hook_runs(1).await;
        assert_eq!((runs.len(), runs[0].trigger), (1, trigger), "{runs:?}");
        assert!(runs[0].id > sync.run);
        assert_eq!(stage.asked(), asked);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_sync_that_is_asked_for_does_not_wait_for_a_hint() {
    for dry_run in [false, true] {
        let stage = Stage::synced(NAMING, "").await;
        stage.people.set(1, "ada@y.org", json!({}));
        stage.people.shut();
        assert_eq!(stage.hook(&json!({"ids": 1})).await, 202);
        stage.people.holds_one_up().await;
        let sync = start(&stage, dry_run).await;
        assert!(!sync.already_running, "a hint is not taken for it");
        stage.people.open();
        let sync = stage.appliance.app.runner.wait(sync.run).await.unwrap().unwrap();
        assert_eq!((sync.trigger, sync.outcome), (Trigger::Api, Some(RunOutcome::Done)), "{sync:?}");
        assert_eq!(stage.runs()[0].outcome, Some(RunOutcome::Cancelled));
        let view = |email: &str| {
            let people = everybody(&stage.appliance.app.store).into_values();
            people.filter(|person| person.email.as_str() == email).count()
        };
        // A dry run changed nobody, but the hint goes on after it.
        until("the changed one is known", async || view("ada@y.org") == 1).await;
    }
}
