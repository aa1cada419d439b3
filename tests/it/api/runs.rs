//! Runs: started, waited for, followed, cancelled, and read afterwards.

use std::time::Duration;

use rollcall::demo::{ExpectedState, Fake, FakeOptions};
use serde_json::{Value, json};

use super::fixture::{Fixture, ended};

/// A list so slow that a run of it is still going when it is looked at.
async fn slow() -> Fixture {
    let options = FakeOptions { count: 500, latency: Duration::from_millis(300), ..FakeOptions::default() };
    Fixture::with(options).await
}

#[tokio::test]
async fn a_run_is_started_once_shows_its_progress_and_ends() {
    let fixture = slow().await;
    let started = fixture.post("/v1/events/summit/sync", None).await;
    assert_eq!(started.status, 202, "{}", started.text);
    let expected = json!({"runs": [{"run": 1, "event": "summit", "source": "demo", "already_running": false}]});
    assert_eq!(started.json(), expected);
    let again = fixture.post("/v1/events/summit/sync?source=demo&wait=1ms", None).await;
    assert_eq!((again.status, &again.json()["runs"][0]["already_running"]), (202, &json!(true)), "{}", again.text);

    let going = fixture.get("/v1/runs/1").await.json();
    assert_eq!((&going["ended_at"], &going["outcome"]), (&Value::Null, &Value::Null));
    assert_eq!(going["progress"]["phase"], "reading");
    assert_eq!(fixture.get("/v1/events/summit").await.json()["feeds"][0]["running"], 1);
    assert_eq!(fixture.get("/v1/status").await.json()["events"][1]["last_run"]["id"], 1);
    fixture.get("/v1/runs/1/changes").await.problem(404);
    fixture.delete("/v1/events/summit").await.problem(409);

    let run = ended(&fixture, 1).await;
    assert_eq!((&run["outcome"], &run["progress"]), (&json!("done"), &Value::Null));
    assert_eq!((&run["counts"]["records"], &run["trigger"]), (&json!(500), &json!("cli")));
}

#[tokio::test]
async fn the_end_of_a_run_can_be_waited_for() {
    let fixture = slow().await;
    fixture.post("/v1/events/summit/sync", None).await;
    let going = fixture.get("/v1/runs/1?wait=1ms").await.json();
    assert_eq!((&going["ended_at"], &going["progress"]["phase"]), (&Value::Null, &json!("reading")));
    let run = fixture.get("/v1/runs/1?wait=1m").await.json();
    assert_eq!((&run["outcome"], &run["progress"]), (&json!("done"), &Value::Null));
    assert_eq!(fixture.get("/v1/runs/1?wait=1m").await.json(), run, "one that has ended is not waited for");
    fixture.get("/v1/runs/2?wait=1m").await.problem(404);
    fixture.get("/v1/runs/1?wait=soon").await.problem(400);
}

#[tokio::test]
async fn a_run_of_a_token_is_told_from_the_command_lines() {
    let fixture = Fixture::new(10).await;
    let token = fixture.token(&["sync"]).await;
    let path = "/v1/events/summit/sync?wait=60s&dry_run&full=1";
    let answer = fixture.ask_as(Some(&token), axum::http::Method::POST, path, None).await;
    let run = &answer.json()["runs"][0];
    assert_eq!([&run["trigger"], &run["dry_run"], &run["full"]], [&json!("api"), &json!(true), &json!(true)]);
    assert_eq!(fixture.app.store.user_count(), 0, "a dry run commits nothing");
    assert!(!fixture.list("/v1/runs/1/changes?action=create", 100).await.is_empty());
}

#[tokio::test]
async fn a_run_is_cancelled_once() {
    let fixture = slow().await;
    fixture.post("/v1/events/summit/sync", None).await;
    let cancelled = fixture.post("/v1/runs/1/cancel", None).await;
    assert_eq!((cancelled.status, &cancelled.json()["id"]), (202, &json!(1)), "{}", cancelled.text);
    let run = ended(&fixture, 1).await;
    assert_eq!(run["outcome"], "cancelled");
    fixture.post("/v1/runs/1/cancel", None).await.problem(409);
    fixture.post("/v1/runs/9/cancel", None).await.problem(404);
    let log = fixture.list("/v1/audit?action=run_cancelled", 10).await;
    assert_eq!(log.iter().map(|entry| &entry["subject"]).collect::<Vec<_>>(), ["1"], "once");
    assert_eq!(fixture.app.store.user_count(), 0);
    let hint = fixture.get("/v1/runs/1/changes").await;
    hint.problem(404);
}

#[tokio::test]
async fn changes_are_the_plan_entry_by_entry() {
    let fixture = Fixture::new(300).await;
    let run = fixture.sync("").await;
    let whole = fixture.list("/v1/runs/1/changes", 1000).await;
    assert_eq!(fixture.list("/v1/runs/1/changes", 7).await, whole);
    for action in ["create", "update", "remove", "delete", "skip", "reject"] {
        let of = fixture.list(&format!("/v1/runs/1/changes?action={action}"), 50).await;
        assert_eq!(run["counts"][action], of.len(), "{action}");
        assert!(of.iter().all(|change| change["action"] == action));
        assert_eq!(of, whole.iter().filter(|change| change["action"] == action).cloned().collect::<Vec<_>>());
    }
    let create = whole.iter().find(|change| change["action"] == "create").unwrap();
    assert_eq!(create["before"], Value::Null);
    assert_eq!(create["email"], create["after"]["email"]["value"]);
    assert_eq!(create["user"], create["after"]["id"]);
    let details = create["details"].as_array().unwrap();
    assert!(details.iter().any(|d| d["kind"] == "field" && d["field"] == "first_name" && d["before"].is_null()));
    let user = fixture.get(&format!("/v1/users/{}", create["user"].as_str().unwrap())).await.json();
    assert_eq!(create["after"], user, "what was planned is what is there");
    let reject = whole.iter().find(|change| change["action"] == "reject").unwrap();
    assert!(reject["reason"].is_string() && reject["external_id"].is_string(), "{reject}");
    assert!(reject["position"]["page"].as_u64().unwrap() >= 1);

    fixture.sync("").await;
    assert!(fixture.list("/v1/runs/2/changes?action=create", 10).await.is_empty());
    std::fs::remove_file(fixture.app.store.runs_folder().join("1.journal")).unwrap();
    let expired = fixture.get("/v1/runs/1/changes").await;
    expired.problem(404);
    assert!(expired.json()["hint"].as_str().unwrap().contains("journal_days"), "{}", expired.text);
}

#[tokio::test]
async fn history_is_filtered_and_paged_newest_first() {
    let fixture = Fixture::synced(10).await;
    fixture.sync("").await;
    let failed = fixture.post("/v1/events/dark/sync?wait=30s", None).await.json();
    assert_eq!(
        (&failed["runs"][0]["outcome"], &failed["runs"][0]["error"]["reason"]),
        (&json!("failed"), &json!("connect"))
    );
    let ids = |runs: Vec<Value>| runs.iter().map(|run| run["id"].as_u64().unwrap()).collect::<Vec<_>>();
    assert_eq!(ids(fixture.list("/v1/runs", 1).await), [3, 2, 1]);
    assert_eq!(ids(fixture.list("/v1/runs?event=summit", 1).await), [2, 1]);
    assert_eq!(ids(fixture.list("/v1/runs?source=dead", 10).await), [3]);
    assert_eq!(ids(fixture.list("/v1/runs?outcome=failed", 10).await), [3]);
    assert_eq!(ids(fixture.list("/v1/runs?outcome=done&event=dark", 10).await), [0; 0]);
    let log = fixture.get("/v1/runs/3/log").await.json();
    let last = log["items"].as_array().unwrap().last().unwrap();
    assert_eq!(last["level"], "error");
    assert!(last["text"].as_str().unwrap().starts_with("connect: "), "{last}");
}

#[tokio::test]
async fn waits_are_times_with_units() {
    let fixture = Fixture::new(5).await;
    for (wait, good) in [("30s", true), ("1h", true), ("0s", true), ("30", false), ("", false), ("-1s", false)] {
        let answer = fixture.post(&format!("/v1/events/summit/sync?wait={wait}"), None).await;
        if good {
            assert!(matches!(answer.status, 200 | 202), "{wait}: {}", answer.text);
        } else {
            assert_eq!(answer.problem(400), ["wait"], "{wait}");
        }
    }
    fixture.post("/v1/events/other/sync", None).await.problem(404);
    fixture.post("/v1/events/summit/sync?source=dead", None).await.problem(404);
}

#[tokio::test]
async fn a_preview_shows_records_raw_and_mapped() {
    let lists = (1..).map(|seed| FakeOptions { count: 300, seed, ..FakeOptions::default() });
    let broken = |options: &FakeOptions| {
        let truth = Fake::new(options.clone()).truth();
        truth[..100].iter().any(|record| record.state == ExpectedState::Rejected)
    };
    let fixture = Fixture::with(lists.into_iter().find(broken).unwrap()).await;
    let answer = fixture.post("/v1/events/summit/preview", None).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let preview = answer.json();
    let records = preview["records"].as_array().unwrap();
    assert_eq!((records.len(), &preview["page_records"]), (100, &json!(100)));
    assert_eq!((&preview["event"], &preview["source"]), (&json!("summit"), &json!("demo")));
    for record in records {
        let key = match record["outcome"].as_str() {
            Some("skipped") => "skip",
            Some("rejected") => "reject",
            other => other.unwrap(),
        };
        assert!(!record[key].is_null(), "{record}");
    }
    let mapped = records.iter().find(|record| record["mapped"]["state"] == "attending").unwrap();
    assert_eq!(mapped["mapped"]["external_id"], mapped["raw"]["id"]);
    assert_eq!(mapped["mapped"]["fields"]["first_name"], mapped["raw"]["first_name"]);
    assert!(records.iter().any(|record| record["reject"]["reason"].is_string()));
    assert_eq!((fixture.app.store.user_count(), fixture.list("/v1/runs", 10).await.len()), (0, 0));

    let failed = fixture.post("/v1/events/dark/preview?source=dead", None).await;
    let failure = &failed.json()["failure"];
    assert_eq!((failed.status, &failure["reason"]), (200, &json!("connect")), "{}", failed.text);
    assert!(failure["hint"].is_string());
    fixture.post("/v1/events/summit/preview?source=dead", None).await.problem(404);
}

#[tokio::test]
async fn sources_tell_how_they_fare() {
    let fixture = Fixture::new(5).await;
    fixture.post("/v1/events/dark/sync?wait=30s", None).await;
    let dead = fixture.get("/v1/sources/dead").await.json();
    let error = &dead["last_error"];
    assert_eq!((&error["reason"], &error["run"], &error["event"]), (&json!("connect"), &json!(1), &json!("dark")));
    assert_eq!([&dead["host"], &dead["auth"], &dead["pagination"]], ["127.0.0.1:1", "bearer", "none"]);
    assert_eq!((&dead["budget"][0]["requests"], &dead["budget"][0]["per"]), (&json!(100), &json!("second")));
    assert!(dead["budget"][0]["remaining"].as_u64().unwrap() <= 100);
    assert_eq!((&dead["feeds"][0]["event"], &dead["feeds"][0]["consecutive_failures"]), (&json!("dark"), &json!(1)));
    assert_eq!(dead["paused"], Value::Null);
    let day = &dead["budget"][1];
    assert_eq!([&day["requests"], &day["per"], &day["remaining"]], [&json!(5), &json!("day"), &json!(4)]);
    assert_eq!([&day["opens_at"], &day["resets_at"], &day["zone"]], [&Value::Null; 3]);
    let names: Vec<_> = fixture.list("/v1/sources", 1).await.iter().map(|source| source["name"].clone()).collect();
    assert_eq!(names, ["dead", "demo"]);
    assert_eq!(fixture.get("/v1/sources/demo").await.json()["last_error"], Value::Null);
}

#[tokio::test]
async fn a_source_whose_quota_is_used_up_says_when_it_opens() {
    let fixture = Fixture::new(5).await;
    let mut reasons = Vec::new();
    for _ in 0..6 {
        fixture.post("/v1/events/dark/sync?wait=30s", None).await;
        let dead = fixture.get("/v1/sources/dead").await.json();
        reasons.push(dead["last_error"]["reason"].as_str().unwrap().to_owned());
    }
    assert_eq!(reasons, ["connect", "connect", "connect", "connect", "connect", "quota"]);
    let dead = fixture.get("/v1/sources/dead").await.json();
    assert_eq!(dead["budget"][1]["remaining"], 0);
    let opens_at = dead["budget"][1]["opens_at"].as_str().unwrap();
    let error = dead["last_error"]["message"].as_str().unwrap();
    assert!(error.ends_with("the source's quota is used up; it opens again in 24 h 0 min"), "{error}");
    let log = fixture.get("/v1/runs/6/log").await.text;
    // To the minute, for the two were told at two moments.
    assert!(log.contains(&format!("the source can be asked again at {}", &opens_at[..16])), "{opens_at} not in {log}");
    let metrics = fixture.get("/metrics").await.text;
    for line in [
        r#"rollcall_source_budget_remaining{source="dead",window="day"} 0"#,
        r#"rollcall_sync_errors_total{source="dead",reason="quota"} 1"#,
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
}
