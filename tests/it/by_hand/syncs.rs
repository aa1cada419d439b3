//! Edits and syncs at one time: neither loses the other.

use std::time::Duration;

use rollcall::model::RunId;
use rollcall::sync::Phase;
use serde_json::json;

use super::world::{World, record};

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_while_a_sync_reads_is_done_at_once_and_the_sync_plans_upon_it() {
    let world = World::new().await;
    world.bring("s-e", &[record(1, "ada", json!({}))]).await;
    let ada = world.id("ada").await;
    world.show("s-e", &[record(1, "ada", json!({"company": "Engines"}))]);
    world.server.be_busy("s-e", 1);
    let sync = async { world.appliance.sync("e", "s", false, false).await };
    let edit = async {
        let runner = &world.appliance.app.runner;
        while runner.going(RunId(2)).is_none_or(|run| run.waiting_ms == 0) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        world.patch(&ada, json!({"phone": "1"})).await.good();
        world.put(&format!("/v1/events/e/attendees/{ada}"), json!({"attendance": "excluded"})).await.good();
        assert!(runner.going(RunId(2)).is_some_and(|run| run.phase == Phase::Reading), "it reads still");
        world.server.go_on("s-e");
    };
    let (run, ()) = tokio::join!(sync, edit);
    assert_eq!((run.error, run.counts.update, run.counts.create), (None, 1, 0));
    assert_eq!(world.field(&ada, "phone").await.0, "1");
    assert_eq!(world.field(&ada, "company").await.0, "Engines");
    assert!(world.ids("/v1/events/e/attendees").await.is_empty());
}

/// Syncs that each change everybody, and edits of everybody all the while.
#[tokio::test(flavor = "multi_thread")]
async fn no_sync_fails_and_no_edit_is_lost_when_both_go_on() {
    const PEOPLE: u32 = 40;
    const ROUNDS: u32 = 6;
    let world = World::new().await;
    let list = |round: u32| -> Vec<_> {
        let company = json!({"company": format!("C{round}")});
        (0..PEOPLE).map(|n| record(n, &format!("p{n}"), company.clone())).collect()
    };
    world.bring("s-e", &list(0)).await;
    let ids = world.ids("/v1/users").await;
    let syncs = async {
        for round in 1..=ROUNDS {
            let run = world.bring("s-e", &list(round)).await;
            assert_eq!(run.counts.update, u64::from(PEOPLE), "{run:?}");
        }
    };
    let edits = async {
        for round in 1..=ROUNDS {
            for id in &ids {
                world.patch(id, json!({"title": format!("T{round}")})).await.good();
            }
        }
    };
    tokio::join!(syncs, edits);
    for id in &ids {
        let user = world.user(id).await;
        assert_eq!(user["fields"]["title"]["value"], format!("T{ROUNDS}"));
        assert_eq!(user["fields"]["company"]["value"], format!("C{ROUNDS}"));
    }
    crate::support::check_indexes(&world.appliance.app.store, &["e", "f"]);
}
