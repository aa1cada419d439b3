//! `rollcall runs`: history.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::args::RunsVerb;
use super::client::Client;
use super::error::CliError;
use super::print::{self, cell};
use crate::config::percent_encode;

pub async fn runs(client: &Client, verb: RunsVerb, as_json: bool) -> Result<ExitCode, CliError> {
    match verb {
        RunsVerb::List { event, limit } => list(client, event.as_deref(), limit, as_json).await?,
        RunsVerb::Show { run, changes, log } => show(client, run, changes, log, as_json).await?,
        RunsVerb::Cancel { run } => {
            let answer = client.post(&format!("/v1/runs/{run}/cancel"), None).await?;
            if as_json { print::json(&answer)? } else { print::line(&format!("run {run} was asked to end"))? }
        }
    }
    client.close().await;
    Ok(ExitCode::SUCCESS)
}

async fn list(client: &Client, event: Option<&str>, limit: u32, as_json: bool) -> Result<(), CliError> {
    let event = event.map(|event| format!("&event={}", percent_encode(event))).unwrap_or_default();
    let answer = client.get(&format!("/v1/runs?limit={limit}{event}")).await?;
    if as_json {
        return print::json(&answer);
    }
    let heads = ["run", "event", "source", "started", "outcome", "counts"];
    let mut rows = vec![heads.map(str::to_owned).to_vec()];
    for run in answer["items"].as_array().into_iter().flatten() {
        let outcome = if run["ended_at"].is_null() { "running".into() } else { outcome(run) };
        let [id, event, source, started] = ["id", "event", "source", "started_at"].map(|key| cell(&run[key]));
        rows.push(vec![id, event, source, started, outcome, print::counts(&run["counts"])]);
    }
    print::table(&rows)
}

fn outcome(run: &Value) -> String {
    let dry = if run["dry_run"] == true { " (dry run)" } else { "" };
    match run["error"]["reason"].as_str() {
        Some(reason) => format!("{}: {reason}{dry}", cell(&run["outcome"])),
        None => format!("{}{dry}", cell(&run["outcome"])),
    }
}

async fn show(client: &Client, run: u64, changes: bool, log: bool, as_json: bool) -> Result<(), CliError> {
    let mut answer = client.get(&format!("/v1/runs/{run}")).await?;
    if as_json {
        if changes {
            answer["changes"] = json!(client.all(&changes_path(run)).await?);
        }
        if log {
            answer["log"] = client.get(&format!("/v1/runs/{run}/log")).await?["items"].take();
        }
        return print::json(&answer);
    }
    print_run(&answer)?;
    if log {
        let lines = client.get(&format!("/v1/runs/{run}/log")).await?;
        for line in lines["items"].as_array().into_iter().flatten() {
            print::line(&format!("{} {:5} {}", cell(&line["at"]), cell(&line["level"]), cell(&line["text"])))?;
        }
    }
    if changes {
        print_changes(client, run).await?;
    }
    Ok(())
}

/// A run in a few lines.
pub fn print_run(run: &Value) -> Result<(), CliError> {
    let [id, event, source] = ["id", "event", "source"].map(|key| cell(&run[key]));
    let ended = if run["ended_at"].is_null() { "goes on".into() } else { outcome(run) };
    print::line(&format!("run {id} of {event} from {source}: {ended}"))?;
    for (word, other) in [("undoes", &run["undoes"]), ("was undone by", &run["undone_by"])] {
        if !other.is_null() {
            print::line(&format!("  {word} run {}", cell(other)))?;
        }
    }
    print::line(&format!("  {}", print::counts(&run["counts"])))?;
    print_doubts(run)?;
    if let Some(message) = run["error"]["message"].as_str() {
        print::line(&format!("  {message}"))?;
        print::line(&format!("  {}", cell(&run["error"]["hint"])))?;
    }
    Ok(())
}

/// Why a run is held, or deserves a look; and what can be done.
fn print_doubts(run: &Value) -> Result<(), CliError> {
    let id = cell(&run["id"]);
    let is_held = run["outcome"] == "held";
    let held = if run["dry_run"] == true { "would be held" } else { "held" };
    for (word, doubts) in [(held, &run["held"]), ("degraded", &run["degraded"])] {
        for doubt in doubts.as_array().into_iter().flatten() {
            print::line(&format!("  {word}: {}", cell(&doubt["text"])))?;
        }
    }
    if let Some(by) = run["decision"]["by"].as_str() {
        print::line(&format!("  decided by {by} at {}", cell(&run["decision"]["at"])))?;
    }
    if is_held {
        print::line(&format!("  nothing is changed until it is approved; it expires at {}", cell(&run["expires_at"])))?;
        print::line(&format!("  rollcall runs show {id} --changes   what it would do"))?;
        print::line(&format!("  rollcall approve {id}               do it"))?;
        print::line(&format!("  rollcall reject {id}                discard it"))?;
    }
    Ok(())
}

fn changes_path(run: u64) -> String {
    format!("/v1/runs/{run}/changes")
}

/// Every change of a run, person by person.
pub async fn print_changes(client: &Client, run: u64) -> Result<(), CliError> {
    print_changes_of(client, run, |_| true).await
}

/// The changes of a run that are `wanted`.
pub async fn print_changes_of(client: &Client, run: u64, wanted: impl Fn(&Value) -> bool) -> Result<(), CliError> {
    client.each(&changes_path(run), |change| if wanted(&change) { print_change(&change) } else { Ok(()) }).await
}

/// One change: what, who, and each difference below.
pub fn print_change(change: &Value) -> Result<(), CliError> {
    let action = cell(&change["action"]);
    let who = [&change["email"], &change["external_id"], &change["user"]].into_iter().find(|who| !who.is_null());
    let reason = change["reason"].as_str().map(|reason| format!(": {reason}")).unwrap_or_default();
    let field = change["field"].as_str().filter(|field| !field.is_empty());
    let field = field.map(|field| format!(" ({field})")).unwrap_or_default();
    let parts: Vec<_> = change["parts"].as_array().into_iter().flatten().map(cell).collect();
    let parts = if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) };
    let who = who.unwrap_or(&change["group"]);
    print::line(&format!("{action:7} {}{reason}{field}{parts}", cell(who)))?;
    for detail in change["details"].as_array().into_iter().flatten() {
        print::line(&format!("          {}", difference(detail)))?;
    }
    Ok(())
}

/// What is different, in a line.
pub fn difference(detail: &Value) -> String {
    let subject = ["field", "group", "external_id", "event"].iter().find_map(|key| detail[*key].as_str());
    let kind = cell(&detail["kind"]).replace('_', " ");
    let subject = subject.map(|subject| format!(" {subject}")).unwrap_or_default();
    match (&detail["before"], &detail["after"]) {
        (Value::Null, Value::Null) => format!("{kind}{subject}"),
        (before, after) => format!("{kind}{subject}: {} -> {}", cell(before), cell(after)),
    }
}
