//! Hooks for feeds of which nothing begins by itself.

use rollcall::model::{Actor, EventName};
use serde_json::json;

use super::system::{NAMING, Stage};

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_has_no_effect_while_its_event_is_paused() {
    let stage = Stage::synced(NAMING, "").await;
    let runner = stage.appliance.app.runner.clone();
    let event: EventName = "e".to_owned().try_into().unwrap();
    runner.pause(&event, Actor::CommandLine).await.unwrap();
    assert_eq!(stage.hook(&json!({"ids": 1})).await, 202);
    assert_eq!((stage.outcomes("shut"), stage.outcomes("accepted"), stage.asked().len()), (1, 0, 0));
    runner.resume(&event, Actor::CommandLine).await.unwrap();
    assert_eq!(stage.hook(&json!({"ids": 2})).await, 202);
    stage.hook_runs(1).await;
    assert_eq!((stage.outcomes("shut"), stage.outcomes("accepted")), (1, 1));
    assert_eq!(stage.asked(), ["/people/2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_has_no_effect_after_the_final_sync_which_may_be_one_by_hand() {
    let ended =
        "[event.f]\nschedule = { kind = \"hourly\", final_sync = 2026-02-01T00:00:00Z }\nfeed = [{ source = \"s\" }]";
    let stage = Stage::with_event(NAMING, ended).await;
    let event = "f".to_owned().try_into().unwrap();
    let is_shut = || {
        let event = stage.appliance.app.runner.event(&event).unwrap();
        stage.appliance.app.runner.shut(&event, &event.feeds[0].source).is_some()
    };
    assert!(!is_shut(), "the final sync is due");
    stage.appliance.sync("f", "s", false, false).await;
    assert!(is_shut());
    stage.server.take();
    assert_eq!(stage.hook(&json!({"ids": 1})).await, 202);
    let runs = stage.hook_runs(1).await;
    assert_eq!((runs.len(), runs[0].feed.event.as_str()), (1, "e"), "{runs:?}");
    assert_eq!((stage.asked(), stage.outcomes("accepted")), (vec!["/people/1".to_owned()], 1));
}
