//! A plain JSON list behind a bearer token, once as an array and once in an envelope, with an `ETag`.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::story::{Stage, config};
use super::truth::{State, Ticket, Truth, View, stored};
use crate::support::{Appliance, Asked, SOURCE_TOKEN, Scripted};

const VIEW: View = View {
    people: 6,
    pending: true,
    kind: |ticket| Some(ticket.kind.clone()),
    groups: |ticket| ticket.tags.iter().map(ToString::to_string).collect(),
};

fn record(ticket: &Ticket) -> Value {
    let status = match ticket.state {
        State::Attending => "confirmed",
        State::Pending => "pending",
        State::Cancelled => "Cancelled",
    };
    json!({
        "id": ticket.id, "email": ticket.email, "first_name": ticket.first, "last_name": ticket.last,
        "registration_type": ticket.kind, "groups": ticket.tags, "status": status,
    })
}

fn answer(asked: &Asked, list: &Value) -> Response {
    assert_eq!(asked.path, "/people.json");
    assert_eq!(asked.header("authorization"), Some(format!("Bearer {SOURCE_TOKEN}").as_str()));
    let body = list.to_string();
    let tag = format!("\"{}-{}\"", body.len(), body.bytes().map(u64::from).sum::<u64>());
    if asked.header("if-none-match") == Some(tag.as_str()) {
        return StatusCode::NOT_MODIFIED.into_response();
    }
    ([("content-type", "application/json"), ("etag", tag.as_str())], body).into_response()
}

async fn stage(envelope: fn(Vec<Value>) -> Value) -> Stage {
    let truth = Truth::of_seven();
    let known = truth.clone();
    let server =
        Scripted::start(move |asked, _| answer(asked, &envelope(known.tickets().iter().map(record).collect()))).await;
    let source = "request = { path = \"people.json\" }\nauth = { kind = \"bearer\", token = { env = \"SOURCE_TOKEN\" } }\n\
                  states = { attendee_when = '.status != \"pending\"' }";
    let appliance = Appliance::open(&server.config(&config("plain", source, ""))).await;
    Stage { server, appliance, truth, view: VIEW }
}

#[tokio::test]
async fn a_plain_array_is_followed() {
    let stage = stage(Value::Array).await;
    let requests = stage.play().await;
    assert!(requests.iter().all(|asked| asked.len() == 1), "one answer is the whole list");
    let before = stored(&stage.appliance, "summit");
    stage.truth.delete(108);
    let run = stage.appliance.sync("summit", "tickets", false, false).await;
    assert_eq!(run.counts.missing, 1, "who was taken out is counted: {run:?}");
    assert_eq!(stored(&stage.appliance, "summit"), before, "and stays");
}

#[tokio::test]
async fn a_list_in_an_envelope_is_followed() {
    stage(|records| json!({"count": records.len(), "people": records})).await.play().await;
}

/// One full name is split, and an error with a success's status is no empty list.
#[tokio::test]
async fn full_names_are_split_and_an_error_is_no_list() {
    let server = Scripted::start(|_, before| {
        let list = json!([
            {"id": 1, "email": "anna@example.org", "name": " Anna Maria van  Dyck "},
            {"id": 2, "email": "cher@example.org", "full_name": "Cher", "first_name": ""},
            {"id": 3, "email": "gone@example.org", "full_name": "Out Going", "deleted": true},
        ]);
        let list = if before == 0 { list } else { json!({"error": "overloaded"}) };
        ([("content-type", "application/json")], list.to_string()).into_response()
    })
    .await;
    let text = config("plain", "request = { path = \"people.json\" }", "");
    let appliance = Appliance::open(&server.config(&text)).await;
    let run = appliance.sync("summit", "tickets", false, false).await;
    assert_eq!(run.counts.reject, 0, "{run:?}");
    let names: Vec<_> =
        stored(&appliance, "summit").into_values().map(|seen| format!("{}|{}", seen.first, seen.last)).collect();
    assert_eq!(names, ["Anna Maria van|Dyck", "Cher|-"]);
    let failed = appliance.sync("summit", "tickets", false, false).await;
    assert!(failed.error.is_some(), "{failed:?}");
    assert_eq!(stored(&appliance, "summit").len(), 2);
}
