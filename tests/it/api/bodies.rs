//! Requests that are not right: each is told what is wrong, where.

use axum::body::Body;
use axum::http::{Method, Request};
use rollcall::http::routes;
use rollcall::limits::{API_BODY_BYTES_MAX, API_BODY_TIMEOUT};
use secrecy::ExposeSecret;
use serde_json::json;

use super::fixture::Fixture;

#[tokio::test]
async fn wrong_queries_and_paths_are_named() {
    let fixture = Fixture::synced(5).await;
    for (path, status, field) in [
        ("/v1/events?limit=0", 400, "limit"),
        ("/v1/events?limit=1001", 400, "limit"),
        ("/v1/events?limit=many", 400, "limit"),
        ("/v1/events?cursor=xyz", 400, "cursor"),
        ("/v1/events?limit=5&limit=6", 400, "limit"),
        ("/v1/users?email=ada%40example.org", 400, "email"),
        ("/v1/events/summit/attendees?state=gone", 400, "state"),
        ("/v1/events/summit/attendees?group=%20", 400, "group"),
        ("/v1/events/summit/attendees?sate=all", 400, "sate"),
        ("/v1/runs?outcome=great", 400, "outcome"),
        ("/v1/runs?event=Summit", 400, "event"),
        ("/v1/runs/1/changes?action=explode", 400, "action"),
        ("/v1/runs/x", 400, "run"),
        ("/v1/runs/-1", 400, "run"),
        ("/v1/runs/99999999999999999999999", 400, "run"),
        ("/v1/users/ada", 400, "user"),
        ("/v1/events/Summit", 400, "event"),
        ("/v1/events/..%2F..%2Fetc", 400, "event"),
        ("/v1/events/%00", 400, "event"),
        ("/v1/events/a%0d%0ab", 400, "event"),
        ("/v1/events/%ff", 400, "event"),
        ("/v1/sources/%C3%A4", 400, "source"),
    ] {
        let answer = fixture.get(path).await;
        assert_eq!(answer.problem(status), [field], "{path}: {}", answer.text);
    }
    for path in [
        "/",
        "/v1",
        "/v1/nothing",
        "/v1/events/",
        "/v1/events/other",
        "/v1/events/other/attendees",
        "/v1/events/summit/attendees/00000000-0000-8000-8000-000000000000",
        "/v1/groups/nobody",
        "/v1/groups/nobody/members",
        "/v1/runs/99",
        "/v1/runs/0",
        "/v1/runs/99/log",
        "/v1/runs/99/changes",
        "/v1/sources/other",
        "/v1/users/00000000-0000-8000-8000-000000000000",
        "/v1/groups/%20",
    ] {
        fixture.get(path).await.problem(404);
    }
}

#[tokio::test]
async fn no_route_takes_parameters_it_does_not_know() {
    let fixture = Fixture::synced(5).await;
    let user = fixture.list("/v1/users", 10).await[0]["id"].as_str().unwrap().to_owned();
    let invitation = format!("outbox/summit:{user}");
    let parts = [
        ("outbox/{id}", invitation.as_str()),
        ("{event}", "summit"),
        ("{user}", &user),
        ("{group}", "x"),
        ("{run}", "1"),
        ("{id}", "0"),
    ];
    for route in routes().into_iter().filter(|route| route.scope.is_some()) {
        let path = parts.iter().fold(route.path.to_owned(), |path, (name, value)| path.replace(name, value));
        let path = path.replace("{source}", "demo");
        let answer = fixture.ask(route.method.clone(), &format!("{path}?nonsense=1"), None).await;
        assert_eq!(answer.problem(400), ["nonsense"], "{} {path}", route.method);
    }
}

#[tokio::test]
async fn a_method_that_does_not_apply_is_told_which_do() {
    let fixture = Fixture::new(1).await;
    for (method, path, allow) in [
        (Method::POST, "/v1/events", "GET"),
        (Method::DELETE, "/v1/users", "GET"),
        (Method::GET, "/v1/users/lookup", "POST"),
        (Method::PATCH, "/v1/events/summit", "DELETE"),
        (Method::POST, "/healthz", "GET"),
    ] {
        let answer = fixture.ask(method, path, None).await;
        answer.problem(405);
        assert!(answer.header("allow").contains(allow), "{path}: {:?}", answer.headers);
    }
    let head = fixture.ask(Method::HEAD, "/v1/events", None).await;
    assert_eq!((head.status, head.text.as_str()), (200, ""));
}

#[tokio::test]
async fn wrong_bodies_are_named() {
    let fixture = Fixture::new(1).await;
    let tokens = "/v1/tokens";
    let lookup = "/v1/users/lookup";
    for (path, body, status, fields) in [
        (tokens, "", 400, &[][..]),
        (tokens, "{", 400, &[]),
        (tokens, "[]]", 400, &[]),
        (tokens, "null", 422, &[]),
        (tokens, r#"["a", ["read"]]"#, 422, &[]),
        (tokens, "{}", 422, &["name"]),
        (tokens, r#"{"name": "a"}"#, 422, &["scopes"]),
        (tokens, r#"{"name": "a", "scopes": "read"}"#, 422, &["scopes"]),
        (tokens, r#"{"name": "a", "scopes": ["read", "write"]}"#, 422, &["scopes[1]"]),
        (tokens, r#"{"name": " ", "scopes": []}"#, 422, &["name", "scopes"]),
        (tokens, r#"{"name": "a\nb", "scopes": ["read"]}"#, 422, &["name"]),
        (tokens, r#"{"name": "a", "scopes": ["read"], "admin": true}"#, 422, &["admin"]),
        (lookup, "{}", 422, &[]),
        (lookup, r#"{"email": "a@b.c", "event": "summit"}"#, 422, &[]),
        (lookup, r#"{"event": "summit", "source": "demo"}"#, 422, &[]),
        (lookup, r#"{"event": "Summit", "source": "demo", "external_id": "1"}"#, 422, &["event"]),
        (lookup, r#"{"email": 5}"#, 422, &["email"]),
        ("/v1/events/summit/sync", r#"{"full": true}"#, 422, &["full"]),
        ("/v1/events/summit/sync", "x", 400, &[]),
        ("/v1/events/summit/preview", r#"{"settings": {}}"#, 422, &["settings"]),
        ("/v1/events/summit/preview", r#"{"source": []}"#, 422, &["source"]),
        ("/v1/events/summit/preview", r#"{"params": {"list": 1}}"#, 422, &["params.list"]),
        ("/v1/events/summit/preview", "x", 400, &[]),
    ] {
        let answer = fixture.ask(Method::POST, path, Some(body)).await;
        assert_eq!(answer.problem(status), fields, "{path} {body}: {}", answer.text);
    }
    for body in ["", "{}"] {
        assert_eq!(fixture.ask(Method::POST, "/v1/events/summit/sync", Some(body)).await.status, 202, "{body}");
    }
}

#[tokio::test]
async fn a_body_that_is_not_json_by_its_type_is_refused() {
    let fixture = Fixture::new(1).await;
    let token = fixture.app.local_token.expose_secret().to_owned();
    for kind in ["text/plain", "application/x-www-form-urlencoded", ""] {
        let request = Request::post("/v1/tokens").header("authorization", format!("Bearer {token}"));
        let request = request.header("content-type", kind);
        fixture.send(request.body(Body::from(r#"{"name": "a", "scopes": ["read"]}"#)).unwrap()).await.problem(415);
    }
}

#[tokio::test]
async fn a_large_body_is_refused_however_it_comes() {
    let fixture = Fixture::new(1).await;
    let large = json!({"name": "x".repeat(API_BODY_BYTES_MAX), "scopes": ["read"]}).to_string();
    // Its length is not announced here, so it is found out while it is read.
    fixture.ask(Method::POST, "/v1/tokens", Some(&large)).await.problem(413);
    let token = fixture.app.local_token.expose_secret().to_owned();
    let announced = Request::post("/v1/tokens")
        .header("authorization", format!("Bearer {token}"))
        .header("content-length", API_BODY_BYTES_MAX + 1)
        .body(Body::from_stream(futures_util::stream::pending::<Result<String, std::io::Error>>()))
        .unwrap();
    fixture.send(announced).await.problem(413);
}

#[tokio::test]
async fn answers_are_hardened() {
    let fixture = Fixture::new(1).await;
    for path in ["/healthz", "/v1/users", "/v1/nothing", "/metrics"] {
        let answer = fixture.get(path).await;
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("cache-control"), "no-store", "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_body_is_given_up() {
    let fixture = Fixture::new(1).await;
    let token = fixture.app.local_token.expose_secret().to_owned();
    for path in ["/v1/tokens", "/v1/users/lookup", "/v1/events/summit/sync"] {
        // A byte a second, for ever.
        let drip = futures_util::stream::unfold((), |()| async {
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            Some((Ok::<_, std::io::Error>(" "), ()))
        });
        let request = Request::post(path).header("authorization", format!("Bearer {token}"));
        let request = request.header("content-type", "application/json").body(Body::from_stream(drip)).unwrap();
        let began = tokio::time::Instant::now();
        fixture.send(request).await.problem(408);
        assert!(began.elapsed() >= API_BODY_TIMEOUT, "{path}: {:?}", began.elapsed());
    }
}
