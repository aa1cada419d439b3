//! Lists without an end, in circles, or elsewhere.

use std::net::SocketAddr;

use crate::hostile::list::{body, more, raw, record, respond, tampered};
use crate::hostile::row::{Paging, Row};
use crate::hostile::server::{Asked, Reply, Step};

pub fn rows(elsewhere: SocketAddr) -> Vec<Row> {
    [circles(), endless(), led_away(elsewhere), nonsense()].concat()
}

fn page(records: &[String], more: &str) -> Reply {
    respond(200, &[], body(records, more).as_bytes())
}

/// Two records that no other page holds.
fn fresh(row: &str, asked: &Asked) -> Vec<String> {
    let id = 100 + asked.before * 2;
    vec![record(row, id, "Mallory"), record(row, id + 1, "Mallory")]
}

/// A first page that names this as the next one; then, pages that name it again.
fn next(name: &'static str, paging: Paging, reason: &'static str, message: &'static str, next: &str) -> Row {
    let next = next.to_owned();
    let row = Row::failing(name, reason, message, move |asked| {
        let link = format!("link: <{next}>; rel=\"next\"");
        let headers: &[&str] = if paging == Paging::Link { &[&link] } else { &[] };
        respond(200, headers, body(&fresh(name, asked), &format!(r#","next":"{next}""#)).as_bytes())
    });
    row.paging(paging).requests(1).place("page 1: ")
}

fn circles() -> Vec<Row> {
    let circle = "paging_loop";
    let repeated = |name, paging, message| {
        Row::failing(name, circle, message, move |_| tampered(name, paging)).paging(paging).requests(2)
    };
    vec![
        repeated("page-ignored", Paging::Page, "it holds the same records as page 1; page parameter 'page'")
            .place("page 2: ")
            .hint("documentation"),
        repeated("cursor-ignored", Paging::Cursor, "it holds the same records as page 1; cursor parameter 'cursor'"),
        repeated("link-ignored", Paging::Link, "it holds the same records as page 1"),
        next("cursor-repeated", Paging::Cursor, circle, "the cursor after it ('c2') was given by page 1", "c2")
            .requests(2)
            .place("page 2: "),
        next("person-as-cursor", Paging::Cursor, circle, "('xxxxxxx@xxxxxx.x…')", "Zebulon@canary.example")
            .requests(2)
            .place("page 2: "),
        next("next-repeated", Paging::NextUrl, circle, "was given by page 1 already", "people?page=2")
            .requests(2)
            .place("page 2: "),
        next("next-is-itself", Paging::NextUrl, circle, "led to page 1", "people"),
        next("link-to-itself", Paging::Link, circle, "led to page 1", "/people#again"),
        Row::failing("next-backwards", circle, "led to page 1", |asked| {
            let back = if asked.before == 0 { "people?page=2" } else { "people" };
            page(&fresh("next-backwards", asked), &format!(r#","next":"{back}""#))
        })
        .paging(Paging::NextUrl)
        .requests(2)
        .place("page 2: "),
    ]
}

fn endless() -> Vec<Row> {
    let endless = |name, paging| {
        Row::failing(name, "paging_loop", "the list goes on after 20 pages", move |asked| {
            page(&fresh(name, asked), &more_for_ever(paging, asked))
        })
        .paging(paging)
        .limits("tries = 3\npages_max = 20")
        .requests(20)
        .place("page 20: ")
        .hint("pages_max")
    };
    vec![
        endless("endless-pages", Paging::Page),
        endless("endless-cursors", Paging::Cursor),
        endless("endless-next", Paging::NextUrl),
        Row::failing("endless-nothing", "paging_loop", "100 pages in a row were empty", |asked| {
            page(&[], &more_for_ever(Paging::Cursor, asked))
        })
        .paging(Paging::Cursor)
        .requests(100)
        .place("page 100: "),
    ]
}

fn more_for_ever(paging: Paging, asked: &Asked) -> String {
    match paging {
        Paging::Cursor => format!(r#","next":"c{}""#, asked.before + 2),
        _ => format!(r#","next":"people?page={}""#, asked.before + 2),
    }
}

/// Whoever is sent elsewhere must not go.
fn led_away(elsewhere: SocketAddr) -> Vec<Row> {
    let refused = |name, reply| {
        Row::lasting(name, "redirect", "a redirect leads to another origin", reply).hint("credentials never follow")
    };
    let circle = |name, reply| {
        Row::lasting(name, "redirect", "redirected more than 5 times", reply).requests(7).hint("base_url")
    };
    let far = format!("http://{}.example/", "a".repeat(20_000));
    let to = |status: u16, target: &str| {
        let location = format!("location: {}", target.replace("ELSEWHERE", &elsewhere.to_string()));
        respond(status, &[&location], b"p1@canary.example")
    };
    vec![
        refused("redirect-elsewhere", to(302, "http://ELSEWHERE/people?page=2")),
        refused("redirect-elsewhere-307", to(307, "http://ELSEWHERE/people?page=2")),
        refused("redirect-to-tls", to(301, "https://ELSEWHERE/")),
        refused("redirect-without-scheme", to(308, "//ELSEWHERE/p1@canary.example")),
        refused("redirect-with-name", to(303, "http://p1%40canary.example:Zebulon@ELSEWHERE/")),
        refused("redirect-to-file", to(302, "file:///etc/passwd")),
        circle("redirect-loop", to(302, "people?page=2")),
        circle("redirect-loop-that-grows", to(307, "people?page=2&page=2&p1@canary.example")),
        next(
            "next-elsewhere",
            Paging::NextUrl,
            "redirect",
            "the next page's URL leads to",
            &format!("http://{elsewhere}/people"),
        )
        .hint("credentials never follow"),
        next(
            "link-elsewhere",
            Paging::Link,
            "redirect",
            "the next page's URL leads to",
            &format!("//{elsewhere}/people"),
        ),
        next("next-far-elsewhere", Paging::NextUrl, "redirect", "leads to another origin, http://aaa", &far),
        next("next-is-script", Paging::NextUrl, "redirect", "the next page's URL leads to", "javascript:alert(1)"),
    ]
}

fn nonsense() -> Vec<Row> {
    let long = "p1@canary.example/".repeat(5_000);
    let select = "select";
    let at = |name, paging, message: &'static str, more: &'static str| {
        Row::failing(name, select, message, move |asked| page(&fresh(name, asked), more))
            .paging(paging)
            .requests(1)
            .place("page 1: ")
    };
    vec![
        next("next-no-url", Paging::NextUrl, select, "names a next page that is no URL", "http://["),
        next("next-too-long", Paging::NextUrl, select, "that page 1 gives has 90000 bytes", &long),
        next("cursor-too-long", Paging::Cursor, select, "that page 1 gives has 90000 bytes", &long),
        at("cursor-is-list", Paging::Cursor, "where a single value is needed", r#","next":["Zebulon"]"#),
        at("total-is-text", Paging::Total, "(`total`) is no whole number", r#","total":"Zebulon""#),
        at("total-is-negative", Paging::Total, "(`total`) is no whole number", r#","total":-1"#),
        at("total-is-enormous", Paging::Total, "(`total`) is no whole number", r#","total":1e999999"#),
        smuggled(),
    ]
}

/// After the first page, whole, the server adds an answer that was not asked for, on the same connection. Were it
/// taken for the second page, the list would end there.
fn smuggled() -> Row {
    let name = "answer-before-the-question";
    let answer = move |asked: &Asked| {
        if asked.before > 0 {
            return respond(404, &[], b"");
        }
        let first = body(&fresh(name, asked), &more(Paging::Page, 1, 5));
        let keep = |body: &str| format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        let both = keep(&first) + &keep(r#"{"items":[]}"#);
        [raw(both), vec![Step::Stall]].concat()
    };
    Row::failing(name, "status", "answered 404", answer).requests(2).place("page 2: ")
}
