//! People and groups: each exactly once however the list is cut, and each value with its owner.

use std::collections::BTreeSet;

use rollcall::demo::ExpectedState;
use serde_json::{Value, json};

use super::fixture::Fixture;

fn ids(people: &[Value]) -> Vec<String> {
    people.iter().map(|person| person["id"].as_str().unwrap().to_owned()).collect()
}

fn once(people: &[Value]) -> BTreeSet<String> {
    let set: BTreeSet<_> = ids(people).into_iter().collect();
    assert_eq!(set.len(), people.len(), "somebody is listed twice");
    set
}

#[tokio::test]
async fn lists_page_through_everybody_exactly_once() {
    let fixture = Fixture::synced(230).await;
    let store = &fixture.app.store;
    let (active, inactive) = store.attendee_counts(&"summit".to_owned().try_into().unwrap());
    for limit in [7, 100, 1000] {
        assert_eq!(once(&fixture.list("/v1/users", limit).await).len() as u64, store.user_count());
        let listed = once(&fixture.list("/v1/events/summit/attendees", limit).await);
        assert_eq!(listed.len() as u64, active);
        let all = once(&fixture.list("/v1/events/summit/attendees?state=all", limit).await);
        assert_eq!(all.len() as u64, active + inactive);
        for group in fixture.list("/v1/groups", limit).await {
            let path = format!("/v1/groups/{}/members", group["key"].as_str().unwrap().replace(' ', "%20"));
            let members = once(&fixture.list(&path, limit).await);
            assert_eq!(group["members"], members.len(), "{path}");
        }
    }
    assert_eq!(once(&fixture.list("/v1/users", 1).await).len() as u64, store.user_count());
}

#[tokio::test]
async fn attendees_are_filtered_by_state_and_group() {
    let fixture = Fixture::synced(400).await;
    // Whoever the list cancels now was there before.
    let before = once(&fixture.list("/v1/events/summit/attendees", 1000).await);
    cancel(&fixture, 30).await;
    fixture.sync("").await;
    let active = once(&fixture.list("/v1/events/summit/attendees?state=active", 1000).await);
    let inactive = once(&fixture.list("/v1/events/summit/attendees?state=inactive", 1000).await);
    let all = once(&fixture.list("/v1/events/summit/attendees?state=all", 7).await);
    assert!(!inactive.is_empty() && active.is_disjoint(&inactive));
    assert_eq!(active.union(&inactive).cloned().collect::<BTreeSet<_>>(), all);
    assert!(inactive.is_subset(&before));
    for (state, flag) in [("active", true), ("inactive", false)] {
        let listed = fixture.list(&format!("/v1/events/summit/attendees?state={state}"), 1000).await;
        assert!(listed.iter().all(|attendee| attendee["active"] == flag), "{state}");
    }

    let group = fixture.list("/v1/groups", 100).await[0]["key"].as_str().unwrap().to_owned();
    let spelled = group.to_uppercase().replace(' ', "%20");
    let members = once(&fixture.list(&format!("/v1/groups/{spelled}/members"), 100).await);
    let attending = once(&fixture.list(&format!("/v1/events/summit/attendees?group={spelled}"), 13).await);
    assert!(!attending.is_empty());
    assert_eq!(attending, members.intersection(&active).cloned().collect());
    assert!(fixture.list("/v1/events/summit/attendees?group=nobody", 10).await.is_empty());
}

/// Cancels so many registrations in the list.
async fn cancel(fixture: &Fixture, count: u32) {
    let base = &fixture.app.runner.sources().iter().find(|(name, _)| name.as_str() == "demo").unwrap().1;
    let base = base.source.spec().request.base_url.join("/control/cancel").unwrap();
    let address = (base.host_str().unwrap().to_owned(), base.port().unwrap());
    let request = format!(
        "POST /control/cancel?count={count} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    );
    let answer = super::wire::exchange(address, request.into_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn a_user_tells_who_owns_what() {
    let fixture = Fixture::synced(100).await;
    let expected = fixture.fake.truth().into_iter().find(|record| record.state == ExpectedState::Attending).unwrap();
    let lookup = |body: Value| {
        let fixture = &fixture;
        async move { fixture.post("/v1/users/lookup", Some(&body)).await }
    };
    let found = lookup(json!({"event": "summit", "source": "demo", "external_id": expected.id})).await;
    assert_eq!(found.status, 200, "{}", found.text);
    let user = found.json();
    let owner = json!({"source": "demo", "run": 1, "at": "2026-03-01T08:00:00Z"});
    assert_eq!(user["email"]["value"].as_str().unwrap().to_lowercase(), expected.email.trim().to_lowercase());
    assert_eq!(user["email"]["owner"], owner);
    assert_eq!(user["fields"]["job_title"], json!({"value": expected.job_title, "owner": owner}));
    let registration =
        user["registrations"].as_array().unwrap().iter().find(|r| r["external_id"] == expected.id).unwrap();
    assert_eq!(
        [&registration["event"], &registration["source"], &registration["state"], &registration["absent"]],
        [&json!("summit"), &json!("demo"), &json!("attending"), &json!(false)]
    );
    assert_eq!(registration["edit_url"], format!("https://demo.example/summit/{}", expected.id));
    assert_eq!(user["attendances"][0]["event"], "summit");
    assert_eq!(user["attendances"][0]["active"], true);
    for group in &expected.groups {
        assert!(user["groups"].as_array().unwrap().contains(&json!(group.to_lowercase())), "{user}");
    }

    let shouted = lookup(json!({"email": expected.email.to_uppercase()})).await;
    assert_eq!(shouted.json(), user);
    let id = user["id"].as_str().unwrap();
    assert_eq!(fixture.get(&format!("/v1/users/{id}")).await.json(), user);
    let attendee = fixture.get(&format!("/v1/events/summit/attendees/{id}")).await.json();
    assert_eq!(
        [&attendee["id"], &attendee["email"], &attendee["fields"]["job_title"], &attendee["active"]],
        [&user["id"], &user["email"]["value"], &json!(expected.job_title), &json!(true)]
    );
    fixture.get(&format!("/v1/events/dark/attendees/{id}")).await.problem(404);

    for body in [
        json!({"email": "nobody@nowhere.example"}),
        json!({"event": "dark", "source": "demo", "external_id": expected.id}),
        json!({"event": "summit", "source": "demo", "external_id": " "}),
    ] {
        let answer = lookup(body).await;
        answer.problem(404);
        assert!(!answer.text.contains("nowhere.example"));
    }
}

#[tokio::test]
async fn groups_are_found_in_any_spelling() {
    let fixture = Fixture::synced(100).await;
    let groups = fixture.list("/v1/groups", 2).await;
    let keys: Vec<_> = groups.iter().map(|group| group["key"].as_str().unwrap()).collect();
    assert!(keys.len() > 2 && keys.is_sorted(), "{keys:?}");
    let spelled = format!("%20{}%20", keys[0].to_uppercase().replace(' ', "%20"));
    assert_eq!(fixture.get(&format!("/v1/groups/{spelled}")).await.json(), groups[0]);
}

#[tokio::test]
async fn status_is_the_community_at_a_glance() {
    let fixture = Fixture::new(100).await;
    let before = fixture.get("/v1/status").await.json();
    assert_eq!((&before["users"], &before["events"][1]["last_run"]), (&json!(0), &Value::Null));
    fixture.sync("").await;
    let status = fixture.get("/v1/status").await.json();
    assert_eq!(status["users"], fixture.app.store.user_count());
    assert_eq!(status["groups"], fixture.list("/v1/groups", 100).await.len());
    let summit = &status["events"][1];
    let listed = fixture.list("/v1/events/summit/attendees", 1000).await;
    assert_eq!((&summit["event"], &summit["attendees"]), (&json!("summit"), &json!(listed.len())));
    assert_eq!((&summit["last_run"]["id"], &summit["last_run"]["counts"]["records"]), (&json!(1), &json!(100)));
}
