//! `rollcall audit`: who did what by hand.

use std::process::ExitCode;

use super::args::AuditArgs;
use super::client::Client;
use super::error::CliError;
use super::print::{self, cell};
use crate::config::percent_encode;

pub async fn audit(client: &Client, args: &AuditArgs, as_json: bool) -> Result<ExitCode, CliError> {
    let subject = args.subject.as_deref().map(|subject| format!("&subject={}", percent_encode(subject)));
    let answer = client.get(&format!("/v1/audit?limit={}{}", args.limit, subject.unwrap_or_default())).await?;
    client.close().await;
    if as_json {
        print::json(&answer)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut rows = vec![["at", "who", "what", "subject", "note"].map(str::to_owned).to_vec()];
    for entry in answer["items"].as_array().into_iter().flatten() {
        let who = entry["actor"]["name"].as_str().map_or("command line".into(), |name| format!("token {name}"));
        let what = cell(&entry["action"]).replace('_', " ");
        rows.push(vec![cell(&entry["at"]), who, what, cell(&entry["subject"]), cell(&entry["note"])]);
    }
    print::table(&rows)?;
    Ok(ExitCode::SUCCESS)
}
