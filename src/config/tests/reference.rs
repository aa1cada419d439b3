//! The example and the reference hold every key that the reader asks for, and no other.

use std::collections::BTreeSet;
use std::fs;

use super::super::load::read_text;
use super::super::read::Findings;
use super::*;

const EXAMPLE: &str = include_str!("../../../config/rollcall.example.toml");
const REFERENCE: &str = include_str!("../../../docs/config.md");

/// Reads the example with all the secrets it names: what came of it, and which keys and choices were asked for.
fn read_example() -> (Option<Config>, Vec<Fault>, Vec<Warning>, BTreeSet<String>) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::create_dir(folder.path().join("secrets")).expect("a folder for secrets");
    for file in ["secrets/tickets-token", "members-password"] {
        fs::write(folder.path().join(file), "secret").expect("written");
    }
    for (file, text) in [
        ("subject.txt", "{{ event.title }}: your invitation\n"),
        ("invitation.txt", "Dear {{ first_name }}"),
        ("invitation.html", "<p>Dear {{ first_name }}</p>"),
        ("mail-ca.pem", "-----BEGIN CERTIFICATE-----"),
    ] {
        fs::write(folder.path().join(file), text).expect("written");
    }
    let credentials = folder.path().display().to_string();
    let secrets = [
        "CRM_TOKEN",
        "SPEAKERS_KEY",
        "REGISTRY_SECRET",
        "ALUMNI_SECRET",
        "ALUMNI_REFRESH_TOKEN",
        "GUESTS_PASSWORD",
        "STAFF_PASSWORD",
        "HELPERS_PASSWORD",
        "CRM_HOOK_SECRET",
        "SPEAKERS_HOOK_SECRET",
        "PRESS_HOOK_PATH",
        "MAIL_PASSWORD",
        "ACCOUNTS_SECRET",
    ];
    let secrets = secrets.into_iter().map(|name| (name, "a-secret-of-enough-bytes"));
    let environment = Environment::from_iter(secrets.chain([("CREDENTIALS_DIRECTORY", credentials.as_str())]));
    let findings = Findings::new(EXAMPLE);
    let config = read_text(EXAMPLE, &folder.path().join("rollcall.toml"), &environment, false, &findings);
    let accepted = findings.accepted();
    let (faults, warnings) = findings.into_parts();
    (config, faults, warnings, accepted)
}

/// Every key of a TOML value, and `key = "text"` for texts, with its tables' names in between.
fn keys(prefix: &str, value: &toml::Value, found: &mut BTreeSet<String>) {
    match value {
        toml::Value::Table(table) => {
            for (key, value) in table {
                let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
                found.insert(path.clone());
                keys(&path, value, found);
            }
        }
        toml::Value::Array(items) => items.iter().for_each(|item| keys(prefix, item, found)),
        toml::Value::String(text) => {
            found.insert(format!("{prefix} = {text:?}"));
        }
        _ => {}
    }
}

/// Does a key fit a pattern? `<name>` stands for any one name.
pub(super) fn fits(pattern: &str, key: &str) -> bool {
    let (mut patterns, mut names) = (pattern.split('.'), key.split('.'));
    let all = patterns.by_ref().zip(names.by_ref()).all(|(pattern, name)| pattern == name || pattern == "<name>");
    all && pattern.split('.').count() == key.split('.').count()
}

#[test]
fn the_example_is_sound() {
    let (config, faults, warnings, _) = read_example();
    assert_eq!((faults, warnings), (Vec::new(), Vec::new()));
    let config = config.expect("no fault, so a configuration");
    assert_eq!((config.sources.len(), config.events.len()), (19, 3));
}

#[test]
fn the_example_holds_every_key_and_choice() {
    let (_, _, _, accepted) = read_example();
    let mut used = BTreeSet::new();
    keys("", &toml::Value::Table(EXAMPLE.parse().expect("TOML")), &mut used);
    // These choices cannot all stand in one file; the reference must name them.
    let single = ["log.format = \"text\"", "log.format = \"json\"", "mail.tls = \"tls\"", "mail.tls = \"none\""];
    for pattern in accepted.iter().filter(|pattern| !single.contains(&pattern.as_str())) {
        let pattern = pattern.replace("<secret>", "source.<name>.auth.<name>");
        assert!(used.iter().any(|key| fits(&pattern, key)), "the example lacks {pattern}");
    }
    assert!(accepted.len() > 80, "the reader asks for keys: {accepted:?}");
}

/// The keys of the reference's tables, below the headings that name their sections, with their rows.
fn documented() -> Vec<(String, &'static str)> {
    let mut section = "";
    let mut rows = Vec::new();
    for line in REFERENCE.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            section = heading.trim_matches(['`', '[', ']']);
        } else if let Some((key, _)) = line.strip_prefix("| `").and_then(|row| row.split_once('`')) {
            let root = section == "The file";
            rows.push((if root { key.to_owned() } else { format!("{section}.{key}") }, line));
        }
    }
    rows
}

#[test]
fn the_reference_describes_every_key_and_no_other() {
    let (_, _, _, accepted) = read_example();
    let documented = documented();
    for (key, _) in &documented {
        assert!(accepted.contains(key), "docs/config.md describes {key}, which the reader never asks for");
    }
    for pattern in &accepted {
        let (key, choice) = pattern.split_once(" = ").unwrap_or((pattern, ""));
        let row = documented.iter().find(|(name, _)| name == key);
        let (_, row) = row.unwrap_or_else(|| panic!("docs/config.md lacks {key}"));
        assert!(row.contains(choice), "docs/config.md lacks {choice} of {key}");
    }
}
