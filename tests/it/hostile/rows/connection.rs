//! No answer, none in time, no HTTP, no trust.

use std::time::Duration;

use crate::hostile::list::{body, raw, record, response};
use crate::hostile::row::{Malice, Row};
use crate::hostile::server::{Reply, Step};
use crate::hostile::tls::Certificate;

/// Two tries, each given up after a silence of a second and a half.
const IMPATIENT: &str = "tries = 2\nconnect_timeout = \"1s\"\nidle_timeout = \"1500ms\"";
const SILENT: &str = "the source was silent for 1.5 s (2 tries)";
const SOON: Duration = Duration::from_millis(20);

pub fn rows() -> Vec<Row> {
    [unreachable(), mute(), no_http(), no_trust()].concat()
}

fn unreachable() -> Vec<Row> {
    let closed = "the connection was closed without an answer (3 tries)";
    vec![
        Row::unanswered("refused", "connect", "connection refused (3 tries)", Malice::Shut).requests(3).asked(0),
        Row::unanswered("no-such-host", "connect", "the host's name does not resolve (3 tries)", Malice::NoHost)
            .requests(3)
            .asked(0)
            .hint("DNS"),
        Row::unanswered("reset", "connect", "(3 tries)", Malice::Blind(vec![Step::Reset]))
            .requests(3)
            .asked(0)
            .hint("firewall"),
        Row::transient("closed", "connect", closed, Vec::new()),
        Row::transient("closed-in-status-line", "connect", closed, raw("HTTP/1.1 2")),
        Row::transient("closed-in-headers", "connect", closed, raw("HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncont")),
    ]
}

fn mute() -> Vec<Row> {
    let then = |head: &str, step| vec![Step::Send(head.into()), step];
    let half = "HTTP/1.1 200 OK\r\ncontent-length: 10000\r\n\r\n{\"items\":[";
    let blanks = || b" ".to_vec();
    let slow_headers = Step::Drip(b"HTTP/1.1 200 OK\r\nx-slow: ".repeat(100), Duration::from_millis(100));
    let drip_in_chunks = Step::Again(b"1\r\n \r\n".to_vec(), SOON);
    let run_out = |name, reply: Reply| {
        Row::transient(name, "timeout", "the list was not read to its end within 3 s", reply)
            .limits("tries = 3\nrun_timeout = \"3s\"")
            .requests(2)
            .place("page 2: ")
            .hint("run_timeout")
    };
    let silent = |name, reply: Reply| {
        Row::transient(name, "timeout", SILENT, reply).limits(IMPATIENT).requests(3).hint("idle_timeout")
    };
    vec![
        silent("mute", vec![Step::Stall]),
        silent("slow-headers", vec![slow_headers]),
        silent("headers-stall", then("HTTP/1.1 200 OK\r\ncontent-le", Step::Stall)),
        silent("continue-without-end", vec![Step::Again(b"HTTP/1.1 100 Continue\r\n\r\n".to_vec(), SOON)]),
        silent("body-stalls", then(half, Step::Stall)),
        run_out("body-drips", then(half, Step::Again(blanks(), SOON))),
        run_out("body-without-length-drips", then("HTTP/1.1 200 OK\r\n\r\n[", Step::Again(blanks(), SOON))),
        run_out("chunks-drip", then("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", drip_in_chunks)),
    ]
}

fn no_http() -> Vec<Row> {
    let hint = "the scheme and the port";
    let not_http = |name, text: &str| {
        Row::lasting(name, "decode", "answered with something that is not HTTP", raw(text)).hint(hint)
    };
    let too_large =
        |name, reply| Row::lasting(name, "too_large", "the answer's headers are too large", reply).hint(hint);
    let many: String = (0..10_000).map(|n| format!("x-{n}: 1\r\n")).collect();
    vec![
        not_http("ssh", "SSH-2.0-OpenSSH_9.6 p1@canary.example\r\n"),
        not_http("tls-alert-on-plain-port", "\x15\x03\x01\0\x02\x02\x46"),
        not_http("http2-preface", "\0\0\x12\x04\0\0\0\0\0"),
        not_http("bad-status", "HTTP/1.1 Zebulon OK\r\n\r\n[]"),
        not_http("bad-header", "HTTP/1.1 200 OK\r\nnot a header\r\n\r\n[]"),
        not_http("two-lengths", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n[]"),
        not_http("negative-length", "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n[]"),
        not_http("enormous-length", "HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999\r\n\r\n[]"),
        too_large("header-of-1-mib", raw(format!("HTTP/1.1 200 OK\r\nx-big: {}\r\n\r\n[]", "a".repeat(1 << 20)))),
        too_large("many-headers", raw(format!("HTTP/1.1 200 OK\r\n{many}\r\n[]"))),
        too_large(
            "headers-without-end",
            vec![
                Step::Send(b"HTTP/1.1 200 OK\r\nx-big: ".to_vec()),
                Step::Again(vec![b'a'; 64 * 1024], Duration::ZERO),
            ],
        ),
    ]
}

fn no_trust() -> Vec<Row> {
    let untrusted = |name, message, malice| {
        Row::unanswered(name, "tls", message, malice).tls().requests(1).asked(0).hint("certificate")
    };
    let shows = Malice::Certificate;
    // As tempting as can be: exactly what was asked for, in plain text.
    let plain = response(200, &[], body(&[record("plain-on-tls-port", 99, "Mallory")], "").as_bytes());
    vec![
        untrusted("self-signed", "TLS failed: invalid peer certificate", shows(Certificate::SelfSigned)),
        untrusted("wrong-name", "not valid for name", shows(Certificate::WrongName)),
        untrusted("expired", "certificate expired", shows(Certificate::Expired)),
        untrusted("not-yet-valid", "certificate not valid yet", shows(Certificate::NotYetValid)),
        untrusted("plain-on-tls-port", "TLS failed: ", Malice::Blind(vec![Step::Send(plain)])),
        untrusted("tls-alert", "TLS failed: ", Malice::Blind(raw("\x15\x03\x03\0\x02\x02\x28"))),
        Row::unanswered("closed-in-tls", "connect", "(3 tries)", Malice::Blind(Vec::new())).tls().requests(3).asked(0),
        Row::unanswered("mute-in-tls", "timeout", "could not connect within 1.5 s", Malice::Blind(vec![Step::Stall]))
            .tls()
            // The two time-outs are the same: it is the connection that is named.
            .limits("tries = 2\nconnect_timeout = \"1500ms\"\nidle_timeout = \"1500ms\"")
            .requests(2)
            .asked(0),
    ]
}
