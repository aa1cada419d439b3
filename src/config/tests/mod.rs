//! The configuration as a whole: its rules, its secrets, its reference.

mod connectors;
mod events;
mod hooks;
mod lists;
mod logins;
mod mail;
mod presets;
mod reference;
mod requests;
mod rules;
mod schedules;
mod secrets;
mod sign_in;
mod whole;

use std::path::Path;

use super::*;

/// The smallest sound source, one key a line, with the header it stands under.
const SMALLEST: [&str; 8] = [
    "source.crm: base_url = \"https://crm.example/api/\"",
    "source.crm.request: path = \"attendees\"",
    "source.crm.records: select = \".[]\"",
    "source.crm.mapping: email = \".email\"",
    "source.crm.mapping: first_name = \".first\"",
    "source.crm.mapping: last_name = \".last\"",
    "event.summit: title = \"Summit\"",
    "event.summit: feed = [{ source = \"crm\" }]",
];

/// The smallest configuration with some lines changed: `section: key = value` sets, `section: -key` removes.
fn edited(edits: &[&str]) -> String {
    let mut sections: Vec<(&str, Vec<(&str, &str)>)> = Vec::new();
    for line in SMALLEST.iter().chain(edits) {
        let (header, line) = line.split_once(": ").expect("an edit names its section");
        let key = line.trim_start_matches('-').split(" = ").next().unwrap_or_default();
        if !sections.iter().any(|(name, _)| *name == header) {
            sections.push((header, Vec::new()));
        }
        let (_, lines) = sections.iter_mut().find(|(name, _)| *name == header).expect("just made");
        lines.retain(|(other, _)| *other != key);
        if !line.starts_with('-') {
            lines.push((key, line));
        }
    }
    let mut text = String::new();
    for (header, lines) in sections {
        text.push_str(&format!("[{header}]\n"));
        lines.iter().for_each(|(_, line)| text.push_str(&format!("{line}\n")));
    }
    text
}

fn parse(text: &str) -> Result<(Config, Vec<Warning>), Vec<Fault>> {
    let environment = Environment::from_iter([("TOKEN", "canary-7f3a")]);
    match Config::parse(text, Path::new("rollcall.toml"), &environment) {
        Ok(read) => Ok(read),
        Err(ConfigError::Faults { faults, .. }) => {
            assert!(!faults.is_empty(), "a refusal says why: {text}");
            Err(faults)
        }
        Err(ConfigError::Unreadable { .. }) => unreachable!("nothing is read from disk"),
    }
}

fn sound(edits: &[&str]) -> Config {
    let text = edited(edits);
    parse(&text).unwrap_or_else(|faults| panic!("{text}\n{faults:?}")).0
}

fn source(edits: &[&str]) -> SourceSpec {
    sound(edits).sources.values().next().expect("there is one source").as_ref().clone()
}

/// The faults of an edited configuration, without their lines.
fn faults(edits: &[&str]) -> Vec<String> {
    let faults = parse(&edited(edits)).err().unwrap_or_default();
    assert!(faults.iter().all(|fault| !fault.mend.is_empty()), "every fault says what to do: {faults:?}");
    faults.iter().map(ToString::to_string).collect()
}

/// Each row: edits, and all the faults they make.
fn check_faults(rows: &[(&[&str], &[&str])]) {
    for (edits, expected) in rows {
        assert_eq!(faults(edits), *expected, "{edits:?}");
    }
}
