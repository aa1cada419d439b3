//! Tito: void tickets are hidden unless asked for, and a time without a zone is one of the event's.

use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::story::{Stage, config, page};
use super::truth::{State, Ticket, Truth, View};
use crate::support::{Appliance, Asked, SOURCE_TOKEN, Scripted};

/// A pending ticket is one that nobody has been assigned to yet.
fn record(ticket: &Ticket) -> Value {
    let (state, assigned) = match ticket.state {
        State::Attending => ("complete", true),
        State::Pending => ("unassigned", false),
        State::Cancelled => ("void", true),
    };
    let text = |text: &str| if assigned { Value::from(text) } else { Value::Null };
    json!({
        "_type": "ticket", "id": ticket.id, "slug": format!("ti_{}", ticket.id), "state": state, "test_mode": false,
        "reference": format!("AB-{}", ticket.id), "email": text(&ticket.email), "first_name": text(&ticket.first),
        "last_name": text(&ticket.last), "release_title": ticket.kind, "assigned": assigned,
        "updated_at": ticket.changed.strftime("%Y-%m-%dT%H:%M:%S.000+00:00").to_string(),
    })
}

fn rehearsal() -> Value {
    json!({"id": 9, "state": "complete", "test_mode": true, "email": "test@example.org", "first_name": "T", "last_name": "T",
           "updated_at": "2026-01-01T00:00:00.000+00:00"})
}

/// In Tito's own words; in any other it would be an hour off.
fn since(asked: &Asked) -> Option<Timestamp> {
    let text = asked.query.get("search[updated_at][gte]")?;
    let time = text.strip_suffix(" UTC").unwrap_or_else(|| panic!("without its zone: {text}"));
    Some(format!("{time}Z").parse().unwrap())
}

fn answer(asked: &Asked, truth: &Truth) -> Response {
    assert_eq!(asked.path, "/v3/org/conf/tickets");
    assert_eq!(asked.header("authorization"), Some(format!("Token token={SOURCE_TOKEN}").as_str()));
    assert_eq!(asked.header("accept"), Some("application/json"));
    let (states, since) = (asked.every("search[states][]"), since(asked));
    let hidden = |record: &Value| match record["state"].as_str().unwrap() {
        "void" => !states.contains(&"void"),
        state => !states.is_empty() && !states.contains(&state),
    };
    let tickets = truth.tickets().into_iter().filter(|ticket| since.is_none_or(|since| ticket.changed >= since));
    let mut records: Vec<_> = tickets.map(|ticket| record(&ticket)).filter(|record| !hidden(record)).collect();
    if since.is_none() {
        records.push(rehearsal());
    }
    let (number, size) = (asked.number("page[number]").unwrap(), asked.number("page[size]").unwrap());
    if asked.query.get("search[direction]").is_none_or(|direction| direction != "asc") {
        records.reverse();
    }
    let count = records.len();
    let (records, pages) = page(&records, number, size);
    let body = json!({
        "tickets": records,
        "meta": {"current_page": number, "total_pages": pages, "total_count": count, "per_page": size},
    });
    let date = truth.now().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    ([("content-type", "application/json"), ("date", date.as_str())], body.to_string()).into_response()
}

#[tokio::test]
async fn tito_is_followed() {
    let truth = Truth::of_seven();
    let known = truth.clone();
    let server = Scripted::start(move |asked, _| answer(asked, &known)).await;
    let source = "auth = { key = { env = \"SOURCE_TOKEN\" } }\npagination = { size = 3 }";
    let text = config("tito", source, "account = \"org\", event = \"conf\"").replace("\"URL\"", "\"URL/v3/\"");
    let appliance = Appliance::open(&server.config(&text)).await;
    let kind = |ticket: &Ticket| Some(ticket.kind.clone());
    let view = View { people: 5, pending: false, kind, groups: |_| Vec::new() };
    let stage = Stage { server, appliance, truth, view };
    let requests = stage.play().await;
    assert_eq!(requests[0].len(), 3, "eight tickets on pages of three");
    for asked in &requests[1..] {
        assert_eq!(asked.len(), 1, "only what changed is asked for");
        assert!(since(&asked[0]).is_some());
    }
}
