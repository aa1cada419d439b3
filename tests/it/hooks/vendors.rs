//! What presets say of hooks, against systems of their documented shapes.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use rollcall::http;
use rollcall::model::{Run, RunOutcome, Trigger};
use serde_json::{Value, json};
use sha2::Sha256;
use tower::ServiceExt as _;

use crate::support::{Appliance, Asked, SOURCE_TOKEN, Scripted, everybody, json as answer, until};

async fn stage(preset: &str, hook: &str, params: &str, script: fn(&Asked) -> Response) -> (Scripted, Appliance) {
    let server = Scripted::start(move |asked, _| script(asked)).await;
    let text = format!(
        "[source.tickets]\npreset = \"{preset}\"\nbase_url = \"URL/api/\"\nauth = {{ key = {{ env = \"SOURCE_TOKEN\" }} }}\n\
         hook = {{ {hook} = {{ env = \"SOURCE_TOKEN\" }} }}\n\
         [event.summit]\nfeed = [{{ source = \"tickets\", params = {{ {params} }} }}]\n"
    );
    let appliance = Appliance::open(&server.config(&text)).await;
    (server, appliance)
}

async fn hooked(appliance: &Appliance, path: &str, sign: &str, body: &Value) -> Vec<Run> {
    let before = appliance.app.runner.runs(None, 10, |_| true).unwrap().len();
    let request = Request::post(path).header("tito-signature", sign).body(Body::from(body.to_string())).unwrap();
    let Ok(taken) = http::router(&appliance.app).oneshot(request).await;
    assert_eq!(taken.status(), StatusCode::ACCEPTED);
    let mut runs = Vec::new();
    until("its run has ended", async || {
        runs = appliance.app.runner.runs(None, 10, |_| true).unwrap();
        runs.len() > before && runs.iter().all(|run| run.ended_at.is_some())
    })
    .await;
    assert!(runs.iter().all(|run| run.outcome == Some(RunOutcome::Done) && run.counts.reject == 0), "{runs:?}");
    runs
}

fn emails(appliance: &Appliance) -> Vec<String> {
    let mut emails: Vec<_> =
        everybody(&appliance.app.store).into_values().map(|person| person.email.as_str().to_owned()).collect();
    emails.sort();
    emails
}

fn order(asked: &Asked) -> Response {
    assert_eq!(asked.path, "/api/organizers/org/events/conf/orders/ABC12/");
    assert_eq!(asked.query["include_canceled_positions"], "true");
    assert!(asked.every("exclude").contains(&"secret"));
    let position = |id: u32, email: &str, addon_to: Value| {
        json!({"id": id, "positionid": id, "item": 1, "addon_to": addon_to, "canceled": false, "attendee_email": email,
               "attendee_name": "Ada Lovelace", "attendee_name_parts": {}, "country": null, "company": null})
    };
    let positions =
        [position(1, "ada@x.org", Value::Null), position(2, "grace@x.org", Value::Null), position(3, "", json!(1))];
    answer(&json!({"code": "ABC12", "status": "p", "testmode": false, "email": "buyer@x.org", "invoice_address": null,
                   "last_modified": "2026-03-01T00:00:00Z", "positions": positions}))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_of_pretix_names_an_order_whose_positions_are_read() {
    let (server, appliance) = stage("pretix", "path_secret", "organizer = \"org\", event = \"conf\"", order).await;
    let path = format!("/v1/sources/tickets/hook/{SOURCE_TOKEN}");
    let body = json!({"notification_id": 1, "organizer": "org", "event": "conf", "code": "ABC12",
                      "action": "pretix.event.order.paid"});
    let runs = hooked(&appliance, &path, "", &body).await;
    assert_eq!((runs[0].trigger, runs[0].counts.records), (Trigger::Hint, 2), "{runs:?}");
    assert_eq!(server.take().len(), 1);
    assert_eq!(emails(&appliance), ["ada@x.org", "grace@x.org"]);
}

fn ticket(asked: &Asked) -> Response {
    let Some(slug) = asked.path.strip_prefix("/api/acme/conf/tickets/") else { panic!("{asked:?}") };
    if slug == "ti_gone" {
        return StatusCode::NOT_FOUND.into_response();
    }
    let ticket = json!({"_type": "ticket", "id": slug.len(), "slug": slug, "state": "complete", "test_mode": false,
                        "email": format!("{slug}@x.org"), "first_name": "Ada", "last_name": "Lovelace",
                        "release": {"title": "Speaker"}, "updated_at": "2026-03-01T00:00:00.000Z", "reference": "AB-1"});
    answer(&json!({"ticket": ticket}))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_of_tito_names_a_ticket_or_those_of_a_registration() {
    let (server, appliance) = stage("tito", "secret", "account = \"acme\", event = \"conf\"", ticket).await;
    let event = json!({"account_slug": "acme", "slug": "conf"});
    for (body, asked, known) in [
        (json!({"_type": "ticket", "slug": "ti_a", "event": event}), 1, &["ti_a@x.org"][..]),
        (
            json!({"slug": "reg", "event": event, "tickets": [{"slug": "ti_bb"}, {"slug": "ti_gone"}]}),
            2,
            &["ti_a@x.org", "ti_bb@x.org"],
        ),
    ] {
        let mac = Hmac::<Sha256>::new_from_slice(SOURCE_TOKEN.as_bytes()).unwrap().chain_update(body.to_string());
        let sign = STANDARD.encode(mac.finalize().into_bytes());
        let runs = hooked(&appliance, "/v1/sources/tickets/hook", &sign, &body).await;
        assert_eq!(runs[0].trigger, Trigger::Hint, "{runs:?}");
        assert_eq!(server.take().len(), asked);
        assert_eq!(emails(&appliance), known);
    }
}
