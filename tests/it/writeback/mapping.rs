//! The mapping of an event: shown, changed, taken to another event, and never where it is locked.

use axum::http::Method;
use rollcall::config::{Config, ConfigError, Environment};
use serde_json::{Value, json};

use super::gco::{System, ask, get};
use crate::support::{Appliance, Program, SOURCE_TOKEN, plan_text};

/// Two events of the API beside the one of the file.
async fn with_events(system: &System) -> Appliance {
    let appliance = system.appliance().await;
    for event in ["spring", "autumn"] {
        let feed = json!({"source": "gco", "params": {"eventName": super::gco::EVENT_NAME}});
        let body = json!({"title": event, "feeds": [feed]});
        let (status, answer) = ask(&appliance, Method::PUT, &format!("/v1/events/{event}"), Some(&body)).await;
        assert_eq!(status, 201, "{answer}");
    }
    appliance
}

fn key<'a>(mapping: &'a Value, name: &str) -> &'a Value {
    mapping["keys"].as_array().unwrap().iter().find(|key| key["key"] == name).unwrap()
}

async fn put(appliance: &Appliance, event: &str, query: &str, mapping: &Value) -> (u16, Value) {
    let path = format!("/v1/events/{event}/mapping/gco{query}");
    ask(appliance, Method::PUT, &path, Some(&json!({ "mapping": mapping }))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_shown_tried_changed_and_planned_anew() {
    let system = System::start().await;
    system.with(|gco| gco.register("1", "Ada", "Lovelace", "United Kingdom"));
    let appliance = with_events(&system).await;
    let shown = get(&appliance, "/v1/events/spring/mapping/gco").await;
    assert_eq!(key(&shown, "external_id")["locked"], true);
    let company = json!({"key": "company", "expression": ".country", "default": ".country", "origin": "default",
        "locked": false, "ignored": null});
    assert_eq!(key(&shown, "company"), &company);
    assert_eq!(key(&shown, "phone")["expression"], Value::Null);
    appliance.sync("spring", "gco", false, false).await;

    let wanted = json!({"company": ".registration_type", "custom.region": ".country", "country": ""});
    let preview = json!({ "mapping": wanted });
    let (status, tried) = ask(&appliance, Method::POST, "/v1/events/spring/preview", Some(&preview)).await;
    assert_eq!(status, 200, "{tried}");
    assert_eq!(tried["synced"][0]["fields"]["company"], "Full");
    assert_eq!(tried["plan"]["counts"]["update"], 1);
    let (status, would) = put(&appliance, "spring", "?dry_run=true", &wanted).await;
    assert_eq!((status, &key(&would, "company")["expression"]), (200, &json!(".registration_type")));
    assert_eq!(get(&appliance, "/v1/events/spring/mapping/gco").await, shown, "nothing was saved");

    let (status, saved) = put(&appliance, "spring", "", &wanted).await;
    assert_eq!((status, &key(&saved, "company")["origin"]), (200, &json!("event")));
    assert_eq!(key(&saved, "country")["expression"], Value::Null, "an empty one is not mapped");
    let dry = appliance.sync("spring", "gco", true, false).await;
    assert_eq!((dry.counts.update, dry.counts.unchanged), (1, 0), "everybody is planned anew");
    let run = appliance.sync("spring", "gco", false, false).await;
    assert_eq!(plan_text(&appliance.app, &dry), plan_text(&appliance.app, &run));
    let audit = get(&appliance, "/v1/audit").await;
    assert_eq!(audit["items"][0]["note"], "mapping of gco: company, country, custom.region");

    // Back to the source's own.
    let (status, own) = put(&appliance, "spring", "", &json!({})).await;
    assert_eq!((status, key(&own, "company")), (200, &company));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_event_exports_another_takes_and_plans_alike() {
    let system = System::start().await;
    system.with(|gco| (1..=5).for_each(|n| gco.register(&n.to_string(), &format!("P{n}"), "X", "Chile")));
    let appliance = with_events(&system).await;
    let changes = json!({"company": ".registration_type", "country": "", "skip_when": ".fp_ext_id == \"3\"",
        "groups": "[.group, .country]"});
    assert_eq!(put(&appliance, "spring", "", &changes).await.0, 200);
    let exported = get(&appliance, "/v1/events/spring/mapping/gco").await["mapping"].clone();
    assert_eq!(exported["country"], "", "what the source maps and the event does not is said");
    assert_eq!(put(&appliance, "autumn", "", &exported).await.0, 200);
    let imported = get(&appliance, "/v1/events/autumn/mapping/gco").await;
    assert_eq!(imported["keys"], get(&appliance, "/v1/events/spring/mapping/gco").await["keys"]);
    let mut plans = Vec::new();
    for event in ["spring", "autumn"] {
        let run = appliance.sync(event, "gco", true, false).await;
        assert_eq!((run.counts.create, run.counts.skip), (4, 1));
        plans.push(plan_text(&appliance.app, &run).replace(event, "EVENT"));
    }
    assert_eq!(plans[0], plans[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_locked_no_door_changes() {
    let system = System::start().await;
    let appliance = with_events(&system).await;
    let other = json!({"external_id": ".email"});
    let (status, answer) = put(&appliance, "spring", "", &other).await;
    assert_eq!((status, &answer["errors"][0]["field"]), (422, &json!("mapping.external_id")));
    assert!(answer["errors"][0]["detail"].as_str().unwrap().contains("locks it"), "{answer}");
    assert_eq!(put(&appliance, "spring", "?dry_run=true", &other).await.0, 422);
    let (status, _) = put(&appliance, "spring", "", &json!({"external_id": ".fp_ext_id"})).await;
    assert_eq!(status, 200, "as it is, it may be said");
    let feed = json!({"source": "gco", "params": {"eventName": "x"}, "mapping": other});
    let body = json!({"title": "x", "feeds": [feed]});
    let (status, answer) = ask(&appliance, Method::PUT, "/v1/events/spring", Some(&body)).await;
    assert_eq!((status, &answer["errors"][0]["field"]), (422, &json!("feeds[0].mapping.external_id")));
    let preview = json!({ "mapping": other });
    assert_eq!(ask(&appliance, Method::POST, "/v1/events/spring/preview", Some(&preview)).await.0, 422);
    // Nor does a file: of the event, of the source over its preset, or without the preset's words.
    let text = system.config();
    for (from, to, key) in [
        (
            "eventName = \"Annual  Meeting OF Testers\" }",
            "eventName = \"x\" }, mapping = { external_id = \".id\" }",
            "event.summit.feed[0].mapping.external_id",
        ),
        ("[event.summit]", "mapping = { external_id = \".id\" }\n[event.summit]", "source.gco.mapping.external_id"),
        ("[event.summit]", "mapping = { locked = [] }\n[event.summit]", "source.gco.mapping.locked"),
        ("[event.summit]", "preset_without = [\"mapping.locked\"]\n[event.summit]", "source.gco.preset_without[0]"),
        (
            "[event.summit]",
            "preset_without = [\"mapping.external_id\"]\n[event.summit]",
            "source.gco.preset_without[0]",
        ),
    ] {
        let environment = Environment::from_iter([("SOURCE_TOKEN", SOURCE_TOKEN)]);
        let changed = text.replace(from, to);
        let Err(ConfigError::Faults { faults, .. }) = Config::parse(&changed, "r.toml".as_ref(), &environment) else {
            panic!("{to} was taken");
        };
        assert!(faults.iter().any(|fault| fault.path == key && fault.to_string().contains("lock")), "{faults:?}");
    }
    // What is pre-set no event says, either.
    let params = json!({"eventName": "x", "urlSentLinks": "elsewhere"});
    let body = json!({"title": "x", "feeds": [{"source": "gco", "params": params}]});
    let (status, answer) = ask(&appliance, Method::PUT, "/v1/events/spring", Some(&body)).await;
    assert_eq!((status, &answer["errors"][0]["field"]), (422, &json!("feeds[0].params.urlSentLinks")));
    assert!(answer["errors"][0]["detail"].as_str().unwrap().contains("read-only"), "{answer}");
    // And an event of the file is the file's.
    assert_eq!(put(&appliance, "summit", "", &json!({})).await.0, 409);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_takes_it_from_event_to_event() {
    let system = System::start().await;
    system.with(|gco| gco.register("1", "Ada", "Lovelace", "United Kingdom"));
    let appliance = with_events(&system).await;
    assert_eq!(put(&appliance, "spring", "", &json!({"company": ".group", "custom.x": ".changed"})).await.0, 200);
    let folder = appliance.close().await;
    std::fs::write(folder.path().join("rollcall.toml"), format!("{}\n[store]\npath = \"data\"\n", system.config()))
        .unwrap();
    let run = |arguments: &'static [&'static str]| {
        let folder = folder.path().to_owned();
        async move {
            let mut program = Program::start(&folder, arguments);
            let code = program.code().await;
            (code, program.stdout(), program.stderr())
        }
    };
    let (code, exported, stderr) = run(&["mapping", "export", "spring"]).await;
    assert_eq!(code, Some(0), "{stderr}");
    assert!(
        exported.contains("company = \".group\"") && exported.contains("\"custom.x\" = \".changed\""),
        "{exported}"
    );
    std::fs::write(folder.path().join("mapping.toml"), &exported).unwrap();
    let (code, tried, stderr) = run(&["mapping", "import", "autumn", "mapping.toml", "--dry-run"]).await;
    assert_eq!(code, Some(0), "{stderr}");
    assert!(
        tried.contains("the event") && tried.contains("1 created") && tried.contains("nothing was saved"),
        "{tried}"
    );
    let (code, saved, stderr) = run(&["mapping", "import", "autumn", "mapping.toml"]).await;
    assert_eq!(code, Some(0), "{stderr}");
    assert!(saved.contains("plans everybody anew"), "{saved}");
    let (_, shown, _) = run(&["mapping", "show", "autumn"]).await;
    let row = shown.lines().find(|line| line.starts_with("company ")).unwrap();
    assert!(row.contains(".group") && row.contains("the event") && row.ends_with(".country"), "{row}");
    assert!(shown.lines().any(|line| line.starts_with("external_id") && line.contains("locked")), "{shown}");
    std::fs::write(folder.path().join("bad.json"), r#"{"external_id": ".email"}"#).unwrap();
    let (code, _, stderr) = run(&["mapping", "import", "autumn", "bad.json"]).await;
    assert_eq!(code, Some(2));
    assert!(stderr.contains("locks it"), "{stderr}");
}
