//! `rollcall presets`: which registration systems are known, and what is known of each.

use std::process::ExitCode;

use serde_json::json;

use super::error::CliError;
use super::print;
use crate::config::{PRESETS, Preset, nearest};

pub fn presets(name: Option<&str>, as_json: bool) -> Result<ExitCode, CliError> {
    match name {
        Some(name) => show(named(name)?, as_json)?,
        None if as_json => print::json(&PRESETS.iter().map(row).collect())?,
        None => list()?,
    }
    Ok(ExitCode::SUCCESS)
}

fn named(name: &str) -> Result<&'static Preset, CliError> {
    PRESETS.iter().find(|preset| preset.name == name).ok_or_else(|| {
        let mend = match nearest(name, PRESETS.iter().map(|preset| preset.name)) {
            Some(meant) => format!("did you mean {meant}?"),
            None => "`rollcall presets` lists them".to_owned(),
        };
        CliError::usage(format!("no such preset; {mend}"))
    })
}

fn show(preset: &Preset, as_json: bool) -> Result<(), CliError> {
    if as_json {
        let mut whole = row(preset);
        whole["toml"] = preset.toml.into();
        return print::json(&whole);
    }
    print::line(preset.toml.trim_end())
}

fn row(preset: &Preset) -> serde_json::Value {
    json!({ "name": preset.name, "system": preset.system, "needs": preset.needs, "page": page(preset) })
}

fn page(preset: &Preset) -> String {
    format!("docs/presets.md#{}", preset.name)
}

fn list() -> Result<(), CliError> {
    let mut rows = vec![["preset", "system", "needs", "page"].map(str::to_owned).to_vec()];
    rows.extend(
        PRESETS.iter().map(|preset| {
            vec![preset.name.to_owned(), preset.system.to_owned(), preset.needs.to_owned(), page(preset)]
        }),
    );
    print::table(&rows)
}
