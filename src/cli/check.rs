//! `rollcall check`: every fault of a configuration file at once, and what presets fill in.

use std::path::Path;
use std::process::ExitCode;

use serde_json::json;

use super::error::{CliError, USAGE};
use super::print;
use crate::config::{Config, ConfigError, Environment};

pub fn check(path: &Path, as_json: bool) -> Result<ExitCode, CliError> {
    match Config::load(path, &Environment::process()) {
        Ok((config, warnings)) => {
            let feeds: usize = config.events.values().map(|event| event.feeds.len()).sum();
            let (sources, events) = (config.sources.len(), config.events.len());
            if as_json {
                let warnings: Vec<_> = warnings.iter().map(ToString::to_string).collect();
                print::json(&json!({
                    "ok": true, "sources": sources, "events": events, "feeds": feeds, "warnings": warnings,
                    "presets": filled_in(&config),
                }))?;
            } else {
                for warning in &warnings {
                    eprintln!("warning: {warning}");
                }
                tell_of_presets(&config)?;
                print::line(&format!("{}: {sources} sources, {events} events, {feeds} feeds: fine", path.display()))?;
            }
            Ok(ExitCode::SUCCESS)
        }
        Err(error) if as_json => {
            let faults: Vec<_> = match &error {
                ConfigError::Faults { faults, .. } => faults.iter().map(fault).collect(),
                ConfigError::Unreadable { .. } => vec![json!({ "problem": error.to_string() })],
            };
            print::json(&json!({ "ok": false, "faults": faults }))?;
            Ok(ExitCode::from(USAGE))
        }
        Err(error) => Err(CliError::usage(error)),
    }
}

/// By source: its preset, and the values that the file leaves to it, as TOML.
fn filled_in(config: &Config) -> serde_json::Value {
    let filled = config.filled_in.iter().map(|(source, filled)| {
        let keys: serde_json::Map<_, _> =
            filled.keys.iter().map(|(key, value)| (key.clone(), value.as_str().into())).collect();
        (source.to_string(), json!({ "preset": filled.preset, "filled_in": keys }))
    });
    filled.collect::<serde_json::Map<_, _>>().into()
}

fn tell_of_presets(config: &Config) -> Result<(), CliError> {
    for (source, filled) in &config.filled_in {
        print::line(&format!("source.{source}: from preset {}", filled.preset))?;
        for (key, value) in &filled.keys {
            print::line(&format!("    {key} = {value}"))?;
        }
    }
    Ok(())
}

fn fault(fault: &crate::config::Fault) -> serde_json::Value {
    json!({ "path": fault.path, "line": fault.line, "problem": fault.problem, "mend": fault.mend, "detail": fault.detail })
}
