//! Indico: a bare array for each registration form, one full name to split, and deleted ones simply missing.

use axum::response::Response;
use serde_json::{Value, json};

use super::story::{Stage, config};
use super::truth::{State, Ticket, Truth, View, stored};
use crate::support::{Appliance, Asked, SOURCE_TOKEN, Scripted, json};

/// The number of the form by which somebody registered, and its title.
fn form(ticket: &Ticket) -> (u64, &'static str) {
    if ticket.kind == "Speaker" { (8, "Speakers") } else { (7, "Participants") }
}

fn record(ticket: &Ticket) -> Value {
    let state = match ticket.state {
        State::Attending => "complete",
        State::Pending => "unpaid",
        State::Cancelled if ticket.id.is_multiple_of(2) => "rejected",
        State::Cancelled => "withdrawn",
    };
    let tags: Vec<_> = ticket.tags.iter().map(|title| json!({"id": 1, "title": title, "color": "red"})).collect();
    json!({
        "id": ticket.id, "regform_id": form(ticket).0, "event_id": 4711, "email": ticket.email, "state": state,
        "full_name": format!("{} {}", ticket.first, ticket.last), "checked_in": false, "is_paid": false, "tags": tags,
        "registration_date": ticket.changed.strftime("%Y-%m-%dT%H:%M:%S+00:00").to_string(),
    })
}

fn answer(asked: &Asked, truth: &Truth) -> Response {
    assert_eq!(asked.header("authorization"), Some(format!("Bearer {SOURCE_TOKEN}").as_str()));
    let below = asked.path.strip_prefix("/api/checkin/event/4711/forms/").unwrap();
    if below.is_empty() {
        return json(&json!([
            {"id": 7, "event_id": 4711, "title": "Participants", "is_open": true},
            {"id": 8, "event_id": 4711, "title": "Speakers", "is_open": false},
        ]));
    }
    let number: u64 = below.strip_suffix("/registrations/").unwrap().parse().unwrap();
    json(&truth.tickets().iter().filter(|ticket| form(ticket).0 == number).map(record).collect())
}

#[tokio::test]
async fn indico_is_followed() {
    let truth = Truth::of_seven();
    let known = truth.clone();
    let server = Scripted::start(move |asked, _| answer(asked, &known)).await;
    let text = config("indico", "auth = { token = { env = \"SOURCE_TOKEN\" } }", "event = 4711");
    let appliance = Appliance::open(&server.config(&text)).await;
    let kind = |ticket: &Ticket| Some(form(ticket).1.to_owned());
    let groups = |ticket: &Ticket| ticket.tags.iter().map(ToString::to_string).collect();
    let stage = Stage { server, appliance, truth, view: View { people: 6, pending: true, kind, groups } };
    let requests = stage.play().await;
    assert!(requests.iter().all(|asked| asked.len() == 3), "the forms and two lists");
    let before = stored(&stage.appliance, "summit");
    stage.truth.delete(108);
    let run = stage.appliance.sync("summit", "tickets", false, false).await;
    assert_eq!(run.counts.missing, 1, "one that was deleted is missing: {run:?}");
    assert_eq!(stored(&stage.appliance, "summit"), before, "and stays");
}
