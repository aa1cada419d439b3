//! Events: those of the file are read-only, those made over the API come and go.

use serde_json::{Value, json};

use super::fixture::Fixture;

#[tokio::test]
async fn an_event_tells_its_people_and_its_feeds() {
    let fixture = Fixture::synced(200).await;
    let event = fixture.get("/v1/events/summit").await.json();
    let (active, inactive) = fixture.app.store.attendee_counts(&"summit".to_owned().try_into().unwrap());
    assert!(active > 100);
    let expected = json!({
        "name": "summit", "title": "Demo Summit", "starts_at": null, "ends_at": null, "zone": "UTC",
        "provisioned": true, "schedule": null, "paused": null,
        "attendees": {"active": active, "inactive": inactive},
        "feeds": [{
            "source": "demo", "params": {"event": "summit"},
            "missing": null, "missing_runs": null, "held": null,
            "guard": {
                "enabled": null, "max_removed": null, "max_deleted": null, "min_expected": null, "max_rejected": null,
                "held_days": null,
            },
            "last_success": "2026-03-01T08:00:00Z", "last_attempt": "2026-03-01T08:00:00Z",
            "consecutive_failures": 0, "last_run": 1, "running": null, "goes_on_at": null,
            "mapping": {}, "schedule": null, "next_run": null, "next_run_why": "off", "fresh_until": null, "final_sync": null,
        }],
        "access": {"admission": "open", "pages": {}},
        "links": null,
    });
    assert_eq!(event, expected);
    let names: Vec<_> = fixture.list("/v1/events", 1).await.iter().map(|event| event["name"].clone()).collect();
    assert_eq!(names, ["dark", "summit"]);
}

#[tokio::test]
async fn events_of_the_file_are_read_only() {
    let fixture = Fixture::new(1).await;
    let put = fixture.put("/v1/events/summit", &json!({"title": "Mine"})).await;
    let delete = fixture.delete("/v1/events/summit").await;
    for answer in [put, delete] {
        answer.problem(409);
        assert!(answer.json()["detail"].as_str().unwrap().contains("rollcall.toml"), "{}", answer.text);
    }
}

#[tokio::test]
async fn an_event_is_made_changed_synced_and_kept_while_it_has_people() {
    let fixture = Fixture::new(60).await;
    let path = "/v1/events/gala";
    let body = json!({
        "title": "Gala", "starts_at": "2026-06-01T20:00:00+02:00", "ends_at": "2026-06-02T02:00:00+02:00",
        "zone": "Europe/Berlin",
        "feeds": [{"source": "demo", "params": {"event": "summit", "extra": "x"}}],
    });
    let made = fixture.put(path, &body).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let made = made.json();
    assert_eq!((&made["starts_at"], &made["provisioned"]), (&json!("2026-06-01T18:00:00Z"), &json!(false)));
    assert_eq!((&made["ends_at"], &made["zone"]), (&json!("2026-06-02T00:00:00Z"), &json!("Europe/Berlin")));
    assert_eq!(made["warnings"].as_array().unwrap().len(), 1, "{made}");
    let metrics = fixture.get("/metrics").await.text;
    assert!(metrics.contains(r#"rollcall_sync_in_progress{event="gala",source="demo"} 0"#), "{metrics}");

    let changed = fixture.put(path, &json!({"title": "The Gala", "feeds": body["feeds"]})).await;
    assert_eq!((changed.status, &changed.json()["starts_at"]), (200, &Value::Null), "{}", changed.text);

    let synced = fixture.post(&format!("{path}/sync?wait=60s"), None).await;
    assert_eq!((synced.status, &synced.json()["runs"][0]["outcome"]), (200, &json!("done")), "{}", synced.text);
    fixture.delete(path).await.problem(409);

    assert_eq!(fixture.put("/v1/events/empty", &json!({"title": "Empty"})).await.status, 201);
    let attendees = r#"rollcall_event_attendees{event="empty""#;
    assert!(fixture.get("/metrics").await.text.contains(attendees));
    fixture.post("/v1/events/empty/sync", None).await.problem(409);
    assert_eq!(fixture.delete("/v1/events/empty").await.status, 204);
    assert!(!fixture.get("/metrics").await.text.contains(attendees), "what there no longer is has no gauge");
    fixture.get("/v1/events/empty").await.problem(404);
    fixture.delete("/v1/events/empty").await.problem(404);
}

#[tokio::test]
async fn a_feed_of_the_api_has_a_guard_of_its_own_which_is_kept_and_bounded() {
    let fixture = Fixture::new(60).await;
    let path = "/v1/events/gala";
    let guard = json!({
        "enabled": true, "max_removed": 7, "max_deleted": 0, "min_expected": 1000, "max_rejected": 100, "held_days": 3,
    });
    let feed = json!({"source": "demo", "params": {"event": "summit"}, "missing": "remove", "missing_runs": 3, "guard": guard});
    let made = fixture.put(path, &json!({"title": "Gala", "feeds": [feed]})).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let kept = fixture.get(path).await.json()["feeds"][0].take();
    assert_eq!([&kept["missing"], &kept["missing_runs"], &kept["guard"]], [&json!("remove"), &json!(3), &guard]);
    let synced = fixture.post(&format!("{path}/sync?wait=60s"), None).await.json();
    let run = &synced["runs"][0];
    assert_eq!((&run["outcome"], &run["held"][0]["reason"]), (&json!("held"), &json!("below_expected")), "{run}");
    let token = fixture.token(&["read", "sync"]).await;
    let approve = format!("/v1/runs/{}/approve", run["id"]);
    let refused = fixture.ask_as(Some(&token), axum::http::Method::POST, &approve, None).await;
    assert_eq!(refused.status, 403, "starting syncs is not deciding on them");
    let feed = json!({"source": "demo", "params": {"event": "summit"}, "missing_runs": 0, "guard": {"max_removed": 101, "held_days": 366}});
    let faulty = fixture.put(path, &json!({"title": "Gala", "feeds": [feed]})).await;
    let fields = ["feeds[0].missing_runs", "feeds[0].guard.max_removed", "feeds[0].guard.held_days"];
    assert_eq!(faulty.problem(422), fields);
}

#[tokio::test]
async fn settings_that_are_not_valid_are_listed_fault_by_fault() {
    let fixture = Fixture::new(1).await;
    let path = "/v1/events/gala";
    for (body, fields) in [
        (json!({"feeds": []}), &["title"][..]),
        (json!({"title": ""}), &["title"]),
        (json!({"title": "a", "colour": "red"}), &["colour"]),
        (json!({"title": "a", "starts_at": "tomorrow"}), &["starts_at"]),
        (json!({"title": "a", "feeds": [{"source": "Demo"}]}), &["feeds[0].source"]),
        (json!({"title": "a", "feeds": [{"source": "dmo"}]}), &["feeds[0].source"]),
        (json!({"title": "a", "feeds": [{"source": "demo"}]}), &["feeds[0].params"]),
        (json!({"title": "a", "feeds": [{"source": "demo", "params": {"event": 1}}]}), &["feeds[0].params.event"]),
        (json!({"title": "a", "feeds": [{"source": "demo", "params": {"event": ".."}}]}), &["feeds[0].params.event"]),
        (
            json!({"title": "", "feeds": [{"source": "nope"}, {"source": "demo"}]}),
            &["title", "feeds[0].source", "feeds[1].params"],
        ),
    ] {
        let answer = fixture.put(path, &body).await;
        assert_eq!(answer.problem(422), fields, "{body}: {}", answer.text);
        assert!(!answer.json()["errors"][0]["detail"].as_str().unwrap().is_empty());
    }
    fixture.get(path).await.problem(404);
}
