//! Badges: what is one, and that nobody stays outside for want of one.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::by_hand::world::{World, record};
use crate::hostile::served::Served;
use crate::hostile::server::HOST;
use crate::hostile::tls::{Authority, Certificate};
use crate::support::{Scripted, json};

async fn badge(world: &World, name: &str) -> Value {
    let id = world.id(name).await;
    world.get(&format!("/v1/events/e/attendees/{id}")).await["badge_url"].clone()
}

#[tokio::test]
async fn what_is_no_badge_is_left_out_and_counted_in_the_log() {
    let of = |id, name, badge: &str| record(id, name, json!({"badge": badge}));
    let people = [
        of(1, "ada", "https://x.org/ada.PNG"),
        of(2, "bob", "https://x.org/badges/bob"),
        of(3, "cyd", "http://x.org/cyd.png"),
        of(4, "dan", "no URL"),
    ];
    let world = World::new().await;
    let run = world.bring("s-e", &people).await;
    assert_eq!((run.counts.create, run.counts.reject), (4, 0));
    let told = "3 records with a badge_url that is no https URL of a badge: it is left out";
    assert!(run.log.iter().any(|line| line.text == told), "{:?}", run.log);
    assert_eq!(badge(&world, "ada").await, "https://x.org/ada.PNG");
    for name in ["bob", "cyd", "dan"] {
        assert_eq!(badge(&world, name).await, Value::Null, "{name}");
    }
    // With another setting all are read anew.
    let any = |config: String| config.replacen("badge_url = \".badge\"", "badge_url = \".badge\"\nbadge = \"any\"", 1);
    let world = world.reopened(any).await;
    let run = world.sync("s-e").await;
    assert_eq!((run.counts.update, run.counts.unchanged), (1, 3));
    assert_eq!(badge(&world, "bob").await, "https://x.org/badges/bob");
    assert_eq!(badge(&world, "cyd").await, Value::Null);
}

/// A server of files over https, which notes what it is asked.
async fn files(authority: &Authority) -> (String, Arc<Mutex<Vec<String>>>) {
    let acceptor = authority.acceptor(Certificate::Good);
    let listener = TcpListener::bind((HOST, 0)).await.unwrap();
    let base = format!("https://{HOST}:{}", listener.local_addr().unwrap().port());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&asked);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (acceptor, log) = (acceptor.clone(), Arc::clone(&log));
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(stream.read_u8().await.unwrap());
                }
                let head = String::from_utf8(head).unwrap();
                let line = head.lines().next().unwrap().trim_end_matches(" HTTP/1.1").to_owned();
                log.lock().unwrap().push(head);
                let answer = answer_of(&line);
                stream.write_all(format!("HTTP/1.1 {answer}\r\nconnection: close\r\n\r\n").as_bytes()).await.unwrap();
                stream.shutdown().await.unwrap();
            });
        }
    });
    (base, asked)
}

fn answer_of(line: &str) -> &'static str {
    match line {
        "HEAD /good.png" => "200 OK\r\ncontent-type: IMAGE/PNG; q=1",
        "HEAD /signed.pdf" | "HEAD /shut.jpg" => "403 Forbidden\r\ncontent-length: 0",
        "GET /signed.pdf" => "200 OK\r\ncontent-type: application/pdf\r\ncontent-length: 1000000000",
        "HEAD /page.png" => "200 OK\r\ncontent-type: text/html",
        "HEAD /untold.png" => "200 OK\r\ncontent-length: 5",
        "HEAD /moved.png" => "302 Found\r\nlocation: /good.png\r\ncontent-length: 0",
        "HEAD /round.png" => "302 Found\r\nlocation: /round.png\r\ncontent-length: 0",
        "HEAD /down.png" => "302 Found\r\nlocation: http://127.0.0.1:1/good.png\r\ncontent-length: 0",
        "GET /shut.jpg" => "403 Forbidden\r\ncontent-length: 0",
        _ => "404 Not Found\r\ncontent-length: 0",
    }
}

/// Two feeds whose lists name badges; the source of the second may be asked twice an hour.
const TWO_SOURCES: &str = r#"
[source.all]
base_url = "URL"
[source.all.request]
path = "all"
[source.all.records]
select = ".[]"
[source.all.auth]
kind = "bearer"
token = { env = "SOURCE_TOKEN" }
[source.all.mapping]
external_id = ".id"
email = ".email"
first_name = ".name"
last_name = ".name"
badge_url = ".badge"
[source.few]
base_url = "URL"
[source.few.request]
path = "few"
[source.few.records]
select = ".[]"
[[source.few.budget]]
requests = 2
per = "hour"
[source.few.mapping]
external_id = ".id"
email = ".email"
first_name = ".name"
last_name = ".name"
badge_url = ".badge"
[event.all]
[[event.all.feed]]
source = "all"
[event.few]
[[event.few.feed]]
source = "few"
[store]
path = "data"
[server]
listen = "127.0.0.1:0"
"#;

#[tokio::test]
async fn badges_are_asked_for_where_they_are_said_to_be_and_nothing_else_is_told_there() {
    let authority = Authority::new();
    let (base, asked) = files(&authority).await;
    let expected = [
        ("good.png", "good", None),
        ("signed.pdf", "good", None),
        ("moved.png", "good", None),
        ("page.png", "other_type", None),
        ("untold.png", "other_type", None),
        ("gone.png", "status", Some(404)),
        ("shut.jpg", "status", Some(403)),
        ("round.png", "no_answer", None),
        ("down.png", "no_answer", None),
    ];
    let person = |n: usize, badge: Value| json!({"id": n, "email": format!("p{n}@x.org"), "name": "P", "badge": badge});
    let mut all: Vec<_> =
        expected.iter().enumerate().map(|(n, (file, ..))| person(n, format!("{base}/{file}").into())).collect();
    all.push(person(20, format!("https://{HOST}:1/nobody.png").into()));
    all.push(person(21, Value::Null));
    let few: Vec<_> = (30..33).map(|n| person(n, format!("{base}/good.png").into())).collect();
    let system = Scripted::start(move |asked, _| json(&json!(if asked.path == "/all" { &all } else { &few }))).await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("rollcall.toml"), system.config(TWO_SOURCES)).unwrap();
    authority.write_to(&folder.path().join("ca.pem"));
    let served = Served::start(folder).await;
    for event in ["all", "few"] {
        assert_eq!(served.sync(event).await["outcome"], "done");
    }
    assert!(asked.lock().unwrap().is_empty(), "a sync asks for no badge");

    let found = look(&served, "all").await;
    let mut wanted: Vec<_> = expected.iter().map(|(_, found, status)| ((*found).to_owned(), *status)).collect();
    wanted.push(("no_answer".into(), None));
    wanted.sort();
    assert_eq!(found, wanted);
    for head in asked.lock().unwrap().drain(..) {
        assert!(!head.to_lowercase().contains("authorization") && !head.contains("canary"), "{head}");
        assert!(
            head.starts_with("HEAD ") || head.starts_with("GET /signed") || head.starts_with("GET /shut"),
            "{head}"
        );
    }
    let one_was_left: Vec<_> = ["good", "not_asked", "not_asked"].map(|found| (found.to_owned(), None)).into();
    assert_eq!(look(&served, "few").await, one_was_left);
    let log = served.log();
    assert!(!log.contains("@x.org") && !log.contains(".png"), "{log}");
}

/// What was found, and the status, sorted.
async fn look(served: &Served, event: &str) -> Vec<(String, Option<u64>)> {
    let answer = served.ask("POST", &format!("/v1/events/{event}/badges/check")).await;
    let lines = answer.lines().filter(|line| line.starts_with('{'));
    let mut found: Vec<_> = lines
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .map(|look| (look["found"].as_str().unwrap().to_owned(), look["status"].as_u64()))
        .collect();
    found.sort();
    found
}
