//! `rollcall check`: every fault of a configuration file at once.

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
            if as_json {
                let warnings: Vec<_> = warnings.iter().map(ToString::to_string).collect();
                let (sources, events) = (config.sources.len(), config.events.len());
                print::json(
                    &json!({ "ok": true, "sources": sources, "events": events, "feeds": feeds, "warnings": warnings }),
                )?;
            } else {
                for warning in &warnings {
                    eprintln!("warning: {warning}");
                }
                let (sources, events) = (config.sources.len(), config.events.len());
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

fn fault(fault: &crate::config::Fault) -> serde_json::Value {
    json!({ "path": fault.path, "line": fault.line, "problem": fault.problem, "mend": fault.mend, "detail": fault.detail })
}
