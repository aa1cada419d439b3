//! Holds the source to the house's rules: who may import whom, what a name may be, how long a file may be.
//!
//! Every rule is a function from one file to its offences, and every rule is shown an offence that it must
//! find, so that none of them can pass by being blind.

use std::fs;
use std::path::Path;

#[path = "tidy/syntax.rs"]
mod syntax;

use syntax::{File, Kind, UsedPath, item_length, without_attributes_and_visibility};

// ── the map ─────────────────────────────────────────────────────────────────────────────────────────────

const CORE: &[&str] = &["model", "decode", "mapping", "plan", "codec", "letter", "schedule"];
const BELOW_EDGES: &[&str] =
    &["model", "decode", "mapping", "plan", "codec", "letter", "config", "observe", "limits", "clock", "faults"];
const BELOW_SYNC: &[&str] = &[
    "model", "decode", "mapping", "plan", "codec", "letter", "config", "source", "store", "journal", "invite",
    "observe", "limits", "clock", "faults",
];

/// What each module of the crate may import, beside itself. A module that is not here may not exist.
fn may_import(module: &str) -> Option<Vec<&'static str>> {
    let list: &[&str] = match module {
        "lib" | "limits" | "clock" | "faults" | "model" => &[],
        "codec" | "decode" | "plan" | "letter" | "schedule" => &["model", "limits"],
        "mapping" => &["model", "decode", "limits"],
        "config" | "source" | "store" | "journal" | "invite" | "observe" => BELOW_EDGES,
        "demo" => &["limits"],
        "sync" => return Some([BELOW_SYNC, &["schedule"]].concat()),
        "login" => &["sync", "store", "source", "config", "model", "observe", "limits", "clock"],
        "writeback" => &["sync", "store", "source", "config", "plan", "model", "observe", "limits", "clock"],
        "app" => return Some([BELOW_SYNC, &["sync", "login", "writeback"]].concat()),
        "http" => &[
            "sync",
            "login",
            "writeback",
            "app",
            "schedule",
            "mapping",
            "store",
            "journal",
            "config",
            "letter",
            "model",
            "plan",
            "observe",
            "limits",
            "clock",
        ],
        "cli" => &[
            "sync", "app", "store", "journal", "config", "model", "plan", "observe", "limits", "clock", "faults",
            "demo", "http",
        ],
        "main" => &["cli"],
        _ => return None,
    };
    Some(list.to_vec())
}

/// Crates and the only modules that may name them.
const CONFINED: &[(&str, &[&str])] = &[
    ("bincode", &["codec"]),
    ("sled", &["store"]),
    ("metrics", &["observe"]),
    ("metrics_exporter_prometheus", &["observe"]),
    ("reqwest", &["source", "cli"]),
    ("chacha20poly1305", &["source", "store"]),
    ("openidconnect", &["source"]),
    ("oauth2", &["source"]),
    ("minijinja", &["letter"]),
    ("lettre", &["invite"]),
];

/// Names that a trait of somebody else's gives its members (jaq's `DataT`).
const IMPOSED_NAMES: [&str; 1] = ["Data"];

const BANNED_NAMES: &[&str] =
    &["manager", "managers", "helper", "helpers", "util", "utils", "processor", "processors", "data", "info"];

const FILE_LINES_MAX: usize = 600;

type Rule = fn(&File) -> Vec<Offence>;

const RULES: &[Rule] = &[
    imports_follow_the_map,
    core_is_pure,
    crates_stay_confined,
    only_the_clock_tells_the_time,
    names_are_not_banned,
    files_are_short,
    mod_files_only_declare,
    nothing_is_left_to_do,
    only_the_command_line_prints,
    panics_say_why,
];

#[test]
fn the_source_is_tidy() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    collect(&root, &root, &mut paths);
    assert!(paths.len() > 20, "only {} files found: is the walk broken?", paths.len());
    let mut offences = Vec::new();
    for path in paths {
        let text = fs::read_to_string(root.join(&path)).unwrap();
        let file = File::new(&path, &text);
        for rule in RULES {
            offences.extend(rule(&file).into_iter().map(|o| format!("src/{path}:{}: {}", o.line, o.what)));
        }
    }
    assert!(offences.is_empty(), "{} offences:\n{}", offences.len(), offences.join("\n"));
}

fn collect(root: &Path, folder: &Path, paths: &mut Vec<String>) {
    let mut entries: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            collect(root, &path, paths);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path.strip_prefix(root).unwrap().to_str().unwrap().to_owned());
        }
    }
}

// ── the rules ───────────────────────────────────────────────────────────────────────────────────────────

fn imports_follow_the_map(file: &File) -> Vec<Offence> {
    let module = file.module();
    let Some(allowed) = may_import(module) else {
        return vec![Offence::new(1, format!("`{module}` is not on the map: say in tests/tidy.rs what it may import"))];
    };
    let imported = file.paths.iter().filter_map(|path| Some((path.line, file.crate_module(path)?)));
    imported
        .filter(|(_, other)| may_import(other).is_some() && *other != module && !allowed.contains(other))
        .map(|(line, other)| Offence::new(line, format!("`{module}` may not import `{other}`")))
        .collect()
}

fn core_is_pure(file: &File) -> Vec<Offence> {
    if !CORE.contains(&file.module()) {
        return Vec::new();
    }
    let impure = |path: &&UsedPath| {
        path.starts(&["std", "fs"])
            || path.starts(&["std", "net"])
            || path.starts(&["std", "env"])
            || path.starts(&["tokio"])
            || path.starts(&["reqwest"])
            || path.parts.iter().any(|part| part == "SystemTime" || part == "Instant")
    };
    let named = file.paths.iter().filter(impure);
    named.map(|path| Offence::new(path.line, format!("the core is pure: no `{}` here", path.text()))).collect()
}

fn crates_stay_confined(file: &File) -> Vec<Offence> {
    let mut offences = Vec::new();
    for (name, homes) in CONFINED {
        if homes.contains(&file.module()) || file.declares_module(name) {
            continue;
        }
        let named = file.paths.iter().filter(|path| path.starts(&[name]) && (path.parts.len() > 1 || path.is_use));
        offences.extend(named.map(|path| Offence::new(path.line, format!("`{name}` belongs to {homes:?}"))));
    }
    offences
}

fn only_the_clock_tells_the_time(file: &File) -> Vec<Offence> {
    if matches!(file.module(), "clock" | "main") {
        return Vec::new();
    }
    let reads =
        |path: &&UsedPath| ["Timestamp", "SystemTime", "Zoned"].iter().any(|kind| path.contains(&[kind, "now"]));
    let named = file.paths.iter().filter(reads);
    named.map(|path| Offence::new(path.line, format!("`{}`: ask the injected clock", path.text()))).collect()
}

fn names_are_not_banned(file: &File) -> Vec<Offence> {
    let outside_http = file.module() != "http";
    let banned = |name: &str| {
        if IMPOSED_NAMES.contains(&name) {
            return None;
        }
        words(name).into_iter().find(|word| {
            BANNED_NAMES.contains(&word.as_str()) || (outside_http && matches!(word.as_str(), "handler" | "handlers"))
        })
    };
    let folders_and_file = file.path.trim_end_matches(".rs").split('/').map(|part| (1, part));
    let defined = file.definitions();
    folders_and_file
        .chain(defined)
        .filter_map(|(line, name)| Some(Offence::new(line, format!("`{name}`: \"{}\" says nothing", banned(name)?))))
        .collect()
}

fn files_are_short(file: &File) -> Vec<Offence> {
    let too_long = file.lines > FILE_LINES_MAX && !file.is_test;
    too_long
        .then(|| Offence::new(file.lines, format!("{} lines without tests: two files", file.lines)))
        .into_iter()
        .collect()
}

/// Docs, attributes, `mod x;` and `use …;` are all that a `mod.rs` may hold.
fn mod_files_only_declare(file: &File) -> Vec<Offence> {
    if !file.path.ends_with("/mod.rs") {
        return Vec::new();
    }
    let mut offences = Vec::new();
    let mut rest = without_attributes_and_visibility(&file.tokens);
    while let [first, ..] = rest {
        let item = &rest[..item_length(rest)];
        let declares = first.is("use") || matches!(item, [keyword, _, end] if keyword.is("mod") && end.is(";"));
        if !declares {
            offences.push(Offence::new(first.line, "a mod.rs holds docs, `mod` and `use`, nothing else".into()));
        }
        rest = without_attributes_and_visibility(&rest[item.len()..]);
    }
    offences
}

fn nothing_is_left_to_do(file: &File) -> Vec<Offence> {
    let mut offences = Vec::new();
    for (line, comment) in &file.comments {
        let marks = comment.split(|c: char| !c.is_ascii_alphanumeric());
        for mark in marks.filter(|word| matches!(*word, "TODO" | "FIXME" | "XXX")) {
            offences.push(Offence::new(*line, format!("{mark} in a comment: do it or file an issue")));
        }
    }
    offences.extend(macros(file, &["todo", "unimplemented", "dbg"]));
    offences
}

fn only_the_command_line_prints(file: &File) -> Vec<Offence> {
    if matches!(file.module(), "cli" | "main") {
        return Vec::new();
    }
    macros(file, &["print", "println", "eprint", "eprintln"])
}

/// No `unwrap`; `expect` with the invariant that makes it safe.
fn panics_say_why(file: &File) -> Vec<Offence> {
    let calls = file.tokens.windows(4).filter(|t| t[0].is(".") && t[2].is("("));
    calls
        .filter_map(|t| match (t[1].ident()?, &t[3].kind) {
            ("unwrap", _) => Some(Offence::new(t[1].line, "`unwrap`: an error, or `expect` with the invariant".into())),
            ("expect", Kind::Text(why)) if !why.trim().is_empty() => None,
            ("expect", _) => Some(Offence::new(t[1].line, "`expect` without a text that says why".into())),
            _ => None,
        })
        .collect()
}

struct Offence {
    line: usize,
    what: String,
}

impl Offence {
    fn new(line: usize, what: String) -> Self {
        Self { line, what }
    }
}

/// Calls of these macros.
fn macros(file: &File, names: &[&str]) -> Vec<Offence> {
    let calls = file.tokens.windows(2).filter(|t| t[1].is("!"));
    let named = calls.filter_map(|t| Some((t[0].line, t[0].ident().filter(|name| names.contains(name))?)));
    named.map(|(line, name)| Offence::new(line, format!("`{name}!`"))).collect()
}

/// `HTTPResponse_data` → http, response, data
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let chars: Vec<char> = name.chars().collect();
    for (at, c) in chars.iter().enumerate() {
        let is_lower = |at: usize| chars.get(at).is_some_and(|c| !c.is_uppercase());
        let starts = c.is_uppercase() && at > 0 && (is_lower(at - 1) || is_lower(at + 1));
        if *c == '_' || starts {
            words.push(String::new());
        }
        if let (true, Some(word)) = (*c != '_', words.last_mut()) {
            word.extend(c.to_lowercase());
        }
    }
    words
}

// ── the rules are able to fail ──────────────────────────────────────────────────────────────────────────

/// How many offences a rule finds in a text that pretends to be this file.
fn found(rule: Rule, path: &str, text: &str) -> usize {
    rule(&File::new(path, text)).len()
}

fn check(rule: Rule, cases: &[(&str, &str, usize)]) {
    for (path, text, offences) in cases {
        assert_eq!(found(rule, path, text), *offences, "{path}: {text}");
    }
}

#[test]
fn imports_off_the_map_are_found() {
    check(
        imports_follow_the_map,
        &[
            ("model/email.rs", "use crate::limits::X;", 1),
            ("model/email.rs", "use super::Digest; use crate::model::Email;", 0),
            ("plan/diff.rs", "use crate::{model::{Email, Person}, store::Store, limits};", 1),
            ("plan/diff.rs", "fn f() { crate::config::load(); }", 1),
            ("plan/diff.rs", "use super::super::config::Config;", 1),
            ("plan/mod.rs", "pub use super::config::Config;", 1),
            ("clock.rs", "use super::limits;", 1),
            ("source/read.rs", "use crate::{mapping, config, observe, limits, clock};", 0),
            ("source/read.rs", "use crate::store::Store;", 1),
            ("http/routes/runs.rs", "use crate::source::Source;", 1),
            ("http/routes/runs.rs", "use crate::{app, sync, journal};", 0),
            ("app.rs", "use crate::http;", 1),
            ("demo/fake.rs", "use crate::{limits, model};", 1),
            ("main.rs", "use rollcall::{cli, store::Store};", 1),
            ("extra/mod.rs", "", 1),
            ("plan/diff.rs", "// crate::store\n/* crate::store /* */ */ const A: &str = \"crate::store\";", 0),
            ("plan/diff.rs", "#[cfg(test)]\nmod tests { use crate::store::Store; }", 0),
        ],
    );
}

#[test]
fn impurity_is_found_in_the_core_only() {
    check(
        core_is_pure,
        &[
            ("plan/a.rs", "use tokio::time;", 1),
            ("plan/a.rs", "use std::{fmt, fs::File, net, time::{Duration, Instant}};", 3),
            ("codec/a.rs", "fn f() { std::time::SystemTime::UNIX_EPOCH; std::env::var(\"A\"); }", 2),
            ("mapping/a.rs", "use std::{fmt, collections::BTreeMap}; // std::fs", 0),
            ("store/a.rs", "use std::fs;", 0),
        ],
    );
}

#[test]
fn crates_out_of_their_module_are_found() {
    check(
        crates_stay_confined,
        &[
            ("store/a.rs", "#[derive(bincode::Encode)] struct A;", 1),
            ("codec/a.rs", "#[derive(bincode::Encode)] struct A;", 0),
            ("sync/a.rs", "use sled; fn f(t: &sled::Tree) {}", 2),
            ("http/a.rs", "fn f() { metrics::counter!(\"a\"); self.metrics.len(); let metrics = 1; }", 1),
            ("http/mod.rs", "mod metrics; pub use metrics::render;", 0),
            ("http/a.rs", "use reqwest::Client;", 1),
            ("cli/a.rs", "use reqwest::Client;", 0),
        ],
    );
}

#[test]
fn reading_the_time_is_found() {
    check(
        only_the_clock_tells_the_time,
        &[
            ("sync/a.rs", "fn f() { jiff::Timestamp::now(); SystemTime::now(); Zoned::now(); }", 3),
            ("sync/a.rs", "fn f() { clock.now(); Instant::now(); Timestamp::UNIX_EPOCH; }", 0),
            ("clock.rs", "fn f() { Timestamp::now(); }", 0),
        ],
    );
}

#[test]
fn banned_names_are_found_where_they_are_defined() {
    check(
        names_are_not_banned,
        &[
            ("sync/a.rs", "struct RunManager; fn process_data() {} mod utils; type PageInfo = u8;", 4),
            ("sync/a.rs", "fn f(m: std::fs::Metadata) { let data = m.info(); } struct Database; fn update() {}", 0),
            ("sync/helpers.rs", "", 1),
            ("sync/a.rs", "fn request_handler() {}", 1),
            ("http/a.rs", "fn request_handler() {}", 0),
            ("sync/a.rs", "const INFO: u8 = 1;", 1),
        ],
    );
}

#[test]
fn long_files_are_found_without_their_tests() {
    let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", "fn f() {}\n".repeat(500));
    check(
        files_are_short,
        &[
            ("sync/a.rs", &"\n".repeat(601), 1),
            ("sync/a.rs", &"\n".repeat(600), 0),
            ("sync/a.rs", &format!("{}{tests}", "fn f() {}\n".repeat(599)), 0),
            ("sync/tests.rs", &"\n".repeat(601), 0),
        ],
    );
}

#[test]
fn code_in_a_mod_file_is_found() {
    check(
        mod_files_only_declare,
        &[
            ("sync/mod.rs", "//! Docs.\n#![allow(x)]\nmod a;\n#[cfg(unix)]\npub(crate) mod b;\npub use a::{B, C};", 0),
            ("sync/mod.rs", "mod a; fn f() { g(); h(); } use b::c; struct D;", 2),
            ("sync/mod.rs", "mod a { fn f() {} }", 1),
            ("sync/mod.rs", "#[cfg(test)]\nmod tests { fn f() {} }\nmod a;", 0),
            ("sync/a.rs", "fn f() {}", 0),
        ],
    );
}

#[test]
fn unfinished_work_is_found() {
    check(
        nothing_is_left_to_do,
        &[
            ("sync/a.rs", "// TODO: more\nfn f() { todo!() }\n/* a\n FIXME */ // XXX", 4),
            ("sync/a.rs", "fn f() { unimplemented!(); dbg!(1); }", 2),
            ("sync/a.rs", "// todo as a word, METODO\nconst MASK: &str = \"XXX\";", 0),
            ("sync/tests.rs", "// TODO", 1),
        ],
    );
}

#[test]
fn printing_is_found() {
    check(
        only_the_command_line_prints,
        &[
            ("sync/a.rs", "fn f() { println!(\"a\"); eprint!(\"b\"); writeln!(out, \"c\"); }", 2),
            ("cli/a.rs", "fn f() { println!(\"a\"); }", 0),
        ],
    );
}

#[test]
fn silent_panics_are_found() {
    check(
        panics_say_why,
        &[
            ("sync/a.rs", "fn f() { a.unwrap(); b.expect(\"\"); c.expect(why); d.expect(&format!(\"x\")); }", 4),
            ("sync/a.rs", "fn f() { a.unwrap_or(1); b.expect(\n\"because\"); c.expect(r#\"so\"#); }", 0),
            ("sync/a.rs", "fn f() {}\n#[cfg(test)]\n#[rustfmt::skip]\nmod tests { fn g() { a.unwrap(); } }", 0),
            ("sync/a.rs", "const Q: [char; 3] = ['\"', '\\'', '\\\\']; fn f<'a>(x: &'a str) { x.unwrap(); }", 1),
            ("sync/a.rs", "/// `a.unwrap()`\nconst A: &[u8] = b\"\\\".unwrap()\";", 0),
        ],
    );
}
