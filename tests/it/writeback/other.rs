//! What goes back elsewhere: a system that takes one person at a time, by its own names, and shows nothing of it.

use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use serde_json::{Value, json};

use super::gco::{ask, counts, get, receipts, send};
use crate::support::{Appliance, SOURCE_TOKEN, Scripted, json as answer};

const CONFIG: &str = r#"
[source.app]
preset = "plain"
base_url = "URL"
request = { path = "people" }
auth = { kind = "api_key", header = "X-Key", key = { env = "SOURCE_TOKEN" } }
[source.app.push.welcome]
method = "PUT"
path = "people/{item.number}/links"
query = { event = "{param.slug}" }
headers = { X-Origin = "rollcall" }
item = { number = '.external_id | split("-")[1]' }
body = "{event, link: .items[0].webapp_link}"
withdraw = false
[event.summit]
title = "Summit"
links = { link = "https://app.example/{event}/{user}/{token}", password_length = 0 }
feed = [{ source = "app", params = { slug = "s 26" } }]
"#;

fn people() -> Value {
    let person = |n: u32| json!({"id": format!("p-{n}"), "email": format!("p{n}@x.org"), "first_name": "P", "last_name": n.to_string()});
    json!({"people": [person(1), person(2), person(3)]})
}

#[tokio::test(flavor = "multi_thread")]
async fn one_at_a_time_by_its_own_names() {
    let system = Scripted::start(|asked, _| match asked.method.as_str() {
        "GET" => answer(&people()),
        _ if asked.path == "/people/2/links" => StatusCode::GONE.into_response(),
        _ => StatusCode::NO_CONTENT.into_response(),
    })
    .await;
    let appliance = Appliance::open(&system.config(CONFIG)).await;
    appliance.sync("summit", "app", false, false).await;
    system.take();
    send(&appliance, false).await;
    let asked = system.take();
    assert_eq!(asked.len(), 3);
    let mut paths = Vec::new();
    for asked in &asked {
        assert_eq!((asked.method.as_str(), asked.query["event"].as_str()), ("PUT", "s 26"));
        assert_eq!((asked.header("x-key"), asked.header("x-origin")), (Some(SOURCE_TOKEN), Some("rollcall")));
        let body: Value = serde_json::from_str(&asked.body).unwrap();
        assert_eq!(body["event"], "summit");
        assert!(body["link"].as_str().unwrap().starts_with("https://app.example/summit/"), "{body}");
        paths.push(asked.path.clone());
    }
    paths.sort();
    assert_eq!(paths, ["/people/1/links", "/people/2/links", "/people/3/links"]);
    let keys: std::collections::BTreeSet<_> =
        asked.iter().map(|asked| asked.header("idempotency-key").unwrap()).collect();
    assert_eq!(keys.len(), 3, "a key for each");
    // Nothing can be read back, so nothing is ever said to be confirmed, nor to be missing.
    for _ in 0..3 {
        appliance.sync("summit", "app", false, true).await;
    }
    assert_eq!(counts(&appliance).await, [0, 2, 0, 1]);
    assert!(receipts(&appliance).await.contains(&("p-2".into(), "failed".into(), "refused".into())));

    // Whoever leaves is not told of where nobody wants to hear it.
    let users = get(&appliance, "/v1/events/summit/attendees").await;
    let user = users["items"].as_array().unwrap().iter().find(|user| user["email"] == "p1@x.org").unwrap();
    let path = format!("/v1/events/summit/attendees/{}", user["id"].as_str().unwrap());
    assert_eq!(ask(&appliance, axum::http::Method::DELETE, &path, None).await.0, 204);
    system.take();
    send(&appliance, false).await;
    assert_eq!(system.take().len(), 0);
    assert_eq!(counts(&appliance).await, [0, 1, 0, 1]);
}
