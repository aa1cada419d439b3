//! Lists of people, and an event that two sources feed.

use rollcall::model::{Run, RunId, RunOutcome};
use rollcall::sync::DecideError;
use serde_json::{Value, json};

use crate::support::{Appliance, ListServer};

pub fn person(n: usize) -> Value {
    json!({"id": n, "email": format!("p{n}@x.org"), "first": "First", "last": format!("L{n}"), "groups": ["all"]})
}

/// A record with something else said of it.
pub fn with(n: usize, more: &Value) -> Value {
    let mut record = person(n);
    record.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    record
}

pub fn cancelled(n: usize) -> Value {
    with(n, &json!({"status": "cancelled"}))
}

pub fn erased(n: usize) -> Value {
    with(n, &json!({"erase": true}))
}

pub fn page(records: impl IntoIterator<Item = Value>) -> Vec<String> {
    vec![json!({"items": records.into_iter().collect::<Vec<_>>()}).to_string()]
}

/// Sources `s` and `t`, events `e` and `f`, as golden cases have them, but with the guard on.
pub fn guarded(server: &ListServer) -> String {
    let base = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases/base.toml")).unwrap();
    base.replace("enabled = false", "enabled = true").replace("\"URL\"", &format!("\"http://{}\"", server.address))
}

/// An appliance and the run of `s` that it holds: of 24 people 12 are cancelled.
pub async fn holding() -> (Appliance, ListServer, Run) {
    let server = ListServer::start().await;
    let appliance = Appliance::open(&guarded(&server)).await;
    server.set("s", page((1..=24).map(person)));
    assert_eq!(appliance.sync("e", "s", false, false).await.outcome, Some(RunOutcome::Done));
    server.set("s", page((1..=12).map(cancelled).chain((13..=24).map(person))));
    let run = appliance.sync("e", "s", false, false).await;
    assert_eq!(run.outcome, Some(RunOutcome::Held), "{run:?}");
    (appliance, server, run)
}

pub async fn approve(appliance: &Appliance, run: RunId) -> Result<Run, DecideError> {
    appliance.app.runner.approve(run, rollcall::model::Actor::CommandLine).await?;
    Ok(appliance.app.runner.wait(run).await.unwrap().unwrap())
}

pub fn outcome(appliance: &Appliance, run: RunId) -> RunOutcome {
    appliance.app.runner.run(run).unwrap().unwrap().outcome.unwrap()
}

/// How many attend the event.
pub fn attendees(appliance: &Appliance) -> u64 {
    appliance.app.store.attendee_counts(&rollcall::model::EventName::parse("e").unwrap()).0
}
