//! `rollcall sync`: starts the runs of an event, shows how far they are, ends when they have ended.

use std::future::Future;
use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};

use super::args::SyncArgs;
use super::client::Client;
use super::error::{CliError, FAILED, HELD};
use super::{print, runs};
use crate::config::percent_encode;

/// How often a run's progress is looked at. Its end is told at once.
const LOOK: Duration = Duration::from_millis(100);

pub async fn sync(
    client: &Client,
    stop: impl Future<Output = &'static str>,
    args: &SyncArgs,
    as_json: bool,
) -> Result<ExitCode, CliError> {
    let ids = start(client, args).await?;
    let ended = tokio::select! {
        biased;
        why = stop => return interrupted(client, why, &ids).await,
        ended = follow_all(client, &ids, as_json) => ended?,
    };
    client.close().await;
    show(client, args, &ended, as_json).await
}

/// The same for one of several events: the client stays open, and nobody interrupts.
pub async fn sync_one(client: &Client, args: &SyncArgs, as_json: bool) -> Result<ExitCode, CliError> {
    let ids = start(client, args).await?;
    let ended = follow_all(client, &ids, as_json).await?;
    show(client, args, &ended, as_json).await
}

/// Starts the runs and returns their ids.
async fn start(client: &Client, args: &SyncArgs) -> Result<Vec<u64>, CliError> {
    let mut query = format!("dry_run={}&full={}", args.dry_run, args.full);
    if let Some(source) = &args.source {
        query.push_str(&format!("&source={}", percent_encode(source)));
    }
    let started = client.post(&format!("/v1/events/{}/sync?{query}", percent_encode(&args.event)), None).await?;
    Ok(started["runs"].as_array().into_iter().flatten().filter_map(|run| run["run"].as_u64()).collect())
}

async fn show(client: &Client, args: &SyncArgs, ended: &[Value], as_json: bool) -> Result<ExitCode, CliError> {
    if as_json {
        print::json(&json!({ "runs": ended }))?;
    } else {
        for run in ended {
            runs::print_run(run)?;
            if args.dry_run {
                runs::print_changes(client, run["id"].as_u64().unwrap_or_default()).await?;
            }
        }
    }
    let are =
        |outcomes: &[&str]| ended.iter().all(|run| run["outcome"].as_str().is_some_and(|o| outcomes.contains(&o)));
    Ok(match () {
        () if are(&["done"]) => ExitCode::SUCCESS,
        () if are(&["done", "held"]) => ExitCode::from(HELD),
        () => ExitCode::from(FAILED),
    })
}

/// Says what became of the runs, and what happens next.
async fn interrupted(client: &Client, why: &str, ids: &[u64]) -> Result<ExitCode, CliError> {
    if client.is_server() {
        return Err(CliError::failed(format!("{why}: no longer waiting; the sync goes on in the server")));
    }
    let in_time = client.close().await;
    let mut said = why.to_owned();
    for id in ids {
        let run = client.get(&format!("/v1/runs/{id}")).await?;
        said.push_str(&format!("\n  run {id} {}", what_became_of(&run, in_time)));
    }
    Err(CliError::failed(said))
}

fn what_became_of(run: &Value, in_time: bool) -> String {
    let number = |key: &str| run[key].as_u64().unwrap_or(0);
    match (run["outcome"].as_str(), number("applied"), number("planned")) {
        (None, ..) if !in_time => "did not end in time; the next start of rollcall ends it".into(),
        (None, applied, planned) => format!(
            "has committed {applied} of {planned} changes; the next start of rollcall, with whatever verb, commits the rest"
        ),
        (Some("failed"), 0, _) => "was stopped before it changed anybody; start the sync again".into(),
        (Some(outcome), ..) => format!("had ended: {outcome}"),
    }
}

async fn follow_all(client: &Client, ids: &[u64], quiet: bool) -> Result<Vec<Value>, CliError> {
    let mut ended = Vec::with_capacity(ids.len());
    for id in ids {
        ended.push(follow(client, *id, quiet).await?);
    }
    Ok(ended)
}

/// Shows a run's progress until it has ended: a bar on a terminal, plain lines otherwise.
pub async fn follow(client: &Client, id: u64, quiet: bool) -> Result<Value, CliError> {
    let bar =
        if quiet || !std::io::stderr().is_terminal() { ProgressBar::hidden() } else { ProgressBar::new_spinner() };
    // The template is a constant that parses.
    bar.set_style(
        ProgressStyle::with_template("{spinner} {msg} [{elapsed}]").unwrap_or(ProgressStyle::default_spinner()),
    );
    let plain = !quiet && bar.is_hidden();
    let mut phase = String::new();
    loop {
        let next = Instant::now() + LOOK;
        let run = client.get(&format!("/v1/runs/{id}?wait={}ms", LOOK.as_millis())).await?;
        if !run["ended_at"].is_null() {
            bar.finish_and_clear();
            return Ok(run);
        }
        let progress = &run["progress"];
        bar.set_message(message(id, progress));
        bar.tick();
        let now = print::cell(&progress["phase"]);
        if plain && now != phase {
            eprintln!("{}", message(id, progress));
            phase = now;
        }
        // A server with too many who wait answers at once.
        sleep_until(next).await;
    }
}

fn message(id: u64, progress: &Value) -> String {
    let number = |key: &str| progress[key].as_u64().unwrap_or(0);
    let waiting = number("waiting_ms");
    match progress["phase"].as_str() {
        Some("reading") if waiting > 0 => format!("run {id}: waiting {} s for the source", waiting.div_ceil(1000)),
        Some("reading") => format!("run {id}: reading, {} records on {} pages", number("records"), number("pages")),
        Some("planning") => format!("run {id}: planning, {} people", number("planned")),
        Some("committing") => format!("run {id}: committing, {} of {}", number("applied"), number("planned")),
        _ => format!("run {id}: ending"),
    }
}
