//! Hi.Events: newest first, unless asked otherwise, so that pages move while people register.

use axum::response::Response;
use serde_json::{Value, json};

use super::story::{Stage, config, page};
use super::truth::{State, Ticket, Truth, View, stored};
use crate::support::{Appliance, Asked, SOURCE_TOKEN, Scripted, json};

fn record(ticket: &Ticket) -> Value {
    let status = match ticket.state {
        State::Attending => "ACTIVE",
        State::Pending => "AWAITING_PAYMENT",
        State::Cancelled => "CANCELLED",
    };
    json!({
        "id": ticket.id, "order_id": 1, "product_id": 5, "product": {"id": 5, "title": ticket.kind}, "event_id": 4711,
        "email": ticket.email, "first_name": ticket.first, "last_name": ticket.last, "status": status,
        "public_id": format!("A-{}", ticket.id), "short_id": "a_x", "locale": "en",
        "updated_at": ticket.changed.strftime("%Y-%m-%dT%H:%M:%S.000000Z").to_string(),
    })
}

/// `sorts`: older versions take no order.
fn answer(asked: &Asked, truth: &Truth, sorts: bool) -> Response {
    assert_eq!(asked.path, "/api/events/4711/attendees");
    assert_eq!(asked.header("authorization"), Some(format!("Bearer {SOURCE_TOKEN}").as_str()));
    let mut records: Vec<_> = truth.tickets().iter().map(record).collect();
    let oldest_first = asked.query.get("sort_by").is_some_and(|by| by == "created_at")
        && asked.query.get("sort_direction").is_some_and(|direction| direction == "asc");
    if !(sorts && oldest_first) {
        records.reverse();
    }
    let (number, size) = (asked.number("page").unwrap(), asked.number("per_page").unwrap());
    let total = records.len();
    let (records, pages) = page(&records, number, size);
    json(&json!({
        "data": records,
        "links": {"next": (number < pages).then(|| format!("?page={}", number + 1))},
        "meta": {"current_page": number, "last_page": pages, "per_page": size, "total": total},
    }))
}

async fn stage(script: impl Fn(&Asked, &Truth) -> Response + Send + Sync + 'static) -> Stage {
    let truth = Truth::of_seven();
    let known = truth.clone();
    let server = Scripted::start(move |asked, _| script(asked, &known)).await;
    let source = "auth = { token = { env = \"SOURCE_TOKEN\" } }\npagination = { size = 3 }";
    let text = config("hievents", source, "event = 4711").replace("\"URL\"", "\"URL/api/\"");
    let appliance = Appliance::open(&server.config(&text)).await;
    let kind = |ticket: &Ticket| Some(ticket.kind.clone());
    Stage { server, appliance, truth, view: View { people: 6, pending: true, kind, groups: |_| Vec::new() } }
}

#[tokio::test]
async fn hievents_is_followed() {
    let requests = stage(|asked, truth| answer(asked, truth, true)).await.play().await;
    assert_eq!(requests[0].len(), 3, "seven attendees on pages of three");
}

/// Somebody registers while the second page is read. Nobody is lost, in whatever order the list comes.
#[tokio::test]
async fn hievents_pages_may_move() {
    for sorts in [true, false] {
        let stage = stage(move |asked, truth| {
            if asked.number("page") == Some(2) && truth.tickets().len() == 7 {
                truth.add(108, "late@example.org", "Late", "Comer", "Visitor", State::Attending);
            }
            answer(asked, truth, sorts)
        })
        .await;
        let run = stage.appliance.sync("summit", "tickets", false, false).await;
        assert!(!run.complete, "the list changed on the way: {run:?}");
        let mut expected = stage.view.of(&stage.truth.tickets());
        if !sorts {
            expected.remove("late@example.org");
        }
        assert_eq!(stored(&stage.appliance, "summit"), expected);
        stage.sync("the next sync has everybody").await;
    }
}
