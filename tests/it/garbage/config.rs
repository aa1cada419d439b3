//! Configurations: the example, changed key by key and byte by byte.

use std::path::Path;
use std::sync::LazyLock;

use proptest::prelude::*;
use rollcall::config::{Config, ConfigError, Environment, Fault};

use super::mutation::{mutated_text, mutations};

static EXAMPLE: LazyLock<String> = LazyLock::new(|| {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/rollcall.example.toml");
    let text = std::fs::read_to_string(path).unwrap();
    // Secrets in files and credentials would be looked for on this machine.
    let text = text.replace(r#"{ file = "secrets/tickets-token" }"#, r#"{ env = "CRM_TOKEN" }"#);
    let text = text.replace(r#"{ credential = "members-password" }"#, r#"{ env = "CRM_TOKEN" }"#);
    // So would the other files be.
    let text = ["subject.txt", "invitation.txt", "invitation.html"]
        .iter()
        .fold(text, |text, file| text.replace(&format!("{{ file = {file:?} }}"), "\"Dear {{ first_name }}\""));
    text.replace(r#"ca_file = "mail-ca.pem""#, "")
});

const SECRET: &str = "canary-7f3a-long-enough";

/// The environment variables that the example names.
fn variables() -> impl Iterator<Item = &'static str> {
    EXAMPLE.split("env = \"").skip(1).filter_map(|rest| rest.split('"').next())
}

/// No faults when it is sound.
fn faults(text: &str) -> Vec<Fault> {
    let environment = Environment::from_iter(variables().map(|name| (name, SECRET)));
    match Config::parse(text, Path::new("/nowhere/rollcall.toml"), &environment) {
        Ok(_) => Vec::new(),
        Err(error @ ConfigError::Unreadable { .. }) => panic!("nothing is read: {error}"),
        Err(error) => {
            assert!(!error.to_string().contains(SECRET) && !format!("{error:?}").contains(SECRET), "{error}");
            let ConfigError::Faults { faults, .. } = error else { unreachable!() };
            assert!(!faults.is_empty(), "a refusal says why:\n{text}");
            faults
        }
    }
}

#[test]
fn the_example_is_sound() {
    assert_eq!(faults(&EXAMPLE), []);
}

/// Every line with the name of the source that it belongs to; empty for the others.
fn lines_of_sources() -> Vec<(&'static str, &'static str)> {
    let mut source = "";
    let named = EXAMPLE.lines().map(|line| {
        if let Some(header) = line.strip_prefix('[') {
            let header = header.trim_start_matches('[');
            source = header.strip_prefix("source.").map_or("", |name| name.split(['.', ']']).next().unwrap());
        }
        (source, line)
    });
    named.collect()
}

/// Values of the example, replaced by others of every type: whatever they are, what does not fit is a fault.
#[test]
fn wrong_values_are_faults_at_every_key() {
    const WRONG: [&str; 9] = ["12", "\"\\u0000\"", "[[1]]", "-1.5", "1979-05-27", "{}", "true", "\"{x\"", "[]"];
    let lines = lines_of_sources();
    let (mut keys, mut told) = (0, 0);
    for (at, (source, line)) in lines.iter().enumerate() {
        let Some((key, _)) = line.split_once(" = ").filter(|(key, _)| !key.starts_with('#')) else { continue };
        // A source is sound by itself, events need their sources; and less text is sooner read.
        let around = |(number, (of, line)): (usize, &(&str, &str))| match number {
            _ if number == at => None,
            _ if source.is_empty() || source == of => Some((*line).to_owned()),
            _ => Some(String::new()),
        };
        let around: Vec<_> = lines.iter().enumerate().map(around).collect();
        let wrong = (0..3).map(|n| WRONG[(keys + 3 * n) % WRONG.len()]);
        let refused = wrong.filter(|wrong| {
            let changed = around.iter().map(|line| line.clone().unwrap_or_else(|| format!("{key} = {wrong}")));
            !faults(&changed.collect::<Vec<_>>().join("\n")).is_empty()
        });
        let refused = refused.count();
        assert!(refused > 0, "{line}: no wrong value is a fault");
        keys += 1;
        told += refused;
    }
    assert!(keys > 80 && told > 2 * keys, "{told} faults of {keys} keys");
}

proptest! {
    #[test]
    fn mutated_examples(mutations in mutations()) {
        faults(&mutated_text(&EXAMPLE, &mutations));
    }

    /// Lines in any order are mostly broken; a few of them are a file that is read deeply.
    #[test]
    fn lines_in_any_order(at in proptest::collection::vec(any::<proptest::sample::Index>(), 0..30)) {
        let lines: Vec<&str> = EXAMPLE.lines().filter(|line| line.starts_with('[') || line.contains(" = ")).collect();
        let text: Vec<&str> = at.iter().map(|at| *at.get(&lines)).collect();
        faults(&text.join("\n"));
    }
}
