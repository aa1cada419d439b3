//! `rollcall explain`: why somebody is, or is not, in an event.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::args::ExplainArgs;
use super::client::Client;
use super::error::CliError;
use super::print::{self, cell};
use super::runs::{difference, print_change};
use crate::config::percent_encode;

pub async fn explain(client: &Client, args: &ExplainArgs, as_json: bool) -> Result<ExitCode, CliError> {
    let ExplainArgs { event, whom, source, fetch } = args;
    let asked = match (&whom.email, &whom.external_id, &whom.user) {
        (Some(email), ..) => json!({ "email": email }),
        (_, Some(external_id), _) => json!({ "external_id": external_id }),
        (.., user) => json!({ "user": user }),
    };
    let query = source.as_deref().map(|source| format!("?source={}", percent_encode(source))).unwrap_or_default();
    let path = format!("/v1/events/{}/explain", percent_encode(event));
    let mut answer = client.post(&format!("{path}{query}"), Some(&asked)).await?;
    if *fetch {
        answer["live"] = client.post(&format!("{path}/live{query}"), Some(&asked)).await?;
    }
    client.close().await;
    if as_json {
        print::json(&answer)?;
    } else {
        answer["feeds"].as_array().into_iter().flatten().try_for_each(print_feed)?;
        answer["live"].as_array().into_iter().flatten().try_for_each(print_look)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn print_feed(feed: &Value) -> Result<(), CliError> {
    print::line(&format!("{}:", cell(&feed["source"])))?;
    for step in feed["steps"].as_array().into_iter().flatten() {
        let [question, answer, text] = ["question", "answer", "text"].map(|key| cell(&step[key]));
        print::line(&format!("  {:9}{answer:8}{text}", format!("{question}?")))?;
    }
    if !feed["change"].is_null() {
        print::line(&format!("the last change, by run {}:", cell(&feed["change"]["run"])))?;
        print_change(&feed["change"])?;
    }
    Ok(())
}

fn print_look(look: &Value) -> Result<(), CliError> {
    let [source, pages, records] = ["source", "pages", "records"].map(|key| cell(&look[key]));
    let found = look["found"].as_array().map(Vec::as_slice).unwrap_or_default();
    let count = found.len();
    print::line(&format!("{source} now: {count} of {records} records on {pages} pages are theirs"))?;
    if let Some(message) = look["failure"]["message"].as_str() {
        print::line(&format!("  not the whole list: {message}; {}", cell(&look["failure"]["hint"])))?;
    }
    if look["out_of_time"] == true {
        print::line("  not the whole list: the time was over")?;
    }
    found.iter().try_for_each(print_record)
}

fn print_record(record: &Value) -> Result<(), CliError> {
    print::line(&format!("  {}", cell(&record["raw"])))?;
    let skip = ["reason", "rule"].map(|key| record["skip"][key].as_str().unwrap_or_default());
    let reject = ["reason", "field"].map(|key| record["reject"][key].as_str().unwrap_or_default());
    let why = [skip, reject].concat().into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    print::line(format!("  {} {why}", cell(&record["outcome"])).trim_end())?;
    for change in record["changes"].as_array().into_iter().flatten() {
        print::line(&format!("  would {} {}", cell(&change["action"]), cell(&change["user"])))?;
        for detail in change["details"].as_array().into_iter().flatten() {
            print::line(&format!("    {}", difference(detail)))?;
        }
    }
    if record["unchanged"] == true {
        print::line("  would change nothing")?;
    }
    Ok(())
}
