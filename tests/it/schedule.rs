//! Schedules and pauses, as the API, the command line, the metrics and the server have them.

use serde_json::{Value, json};

use crate::api::fixture::Fixture;
use crate::support::{Installation, ListServer, ONE_FEED, until};

fn hourly(more: &str) -> String {
    ONE_FEED.replace(
        "title = \"The event\"",
        &format!("title = \"The event\"\nschedule = {{ kind = \"hourly\", jitter = \"0s\"{more} }}"),
    )
}

fn page() -> Vec<String> {
    let person = |n: u32| json!({"id": n, "email": format!("p{n}@x.org"), "first": "F", "last": "L"});
    vec![json!({"items": [person(1), person(2)]}).to_string()]
}

#[tokio::test]
async fn a_schedule_is_set_over_the_api_told_and_refused_by_the_files_rules() {
    let fixture = Fixture::new(20).await;
    let path = "/v1/events/gala";
    let body = |schedule: Value, feed: Value| {
        json!({
            "title": "Gala", "starts_at": "2026-06-01T09:00:00Z", "ends_at": "2026-06-02T02:00:00Z", "zone": "Europe/Berlin",
            "schedule": schedule,
            "feeds": [{"source": "demo", "params": {"event": "summit"}, "schedule": feed}],
        })
    };
    let daily = json!({"kind": "daily", "at": "03:00", "final_sync": "1d after end", "jitter": "0s"});
    let made = fixture.put(path, &body(daily, Value::Null)).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let event = made.json();
    let expected = json!({
        "kind": "daily", "at": "03:00", "every": null, "cron": null, "live_at": null, "final_sync": "1d after end", "jitter": "0s",
    });
    assert_eq!(
        (&event["schedule"], &event["feeds"][0]["schedule"], &event["paused"]),
        (&expected, &Value::Null, &Value::Null)
    );
    let timing = |event: &Value| {
        let feed = &event["feeds"][0];
        json!([feed["next_run"], feed["next_run_why"], feed["fresh_until"], feed["final_sync"]])
    };
    let last = json!({"at": "2026-06-03T02:00:00Z", "state": "pending"});
    assert_eq!(timing(&event), json!(["2026-03-01T08:00:00Z", "first", null, last]));
    // It is synced by hand meanwhile.
    let synced = fixture.post(&format!("{path}/sync?wait=60s"), None).await;
    assert_eq!(synced.json()["runs"][0]["outcome"], "done", "{}", synced.text);
    let event = fixture.get(path).await.json();
    assert_eq!(timing(&event), json!(["2026-03-02T02:00:00Z", "time", "2026-03-03T02:15:00Z", last]));
    let source = fixture.get("/v1/sources/demo").await.json();
    let of = |list: &Value, name: &str| {
        list.as_array().unwrap().iter().find(|item| item["event"] == name).unwrap()["next_run"].clone()
    };
    assert_eq!(
        (of(&source["feeds"], "gala"), of(&source["feeds"], "summit")),
        (json!("2026-03-02T02:00:00Z"), Value::Null)
    );
    let status = fixture.get("/v1/status").await.json();
    assert_eq!(
        (of(&status["events"], "gala"), of(&status["events"], "summit")),
        (json!("2026-03-02T02:00:00Z"), Value::Null)
    );
    // A feed says it otherwise, as a whole.
    let own = fixture.put(path, &body(json!({"kind": "hourly"}), json!({"kind": "off"}))).await.json();
    assert_eq!(timing(&own), json!([null, "off", null, null]));

    for (schedule, field) in [
        (json!({"kind": "weekly"}), "schedule.kind"),
        (json!({"kind": "daily", "at": "3pm"}), "schedule.at"),
        (json!({"kind": "cron", "cron": "0 0 31 2 *"}), "schedule.cron"),
        (json!({"kind": "daily", "sometimes": true}), "schedule"),
        (json!({"kind": "every"}), "schedule.every"),
        (json!({"kind": "every", "every": "1s"}), "schedule.every"),
        (json!({"kind": "off", "jitter": "1s"}), "schedule.jitter"),
        (json!({"kind": "phases"}), "schedule.live_at"),
    ] {
        let fields = fixture.put(path, &body(schedule.clone(), Value::Null)).await.problem(422);
        assert!(fields.iter().any(|found| found.starts_with(field)), "{schedule}: {fields:?}");
    }
    let fields = fixture.put(path, &body(Value::Null, json!({"kind": "every"}))).await.problem(422);
    assert_eq!(fields, ["feeds[0].schedule.every"]);
}

#[tokio::test]
async fn times_are_metrics_only_where_there_are_any() {
    let fixture = Fixture::new(20).await;
    let body = json!({
        "title": "Gala", "schedule": {"kind": "daily", "at": "03:00", "jitter": "0s"},
        "feeds": [{"source": "demo", "params": {"event": "summit"}}],
    });
    assert_eq!(fixture.put("/v1/events/gala", &body).await.status, 201);
    fixture.post("/v1/events/gala/sync?wait=60s", None).await;
    let has = async |line: &str| fixture.get("/metrics").await.text.lines().any(|found| found == line);
    let gauge = |name: &str, event: &str, value: &str| {
        format!("rollcall_feed_{name}{{event=\"{event}\",source=\"demo\"}} {value}")
    };
    // 2026-03-02T03:00:00Z, and the day after with 15 minutes.
    let next = gauge("next_run_timestamp_seconds", "gala", "1772420400");
    let fresh = gauge("fresh_until_timestamp_seconds", "gala", "1772507700");
    assert!(has(&next).await && has(&fresh).await && has(&gauge("sync_enabled", "gala", "1")).await);
    assert!(has(&gauge("sync_enabled", "summit", "0")).await);
    let text = fixture.get("/metrics").await.text;
    assert!(!text.contains("next_run_timestamp_seconds{event=\"summit\""), "{text}");
    assert_eq!(fixture.post("/v1/events/gala/pause", None).await.status, 200);
    let text = fixture.get("/metrics").await.text;
    assert!(has(&gauge("sync_enabled", "gala", "0")).await);
    assert!(
        !text.contains("next_run_timestamp_seconds{") && !text.contains("fresh_until_timestamp_seconds{"),
        "{text}"
    );
}

#[tokio::test]
async fn a_pause_is_kept_and_lifted_by_hand_and_both_are_in_the_audit_log() {
    let fixture = Fixture::new(20).await;
    let paused = fixture.post("/v1/events/summit/pause", None).await;
    assert_eq!(paused.status, 200, "{}", paused.text);
    let pause = paused.json()["paused"].clone();
    assert_eq!((&pause["at"], &pause["why"]), (&json!("2026-03-01T08:00:00Z"), &json!("by hand")), "{pause}");
    assert!(pause["by"].as_str().is_some_and(|by| !by.is_empty()), "{pause}");
    assert_eq!(fixture.post("/v1/events/summit/pause", None).await.json()["paused"], pause, "it stays as it is");
    let status = fixture.get("/v1/status").await.json();
    let summit = status["events"].as_array().unwrap().iter().find(|event| event["event"] == "summit").unwrap().clone();
    assert_eq!(summit["paused"], pause);
    for _ in 0..2 {
        let resumed = fixture.post("/v1/events/summit/resume", None).await;
        assert_eq!((resumed.status, &resumed.json()["paused"]), (200, &Value::Null));
    }
    let audit = fixture.get("/v1/audit").await.json();
    let told: Vec<_> = audit["items"].as_array().unwrap().iter().map(|e| (&e["action"], &e["subject"])).collect();
    assert_eq!(
        told,
        [(&json!("event_resumed"), &json!("summit")), (&json!("event_paused"), &json!("summit"))],
        "{audit}"
    );
    fixture.post("/v1/events/none/pause", None).await.problem(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn undoing_a_run_pauses_an_event_that_is_synced_by_itself() {
    let server = ListServer::start().await;
    server.set("s", page());
    let installation = Installation::new(&hourly("").replace("URL", &format!("http://{}", server.address)));
    let run = async |arguments: &[&str]| {
        let mut program = installation.start(arguments);
        (program.code().await, program.stdout())
    };
    assert_eq!(run(&["sync", "e"]).await.0, Some(0));
    let (_, said) = run(&["status"]).await;
    assert!(said.contains("next run "), "{said}");
    let (code, said) = run(&["undo", "1"]).await;
    assert!(code == Some(0) && said.contains("event e is paused") && said.contains("rollcall resume e"), "{said}");
    let (_, said) = run(&["status"]).await;
    assert!(said.contains("paused (run 1 was undone)") && !said.contains("next run"), "{said}");
    let (code, said) = run(&["resume", "e"]).await;
    assert_eq!((code, said.trim()), (Some(0), "event e is not paused"));
    let (code, said) = run(&["pause", "e"]).await;
    assert!(code == Some(0) && said.contains("`rollcall resume e`"), "{said}");
    let (_, said) = run(&["status", "--json"]).await;
    let status: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(status["events"][0]["paused"]["why"], "by hand", "{status}");
}

/// The server itself, on the clock of the day: what is due at its start is synced once.
#[tokio::test(flavor = "multi_thread")]
async fn the_server_syncs_what_is_due_and_tells_when_next() {
    let server = ListServer::start().await;
    server.set("s", page());
    let installation = Installation::new(&hourly("").replace("URL", &format!("http://{}", server.address)));
    let program = installation.start(&["serve"]);
    program.serves().await;
    let mut runs = Value::Null;
    until("a sync was begun and has ended", async || {
        runs = program.get("/v1/runs").await.unwrap_or_default();
        runs["items"][0]["ended_at"].is_string()
    })
    .await;
    assert_eq!((&runs["items"][0]["trigger"], &runs["items"][0]["outcome"]), (&json!("schedule"), &json!("done")));
    assert_eq!(runs["items"].as_array().map(Vec::len), Some(1), "{runs}");
    let feed = program.get("/v1/events/e").await.unwrap()["feeds"][0].clone();
    assert!(feed["next_run"].as_str() > runs["items"][0]["ended_at"].as_str(), "{feed}");
    assert_eq!(feed["next_run_why"], "time");
}
