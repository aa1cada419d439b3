//! Bytes on a connection that are no request, or one that no honest client makes.

use rollcall::limits::API_BODY_BYTES_MAX;

use super::served::Served;

/// What may come of a request: one of these statuses, or the connection's end without an answer.
struct Row {
    what: &'static str,
    request: Vec<u8>,
    statuses: &'static [u16],
}

const ENDED: u16 = 0;

fn row(what: &'static str, request: impl Into<Vec<u8>>, statuses: &'static [u16]) -> Row {
    Row { what, request: request.into(), statuses }
}

/// A request line and headers; the connection ends after the answer.
fn get(path: &str, headers: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n")
}

fn many_headers(count: usize) -> String {
    (0..count).map(|n| format!("X-{n}: {n}\r\n")).collect()
}

/// `{token}` in a request is the local token.
fn rows() -> Vec<Row> {
    let auth = "Authorization: Bearer {token}\r\n";
    let long = "a".repeat(64 * 1024);
    let mut rows = vec![
        row("a plain request", get("/v1/events", auth), &[200]),
        row("HTTP/1.0", "GET /healthz HTTP/1.0\r\n\r\n", &[200]),
        row("HTTP/2 by itself", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &[400, ENDED]),
        row("HTTP/0.9", "GET /healthz\r\n\r\n", &[400, ENDED]),
        row("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(), &[400, ENDED]),
        row("the whole URI", get("http://evil.example/healthz", ""), &[200]),
        row("CONNECT", "CONNECT evil.example:443 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", &[400, 404, 405]),
        row("TRACE", "TRACE /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Secret: s\r\n\r\n", &[405]),
        row("OPTIONS *", "OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", &[400, 404, 405]),
        row("a method of nobody's", "BREW /v1/events HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", &[405]),
        row(
            "a method of 64 KiB",
            format!("{long} / HTTP/1.1\r\nConnection: close\r\n\r\n"),
            &[400, 404, 414, 431, ENDED],
        ),
        row("64 KiB of URI", get(&format!("/v1/events?cursor={long}"), auth), &[400, 414, 431]),
        row("64 KiB of path", get(&format!("/v1/events/{long}"), auth), &[400, 414, 431]),
        row("64 KiB of group", get(&format!("/v1/groups/{long}"), auth), &[404, 414, 431]),
        row("64 KiB of header", get("/healthz", &format!("X-Long: {long}\r\n")), &[200, 431]),
        row("1,000,000 bytes of header", get("/healthz", &format!("X-Long: {}\r\n", long.repeat(16))), &[431, ENDED]),
        row("1,000 headers", get("/healthz", &many_headers(1_000)), &[431, ENDED]),
        row("90 headers", get("/healthz", &many_headers(90)), &[200]),
        row("a line break in the path", get("/v1/events/a\r\nX-Evil: 1", auth), &[400, ENDED]),
        row("a NUL in the path", get("/v1/events/a\0b", auth), &[400, ENDED]),
        row("a line break in a header", get("/v1/events/x%0d%0aX-Evil:%201", auth), &[400]),
        row("a bare carriage return", get("/healthz", "X-A: b\rX-Evil: 1\r\n"), &[400, ENDED]),
        row("a NUL in a header", get("/healthz", "X-A: b\0c\r\n"), &[400, ENDED]),
        row("a folded header", get("/healthz", "X-A: b\r\n c\r\n"), &[400, ENDED]),
        row("a space before the colon", get("/healthz", "X-A : b\r\n"), &[400, ENDED]),
        row("up and away", get("/v1/events/../../../etc/passwd", auth), &[404]),
        row("up and away, encoded", get("/v1/events/%2e%2e%2f%2e%2e%2fetc%2fpasswd", auth), &[400]),
        row("an overlong slash", get("/v1/events/%c0%af", auth), &[400]),
        row("a negative limit", get("/v1/events?limit=-1", auth), &[400]),
        row("a huge limit", get("/v1/events?limit=99999999999999999999", auth), &[400]),
        row("a key twice", get("/v1/events?limit=1&limit=2", auth), &[400]),
        row("no token, whatever the query", get("/v1/events?limit=-1", ""), &[401]),
        row("two tokens", get("/v1/events", &format!("Authorization: Bearer rc_x\r\n{auth}")), &[200, 401]),
    ];
    rows.extend(bodies(auth));
    rows
}

fn bodies(auth: &str) -> Vec<Row> {
    let post = |headers: &str, body: &str| {
        let head =
            "POST /v1/users/lookup HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n";
        format!("{head}{auth}{headers}\r\n{body}")
    };
    let chunk = format!("{:x}\r\n{}\r\n", 64 * 1024, " ".repeat(64 * 1024));
    let chunked = "Transfer-Encoding: chunked\r\n";
    let large = format!("Content-Length: {}\r\n", API_BODY_BYTES_MAX + 1);
    let endless = chunk.repeat(API_BODY_BYTES_MAX / (64 * 1024) + 2);
    let body = r#"{"email": "nobody@example.org"}"#;
    let expect = format!("Expect: 100-continue\r\nContent-Length: {}\r\n", body.len());
    vec![
        row("a body in chunks", post(chunked, &format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len())), &[404]),
        row("a body too long by its length", post(&large, ""), &[413]),
        row("a body too long in chunks", post(chunked, &endless), &[413]),
        row("a length of a billion bytes for no body", get("/healthz", "Content-Length: 1000000000\r\n"), &[413]),
        row("chunks without end for no body", get("/healthz", chunked) + &endless, &[200]),
        row("a body that nobody reads", get("/healthz", "Content-Length: 5\r\n") + "hello", &[200]),
        row("a negative length", post("Content-Length: -1\r\n", "x"), &[400, ENDED]),
        row("a length of 2^64", post("Content-Length: 18446744073709551616\r\n", "x"), &[400, 413, ENDED]),
        row("two lengths", post("Content-Length: 3\r\nContent-Length: 4\r\n", "abcd"), &[400, ENDED]),
        row("a chunk of 2^64 bytes", post(chunked, "10000000000000000\r\nx"), &[400, ENDED]),
        row("a chunk without a size", post(chunked, "x\r\n"), &[400, ENDED]),
        row("an unknown coding", post("Transfer-Encoding: gzip\r\n", "x"), &[400, 501, ENDED]),
        row("a body awaited", post(&expect, body), &[100]),
        row("a body awaited that is too long", post(&format!("Expect: 100-continue\r\n{large}"), ""), &[413]),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_on_a_connection_is_more_than_a_refusal() {
    let served = Served::start(1).await;
    let token = served.local_token();
    for Row { what, request, statuses } in rows() {
        let request = match String::from_utf8(request) {
            Ok(text) => text.replace("{token}", &token).into_bytes(),
            Err(error) => error.into_bytes(),
        };
        let answer = served.exchange(request).await;
        let status = answer.as_ref().map_or(ENDED, |answer| answer.status);
        assert!(statuses.contains(&status), "{what}: {status}, not {statuses:?}: {answer:?}");
        let text = answer.map(|answer| answer.head + &answer.body).unwrap_or_default();
        assert!(!text.contains("x-evil") && !text.contains("X-Secret"), "{what}: {text}");
        assert_eq!(served.ask("GET", "/healthz").await.status, 200, "after {what}");
    }
    served.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pipelined_requests_are_answered_in_order() {
    let served = Served::start(1).await;
    let two = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n".to_owned() + &get("/v1/nothing", "");
    let first = served.exchange(two).await.unwrap();
    let second = first.body.split_once("HTTP/1.1 ").unwrap().1.to_owned();
    assert!(first.status == 200 && second.starts_with("404 "), "{first:?}");
    served.end().await;
}

/// Where two lengths disagree, nobody but us may see a second request (RFC 9112 §6.1): the connection ends.
#[tokio::test(flavor = "multi_thread")]
async fn no_request_is_smuggled_in_anothers_body() {
    let served = Served::start(1).await;
    for headers in [
        "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        "Transfer-Encoding: identity, chunked\r\nContent-Length: 4\r\n",
        "Transfer-Encoding:\x0bchunked\r\nContent-Length: 40\r\n",
        "Content-Length: 4, 40\r\n",
        "Content-Length: +4\r\n",
    ] {
        let smuggled = "GET /v1/smuggled HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        let request = format!("GET /healthz HTTP/1.1\r\nHost: x\r\n{headers}\r\n0\r\n\r\n{smuggled}");
        let answer = served.exchange(request).await;
        let whole = answer.map(|answer| answer.head + &answer.body).unwrap_or_default();
        assert!(!whole.contains("404") && !whole.contains("HTTP/1.1 2"), "{headers}: {whole}");
    }
    served.end().await;
}
