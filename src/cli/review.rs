//! `rollcall review`: what of an event a person should look at.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::client::Client;
use super::error::CliError;
use super::print::{self, cell};
use crate::config::percent_encode;

/// Items asked for at a time.
const PAGE: u32 = 1_000;

pub async fn review(client: &Client, event: &str, as_json: bool) -> Result<ExitCode, CliError> {
    let items = all(client, event).await?;
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

async fn all(client: &Client, event: &str) -> Result<Vec<Value>, CliError> {
    let (mut items, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("/v1/events/{}/review?limit={PAGE}{cursor}", percent_encode(event));
        let mut answer = client.get(&path).await?;
        if let Value::Array(found) = answer["items"].take() {
            items.extend(found);
        }
        match answer["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={}", percent_encode(next)),
            None => return Ok(items),
        }
    }
}
