//! A server with work, changes and every fault that the dashboards and alerts are for.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use super::wire;
use crate::support::{Asked, Installation, Program, SOURCE_TOKEN, Scripted, json as answer, until};

const PEOPLE: usize = 60;

const SETTINGS: &str = r#"
[source.people]
base_url = "URL"
request = { path = "me" }
mapping = { external_id = ".id", email = ".email", first_name = ".first", last_name = ".last" }
[source.people.login]
authorization_url = "URL/authorize"
token_url = "URL/token"
client_id = "rollcall"
redirect_url = "http://127.0.0.1:7070/v1/login/people/callback"
return_to = "https://app.example/in"
trust_email = true
accept_opaque_tokens = true
min_interval = "0s"

[mail]
host = "127.0.0.1"
port = MAIL
tls = "none"
from = "fest@x.org"

[event.summit]
schedule = { kind = "every", every = "1h", jitter = "0s" }
feed = [{ source = "crm" }, { source = "broken" }, { source = "refused" }, { source = "busy" }, { source = "quota" }, { source = "odd" }, { source = "login" }]

[event.gala]
feed = [{ source = "shrinking" }]
links = { link = "https://app.example/enter?token={token}" }
[event.gala.invitations]
existing = "invite"
[event.gala.invitations.template]
subject = "Come"
text = "Dear {{ first_name }}, come."
"#;

/// The sources: each name is its list's path, and this is what is particular to it.
const SOURCES: [(&str, &str); 8] = [
    (
        "crm",
        r#"pagination = { kind = "page", param = "page" }
budget = [{ requests = 2, per = "second" }, { requests = 500, per = "day" }]
hook = { path_secret = { env = "SOURCE_TOKEN" }, min_interval = "1s" }"#,
    ),
    ("broken", "limits = { tries = 2 }"),
    ("refused", ""),
    ("busy", "limits = { tries = 3 }"),
    ("quota", "pagination = { kind = \"page\", param = \"page\" }\nbudget = [{ requests = 2, per = \"day\" }]"),
    ("odd", ""),
    ("login", r#"auth = { kind = "oauth2", token_url = "token", client_id = "rollcall" }"#),
    (
        "shrinking",
        r#"push = { links = { path = "links", body = "[.items[] | {id: .external_id, url: .webapp_link}]", batch = 10 } }"#,
    ),
];

fn settings(mail: u16) -> String {
    let sources = SOURCES.map(|(name, more)| {
        format!(
            "[source.{name}]\nbase_url = \"URL\"\nrequest = {{ path = \"{name}\" }}\n\
             records = {{ select = \".items[]\", skip_when = \".test\" }}\n\
             mapping = {{ external_id = \".id\", email = \".email\", first_name = \".first\", last_name = \".last\" }}\n\
             states = {{ removed_when = \".cancelled\", delete_when = \".erase\" }}\n{more}\n"
        )
    });
    sources.concat() + &SETTINGS.replace("MAIL", &mail.to_string())
}

fn person(source: &str, id: usize) -> Value {
    json!({ "id": id, "email": format!("{source}{id}@x.org"), "first": format!("P{id}"), "last": source })
}

/// Sixty people; later one has another name, one is cancelled, one deleted, one new, one cannot be used, one is a test.
fn crm(is_later: bool) -> Vec<Value> {
    let mut people: Vec<_> = (1..=PEOPLE).map(|id| person("crm", id)).collect();
    if is_later {
        people[0]["first"] = json!("Another");
        people[1]["cancelled"] = json!(true);
        people[2]["erase"] = json!(true);
        people[3]["email"] = json!("nowhere");
        people[4]["test"] = json!(true);
        people.push(person("crm", PEOPLE + 1));
    }
    people
}

/// All of them; later nobody but one is left.
fn shrinking(is_later: bool) -> Vec<Value> {
    (1..=30).map(|id| person("s", id)).filter(|person| !is_later || person["id"] == 1).collect()
}

fn page(people: &[Value], asked: &Asked, size: usize) -> Response {
    let first = (asked.number("page").unwrap_or(1) - 1) * size;
    let page: Vec<_> = people.iter().skip(first).take(size).collect();
    answer(&json!({ "items": page }))
}

fn script(asked: &Asked, is_later: bool) -> Response {
    match asked.path.as_str() {
        "/crm" => page(&crm(is_later), asked, 20),
        "/broken" => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        "/refused" => StatusCode::UNAUTHORIZED.into_response(),
        "/busy" => (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "1")]).into_response(),
        "/quota" => page(&(1..=5).map(|id| person("q", id)).collect::<Vec<_>>(), asked, 1),
        "/token" => answer(&json!({ "access_token": "granted", "expires_in": 3600 })),
        "/me" => answer(&person("me", 1)),
        "/login" => page(&[person("l", 1), person("l", 2)], asked, 2),
        "/shrinking" => page(&shrinking(is_later), asked, 30),
        _ => answer(&json!({ "items": [] })),
    }
}

pub struct Scene {
    pub server: Program,
    pub address: SocketAddr,
    /// With the scope `metrics` alone.
    pub reader: String,
    admin: String,
    installation: Installation,
    is_later: Arc<AtomicBool>,
}

impl Scene {
    pub async fn begin() -> Self {
        let is_later = Arc::new(AtomicBool::new(false));
        let later = Arc::clone(&is_later);
        let lists = Scripted::start(move |asked, _| script(asked, later.load(Ordering::Relaxed))).await;
        // Nobody listens there any more.
        let mail = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let installation = Installation::new(&lists.config(&settings(mail)));
        let server = installation.start(&["serve"]);
        server.serves().await;
        let address = server.caller().unwrap().address;
        let reader = token(&installation, "metrics").await;
        let admin = token(&installation, "admin").await;
        Self { server, address, reader, admin, installation, is_later }
    }

    async fn ask(&self, method: &str, path: &str, body: &str) -> wire::Answer {
        wire::ask(self.address, method, path, Some(&self.admin), body).await.unwrap()
    }

    /// Syncs an event to the end, whatever that is.
    async fn sync(&self, event: &str) {
        let started = self.ask("POST", &format!("/v1/events/{event}/sync?wait=60s"), "").await;
        assert!([200, 202].contains(&started.status), "{}", started.text);
        until("the event's runs have ended", async || {
            let runs = self.ask("GET", &format!("/v1/runs?event={event}"), "").await.json();
            runs["items"].as_array().unwrap().iter().all(|run| run["ended_at"].is_string())
        })
        .await;
    }

    /// Everything that is to happen while somebody watches.
    pub async fn go_on(&self) {
        self.sync("gala").await;
        self.sync("summit").await;
        self.is_later.store(true, Ordering::Relaxed);
        self.sync("gala").await;
        self.sync("summit").await;
        self.sync("summit").await;
        self.call_hooks().await;
        self.sign_in().await;
        self.use_the_api().await;
        self.erase_and_compact().await;
        self.damage_a_journal().await;
    }

    async fn call_hooks(&self) {
        for (body, status) in [("{\"n\": 1}", 202), ("{\"n\": 1}", 202), ("nope", 400)] {
            let path = format!("/v1/sources/crm/hook/{SOURCE_TOKEN}");
            assert_eq!(wire::ask(self.address, "POST", &path, None, body).await.unwrap().status, status, "{body}");
        }
        let path = "/v1/sources/crm/hook/not-the-secret-of-it";
        assert_eq!(wire::ask(self.address, "POST", path, None, "{}").await.unwrap().status, 401);
    }

    async fn sign_in(&self) {
        let tokens = json!({ "access_token": "granted" }).to_string();
        let signed_in = self.ask("POST", "/v1/profiles/people", &tokens).await;
        assert_eq!(signed_in.status, 200, "{}", signed_in.text);
        let user = signed_in.json()["user"]["id"].as_str().unwrap().to_owned();
        let refreshed = self.ask("POST", &format!("/v1/users/{user}/refresh"), "").await;
        assert_eq!((refreshed.status, &refreshed.json()["refresh"]), (200, &json!("asked")), "{}", refreshed.text);
    }

    async fn use_the_api(&self) {
        for (path, status) in [("/v1/status", 200), ("/v1/users?limit=5", 200), ("/v1/events/nothing", 404)] {
            assert_eq!(self.ask("GET", path, "").await.status, status, "{path}");
        }
        let somebody = json!({ "email": "crm7@x.org" }).to_string();
        let access = self.ask("POST", "/v1/events/summit/access", &somebody).await;
        assert_eq!((access.status, &access.json()["allowed"]), (200, &json!(true)), "{}", access.text);
        for (token, status) in [(None, 401), (Some("rc_unknown"), 401), (Some(self.reader.as_str()), 403)] {
            assert_eq!(wire::ask(self.address, "GET", "/v1/status", token, "").await.unwrap().status, status);
        }
    }

    async fn erase_and_compact(&self) {
        let user = self.ask("POST", "/v1/users/lookup", &json!({ "email": "crm9@x.org" }).to_string()).await.json();
        let user = user["id"].as_str().unwrap_or_else(|| panic!("{user}")).to_owned();
        run(&self.installation, &["erase", &user, "--yes"]).await;
        run(&self.installation, &["compact"]).await;
    }

    /// What is read of it then is a failure of the store, and of the API.
    async fn damage_a_journal(&self) {
        let runs = self.ask("GET", "/v1/runs?event=gala", "").await.json();
        let done = runs["items"].as_array().unwrap().iter().find(|run| run["outcome"] == "done").unwrap();
        let number = done["id"].as_u64().unwrap();
        let journals = std::fs::read_dir(self.installation.data().join("runs")).unwrap();
        let names = journals.map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
        let is_its = |path: &&std::path::PathBuf| {
            let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
            name.trim_start_matches(|c: char| !c.is_ascii_digit()).parse() == Ok(number)
        };
        let journal = names.iter().find(is_its).unwrap_or_else(|| panic!("run {number} is not among {names:?}"));
        std::fs::write(journal, "damaged").unwrap();
        let changes = self.ask("GET", &format!("/v1/runs/{number}/changes"), "").await;
        assert_eq!(changes.status, 500, "{}", changes.text);
    }
}

/// Runs a verb beside the server; what it printed.
async fn run(installation: &Installation, arguments: &[&str]) -> String {
    let mut program = installation.start(arguments);
    let code = program.code().await;
    assert_eq!(code, Some(0), "{arguments:?}: {}{}", program.stdout(), program.stderr());
    program.stdout()
}

async fn token(installation: &Installation, scope: &str) -> String {
    let said = run(installation, &["token", "create", "--name", "monitoring", "--scope", scope]).await;
    said.lines().find(|line| line.starts_with("rc_")).unwrap_or_else(|| panic!("{said}")).to_owned()
}
