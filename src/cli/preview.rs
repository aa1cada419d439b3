//! `rollcall preview`: the first page of a source, raw and mapped.

use std::process::ExitCode;

use serde_json::Value;

use super::client::Client;
use super::error::CliError;
use super::print;
use crate::config::percent_encode;

pub async fn preview(client: &Client, event: &str, source: Option<&str>, json: bool) -> Result<ExitCode, CliError> {
    let query = source.map(|source| format!("?source={}", percent_encode(source))).unwrap_or_default();
    let answer = client.post(&format!("/v1/events/{}/preview{query}", percent_encode(event)), None).await?;
    if json {
        print::json(&answer)?;
        return Ok(ExitCode::SUCCESS);
    }
    let records = answer["records"].as_array().map_or(&[][..], Vec::as_slice);
    for record in records {
        print::line(&format!("raw     {}", record["raw"]))?;
        print::line(&verdict(record))?;
    }
    print::line(&format!("{} records on the first page", records.len()))?;
    Ok(ExitCode::SUCCESS)
}

fn verdict(record: &Value) -> String {
    if !record["mapped"].is_null() {
        return format!("mapped  {}", record["mapped"]);
    }
    if !record["skip"].is_null() {
        return format!("skipped {}", print::cell(&record["skip"]["reason"]));
    }
    let (reason, field) = (print::cell(&record["reject"]["reason"]), print::cell(&record["reject"]["field"]));
    format!("REJECTED {reason} {field}")
}
