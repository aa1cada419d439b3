//! A registration system like GCO: a login, events by their exact names, people, and a place for links and passwords.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{Method, Request, StatusCode};
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use rollcall::http;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::support::{Appliance, Asked, SOURCE_TOKEN, Scripted, json as answer};

/// The event as GCO spells it: two blanks, and capitals where one would not expect them.
pub const EVENT_NAME: &str = "Annual  Meeting OF Testers";

/// The appliance's configuration: the preset, and an event with links.
pub const CONFIG: &str = r#"
[source.gco]
preset = "gco"
base_url = "URL"
auth.request.json = { LoginId = "rollcall", Password = { env = "SOURCE_TOKEN" } }
guard = { max_rejected = 50 }
[event.summit]
title = "Summit"
links = { link = "https://app.example/enter?token={token}" }
feed = [{ source = "gco", params = { eventName = "Annual  Meeting OF Testers" } }]
"#;

/// What GCO has and how it behaves.
#[derive(Default)]
pub struct Gco {
    people: BTreeMap<String, Value>,
    /// How often each key of a request came.
    pub keys: BTreeMap<String, u32>,
    /// What requests of links are answered with instead.
    pub refuse: Option<u16>,
    /// Whose links it does not take.
    pub refused: Vec<String>,
    /// It says that it took what came, and did not.
    pub forgets: bool,
    /// It takes what comes and does not end its answer.
    pub hangs: bool,
    revision: u64,
}

#[derive(Clone)]
pub struct System {
    pub server: Scripted,
    pub gco: Arc<Mutex<Gco>>,
}

impl System {
    pub async fn start() -> Self {
        let gco = Arc::new(Mutex::new(Gco::default()));
        let kept = Arc::clone(&gco);
        let server = Scripted::start(move |asked, _| kept.lock().unwrap().answer(asked)).await;
        Self { server, gco }
    }

    pub fn with<T>(&self, work: impl FnOnce(&mut Gco) -> T) -> T {
        work(&mut self.gco.lock().unwrap())
    }

    pub fn config(&self) -> String {
        self.server.config(CONFIG)
    }

    pub async fn appliance(&self) -> Appliance {
        Appliance::open(&self.config()).await
    }

    /// The requests with links, as bodies.
    pub fn pushes(&self) -> Vec<Value> {
        let asked = self.server.take().into_iter().filter(|asked| asked.path == "/sentlinks");
        asked.map(|asked| serde_json::from_str(&asked.body).unwrap()).collect()
    }
}

impl Gco {
    pub fn register(&mut self, id: &str, first: &str, last: &str, country: &str) {
        self.revision += 1;
        let email = format!("{}@x.example", first.to_lowercase());
        let person = json!({
            "fp_ext_id": id, "first_name": first, "last_name": last, "email": email, "country": country,
            "group": "Delegates", "registration_type": "Full", "changed": self.revision,
            "webapp_link": null, "event_password": null,
        });
        self.people.insert(id.to_owned(), person);
    }

    pub fn remove(&mut self, id: &str) {
        self.people.remove(id);
    }

    pub fn person(&self, id: &str) -> Value {
        self.people[id].clone()
    }

    pub fn set(&mut self, id: &str, key: &str, value: Value) {
        self.people.get_mut(id).unwrap()[key] = value;
    }

    fn answer(&mut self, asked: &Asked) -> Response {
        let status = |code: u16| StatusCode::from_u16(code).unwrap().into_response();
        if asked.path == "/login" {
            let login: Value = serde_json::from_str(&asked.body).unwrap();
            let is_ours = login == json!({"LoginId": "rollcall", "Password": SOURCE_TOKEN});
            return if is_ours { answer(&json!({"token": "session-1"})) } else { status(401) };
        }
        if asked.header("authorization") != Some("Bearer session-1") {
            return status(401);
        }
        let is_event = asked.query.get("eventName").is_some_and(|name| name == EVENT_NAME);
        match (asked.method.as_str(), asked.path.as_str()) {
            // A wrong name is no error: there is nobody.
            ("GET", "/people") if !is_event => answer(&json!({"people": []})),
            ("GET", "/people") => answer(&json!({"people": self.people.values().collect::<Vec<_>>()})),
            ("POST", "/sentlinks") if is_event => self.take(asked),
            _ => status(404),
        }
    }

    fn take(&mut self, asked: &Asked) -> Response {
        *self.keys.entry(asked.header("idempotency-key").unwrap().to_owned()).or_default() += 1;
        if let Some(code) = self.refuse {
            return StatusCode::from_u16(code).unwrap().into_response();
        }
        let links: Vec<Value> = serde_json::from_str(&asked.body).unwrap();
        let mut errors = Vec::new();
        for link in links {
            let id = link["fp_ext_id"].as_str().unwrap();
            if self.refused.iter().any(|refused| refused == id) {
                errors.push(json!({"fp_ext_id": id, "message": "no such person"}));
                continue;
            }
            let Some(person) = self.people.get_mut(id).filter(|_| !self.forgets) else { continue };
            self.revision += 1;
            // GCO's own time of the last change moves, as with any change.
            person["changed"] = self.revision.into();
            person["webapp_link"] = link["webapp_link"].clone();
            person["event_password"] = link["event_password"].clone();
        }
        if self.hangs {
            let never = futures_util::stream::pending::<Result<Bytes, std::io::Error>>();
            return Response::new(Body::from_stream(never));
        }
        answer(&json!({ "errors": errors }))
    }
}

/// Asks the appliance with the command line's own token.
pub async fn ask(appliance: &Appliance, method: Method, path: &str, body: Option<&Value>) -> (u16, Value) {
    let token = appliance.app.local_token.expose_secret().to_owned();
    let request = Request::builder().method(method).uri(path).header("authorization", format!("Bearer {token}"));
    let request = match body {
        Some(body) => request.header("content-type", "application/json").body(body.to_string().into()),
        None => request.body(axum::body::Body::empty()),
    };
    let Ok(answer) = http::router(&appliance.app).oneshot(request.unwrap()).await;
    let status = answer.status().as_u16();
    let bytes = answer.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&bytes).unwrap_or_default())
}

pub async fn get(appliance: &Appliance, path: &str) -> Value {
    let (status, answer) = ask(appliance, Method::GET, path, None).await;
    assert_eq!(status, 200, "{path}: {answer}");
    answer
}

/// Sends what is due now. `retry`: also what failed.
pub async fn send(appliance: &Appliance, retry: bool) -> Value {
    let body = json!({ "retry": retry });
    let (status, answer) = ask(appliance, Method::POST, "/v1/events/summit/writeback", Some(&body)).await;
    assert_eq!(status, 200, "{answer}");
    answer["counts"].clone()
}

/// Pending, sent, confirmed and failed receipts.
pub async fn counts(appliance: &Appliance) -> [u64; 4] {
    let answer = get(appliance, "/v1/events/summit/writeback").await;
    let counts = answer["counts"].as_array().unwrap();
    ["pending", "sent", "confirmed", "failed"].map(|key| counts.iter().map(|c| c[key].as_u64().unwrap()).sum())
}

/// Each receipt: external id, state and reason.
pub async fn receipts(appliance: &Appliance) -> Vec<(String, String, String)> {
    let answer = get(appliance, "/v1/events/summit/writeback").await;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let rows = answer["receipts"].as_array().unwrap().iter();
    rows.map(|row| (text(&row["external_id"]), text(&row["state"]), text(&row["reason"]))).collect()
}

/// The id of somebody by their email.
pub async fn user(appliance: &Appliance, first: &str) -> String {
    let users = get(appliance, "/v1/events/summit/attendees").await;
    let email = format!("{}@x.example", first.to_lowercase());
    let found = users["items"].as_array().unwrap().iter().find(|user| user["email"] == *email);
    found.unwrap_or_else(|| panic!("{first}: {users}"))["id"].as_str().unwrap().to_owned()
}

pub async fn pass(appliance: &Appliance, user: &str) -> Value {
    get(appliance, &format!("/v1/events/summit/attendees/{user}/pass")).await
}

/// Moves the clock on.
pub fn later(appliance: &Appliance, duration: Duration) {
    appliance.clock.advance(jiff::SignedDuration::try_from(duration).unwrap());
}
