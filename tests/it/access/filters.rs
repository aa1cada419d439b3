//! Lists of attendees, by every filter and by several at once.

use serde_json::{Value, json};

use crate::by_hand::world::{World, record};

/// Source `s` says what kind a registration is.
fn with_types(config: String) -> String {
    config.replacen("badge_url = \".badge\"\n", "badge_url = \".badge\"\nregistration_type = \".type\"\n", 1)
}

/// Five people in `e`, of whom two came far and one left.
async fn world() -> World {
    let world = World::with(with_types).await;
    let of = |id, name, country: &str, kind: &str, groups: Value| {
        record(id, name, json!({"country": country, "type": kind, "groups": groups, "company": "Analytical Engines"}))
    };
    let eve = record(5, "eve", json!({"status": "cancelled", "country": "DE"}));
    let (ada, bob) = (of(1, "ada", "DE", "Speaker", json!(["VIP"])), of(2, "bob", "FR", "Speaker", json!([])));
    let (cyd, dan) = (of(3, "cyd", "de", "Guest", json!(["VIP"])), of(4, "dan", "FR", "Guest", json!([])));
    let here = record(5, "eve", json!({"country": "DE"}));
    world.bring("s-e", &[ada.clone(), bob.clone(), cyd.clone(), dan.clone(), here]).await;
    world.bring("s-e", &[ada, bob, cyd, dan, eve]).await;
    for name in ["ada", "bob"] {
        let id = world.id(name).await;
        world.put(&format!("/v1/users/{id}/account"), json!({})).await.good();
    }
    let a = world.id("ada").await;
    world.put(&format!("/v1/events/e/attendees/{a}/access"), json!({})).await.good();
    world
}

/// The names on a list, page by page.
async fn names(world: &World, query: &str, limit: usize) -> Vec<String> {
    let (mut names, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = world.get(&format!("/v1/events/e/attendees?limit={limit}{query}{cursor}")).await;
        let items = page["items"].as_array().unwrap();
        assert!(items.len() <= limit);
        names.extend(items.iter().map(|item| item["fields"]["first_name"].as_str().unwrap().to_owned()));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return names,
        }
    }
}

#[tokio::test]
async fn an_event_that_nobody_opened_has_nobody_who_did() {
    let world = World::new().await;
    world.bring("s-e", &[record(1, "ada", json!({}))]).await;
    assert_eq!(names(&world, "&access=true", 9).await, [""; 0]);
    assert_eq!(names(&world, "&access=false", 9).await, ["ada"]);
}

#[tokio::test]
async fn filters_are_independent() {
    let world = world().await;
    for (query, expected) in [
        ("", &["ada", "bob", "cyd", "dan"][..]),
        ("&state=inactive", &["eve"]),
        ("&state=all", &["ada", "bob", "cyd", "dan", "eve"]),
        ("&account=true", &["ada", "bob"]),
        ("&account=false", &["cyd", "dan"]),
        ("&access=true", &["ada"]),
        ("&access=false", &["bob", "cyd", "dan"]),
        ("&account=true&access=false", &["bob"]),
        ("&invitation=none", &["ada", "bob", "cyd", "dan"]),
        ("&invitation=sent", &[]),
        ("&group=vip", &["ada", "cyd"]),
        ("&group=nobody", &[]),
        ("&registration_type=SPEAKER", &["ada", "bob"]),
        ("&country=De", &["ada", "cyd"]),
        ("&country=de&state=all", &["ada", "cyd", "eve"]),
        ("&q=engines+an", &["ada", "bob", "cyd", "dan"]),
        ("&q=Engines%20x.org%20CYD", &["cyd"]),
        ("&q=nobody", &[]),
        ("&country=de&registration_type=guest&group=VIP&q=cy&access=false&account=false&invitation=none", &["cyd"]),
    ] {
        for limit in [1, 2, 100] {
            assert_eq!(names(&world, query, limit).await, expected, "{query} by {limit}");
        }
    }
}

#[tokio::test]
async fn a_page_that_is_full_says_whether_there_is_more() {
    let world = world().await;
    for (query, expected) in [("limit=4", false), ("limit=3", true), ("limit=2&country=de", false)] {
        let page = world.get(&format!("/v1/events/e/attendees?{query}")).await;
        assert_eq!(page["next_cursor"].is_string(), expected, "{query}");
    }
}

#[tokio::test]
async fn faulty_filters_are_named() {
    let world = world().await;
    for (query, field) in [
        ("account=perhaps", "account"),
        ("access=2", "access"),
        ("invitation=lost", "invitation"),
        ("group=%20", "group"),
        ("country=%20", "country"),
        ("registration_type=", "registration_type"),
        ("q=%20", "q"),
        ("q=a+b+c+d+e+f+g+h+i", "q"),
        ("name=ada", "name"),
    ] {
        let answer = world.ask("GET", &format!("/v1/events/e/attendees?{query}"), None).await;
        assert_eq!(answer.problem(400).1, [field], "{query}");
    }
}

#[tokio::test]
async fn groups_are_listed_with_their_events() {
    let world = world().await;
    let ended = json!({"title": "Gala", "ends_at": "2026-02-01T00:00:00Z"});
    world.put("/v1/events/gala", ended).await.good();
    let (a, b) = (world.id("ada").await, world.id("bob").await);
    world.put("/v1/groups/Crew", json!({})).await.good();
    world.put(&format!("/v1/groups/crew/members/{a}"), json!({"event": "gala"})).await.good();
    world.put(&format!("/v1/groups/vip/members/{b}"), json!({})).await.good();
    let groups = world.get("/v1/groups").await["items"].clone();
    let crew = json!({
        "key": "crew", "name": "Crew", "members": 1, "events": [{"event": "gala", "members": 1, "past": true}],
    });
    let vip = json!({
        "key": "vip", "name": "VIP", "members": 3, "events": [{"event": "e", "members": 2, "past": false}],
    });
    assert_eq!(groups, json!([crew, vip]));
    assert_eq!(world.get("/v1/groups/CREW").await, crew);
    // Paged by key.
    let first = world.get("/v1/groups?limit=1").await;
    let next = first["next_cursor"].as_str().unwrap();
    let second = world.get(&format!("/v1/groups?limit=1&cursor={next}")).await;
    assert_eq!((&first["items"][0], &second["items"][0]), (&crew, &vip));
    assert_eq!(second["next_cursor"], Value::Null);
}
