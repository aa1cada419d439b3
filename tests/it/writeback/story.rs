//! The whole story: credentials, preview, pull, push, and the preview that shows what went back.

use axum::http::Method;
use serde_json::{Value, json};

use super::gco::{CONFIG, System, ask, counts, get, pass, receipts, send, user};
use crate::support::{Appliance, SOURCE_TOKEN};

async fn preview(appliance: &Appliance) -> Value {
    let (status, preview) = ask(appliance, Method::POST, "/v1/events/summit/preview", None).await;
    assert_eq!(status, 200, "{preview}");
    preview
}

#[tokio::test(flavor = "multi_thread")]
async fn people_come_in_links_go_back_and_one_can_see_that_they_arrived() {
    let system = System::start().await;
    system.with(|gco| {
        gco.register("1", "Ada", "Lovelace", "United Kingdom");
        gco.register("2", "Grace", "Hopper", "United States");
        gco.register("3", "Alan", "Turing", "Nowhere");
        gco.set("3", "first_name", json!(" "));
    });
    let appliance = system.appliance().await;

    // What has to be entered, and by whom.
    let source = get(&appliance, "/v1/sources/gco").await;
    let credentials = source["credentials"].as_array().unwrap().iter();
    let shown: Vec<_> = credentials.map(|c| (c["name"].as_str().unwrap(), c["scope"].as_str().unwrap())).collect();
    let expected = [("LoginId", "secret"), ("Password", "secret"), ("urlSentLinks", "pre_set"), ("eventName", "event")];
    assert_eq!(shown, expected);
    assert!(!source.to_string().contains(SOURCE_TOKEN));
    assert_eq!(
        source["data_types"],
        json!([
            {"name": "people", "direction": "pull", "description": null, "confirms": false},
            {"name": "sent_links", "direction": "push", "confirms": true,
             "description": "login links and event passwords of the event's people"},
        ])
    );

    // The preview shows raw data, synced data and excluded records in parts of their own.
    let before = preview(&appliance).await;
    assert_eq!(before["records"][0]["raw"]["webapp_link"], Value::Null);
    assert_eq!(before["synced"].as_array().unwrap().len(), 2);
    assert_eq!(before["synced"][0]["fields"]["company"], "United Kingdom", "country is the company by default");
    assert_eq!(before["excluded"][0]["why"], "missing_field: first_name");
    assert_eq!(before["excluded"][0]["raw"]["fp_ext_id"], "3");

    let run = appliance.sync("summit", "gco", false, false).await;
    assert_eq!((run.counts.create, run.counts.reject), (2, 1));
    assert_eq!(counts(&appliance).await, [2, 0, 0, 0], "made in the commit that made the attendees");

    send(&appliance, false).await;
    assert_eq!(counts(&appliance).await, [0, 2, 0, 0]);
    let pushes = system.pushes();
    assert_eq!(pushes.len(), 1, "one request for both");
    let ada = user(&appliance, "Ada").await;
    let of_ada = pass(&appliance, &ada).await;
    let link = of_ada["webapp_link"].as_str().unwrap();
    let token = link.strip_prefix("https://app.example/enter?token=").unwrap();
    assert_eq!(token.len(), 22, "128 bits in base64url");
    let password = of_ada["event_password"].as_str().unwrap();
    assert!(password.len() == 10 && !password.contains(['0', 'o', '1', 'l', 'i']), "readable");
    let sent = pushes[0].as_array().unwrap().iter().find(|sent| sent["fp_ext_id"] == "1").unwrap();
    assert_eq!(sent, &json!({"fp_ext_id": "1", "webapp_link": link, "event_password": password}));

    // The second preview shows them saved in the source's raw data.
    let after = preview(&appliance).await;
    assert_eq!(after["records"][0]["raw"]["webapp_link"], link);
    assert_eq!(counts(&appliance).await, [0, 2, 0, 0], "a preview confirms nothing");

    // The next read confirms; the echo of our own change is nobody's update.
    let run = appliance.sync("summit", "gco", false, false).await;
    assert_eq!((run.counts.update, run.counts.unchanged, run.counts.create), (0, 2, 0));
    assert_eq!(counts(&appliance).await, [0, 0, 2, 0]);
    assert!(receipts(&appliance).await.iter().all(|(_, state, _)| state == "confirmed"));
    send(&appliance, true).await;
    appliance.sync("summit", "gco", false, true).await;
    assert_eq!(system.pushes(), Vec::<Value>::new(), "nothing is sent twice");
    assert_eq!(pass(&appliance, &ada).await["webapp_link"], link, "and nothing is made twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_event_name_removes_nobody_and_says_what_to_look_at() {
    let system = System::start().await;
    system.with(|gco| (0..20).for_each(|n| gco.register(&n.to_string(), &format!("P{n}"), "X", "Y")));
    let appliance = system.appliance().await;
    appliance.sync("summit", "gco", false, false).await;
    let config = CONFIG.replace("Annual  Meeting", "Annual Meeting");
    let appliance = appliance.reopen(&system.server.config(&config)).await;
    let shown = preview(&appliance).await;
    let hint = shown["hint"].as_str().unwrap();
    assert!(hint.contains("spelling") && hint.contains("blanks"), "{hint}");
    assert_eq!((&shown["page_records"], &shown["failure"]), (&json!(0), &Value::Null));
    for _ in 0..3 {
        let run = appliance.sync("summit", "gco", false, false).await;
        assert_eq!(run.outcome, Some(rollcall::model::RunOutcome::Held));
        assert!(run.held.iter().any(|doubt| doubt.text.contains("letter by letter")), "{:?}", run.held);
    }
    assert_eq!(get(&appliance, "/v1/events/summit").await["attendees"]["active"], 20);
}

/// Another template makes other links of the same tokens; they go back again.
#[tokio::test(flavor = "multi_thread")]
async fn another_template_and_an_event_that_gets_links_later() {
    let system = System::start().await;
    system.with(|gco| gco.register("1", "Ada", "Lovelace", "United Kingdom"));
    let appliance = Appliance::open(&system.config().replace("[event.summit]", "[event.other]")).await;
    let put = async |links: Value| {
        let feed = json!({"source": "gco", "params": {"eventName": super::gco::EVENT_NAME}});
        let body = json!({"title": "Summit", "feeds": [feed], "links": links});
        let (status, answer) = ask(&appliance, Method::PUT, "/v1/events/summit", Some(&body)).await;
        assert!(status < 300, "{answer}");
    };
    put(Value::Null).await;
    appliance.sync("summit", "gco", false, false).await;
    let (status, _) = ask(&appliance, Method::POST, "/v1/events/summit/writeback", None).await;
    assert_eq!(status, 409, "it has no links");
    put(json!({"link": "https://a.example/{token}"})).await;
    send(&appliance, false).await;
    assert_eq!(counts(&appliance).await, [0, 1, 0, 0], "whoever was there before has one, too");
    let first = system.with(|gco| gco.person("1"));
    put(json!({"link": "https://b.example/{token}"})).await;
    send(&appliance, false).await;
    let second = system.with(|gco| gco.person("1"));
    let token = |person: &Value| person["webapp_link"].as_str().unwrap().rsplit_once('/').unwrap().1.to_owned();
    assert_eq!(token(&first), token(&second), "the token is the same");
    assert!(second["webapp_link"].as_str().unwrap().starts_with("https://b.example/"));
    assert_eq!(first["event_password"], second["event_password"]);
    appliance.sync("summit", "gco", false, false).await;
    assert_eq!(counts(&appliance).await, [0, 0, 1, 0]);
}
