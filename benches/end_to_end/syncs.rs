//! `rollcall sync` as a command, from its start to its exit, beside the bare limits.
//!
//! A round is a new store and three syncs into it: the first, one of an unchanged list, one of a list of which 1 % has
//! changed. Before each, both bare limits are measured, and a sync is compared with those two alone: a machine whose
//! speed changes by the minute changes both.

use std::path::Path;

use serde_json::{Value, json};

use super::bare;
use super::fake::Fake;
use super::installation::{Installation, Synced, run_seconds};
use super::options::Work;
use super::process::Ended;
use super::stages::{self, Stages};
use super::table::{NONE, Table, heading, least, median, megabytes, most, percent, seconds, whole};
use super::{Outcome, PER_PAGE, Progress};

/// What the list is to the store when a sync begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    First,
    Unchanged,
    Changed,
}

const KINDS: [Kind; 3] = [Kind::First, Kind::Unchanged, Kind::Changed];

/// What a sync should reach.
#[derive(Debug, Clone, Copy)]
struct Target {
    records_per_second: f64,
    peak_bytes: f64,
}

/// One sync and the bare limits just before it.
struct Sample {
    synced: Synced,
    fetch: Ended,
    parse: Ended,
    /// Of the command's time, that between the run's start and its end.
    run_seconds: f64,
    store_bytes: u64,
}

/// The samples of one kind; those of the bare limits are of all kinds.
struct Row<'a> {
    name: &'static str,
    ended: Vec<&'a Ended>,
    run_seconds: Option<f64>,
    target: Option<Target>,
    of_fetch: Option<f64>,
    of_parse: Option<f64>,
    store_bytes: Option<f64>,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::First => "first sync",
            Self::Unchanged => "nothing changed",
            Self::Changed => "1 % changed",
        }
    }

    /// The targets are for two sizes.
    const fn target(self, count: u32) -> Option<Target> {
        let (rate, megabytes) = match (count, self) {
            (100_000, Self::First) => (130_000.0, 64.0),
            (100_000, Self::Unchanged) => (500_000.0, 64.0),
            (100_000, Self::Changed) => (400_000.0, 64.0),
            (1_000_000, Self::First) => (110_000.0, 250.0),
            (1_000_000, Self::Unchanged) => (700_000.0, 250.0),
            (1_000_000, Self::Changed) => (350_000.0, 300.0),
            _ => return None,
        };
        Some(Target { records_per_second: rate, peak_bytes: megabytes * 1e6 })
    }

    /// Did the run find what the list was made to be?
    fn fits(self, run: &Value) -> bool {
        let count = |name: &str| run["counts"][name].as_u64().unwrap_or(0);
        let changed = count("records").saturating_sub(count("unchanged") + count("skip"));
        match self {
            Self::First => count("unchanged") == 0 && count("create") * 10 > count("records") * 9,
            Self::Unchanged => changed == 0,
            Self::Changed => changed > 0 && changed * 50 <= count("records"),
        }
    }
}

/// Measures and prints one size.
pub fn measure(count: u32, rounds: u32, scratch: &Path, progress: &Progress) -> Outcome<Value> {
    let size = whole(f64::from(count));
    progress.say(&format!("{size} records: making them up"));
    let fake = Fake::start(count, 1)?;
    // Once beforehand, so that nobody pays for what is slow the first time.
    let (_, list_bytes) = bare::measure(Work::Fetch, &fake)?;
    let mut samples: [Vec<Sample>; KINDS.len()] = Default::default();
    for round in 1..=rounds {
        let installation = Installation::new(scratch, fake.address)?;
        for (kind, samples) in KINDS.into_iter().zip(&mut samples) {
            progress.say(&format!("{size} records, round {round} of {rounds}: bare limits, {}", kind.name()));
            samples.push(sample(kind, &fake, &installation)?);
        }
    }
    let record_bytes = list_bytes as f64 / f64::from(count);
    heading(&format!(
        "rollcall sync: {size} records of {record_bytes:.0} B, {PER_PAGE} a page ({} MB); median of {rounds}",
        megabytes(list_bytes as f64)
    ));
    let rows = rows(count, &samples);
    print_rows(count, &rows);
    let stages = print_stages(&samples);
    let figures: Vec<Value> = rows.iter().map(|row| row.figures(count)).collect();
    Ok(json!({ "records": count, "list_bytes": list_bytes, "rows": figures, "stages": stages }))
}

fn sample(kind: Kind, fake: &Fake, installation: &Installation) -> Outcome<Sample> {
    if kind == Kind::Changed {
        fake.change_one_percent()?;
    }
    let (fetch, _) = bare::measure(Work::Fetch, fake)?;
    let (parse, _) = bare::measure(Work::Parse, fake)?;
    let synced = installation.sync(fake.count)?;
    if !kind.fits(&synced.run) {
        return Err(format!("a sync ({}) counted {}", kind.name(), synced.run["counts"]).into());
    }
    let run_seconds = run_seconds(&synced.run)?;
    Ok(Sample { synced, fetch, parse, run_seconds, store_bytes: installation.disk_bytes()? })
}

fn rows(count: u32, samples: &[Vec<Sample>; KINDS.len()]) -> Vec<Row<'_>> {
    let bare = |name, pick: fn(&Sample) -> &Ended| Row {
        name,
        ended: samples.iter().flatten().map(pick).collect(),
        run_seconds: None,
        target: None,
        of_fetch: None,
        of_parse: None,
        store_bytes: None,
    };
    let mut rows =
        vec![bare("bare: fetch", |sample| &sample.fetch), bare("bare: fetch and parse", |sample| &sample.parse)];
    for (kind, samples) in KINDS.into_iter().zip(samples) {
        let middle = |figure: fn(&Sample) -> f64| Some(median(&samples.iter().map(figure).collect::<Vec<_>>()));
        rows.push(Row {
            name: kind.name(),
            ended: samples.iter().map(|sample| &sample.synced.ended).collect(),
            run_seconds: middle(|sample| sample.run_seconds),
            target: kind.target(count),
            of_fetch: middle(|sample| sample.fetch.took.div_duration_f64(sample.synced.ended.took)),
            of_parse: middle(|sample| sample.parse.took.div_duration_f64(sample.synced.ended.took)),
            store_bytes: middle(|sample| sample.store_bytes as f64),
        });
    }
    rows
}

impl Row<'_> {
    fn seconds(&self) -> Vec<f64> {
        self.ended.iter().map(|ended| ended.took.as_secs_f64()).collect()
    }

    /// Records a second at the median.
    fn rate(&self, count: u32) -> f64 {
        f64::from(count) / median(&self.seconds())
    }

    /// The highest, for memory has to be there for the worst.
    fn peak_bytes(&self) -> f64 {
        most(&self.ended.iter().map(|ended| ended.peak_bytes as f64).collect::<Vec<_>>())
    }

    fn figures(&self, count: u32) -> Value {
        json!({
            "name": self.name,
            "seconds": self.seconds(),
            "run_seconds": self.run_seconds,
            "records_per_second": self.rate(count),
            "target_records_per_second": self.target.map(|target| target.records_per_second),
            "of_bare_fetch": self.of_fetch,
            "of_bare_parse": self.of_parse,
            "peak_bytes": self.peak_bytes(),
            "target_peak_bytes": self.target.map(|target| target.peak_bytes),
            "store_bytes": self.store_bytes,
        })
    }
}

fn print_rows(count: u32, rows: &[Row<'_>]) {
    let mut table = Table::new(&[
        "",
        "s",
        "best s",
        "run s",
        "records/s",
        "target",
        "reached",
        "of fetch",
        "of parse",
        "peak MB",
        "target",
        "store MB",
    ]);
    for row in rows {
        let optional = |figure: Option<f64>, show: fn(f64) -> String| figure.map_or_else(|| NONE.to_owned(), show);
        let (rate, target) = (row.rate(count), row.target.map(|target| target.records_per_second));
        table.row(vec![
            row.name.to_owned(),
            seconds(median(&row.seconds())),
            seconds(least(&row.seconds())),
            optional(row.run_seconds, seconds),
            whole(rate),
            optional(target, whole),
            optional(target.map(|target| rate / target), percent),
            optional(row.of_fetch, percent),
            optional(row.of_parse, percent),
            megabytes(row.peak_bytes()),
            optional(row.target.map(|target| target.peak_bytes), megabytes),
            optional(row.store_bytes, megabytes),
        ]);
    }
    table.print();
}

/// Only where the command told.
fn print_stages(samples: &[Vec<Sample>; KINDS.len()]) -> Value {
    let stages = samples.each_ref().map(|samples| {
        let last = |sample: &Sample| stages::read(&sample.synced.log).pop();
        samples.iter().filter_map(last).collect::<Vec<Stages>>()
    });
    if stages.iter().all(Vec::is_empty) {
        println!("  (the command told of no stages)");
        return Value::Null;
    }
    let named: Vec<(&str, &[Stages])> =
        KINDS.iter().zip(&stages).map(|(kind, stages)| (kind.name(), &**stages)).collect();
    stages::print(&named)
}
