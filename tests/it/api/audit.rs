//! Who did what by hand.

use axum::http::Method;
use serde_json::{Value, json};

use super::fixture::Fixture;

async fn log(fixture: &Fixture, query: &str) -> Vec<Value> {
    fixture.list(&format!("/v1/audit{query}"), 2).await
}

#[tokio::test]
async fn what_is_done_by_hand_is_in_the_log_with_who_did_it() {
    let fixture = Fixture::synced(5).await;
    assert_eq!(log(&fixture, "").await, [] as [Value; 0], "a sync is in history");
    let made = fixture.post("/v1/tokens", Some(&json!({"name": "laptop", "scopes": ["admin"]}))).await.json();
    let (id, token) = (made["id"].as_str().unwrap(), made["token"].as_str().unwrap());
    let settings = json!({"title": "Fair", "feeds": [{"source": "demo", "params": {"event": "fair"}}]}).to_string();
    let put = fixture.ask_as(Some(token), Method::PUT, "/v1/events/fair", Some(&settings)).await;
    assert_eq!(put.status, 201, "{}", put.text);
    assert_eq!(fixture.ask_as(Some(token), Method::DELETE, "/v1/events/fair", None).await.status, 204);
    fixture.ask_as(Some(token), Method::DELETE, "/v1/events/fair", None).await.problem(404);
    assert_eq!(fixture.delete(&format!("/v1/tokens/{id}")).await.status, 204);

    let log = log(&fixture, "").await;
    let by_token = json!({"kind": "token", "id": id, "name": "laptop"});
    let by_hand = json!({"kind": "command_line"});
    let told: Vec<_> = log.iter().map(|e| [&e["action"], &e["subject"], &e["note"], &e["actor"]]).collect();
    let expected = [
        [&json!("token_revoked"), &json!(id), &json!("laptop"), &by_hand],
        [&json!("event_removed"), &json!("fair"), &json!(""), &by_token],
        [&json!("event_saved"), &json!("fair"), &json!("feeds: demo"), &by_token],
        [&json!("token_made"), &json!(id), &json!("laptop: admin"), &by_hand],
    ];
    assert_eq!(told, expected, "newest first; what was refused was not done");
    assert!(log.iter().all(|entry| entry["at"] == "2026-03-01T08:00:00Z"), "{log:?}");
    assert!(!fixture.get("/v1/audit").await.text.contains(token), "the token itself is nowhere");
}

#[tokio::test]
async fn it_is_asked_by_kind_and_subject_and_only_by_admins() {
    let fixture = Fixture::new(5).await;
    let reader = fixture.token(&["read", "sync", "metrics", "app"]).await;
    for name in ["fair", "expo"] {
        fixture.put(&format!("/v1/events/{name}"), &json!({"title": name, "feeds": []})).await;
    }
    let subjects = |log: Vec<Value>| log.iter().map(|e| e["subject"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(subjects(log(&fixture, "?action=event_saved").await), ["expo", "fair"]);
    assert_eq!(subjects(log(&fixture, "?subject=fair").await), ["fair"]);
    assert_eq!(subjects(log(&fixture, "?subject=fair&action=token_made").await), [""; 0]);
    assert_eq!(fixture.get("/v1/audit?action=lunch").await.problem(400), ["action"]);
    fixture.ask_as(Some(&reader), Method::GET, "/v1/audit", None).await.problem(403);
}
