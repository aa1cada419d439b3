//! `rollcall presets`, and what `rollcall check` tells of one.

use std::process::{Command, Output};

use rollcall::config::PRESETS;
use serde_json::Value;

use super::story::config;
use crate::support::SOURCE_TOKEN;

fn run(folder: &std::path::Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rollcall"));
    command.args(arguments).current_dir(folder).env("SOURCE_TOKEN", SOURCE_TOKEN).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn presets_are_listed_and_shown() {
    let folder = tempfile::tempdir().unwrap();
    let names = ["pretix", "eventbrite", "swoogo", "tito", "indico", "hievents", "gco", "oidc", "plain"];
    let listed = run(folder.path(), &["presets"]);
    assert!(listed.status.success());
    let rows: Vec<_> = text(&listed.stdout).lines().skip(1).map(ToOwned::to_owned).collect();
    assert_eq!(rows.len(), names.len());
    for (row, name) in rows.iter().zip(names) {
        assert!(row.starts_with(name) && row.ends_with(&format!("docs/presets.md#{name}")), "{row}");
    }
    let json: Value = serde_json::from_slice(&run(folder.path(), &["presets", "--json"]).stdout).unwrap();
    assert_eq!(json.as_array().unwrap().len(), names.len());
    assert_eq!(json[0]["needs"], "base_url, auth.key, params organizer and event");
    for preset in PRESETS {
        assert_eq!(text(&run(folder.path(), &["presets", preset.name]).stdout).trim_end(), preset.toml.trim_end());
    }
    let shown: Value = serde_json::from_slice(&run(folder.path(), &["presets", "tito", "--json"]).stdout).unwrap();
    assert!(shown["toml"].as_str().unwrap().contains("search[states][]"));
    let unknown = run(folder.path(), &["presets", "pretixx"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(text(&unknown.stderr).contains("no such preset; did you mean pretix?"));
}

#[test]
fn check_tells_what_a_preset_filled_in() {
    let folder = tempfile::tempdir().unwrap();
    let source = "auth = { key = { env = \"SOURCE_TOKEN\" } }\nmapping = { company = \".other\" }";
    let file = config("tito", source, "account = \"a\", event = \"b\"").replace("URL", "https://tito.example/v3/");
    std::fs::write(folder.path().join("rollcall.toml"), file).unwrap();
    let checked = run(folder.path(), &["check"]);
    let said = text(&checked.stdout);
    assert!(checked.status.success(), "{said}{}", text(&checked.stderr));
    assert!(said.starts_with("source.tickets: from preset tito\n"), "{said}");
    for line in ["auth.prefix = \"Token token=\"", "mapping.email = \".email\"", "pagination.size = 500"] {
        assert!(said.contains(&format!("    {line}\n")), "{line}: {said}");
    }
    for replaced in ["base_url", "mapping.company", SOURCE_TOKEN] {
        assert!(!said.contains(replaced), "{replaced}: {said}");
    }
    let json: Value = serde_json::from_slice(&run(folder.path(), &["check", "--json"]).stdout).unwrap();
    let tickets = &json["presets"]["tickets"];
    assert_eq!((&tickets["preset"], &tickets["filled_in"]["mapping.email"]), (&"tito".into(), &"\".email\"".into()));
    assert!(tickets["filled_in"].get("mapping.company").is_none());
}
