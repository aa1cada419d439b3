//! A run's progress as server-sent events.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, Response};
use rollcall::demo::FakeOptions;
use rollcall::limits::API_WAITS_MAX;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::fixture::Fixture;

/// The events of a stream that has ended.
fn events(text: &str) -> Vec<(&str, Value)> {
    let event = |block| {
        let (name, told) = str::split_once(block, "\ndata: ").unwrap();
        (name.strip_prefix("event: ").unwrap(), serde_json::from_str(told).unwrap())
    };
    text.split_terminator("\n\n").map(event).collect()
}

#[tokio::test]
async fn progress_is_told_until_the_run_has_ended() {
    let options = FakeOptions { count: 500, latency: Duration::from_millis(300), ..FakeOptions::default() };
    let fixture = Fixture::with(options).await;
    fixture.post("/v1/events/summit/sync", None).await;
    let answer = fixture.get("/v1/runs/1/events").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "text/event-stream"), "{}", answer.text);
    assert_eq!(answer.header("cache-control"), "no-store");
    let events = events(&answer.text);
    let ((last, run), before) = events.split_last().unwrap();
    assert!(before.len() >= 2 && before.iter().all(|(name, _)| *name == "progress"), "{}", answer.text);
    assert_eq!((before[0].1["phase"].as_str(), before[0].1["records"].as_u64()), (Some("reading"), Some(0)));
    let records: Vec<_> = before.iter().map(|(_, told)| told["records"].as_u64().unwrap()).collect();
    assert!(records.is_sorted() && records.last() > Some(&0), "{records:?}");
    assert_eq!((*last, &run["outcome"], &run["counts"]["records"]), ("run", &json!("done"), &json!(500)));
    assert_eq!(*run, fixture.get("/v1/runs/1").await.json());
}

#[tokio::test]
async fn of_a_run_that_has_ended_only_its_end_is_told() {
    let fixture = Fixture::synced(5).await;
    let answer = fixture.get("/v1/runs/1/events").await;
    let run = fixture.get("/v1/runs/1").await.json();
    assert_eq!(events(&answer.text), [("run", run)]);
    fixture.get("/v1/runs/2/events").await.problem(404);
    assert_eq!(fixture.get("/v1/runs/1/events?wait=1s").await.problem(400), ["wait"]);
}

/// The answer before a byte of its body is read.
async fn begin(fixture: &Fixture) -> Response<Body> {
    let bearer = format!("Bearer {}", fixture.app.local_token.expose_secret());
    let request = Request::get("/v1/runs/1/events").header("authorization", bearer).body(Body::empty()).unwrap();
    let Ok(answer) = fixture.router.clone().oneshot(request).await;
    answer
}

#[tokio::test]
async fn only_so_many_follow_at_a_time_and_who_leaves_gives_way() {
    let fixture = Fixture::synced(5).await;
    let mut followers = Vec::new();
    for _ in 0..API_WAITS_MAX {
        let answer = begin(&fixture).await;
        assert_eq!(answer.status(), 200);
        followers.push(answer);
    }
    let refused = fixture.get("/v1/runs/1/events").await;
    refused.problem(503);
    assert_eq!(refused.json()["type"], "urn:rollcall:problem:busy");
    assert_eq!(fixture.get("/v1/runs/1?wait=1m").await.status, 200, "a wait is answered at once instead");
    followers.pop();
    assert_eq!(fixture.get("/v1/runs/1/events").await.status, 200);
}
