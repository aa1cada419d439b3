//! `rollcall pause` and `rollcall resume`: whether anything of an event is synced by itself.

use std::process::ExitCode;

use super::client::Client;
use super::error::CliError;
use super::print;
use crate::config::percent_encode;

pub async fn pause(client: &Client, event: &str, as_json: bool) -> Result<ExitCode, CliError> {
    let said = format!("event {event} is paused: nothing of it is synced by itself until `rollcall resume {event}`");
    post(client, &format!("/v1/events/{}/pause", percent_encode(event)), &said, as_json).await
}

pub async fn resume(client: &Client, event: &str, as_json: bool) -> Result<ExitCode, CliError> {
    let said = format!("event {event} is not paused");
    post(client, &format!("/v1/events/{}/resume", percent_encode(event)), &said, as_json).await
}

async fn post(client: &Client, path: &str, said: &str, as_json: bool) -> Result<ExitCode, CliError> {
    let answer = client.post(path, None).await?;
    client.close().await;
    if as_json {
        print::json(&answer)?
    } else {
        print::line(said)?
    }
    Ok(ExitCode::SUCCESS)
}
