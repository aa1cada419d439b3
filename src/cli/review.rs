//! `rollcall review`: what of an event a person should look at.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::client::Client;
use super::error::CliError;
use super::print::{self, cell};
use crate::config::percent_encode;

pub async fn review(client: &Client, event: &str, as_json: bool) -> Result<ExitCode, CliError> {
    let items = client.all(&format!("/v1/events/{}/review", percent_encode(event))).await?;
    client.close().await;
    if as_json {
        print::json(&json!({ "items": items }))?;
    } else if items.is_empty() {
        print::line("nothing to look at")?;
    } else {
        let mut rows = vec![["source", "what", "external id", "user", "what to do"].map(str::to_owned).to_vec()];
        rows.extend(items.iter().map(row));
        print::table(&rows)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn row(item: &Value) -> Vec<String> {
    let what = item["reason"].as_str().unwrap_or(item["kind"].as_str().unwrap_or_default()).replace('_', " ");
    let field = item["field"].as_str().map(|field| format!(": {field}")).unwrap_or_default();
    let [source, external_id, user, mend] = ["source", "external_id", "user", "what_to_do"].map(|key| cell(&item[key]));
    vec![source, format!("{what}{field}"), external_id, user, mend]
}
