//! `rollcall approve` and `rollcall reject`: what becomes of a run that the guard holds. `rollcall undo`: taking a run back.

use std::process::ExitCode;

use super::args::UndoArgs;
use super::client::Client;
use super::error::{CliError, FAILED};
use super::{print, runs, sync};
use crate::config::percent_encode;

/// Approves a run and waits until it is committed.
pub async fn approve(client: &Client, run: u64, as_json: bool) -> Result<ExitCode, CliError> {
    client.post(&format!("/v1/runs/{run}/approve"), None).await?;
    let ended = sync::follow(client, run, as_json).await?;
    client.close().await;
    if as_json {
        print::json(&ended)?
    } else {
        runs::print_run(&ended)?
    }
    Ok(if ended["outcome"] == "done" { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
}

pub async fn reject(client: &Client, run: u64, as_json: bool) -> Result<ExitCode, CliError> {
    let answer = client.post(&format!("/v1/runs/{run}/reject"), None).await?;
    client.close().await;
    if as_json {
        print::json(&answer)?
    } else {
        print::line(&format!("run {run} is rejected; nobody was changed"))?
    }
    Ok(ExitCode::SUCCESS)
}

/// Undoes a run and waits for the end; then names whom it left as they are, and a dry run everybody.
pub async fn undo(client: &Client, args: &UndoArgs, as_json: bool) -> Result<ExitCode, CliError> {
    let UndoArgs { run, dry_run } = *args;
    let started = client.post(&format!("/v1/runs/{run}/undo?dry_run={dry_run}"), None).await?;
    let undo = started["id"].as_u64().unwrap_or_default();
    let ended = sync::follow(client, undo, as_json).await?;
    if as_json {
        print::json(&ended)?;
    } else {
        runs::print_run(&ended)?;
        runs::print_changes_of(client, undo, |change| dry_run || change["action"] == "skip").await?;
        if let Some(event) = ended["event"].as_str().filter(|_| !dry_run) {
            tell_of_pause(client, event).await?;
        }
    }
    client.close().await;
    Ok(if ended["outcome"] == "done" { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
}

/// An undo pauses an event that is synced by itself.
async fn tell_of_pause(client: &Client, event: &str) -> Result<(), CliError> {
    let found = client.get(&format!("/v1/events/{}", percent_encode(event))).await?;
    if found["paused"].is_null() {
        return Ok(());
    }
    let resume = format!("when the source is mended: rollcall resume {event}");
    print::line(&format!("event {event} is paused: nothing of it is synced by itself; {resume}"))
}
