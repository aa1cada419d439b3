//! `rollcall rebuild`: makes a damaged store new and fetches what was lost from the sources.

use std::process::ExitCode;

use serde_json::json;

use super::args::{RebuildArgs, SyncArgs};
use super::client::Client;
use super::error::{CliError, FAILED};
use super::{print, serve, sync};
use crate::config::Config;
use crate::store::{Salvage, Store, StoreError};
use crate::sync::Stopping;

pub async fn rebuild(config: Config, args: &RebuildArgs, as_json: bool) -> Result<ExitCode, CliError> {
    let path = config.store.path.clone();
    let rebuilt = tokio::task::spawn_blocking(move || salvage(&path)).await.map_err(CliError::failed)?;
    let Some(salvage) = rebuilt.map_err(|error| CliError::of_store(&error))? else {
        let text = "the store is whole: there is nothing to rebuild";
        if as_json {
            print::json(&json!({ "rebuilt": null }))?
        } else {
            print::line(text)?
        }
        return Ok(ExitCode::SUCCESS);
    };
    if as_json {
        print::json(&json!({ "rebuilt": salvage }))?
    } else {
        print(&salvage)?
    }
    if args.no_sync {
        return Ok(ExitCode::SUCCESS);
    }
    let stopping = Stopping::default();
    let stop = serve::signals(&stopping)?;
    let client = Client::connect(config, &stopping).await?;
    tokio::select! {
        biased;
        why = stop => {
            client.close().await;
            Err(CliError::failed(format!("{why}: the store is rebuilt, the rest comes with the next syncs")))
        }
        code = sync_all(&client, as_json) => {
            client.close().await;
            code
        }
    }
}

/// `None` where the store can be opened as it is.
fn salvage(path: &std::path::Path) -> Result<Option<Salvage>, StoreError> {
    match Store::open(path) {
        Ok(_) => Ok(None),
        Err(error) if error.is_damage() => Store::rebuild(path).map(Some),
        Err(error) => Err(error),
    }
}

fn print(salvage: &Salvage) -> Result<(), CliError> {
    let Salvage { users, groups, events, tokens, runs, lost, damaged } = salvage;
    print::line(&format!(
        "kept: {users} users, {groups} groups, {events} events and {tokens} tokens made over the API, {runs} runs"
    ))?;
    for what in lost {
        print::line(&format!("lost: {what}"))?;
    }
    print::line(&format!("the damaged store is kept in {}; remove it when all is well", damaged.display()))
}

/// Reads every list anew, so that whoever was lost is there again.
async fn sync_all(client: &Client, as_json: bool) -> Result<ExitCode, CliError> {
    let events = client.get("/v1/events").await?;
    let mut code = ExitCode::SUCCESS;
    for event in events["items"].as_array().into_iter().flatten() {
        let feeds = event["feeds"].as_array().map_or(0, Vec::len);
        let name = event["name"].as_str().unwrap_or_default();
        if feeds == 0 {
            continue;
        }
        let args = SyncArgs { event: name.to_owned(), source: None, dry_run: false, full: true };
        if sync::sync_one(client, &args, as_json).await? != ExitCode::SUCCESS {
            code = ExitCode::from(FAILED);
        }
    }
    Ok(code)
}
