//! Who may do what, and what nobody gets to see.

use std::collections::BTreeSet;
use std::time::Instant;

use axum::body::Body;
use axum::http::{Method, Request};
use futures_util::future::join_all;
use rollcall::demo::TOKEN;
use rollcall::http::{RouteSpec, Scope, routes};
use rollcall::limits::API_REFUSAL_PAUSE;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::fixture::Fixture;

/// A path that the route's template fits, of things that are not there.
fn filled(template: &str) -> String {
    let user = "00000000-0000-8000-8000-000000000000";
    let parts = [("{event}", "nowhere"), ("{user}", user), ("{group}", "nobody"), ("{run}", "999"), ("{id}", "0")];
    let parts = parts.into_iter().chain([("{source}", "nothing"), ("{secret}", "0123456789abcdef")]);
    parts.fold(template.to_owned(), |path, (name, value)| path.replace(name, value))
}

#[tokio::test]
async fn every_route_wants_its_scope_or_admin() {
    let fixture = Fixture::new(1).await;
    let mut tokens = Vec::new();
    for scope in Scope::ALL {
        tokens.push((scope, fixture.token(&[scope.as_str()]).await));
    }
    let guarded = routes().iter().filter(|route| route.scope.is_some()).count();
    assert!(guarded > 20, "only {guarded} routes want a token");
    // At once, for every refusal takes its time.
    join_all(routes().into_iter().map(|route| check_scope(&fixture, route, &tokens))).await;
}

async fn check_scope(fixture: &Fixture, route: RouteSpec, tokens: &[(Scope, String)]) {
    let (method, path) = (route.method, filled(route.path));
    let Some(wanted) = route.scope else {
        if path.contains("/hook") || path.contains("/login") {
            // A hook is proved by other means, and nobody signs in here.
            fixture.ask_as(None, method, &path, None).await.problem(404);
            return;
        }
        assert_eq!(fixture.ask_as(None, method, &path, None).await.status, 200, "{path}");
        return;
    };
    fixture.ask_as(None, method.clone(), &path, None).await.problem(401);
    for (held, token) in tokens {
        let answer = fixture.ask_as(Some(token), method.clone(), &path, None).await;
        let passes = *held == wanted || *held == Scope::Admin;
        assert_eq!(answer.status == 403, !passes, "{method} {path} with {held:?}: {}", answer.text);
        assert_ne!(answer.status, 401, "{method} {path} with {held:?}");
        if !passes {
            answer.problem(403);
            assert!(answer.header("www-authenticate").contains("insufficient_scope"));
        }
    }
}

#[tokio::test]
async fn every_refusal_looks_and_lasts_the_same() {
    let fixture = Fixture::new(1).await;
    let real = fixture.token(&["read"]).await;
    let mut answers = BTreeSet::new();
    for credentials in
        [None, Some("Bearer rc_wrong"), Some("Bearer "), Some("Basic YTpi"), Some(&real), Some("Bearer \u{7f}x")]
    {
        let mut request = Request::builder().uri("/v1/events");
        if let Some(credentials) =
            credentials.and_then(|text| axum::http::HeaderValue::from_bytes(text.as_bytes()).ok())
        {
            request = request.header("authorization", credentials);
        }
        let began = Instant::now();
        let answer = fixture.send(request.body(Body::empty()).unwrap()).await;
        assert!(began.elapsed() >= API_REFUSAL_PAUSE, "{credentials:?} was refused in {:?}", began.elapsed());
        answer.problem(401);
        answers.insert((format!("{:?}", answer.headers), answer.text));
    }
    assert_eq!(answers.len(), 1, "{answers:?}");
    let metrics = fixture.get("/metrics").await.text;
    for line in [
        r#"rollcall_http_auth_failures_total{reason="unknown"} 1"#,
        r#"rollcall_http_auth_failures_total{reason="missing"}"#,
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
}

#[tokio::test]
async fn a_token_is_made_listed_used_and_revoked() {
    let fixture = Fixture::new(1).await;
    let body = json!({"name": " Grafana ", "scopes": ["read", "metrics", "read"]});
    let made = fixture.post("/v1/tokens", Some(&body)).await;
    assert_eq!(made.status, 201);
    let made = made.json();
    let token = made["token"].as_str().unwrap();
    assert!(token.starts_with("rc_") && token.len() == 46, "{token}");
    let id = made["id"].as_str().unwrap();
    assert!(id.len() == 12 && id.bytes().all(|b| b.is_ascii_hexdigit()), "{id}");

    let listed = fixture.list("/v1/tokens", 10).await;
    let expected = json!({
        "id": id, "name": "Grafana", "scopes": ["read", "metrics"], "created_at": "2026-03-01T08:00:00Z",
    });
    assert_eq!(listed, [expected]);

    assert_eq!(fixture.ask_as(Some(token), Method::GET, "/metrics", None).await.status, 200);
    fixture.ask_as(Some(token), Method::GET, "/v1/tokens", None).await.problem(403);
    assert_eq!(fixture.delete(&format!("/v1/tokens/{id}")).await.status, 204);
    fixture.ask_as(Some(token), Method::GET, "/metrics", None).await.problem(401);
    fixture.delete(&format!("/v1/tokens/{id}")).await.problem(404);
    assert_eq!(fixture.list("/v1/tokens", 10).await, Vec::<Value>::new());
}

#[tokio::test]
async fn tokens_are_paged() {
    let fixture = Fixture::new(1).await;
    for _ in 0..5 {
        fixture.token(&["read"]).await;
    }
    let ids = |tokens: Vec<Value>| tokens.iter().map(|token| token["id"].to_string()).collect::<Vec<_>>();
    let whole = ids(fixture.list("/v1/tokens", 100).await);
    assert_eq!(whole.len(), 5);
    assert_eq!(ids(fixture.list("/v1/tokens", 2).await), whole);
}

/// Every GET route, with parts that exist.
async fn every_get_path(fixture: &Fixture) -> Vec<String> {
    let user = fixture.list("/v1/users", 1000).await[0]["id"].as_str().unwrap().to_owned();
    let group = fixture.list("/v1/groups", 1000).await[0]["key"].as_str().unwrap().replace(' ', "%20");
    let parts = [("{event}", "summit"), ("{user}", &user), ("{group}", &group), ("{run}", "1"), ("{source}", "demo")];
    let gets = routes().into_iter().filter(|route| route.method == Method::GET);
    gets.map(|route| parts.iter().fold(route.path.to_owned(), |path, (name, value)| path.replace(name, value)))
        .collect()
}

#[tokio::test]
async fn no_answer_holds_a_secret() {
    let fixture = Fixture::synced(50).await;
    fixture.post("/v1/events/dark/sync?wait=30s", None).await;
    let token = fixture.token(&["admin"]).await;
    let local = fixture.app.local_token.expose_secret().to_owned();
    let secrets = [TOKEN, token.as_str(), local.as_str()];
    let mut answers = Vec::new();
    for path in every_get_path(&fixture).await {
        let answer = fixture.ask_as(Some(&token), Method::GET, &path, None).await;
        // Nobody signs in with this source, and nobody gets in by a link.
        let is_elsewhere = ["/login/", "/profiles/", "/pass"].iter().any(|part| path.contains(part));
        let status = if is_elsewhere { 404 } else { 200 };
        assert_eq!(answer.status, status, "{path}: {}", answer.text);
        answers.push((path, answer.text));
    }
    for path in ["/v1/runs/2", "/v1/runs/2/log", "/v1/sources/dead"] {
        answers.push((path.to_owned(), fixture.get(path).await.text));
    }
    let failed = fixture.post("/v1/events/dark/preview", None).await;
    assert!(failed.json()["failure"]["reason"].is_string(), "{}", failed.text);
    answers.push(("preview of nobody".into(), failed.text));
    answers.push(("preview".into(), fixture.post("/v1/events/summit/preview", None).await.text));
    assert!(answers.len() > 20);
    for (path, text) in answers {
        for secret in secrets {
            assert!(!text.contains(secret), "{path} shows a secret: {text}");
        }
    }
}
