//! A run followed over the wire: what an engineer sees who types `curl -N`.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::timeout;

use crate::support::{Installation, ListServer, ONE_FEED, Program, until};

/// The events of an answer, by name, with what they tell. The lines of chunks stand between them.
fn events(answer: &str) -> Vec<(String, Value)> {
    let mut names = answer.lines().filter_map(|line| line.strip_prefix("event: ")).map(str::to_owned);
    let told = answer.lines().filter_map(|line| line.strip_prefix("data: "));
    told.map(|told| (names.next().unwrap(), serde_json::from_str(told).unwrap())).collect()
}

async fn started(server: &ListServer) -> (Installation, Program) {
    let installation = Installation::new(&ONE_FEED.replace("URL", &format!("http://{}", server.address)));
    let program = installation.start(&["serve"]);
    program.serves().await;
    let (status, answer) = program.ask("POST", "/v1/events/e/sync").await.unwrap();
    assert_eq!(status, 202, "{answer}");
    (installation, program)
}

#[tokio::test(flavor = "multi_thread")]
async fn who_follows_a_run_sees_it_wait_and_end() {
    let server = ListServer::start().await;
    server.set("s", vec![json!({"items": [{"id": 1, "email": "a@x.org", "first": "A", "last": "B"}]}).to_string()]);
    server.be_busy("s", 1);
    let (_installation, program) = started(&server).await;
    let caller = program.caller().unwrap();
    let following = tokio::spawn(async move { caller.exchange("GET", "/v1/runs/1/events").await });
    let waits = async || program.get("/v1/runs/1").await.unwrap()["progress"]["waiting_ms"].as_u64() > Some(0);
    until("it waits", waits).await;
    server.go_on("s");
    let answer = timeout(Duration::from_secs(30), following).await.unwrap().unwrap().unwrap();
    assert!(answer.contains("content-type: text/event-stream\r\n"), "{answer}");
    let events = events(&answer);
    let ((last, run), before) = events.split_last().unwrap();
    assert!(!before.is_empty() && before.iter().all(|(name, _)| name == "progress"), "{answer}");
    assert!(before.iter().any(|(_, told)| told["waiting_ms"].as_u64() > Some(0)), "the wait is seen: {answer}");
    assert_eq!((last.as_str(), &run["outcome"], &run["counts"]["create"]), ("run", &json!("done"), &json!(1)));
    assert_eq!(*run, program.get("/v1/runs/1").await.unwrap(), "the run as it ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_ends_the_stream_with_the_run_as_it_is() {
    let server = ListServer::start().await;
    server.stall("s");
    let (_installation, mut program) = started(&server).await;
    let caller = program.caller().unwrap();
    until("the source is asked", async || server.stalled() > 0).await;
    let following = tokio::spawn(async move { caller.exchange("GET", "/v1/runs/1/events").await });
    // It is followed, and only then the process is told to end.
    let served = r#"rollcall_http_requests_total{route="/v1/runs/{run}/events",method="GET",code="200"} 1"#;
    let metrics = program.caller().unwrap();
    until("it is followed", async || {
        metrics.exchange("GET", "/metrics").await.is_some_and(|text| text.contains(served))
    })
    .await;
    program.signal("-TERM");
    assert_eq!(timeout(Duration::from_secs(30), program.code()).await.unwrap(), Some(0), "{}", program.stderr());
    let events = events(&following.await.unwrap().unwrap());
    let (last, run) = events.last().unwrap();
    assert_eq!((last.as_str(), &run["error"]["reason"]), ("run", &json!("interrupted")), "{events:?}");
}
