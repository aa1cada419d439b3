//! What goes wrong on the way back: refusals, failures, kills, changes of mind.

use std::time::Duration;

use axum::http::Method;
use serde_json::{Value, json};

use super::gco::{System, ask, counts, get, later, pass, receipts, send, user};
use crate::support::{Appliance, Installation, until};

async fn synced(system: &System) -> Appliance {
    system.with(|gco| {
        gco.register("1", "Ada", "Lovelace", "United Kingdom");
        gco.register("2", "Grace", "Hopper", "United States");
    });
    let appliance = system.appliance().await;
    appliance.sync("summit", "gco", false, false).await;
    appliance
}

/// Sent, and read back.
async fn confirmed(system: &System) -> Appliance {
    let appliance = synced(system).await;
    send(&appliance, false).await;
    appliance.sync("summit", "gco", false, false).await;
    assert_eq!(counts(&appliance).await, [0, 0, 2, 0]);
    system.pushes();
    appliance
}

#[tokio::test(flavor = "multi_thread")]
async fn another_password_is_sent_and_read_back_again() {
    let system = System::start().await;
    let appliance = confirmed(&system).await;
    let ada = user(&appliance, "Ada").await;
    let before = pass(&appliance, &ada).await;
    let path = format!("/v1/events/summit/attendees/{ada}/pass/rotate");
    let (status, after) = ask(&appliance, Method::POST, &path, None).await;
    assert_eq!((status, &after["edition"]), (200, &json!(2)));
    assert_ne!(before["event_password"], after["event_password"]);
    assert_ne!(before["webapp_link"], after["webapp_link"]);
    assert_eq!(counts(&appliance).await, [1, 0, 1, 0]);
    send(&appliance, false).await;
    assert_eq!(system.pushes().len(), 1);
    appliance.sync("summit", "gco", false, false).await;
    assert_eq!(counts(&appliance).await, [0, 0, 2, 0]);
    assert_eq!(system.with(|gco| gco.person("1"))["event_password"], after["event_password"]);
    let audit = get(&appliance, "/v1/audit").await;
    assert_eq!(audit["items"][0]["action"], "pass_rotated");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_no_longer_comes_has_the_link_taken_back() {
    let system = System::start().await;
    let appliance = confirmed(&system).await;
    let (ada, grace) = (user(&appliance, "Ada").await, user(&appliance, "Grace").await);
    let before = pass(&appliance, &ada).await;

    // Taken out by hand, though the source has her still.
    let path = format!("/v1/events/summit/attendees/{ada}");
    let (status, answer) = ask(&appliance, Method::DELETE, &path, None).await;
    assert_eq!(status, 204, "{answer}");
    assert_eq!(counts(&appliance).await, [1, 0, 1, 0]);
    send(&appliance, false).await;
    assert_eq!(counts(&appliance).await, [0, 0, 1, 0], "what was taken back has no receipt any more");
    let taken_back = json!([{"fp_ext_id": "1", "webapp_link": null, "event_password": null}]);
    assert_eq!(system.pushes(), [taken_back]);
    assert_eq!(system.with(|gco| gco.person("1"))["webapp_link"], Value::Null);

    // Back again: the same link.
    let (status, _) = ask(&appliance, Method::PUT, &path, Some(&json!({"attendance": "synced"}))).await;
    assert_eq!(status, 200);
    send(&appliance, false).await;
    assert_eq!(system.with(|gco| gco.person("1"))["webapp_link"], before["webapp_link"]);

    // Erased: taken back, and nothing of her stays.
    let link = pass(&appliance, &grace).await["webapp_link"].clone();
    assert_eq!(system.with(|gco| gco.person("2"))["webapp_link"], link);
    let (status, answer) = ask(&appliance, Method::DELETE, &format!("/v1/users/{grace}"), None).await;
    assert!(status < 300, "{answer}");
    let open = receipts(&appliance).await;
    assert!(open.contains(&("2".into(), "pending".into(), String::new())), "{open:?}");
    send(&appliance, false).await;
    assert_eq!(system.with(|gco| gco.person("2"))["webapp_link"], Value::Null);
    assert!(!receipts(&appliance).await.iter().any(|(id, ..)| id == "2"));
}

/// Where the source itself no longer has them, there is nobody to take the link from.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_the_source_removes_is_told_nothing_of_that_fails_for_good() {
    let system = System::start().await;
    let config = system.config().replace("[event.summit]", "missing = \"remove\"\nmissing_runs = 1\n[event.summit]");
    system.with(|gco| {
        gco.register("1", "Ada", "Lovelace", "United Kingdom");
        gco.register("2", "Grace", "Hopper", "United States");
    });
    let appliance = Appliance::open(&config).await;
    appliance.sync("summit", "gco", false, false).await;
    send(&appliance, false).await;
    system.with(|gco| gco.remove("1"));
    appliance.sync("summit", "gco", false, false).await;
    assert_eq!(counts(&appliance).await, [1, 0, 1, 0], "one is to be taken back, the other is there");
    system.pushes();
    send(&appliance, false).await;
    assert_eq!(system.pushes().len(), 1);
    assert_eq!(counts(&appliance).await, [0, 0, 1, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_fails_is_asked_again_and_loses_nothing() {
    let system = System::start().await;
    let appliance = synced(&system).await;
    system.with(|gco| gco.refuse = Some(503));
    send(&appliance, false).await;
    assert_eq!(counts(&appliance).await, [2, 0, 0, 0]);
    assert!(receipts(&appliance).await.iter().all(|(_, _, reason)| reason == "unavailable"));
    assert_eq!(system.pushes().len(), 1, "one try, then a pause");
    send(&appliance, false).await;
    assert_eq!(system.pushes().len(), 0, "it is too early");
    later(&appliance, Duration::from_secs(60));
    send(&appliance, false).await;
    assert_eq!(system.pushes().len(), 1);
    system.with(|gco| gco.refuse = None);
    later(&appliance, Duration::from_secs(60));
    send(&appliance, false).await;
    assert_eq!(counts(&appliance).await, [0, 2, 0, 0]);
    let keys = system.with(|gco| gco.keys.clone());
    assert_eq!(keys.into_values().collect::<Vec<_>>(), [3], "the same key each time");
}

/// Links go out of the same allowance as lists.
#[tokio::test(flavor = "multi_thread")]
async fn the_sources_allowance_holds() {
    let system = System::start().await;
    (1..=250).for_each(|n| system.with(|gco| gco.register(&n.to_string(), &format!("P{n}"), "X", "Y")));
    // A login, a list, and two requests of a hundred links each.
    let config =
        system.config().replace("[event.summit]", "budget = [{ requests = 4, per = \"day\" }]\n[event.summit]");
    let appliance = Appliance::open(&config).await;
    appliance.sync("summit", "gco", false, false).await;
    send(&appliance, false).await;
    assert_eq!(counts(&appliance).await, [50, 200, 0, 0]);
    assert_eq!(system.pushes().len(), 2);
    let waits = get(&appliance, "/v1/events/summit/writeback?state=pending").await;
    assert_eq!(waits["receipts"][0]["reason"], "quota", "{}", waits["receipts"][0]);
}

/// A registration that becomes another person's: their link takes the place of the first one's, and nothing is taken back.
#[tokio::test(flavor = "multi_thread")]
async fn a_registration_that_moves_takes_the_others_link() {
    let system = System::start().await;
    let appliance = confirmed(&system).await;
    // Ada's place is Grace's second now.
    system.with(|gco| gco.register("3", "Ada", "Lovelace", "United Kingdom"));
    appliance.sync("summit", "gco", false, false).await;
    system.with(|gco| gco.set("1", "email", json!("grace@x.example")));
    appliance.sync("summit", "gco", false, false).await;
    send(&appliance, false).await;
    let grace = user(&appliance, "Grace").await;
    let link = pass(&appliance, &grace).await["webapp_link"].clone();
    assert_eq!(system.with(|gco| gco.person("1"))["webapp_link"], link);
    assert_eq!(system.with(|gco| gco.person("2"))["webapp_link"], link);
    assert_ne!(system.with(|gco| gco.person("3"))["webapp_link"], link);
    appliance.sync("summit", "gco", false, false).await;
    assert_eq!(counts(&appliance).await, [0, 0, 3, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_bad_receipt_does_not_keep_back_the_others() {
    let system = System::start().await;
    let appliance = synced(&system).await;
    system.with(|gco| gco.refused = vec!["1".into()]);
    send(&appliance, false).await;
    assert_eq!(counts(&appliance).await, [0, 1, 0, 1]);
    let refused = ("1".to_owned(), "failed".to_owned(), "refused".to_owned());
    assert!(receipts(&appliance).await.contains(&refused));
    // A whole request that is refused is asked once more for each.
    system.with(|gco| (gco.refused, gco.refuse) = (Vec::new(), Some(422)));
    system.pushes();
    send(&appliance, true).await;
    assert_eq!(counts(&appliance).await, [0, 1, 0, 1]);
    system.with(|gco| gco.refuse = None);
    send(&appliance, true).await;
    assert_eq!(counts(&appliance).await, [0, 2, 0, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_source_only_says_that_it_took_is_not_called_confirmed() {
    let system = System::start().await;
    let appliance = synced(&system).await;
    system.with(|gco| gco.forgets = true);
    send(&appliance, false).await;
    appliance.sync("summit", "gco", false, false).await;
    assert_eq!(counts(&appliance).await, [0, 2, 0, 0], "the first read may have come too early");
    appliance.sync("summit", "gco", false, false).await;
    assert_eq!(counts(&appliance).await, [0, 0, 0, 2]);
    assert!(receipts(&appliance).await.iter().all(|(_, _, reason)| reason == "not_shown"));
    system.with(|gco| gco.forgets = false);
    send(&appliance, true).await;
    appliance.sync("summit", "gco", false, false).await;
    assert_eq!(counts(&appliance).await, [0, 0, 2, 0]);

    // Somebody writes over it in the source: it is put right.
    system.with(|gco| gco.set("1", "event_password", json!("hunter2")));
    appliance.sync("summit", "gco", false, false).await;
    assert_eq!(counts(&appliance).await, [1, 0, 1, 0]);
    send(&appliance, false).await;
    appliance.sync("summit", "gco", false, false).await;
    assert_eq!(counts(&appliance).await, [0, 0, 2, 0]);
    assert_ne!(system.with(|gco| gco.person("1"))["event_password"], "hunter2");
}

/// Killed after the source took it and before that was written down: it is sent again under the same key, and says so.
#[tokio::test(flavor = "multi_thread")]
async fn a_kill_between_sending_and_saying_so_is_not_silent() {
    let system = System::start().await;
    system.with(|gco| {
        gco.register("1", "Ada", "Lovelace", "United Kingdom");
        gco.hangs = true;
    });
    let installation = Installation::new(&system.config());
    let server = installation.start(&["--log-level", "trace", "serve"]);
    server.serves().await;
    let (status, _) = server.ask("POST", "/v1/events/summit/sync?wait=30s").await.unwrap();
    assert_eq!(status, 200);
    until("the link is at the source", async || system.with(|gco| !gco.keys.is_empty())).await;
    server.kill();
    assert_ne!(system.with(|gco| gco.person("1"))["webapp_link"], Value::Null, "it arrived");
    system.with(|gco| gco.hangs = false);
    let server = installation.start(&["--log-level", "trace", "serve"]);
    server.serves().await;
    let mut receipt = Value::Null;
    until("it is sent again", async || {
        let Some((200, answer)) = server.ask("GET", "/v1/events/summit/writeback").await else { return false };
        receipt = answer["receipts"][0].clone();
        receipt["state"] == "sent"
    })
    .await;
    assert_eq!((&receipt["in_doubt"], &receipt["attempts"]), (&json!(true), &json!(2)), "{receipt}");
    let keys = system.with(|gco| gco.keys.clone());
    assert_eq!(keys.into_values().collect::<Vec<_>>(), [2], "twice, under one key");
    let (_, answer) = server.ask("POST", "/v1/events/summit/sync?wait=30s").await.unwrap();
    assert_eq!(answer["runs"][0]["counts"]["unchanged"], 1, "{answer}");
    let (_, answer) = server.ask("GET", "/v1/events/summit/writeback").await.unwrap();
    assert_eq!(answer["receipts"][0]["state"], "confirmed");
    // Nothing of it was told to the log.
    let password = system.with(|gco| gco.person("1"))["event_password"].as_str().unwrap().to_owned();
    assert!(!server.stderr().contains(&password) && !server.stderr().contains("enter?token="));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_lies_in_clear() {
    let system = System::start().await;
    let appliance = confirmed(&system).await;
    let mut secrets = Vec::new();
    for first in ["Ada", "Grace"] {
        let id = user(&appliance, first).await;
        let pass = pass(&appliance, &id).await;
        let link = pass["webapp_link"].as_str().unwrap();
        secrets
            .extend([link.split_once('=').unwrap().1.to_owned(), pass["event_password"].as_str().unwrap().to_owned()]);
    }
    let folder = appliance.close().await;
    let mut looked_at = 0;
    let mut folders = vec![folder.path().to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap().flatten() {
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
                continue;
            }
            let bytes = std::fs::read(entry.path()).unwrap();
            looked_at += bytes.len();
            for secret in &secrets {
                let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
                assert!(!found, "{secret} in {}", entry.path().display());
            }
        }
    }
    assert!(looked_at > 10_000);
}
