//! Two sources that feed two events, a client of the router, and short words for what is asked.

use axum::body::Body;
use axum::http::Request;
use http_body_util::BodyExt;
use rollcall::faults::Faults;
use rollcall::http;
use rollcall::model::Run;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt;

use crate::support::{Appliance, ListServer};

/// Source `s` says where it is edited; the list `s-e` feeds event `e`, and so on.
const CONFIG: &str = r#"
[source.s]
base_url = "URL"
priority = 10
edit_url = "https://s.example/{param.list}/{external_id}"
[source.s.request]
path = "{param.list}"
[source.s.auth]
kind = "bearer"
token = { env = "SOURCE_TOKEN" }
[source.s.records]
select = ".items[]"
[source.s.mapping]
external_id = ".id"
email = ".email"
first_name = ".first"
last_name = ".last"
company = ".company"
phone = ".phone"
biography = ".biography"
country = ".country"
badge_url = ".badge"
[source.s.field.phone]
overwrite = "if_empty"
[source.s.field.biography]
overwrite = "if_new"
[source.s.field.country]
clear_blank = true
[source.s.field.badge_url]
clear_blank = true
[source.s.states]
removed_when = '.status == "cancelled"'
attendee_when = '.status != "pending"'
delete_when = ".erase"
[source.s.groups]
from = ".groups"
[source.t]
base_url = "URL"
[source.t.request]
path = "{param.list}"
[source.t.auth]
kind = "bearer"
token = { env = "SOURCE_TOKEN" }
[source.t.records]
select = ".items[]"
[source.t.mapping]
external_id = ".id"
email = ".email"
first_name = ".first"
last_name = ".last"
[source.t.states]
removed_when = '.status == "cancelled"'
attendee_when = '.status != "pending"'
delete_when = ".erase"
[source.t.groups]
from = ".groups"
[event.e]
[[event.e.feed]]
source = "s"
params = { list = "s-e" }
[[event.e.feed]]
source = "t"
params = { list = "t-e" }
[event.f]
[[event.f.feed]]
source = "s"
params = { list = "s-f" }
"#;

pub struct World {
    pub server: ListServer,
    pub appliance: Appliance,
}

pub struct Answer {
    pub status: u16,
    pub json: Value,
}

impl Answer {
    #[track_caller]
    pub fn good(self) -> Value {
        assert!((200..300).contains(&self.status), "{} {}", self.status, self.json);
        self.json
    }

    /// The problem's kind and the fields it names.
    #[track_caller]
    pub fn problem(&self, status: u16) -> (&str, Vec<&str>) {
        assert_eq!(self.status, status, "{}", self.json);
        let kind = self.json["type"].as_str().unwrap().strip_prefix("urn:rollcall:problem:").unwrap();
        let errors = self.json["errors"].as_array().into_iter().flatten();
        (kind, errors.map(|error| error["field"].as_str().unwrap()).collect())
    }
}

/// A record of somebody, with more about them.
pub fn record(id: u32, name: &str, more: Value) -> Value {
    let mut record = json!({"id": id, "email": format!("{name}@x.org"), "first": name, "last": "Example"});
    record.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    record
}

impl World {
    pub async fn new() -> Self {
        Self::with(|config| config).await
    }

    /// With other settings.
    pub async fn with(change: impl Fn(String) -> String) -> Self {
        Self::at(tempfile::tempdir().unwrap(), change).await
    }

    /// For thousands of commits: in memory where the system has such a folder, for no test of this kind is about the disk.
    pub async fn in_memory() -> Self {
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
        Self::at(folder.unwrap(), |config| config).await
    }

    async fn at(folder: TempDir, change: impl Fn(String) -> String) -> Self {
        Self::failing(folder, change, Faults::none()).await
    }

    /// On a folder that may hold a store already, on a disk that may fail.
    pub async fn failing(folder: TempDir, change: impl Fn(String) -> String, faults: Faults) -> Self {
        let server = ListServer::start().await;
        for list in ["s-e", "t-e", "s-f"] {
            server.set(list, vec![json!({"items": []}).to_string()]);
        }
        let appliance = Appliance::open_failing(folder, &change(config(&server)), faults).await;
        Self { server, appliance }
    }

    pub async fn reopened(self, change: impl Fn(String) -> String) -> Self {
        let Self { server, appliance } = self;
        let appliance = appliance.reopen(&change(config(&server))).await;
        Self { server, appliance }
    }

    pub fn show(&self, list: &str, records: &[Value]) {
        self.server.set(list, vec![json!({"items": records}).to_string()]);
    }

    /// Syncs one list.
    pub async fn sync(&self, list: &str) -> Run {
        let (source, event) = list.split_once('-').unwrap();
        let run = self.appliance.sync(event, source, false, false).await;
        assert_eq!(run.error, None);
        run
    }

    /// Shows a list and syncs it.
    pub async fn bring(&self, list: &str, records: &[Value]) -> Run {
        self.show(list, records);
        self.sync(list).await
    }

    pub async fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let token = self.appliance.app.local_token.expose_secret().to_owned();
        self.ask_as(&token, method, path, body).await
    }

    pub async fn ask_as(&self, token: &str, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let request = Request::builder().method(method).uri(path).header("authorization", format!("Bearer {token}"));
        let request = match body {
            Some(body) => request.header("content-type", "application/json").body(Body::from(body.to_string())),
            None => request.body(Body::empty()),
        };
        let Ok(answer) = http::router(&self.appliance.app).oneshot(request.unwrap()).await;
        let status = answer.status().as_u16();
        let bytes = answer.into_body().collect().await.unwrap().to_bytes();
        let json = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).unwrap() };
        Answer { status, json }
    }

    pub async fn get(&self, path: &str) -> Value {
        self.ask("GET", path, None).await.good()
    }

    pub async fn put(&self, path: &str, body: Value) -> Answer {
        self.ask("PUT", path, Some(&body)).await
    }

    pub async fn patch(&self, user: &str, body: Value) -> Answer {
        self.ask("PATCH", &format!("/v1/users/{user}"), Some(&body)).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.ask("DELETE", path, None).await
    }

    /// The id of whoever bears the name's email.
    pub async fn id(&self, name: &str) -> String {
        let body = json!({"email": format!("{name}@x.org")});
        self.ask("POST", "/v1/users/lookup", Some(&body)).await.good()["id"].as_str().unwrap().to_owned()
    }

    pub async fn user(&self, id: &str) -> Value {
        self.get(&format!("/v1/users/{id}")).await
    }

    /// A field's value and its owner's source.
    pub async fn field(&self, id: &str, field: &str) -> (Value, Value) {
        let user = self.user(id).await;
        (user["fields"][field]["value"].clone(), user["fields"][field]["owner"]["source"].clone())
    }

    /// Who is on a list of people.
    pub async fn ids(&self, path: &str) -> Vec<String> {
        let page = self.get(path).await;
        let items = page["items"].as_array().unwrap();
        items.iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
    }
}

fn config(server: &ListServer) -> String {
    CONFIG.replace("URL", &format!("http://{}", server.address))
}
