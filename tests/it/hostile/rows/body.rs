//! Answers that are a success by their status and none by what they hold.

use std::io::Write as _;
use std::time::Duration;

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};

use crate::hostile::list::{CANARY_DOMAIN, CANARY_NAME, good_body, raw, respond};
use crate::hostile::row::{Paging, Row};
use crate::hostile::server::{Reply, Step};

pub fn rows() -> Vec<Row> {
    [cut(), miscoded(), no_json(), no_list(), too_large()].concat()
}

/// The second page of a good list.
fn page(row: &str) -> Vec<u8> {
    good_body(row, Paging::Page, 2).into_bytes()
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn ok(headers: &str, body: &[u8]) -> Reply {
    let mut bytes = format!("HTTP/1.1 200 OK\r\nconnection: close\r\n{headers}\r\n").into_bytes();
    bytes.extend_from_slice(body);
    raw(bytes)
}

fn json(body: impl AsRef<[u8]>) -> Reply {
    respond(200, &[], body.as_ref())
}

fn cut() -> Vec<Row> {
    let body = page("x");
    let half = &body[..body.len() / 2];
    let more = format!("content-length: {}\r\n", body.len() + 1);
    let early = "the body ends too early";
    let off = "the body was cut off after";
    let chunk = |bytes: &[u8]| [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat();
    let zipped = gzip(&body);
    let reset = |reply: Reply| [reply, vec![Step::Reset]].concat();
    let zipped_half = ok(&format!("{more}content-encoding: gzip\r\n"), &zipped[..zipped.len() / 2]);
    vec![
        Row::lasting("truncated", "decode", early, json(half)).hint("cut off"),
        Row::lasting("truncated-without-length", "decode", early, ok("", half)).hint("cut off"),
        Row::lasting("length-too-short", "decode", early, ok(&format!("content-length: {}\r\n", half.len()), &body)),
        Row::transient("length-too-long", "decode", off, ok(&more, &body)).hint("smaller pages"),
        Row::transient("reset-in-body", "decode", off, reset(ok(&more, half))).hint("smaller pages"),
        Row::transient("reset-in-gzip", "decode", off, reset(zipped_half)),
        Row::transient("chunk-cut", "decode", off, ok(CHUNKED, &chunk(&body)[..100])),
        Row::transient("last-chunk-missing", "decode", off, ok(CHUNKED, &chunk(&body))),
        Row::transient("gzip-cut", "decode", off, respond(200, GZIP, &zipped[..zipped.len() / 2])),
        Row::transient("gzip-without-its-end", "decode", off, respond(200, GZIP, &zipped[..zipped.len() - 8])),
        Row::transient(
            "gzip-in-cut-chunks",
            "decode",
            off,
            ok(&format!("{CHUNKED}content-encoding: gzip\r\n"), &chunk(&zipped)),
        ),
    ]
}

const CHUNKED: &str = "transfer-encoding: chunked\r\n";
const GZIP: &[&str] = &["content-encoding: gzip"];

fn miscoded() -> Vec<Row> {
    let body = page("x");
    let mut flipped = gzip(&body);
    let crc = flipped.len() - 8;
    flipped[crc] ^= 1;
    let miscoded = |name, reply| {
        Row::lasting(name, "decode", "the body is not encoded as its headers say", reply).hint("curl --compressed")
    };
    vec![
        miscoded("not-gzip", respond(200, GZIP, &body)),
        miscoded("gzip-of-another-sum", respond(200, GZIP, &flipped)),
        miscoded("not-deflate", respond(200, &["content-encoding: deflate"], &body)),
        miscoded("not-brotli", respond(200, &["content-encoding: br"], &[0xff; 100])),
        miscoded("bad-chunk", ok(CHUNKED, b"zz\r\n[]\r\n0\r\n\r\n")),
        miscoded("chunk-beyond-numbers", ok(CHUNKED, b"fffffffffffffffff\r\n[]")),
        Row::lasting("unknown-encoding", "decode", "invalid", respond(200, &["content-encoding: zstd"], &gzip(&body))),
    ]
}

fn no_json() -> Vec<Row> {
    let html = format!("<!DOCTYPE html><title>{CANARY_NAME}{CANARY_DOMAIN}, sign in</title>");
    let person = format!(r#"{{"items":[{{"email":"p1{CANARY_DOMAIN}","first":"#);
    let with = |bytes: &[u8]| json([person.as_bytes(), bytes].concat());
    let utf16: Vec<u8> = String::from_utf8(page("x")).unwrap().encode_utf16().flat_map(u16::to_le_bytes).collect();
    let web = "web page";
    vec![
        Row::lasting("html", "decode", "looks like HTML", respond(200, &["content-type: text/html"], html.as_bytes()))
            .hint(web),
        Row::lasting("html-as-json", "decode", "looks like HTML", json(&html)).hint(web),
        Row::lasting(
            "pdf",
            "decode",
            "expected a value near `%xxx",
            respond(200, &["content-type: application/pdf"], b"%PDF-1.7 p1@canary.example"),
        )
        .hint("curl"),
        Row::lasting("blank", "decode", "the body is empty", json(" \r\n ")).hint("no body"),
        Row::lasting("bad-utf8", "decode", "invalid UTF-8", with(b"\"Zo\xeb\"}]}")).hint("UTF-8"),
        Row::lasting("utf16", "decode", "invalid JSON", json(utf16)),
        Row::lasting("nul-in-string", "decode", "a control character inside a string", with(b"\"A\0da\"}]}")),
        Row::lasting("bad-escape", "decode", "an invalid escape", with(br#""\x41da"}]}"#)),
        Row::lasting("nan", "decode", "expected a value", with(b"NaN}]}")),
        Row::lasting("two-documents", "decode", "more text after the end", json([page("x"), page("x")].concat())),
        Row::lasting("two-byte-order-marks", "decode", "expected a value", json("\u{feff}\u{feff}[]")),
        Row::lasting("deep", "decode", "nested too deeply", json("[".repeat(1_000_000))).hint("nested so deeply"),
        Row::lasting("deep-objects", "decode", "nested too deeply", json(r#"{"a":"#.repeat(100_000))),
    ]
}

fn no_list() -> Vec<Row> {
    let select = |name, message, body: &str| Row::lasting(name, "select", message, json(body)).place("page 2: ");
    vec![
        select("error-body", "(the body's top-level keys: error, code)", r#"{"error":"p1@canary.example","code":17}"#)
            .hint("a success that carries an error"),
        select("null-list", "found no list", r#"{"items":null}"#),
        select("list-of-letters", "found no list", r#"{"items":"Zebulon"}"#),
        select("null", "found no list", "null"),
        select("bare-list", "`.items[]` ", r#"[{"email":"p1@canary.example"}]"#),
        select("list-is-object", "found no list", r#"{"items":{"error":"p1@canary.example"}}"#),
        select("number", "`.items[]` ", "17"),
        select("keys-full-of-names", "found no list", r#"{"p1@canary.example":1,"Zebulon 1":2}"#),
    ]
}

fn too_large() -> Vec<Row> {
    let large = |name, reply| {
        Row::lasting(name, "too_large", "the page is larger than 100000 bytes", reply)
            .limits("tries = 3\npage_bytes_max = \"100000B\"")
            .hint("page_bytes_max")
    };
    let (mut gzipped, mut deflated) =
        (GzEncoder::new(Vec::new(), Compression::best()), ZlibEncoder::new(Vec::new(), Compression::best()));
    for _ in 0..16 {
        gzipped.write_all(&[b' '; 1 << 20]).unwrap();
        deflated.write_all(&[b' '; 1 << 20]).unwrap();
    }
    let endless = |head: &str| {
        let blanks = [b' '; 1024];
        let chunk = if head.is_empty() { blanks.to_vec() } else { [b"400\r\n", &blanks[..], b"\r\n"].concat() };
        vec![Step::Send(format!("HTTP/1.1 200 OK\r\n{head}\r\n").into()), Step::Again(chunk, Duration::ZERO)]
    };
    vec![
        large("gzip-bomb", respond(200, GZIP, &gzipped.finish().unwrap())),
        large("deflate-bomb", respond(200, &["content-encoding: deflate"], &deflated.finish().unwrap())),
        large("announced-large", ok("content-length: 18446744073709551613\r\n", b"[")),
        large("endless-body", endless("")),
        large("endless-chunks", endless(CHUNKED)),
    ]
}
