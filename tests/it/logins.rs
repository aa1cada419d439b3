//! A source that is logged in to, with the real store: what is kept outlives the process and cannot be read on the disk.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Json;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use axum::response::{IntoResponse as _, Response};
use http_body_util::BodyExt as _;
use rollcall::app::App;
use rollcall::model::{ErrorReason, RunOutcome};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::support::{Appliance, ListServer, SOURCE_TOKEN};

const PEOPLE: &str = r#"{"items": [{"email": "ada@x.org", "first": "Ada", "last": "Lovelace"}]}"#;

const CONFIG: &str = r#"
[source.s]
base_url = "URL"
request = { path = "s" }
records = { select = ".items[]" }
mapping = { email = ".email", first_name = ".first", last_name = ".last" }
[source.s.auth]
kind = "oauth2"
token_url = "TOKEN_URL"
client_id = "rollcall"
grant = "refresh_token"
refresh_token = { env = "SOURCE_TOKEN" }
[event.e]
title = "E"
feed = [{ source = "s" }]
"#;

/// Gives the token that the list server asks for; each refresh token serves once.
async fn token_server() -> (String, Arc<AtomicUsize>) {
    let logins = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&logins);
    let answer = move |form: String| {
        let number = count.fetch_add(1, Ordering::SeqCst);
        async move { token(&form, number) }
    };
    let router = axum::Router::new().route("/token", axum::routing::post(answer));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (format!("http://{address}/token"), logins)
}

fn token(form: &str, number: usize) -> Response {
    let held = if number == 0 { SOURCE_TOKEN.to_owned() } else { format!("canary-next-{number}") };
    if !form.contains(&format!("refresh_token={held}&")) {
        return (StatusCode::BAD_REQUEST, Json(json!({"error": "invalid_grant"}))).into_response();
    }
    let next = format!("canary-next-{}", number + 1);
    Json(json!({"access_token": SOURCE_TOKEN, "expires_in": 3600, "refresh_token": next})).into_response()
}

async fn get(app: &App, path: &str) -> String {
    let token = format!("Bearer {}", app.local_token.expose_secret());
    let request = Request::get(path).header("authorization", token).body(Body::empty()).unwrap();
    let Ok(answer) = rollcall::http::router(app).oneshot(request).await;
    String::from_utf8(answer.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

fn files_with(folder: &Path, needle: &str) -> Vec<String> {
    let mut found = Vec::new();
    for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            found.extend(files_with(&path, needle));
        } else if fs::read(&path).unwrap().windows(needle.len()).any(|window| window == needle.as_bytes()) {
            found.push(path.display().to_string());
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_outlives_the_process_sealed() {
    let lists = ListServer::start().await;
    lists.set("s", vec![PEOPLE.into()]);
    let (token_url, logins) = token_server().await;
    let config = CONFIG.replace("TOKEN_URL", &token_url).replace("URL", &format!("http://{}", lists.address));
    let appliance = Appliance::open(&config).await;
    for _ in 0..2 {
        let run = appliance.sync("e", "s", false, false).await;
        assert_eq!(run.outcome, Some(RunOutcome::Done), "{:?}", run.error);
    }
    let folder = appliance.close().await;
    assert_eq!(logins.load(Ordering::SeqCst), 1);
    assert_eq!(files_with(folder.path(), "canary-"), Vec::<String>::new());

    let appliance = Appliance::open_at(folder, &config).await;
    let source: Value = serde_json::from_str(&get(&appliance.app, "/v1/sources/s").await).unwrap();
    assert_eq!(source["auth"], "oauth2");
    assert!(source["credential_expires_at"].is_string(), "{source}");
    let metrics = get(&appliance.app, "/metrics").await;
    assert!(metrics.contains(r#"rollcall_source_credential_expiry_timestamp_seconds{source="s"} "#), "{metrics}");
    assert!(!metrics.contains("canary-") && !source.to_string().contains("canary-"));
    let run = appliance.sync("e", "s", false, true).await;
    assert_eq!(run.outcome, Some(RunOutcome::Done), "{:?}", run.error);
    assert_eq!(logins.load(Ordering::SeqCst), 1, "the kept token serves on");

    // Another scope needs another token: by the refresh token that the first login gave.
    let folder = appliance.close().await;
    let scoped = config.replace("[event.e]", "scope = \"people\"\n[event.e]");
    let appliance = Appliance::open_at(folder, &scoped).await;
    assert_eq!(appliance.sync("e", "s", false, true).await.outcome, Some(RunOutcome::Done));
    assert_eq!(logins.load(Ordering::SeqCst), 2);

    // Without the data directory it is not there, and the first refresh token was used up long ago.
    let folder = appliance.close().await;
    fs::remove_dir_all(folder.path().join("data")).unwrap();
    let appliance = Appliance::open_at(folder, &scoped).await;
    let run = appliance.sync("e", "s", false, false).await;
    let error = run.error.unwrap();
    assert_eq!(error.reason, ErrorReason::Auth, "{error:?}");
    assert!(error.message.contains("the login was refused with 400 (invalid_grant)"), "{error:?}");
    assert!(error.hint.contains("have a new `refresh_token`"), "{error:?}");
}
