//! Golden cases: every directory of `tests/cases` is one. Adding a directory adds a test.
//!
//! A case holds `config.toml`, which begins with the rule it shows, and numbered steps. A config without sources stands
//! on `tests/cases/base.toml`; `URL` is the list server's. A step is a directory with the pages `page-1.json`,
//! `page-2.json`, … of one list, and what must come of syncing it: `plan.txt` and `store.txt`. Its `step.toml` may say
//! which feed (`event`, `source`; by default `e`, `s`) and list (by default named as the source, with `-f` for event
//! `f`), and how (`dry_run`, `full`). A step without pages lists what is listed already; one with a `config.toml` of
//! its own reopens the store with it first.
//!
//! `UPDATE_CASES=1` writes the expected texts anew: read the difference before committing it.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::support::{Appliance, ListServer, plan_text, store_text};

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Step {
    event: String,
    source: String,
    list: Option<String>,
    dry_run: bool,
    full: bool,
}

impl Default for Step {
    fn default() -> Self {
        Self { event: "e".into(), source: "s".into(), list: None, dry_run: false, full: false }
    }
}

impl Step {
    fn read(folder: &Path) -> Self {
        match fs::read_to_string(folder.join("step.toml")) {
            Ok(text) => toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", folder.display())),
            Err(_) => Self::default(),
        }
    }

    fn list(&self) -> String {
        let default =
            || if self.event == "e" { self.source.clone() } else { format!("{}-{}", self.source, self.event) };
        self.list.clone().unwrap_or_else(default)
    }
}

fn cases_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases")
}

fn folders(path: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    let mut folders: Vec<_> = entries.filter(|path| path.is_dir()).collect();
    folders.sort();
    folders
}

/// A case's or step's configuration, on the common base where it has no source of its own.
fn config(folder: &Path, server: &ListServer) -> Option<String> {
    let mut text = fs::read_to_string(folder.join("config.toml")).ok()?;
    if !text.contains("[source.") {
        text.push_str(&fs::read_to_string(cases_folder().join("base.toml")).unwrap());
    }
    Some(text.replace("\"URL\"", &format!("\"http://{}\"", server.address)))
}

/// Compares with the expected file, or writes it.
fn expect(path: &Path, actual: &str, faults: &mut Vec<String>) {
    if std::env::var_os("UPDATE_CASES").is_some() {
        fs::write(path, actual).unwrap();
        return;
    }
    let expected = fs::read_to_string(path).unwrap_or_else(|_| "(no such file)\n".into());
    if expected != actual {
        faults.push(format!("{}\n--- expected\n{expected}--- found\n{actual}", path.display()));
    }
}

async fn check(case: &Path, faults: &mut Vec<String>) {
    let server = ListServer::start().await;
    let mut appliance = Appliance::open(&config(case, &server).unwrap()).await;
    let steps = folders(case);
    assert!(!steps.is_empty(), "{} has no step", case.display());
    for folder in steps {
        let step = Step::read(&folder);
        if let Some(config) = config(&folder, &server) {
            appliance = appliance.reopen(&config).await;
        }
        let page = |number| fs::read_to_string(folder.join(format!("page-{number}.json"))).ok();
        let pages: Vec<String> = (1..).map_while(page).collect();
        if !pages.is_empty() {
            server.set(&step.list(), pages);
        }
        let run = appliance.sync(&step.event, &step.source, step.dry_run, step.full).await;
        expect(&folder.join("plan.txt"), &plan_text(&appliance.app, &run), faults);
        expect(&folder.join("store.txt"), &store_text(&appliance.app), faults);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cases_come_out_as_written() {
    let cases = folders(&cases_folder());
    assert!(cases.len() >= 51, "only {} cases", cases.len());
    let mut faults = Vec::new();
    for case in &cases {
        check(case, &mut faults).await;
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
