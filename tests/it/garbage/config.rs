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
    text.replace(r#"{ credential = "members-password" }"#, r#"{ env = "CRM_TOKEN" }"#)
});

const SECRET: &str = "canary-7f3a";

/// No faults when it is sound.
fn faults(text: &str) -> Vec<Fault> {
    let environment = Environment::from_iter([("CRM_TOKEN", SECRET), ("SPEAKERS_KEY", SECRET)]);
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
fn the_example_is_sound_but_for_nothing() {
    assert_eq!(faults(&EXAMPLE), []);
}

/// Every value of the example, replaced by one of each type: what does not fit is told with the line it stands in.
#[test]
fn a_wrong_type_at_any_key_is_a_fault_of_its_line() {
    const WRONG: [&str; 9] = ["12", "-1.5", "true", "\"\\u0000\"", "[]", "[[1]]", "{}", "1979-05-27", "\"{x\""];
    let lines: Vec<&str> = EXAMPLE.lines().collect();
    let (mut keys, mut told) = (0, 0);
    for (at, line) in lines.iter().enumerate() {
        let Some((key, _)) = line.split_once(" = ").filter(|(key, _)| !key.trim_start().starts_with('#')) else {
            continue;
        };
        keys += 1;
        let refused = WRONG.iter().filter(|wrong| {
            let changed = format!("{key} = {wrong}");
            let text = [&lines[..at], &[changed.as_str()], &lines[at + 1..]].concat().join("\n");
            !faults(&text).is_empty()
        });
        let refused = refused.count();
        assert!(refused >= WRONG.len() - 4, "{line}: only {refused} of {} wrong values are faults", WRONG.len());
        told += refused;
    }
    assert!(keys > 60 && told > 6 * keys, "{told} faults of {keys} keys");
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
