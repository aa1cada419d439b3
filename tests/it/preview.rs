//! A preview: the first page with the real engine, the real mapping and the real plan; changes nobody.

use axum::body::Body;
use axum::http::{Method, Request};
use http_body_util::BodyExt;
use rollcall::http;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::support::{Appliance, ListServer, ONE_FEED, SOURCE_TOKEN, Scripted, store_text};

const ADA: &str = r#"{"id": 1, "email": "ada@x.org", "first": "Ada", "last": "Lovelace", "groups": ["VIP"]}"#;
const GRACE: &str = r#"{"id": 2, "email": "grace@x.org", "first": "Grace", "last": "Hopper"}"#;
const ALAN: &str = r#"{"id": 3, "email": "alan@x.org", "first": "Alan", "last": "Turing"}"#;

fn page(records: &[&str]) -> String {
    format!(r#"{{"items": [{}]}}"#, records.join(","))
}

async fn ask(appliance: &Appliance, token: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
    let request = Request::builder().method(Method::POST).uri(path).header("authorization", format!("Bearer {token}"));
    let request = match body {
        Some(body) => request.header("content-type", "application/json").body(Body::from(body.to_string())),
        None => request.body(Body::empty()),
    };
    let Ok(answer) = http::router(&appliance.app).oneshot(request.unwrap()).await;
    let status = answer.status().as_u16();
    let bytes = answer.into_body().collect().await.unwrap().to_bytes();
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    assert!(!text.contains(SOURCE_TOKEN), "{text}");
    (status, serde_json::from_str(&text).unwrap())
}

/// With the command line's own token.
async fn post(appliance: &Appliance, path: &str, body: Option<&Value>) -> (u16, Value) {
    let token = appliance.app.local_token.expose_secret().to_owned();
    ask(appliance, &token, path, body).await
}

async fn preview(appliance: &Appliance, body: Option<&Value>) -> Value {
    let before = store_text(&appliance.app);
    let (status, preview) = post(appliance, "/v1/events/e/preview", body).await;
    assert_eq!(status, 200, "{preview}");
    assert_eq!(store_text(&appliance.app), before, "a preview changes nobody");
    let left: Vec<_> = std::fs::read_dir(appliance.app.store.runs_folder()).unwrap().flatten().collect();
    assert!(left.iter().all(|file| !file.file_name().to_string_lossy().starts_with("preview")), "{left:?}");
    preview
}

async fn one_feed(server: &ListServer) -> Appliance {
    Appliance::open(&ONE_FEED.replace("URL", &format!("http://{}", server.address))).await
}

/// A record's outcome, the reason, and what would happen to whom.
fn verdict(record: &Value) -> (String, String, Vec<String>) {
    let reason = ["skip", "reject"].iter().find_map(|key| record[*key]["reason"].as_str());
    let changes = record["changes"].as_array().unwrap().iter();
    let changes = changes.map(|change| format!("{} {}", change["action"].as_str().unwrap(), change["email"]));
    (record["outcome"].as_str().unwrap().to_owned(), reason.unwrap_or_default().to_owned(), changes.collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_record_shows_what_it_would_change_and_the_counts_are_a_dry_runs() {
    let server = ListServer::start().await;
    let appliance = one_feed(&server).await;
    let gone = r#"{"id": 4, "email": "kurt@x.org", "first": "Kurt", "last": "Gödel"}"#;
    server.set("s", vec![page(&[ADA, GRACE, gone])]);
    appliance.sync("e", "s", false, false).await;
    let renamed = r#"{"id": 2, "email": "grace@x.org", "first": "Grace", "last": "Murray"}"#;
    let older = r#"{"id": 3, "email": "alan@x.org", "first": "A.", "last": "Turing"}"#;
    let broken = r#"{"id": 5, "email": "nobody", "first": "No", "last": "Body"}"#;
    let unknown = r#"{"id": 6, "status": "cancelled"}"#;
    let erased = r#"{"id": 4, "erase": true}"#;
    let new_group = r#"{"id": 7, "email": "emmy@x.org", "first": "Emmy", "last": "Noether", "groups": ["Algebra"]}"#;
    server.set("s", vec![page(&[ADA, renamed, ALAN, older, broken, unknown, erased, new_group])]);

    let preview = preview(&appliance, None).await;
    let records = preview["records"].as_array().unwrap();
    let verdicts: Vec<_> = records.iter().map(verdict).collect();
    let is = |outcome: &str, reason: &str, changes: &[&str]| {
        (outcome.to_owned(), reason.to_owned(), changes.iter().map(|change| (*change).to_owned()).collect::<Vec<_>>())
    };
    assert_eq!(verdicts[0], is("mapped", "", &[]));
    assert_eq!(records[0]["unchanged"], true);
    assert_eq!(verdicts[1], is("mapped", "", &["update \"grace@x.org\""]));
    assert_eq!(records[1]["unchanged"], false);
    let detail = &records[1]["changes"][0]["details"][0];
    assert_eq!([&detail["field"], &detail["before"], &detail["after"]], ["last_name", "Hopper", "Murray"]);
    // Of the two the planner keeps one, whichever is the greater.
    let of_alan = [&verdicts[2], &verdicts[3]];
    assert_eq!(of_alan.iter().filter(|verdict| verdict.1 == "duplicate").count(), 1, "{of_alan:?}");
    assert!(of_alan.iter().any(|verdict| verdict.2 == ["create \"alan@x.org\""]), "{of_alan:?}");
    assert_eq!(verdicts[4], is("rejected", "invalid_email", &[]));
    assert_eq!(records[4]["reject"]["field"], "email");
    assert_eq!(verdicts[5], is("skipped", "unknown_cancelled", &[]));
    assert_eq!(verdicts[6], is("mapped", "", &["delete null"]));
    assert_eq!(verdicts[7], is("mapped", "", &["create \"emmy@x.org\""]));
    assert_eq!(records[7]["raw"]["last"], records[7]["mapped"]["fields"]["last_name"]);
    assert_eq!(preview["plan"]["new_groups"], json!(["Algebra"]));

    let dry = appliance.sync("e", "s", true, false).await.counts;
    let counts = &preview["plan"]["counts"];
    for (key, count) in [
        ("records", dry.records),
        ("unchanged", dry.unchanged),
        ("create", dry.create),
        ("update", dry.update),
        ("remove", dry.remove),
        ("delete", dry.delete),
        ("skip", dry.skip),
        ("reject", dry.reject),
        ("duplicates", dry.duplicates),
    ] {
        assert_eq!(counts[key], count, "{key} in {counts}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_filter_takes_out_names_its_rule_and_who_moves_shows_both() {
    let server = ListServer::start().await;
    let config = ONE_FEED.replace("[source.s.records]", "[source.s.records]\nskip_when = '.status == \"draft\"'");
    let appliance = Appliance::open(&config.replace("URL", &format!("http://{}", server.address))).await;
    let other = r#"{"id": 9, "email": "ada@x.org", "first": "Ada", "last": "Lovelace"}"#;
    server.set("s", vec![page(&[ADA, other, GRACE, ALAN])]);
    appliance.sync("e", "s", false, false).await;
    let moved = r#"{"id": 1, "email": "grace@x.org", "first": "Grace", "last": "Hopper"}"#;
    let taken = r#"{"id": 3, "email": "grace@x.org", "first": "Alan", "last": "Turing"}"#;
    server.set("s", vec![page(&[moved, other, GRACE, taken, r#"{"id": 8, "status": "draft"}"#])]);
    let preview = preview(&appliance, None).await;
    let records = &preview["records"];
    let changes: Vec<_> = records[0]["changes"].as_array().unwrap().iter().collect();
    let emails: Vec<_> = changes.iter().map(|change| change["email"].as_str().unwrap()).collect();
    assert_eq!(emails, ["ada@x.org", "grace@x.org"], "{changes:?}");
    assert_eq!([&records[1]["unchanged"], &records[2]["unchanged"]], [true, true]);
    let reject = &records[3]["reject"];
    assert_eq!([&reject["reason"], &reject["field"], &reject["external_id"]], ["email_taken", "email", "3"]);
    assert_eq!(records[3]["mapped"]["email"], "grace@x.org", "the mapping accepts it");
    let skip = &records[4]["skip"];
    assert_eq!([&skip["reason"], &skip["rule"]], ["filtered", "skip_when: .status == \"draft\""]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_exchange_is_shown_with_its_secret_masked_and_a_failure_with_its_hint() {
    let server = ListServer::start().await;
    let appliance = one_feed(&server).await;
    server.set("s", vec![page(&[ADA])]);
    let good = preview(&appliance, None).await;
    let url = format!("http://{}/s?page=1", server.address);
    assert_eq!([&good["request"]["method"], &good["request"]["url"]], ["GET", url.as_str()]);
    let header = |name: &str| {
        let headers = good["request"]["headers"].as_array().unwrap();
        headers.iter().find(|header| header["name"] == name).map(|header| header["value"].clone())
    };
    assert_eq!(header("authorization"), Some(json!("***")));
    assert_eq!(good["response"]["bytes"], page(&[ADA]).len());
    assert_eq!((&good["response"]["status"], &good["failure"]), (&json!(200), &Value::Null));
    let next = good["paging"]["next"]["url"].as_str().unwrap();
    assert!(next.ends_with("?page=2"), "{next}");

    server.set("s", vec![r#"{"error": "ada@x.org is locked"}"#.into()]);
    let astray = preview(&appliance, None).await;
    assert_eq!(astray["failure"]["reason"], "select");
    assert!(!astray["failure"]["hint"].as_str().unwrap().is_empty());
    assert_eq!((&astray["plan"], &astray["records"]), (&Value::Null, &json!([])));
    assert!(!astray["failure"].to_string().contains("ada"), "{astray}");

    let unknown = json!({"source": source(&server, json!({"auth": {"kind": "none"}}))});
    let refused = preview(&appliance, Some(&unknown)).await;
    assert_eq!(refused["response"]["status"], 401);
    assert_eq!(refused["failure"]["reason"], "auth");
}

/// The settings of the one feed's source as JSON, with others in their place.
fn source(server: &ListServer, more: Value) -> Value {
    let mut settings = json!({
        "base_url": format!("http://{}", server.address),
        "request": {"path": "s"},
        "auth": {"kind": "saved"},
        "pagination": {"kind": "page", "param": "page"},
        "records": {"select": ".items[]"},
        "mapping": {"external_id": ".id", "email": ".email", "first_name": ".first", "last_name": ".last"},
    });
    settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    settings
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_are_tried_without_being_saved() {
    let server = ListServer::start().await;
    let appliance = one_feed(&server).await;
    server.set("s", vec![page(&[ADA])]);
    appliance.sync("e", "s", false, false).await;
    let mapping = json!({"external_id": ".id", "email": ".email", "first_name": ".last", "last_name": ".first"});
    let swapped = json!({"source": source(&server, json!({"mapping": mapping}))});
    let tried = preview(&appliance, Some(&swapped)).await;
    assert_eq!(tried["records"][0]["mapped"]["fields"]["first_name"], "Lovelace");
    assert_eq!(tried["records"][0]["changes"][0]["action"], "update");
    assert_eq!(preview(&appliance, None).await["records"][0]["unchanged"], true, "the saved ones are as they were");

    let secret = json!({"source": source(&server, json!({"auth": {"kind": "bearer", "token": SOURCE_TOKEN}}))});
    assert_eq!(preview(&appliance, Some(&secret)).await["page_records"], 1);
    let by_params = json!({
        "source": source(&server, json!({"request": {"path": "{param.list}"}})),
        "params": {"list": "other"},
    });
    server.set("other", vec![page(&[GRACE, ALAN])]);
    assert_eq!(preview(&appliance, Some(&by_params)).await["page_records"], 2);
    let (status, elsewhere) = post(&appliance, "/v1/events/e/preview?source=new", Some(&secret)).await;
    assert_eq!((status, &elsewhere["source"], &elsewhere["page_records"]), (200, &json!("new"), &json!(1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_reach_for_the_servers_secrets_are_refused() {
    let server = ListServer::start().await;
    let appliance = one_feed(&server).await;
    let thief = Scripted::start(|_, _| crate::support::json(&json!([]))).await;
    let elsewhere = format!("http://{}", thief.address);
    for (more, field) in [
        (json!({"base_url": elsewhere}), "source.auth"),
        (json!({"auth": {"kind": "bearer", "token": {"env": "PATH"}}}), "source.auth.token"),
        (json!({"auth": {"kind": "bearer", "token": {"file": "/etc/hostname"}}}), "source.auth.token"),
        (json!({"auth": {"kind": "bearer", "token": {"credential": "x"}}}), "source.auth.token"),
        (json!({"records": {"select": "("}}), "source.records.select"),
        (json!({"oops": 1}), "source.oops"),
    ] {
        let body = json!({"source": source(&server, more.clone())});
        let (status, problem) = post(&appliance, "/v1/events/e/preview", Some(&body)).await;
        assert_eq!((status, &problem["errors"][0]["field"]), (422, &json!(field)), "{more}: {problem}");
    }
    assert!(thief.asked().is_empty());
    let (status, token) = post(&appliance, "/v1/tokens", Some(&json!({"name": "t", "scopes": ["sync", "read"]}))).await;
    assert_eq!(status, 201);
    let body = json!({"source": source(&server, json!({}))});
    let (status, _) = ask(&appliance, token["token"].as_str().unwrap(), "/v1/events/e/preview", Some(&body)).await;
    assert_eq!(status, 403, "settings are an administrator's to try");
    let (status, _) = post(&appliance, "/v1/events/nope/preview", Some(&body)).await;
    assert_eq!(status, 404);
    let (status, _) = post(&appliance, "/v1/events/e/preview?source=new", Some(&json!({"params": {}}))).await;
    assert_eq!(status, 404);
}
