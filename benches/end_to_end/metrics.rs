//! What a scrape costs where there is as much to tell as metrics allow: 200 feeds of 100 sources, each synced once.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Instant;

use rollcall::demo::{EVENT, TOKEN_VARIABLE, config_toml};
use serde_json::{Value, json};

use super::fake::Fake;
use super::installation::Installation;
use super::table::{Table, heading, least, median, megabytes, millis, most, whole};
use super::wire::{self, Connection};
use super::{Outcome, PER_PAGE, Progress};

const EVENTS: usize = 200;
const SOURCES: usize = 100;

/// People of each event, the same everywhere.
const PEOPLE: u32 = 10;

const SCRAPES: usize = 101;

const TARGET_BYTES: f64 = 1e6;
const TARGET_SECONDS: f64 = 0.050;

pub fn measure(scratch: &Path, progress: &Progress) -> Outcome<Value> {
    progress.say(&format!("metrics: {EVENTS} feeds of {SOURCES} sources"));
    let fake = Fake::start(PEOPLE, 1)?;
    let installation = Installation::of(scratch, &config(fake.address))?;
    let mut server = installation.serve()?;
    for number in 0..EVENTS {
        let path = format!("/v1/events/{}/sync?wait=60s", event(number));
        // One that its schedule has begun already is as good.
        server.ask_json(&wire::request("POST", &path, &server.token.clone(), ""))?;
    }
    let scrape = wire::get("/metrics", &server.token);
    let mut connection = Connection::open(server.address)?;
    let mut took = Vec::new();
    let mut text = String::new();
    for _ in 0..SCRAPES {
        let start = Instant::now();
        let answer = connection.ask(&scrape)?;
        took.push(start.elapsed().as_secs_f64());
        text = String::from_utf8(answer.body.to_vec())?;
    }
    check(&text)?;
    let series = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).count();
    heading(&format!("/metrics of {EVENTS} feeds and {SOURCES} sources, {SCRAPES} scrapes"));
    let mut table = Table::new(&["", "median", "least", "most", "target"]);
    let [bytes, series] = [text.len(), series].map(|count| f64::from(u32::try_from(count).unwrap_or(u32::MAX)));
    table.row(vec!["series".into(), whole(series)]);
    table.row(vec!["megabytes".into(), megabytes(bytes), String::new(), String::new(), megabytes(TARGET_BYTES)]);
    let times = [median(&took), least(&took), most(&took), TARGET_SECONDS].map(millis);
    table.row([vec!["milliseconds".to_owned()], times.to_vec()].concat());
    table.print();
    Ok(json!({ "feeds": EVENTS, "sources": SOURCES, "series": series, "bytes": bytes, "seconds": took }))
}

/// Every feed must have been synced, or there would be less to tell.
fn check(text: &str) -> Outcome<()> {
    let done = |line: &&str| line.starts_with("rollcall_sync_runs_total{") && line.contains("outcome=\"done\"");
    let count: u64 = text.lines().filter(done).filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok()).sum();
    if count < EVENTS as u64 { Err(format!("only {count} of {EVENTS} feeds were synced").into()) } else { Ok(()) }
}

fn event(number: usize) -> String {
    if number == 0 { EVENT.to_owned() } else { format!("event-{number:03}") }
}

/// The bundled configuration again and again, each source with a budget and hooks, each event with a schedule.
fn config(source: SocketAddr) -> String {
    let bundled = config_toml(source, PER_PAGE);
    // The bundled event's tables come last.
    let (source, rest) = bundled.split_at(bundled.find(&format!("[event.{EVENT}]")).unwrap_or(bundled.len()));
    let mut text = String::new();
    for number in 0..SOURCES {
        let name = format!("source-{number:03}");
        text += &source.replace("[source.demo", &format!("[source.{name}"));
        text += &format!(
            "[[source.{name}.budget]]\nrequests = 1000000\nper = \"hour\"\n\
             [source.{name}.hook]\nsecret = {{ env = \"{TOKEN_VARIABLE}\" }}\nsignature_header = \"x-signature\"\n\n"
        );
    }
    for number in 0..EVENTS {
        let event = rest.replace("\"demo\"", &format!("\"source-{:03}\"", number % SOURCES));
        let event = event.replace(&format!("[event.{EVENT}"), &format!("[event.{}", self::event(number)));
        text += &event.replacen("title =", "schedule = { kind = \"hourly\" }\ntitle =", 1);
    }
    text
}
