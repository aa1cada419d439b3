//! `rollcall status` and `rollcall healthcheck`.

use std::path::Path;
use std::process::ExitCode;

use super::client::{Client, server_client};
use super::error::CliError;
use super::load::load;
use super::print::{self, cell};
use crate::app::Beacon;

pub async fn status(client: &Client, json: bool) -> Result<ExitCode, CliError> {
    let answer = client.get("/v1/status").await?;
    client.close().await;
    if json {
        print::json(&answer)?;
        return Ok(ExitCode::SUCCESS);
    }
    let heads = ["event", "attendees", "last run", "outcome", "counts"];
    let mut rows = vec![heads.map(str::to_owned).to_vec()];
    for event in answer["events"].as_array().into_iter().flatten() {
        let run = &event["last_run"];
        let mut counts = if run.is_null() { "never synced".into() } else { print::counts(&run["counts"]) };
        if let Some(at) = event["goes_on_at"].as_str() {
            counts.push_str(&format!("; goes on at {at}"));
        }
        if let Some(why) = event["paused"]["why"].as_str() {
            counts.push_str(&format!("; paused ({why})"));
        } else if let Some(at) = event["next_run"].as_str() {
            counts.push_str(&format!("; next run {at}"));
        }
        let held: Vec<_> = event["held"].as_array().into_iter().flatten().map(cell).collect();
        if !held.is_empty() {
            counts.push_str(&format!("; held, to be approved or rejected: run {}", held.join(", run ")));
        }
        let outcome =
            if !run.is_null() && run["ended_at"].is_null() { "running".into() } else { cell(&run["outcome"]) };
        rows.push(vec![cell(&event["event"]), cell(&event["attendees"]), cell(&run["id"]), outcome, counts]);
    }
    print::table(&rows)?;
    print::line(&format!("{} users, {} groups", cell(&answer["users"]), cell(&answer["groups"])))?;
    Ok(ExitCode::SUCCESS)
}

/// Exit code 0 when the server says that it is ready, else 1 with the reason.
pub async fn healthcheck(config: &Path, url: Option<String>) -> Result<ExitCode, CliError> {
    let base = match url {
        Some(url) => url.trim_end_matches('/').to_owned(),
        None => {
            let config = load(config)?;
            let beacon = Beacon::read(&config.store.path);
            let beacon = beacon.ok_or_else(|| CliError::failed("no server runs on the configured data directory"))?;
            format!("http://{}", beacon.address)
        }
    };
    let answer = server_client()?.get(format!("{base}/readyz")).send().await;
    let answer = answer.map_err(|error| CliError::failed(format!("the server does not answer: {error}")))?;
    if answer.status().is_success() {
        print::line("ready")?;
        Ok(ExitCode::SUCCESS)
    } else {
        Err(CliError::failed(format!("the server is not ready: {}", answer.status())))
    }
}
