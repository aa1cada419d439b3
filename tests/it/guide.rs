//! The guides, tried line by line: their TOML is the configuration, their shell lines are run, and what they print is
//! held against what the guide says they print.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

const SOURCES: &str = include_str!("../../docs/sources.md");
const PEOPLE: &str = include_str!("../../docs/people.md");
const ACCESS: &str = include_str!("../../docs/access.md");
const GCO: &str = include_str!("../../docs/gco.md");
const CONNECTORS: &str = include_str!("../../docs/connectors.md");
const ORGANISER: &str = include_str!("../../docs/organiser.md");

/// The fenced blocks: language and text.
pub fn blocks(guide: &'static str) -> Vec<(&'static str, &'static str)> {
    let mut blocks = Vec::new();
    let mut rest = guide;
    while let Some((_, after)) = rest.split_once("```") {
        let (language, after) = after.split_once('\n').expect("a fence ends its line");
        let (text, after) = after.split_once("```").expect("a fence is closed");
        blocks.push((language, text));
        rest = after;
    }
    blocks
}

pub struct Practice(Child);

impl Practice {
    /// The server of the guide's file, in the terminal that it asks for.
    pub fn serve(folder: &Path, port: u16) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rollcall"));
        let command = command.arg("serve").current_dir(folder).env("REG_TOKEN", "demo-token");
        let command = command.env("ACCOUNTS_SECRET", "the-secret-of-the-client");
        let practice = Self(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        while !folder.join("data/server.json").exists() || std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        practice
    }

    /// A mail server that takes everything.
    fn start_mail(port: u16) -> Self {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/aiosmtpd/bin/python");
        let mut command = Command::new(&program);
        let command = command.args(["-m", "aiosmtpd", "-n", "-l", &format!("127.0.0.1:{port}")]);
        let started = command.stdout(Stdio::null()).spawn();
        let practice = Self(started.unwrap_or_else(|error| panic!("{}: {error}; run tests/run", program.display())));
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        practice
    }

    fn start(port: u16) -> Self {
        let listen = format!("127.0.0.1:{port}");
        let mut command = Command::new(env!("CARGO_BIN_EXE_rollcall"));
        let command = command.args(["demo-source", "--count", "250", "--listen", &listen]).stdout(Stdio::null());
        let practice = Self(command.spawn().unwrap());
        while std::net::TcpStream::connect(&listen).is_err() {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        practice
    }
}

impl Drop for Practice {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs the lines of a block in one shell, as a reader would, with what earlier blocks exported.
pub fn run(folder: &Path, exports: &str, lines: &str) -> String {
    let binary = Path::new(env!("CARGO_BIN_EXE_rollcall")).parent().unwrap();
    let path = format!("{}:{}", binary.display(), std::env::var("PATH").unwrap());
    let script = format!("set -euo pipefail\n{exports}\n{lines}");
    let output = Command::new("bash").args(["-c", &script]).current_dir(folder).env("PATH", path).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{lines}\n{said}\n{}", String::from_utf8_lossy(&output.stderr));
    said
}

/// Is this what the guide shows? `…` stands for anything in a line, or alone for any lines.
pub fn shows(shown: &str, said: &str) -> bool {
    let (shown, said): (Vec<_>, Vec<_>) = (shown.lines().collect(), said.lines().collect());
    lines_fit(&shown, &said)
}

fn lines_fit(shown: &[&str], said: &[&str]) -> bool {
    match (shown.split_first(), said.split_first()) {
        (None, _) => said.is_empty(),
        (Some((&"…", later)), _) => (0..=said.len()).any(|from| lines_fit(later, &said[from..])),
        (Some((line, later)), Some((first, rest))) => {
            let fits = match line.split_once('…') {
                Some((start, end)) => first.starts_with(start) && first.ends_with(end),
                None => line == first,
            };
            fits && lines_fit(later, rest)
        }
        (Some(_), None) => false,
    }
}

#[test]
fn what_the_guide_shows_is_told_from_what_it_does_not() {
    for (shown, said, fits) in [
        ("a\nb", "a\nb", true),
        ("a\nb", "a", false),
        ("a", "a\nb", false),
        ("a…c\n…\nz", "abc\nx\ny\nz", true),
        ("a…c", "abd", false),
    ] {
        assert_eq!(shows(shown, said), fits, "{shown} {said}");
    }
}

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Tries a guide. With a server, that runs from the first file on.
fn try_out(guide: &'static str, with_server: bool) {
    let (source, api, mail) = (free_port(), free_port(), free_port());
    let _practice = Practice::start(source);
    let _mail = guide.contains("7025").then(|| Practice::start_mail(mail));
    let ports = [("7071", source), ("7070", api), ("7025", mail)];
    let here = |text: &str| ports.iter().fold(text.to_owned(), |text, (of, port)| text.replace(of, &port.to_string()));
    let folder = tempfile::tempdir().unwrap();
    let (mut config, mut exports, mut said) = (String::new(), String::new(), String::new());
    let (mut tried, mut server) = (0, None);
    for (language, text) in blocks(guide) {
        match language {
            "toml" => {
                config.push_str(&here(text));
                fs::write(folder.path().join("rollcall.toml"), &config).unwrap();
                if with_server {
                    server.get_or_insert_with(|| Practice::serve(folder.path(), api));
                }
            }
            "sh" => {
                said = run(folder.path(), &exports, &here(text));
                exports.extend(
                    text.lines().filter(|line| line.starts_with("export ")).map(|line| format!("{}\n", here(line))),
                );
                tried += 1;
            }
            "text" => assert!(shows(&here(text), &said), "the guide shows\n{text}\nbut it was\n{said}"),
            other => panic!("a block of {other:?} is neither tried nor shown"),
        }
    }
    assert!(tried >= 6, "the guide's lines were found");
}

#[test]
#[ignore = "needs curl and jq; tests/run runs it"]
fn the_guide_works_line_by_line() {
    try_out(SOURCES, false);
}

#[test]
#[ignore = "needs curl and jq; tests/run runs it"]
fn the_guide_to_people_works_line_by_line() {
    try_out(PEOPLE, true);
}

#[test]
#[ignore = "needs curl and jq; tests/run runs it"]
fn the_guide_to_access_works_line_by_line() {
    try_out(ACCESS, true);
}

#[test]
#[ignore = "needs curl, jq and aiosmtpd; tests/run runs it"]
fn the_guide_for_organisers_works_line_by_line() {
    try_out(ORGANISER, true);
}

#[test]
#[ignore = "needs curl and jq; tests/run runs it"]
fn the_guide_to_gco_works_line_by_line() {
    try_out(GCO, true);
}

#[test]
#[ignore = "needs curl and jq; tests/run runs it"]
fn the_guide_to_connectors_works_line_by_line() {
    try_out(CONNECTORS, true);
}
