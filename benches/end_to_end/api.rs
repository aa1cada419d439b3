//! Requests a second of the API, beside the emptiest answer of the same server, asked by the same client.
//!
//! The client takes its share of the processor, and of every request the same, so what is compared are ratios: each of
//! a turn, in which every question is asked for a moment, one kind after the other.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use rollcall::demo::EVENT;
use serde_json::{Value, json};

use super::fake::Fake;
use super::installation::{Installation, Server};
use super::table::{NONE, Table, heading, median, percent, whole};
use super::wire::{self, Connection};
use super::{Outcome, Progress};

/// People asked for, spread over the whole store.
const PEOPLE: usize = 1_000;

const CONNECTIONS: [usize; 2] = [1, 8];

/// Turns; the first only warms up.
const TURNS: usize = 21;

const MOMENT: Duration = Duration::from_millis(200);

/// Share of the empty answer's rate.
const TARGET: f64 = 0.7;

/// One question, for different people; the emptiest one comes first.
struct Question {
    name: &'static str,
    requests: Vec<Vec<u8>>,
}

pub fn measure(count: u32, scratch: &Path, progress: &Progress) -> Outcome<Value> {
    let size = whole(f64::from(count));
    progress.say(&format!("API: a store of {size} records"));
    let fake = Fake::start(count, 1)?;
    let installation = Installation::new(scratch, fake.address)?;
    let mut server = installation.serve()?;
    server.sync(EVENT, count)?;
    let questions = questions(&fake, &mut server)?;
    let mut columns = Vec::new();
    for connections in CONNECTIONS {
        progress.say(&format!("API: {connections} at a time"));
        columns.push(turns(server.address, &questions, connections)?);
    }
    heading(&format!("The API with {size} records, requests/s on kept connections"));
    Ok(json!({ "records": count, "questions": print(&questions, &columns) }))
}

/// Prints a row for each question and returns the figures. `columns` are the turns by number of connections.
fn print(questions: &[Question], columns: &[Vec<Vec<f64>>]) -> Vec<Value> {
    let mut table = Table::new(&["", "1 connection", "of empty", "8 connections", "of empty", "target"]);
    let mut figures = Vec::new();
    for (at, question) in questions.iter().enumerate() {
        let mut row = vec![question.name.to_owned()];
        let mut figure = json!({ "name": question.name, "target_of_empty": (at > 0).then_some(TARGET) });
        for (connections, turns) in CONNECTIONS.iter().zip(columns) {
            let rate = median(&turns.iter().map(|turn| turn[at]).collect::<Vec<_>>());
            let of_empty = median(&turns.iter().map(|turn| turn[at] / turn[0]).collect::<Vec<_>>());
            row.extend([whole(rate), percent(of_empty)]);
            figure[format!("connections_{connections}")] = json!({ "requests_per_second": rate, "of_empty": of_empty });
        }
        row.push(if at == 0 { NONE.to_owned() } else { percent(TARGET) });
        table.row(row);
        figures.push(figure);
    }
    table.print();
    figures
}

fn questions(fake: &Fake, server: &mut Server) -> Outcome<Vec<Question>> {
    let truth = fake.truth()?;
    let attending: Vec<_> = truth.iter().filter(|record| record["state"] == "attending").collect();
    let (mut by_id, mut by_email, mut by_external_id) = (Vec::new(), Vec::new(), Vec::new());
    let (mut access, mut page) = (Vec::new(), Vec::new());
    let door = format!("/v1/events/{EVENT}/access");
    for record in attending.iter().step_by(attending.len().div_ceil(PEOPLE).max(1)) {
        let look_up = |body: &Value| wire::request("POST", "/v1/users/lookup", &server.token, &body.to_string());
        let email = look_up(&json!({ "email": record["email"] }));
        by_external_id.push(look_up(&json!({ "event": EVENT, "source": "demo", "external_id": record["id"] })));
        let user = server.ask_json(&email)?;
        let user = user["id"].as_str().ok_or("a user without an id")?;
        let ask = |question: &Value| wire::request("POST", &door, &server.token, &question.to_string());
        access.push(ask(&json!({ "email": record["email"] })));
        page.push(ask(&json!({ "user": user, "page": "lounge" })));
        by_id.push(wire::get(&format!("/v1/events/{EVENT}/attendees/{user}"), &server.token));
        by_email.push(email);
    }
    Ok(vec![
        Question { name: "empty: GET /healthz", requests: vec![wire::get("/healthz", &server.token)] },
        Question { name: "attendee by id", requests: by_id },
        Question { name: "user by email", requests: by_email },
        Question { name: "user by external id", requests: by_external_id },
        Question { name: "access to the event, by email", requests: access },
        Question { name: "access to a page, by id", requests: page },
    ])
}

/// Requests a second, of each turn for each question.
fn turns(address: SocketAddr, questions: &[Question], connections: usize) -> Outcome<Vec<Vec<f64>>> {
    let turn = |_| questions.iter().map(|question| rate(address, question, connections)).collect();
    let turns: Outcome<Vec<Vec<f64>>> = (0..TURNS).map(turn).collect();
    Ok(turns?.split_off(1))
}

/// Requests a second of one question. Each connection waits for an answer before it asks again.
fn rate(address: SocketAddr, question: &Question, connections: usize) -> Outcome<f64> {
    let begin = Barrier::new(connections);
    let ask = |number: usize| -> Outcome<f64> {
        let connection = Connection::open(address);
        begin.wait();
        let mut connection = connection?;
        let (start, mut asked) = (Instant::now(), 0.0);
        // Each connection begins with somebody else.
        let first = number * question.requests.len() / connections;
        for request in question.requests.iter().cycle().skip(first) {
            if connection.ask(request)?.status != 200 {
                return Err(format!("an answer to '{}' is no success", question.name).into());
            }
            asked += 1.0;
            if start.elapsed() >= MOMENT {
                break;
            }
        }
        Ok(asked / start.elapsed().as_secs_f64())
    };
    thread::scope(|scope| {
        let asking: Vec<_> = (0..connections).map(|number| scope.spawn(move || ask(number))).collect();
        let rates = asking.into_iter().map(|asking| asking.join().map_err(|_| "a client panicked")?);
        rates.sum()
    })
}
