//! An appliance that reads the bundled registration system, and a client of its router.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request};
use http_body_util::BodyExt;
use jiff::Timestamp;
use rollcall::app::App;
use rollcall::clock::Clock;
use rollcall::config::{Config, Environment};
use rollcall::demo::{Fake, FakeOptions, TOKEN, TOKEN_VARIABLE, config_toml};
use rollcall::http;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt;

/// A source that nobody answers for.
const DEAD_SOURCE: &str = r#"
[source.dead]
base_url = "http://127.0.0.1:1/"
[source.dead.request]
path = "people/{param.list}"
[source.dead.auth]
kind = "bearer"
token = { env = "ROLLCALL_DEMO_TOKEN" }
[source.dead.records]
select = ".[]"
[source.dead.mapping]
email = ".email"
first_name = ".first"
last_name = ".last"
[[source.dead.budget]]
requests = 100
per = "second"
[[source.dead.budget]]
requests = 5
per = "day"
[source.dead.limits]
tries = 1
[event.dark]
title = "Nobody answers"
[[event.dark.feed]]
source = "dead"
params = { list = "all" }
"#;

pub struct Fixture {
    pub app: App,
    pub fake: Arc<Fake>,
    pub router: Router,
    _folder: TempDir,
}

/// What the router answered.
pub struct Answer {
    pub status: u16,
    pub headers: axum::http::HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("{} {}", self.status, self.text))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The fields that a problem names, after checking that it is one.
    #[track_caller]
    pub fn problem(&self, status: u16) -> Vec<String> {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(self.header("content-type"), "application/problem+json", "{}", self.text);
        let problem = self.json();
        assert_eq!(problem["status"], status);
        assert!(problem["type"].as_str().unwrap().starts_with("urn:rollcall:problem:"), "{problem}");
        assert!(!problem["title"].as_str().unwrap().is_empty() && !problem["detail"].as_str().unwrap().is_empty());
        let errors = problem["errors"].as_array().cloned().unwrap_or_default();
        errors.iter().map(|error| error["field"].as_str().unwrap().to_owned()).collect()
    }
}

impl Fixture {
    /// The demo source with so many records and a source that does not answer, not synced yet.
    pub async fn new(count: u32) -> Self {
        Self::with(FakeOptions { count, ..FakeOptions::default() }).await
    }

    pub async fn with(options: FakeOptions) -> Self {
        let fake = Arc::new(Fake::new(options));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(Arc::clone(&fake).serve(listener, std::future::pending()));
        let folder = tempfile::tempdir().unwrap();
        let app = open(&folder, address).await;
        let router = http::router(&app);
        Self { app, fake, router, _folder: folder }
    }

    /// The same, synced once.
    pub async fn synced(count: u32) -> Self {
        let fixture = Self::new(count).await;
        let run = fixture.sync("").await;
        assert_eq!(run["outcome"], "done", "{run}");
        fixture
    }

    /// Syncs the demo event to the end and gives the run.
    pub async fn sync(&self, query: &str) -> Value {
        let answer = self.post(&format!("/v1/events/summit/sync?wait=60s{query}"), None).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()["runs"][0].take()
    }

    /// A request with the command line's own token.
    pub async fn ask(&self, method: Method, path: &str, body: Option<&str>) -> Answer {
        let token = self.app.local_token.expose_secret().to_owned();
        self.ask_as(Some(&token), method, path, body).await
    }

    pub async fn ask_as(&self, token: Option<&str>, method: Method, path: &str, body: Option<&str>) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let body = body.map_or(Body::empty(), |body| Body::from(body.to_owned()));
        self.send(request.body(body).unwrap()).await
    }

    pub async fn send(&self, request: Request<Body>) -> Answer {
        let Ok(answer) = self.router.clone().oneshot(request).await;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let bytes = answer.into_body().collect().await.unwrap().to_bytes();
        Answer { status, headers, text: String::from_utf8(bytes.to_vec()).unwrap() }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, None).await
    }

    pub async fn post(&self, path: &str, body: Option<&Value>) -> Answer {
        self.ask(Method::POST, path, body.map(Value::to_string).as_deref()).await
    }

    pub async fn put(&self, path: &str, body: &Value) -> Answer {
        self.ask(Method::PUT, path, Some(&body.to_string())).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.ask(Method::DELETE, path, None).await
    }

    /// A list from its first page to its last.
    pub async fn list(&self, path: &str, limit: usize) -> Vec<Value> {
        let (mut items, mut cursor) = (Vec::new(), String::new());
        loop {
            let mark = if path.contains('?') { '&' } else { '?' };
            let answer = self.get(&format!("{path}{mark}limit={limit}{cursor}")).await;
            assert_eq!(answer.status, 200, "{}", answer.text);
            let mut page = answer.json();
            let Value::Array(found) = page["items"].take() else { panic!("{path} is no list") };
            assert!(found.len() <= limit, "{path}: {} items on a page of {limit}", found.len());
            items.extend(found);
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return items,
            }
        }
    }

    /// Makes a token and gives its value.
    pub async fn token(&self, scopes: &[&str]) -> String {
        let answer = self.post("/v1/tokens", Some(&json!({"name": "test", "scopes": scopes}))).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        answer.json()["token"].as_str().unwrap().to_owned()
    }

    /// Serves the same router on loopback for as long as the runtime lives.
    pub async fn listen(&self) -> SocketAddr {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(http::serve(listener, self.router.clone(), std::future::pending()));
        address
    }
}

async fn open(folder: &TempDir, source: SocketAddr) -> App {
    let edit_url = "[source.demo]\nedit_url = \"https://demo.example/{param.event}/{external_id}\"\n";
    let demo = config_toml(source, 100).replacen("[source.demo]\n", edit_url, 1);
    let text = format!("[store]\npath = \"data\"\n{demo}{DEAD_SOURCE}");
    let environment = Environment::from_iter([(TOKEN_VARIABLE, TOKEN)]);
    let config = match Config::parse(&text, &folder.path().join("rollcall.toml"), &environment) {
        Ok((config, _)) => config,
        Err(error) => panic!("{error}"),
    };
    let clock = Clock::fixed("2026-03-01T08:00:00Z".parse::<Timestamp>().unwrap());
    tokio::task::spawn_blocking(move || App::open(config, clock)).await.unwrap().unwrap()
}

/// Waits until a run has ended.
pub async fn ended(fixture: &Fixture, run: u64) -> Value {
    for _ in 0..500 {
        let run = fixture.get(&format!("/v1/runs/{run}")).await.json();
        if !run["ended_at"].is_null() {
            return run;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("run {run} does not end");
}
