//! Eventbrite: the token of the next page is there on the last page, too, and one record is one ticket.

use axum::response::Response;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::story::{Stage, config, page};
use super::truth::{State, Ticket, Truth, View};
use crate::support::{Appliance, Asked, SOURCE_TOKEN, Scripted, json};

const PAGE: usize = 3;

fn record(ticket: &Ticket) -> Value {
    let status = match ticket.state {
        State::Attending => "Attending",
        State::Pending => "Unpaid",
        State::Cancelled => "Not Attending",
    };
    json!({
        "id": ticket.id.to_string(), "changed": ticket.changed.to_string(), "ticket_class_name": ticket.kind,
        "quantity": 1, "status": status, "cancelled": ticket.state == State::Cancelled, "refunded": false,
        "profile": {
            "email": ticket.email, "first_name": ticket.first, "last_name": ticket.last,
            "name": format!("{} {}", ticket.first, ticket.last),
        },
    })
}

/// A ticket whose holder nobody has named.
fn unnamed() -> Value {
    json!({"id": "9", "changed": "2026-01-01T00:00:00Z", "status": "Attending", "cancelled": false, "refunded": false,
           "profile": {"name": null}})
}

fn answer(asked: &Asked, truth: &Truth) -> Response {
    assert_eq!(asked.path, "/v3/events/4711/attendees/");
    assert_eq!(asked.header("authorization"), Some(format!("Bearer {SOURCE_TOKEN}").as_str()));
    let since: Option<Timestamp> = asked.query.get("changed_since").map(|since| since.parse().unwrap());
    let tickets = truth.tickets().into_iter().filter(|ticket| since.is_none_or(|since| ticket.changed >= since));
    let mut records: Vec<_> = tickets.map(|ticket| record(&ticket)).collect();
    if since.is_none() {
        records.insert(2, unnamed());
    }
    let number =
        asked.query.get("continuation").map_or(1, |token| token.strip_prefix("next-").unwrap().parse().unwrap());
    let (records, pages) = page(&records, number, PAGE);
    json(&json!({
        "pagination": {
            "page_number": number, "page_size": PAGE, "has_more_items": number < pages,
            "continuation": format!("next-{}", number + 1),
        },
        "attendees": records,
    }))
}

#[tokio::test]
async fn eventbrite_is_followed() {
    let truth = Truth::of_seven();
    let known = truth.clone();
    let server = Scripted::start(move |asked, _| answer(asked, &known)).await;
    let source = "auth = { token = { env = \"SOURCE_TOKEN\" } }";
    let text = config("eventbrite", source, "event = 4711").replace("\"URL\"", "\"URL/v3/\"");
    let appliance = Appliance::open(&server.config(&text)).await;
    let kind = |ticket: &Ticket| Some(ticket.kind.clone());
    let view = View { people: 6, pending: true, kind, groups: |_| Vec::new() };
    let stage = Stage { server, appliance, truth, view };
    let requests = stage.play().await;
    assert_eq!(requests[0].len(), 3, "eight records on pages of three, and no fourth request");
    for asked in &requests[1..] {
        assert_eq!(asked.len(), 1, "only what changed is asked for");
        assert!(asked[0].query.contains_key("changed_since"));
    }
}
