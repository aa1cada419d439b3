//! A registration system that sends hooks, and an appliance that takes them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use axum::response::{IntoResponse, Response};
use hmac::{Hmac, Mac as _};
use http_body_util::BodyExt as _;
use rollcall::http;
use rollcall::model::{FeedId, FeedState, Run, Trigger};
use serde_json::{Value, json};
use sha2::Sha256;
use tower::ServiceExt as _;

use crate::support::{Appliance, Asked, SOURCE_TOKEN, Scripted, until};

/// Signed hooks that name records.
pub const NAMING: &str = r#"
secret = { env = "SOURCE_TOKEN" }
signature_header = "X-Signature"
ids = ".ids"
record = { path = "people/{hook.id}" }
select = "."
"#;

const CONFIG: &str = r#"
[source.s]
base_url = "URL"
request = { path = "people" }
auth = { kind = "bearer", token = { env = "SOURCE_TOKEN" } }
records = { select = ".items[]" }
mapping = { external_id = ".id", email = ".email", first_name = ".first", last_name = ".last" }
states = { removed_when = '.status == "cancelled"' }
limits = { tries = 1 }
MORE
[source.s.hook]
HOOK
[event.e]
feed = [{ source = "s" }]
"#;

/// Who is registered, and whether it answers.
#[derive(Clone, Default)]
pub struct People {
    records: Arc<Mutex<BTreeMap<String, Value>>>,
    shut: Arc<AtomicBool>,
    held_up: Arc<AtomicUsize>,
}

impl People {
    pub fn set(&self, id: u32, email: &str, more: Value) {
        let mut record = json!({"id": id, "email": email, "first": "F", "last": "L"});
        record.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.records.lock().unwrap().insert(id.to_string(), record);
    }

    pub fn remove(&self, id: u32) {
        self.records.lock().unwrap().remove(&id.to_string());
    }

    /// From now on requests wait until it is opened.
    pub fn shut(&self) {
        self.held_up.store(0, Ordering::SeqCst);
        self.shut.store(true, Ordering::SeqCst);
    }

    pub fn open(&self) {
        self.shut.store(false, Ordering::SeqCst);
    }

    /// Waits until a request waits.
    pub async fn holds_one_up(&self) {
        until("a request waits", async || self.held_up.load(Ordering::SeqCst) > 0).await;
    }

    /// Not for ever: a test that failed has to end.
    fn wait_until_open(&self) {
        let since = Instant::now();
        while self.shut.load(Ordering::SeqCst) && since.elapsed() < Duration::from_secs(20) {
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn answer(&self, asked: &Asked) -> Response {
        assert_eq!(asked.header("authorization"), Some(format!("Bearer {SOURCE_TOKEN}").as_str()));
        if self.shut.load(Ordering::SeqCst) {
            self.held_up.fetch_add(1, Ordering::SeqCst);
            tokio::task::block_in_place(|| self.wait_until_open());
        }
        let records = self.records.lock().unwrap();
        let body = match asked.path.strip_prefix("/people/") {
            Some(id) => match records.get(id) {
                Some(record) => record.clone(),
                None => return StatusCode::NOT_FOUND.into_response(),
            },
            None => json!({"items": records.values().collect::<Vec<_>>()}),
        };
        ([("content-type", "application/json"), ("etag", "\"1\"")], body.to_string()).into_response()
    }
}

pub struct Stage {
    pub people: People,
    pub server: Scripted,
    pub appliance: Appliance,
}

/// What the router answered.
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
}

impl Stage {
    /// `hook` are the keys of the source's hook, `more` further tables of the source.
    pub async fn with(hook: &str, more: &str) -> Self {
        Self::of(&CONFIG.replace("HOOK", hook).replace("MORE", more)).await
    }

    pub async fn of(config: &str) -> Self {
        let people = People::default();
        people.set(1, "ada@x.org", json!({}));
        people.set(2, "grace@x.org", json!({}));
        let behind = people.clone();
        let server = Scripted::start(move |asked, _| behind.answer(asked)).await;
        let appliance = Appliance::open(&server.config(config)).await;
        Self { people, server, appliance }
    }

    /// With a further event.
    pub async fn with_event(hook: &str, event: &str) -> Self {
        Self::of(&(CONFIG.replace("HOOK", hook).replace("MORE", "") + event)).await
    }

    /// The same, synced once.
    pub async fn synced(hook: &str, more: &str) -> Self {
        let stage = Self::with(hook, more).await;
        let run = stage.appliance.sync("e", "s", false, false).await;
        assert!(run.complete, "{run:?}");
        stage.server.take();
        stage
    }

    pub async fn post(&self, path: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Answer {
        let request = headers.iter().fold(Request::post(path), |request, (name, value)| request.header(*name, *value));
        let Ok(answer) = http::router(&self.appliance.app).oneshot(request.body(body.into()).unwrap()).await;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let bytes = answer.into_body().collect().await.unwrap().to_bytes();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        assert!(!text.contains(SOURCE_TOKEN), "{text}");
        Answer { status, headers, text }
    }

    /// Sends a hook as the source would. Its answer's status.
    pub async fn hook(&self, body: &Value) -> u16 {
        self.hook_text(&body.to_string()).await
    }

    pub async fn hook_text(&self, body: &str) -> u16 {
        let answer = self.post("/v1/sources/s/hook", &[("x-signature", &signature(body))], body.to_owned()).await;
        answer.status
    }

    /// Runs that hooks started, oldest first, once they have ended and there are so many.
    pub async fn hook_runs(&self, count: usize) -> Vec<Run> {
        let mut found = Vec::new();
        until("the hooks' runs have ended", async || {
            found = self.runs();
            found.len() >= count && found.iter().all(|run| run.ended_at.is_some())
        })
        .await;
        found
    }

    pub fn runs(&self) -> Vec<Run> {
        let by_hook = |run: &Run| matches!(run.trigger, Trigger::Hook | Trigger::Hint);
        let mut runs = self.appliance.app.runner.runs(None, 1_000, by_hook).unwrap();
        runs.reverse();
        runs
    }

    pub fn state(&self) -> FeedState {
        self.appliance.app.store.feed_state(&feed())
    }

    /// The paths that were asked for since the last time.
    pub fn asked(&self) -> Vec<String> {
        self.server.take().into_iter().map(|asked| asked.path).collect()
    }

    pub fn metric(&self, line: &str) -> u64 {
        let text = self.appliance.app.observer.render();
        let value = text.lines().find_map(|found| found.strip_prefix(line)?.trim().parse().ok());
        value.unwrap_or_else(|| panic!("{line} is not in\n{text}"))
    }

    pub fn outcomes(&self, outcome: &str) -> u64 {
        self.metric(&format!("rollcall_hooks_total{{source=\"s\",outcome=\"{outcome}\"}}"))
    }
}

pub fn feed() -> FeedId {
    FeedId { event: "e".to_owned().try_into().unwrap(), source: "s".to_owned().try_into().unwrap() }
}

/// HMAC-SHA256 in hex, by the secret that every source here has.
pub fn signature(text: &str) -> String {
    let mac = Hmac::<Sha256>::new_from_slice(SOURCE_TOKEN.as_bytes()).unwrap().chain_update(text);
    mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}
