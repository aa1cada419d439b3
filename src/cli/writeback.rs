//! `rollcall writeback`: how far login links and event passwords went back.

use std::process::ExitCode;

use serde_json::json;

use super::args::WritebackArgs;
use super::client::Client;
use super::error::CliError;
use super::print::{self, cell};
use crate::config::percent_encode;

pub async fn writeback(client: &Client, args: &WritebackArgs, as_json: bool) -> Result<ExitCode, CliError> {
    let path = format!("/v1/events/{}/writeback", percent_encode(&args.event));
    if args.send || args.retry {
        client.post(&path, Some(&json!({ "retry": args.retry }))).await?;
    }
    let state = args.state.as_deref().map(|state| format!("&state={}", percent_encode(state))).unwrap_or_default();
    let answer = client.get(&format!("{path}?limit={}{state}", args.limit)).await?;
    client.close().await;
    if as_json {
        print::json(&answer)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut rows = vec![["SOURCE", "PUSH", "PENDING", "SENT", "CONFIRMED", "FAILED"].map(str::to_owned).to_vec()];
    let keys = ["source", "push", "pending", "sent", "confirmed", "failed"];
    let counts = answer["counts"].as_array().into_iter().flatten();
    rows.extend(counts.map(|counts| keys.iter().map(|key| cell(&counts[*key])).collect()));
    print::table(&rows)?;
    let receipts = answer["receipts"].as_array().map(Vec::as_slice).unwrap_or_default();
    if !receipts.is_empty() {
        let heads = ["EXTERNAL ID", "PUSH", "STATE", "REASON", "TRIES", "SINCE"];
        let mut rows = vec![heads.map(str::to_owned).to_vec()];
        let keys = ["external_id", "push", "state", "reason", "attempts", "changed_at"];
        rows.extend(receipts.iter().map(|receipt| keys.iter().map(|key| cell(&receipt[*key])).collect()));
        print::line("")?;
        print::table(&rows)?;
    }
    Ok(ExitCode::SUCCESS)
}
