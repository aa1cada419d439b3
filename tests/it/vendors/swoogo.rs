//! Swoogo: a token by client credentials with an `expires_at` that is a text without a zone, and records that hold only the
//! fields that are asked for.

use std::sync::atomic::{AtomicBool, Ordering};

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::story::{Stage, config, page};
use super::truth::{State, Ticket, Truth, View};
use crate::support::{Appliance, Asked, Scripted, json};

/// `rollcall:canary-5ecret-token`, RFC 7617.
const BASIC: &str = "Basic cm9sbGNhbGw6Y2FuYXJ5LTVlY3JldC10b2tlbg==";

fn record(ticket: &Ticket) -> Value {
    let (status, cancelled) = match ticket.state {
        State::Attending => ("confirmed", Value::Null),
        State::Pending => ("awaiting_approval", Value::Null),
        State::Cancelled => ("cancelled", "2026-02-02 09:00:00".into()),
    };
    json!({
        "id": ticket.id, "email": ticket.email, "first_name": ticket.first, "last_name": ticket.last,
        "registration_status": status, "cancelled_at": cancelled, "reg_type_id": {"id": "5", "value": ticket.kind},
        "updated_at": ticket.changed.strftime("%Y-%m-%d %H:%M:%S").to_string(),
    })
}

/// What was not asked for is not there.
fn sparse(record: &Value, fields: &str) -> Value {
    let fields: Vec<_> = fields.split(',').collect();
    let kept = record.as_object().unwrap().iter().filter(|(name, _)| *name == "id" || fields.contains(&name.as_str()));
    Value::Object(kept.map(|(name, value)| (name.clone(), value.clone())).collect::<Map<_, _>>())
}

/// `lives`: for how long the tokens do.
fn answer(asked: &Asked, truth: &Truth, lives: SignedDuration) -> Response {
    if asked.path == "/api/v1/oauth2/token" {
        assert_eq!((asked.method.as_str(), asked.body.as_str()), ("POST", "grant_type=client_credentials"));
        assert_eq!(asked.header("authorization"), Some(BASIC));
        let now: Timestamp = "2026-03-01T08:00:00Z".parse().unwrap();
        let expires = (now + lives).strftime("%Y-%m-%d %H:%M:%S").to_string();
        let body = json!({"type": "bearer", "access_token": "good-for-a-while", "expires_at": expires});
        let date = now.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        return ([("content-type", "application/json"), ("date", date.as_str())], body.to_string()).into_response();
    }
    assert_eq!(asked.path, "/api/v1/registrants.json");
    assert_eq!(asked.header("authorization"), Some("Bearer good-for-a-while"));
    assert_eq!(asked.query["event_id"], "4711");
    let records: Vec<_> =
        truth.tickets().iter().map(|ticket| sparse(&record(ticket), &asked.query["fields"])).collect();
    let (number, size) = (asked.number("page").unwrap(), asked.number("per-page").unwrap());
    let (items, pages) = page(&records, number, size);
    json(&json!({
        "items": items,
        "_meta": {"totalCount": records.len(), "pageCount": pages, "currentPage": number, "perPage": size},
    }))
}

async fn stage(lives: SignedDuration) -> Stage {
    let truth = Truth::of_seven();
    let known = truth.clone();
    let refused = AtomicBool::new(false);
    let server = Scripted::start(move |asked, _| {
        if asked.method == "GET" && !refused.swap(true, Ordering::Relaxed) {
            // How many seconds, not when.
            return (StatusCode::TOO_MANY_REQUESTS, [("x-rate-limit-reset", "1")]).into_response();
        }
        answer(asked, &known, lives)
    })
    .await;
    let source =
        "auth = { client_id = \"rollcall\", client_secret = { env = \"SOURCE_TOKEN\" } }\npagination = { size = 3 }";
    let text = config("swoogo", source, "event = 4711").replace("\"URL\"", "\"URL/api/v1/\"");
    let appliance = Appliance::open(&server.config(&text)).await;
    let kind = |ticket: &Ticket| Some(ticket.kind.clone());
    Stage { server, appliance, truth, view: View { people: 6, pending: true, kind, groups: |_| Vec::new() } }
}

#[tokio::test]
async fn swoogo_is_followed() {
    let requests = stage(SignedDuration::from_mins(30)).await.play().await;
    let logins = |asked: &[Asked]| asked.iter().filter(|asked| asked.method == "POST").count();
    assert_eq!(requests[0].len(), 1 + 1 + 3, "a login, one refused for want of credits, and seven on pages of three");
    assert!(requests[1..].iter().all(|asked| logins(asked) == 0 && asked.len() == 3), "one token for all");
}

/// `expires_at` is UTC, by the system's own clock.
#[tokio::test]
async fn swoogo_tells_when_a_token_expires() {
    let stage = stage(SignedDuration::from_mins(-1)).await;
    let run = stage.appliance.sync("summit", "tickets", false, false).await;
    let message = run.error.as_ref().map(|error| error.message.as_str()).unwrap_or_default();
    assert!(message.ends_with("the login gave a token that has expired already"), "{run:?}");
}
