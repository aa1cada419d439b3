//! A person who is erased: gone at once, from every file, for good; and kept out.

mod bytes;
mod kept_out;
mod told;
mod unfinished;

use std::path::Path;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{Method, Request};
use http_body_util::BodyExt as _;
use rollcall::codec::Unpacked;
use rollcall::http;
use rollcall::journal::{JournalReader, RunFile, run_files};
use rollcall::model::Run;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::support::{Appliance, ListServer, noise};

/// Source `s` feeds `e` and `f`, source `t` feeds `e`; `t` marks its places and has the delete flag, too.
const CONFIG: &str = r#"
[source.s]
base_url = "URL"
[source.s.request]
path = "s"
[source.s.auth]
kind = "bearer"
token = { env = "SOURCE_TOKEN" }
[source.s.pagination]
kind = "page"
param = "page"
[source.s.records]
select = ".items[]"
[source.s.mapping]
external_id = ".id"
email = ".email"
first_name = ".first"
last_name = ".last"
[source.s.mapping.custom]
diet = ".diet"
[source.s.states]
removed_when = '.status == "cancelled"'
delete_when = ".erase"
[source.s.groups]
from = ".groups"
[source.t]
base_url = "URL"
[source.t.request]
path = "t"
[source.t.auth]
kind = "bearer"
token = { env = "SOURCE_TOKEN" }
[source.t.pagination]
kind = "page"
param = "page"
[source.t.records]
select = ".items[]"
[source.t.mapping]
external_id = ".id"
email = ".email"
first_name = ".first"
last_name = ".last"
[event.e]
title = "The event"
[[event.e.feed]]
source = "s"
[[event.e.feed]]
source = "t"
[event.f]
title = "Another event"
[[event.f.feed]]
source = "s"
"#;

/// What is personal of somebody, in words that cannot be packed and that nobody else has.
struct Somebody {
    id: String,
    email: String,
    first: String,
    last: String,
    diet: String,
}

impl Somebody {
    fn new(seed: u64) -> Self {
        let word = |n: u64| noise(seed * 100 + n, 40);
        let email = format!("{}@x.org", noise(seed * 100 + 9, 30).to_lowercase().replace('+', "-"));
        Self { id: word(0), email, first: word(1), last: word(2), diet: word(3) }
    }

    fn record(&self) -> Value {
        let Self { id, email, first, last, diet } = self;
        json!({"id": id, "email": email, "first": first, "last": last, "diet": diet, "groups": ["Choir"]})
    }

    fn with(&self, key: &str, value: impl Into<Value>) -> Value {
        let mut record = self.record();
        record[key] = value.into();
        record
    }

    /// Of the address what is their own: packing finds the rest elsewhere.
    fn words(&self) -> [&str; 5] {
        let (local, _) = self.email.split_once('@').unwrap();
        [&self.id, local, &self.first, &self.last, &self.diet]
    }
}

/// Somebody else, who stays.
fn other(n: usize) -> Value {
    let (first, last) = (noise(9_000 + n as u64, 20), noise(8_000 + n as u64, 20));
    json!({"id": format!("other-{n}"), "email": format!("other{n}@x.org"), "first": first, "last": last, "diet": "vegan"})
}

struct World {
    server: ListServer,
    config: String,
}

impl World {
    async fn new() -> Self {
        let server = ListServer::start().await;
        let config = CONFIG.replace("URL", &format!("http://{}", server.address));
        let world = Self { server, config };
        world.set("t", &[]);
        world
    }

    /// The list of a source: these people and twenty others.
    fn set(&self, list: &str, records: &[Value]) {
        let records: Vec<Value> = (0..20).map(other).chain(records.iter().cloned()).collect();
        self.server.set(list, vec![json!({ "items": records }).to_string()]);
    }

    async fn open(&self) -> Appliance {
        Appliance::open(&self.config).await
    }
}

/// Syncs every feed.
async fn sync_all(appliance: &Appliance, full: bool) -> Vec<Run> {
    let mut runs = Vec::new();
    for (event, source) in [("e", "s"), ("e", "t"), ("f", "s")] {
        runs.push(appliance.sync(event, source, false, full).await);
    }
    runs
}

async fn ask(appliance: &Appliance, method: Method, path: &str) -> (u16, Value) {
    let token = appliance.app.local_token.expose_secret().to_owned();
    let request = Request::builder().method(method).uri(path).header("authorization", format!("Bearer {token}"));
    let Ok(answer) = http::router(&appliance.app).oneshot(request.body(Body::empty()).unwrap()).await;
    let status = answer.status().as_u16();
    let bytes = answer.into_body().collect().await.unwrap().to_bytes();
    (status, if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).unwrap() })
}

async fn get(appliance: &Appliance, path: &str) -> Value {
    let (status, answer) = ask(appliance, Method::GET, path).await;
    assert_eq!(status, 200, "{path}: {answer}");
    answer
}

/// The id of whoever bears an address now.
fn id_of(appliance: &Appliance, email: &str) -> Option<String> {
    let store = &appliance.app.store;
    let user = store.user_by_email(&rollcall::model::EmailKey::of(email))?;
    Some(store.person(user).unwrap().unwrap().id.to_string())
}

/// Erases whoever bears an address.
async fn erase(appliance: &Appliance, email: &str) -> Value {
    let id = id_of(appliance, email).unwrap();
    let (status, erasure) = ask(appliance, Method::DELETE, &format!("/v1/users/{id}")).await;
    assert_eq!(status, 200, "{erasure}");
    erasure
}

async fn compact(appliance: &Appliance) -> Value {
    let (status, compaction) = ask(appliance, Method::POST, "/v1/compact").await;
    assert_eq!(status, 200, "{compaction}");
    compaction
}

/// Every file below a folder in which a word stands, in its bytes or in those of a decoded block.
fn files_with(folder: &Path, word: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_with(&path, word));
        } else if holds(&std::fs::read(&path).unwrap(), word.as_bytes()) {
            found.push(path.display().to_string());
        }
    }
    found
}

fn holds(bytes: &[u8], word: &[u8]) -> bool {
    let fold = |bytes: &[u8]| String::from_utf8_lossy(bytes).to_ascii_lowercase();
    fold(bytes).contains(&fold(word))
}

/// What the files of a data directory decode to, as far as there is a person's word in them: blocks unpacked, journals
/// and reads item by item. The store must be closed.
fn decoded_with(data: &Path, word: &str) -> Vec<String> {
    let mut found = Vec::new();
    let db = sled::Config::new().path(data.join("db")).segment_size(2 * 1024 * 1024).open().unwrap();
    for row in db.iter() {
        let (key, value) = row.unwrap();
        let unpacked = Unpacked::open(&value).ok();
        let people = unpacked.iter().flat_map(|block| block.people().unwrap().map(|(_, person)| person.to_vec()));
        if people.chain([key.to_vec(), value.to_vec()]).any(|bytes| holds(&bytes, word.as_bytes())) {
            found.push(format!("the value of {key:?}"));
        }
    }
    for (path, file) in run_files(&data.join("runs")).unwrap() {
        if matches!(file, RunFile::Journal(_)) {
            for entry in JournalReader::open(&path).unwrap() {
                let entry = format!("{:?}", entry.unwrap());
                if holds(entry.as_bytes(), word.as_bytes()) {
                    found.push(format!("{}: {entry}", path.display()));
                }
            }
        }
    }
    found
}

/// Runs work that blocks on a thread for it.
async fn blocking<T: Send + 'static>(
    appliance: &Appliance,
    work: impl FnOnce(&rollcall::app::App) -> T + Send + 'static,
) -> T {
    let app = Arc::new(appliance.app.clone());
    tokio::task::spawn_blocking(move || work(&app)).await.unwrap()
}
