//! Answers that are no success.

use std::time::Duration;

use crate::hostile::list::{refusal, respond};
use crate::hostile::row::Row;

const SECOND: Duration = Duration::from_secs(1);

pub fn rows() -> Vec<Row> {
    let mut rows = vec![
        Row::lasting("s401", "auth", "answered 401", refusal(401, &["www-authenticate: Bearer"])).hint("credential"),
        Row::lasting("s403", "auth", "answered 403", refusal(403, &[])).hint("credential"),
        Row::lasting("s404", "status", "answered 404", refusal(404, &[])).hint("path"),
        Row::lasting("s410", "status", "answered 410", refusal(410, &[])).hint("path"),
        Row::transient("s429", "rate_limited", "answered 429 (too many requests) (3 tries)", refusal(429, &[RETRY_1]))
            .hint("budget")
            .pause(1, SECOND)
            .pause(2, SECOND),
        long_pause("s429-tomorrow", refusal(429, &["retry-after: 86400"])),
        long_pause("s503-tomorrow", refusal(503, &["retry-after: 86400"])),
        long_pause("s429-in-ages", refusal(429, &["retry-after: 99999999999999999999999"])),
    ];
    for (name, message, status) in [
        ("s101", "answered 101", 101),
        ("s300", "answered 300", 300),
        ("s301-to-nowhere", "answered 301", 301),
        ("s304-unasked", "answered 304", 304),
        ("s400", "answered 400", 400),
        ("s407", "answered 407", 407),
        ("s413", "answered 413", 413),
        ("s414", "answered 414", 414),
        ("s451", "answered 451", 451),
        ("s999", "answered 999", 999),
    ] {
        rows.push(Row::lasting(name, "status", message, refusal(status, &[])).hint("documentation"));
    }
    for (name, message, status) in [
        ("s408", "answered 408 (3 tries)", 408),
        ("s425", "answered 425 (3 tries)", 425),
        ("s500", "answered 500 (3 tries)", 500),
        ("s502", "answered 502 (3 tries)", 502),
        ("s503", "answered 503 (3 tries)", 503),
        ("s504", "answered 504 (3 tries)", 504),
        ("s599", "answered 599 (3 tries)", 599),
    ] {
        rows.push(Row::transient(name, "status", message, refusal(status, &[])));
    }
    // A success, but of nothing.
    let nothing = "invalid JSON: the body is empty";
    rows.push(Row::lasting("s204", "decode", nothing, respond(204, &[], b"")).hint("no body"));
    rows.push(Row::lasting("s200-empty", "decode", nothing, respond(200, &[], b"")).hint("no body"));
    rows
}

const RETRY_1: &str = "retry-after: 1";

/// The source wants to be left alone for longer than a run may take.
fn long_pause(name: &'static str, reply: crate::hostile::server::Reply) -> Row {
    Row::lasting(name, "rate_limited", "the source asks for a pause of 3", reply)
        .limits("tries = 3\nrun_timeout = \"30s\"")
        .place("page 2: ")
        .hint("sync less often")
        .stays_closed()
}
