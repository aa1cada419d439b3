//! Badges: what is one, and that nobody stays outside for want of one.

use serde_json::{Value, json};

use crate::by_hand::world::{World, record};

async fn badge(world: &World, name: &str) -> Value {
    let id = world.id(name).await;
    world.get(&format!("/v1/events/e/attendees/{id}")).await["badge_url"].clone()
}

#[tokio::test]
async fn what_is_no_badge_is_left_out_and_counted_in_the_log() {
    let of = |id, name, badge: &str| record(id, name, json!({"badge": badge}));
    let people = [
        of(1, "ada", "https://x.org/ada.PNG"),
        of(2, "bob", "https://x.org/badges/bob"),
        of(3, "cyd", "http://x.org/cyd.png"),
        of(4, "dan", "no URL"),
    ];
    let world = World::new().await;
    let run = world.bring("s-e", &people).await;
    assert_eq!((run.counts.create, run.counts.reject), (4, 0));
    let told = "3 records with a badge_url that is no https URL of a badge: it is left out";
    assert!(run.log.iter().any(|line| line.text == told), "{:?}", run.log);
    assert_eq!(badge(&world, "ada").await, "https://x.org/ada.PNG");
    for name in ["bob", "cyd", "dan"] {
        assert_eq!(badge(&world, name).await, Value::Null, "{name}");
    }
    // With another setting all are read anew.
    let any = |config: String| config.replacen("badge_url = \".badge\"", "badge_url = \".badge\"\nbadge = \"any\"", 1);
    let world = world.reopened(any).await;
    let run = world.sync("s-e").await;
    assert_eq!((run.counts.update, run.counts.unchanged), (1, 3));
    assert_eq!(badge(&world, "bob").await, "https://x.org/badges/bob");
    assert_eq!(badge(&world, "cyd").await, Value::Null);
}
