//! The whole program against a clock: the real binary, a registration system in a process of its own, a real disk.
//!
//! `cargo bench --bench end_to_end` measures at 100,000 and 1,000,000 records; `-- --help` tells how to measure less.
//!
//! 1. `rollcall sync` as a command: first, nothing changed, 1 % changed. Between any two of them the bare limits are
//!    measured: fetching the same pages with nothing else, and fetching and parsing them.
//! 2. One server: ten syncs on end, whether its memory grows, where the time goes; and how soon a sync of nothing new
//!    has ended.
//! 3. The API, beside the emptiest answer of the same server.
//! 4. `/metrics` where there is as much to tell as it allows.
//!
//! A figure is printed only of a run that did what it should: every answer and every count is checked, and what is
//! wrong ends the bench. Megabytes are millions of bytes. Progress goes to standard error.

mod api;
mod bare;
mod fake;
mod installation;
mod machine;
mod metrics;
mod options;
mod process;
mod server;
mod stages;
mod syncs;
mod table;
mod wire;

use std::error::Error;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use serde_json::{Value, json};

use options::{Options, Part, Role};

/// What went wrong, for the one who runs the bench; nobody decides by its kind.
type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Records a page, as the targets have it.
const PER_PAGE: u32 = 500;

fn main() -> ExitCode {
    if !is_asked_for() {
        println!("nothing is measured by a test: `cargo bench --bench end_to_end` does");
        return ExitCode::SUCCESS;
    }
    let options = Options::parse();
    let outcome = match &options.role {
        Some(Role::Bare(reader)) => bare::read(reader),
        None => measure(&options),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("end_to_end: {error}");
            ExitCode::FAILURE
        }
    }
}

/// `cargo test --all-targets` runs this program, too, and without `--bench`.
fn is_asked_for() -> bool {
    std::env::args().skip(1).any(|argument| matches!(argument.as_str(), "--bench" | "bare"))
}

fn measure(options: &Options) -> Outcome<()> {
    // On the disk that the build is on: the system's temporary folder may be memory, where syncing costs nothing.
    let scratch = tempfile::Builder::new().prefix("end_to_end-").tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    process::end_with_a_signal(scratch.path());
    let progress = Progress(Instant::now());
    let machine = machine::describe(scratch.path())?;
    let mut figures = json!({ "machine": machine });
    let counts = options.counts();
    if options.wants(Part::Sync) {
        let mut sizes = Vec::new();
        for count in &counts {
            sizes.push(syncs::measure(*count, options.rounds, scratch.path(), &progress)?);
        }
        figures["sync"] = Value::Array(sizes);
    }
    // What these two measure does not depend on the size so much that the larger one would tell more.
    let smallest = *counts.iter().min().ok_or("no --count")?;
    if options.wants(Part::Server) {
        figures["server"] = server::measure(smallest, scratch.path(), &progress)?;
    }
    if options.wants(Part::Api) {
        figures["api"] = api::measure(smallest, scratch.path(), &progress)?;
    }
    if options.wants(Part::Metrics) {
        figures["metrics"] = metrics::measure(scratch.path(), &progress)?;
    }
    if let Some(path) = &options.json {
        std::fs::write(path, serde_json::to_vec_pretty(&figures)?)?;
    }
    Ok(())
}

/// Says on standard error what is being measured.
struct Progress(Instant);

impl Progress {
    fn say(&self, what: &str) {
        eprintln!("[{:6.1} s] {what}", self.0.elapsed().as_secs_f64());
    }
}
