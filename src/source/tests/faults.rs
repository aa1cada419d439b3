//! What goes wrong with a source, and that credentials stay with it.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;
use crate::config::ApiKeyPlace;

fn one(server: &Server) -> SourceSpec {
    spec(&server.url("/"), PaginationSpec::None)
}

/// Reads a source whose every answer is the same.
async fn always(reply: Reply) -> (Told, usize) {
    let server = Server::start(move |_, _| reply.clone()).await;
    let told = read(one(&server)).await;
    (told, server.seen().len())
}

#[tokio::test]
async fn every_request_says_who_asks_and_what_for() {
    let bearer = AuthSpec::Bearer { token: "t0k3n".into() };
    let basic = AuthSpec::Basic { username: "u".into(), password: "p".into() };
    let header = AuthSpec::ApiKey {
        place: ApiKeyPlace::Header("Authorization".into()),
        prefix: "Token ".into(),
        key: "t0k3n".into(),
    };
    let query =
        AuthSpec::ApiKey { place: ApiKeyPlace::Query("key".into()), prefix: String::new(), key: "t0k3n".into() };
    for (auth, expected, target) in [
        (AuthSpec::None, None, "/people"),
        (bearer, Some("Bearer t0k3n"), "/people"),
        (basic, Some("Basic dTpw"), "/people"),
        (header, Some("Token t0k3n"), "/people"),
        (query, None, "/people?key=t0k3n"),
    ] {
        let server = Server::start(|_, _| Reply::json(items(0, 1, ""))).await;
        let mut spec = one(&server);
        spec.auth = auth;
        read(spec).await.expect_end();
        let seen = &server.seen()[0];
        assert_eq!(seen.headers.get("authorization").map(String::as_str), expected);
        assert_eq!(seen.target, target);
        assert_eq!(seen.headers["user-agent"], concat!("rollcall/", env!("CARGO_PKG_VERSION")));
        assert_eq!(seen.headers["accept"], "application/json");
    }
}

#[tokio::test]
async fn a_passing_fault_is_tried_again() {
    let good = || Reply::json(items(0, 1, ""));
    let cut = Reply::raw("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"items\":[");
    let chunked = Reply::raw("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{\"ite");
    let mut faults: Vec<Reply> = [408, 425, 500, 502, 503, 504].map(Reply::status).into();
    faults.extend([cut, chunked, Reply::raw(""), Reply::raw("HTTP/1.1 2")]);
    for method in [Method::Get, Method::Post] {
        for fault in faults.clone() {
            let name = format!("{fault:?}");
            let server = Server::start(move |_, n| if n < 2 { fault.clone() } else { good() }).await;
            let mut spec = one(&server);
            spec.request.method = method;
            let told = read(spec).await;
            assert!(told.end.is_some(), "{name}: {:?}", told.failed);
            let Traffic { pages, requests, retries, .. } = told.traffic();
            assert_eq!((pages, requests, retries), (1, 3, 2), "{name}");
        }
    }
}

#[tokio::test]
async fn tries_are_used_up_and_told() {
    for (reply, reason, part) in [
        (Reply::status(500), ErrorReason::Status, "answered 500 (3 tries)"),
        (Reply::status(429), ErrorReason::RateLimited, "answered 429 (too many requests) (3 tries)"),
        (Reply::raw(""), ErrorReason::Connect, "the connection was closed without an answer (3 tries)"),
        (
            Reply::raw("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"items\":["),
            ErrorReason::Decode,
            "the body was cut off after 10 bytes (3 tries)",
        ),
    ] {
        let (told, requests) = always(reply).await;
        let error = told.expect_failure(reason, part);
        assert!(error.message.starts_with("page 1: GET http://127.0.0.1:"), "{error:?}");
        assert_eq!((requests, told.traffic().requests, told.traffic().retries), (3, 3, 2));
    }
}

#[tokio::test]
async fn a_lasting_fault_fails_at_once() {
    for (status, reason) in [
        (401, ErrorReason::Auth),
        (403, ErrorReason::Auth),
        (304, ErrorReason::Status),
        (400, ErrorReason::Status),
        (404, ErrorReason::Status),
        (410, ErrorReason::Status),
        (422, ErrorReason::Status),
        (301, ErrorReason::Status),
    ] {
        let (told, requests) = always(Reply::status(status)).await;
        told.expect_failure(reason, &format!("/people: answered {status}"));
        assert_eq!((requests, told.traffic().retries), (1, 0), "{status}");
    }
}

#[tokio::test]
async fn refused_connections_are_tried_again() {
    let server = Server::start(|_, _| Reply::status(200)).await;
    let spec = one(&server);
    drop(server);
    tokio::time::sleep(Duration::from_millis(20)).await;
    let told = read(spec).await;
    told.expect_failure(ErrorReason::Connect, "connection refused (3 tries)");
    assert_eq!(told.traffic().requests, 3);
}

#[tokio::test]
async fn tls_is_never_downgraded_nor_tried_again() {
    // Answers a TLS greeting in plain text.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let accepted = tokio::spawn(async move {
        let mut count = 0;
        while let Ok(Ok((mut stream, _))) = tokio::time::timeout(Duration::from_millis(500), listener.accept()).await {
            use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
            count += 1;
            let _ = stream.read(&mut [0; 64]).await;
            let _ = stream.write_all(b"HTTP/1.1 400 plain text only\r\n\r\n").await;
        }
        count
    });
    let told = read(spec(&format!("https://{address}/"), PaginationSpec::None)).await;
    told.expect_failure(ErrorReason::Tls, "TLS failed");
    assert_eq!((told.traffic().requests, accepted.await.unwrap()), (1, 1));
}

#[tokio::test]
async fn silence_ends_a_request_and_the_clock_ends_a_read() {
    let mute = Reply { stall: true, ..Reply::default() };
    let stalled = Reply { stall: true, ..Reply::raw("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"items\":[") };
    for reply in [mute, stalled] {
        let server = Server::start(move |_, _| reply.clone()).await;
        let mut spec = one(&server);
        spec.limits.connect_timeout = Duration::from_millis(50);
        spec.limits.idle_timeout = Duration::from_millis(100);
        let told = read(spec.clone()).await;
        told.expect_failure(ErrorReason::Timeout, "the source was silent for 0.1 s (3 tries)");
        assert_eq!(told.traffic().requests, 3);
        spec.limits.run_timeout = Duration::from_millis(150);
        let told = read(spec).await;
        told.expect_failure(ErrorReason::Timeout, "not read to its end within 0.15 s");
    }
}

#[tokio::test]
async fn a_slow_but_steady_source_is_read() {
    let reply = |pause| Reply { pause: Duration::from_millis(pause), ..Reply::json(items(0, 1, "")) };
    let server = Server::start(move |_, _| reply(80)).await;
    let mut spec = one(&server);
    spec.limits.connect_timeout = Duration::from_millis(50);
    spec.limits.idle_timeout = Duration::from_millis(500);
    read(spec).await.expect_end();
}

#[tokio::test]
async fn what_is_no_list_in_json_is_named() {
    let (told, requests) = always(Reply::new(200, &[("content-type", "text/html")], "<html>Ada, log in</html>")).await;
    let error = told.expect_failure(ErrorReason::Decode, "page 1: GET ");
    assert!(error.hint.contains("web page") && !error.message.contains("Ada"), "{error:?}");
    assert_eq!(requests, 1);
    for body in ["", "{\"items\":[", "\u{feff}?", "{\"items\":[1}}"] {
        let (told, _) = always(Reply::json(body)).await;
        told.expect_failure(ErrorReason::Decode, "page 1: ");
    }
    let (told, _) = always(Reply::json(r#"{"error":"ada@example.org is not allowed"}"#)).await;
    let error = told.expect_failure(ErrorReason::Select, ".items[]");
    assert!(!error.message.contains("ada@"), "{error:?}");
}

#[tokio::test]
async fn large_pages_are_refused_however_they_come() {
    let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
    for _ in 0..100 {
        bomb.write_all(&vec![b' '; 1_000_000]).unwrap();
    }
    let bomb = bomb.finish().unwrap();
    assert!(bomb.len() < 100_000, "{}", bomb.len());
    let large = items(0, 20_000, "");
    let endless = format!("HTTP/1.1 200 OK\r\n\r\n{large}");
    for reply in [
        Reply::new(200, &[("content-encoding", "gzip")], &bomb),
        Reply::json(&large),
        Reply::raw(endless),
        Reply { stall: true, ..Reply::raw("HTTP/1.1 200 OK\r\ncontent-length: 100001\r\n\r\n{") },
    ] {
        let (told, requests) = always(reply).await;
        told.expect_failure(ErrorReason::TooLarge, "larger than 100000 bytes");
        assert_eq!(requests, 1);
    }
}

#[tokio::test]
async fn compressed_pages_are_read() {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(items(0, 500, "").as_bytes()).unwrap();
    let (told, _) = always(Reply::new(200, &[("content-encoding", "gzip")], gzip.finish().unwrap())).await;
    assert_eq!(told.expect_end().records().concat().len(), 500);
    assert_eq!(told.traffic().bytes, items(0, 500, "").len() as u64);
}

#[tokio::test]
async fn redirects_stay_at_home() {
    let elsewhere = Server::start(|_, _| Reply::json(items(0, 1, ""))).await;
    let target = elsewhere.url("/steal?key=s3cret");
    for location in [target, "https://127.0.0.1/".to_owned(), "//evil.example/".to_owned()] {
        let server = Server::start(move |_, _| Reply::new(302, &[("location", &location)], "")).await;
        let mut spec = one(&server);
        spec.auth = AuthSpec::Bearer { token: "t0k3n".into() };
        let told = read(spec).await;
        let error = told.expect_failure(ErrorReason::Redirect, "a redirect leads to another origin, http");
        assert!(!error.message.contains("s3cret"), "{error:?}");
        assert_eq!(server.seen().len(), 1);
    }
    assert!(elsewhere.seen().is_empty());
}

#[tokio::test]
async fn redirects_at_home_are_followed_with_the_credential() {
    for (status, method, body) in [(302, "GET", ""), (303, "GET", ""), (307, "POST", "a=b"), (308, "POST", "a=b")] {
        let server = Server::start(move |seen, _| match seen.target.as_str() {
            "/people" => Reply::new(status, &[("location", "/moved?x=1")], ""),
            _ => Reply::json(items(0, 1, "")),
        })
        .await;
        let mut spec = one(&server);
        spec.auth = AuthSpec::Bearer { token: "t0k3n".into() };
        spec.request.method = Method::Post;
        spec.request.body = BodySpec::Form(vec![("a".into(), Template::parse("b").unwrap())]);
        let told = read(spec).await;
        told.expect_end();
        let moved = &server.seen()[1];
        let got = (moved.target.as_str(), moved.method.as_str(), moved.body.as_str());
        assert_eq!(got, ("/moved?x=1", method, body), "{status}");
        assert_eq!(moved.headers["authorization"], "Bearer t0k3n");
        assert_eq!((told.traffic().requests, told.traffic().retries), (2, 0));
    }
    let (told, requests) = always(Reply::new(302, &[("location", "people")], "")).await;
    told.expect_failure(ErrorReason::Redirect, "redirected more than 5 times");
    assert_eq!(requests, 6);
}

#[tokio::test]
async fn no_error_shows_a_credential_or_a_value() {
    for status in [401, 404, 500] {
        let server = Server::start(move |_, _| Reply::status(status)).await;
        let mut spec = one(&server);
        spec.auth =
            AuthSpec::ApiKey { place: ApiKeyPlace::Query("key".into()), prefix: String::new(), key: "s3cret".into() };
        spec.request.query = vec![("email".into(), Template::parse("ada@example.org").unwrap())];
        let source = source(spec);
        let told = all(source.read(&BTreeMap::new())).await;
        let error = &told.failed.as_ref().unwrap().0;
        assert!(error.message.contains("/people?email=***"), "{error:?}");
        let all = format!("{told:?} {source:?}");
        assert!(!all.contains("s3cret") && !all.contains("ada"), "{all}");
        assert!(server.seen()[0].target.contains("key=s3cret"));
    }
}

#[tokio::test]
async fn a_missing_param_fails_before_anything_is_sent() {
    let server = Server::start(|_, _| Reply::status(200)).await;
    let mut spec = one(&server);
    spec.request.path = Template::parse("{param.event}/people").unwrap();
    read(spec).await.expect_failure(ErrorReason::Config, "no value for '{param.event}'");
    assert!(server.seen().is_empty());
}
