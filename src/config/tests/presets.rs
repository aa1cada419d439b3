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
    let environment = Environment::from_iter([("TICKETS_TOKEN", "t"), ("TICKETS_SECRET", "s"), ("GCO_PASSWORD", "p")]);
    let findings = Findings::new(block);
    let config = read_text(block, Path::new("rollcall.toml"), &environment, false, &findings);
    let accepted = findings.accepted();
    assert_eq!(findings.into_parts(), (Vec::new(), Vec::new()), "{block}");
    let config = config.expect("no fault, so a configuration");
    assert_eq!(config.filled_in.len(), config.sources.len(), "{block}");
    for filled in config.filled_in.values() {
        for (key, _) in &filled.keys {
            // Described once, with the source's own request.
            let key = key.replacen("hook.record.", "request.", 1);
            let key = format!("source.<name>.{key}");
            assert!(accepted.iter().any(|pattern| fits(pattern, &key)), "{}: nobody asks for {key}", filled.preset);
        }
    }
}

/// A source of a preset without anything of the operator's but these lines, and an event with these params.
fn bare(preset: &str, lines: &str, params: &str) -> String {
    format!(
        "[source.crm]\npreset = \"{preset}\"\n{lines}\n[event.summit]\n[[event.summit.feed]]\nsource = \"crm\"\n\
         params = {{ {params} }}\n"
    )
}

#[test]
fn what_a_preset_needs_is_asked_for() {
    let address = "base_url = \"https://pretix.example/api/v1/\"";
    let mend = "docs/presets.md says what else the preset pretix needs";
    let faults = faults_of(&bare("pretix", "", ""));
    let heads: Vec<_> = faults.iter().map(|fault| fault.split("; ").next().expect("a problem")).collect();
    assert_eq!(heads, ["r.toml:1: source.crm.base_url: missing", "r.toml:2: source.crm.auth.key: missing"]);
    assert!(faults.iter().all(|fault| fault.ends_with(mend)), "{faults:?}");
    let keyed = format!("{address}\nauth = {{ key = {{ env = \"T\" }} }}");
    assert_eq!(
        faults_of(&bare("pretix", &keyed, "event = \"conf\"")),
        ["r.toml:6: event.summit.feed[0].params: the source crm needs the param organizer; \
          write params = { organizer = \"…\" }"]
    );
    assert_eq!(faults_of(&bare("pretix", &keyed, "event = \"conf\", organizer = \"org\"")), [""; 0]);
}

#[test]
fn a_fault_of_what_a_preset_says_names_it() {
    let lines = "auth = { token = { env = \"T\" } }\nrequest = { query = { continuation = \"x\" } }";
    assert_eq!(
        faults_of(&bare("eventbrite", lines, "event = 1")),
        ["r.toml:2: source.crm.pagination.query: this query parameter is set twice (from preset eventbrite); \
          keep one of the two settings"]
    );
}

#[test]
fn what_a_preset_says_to_no_end_is_no_fault() {
    let lines = "auth = { kind = \"bearer\", token = { env = \"T\" } }\nbudget = []\nbase_url = \"https://h.example/api/v1/\"\n\
                 preset_without = [\"incremental\", \"request.query.modified_since\"]";
    let text = bare("pretix", lines, "organizer = \"o\", event = \"e\"");
    let (config, warnings) = Config::parse(&text, Path::new("r.toml"), &Environment::from_iter([("T", "t")]))
        .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(warnings, Vec::new());
    let spec = config.sources.values().next().expect("a source");
    assert!(matches!(spec.auth, AuthSpec::Bearer { .. }), "the preset's header and prefix lie idle");
    assert!(spec.budget.is_empty() && spec.incremental.is_none());
}
