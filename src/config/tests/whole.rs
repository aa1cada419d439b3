//! Whole files: many faults at once, files that are no configuration, and any text at all.

use proptest::prelude::*;

use super::*;

/// Line numbers, order and layout, as an operator sees them.
#[test]
fn every_fault_is_reported_at_once() {
    let text = r#"
[server]
listen = "0.0.0.0:7070"
port = 7070

[source.crm]
base_url = "http://crm.example/api/"

[source.crm.request]
path = "/attendees"
json = { status = "{status}" }

[source.crm.auth]
kind = "bearer"
token = { env = "NOPE" }

[source.crm.records]
select = ".results[]"

[source.crm.mapping]
frist_name = ".first"
last_name = ".last"

[[source.crm.budget]]
requests = 0
per = "second"

[event.summit]
starts_at = 2026-06-01

[[event.summit.feed]]
source = "cmr"
"#;
    let error =
        Config::parse(text, Path::new("/etc/rollcall.toml"), &Environment::default()).expect_err("much is wrong");
    let expected = r#"/etc/rollcall.toml:3: server.listen: would serve unencrypted beyond this machine (got "0.0.0.0:7070"); listen on 127.0.0.1, or put a TLS proxy in front and say behind_proxy = true
/etc/rollcall.toml:4: server.port: no such key; known here: listen, behind_proxy
/etc/rollcall.toml:7: source.crm.base_url: http would send people and keys unencrypted; use https, or say allow_http = true if the network between is yours
/etc/rollcall.toml:10: source.crm.request.path: must be relative to base_url; leave out the slash at the start
/etc/rollcall.toml:11: source.crm.request.json: only a POST has a body; write method = "POST", or use query
/etc/rollcall.toml:11: source.crm.request.json.status: no placeholder "{status}" here; write {param.name}, and give the param in each feed
/etc/rollcall.toml:15: source.crm.auth.token.env: the environment variable "NOPE" is not set; set it where rollcall is started
/etc/rollcall.toml:20: source.crm.mapping.email: missing; everybody needs one: write where it stands in a record, e.g. email = ".email"
/etc/rollcall.toml:20: source.crm.mapping.first_name: missing; everybody needs one: write where it stands in a record, e.g. first_name = ".first_name"
/etc/rollcall.toml:21: source.crm.mapping.frist_name: no such key; did you mean first_name?
/etc/rollcall.toml:25: source.crm.budget[0].requests: must be > 0 (got 0); write a whole number from 1 to 1000000
/etc/rollcall.toml:29: event.summit.starts_at: must be a time with its zone (got "2026-06-01"); write e.g. 2026-06-01T09:00:00Z or 2026-06-01T09:00:00+02:00
/etc/rollcall.toml:32: event.summit.feed[0].source: no such source (got "cmr"); did you mean "crm"?"#;
    assert_eq!(error.to_string(), expected);
}

#[test]
fn broken_toml_is_one_fault_with_line_and_column() {
    let found = parse("[server]\nlisten = \n").expect_err("broken");
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].line, Some(2));
    assert!(found[0].to_string().starts_with("not TOML at column 10: "), "{}", found[0]);
    let twice = parse("[server]\n[server]\n").expect_err("broken");
    assert_eq!((twice.len(), twice[0].line), (1, Some(2)));
}

/// As deep as a file of the greatest length can nest.
#[test]
fn deep_nesting_is_a_fault() {
    let half = usize::try_from(crate::limits::CONFIG_BYTES_MAX / 2).expect("small") - 100;
    let dotted = "a.".repeat(half);
    for text in [
        format!("[{dotted}a]\nb = 1\n"),
        format!("{dotted}a = 1\n"),
        format!("[source.crm.request.json]\n{dotted}a = 1\n"),
        format!("a = {}", "[".repeat(half)),
        format!("a = {}", "{a=".repeat(half / 2)),
    ] {
        let found = parse(&text).expect_err("too deep");
        assert!(found.len() < 20, "{}", found.len());
    }
}

#[test]
fn files_that_are_no_configuration() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let load = |name: &str| {
        let error = Config::load(&folder.path().join(name), &Environment::default()).expect_err("no configuration");
        error.to_string().replace(&folder.path().display().to_string(), "DIR")
    };
    assert_eq!(
        load("nope.toml"),
        "cannot read the configuration DIR/nope.toml: No such file or directory (os error 2); give the path of a readable file"
    );
    std::fs::write(folder.path().join("latin1.toml"), b"# a\n# \xe4\n").expect("written");
    assert_eq!(load("latin1.toml"), "DIR/latin1.toml:2: not UTF-8; save the file as UTF-8");
    let size = usize::try_from(crate::limits::CONFIG_BYTES_MAX).expect("small") + 1;
    std::fs::write(folder.path().join("huge.toml"), vec![b'\n'; size]).expect("written");
    assert_eq!(load("huge.toml"), "DIR/huge.toml: too large for a configuration; check that it is the right file");
}

#[test]
fn relative_paths_are_taken_from_the_file() {
    let parse = |path: &str| Config::parse("", Path::new(path), &Environment::default()).expect("sound").0;
    assert_eq!(parse("/etc/rollcall/rollcall.toml").store.path, Path::new("/etc/rollcall/data"));
    assert_eq!(parse("rollcall.toml").store.path, Path::new("data"));
}

/// Values of every type, well and badly formed.
fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("1"),
        Just("-1"),
        Just("1.5"),
        Just("true"),
        Just("\"\""),
        Just("\"x\""),
        Just("\"{param.a}\""),
        Just("\"{\""),
        Just("\"https://a.example/\""),
        Just("[]"),
        Just("[1, \"a\"]"),
        Just("{}"),
        Just("{ env = \"TOKEN\" }"),
        Just("[{}]"),
        Just("2026-06-01"),
        Just("\"page\""),
        Just("\"cursor\""),
        Just("\"api_key\""),
        Just("\"POST\""),
        Just("nan"),
        Just("'''\nä'''"),
    ]
    .prop_map(ToOwned::to_owned)
}

proptest! {
    #[test]
    fn any_text_gives_a_configuration_or_faults(text in "\\PC*") {
        let _ = parse(&text);
    }

    #[test]
    fn any_values_give_a_configuration_or_faults(
        values in proptest::collection::vec((proptest::sample::select(KEYS), value()), 0..8)
    ) {
        let edits: Vec<_> = values.iter().map(|(key, value)| format!("{key} = {value}")).collect();
        let edits: Vec<_> = edits.iter().map(String::as_str).collect();
        // Refusals must say why and show no secret; `parse` checks the one, this the other.
        if let Err(faults) = parse(&edited(&edits)) {
            let shown = format!("{faults:?}");
            prop_assert!(!shown.contains("canary-7f3a"), "{}", shown);
        }
    }
}

const KEYS: &[&str] = &[
    "server: listen",
    "store: journal_days",
    "store: audit_days",
    "store: compact_after",
    "log: level",
    "source.crm: base_url",
    "source.crm: edit_url",
    "source.crm: budget",
    "source.crm: budget_headers",
    "source.crm.request: method",
    "source.crm.request: path",
    "source.crm.request: query",
    "source.crm.request: headers",
    "source.crm.request: json",
    "source.crm.request: form",
    "source.crm.auth: kind",
    "source.crm.auth: key",
    "source.crm.auth: header",
    "source.crm.pagination: kind",
    "source.crm.pagination: param",
    "source.crm.pagination: size",
    "source.crm.pagination: from",
    "source.crm.pagination: body",
    "source.crm.records: select",
    "source.crm.mapping: custom",
    "source.crm.groups: rule",
    "source.crm.limits: run_timeout",
    "source.crm.limits: page_bytes_max",
    "event.summit: starts_at",
    "event.summit: feed",
];
