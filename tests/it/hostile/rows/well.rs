//! What looks bad and ends well: the run is done, and nobody changes.

use std::time::Duration;

use super::body::gzip;
use crate::hostile::list::{
    PEOPLE, body, good, good_body, more, raw, record, records, refusal, respond, response, tampered,
};
use crate::hostile::row::{Paging, Row};
use crate::hostile::server::{Asked, Step};

const SECOND: Duration = Duration::from_secs(1);

pub fn rows() -> Vec<Row> {
    [passing(), odd(), moving()].concat()
}

/// A fault that passes.
fn passing() -> Vec<Row> {
    let date = "date: Sun, 06 Nov 1994 08:49:37 GMT";
    let asks =
        |name, status, headers: &[&str], pause: u32| Row::once(name, refusal(status, headers)).pause(1, SECOND * pause);
    vec![
        Row::once("once-500", refusal(500, &[])),
        Row::once("once-408", refusal(408, &[])),
        Row::once("once-425", refusal(425, &[])),
        Row::once("once-503", refusal(503, &[])),
        Row::once("once-closed", Vec::new()),
        Row::once("once-reset", vec![Step::Reset]),
        Row::once("once-cut", raw("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"items\":[")),
        asks("once-429-seconds", 429, &["retry-after: 2"], 2),
        // Both dates are long ago, and neither is our clock's: what counts is the time between them.
        asks("once-429-date", 429, &[date, "retry-after: Sun, 06 Nov 1994 08:49:39 GMT"], 2),
        asks("once-429-old-date", 429, &[date, "retry-after: Sunday, 06-Nov-94 08:49:39 GMT"], 2),
        asks("once-429-past-date", 429, &[date, "retry-after: Sun, 06 Nov 1994 07:00:00 GMT"], 1),
        asks("once-429-zero", 429, &["retry-after: 0"], 1),
        asks("once-429-garbage", 429, &["retry-after: Zebulon"], 1),
        asks("once-429-negative", 429, &["retry-after: -86400"], 1),
        asks("once-429-blank", 429, &["retry-after:"], 1),
        asks("once-429-absent", 429, &[], 1),
        asks("once-503-seconds", 503, &["retry-after: 1"], 1),
    ]
}

/// Strange, but whole.
fn odd() -> Vec<Row> {
    let shaped = |name, shape: fn(Vec<u8>) -> Vec<u8>| {
        Row::done(name, move |asked| raw(shape(good_body(name, Paging::Page, asked.page()).into_bytes())))
    };
    let in_chunks = |body: Vec<u8>| {
        let head = b"HTTP/1.1 200 OK\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n";
        let chunks: Vec<u8> =
            body.iter().flat_map(|byte| [b"1;x=\"y\"\r\n".as_slice(), &[*byte], b"\r\n"].concat()).collect();
        [head.as_slice(), &chunks, b"0\r\nx: y\r\n\r\n"].concat()
    };
    vec![
        shaped("byte-order-mark", |body| response(200, &[], &[b"\xef\xbb\xbf".as_slice(), &body].concat())),
        shaped("wrong-type", |body| response(200, &["content-type: image/png"], &body)),
        shaped("s203", |body| response(203, &[], &body)),
        shaped("gzipped", |body| response(200, &["content-encoding: gzip"], &gzip(&body))),
        shaped("without-length", |body| [b"HTTP/1.0 200\r\n\r\n".as_slice(), &body].concat()),
        shaped("in-tiny-chunks", in_chunks),
        shaped("after-continue", |body| {
            [b"HTTP/1.1 103 Early Hints\r\nx: y\r\n\r\n".as_slice(), &response(200, &[], &body)].concat()
        }),
        Row::done("slow-and-steady", |asked| {
            let bytes = response(200, &[], good_body("slow-and-steady", Paging::Page, asked.page()).as_bytes());
            vec![Step::Drip(bytes, Duration::from_millis(1))]
        }),
        Row::done("redirect-at-home", |asked| {
            if asked.target.contains("moved") {
                return good("redirect-at-home", Paging::Page, asked);
            }
            respond(302, &[&format!("location: /moved?page={}", asked.page())], b"")
        })
        .requests(6),
        // Of equal keys the last counts, as in jq. All records differ from the last time by their bytes alone.
        Row::done("duplicate-keys", |asked| {
            let doubled = |record: &String| record.replace(r#""first":"Ada""#, r#""first":"Eve","first":"Ada""#);
            let records: Vec<String> = records("duplicate-keys").iter().map(doubled).collect();
            let on_page = records.chunks(2).nth(asked.page() - 1).unwrap_or_default();
            respond(200, &[], body(on_page, "").as_bytes())
        }),
    ]
}

/// Lists that contradict themselves: whoever is not in them does not count as missing.
fn moving() -> Vec<Row> {
    let pages = |name: &'static str, pages: &'static [&'static [usize]], totals: &'static [usize]| {
        Row::done(name, move |asked| {
            let ids = pages.get(asked.page() - 1).copied().unwrap_or_default();
            let records: Vec<String> = ids.iter().map(|id| record(name, *id, "Ada")).collect();
            let total = totals.get(asked.page() - 1).or(totals.last()).copied().unwrap_or(PEOPLE);
            respond(200, &[], body(&records, &more(Paging::Page, asked.page(), total)).as_bytes())
        })
        .paging(if totals.is_empty() { Paging::Page } else { Paging::Total })
    };
    vec![
        pages("total-above", &[&[1, 2], &[3, 4], &[5]], &[7]).requests(4).last_given_up().incomplete(),
        pages("total-below", &[&[1, 2], &[3, 4], &[5]], &[3]).requests(2).unchanged(4).incomplete(),
        // Person 1 leaves after the first page was read; person 3 moves up, out of sight.
        pages("slipped-through", &[&[1, 2], &[4, 5]], &[5, 4]).requests(3).last_given_up().unchanged(4).incomplete(),
        // Somebody joins before page 2 is read: person 2 moves down, and is seen again.
        pages("drift", &[&[1, 2], &[2, 3], &[4, 5]], &[]).requests(4).skips(1),
        Row::done("items-of-all-types", move |asked: &Asked| match asked.page() {
            page @ 1..3 => respond(200, &[], good_body("items-of-all-types", Paging::Cursor, page).as_bytes()),
            _ => {
                let junk = r#"null,17,"Zebulon",true,[],{},{"id":6},{"id":{},"email":[]}"#;
                let records = [records("items-of-all-types").pop().unwrap(), junk.to_owned()];
                respond(200, &[], body(&records, "").as_bytes())
            }
        })
        .paging(Paging::Cursor)
        .rejects(8)
        .incomplete(),
        // Tampered with once, then as ever: what a failed try said of the first page is forgotten.
        Row::done("first-page-once-cut", |asked| match (asked.before, tampered("first-page-once-cut", Paging::Page)) {
            (0, reply) => match &reply[..] {
                [Step::Send(bytes)] => raw(&bytes[..bytes.len() - 1]),
                _ => reply,
            },
            _ => good("first-page-once-cut", Paging::Page, asked),
        })
        .requests(4),
    ]
}
