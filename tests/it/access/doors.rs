//! The door of an event, and of its pages.

use serde_json::{Value, json};

use crate::by_hand::world::{Answer, World, record};

/// The world's events with doors: `e` is restricted, `f` is open, and both have a page for `vip`.
fn with_doors(config: String) -> String {
    let pages = "[event.NAME.access.pages.lounge]\ngroups = \" VIP\"\n[event.NAME.access.pages.map]\n";
    let restricted = "[event.e.access]\nadmission = \"restricted\"\n";
    format!("{config}{restricted}{}{}", pages.replace("NAME", "e"), pages.replace("NAME", "f"))
}

async fn ask(world: &World, event: &str, question: Value) -> Answer {
    world.ask("POST", &format!("/v1/events/{event}/access"), Some(&question)).await
}

/// Whether, why and with which groups.
async fn told(world: &World, event: &str, question: Value) -> (bool, String, Vec<String>) {
    let answer = ask(world, event, question).await.good();
    let groups = answer["groups"].as_array().unwrap().iter().map(|group| group.as_str().unwrap().to_owned()).collect();
    (answer["allowed"].as_bool().unwrap(), answer["reason"].as_str().unwrap().to_owned(), groups)
}

#[track_caller]
fn check(told: (bool, String, Vec<String>), allowed: bool, reason: &str, groups: &[&str]) {
    assert_eq!(told, (allowed, reason.to_owned(), groups.iter().map(|group| (*group).to_owned()).collect()));
}

#[tokio::test]
async fn a_restricted_event_admits_its_attendees_and_an_open_one_anybody() {
    let world = World::with(with_doors).await;
    let of = |id, name, more| record(id, name, more);
    let gone = of(2, "bob", json!({"status": "cancelled"}));
    let pending = of(3, "cyd", json!({"status": "pending", "groups": ["VIP"]}));
    world.bring("s-e", &[of(1, "ada", json!({"groups": ["VIP", "Staff"]})), gone, pending]).await;
    let (a, c) = (world.id("ada").await, world.id("cyd").await);
    let email = |name: &str| json!({"email": format!(" {name}@X.org")});
    check(told(&world, "e", email("ada")).await, true, "attendee", &["staff", "vip"]);
    check(told(&world, "e", json!({"user": a})).await, true, "attendee", &["staff", "vip"]);
    check(told(&world, "e", email("bob")).await, false, "not_attending", &[]);
    check(told(&world, "e", email("cyd")).await, false, "not_attending", &["vip"]);
    check(told(&world, "e", email("eve")).await, false, "unknown_person", &[]);
    for name in ["ada", "bob", "cyd", "eve"] {
        check(told(&world, "f", email(name)).await, true, "open", &[]);
    }
    // By hand, in either event.
    world.delete(&format!("/v1/events/e/attendees/{a}")).await;
    world.delete(&format!("/v1/events/f/attendees/{a}")).await;
    world.put(&format!("/v1/events/e/attendees/{c}"), json!({})).await.good();
    check(told(&world, "e", email("ada")).await, false, "excluded", &["staff", "vip"]);
    check(told(&world, "f", email("ada")).await, false, "excluded", &[]);
    check(told(&world, "e", email("cyd")).await, true, "attendee", &["vip"]);
    let shown = ask(&world, "e", json!({"email": "cyd@x.org"})).await.good();
    assert_eq!(shown["user"], json!(c));
    assert_eq!(ask(&world, "e", json!({"email": "eve@x.org"})).await.good()["user"], Value::Null);
    // The same after opening again.
    assert!(world.appliance.app.runner.shutdown().await);
    let world = world.reopened(with_doors).await;
    check(told(&world, "e", email("ada")).await, false, "excluded", &["staff", "vip"]);
    check(told(&world, "e", email("cyd")).await, true, "attendee", &["vip"]);
}

#[tokio::test]
async fn a_page_opens_to_groups_of_this_event_and_to_those_by_hand() {
    let world = World::with(with_doors).await;
    let page = |name: &str, page: &str| json!({"email": format!("{name}@x.org"), "page": page});
    let (vip, none) = (json!({"groups": ["VIP"]}), json!({}));
    world.bring("s-e", &[record(1, "ada", vip.clone()), record(2, "bob", none.clone()), record(3, "cyd", none)]).await;
    // A VIP of the other event, who attends both.
    world.bring("s-f", &[record(4, "bob", vip)]).await;
    assert_eq!(world.user(&world.id("bob").await).await["groups"], json!(["vip"]));
    check(told(&world, "e", page("ada", "lounge")).await, true, "group", &["vip"]);
    check(told(&world, "e", page("bob", "lounge")).await, false, "no_group", &[]);
    check(told(&world, "f", page("bob", "lounge")).await, true, "group", &["vip"]);
    check(told(&world, "f", page("ada", "lounge")).await, false, "no_group", &[]);
    check(told(&world, "f", page("eve", "lounge")).await, false, "unknown_person", &[]);
    check(told(&world, "e", page("eve", "lounge")).await, false, "unknown_person", &[]);
    check(told(&world, "e", page("cyd", "map")).await, true, "attendee", &[]);
    check(told(&world, "f", page("eve", "map")).await, true, "open", &[]);
    // By hand: for an event there only, for none everywhere; who is kept out of a group is so everywhere.
    let (a, b, c) = (world.id("ada").await, world.id("bob").await, world.id("cyd").await);
    let member = |user: &str| format!("/v1/groups/vip/members/{user}");
    world.put(&member(&c), json!({"event": "f"})).await.good();
    check(told(&world, "e", page("cyd", "lounge")).await, false, "no_group", &[]);
    check(told(&world, "f", page("cyd", "lounge")).await, true, "group", &["vip"]);
    world.put(&member(&c), json!({})).await.good();
    check(told(&world, "e", page("cyd", "lounge")).await, true, "group", &["vip"]);
    check(told(&world, "f", page("cyd", "lounge")).await, true, "group", &["vip"]);
    assert_eq!(world.delete(&member(&a)).await.status, 204);
    check(told(&world, "e", page("ada", "lounge")).await, false, "no_group", &[]);
    world.put(&member(&a), json!({"membership": "synced"})).await.good();
    check(told(&world, "e", page("ada", "lounge")).await, true, "group", &["vip"]);
    // The source takes it away in one event.
    world.bring("s-f", &[record(4, "bob", json!({"groups": []}))]).await;
    check(told(&world, "f", page("bob", "lounge")).await, false, "no_group", &[]);
    assert_eq!(world.user(&b).await["groups"], json!([]));
}

#[tokio::test]
async fn questions_that_cannot_be_answered_say_why() {
    let world = World::with(with_doors).await;
    let user = "00000000-0000-8000-8000-000000000000";
    for (event, question, status, fields) in [
        ("none", json!({"email": "a@x.org"}), 404, &[][..]),
        ("e", json!({"email": "a@x.org", "page": "longue"}), 404, &[]),
        ("e", json!({}), 422, &["email"]),
        ("e", json!({"email": "a@x.org", "user": user}), 422, &["email"]),
        ("e", json!({"user": "ada"}), 422, &["user"]),
        ("e", json!({"email": "a@x.org", "page": "a b"}), 422, &["page"]),
        ("e", json!({"email": "a@x.org", "pages": "a"}), 422, &["pages"]),
    ] {
        assert_eq!(ask(&world, event, question.clone()).await.problem(status).1, fields, "{event} {question}");
    }
    check(told(&world, "e", json!({"user": user})).await, false, "unknown_person", &[]);
    check(told(&world, "e", json!({"email": "no address"})).await, false, "unknown_person", &[]);
}

#[tokio::test]
async fn doors_are_set_over_the_api_as_in_the_file() {
    let world = World::with(with_doors).await;
    let of_file = world.get("/v1/events/e").await["access"].clone();
    let expected = json!({
        "admission": "restricted",
        "pages": {"lounge": {"groups": ["vip"]}, "map": {"groups": null}},
    });
    assert_eq!(of_file, expected);
    let body = |access: Value| json!({"title": "Gala", "access": access});
    let saved = world.put("/v1/events/gala", body(of_file)).await.good();
    assert_eq!(saved["access"], expected);
    check(told(&world, "gala", json!({"email": "a@x.org"})).await, false, "unknown_person", &[]);
    let world = world.reopened(with_doors).await;
    assert_eq!(world.get("/v1/events/gala").await["access"], expected);
    let open = json!({"admission": "open", "pages": {}});
    assert_eq!(world.put("/v1/events/gala", json!({"title": "Gala"})).await.good()["access"], open);
    check(told(&world, "gala", json!({"email": "a@x.org"})).await, true, "open", &[]);
    let many: serde_json::Map<String, Value> = (0..101).map(|n| (format!("p{n}"), json!({}))).collect();
    for (access, fields) in [
        (json!({"admission": "closed"}), vec!["access.admission"]),
        (json!({"pages": {"A b": {}}}), vec!["access.pages.A b"]),
        (json!({"pages": {"a": {"groups": []}}}), vec!["access.pages.a.groups"]),
        (json!({"pages": {"a": {"groups": [" "]}}}), vec!["access.pages.a.groups[0]"]),
        (json!({"pages": {"a": {"group": "x"}}}), vec!["access.pages.a.group"]),
        (json!({"pages": many}), vec!["access.pages"]),
        (
            json!({"pages": {"a": {"groups": []}, "b": {"groups": ["x".repeat(257)]}}}),
            vec!["access.pages.a.groups", "access.pages.b.groups"],
        ),
    ] {
        let answer = world.put("/v1/events/gala", body(access.clone())).await;
        assert_eq!(answer.problem(422).1, fields, "{access}");
    }
}
