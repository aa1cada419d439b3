//! Sources that suddenly say something else, through the real binary: nobody is lost, and it is said in words.

use serde_json::{Value, json};

use super::people::{cancelled, erased, page, person};
use crate::support::{Installation, ListServer, ONE_FEED, Program};

struct Place {
    installation: Installation,
    server: ListServer,
}

impl Place {
    /// Synced once: 24 people.
    async fn new() -> Self {
        let server = ListServer::start().await;
        let config = ONE_FEED.replace("enabled = false", "enabled = true");
        let config = config.replace("URL", &format!("http://{}", server.address));
        let place = Self { installation: Installation::new(&config), server };
        place.server.set("s", page((1..=24).map(person)));
        assert_eq!(place.run(&["sync", "e"]).await.0, Some(0));
        place
    }

    async fn run(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let mut program = self.installation.start(arguments);
        (program.code().await, program.stdout())
    }

    async fn json(&self, arguments: &[&str]) -> (Option<i32>, Value) {
        let (code, text) = self.run(&[arguments, &["--json"]].concat()).await;
        (code, serde_json::from_str(&text).unwrap_or_default())
    }

    /// Users and attendees.
    async fn people(&self) -> (Value, Value) {
        let (_, status) = self.json(&["status"]).await;
        (status["users"].clone(), status["events"][0]["attendees"].clone())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_gone_wrong_takes_nobody_away_and_the_exit_code_says_so() {
    let everybody = (json!(24), json!(24));
    let lists: [(&str, Vec<String>, i32, &str, &str); 6] = [
        ("an empty list", page([]), 3, "held", "the list is empty; the last complete one had 24 registrations"),
        ("an error with 200", vec![r#"{"error": "not today"}"#.into()], 1, "failed", ".items"),
        ("half the list", page((1..=12).map(person)), 3, "held", "the list lacks 12 of the 24 registrations it had"),
        ("another event", page((101..=124).map(person)), 3, "held", "the list lacks 24 of the 24 registrations"),
        ("all flagged", page((1..=24).map(erased)), 3, "held", "24 people would be deleted permanently"),
        ("all cancelled", page((1..=24).map(cancelled)), 3, "held", "nobody of the 24 attendees would remain"),
    ];
    for (what, list, code, outcome, words) in lists {
        let place = Place::new().await;
        place.server.set("s", list);
        let (ended, said) = place.run(&["sync", "e"]).await;
        assert_eq!(ended, Some(code), "{what}: {said}");
        assert!(said.contains(&format!("run 2 of e from s: {outcome}")) && said.contains(words), "{what}: {said}");
        assert_eq!(place.people().await, everybody, "{what}");
        let (_, status) = place.json(&["status"]).await;
        assert_eq!(status["events"][0]["held"], if code == 3 { json!([2]) } else { json!([]) }, "{what}");
        let (_, run) = place.json(&["runs", "show", "2"]).await;
        let reasons = run["held"].as_array().unwrap().len();
        assert_eq!((reasons > 0, run["applied"].as_u64()), (code == 3, Some(0)), "{what}: {run}");
        place.server.set("s", page((1..=24).map(person)));
        let (_, again) = place.json(&["sync", "e"]).await;
        let (run, counts) = (&again["runs"][0], &again["runs"][0]["counts"]);
        assert_eq!((&run["outcome"], &counts["unchanged"]), (&json!("done"), &json!(24)), "{what}: {again}");
        let before = place.json(&["runs", "show", "2"]).await.1;
        assert_eq!(before["outcome"], if code == 3 { "superseded" } else { "failed" }, "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn approving_does_what_was_planned_and_rejecting_does_nothing() {
    let place = Place::new().await;
    place.server.set("s", page((1..=24).map(erased)));
    assert_eq!(place.run(&["sync", "e"]).await.0, Some(3));
    let (_, shown) = place.run(&["runs", "show", "2", "--changes"]).await;
    assert!(shown.contains("delete  p7@x.org"), "whoever decides sees whom it is about: {shown}");
    assert_eq!(place.run(&["reject", "2"]).await, (Some(0), "run 2 is rejected; nobody was changed\n".into()));
    assert_eq!(place.people().await, (json!(24), json!(24)));
    assert_eq!(place.run(&["approve", "2"]).await.0, Some(1), "it is no longer held");
    assert_eq!(place.run(&["approve", "9"]).await.0, Some(2), "there is no such run");
    assert_eq!(place.run(&["sync", "e"]).await.0, Some(3), "the same again: nothing of it was remembered");
    let (code, run) = place.json(&["approve", "3"]).await;
    assert_eq!((code, &run["outcome"], &run["counts"]["delete"]), (Some(0), &json!("done"), &json!(24)), "{run}");
    assert_eq!(run["decision"]["by"], "the command line");
    assert_eq!(place.people().await, (json!(0), json!(0)));
    let (_, changes) = place.run(&["runs", "show", "3", "--changes"]).await;
    assert!(!changes.contains("@x.org"), "nothing is kept of who was deleted: {changes}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_decides_and_counts() {
    let place = Place::new().await;
    let server: Program = place.installation.start(&["serve"]);
    server.serves().await;
    place.server.set("s", page([]));
    let (_, held) = server.ask("POST", "/v1/events/e/sync?wait=60s").await.unwrap();
    assert_eq!(held["runs"][0]["outcome"], "held", "{held}");
    assert_eq!(server.get("/v1/events/e").await.unwrap()["feeds"][0]["held"], 2);
    let (status, problem) = server.ask("POST", "/v1/runs/1/approve").await.unwrap();
    assert_eq!((status, &problem["detail"]), (409, &json!("run 1 is not held: it is done")));
    assert_eq!(server.ask("POST", "/v1/runs/9/reject").await.unwrap().0, 404);
    let (status, run) = server.ask("POST", "/v1/runs/2/reject").await.unwrap();
    assert_eq!((status, &run["outcome"]), (200, &json!("rejected")));
    let (status, problem) = server.ask("POST", "/v1/runs/2/reject").await.unwrap();
    let said = "run 2 is not held: the command line decided on it, and it is rejected";
    assert_eq!((status, &problem["detail"]), (409, &json!(said)));
    assert_eq!(server.get("/v1/runs?outcome=rejected").await.unwrap()["items"][0]["id"], 2);
    let (_, held) = server.ask("POST", "/v1/events/e/sync?wait=60s").await.unwrap();
    assert_eq!(held["runs"][0]["outcome"], "held", "{held}");
    assert_eq!(server.ask("POST", "/v1/runs/3/approve").await.unwrap().0, 202);
    let log = server.get("/v1/audit").await.unwrap();
    let told = log["items"].as_array().unwrap().iter().map(|e| [&e["action"], &e["subject"]]).collect::<Vec<_>>();
    assert_eq!(
        told,
        [[&json!("run_approved"), &json!("3")], [&json!("run_rejected"), &json!("2")]],
        "once each: {log}"
    );
}
