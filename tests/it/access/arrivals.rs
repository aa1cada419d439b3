//! What the app tells of people: the first time is kept.

use jiff::SignedDuration;
use rollcall::model::{Actor, EventName};
use serde_json::{Value, json};

use crate::by_hand::world::{World, record};
use crate::support::until;

async fn journey(world: &World, user: &str) -> Value {
    world.user(user).await["journey"].clone()
}

async fn with_people(names: &[&str]) -> World {
    let world = World::new().await;
    let people: Vec<_> = (1..).zip(names).map(|(id, name)| record(id, name, json!({}))).collect();
    world.bring("s-e", &people).await;
    world
}

#[tokio::test]
async fn the_first_account_and_the_first_access_are_kept() {
    let world = with_people(&["ada"]).await;
    let a = world.id("ada").await;
    let (account, access) = (format!("/v1/users/{a}/account"), format!("/v1/events/e/attendees/{a}/access"));
    assert_eq!(journey(&world, &a).await, json!({"account_at": null, "events": []}));
    assert_eq!(world.ask("PUT", &account, None).await.status, 204);
    let first = journey(&world, &a).await;
    let at = first["account_at"].clone();
    assert!(at.is_string());
    world.appliance.clock.advance(SignedDuration::from_hours(1));
    assert_eq!(world.ask("PUT", &account, None).await.status, 204);
    assert_eq!(journey(&world, &a).await, first);
    assert_eq!(world.ask("PUT", &access, Some(&json!({}))).await.status, 204);
    let came = journey(&world, &a).await;
    assert_eq!((&came["account_at"], &came["events"][0]["event"]), (&at, &json!("e")));
    let at = came["events"][0]["first_access_at"].clone();
    assert!(at.is_string() && at != came["account_at"]);
    world.appliance.clock.advance(SignedDuration::from_hours(1));
    assert_eq!(world.ask("PUT", &access, None).await.status, 204);
    assert_eq!(journey(&world, &a).await, came);
    // It is no decision of anybody's.
    assert_eq!(world.get("/v1/audit").await["items"], json!([]));
    let nobody = "00000000-0000-8000-8000-000000000000";
    for path in [format!("/v1/users/{nobody}/account"), format!("/v1/events/e/attendees/{nobody}/access")] {
        world.ask("PUT", &path, None).await.problem(404);
    }
    world.ask("PUT", &format!("/v1/events/none/attendees/{a}/access"), None).await.problem(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_access_check_records_whom_it_admits_after_its_answer() {
    let world = with_people(&["ada", "bob", "cyd"]).await;
    let (a, b, c) = (world.id("ada").await, world.id("bob").await, world.id("cyd").await);
    world.delete(&format!("/v1/events/e/attendees/{b}")).await;
    let ask = |body: Value| {
        let world = &world;
        async move { world.ask("POST", "/v1/events/e/access", Some(&body)).await.good()["allowed"].as_bool().unwrap() }
    };
    // While somebody syncs for long, the answer is there all the same.
    let turn = world.appliance.app.runner.clone();
    let (held, release) = std::sync::mpsc::channel::<()>();
    let busy = tokio::spawn(async move {
        turn.by_hand(Actor::CommandLine, move |_| Ok(release.recv().is_err())).await.unwrap();
    });
    tokio::task::yield_now().await;
    for _ in 0..3 {
        assert!(ask(json!({"email": "ada@x.org", "record": true})).await);
    }
    assert!(!ask(json!({"email": "bob@x.org", "record": true})).await, "excluded");
    assert!(ask(json!({"email": "cyd@x.org"})).await);
    assert!(ask(json!({"email": "eve@x.org", "record": true})).await, "the event is open, and nobody knows her");
    drop(held);
    busy.await.unwrap();
    let store = world.appliance.app.store.clone();
    let event = EventName::parse("e").unwrap();
    let came = async || {
        let view = store.view();
        view.index().places().accessed(view.symbols(), &event).is_some_and(|users| users.len() == 1)
    };
    until("it is written", came).await;
    assert!(journey(&world, &a).await["events"][0]["first_access_at"].is_string());
    for user in [&b, &c] {
        assert_eq!(journey(&world, user).await["events"], json!([]));
    }
}
