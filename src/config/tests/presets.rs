//! Presets: laid under a source key by key, and each of them sound.

use super::super::load::read_text;
use super::super::read::Findings;
use super::reference::fits;
use super::*;
use crate::mapping::Expression;

/// A source of the preset `plain`, with edits.
fn plain(lines: &str) -> String {
    format!(
        "[source.crm]\npreset = \"plain\"\nbase_url = \"https://crm.example/\"\nrequest = {{ path = \"p\" }}\n{lines}\n\
         [event.summit]\nfeed = [{{ source = \"crm\" }}]\n"
    )
}

fn sound_plain(lines: &str) -> Config {
    parse(&plain(lines)).unwrap_or_else(|faults| panic!("{faults:?}")).0
}

fn faults_of(text: &str) -> Vec<String> {
    let Err(error) = Config::parse(text, Path::new("r.toml"), &Environment::from_iter([("T", "t")])) else {
        return Vec::new();
    };
    error.to_string().lines().map(ToOwned::to_owned).collect()
}

fn filled(config: &Config) -> Vec<(&str, &str)> {
    let filled = config.filled_in.values().next().expect("one source has a preset");
    filled.keys.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect()
}

#[test]
fn what_the_operator_leaves_out_the_preset_says() {
    let config = sound_plain("");
    let spec = config.sources.values().next().expect("a source");
    assert_eq!(spec.mapping.email, Expression::compile(".email").expect("jq"));
    let filled = filled(&config);
    assert!(filled.contains(&("mapping.email", "\".email\"")), "{filled:?}");
    assert!(filled.iter().any(|(key, value)| *key == "records.select" && value.starts_with("'if type == ")));
}

#[test]
fn the_operators_keys_replace_the_presets_one_by_one() {
    let config = sound_plain("mapping = { email = \".mail\", custom = { tag = \".tag\" } }\nbudget = []");
    let spec = config.sources.values().next().expect("a source");
    assert_eq!(spec.mapping.email, Expression::compile(".mail").expect("jq"));
    assert_eq!(spec.mapping.fields.len(), 7, "the preset's six and one more");
    assert!(filled(&config).iter().all(|(key, _)| *key != "mapping.email"));
    assert!(filled(&config).iter().any(|(key, _)| *key == "mapping.first_name"));
}

#[test]
fn a_key_of_the_preset_can_be_left_out() {
    let config = sound_plain("preset_without = [\"mapping.phone\", \"states\"]");
    let spec = config.sources.values().next().expect("a source");
    assert!(spec.mapping.removed_when.is_none());
    assert!(filled(&config).iter().all(|(key, _)| *key != "mapping.phone" && !key.starts_with("states")));
}

#[test]
fn faults_name_the_operators_line_or_the_preset() {
    let rows = [
        (
            plain("priority = \"x\""),
            vec![
                "r.toml:5: source.crm.priority: must be a whole number (got a text); write a whole number from -2147483648 to 2147483647",
            ],
        ),
        (
            plain("states = { removed_wen = \"true\" }"),
            vec!["r.toml:5: source.crm.states.removed_wen: no such key; did you mean removed_when?"],
        ),
        (
            plain("preset_without = [\"mapping.fone\", 1]"),
            vec![
                "r.toml:5: source.crm.preset_without[0]: the preset plain says nothing of it (got \"mapping.fone\"); did you mean \"mapping.phone\"?",
                "r.toml:5: source.crm.preset_without[1]: must be a text (got a number); put it in quotes",
            ],
        ),
        (plain("").replace("\"plain\"", "\"plan\""), vec!["r.toml:2: source.crm.preset: must be one of"]),
        (
            plain("").replace("request = { path = \"p\" }", ""),
            vec![
                "r.toml:1: source.crm.request.path: missing; write path = \"…\", the address of the list below base_url",
            ],
        ),
        (
            plain("").replace("preset = \"plain\"", "preset_without = []"),
            vec!["r.toml:2: source.crm.preset_without: is of no use without a preset; name one, or leave it out"],
        ),
    ];
    for (text, expected) in rows {
        let faults = faults_of(&text);
        assert_eq!(faults.len(), expected.len(), "{faults:?}");
        for (fault, expected) in faults.iter().zip(expected) {
            assert!(fault.starts_with(expected), "{fault}\n{expected}");
        }
    }
}

/// The page shows a complete configuration for each preset, and each loads. In it every key of the preset is asked for:
/// what a preset says to no end is nobody's fault but its author's.
#[test]
fn the_page_describes_every_preset() {
    const PAGE: &str = include_str!("../../../docs/presets.md");
    for preset in PRESETS {
        let section = PAGE.split(&format!("\n## {}\n", preset.name)).nth(1).expect(preset.name);
        let section = section.split("\n## ").next().expect("the rest of the page");
        for part in ["**You enter**", "**It maps**", "**It cannot see**", "**Traps**"] {
            assert!(section.contains(part), "{}: {part}", preset.name);
        }
        let used = blocks(section).any(|block| block.contains(&format!("preset = {:?}", preset.name)));
        assert!(used, "{}: an example", preset.name);
    }
    for block in blocks(PAGE) {
        check_block(block);
    }
}

fn blocks(text: &str) -> impl Iterator<Item = &str> {
    text.split("```toml\n").skip(1).map(|rest| rest.split("```").next().expect("a block"))
}

fn check_block(block: &str) {
    let environment = Environment::from_iter([("TICKETS_TOKEN", "t"), ("TICKETS_SECRET", "s")]);
    let findings = Findings::new(block);
    let config = read_text(block, Path::new("rollcall.toml"), &environment, false, &findings);
    let accepted = findings.accepted();
    assert_eq!(findings.into_parts(), (Vec::new(), Vec::new()), "{block}");
    let config = config.expect("no fault, so a configuration");
    assert_eq!(config.filled_in.len(), config.sources.len(), "{block}");
    for filled in config.filled_in.values() {
        for (key, _) in &filled.keys {
            let key = format!("source.<name>.{key}");
            assert!(accepted.iter().any(|pattern| fits(pattern, &key)), "{}: nobody asks for {key}", filled.preset);
        }
    }
}
