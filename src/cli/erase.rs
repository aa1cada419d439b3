//! `rollcall erase`, `export`, `erasures`, `tombstones` and `compact`.

use std::io::{BufRead, IsTerminal, Write};
use std::process::ExitCode;

use serde_json::{Value, json};

use super::args::{EraseArgs, TombstonesVerb};
use super::client::Client;
use super::error::CliError;
use super::print::{self, cell};
use crate::config::percent_encode;

/// Asks whoever sits at the terminal; elsewhere `--yes` has to be said.
pub fn confirm(args: &EraseArgs) -> Result<(), CliError> {
    if args.yes {
        return Ok(());
    }
    let mut input = std::io::stdin().lock();
    if !std::io::stdin().is_terminal() {
        return Err(CliError::usage("erasing cannot be undone: say --yes"));
    }
    eprint!("Erase user {} for good? This cannot be undone. [y/N] ", args.user);
    let mut answer = String::new();
    let read = std::io::stderr().flush().and_then(|()| input.read_line(&mut answer));
    read.map_err(CliError::failed)?;
    let said_yes = matches!(answer.trim(), "y" | "Y" | "yes");
    if said_yes { Ok(()) } else { Err(CliError::failed("nobody was erased")) }
}

pub async fn erase(client: &Client, args: &EraseArgs, as_json: bool) -> Result<ExitCode, CliError> {
    let path = format!("/v1/users/{}?keep_out={}", percent_encode(&args.user), !args.may_return);
    let erasure = client.delete(&path).await?;
    client.close().await;
    if as_json {
        print::json(&erasure)?;
        return Ok(ExitCode::SUCCESS);
    }
    print::line(&format!("user {} is erased: {}", args.user, what(&erasure)))?;
    print::line(&format!("the store's files are rewritten by {}", cell(&erasure["compaction_due_at"])))?;
    Ok(ExitCode::SUCCESS)
}

fn what(erasure: &Value) -> String {
    let number = |key: &str| erasure[key].as_u64().unwrap_or(0);
    let mut parts = vec![
        format!("{} registrations", number("registrations")),
        format!("{} journals cleaned", number("journals_cleaned")),
    ];
    if number("reads_dropped") > 0 {
        parts.push(format!("{} interrupted reads dropped", number("reads_dropped")));
    }
    if number("tombstones") > 0 {
        parts.push("kept out".into());
    }
    if erasure["files_cleaned_at"].is_null() {
        parts.push("runs that go on are cleaned when they end".into());
    }
    parts.join(", ")
}

pub async fn export(client: &Client, user: &str) -> Result<ExitCode, CliError> {
    let export = client.get(&format!("/v1/users/{}/export", percent_encode(user))).await?;
    client.close().await;
    print::json(&export)?;
    Ok(ExitCode::SUCCESS)
}

pub async fn erasures(client: &Client, limit: u32, as_json: bool) -> Result<ExitCode, CliError> {
    let answer = client.get(&format!("/v1/erasures?limit={limit}")).await?;
    client.close().await;
    if as_json {
        print::json(&answer)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut rows = vec![["at", "by", "users", "what", "off the disk"].map(str::to_owned).to_vec()];
    for erasure in answer["items"].as_array().into_iter().flatten() {
        let by = &erasure["by"];
        let by = match by["kind"].as_str() {
            Some("run") => format!("run {}", cell(&by["run"])),
            Some("token") => format!("token {}", cell(&by["name"])),
            _ => "command line".into(),
        };
        let users: Vec<_> = erasure["users"].as_array().into_iter().flatten().map(cell).collect();
        let users = if let [user] = &users[..] { user.clone() } else { format!("{} users", users.len()) };
        let gone = erasure["compacted_at"]
            .as_str()
            .map_or_else(|| format!("due {}", cell(&erasure["compaction_due_at"])), |at| format!("since {at}"));
        rows.push(vec![cell(&erasure["at"]), by, users, what(erasure), gone]);
    }
    print::table(&rows)?;
    Ok(ExitCode::SUCCESS)
}

pub async fn tombstones(client: &Client, verb: TombstonesVerb, as_json: bool) -> Result<ExitCode, CliError> {
    let answer = match &verb {
        TombstonesVerb::List => json!({"items": client.all("/v1/tombstones").await?, "next_cursor": null}),
        TombstonesVerb::Lift { id } => client.delete(&format!("/v1/tombstones/{}", percent_encode(id))).await?,
    };
    client.close().await;
    if as_json {
        print::json(&answer)?;
        return Ok(ExitCode::SUCCESS);
    }
    match verb {
        TombstonesVerb::Lift { id } => {
            print::line(&format!("tombstone {id} is lifted: the next sync that finds the person brings them back"))?;
        }
        TombstonesVerb::List => {
            let mut rows = vec![["id", "erased", "user", "records"].map(str::to_owned).to_vec()];
            for tombstone in answer["items"].as_array().into_iter().flatten() {
                rows.push(["id", "at", "user", "records"].map(|key| cell(&tombstone[key])).to_vec());
            }
            print::table(&rows)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

pub async fn compact(client: &Client, as_json: bool) -> Result<ExitCode, CliError> {
    let answer = client.post("/v1/compact", None).await?;
    client.close().await;
    if as_json {
        print::json(&answer)?;
        return Ok(ExitCode::SUCCESS);
    }
    let bytes = |key: &str| answer[key].as_u64().unwrap_or(0);
    print::line(&format!("the store's files had {} bytes and have {}", bytes("bytes_before"), bytes("bytes_after")))?;
    Ok(ExitCode::SUCCESS)
}
