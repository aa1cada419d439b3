//! `rollcall mapping`: how an event maps a source, shown, and taken from event to event as a file.

use std::path::Path;
use std::process::ExitCode;

use serde_json::{Map, Value, json};

use super::args::{MappingOf, MappingVerb};
use super::client::Client;
use super::error::CliError;
use super::preview::only_source;
use super::print::{self, cell};
use crate::config::percent_encode;

pub async fn mapping(client: &Client, verb: &MappingVerb, as_json: bool) -> Result<ExitCode, CliError> {
    let done = match verb {
        MappingVerb::Show(of) => show(client, of, as_json).await,
        MappingVerb::Export(of) => export(client, of, as_json).await,
        MappingVerb::Import { of, file, dry_run } => import(client, of, file, *dry_run, as_json).await,
    };
    client.close().await;
    done.map(|()| ExitCode::SUCCESS)
}

/// The addresses of an event and of its mapping, and the source that is meant.
struct Meant {
    event: String,
    mapping: String,
    source: String,
}

impl Meant {
    async fn by(client: &Client, of: &MappingOf) -> Result<Self, CliError> {
        let event = percent_encode(&of.event);
        let source = match &of.source {
            Some(source) => source.clone(),
            None => only_source(client, &event).await?.ok_or_else(|| {
                CliError::usage(format!("event '{}' has several feeds, or none: say --source", of.event))
            })?,
        };
        let event = format!("/v1/events/{event}");
        Ok(Self { mapping: format!("{event}/mapping/{}", percent_encode(&source)), event, source })
    }
}

async fn show(client: &Client, of: &MappingOf, as_json: bool) -> Result<(), CliError> {
    let answer = client.get(&Meant::by(client, of).await?.mapping).await?;
    if as_json { print::json(&answer) } else { print_keys(&answer, |_| true) }
}

fn print_keys(answer: &Value, is_shown: impl Fn(&Value) -> bool) -> Result<(), CliError> {
    let mut rows = vec![["FIELD", "FROM", "SAID BY", "THE SOURCE SAYS"].map(str::to_owned).to_vec()];
    let is_said = |key: &&Value| !key["expression"].is_null() || !key["default"].is_null() || !key["ignored"].is_null();
    for key in answer["keys"].as_array().into_iter().flatten().filter(is_said).filter(|key| is_shown(key)) {
        let origin = match (key["locked"].as_bool(), key["origin"].as_str()) {
            (Some(true), _) => "the source (locked)",
            (_, Some("event")) => "the event",
            _ => "the source",
        };
        let default = if key["origin"] == "event" { cell(&key["default"]) } else { String::new() };
        rows.push(vec![cell(&key["key"]), cell(&key["expression"]), origin.to_owned(), default]);
    }
    print::table(&rows)?;
    for key in answer["keys"].as_array().into_iter().flatten().filter(|key| !key["ignored"].is_null()) {
        print::line(&format!("{} of the event does not count: {}", cell(&key["key"]), cell(&key["ignored"])))?;
    }
    Ok(())
}

async fn export(client: &Client, of: &MappingOf, as_json: bool) -> Result<(), CliError> {
    let meant = Meant::by(client, of).await?;
    let answer = client.get(&meant.mapping).await?;
    if as_json {
        return print::json(&answer["mapping"]);
    }
    let mapping: toml::Table = serde_json::from_value(answer["mapping"].clone()).map_err(CliError::failed)?;
    print::line(&format!("# How the event {} maps the source {}.", of.event, meant.source))?;
    print::line(toml::to_string(&mapping).map_err(CliError::failed)?.trim_end())
}

async fn import(client: &Client, of: &MappingOf, file: &Path, dry_run: bool, as_json: bool) -> Result<(), CliError> {
    let mapping = read(file)?;
    let meant = Meant::by(client, of).await?;
    let before = client.get(&meant.mapping).await?;
    let query = if dry_run { "?dry_run=true" } else { "" };
    let mut after = client.put(&format!("{}{query}", meant.mapping), &json!({ "mapping": mapping })).await?;
    if dry_run {
        let overrides = overrides(&after);
        let path = format!("{}/preview?source={}", meant.event, percent_encode(&meant.source));
        after["preview"] = client.post(&path, Some(&json!({ "mapping": overrides }))).await?;
    }
    if as_json {
        return print::json(&after);
    }
    let differs = |key: &Value| expression_of(&before, &key["key"]) != key["expression"];
    if after["keys"].as_array().into_iter().flatten().any(differs) {
        print_keys(&after, differs)?;
    } else {
        print::line("nothing is mapped otherwise")?;
    }
    if dry_run {
        let counts = print::counts(&after["preview"]["plan"]["counts"]);
        print::line(&format!("the first page, if it were so: {counts}; nothing was saved"))
    } else {
        print::line("saved; the next sync plans everybody anew")
    }
}

/// What the event says itself.
fn overrides(answer: &Value) -> Value {
    let own = answer["keys"].as_array().into_iter().flatten().filter(|key| key["origin"] == "event");
    own.map(|key| (cell(&key["key"]), key["expression"].as_str().unwrap_or_default().into()))
        .collect::<Map<_, _>>()
        .into()
}

fn expression_of(answer: &Value, name: &Value) -> Value {
    let key = answer["keys"].as_array().into_iter().flatten().find(|key| key["key"] == *name);
    key.map_or(Value::Null, |key| key["expression"].clone())
}

/// The mapping in a file: JSON, or TOML, in which custom fields may stand in a table of their own.
fn read(file: &Path) -> Result<Map<String, Value>, CliError> {
    let cannot = |error: &dyn std::fmt::Display| CliError::usage(format!("{}: {error}", file.display()));
    let text = std::fs::read_to_string(file).map_err(|error| cannot(&error))?;
    let is_json = file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
    let mut mapping: Map<String, Value> = if is_json {
        serde_json::from_str(&text).map_err(|error| cannot(&error))?
    } else {
        toml::from_str(&text).map_err(|error| cannot(&error))?
    };
    if let Some(Value::Object(custom)) = mapping.get("custom").cloned() {
        mapping.remove("custom");
        mapping.extend(custom.into_iter().map(|(name, value)| (format!("custom.{name}"), value)));
    }
    Ok(mapping)
}
