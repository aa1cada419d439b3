//! The real server on loopback: what arrives on a socket is not always a request.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use rollcall::limits::API_BODY_BYTES_MAX;

use super::fixture::Fixture;

/// Sends bytes and reads until the other side closes.
pub async fn exchange(address: impl std::net::ToSocketAddrs + Send + 'static, bytes: Vec<u8>) -> String {
    let exchanging = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        // A server that refuses may close before it has read everything.
        let _ = stream.write_all(&bytes);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    });
    exchanging.await.unwrap()
}

fn request(line: &str, headers: &str) -> Vec<u8> {
    format!("{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n").into_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_answered_and_measured_by_their_templates() {
    let fixture = Fixture::synced(5).await;
    let address = fixture.listen().await;
    let bearer = format!("Authorization: Bearer {}\r\n", fixture.token(&["read", "metrics"]).await);
    for (line, headers, status) in [
        ("GET /healthz", "", 200),
        ("GET /readyz", "", 200),
        ("GET /openapi.json", "", 200),
        ("GET /v1/events", "", 401),
        ("GET /v1/events", bearer.as_str(), 200),
        ("POST /v1/events/summit/sync", bearer.as_str(), 403),
        ("GET /v1/runs/1", bearer.as_str(), 200),
        ("GET /v1/runs/../../etc/passwd", bearer.as_str(), 404),
        ("GET /wp-login.php", "", 404),
        ("BREW /healthz", "", 405),
    ] {
        let answer = exchange(address, request(line, headers)).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{line}: {answer}");
    }
    let metrics = exchange(address, request("GET /metrics", &bearer)).await;
    assert!(metrics.contains("content-type: text/plain; version=0.0.4"), "{metrics}");
    for line in [
        r#"rollcall_http_requests_total{route="/v1/runs/{run}",method="GET",code="200"} 1"#,
        r#"rollcall_http_requests_total{route="unmatched",method="GET",code="404"} 2"#,
        r#"rollcall_http_requests_total{route="/healthz",method="other",code="405"} 1"#,
        r#"rollcall_http_auth_failures_total{reason="missing"} 1"#,
        r#"rollcall_http_auth_failures_total{reason="scope"} 1"#,
        r#"rollcall_feed_consecutive_failures{event="summit",source="demo"} 0"#,
        r#"rollcall_source_budget_remaining{source="dead",window="second"} 100"#,
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
    let active = fixture.list("/v1/events/summit/attendees", 10).await.len();
    let line = format!(r#"rollcall_event_attendees{{event="summit",state="active"}} {active}"#);
    assert!(metrics.contains(&line), "{line} is not in\n{metrics}");
    assert!(!metrics.contains("etc/passwd") && !metrics.contains("wp-login"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_body_is_refused_before_it_is_read() {
    let fixture = Fixture::new(1).await;
    let address = fixture.listen().await;
    let bearer = format!("Authorization: Bearer {}\r\n", fixture.token(&["admin"]).await);
    // Not a byte of the body follows: the answer must not wait for it.
    let headers = format!("{bearer}Content-Type: application/json\r\nContent-Length: {}\r\n", API_BODY_BYTES_MAX + 1);
    let answer = exchange(address, request("POST /v1/tokens", &headers)).await;
    assert!(answer.starts_with("HTTP/1.1 413 ") && answer.contains("application/problem+json"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn readiness_turns_with_the_store() {
    let mut fixture = Fixture::new(1).await;
    assert_eq!(fixture.get("/readyz").await.status, 200);
    // Where the file for the attempt cannot be made, neither can a batch be written.
    std::fs::create_dir(fixture.app.store.folder().join("room.part")).unwrap();
    assert_eq!(fixture.get("/readyz").await.status, 200, "the answer is kept for a while, whoever asks");
    fixture.router = rollcall::http::router(&fixture.app);
    let answer = fixture.get("/readyz").await;
    assert_eq!((answer.status, answer.json()["status"].as_str()), (503, Some("the store cannot be written to")));
    assert_eq!(fixture.get("/healthz").await.status, 200);
    assert_eq!(fixture.get("/v1/events").await.status, 200);
}
