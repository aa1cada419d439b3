//! The good list of a row, the same one tampered with, and replies made of them.

use super::row::Paging;
use super::server::{Asked, Reply, Step};

/// People of a row's good list, and how many stand on one page.
pub const PEOPLE: usize = 5;
pub const PAGE_SIZE: usize = 2;
pub const PAGES: usize = 3;

/// In every record, and in whatever a hostile server says; never in what Rollcall tells of a failure.
pub const CANARY_NAME: &str = "Zebulon";
pub const CANARY_DOMAIN: &str = "@canary.example";

pub fn record(row: &str, id: usize, first: &str) -> String {
    format!(
        r#"{{"id":{id},"email":"p{id}.{row}{CANARY_DOMAIN}","first":"{first}","last":"{CANARY_NAME}","groups":["g-{row}"]}}"#
    )
}

pub fn records(row: &str) -> Vec<String> {
    (1..=PEOPLE).map(|id| record(row, id, "Ada")).collect()
}

/// A page's body: records and what else stands beside them.
pub fn body(records: &[String], more: &str) -> String {
    format!(r#"{{"items":[{}]{more}}}"#, records.join(","))
}

/// One page of the good list, with every sign of the next page that there is.
pub fn good_body(row: &str, paging: Paging, page: usize) -> String {
    let records = records(row);
    let on_page = records.chunks(PAGE_SIZE).nth(page - 1).unwrap_or_default();
    body(on_page, &more(paging, page, PEOPLE))
}

/// What stands beside the records of a page.
pub fn more(paging: Paging, page: usize, total: usize) -> String {
    let next = match paging {
        _ if page >= PAGES => "null".into(),
        Paging::Cursor => format!(r#""c{}""#, page + 1),
        _ => format!(r#""people?page={}""#, page + 1),
    };
    format!(r#","total":{total},"next":{next}"#)
}

pub fn good(row: &str, paging: Paging, asked: &Asked) -> Reply {
    let page = asked.page();
    let link = format!("link: <people?page={}>; rel=\"next\"", page + 1);
    let headers = if page < PAGES && paging == Paging::Link { vec![link.as_str()] } else { Vec::new() };
    respond(200, &headers, good_body(row, paging, page).as_bytes())
}

/// The first page as it would do harm if it were believed: one person changed, one new, one gone.
pub fn tampered(row: &str, paging: Paging) -> Reply {
    let records = [record(row, 1, "Eve"), record(row, 99, "Mallory")];
    let link = ["link: <people?page=2>; rel=\"next\""];
    let headers: &[&str] = if paging == Paging::Link { &link } else { &[] };
    respond(200, headers, body(&records, &more(paging, 1, PEOPLE)).as_bytes())
}

/// A whole answer; the connection is closed after it.
pub fn respond(status: u16, headers: &[&str], body: &[u8]) -> Reply {
    vec![Step::Send(response(status, headers, body))]
}

pub fn response(status: u16, headers: &[&str], body: &[u8]) -> Vec<u8> {
    let mut head =
        format!("HTTP/1.1 {status} {CANARY_NAME}\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
    if !headers.iter().any(|header| header.starts_with("content-type")) {
        head.push_str("content-type: application/json\r\n");
    }
    for header in headers {
        head.push_str(header);
        head.push_str("\r\n");
    }
    let mut bytes = format!("{head}\r\n").into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// An answer that is no success, and echoes what must not be told on.
pub fn refusal(status: u16, headers: &[&str]) -> Reply {
    let body = format!(r#"{{"error":"p1{CANARY_DOMAIN} {CANARY_NAME} {}"}}"#, crate::support::SOURCE_TOKEN);
    respond(status, headers, body.as_bytes())
}

pub fn raw(bytes: impl AsRef<[u8]>) -> Reply {
    vec![Step::Send(bytes.as_ref().to_vec())]
}
