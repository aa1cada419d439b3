//! `rollcall preview`: the first page of a source, raw and mapped, and what it would change.

use std::path::Path;
use std::process::ExitCode;

use serde_json::{Value, json};

use super::args::PreviewArgs;
use super::client::Client;
use super::error::CliError;
use super::print::{self, cell};
use super::runs::difference;
use crate::config::{Config, Environment, percent_encode, written_out};
use crate::model::{EventName, SourceName};
use crate::sync::Stopping;

pub async fn preview(config: Config, args: &PreviewArgs, as_json: bool) -> Result<ExitCode, CliError> {
    let (path, events) = (config.path.clone(), config.events.clone());
    let client = Client::connect(config, &Stopping::default()).await?;
    let event = percent_encode(&args.event);
    let source = match &args.source {
        Some(source) => Some(source.clone()),
        None => only_source(&client, &event).await?,
    };
    let declared = EventName::parse(&args.event).ok().and_then(|name| events.get(&name).cloned());
    let params = source.as_deref().and_then(|source| {
        let feed = declared.as_ref()?.feed(&SourceName::parse(source).ok()?)?;
        Some(feed.params.clone())
    });
    // Without a server the saved settings are this file's.
    let settings = source.as_deref().filter(|_| client.is_server()).and_then(|source| settings(&path, source));
    let body = settings.map(|source| json!({"source": source, "params": params}));
    let query = source.as_deref().map(|source| format!("?source={}", percent_encode(source))).unwrap_or_default();
    let answer = client.post(&format!("/v1/events/{event}/preview{query}"), body.as_ref()).await?;
    client.close().await;
    if as_json {
        print::json(&answer)?;
    } else {
        show(&answer, args.record)?;
    }
    match answer["failure"]["message"].as_str() {
        Some(message) => Err(CliError::failed(format!("{message}\n  {}", cell(&answer["failure"]["hint"])))),
        None => Ok(ExitCode::SUCCESS),
    }
}

/// The source of an event that has one feed. Of several the server asks for one.
pub async fn only_source(client: &Client, event: &str) -> Result<Option<String>, CliError> {
    let answer = client.get(&format!("/v1/events/{event}")).await?;
    Ok(match answer["feeds"].as_array().map(Vec::as_slice) {
        Some([feed]) => feed["source"].as_str().map(str::to_owned),
        _ => None,
    })
}

/// The source's settings in this configuration, for a server that may have read others.
fn settings(path: &Path, source: &str) -> Option<Value> {
    let name = SourceName::parse(source).ok()?;
    written_out(path, &Environment::process(), &name).map(Value::Object)
}

fn show(answer: &Value, record: Option<u64>) -> Result<(), CliError> {
    let records = answer["records"].as_array().map_or(&[][..], Vec::as_slice);
    if let Some(number) = record {
        let found = records.iter().find(|record| record["number"] == number);
        let missing = || CliError::usage(format!("there is no record {number}; the preview shows {}", records.len()));
        return match found {
            Some(record) => show_record(record),
            None if answer["failure"].is_null() => Err(missing()),
            None => Ok(()),
        };
    }
    show_exchange(answer)?;
    if answer["failure"].is_null() {
        show_records(answer, records)?;
    }
    for suggestion in answer["suggestions"].as_array().into_iter().flatten() {
        print::line(&format!("suggestion: {}; write", cell(&suggestion["because"])))?;
        for line in cell(&suggestion["toml"]).lines() {
            print::line(&format!("    {line}"))?;
        }
    }
    Ok(())
}

/// What was asked and what came.
fn show_exchange(answer: &Value) -> Result<(), CliError> {
    let request = &answer["request"];
    if !request.is_null() {
        print::line(&format!("{} {}", cell(&request["method"]), cell(&request["url"])))?;
        show_headers(">", &request["headers"])?;
        if let Some(body) = request["body"].as_str() {
            print::line(&format!("  > {body}"))?;
        }
    }
    let response = &answer["response"];
    if !response.is_null() {
        let [status, bytes, took] = ["status", "bytes", "took_ms"].map(|key| cell(&response[key]));
        print::line(&format!("answered {status}: {bytes} bytes in {took} ms"))?;
        show_headers("<", &response["headers"])?;
    }
    Ok(())
}

fn show_headers(mark: &str, headers: &Value) -> Result<(), CliError> {
    for header in headers.as_array().into_iter().flatten() {
        print::line(&format!("  {mark} {}: {}", cell(&header["name"]), cell(&header["value"])))?;
    }
    Ok(())
}

fn show_records(answer: &Value, records: &[Value]) -> Result<(), CliError> {
    let (synced, excluded): (Vec<_>, Vec<_>) = records.iter().partition(|record| record["outcome"] == "mapped");
    if !synced.is_empty() {
        let heads = ["#", "external id", "email", "name", "state", "change"];
        let mut rows = vec![heads.map(str::to_owned).to_vec()];
        rows.extend(synced.into_iter().map(row));
        print::line("synced:")?;
        print::table(&rows)?;
    }
    if !excluded.is_empty() {
        let mut rows = vec![["#", "external id", "email", "name", "why"].map(str::to_owned).to_vec()];
        rows.extend(excluded.into_iter().map(excluded_row));
        print::line("excluded:")?;
        print::table(&rows)?;
    }
    if let Some(hint) = answer["hint"].as_str() {
        print::line(&format!("hint: {hint}"))?;
    }
    let (shown, all) = (records.len(), answer["page_records"].as_u64().unwrap_or(0));
    let rest = if shown as u64 == all { String::new() } else { format!(" (the first {shown} are shown)") };
    print::line(&format!("{all} records on the first page{rest}"))?;
    match answer["unplanned"].as_str() {
        Some(why) => print::line(&format!("no plan: {why}"))?,
        None => print::line(&format!("it alone would do: {}", print::counts(&answer["plan"]["counts"])))?,
    }
    let paging = &answer["paging"];
    let next = &paging["next"];
    if !next.is_null() {
        return print::line(&format!("next page: {} {}", cell(&next["method"]), cell(&next["url"])));
    }
    match paging["fault"].as_str() {
        Some(fault) => print::line(&format!("no next page: {fault}")),
        None => print::line(&format!("the list ends here: {}", cell(&paging["end"]))),
    }
}

fn row(record: &Value) -> Vec<String> {
    let mut cells = person(record);
    cells.extend([cell(&record["mapped"]["state"]), change(record)]);
    cells
}

fn excluded_row(record: &Value) -> Vec<String> {
    let mut cells = person(record);
    cells.push(outcome(record));
    cells
}

/// Who it is, as far as the record tells.
fn person(record: &Value) -> Vec<String> {
    let mapped = &record["mapped"];
    let id = [&mapped["external_id"], &record["reject"]["external_id"]].into_iter().find(|id| !id.is_null());
    let names = ["first_name", "last_name"].iter().filter_map(|field| mapped["fields"][*field].as_str());
    let name = names.collect::<Vec<_>>().join(" ");
    vec![
        record["number"].to_string(),
        one_line(&id.map_or("-".into(), cell)),
        one_line(&cell(&mapped["email"])),
        if name.is_empty() { "-".into() } else { one_line(&name) },
    ]
}

/// A source's text in a table: whatever stands in it, it keeps to its line.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn outcome(record: &Value) -> String {
    let outcome = cell(&record["outcome"]);
    let (skip, reject) = (&record["skip"], &record["reject"]);
    if let Some(reason) = reject["reason"].as_str() {
        let field = reject["field"].as_str().filter(|field| !field.is_empty());
        return format!("{outcome}: {reason}{}", field.map(|field| format!(" ({field})")).unwrap_or_default());
    }
    match (skip["reason"].as_str(), skip["rule"].as_str()) {
        (Some(reason), rule) => format!("{outcome}: {reason}{}", rule.map(|r| format!(" ({r})")).unwrap_or_default()),
        (None, _) => outcome,
    }
}

fn change(record: &Value) -> String {
    let actions = record["changes"].as_array().into_iter().flatten().map(|change| cell(&change["action"]));
    let actions = actions.collect::<Vec<_>>().join(", ");
    match (actions.is_empty(), record["unchanged"] == true) {
        (false, _) => actions,
        (true, true) => "unchanged".into(),
        (true, false) => "-".into(),
    }
}

/// One record, raw on the left and mapped on the right; below it what it would change.
fn show_record(record: &Value) -> Result<(), CliError> {
    let lines = |value: &Value| -> Vec<String> {
        serde_json::to_string_pretty(value).unwrap_or_default().lines().map(str::to_owned).collect()
    };
    let (left, right) = (lines(&record["raw"]), lines(&record["mapped"]));
    let mut rows = vec![vec!["raw".to_owned(), "mapped".to_owned()]];
    let line = |side: &[String], at: usize| side.get(at).cloned().unwrap_or_default();
    rows.extend((0..left.len().max(right.len())).map(|at| vec![line(&left, at), line(&right, at)]));
    print::table(&rows)?;
    print::line(&format!("{}; change: {}", outcome(record), change(record)))?;
    for change in record["changes"].as_array().into_iter().flatten() {
        print::line(&format!("{:7} {}", cell(&change["action"]), cell(&change["email"])))?;
        for detail in change["details"].as_array().into_iter().flatten() {
            print::line(&format!("          {}", difference(detail)))?;
        }
    }
    Ok(())
}
