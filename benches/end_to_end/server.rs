//! One `rollcall serve`: whether it grows from sync to sync, where the time goes, and how soon a sync of nothing new
//! has ended.

use std::path::Path;
use std::time::{Duration, Instant};

use rollcall::demo::{EVENT, TOKEN};
use serde_json::{Value, json};

use super::fake::{Fake, page_path};
use super::installation::{Installation, SMALL, Server, run_seconds};
use super::process::Memory;
use super::stages;
use super::table::{Table, heading, median, megabytes, millis, most, seconds, whole};
use super::wire;
use super::{Outcome, Progress};

/// Syncs of a changed list in one server.
const SYNCS: u32 = 10;

/// Syncs of nothing new: the median of fewer would be luck.
const NOTHINGS: usize = 50;

/// How soon a sync of nothing new should have ended after the source's answer, in seconds.
const NOTHING_TARGET: f64 = 0.020;

/// Another seed than the other list's, so that the small list is of somebody else.
const SMALL_SEED: u64 = 2;

pub fn measure(count: u32, scratch: &Path, progress: &Progress) -> Outcome<Value> {
    let size = whole(f64::from(count));
    progress.say(&format!("server: making up {size} records"));
    let large = Fake::start(count, 1)?;
    let small = Fake::start(1, SMALL_SEED)?;
    let installation = Installation::with_small(scratch, large.address, small.address)?;
    let mut server = installation.serve()?;
    let syncs = syncs(&large, &installation, &mut server, progress)?;
    progress.say("server: syncs of nothing new");
    let beside_many = nothing_new(&small, &mut server)?;
    let alone = Installation::only_small(scratch, small.address)?;
    let alone = nothing_new(&small, &mut alone.serve()?)?;
    heading(&format!("A sync of nothing new (one record) on a running server; {NOTHINGS} times, ms"));
    print_nothing(&[("alone in the store", &alone), (&format!("beside {size} others"), &beside_many)]);
    let nothing = json!({ "alone": alone.figures(), "beside_many": beside_many.figures() });
    Ok(json!({ "records": count, "syncs": syncs, "nothing_new": nothing, "nothing_target_s": NOTHING_TARGET }))
}

/// A first sync, one of nothing new, and the ten.
fn syncs(fake: &Fake, installation: &Installation, server: &mut Server, progress: &Progress) -> Outcome<Value> {
    let mut table = Table::new(&["", "s", "records/s", "RSS MB", "peak MB", "store MB"]);
    let mut figures = Vec::new();
    let mut show = |name: &str, took: Option<Duration>, memory: Memory| -> Outcome<()> {
        let (took, disk) = (took.map(|took| took.as_secs_f64()), installation.disk_bytes()?);
        table.row(vec![
            name.to_owned(),
            took.map(seconds).unwrap_or_default(),
            took.map(|took| whole(f64::from(fake.count) / took)).unwrap_or_default(),
            megabytes(memory.now as f64),
            megabytes(memory.peak as f64),
            megabytes(disk as f64),
        ]);
        figures.push(json!({
            "name": name, "seconds": took, "rss_bytes": memory.now, "peak_bytes": memory.peak, "store_bytes": disk,
        }));
        Ok(())
    };
    show("before", None, server.memory()?)?;
    for number in 0..SYNCS + 2 {
        let name = match number {
            0 => "first".to_owned(),
            1 => "nothing changed".to_owned(),
            _ => format!("1 % changed, {}", number - 1),
        };
        progress.say(&format!("server: {name}"));
        if number > 1 {
            fake.change_one_percent()?;
        }
        let (_, took) = server.sync(EVENT, fake.count)?;
        show(&name, Some(took), server.memory()?)?;
    }
    heading(&format!("rollcall serve: {SYNCS} syncs on end of {} records", whole(f64::from(fake.count))));
    table.print();
    let runs = stages::read(&server.log()?);
    let (first, rest) = runs.split_at(runs.len().min(1));
    let (unchanged, changed) = rest.split_at(rest.len().min(1));
    let stages = stages::print(&[("first", first), ("nothing changed", unchanged), ("1 % changed", changed)]);
    Ok(json!({ "rows": figures, "stages": stages }))
}

/// Seconds, by number of the sync.
#[derive(Default)]
struct Nothing {
    /// The source's own answer to a bare request, on a kept connection.
    answer: Vec<f64>,
    /// From the request for the sync to its answer.
    round_trip: Vec<f64>,
    /// From the run's start to its end, as its record has it.
    run: Vec<f64>,
}

fn nothing_new(fake: &Fake, server: &mut Server) -> Outcome<Nothing> {
    let mut source = fake.connect()?;
    let page = wire::get(&page_path(1), TOKEN);
    let mut measured = Nothing::default();
    server.sync(SMALL, fake.count)?;
    for _ in 0..NOTHINGS {
        let start = Instant::now();
        source.ask_json(&page)?;
        measured.answer.push(start.elapsed().as_secs_f64());
        let (run, took) = server.sync(SMALL, fake.count)?;
        if run["counts"]["unchanged"] != fake.count || run["traffic"]["requests"] != 1 {
            return Err(format!("a sync of nothing new was none: {run}").into());
        }
        measured.round_trip.push(took.as_secs_f64());
        measured.run.push(run_seconds(&run)?);
    }
    Ok(measured)
}

impl Nothing {
    /// What Rollcall adds to the source's answer.
    fn added(&self) -> Vec<f64> {
        self.round_trip.iter().zip(&self.answer).map(|(whole, answer)| whole - answer).collect()
    }

    fn figures(&self) -> Value {
        json!({ "answer_s": self.answer, "round_trip_s": self.round_trip, "run_s": self.run })
    }
}

fn print_nothing(cases: &[(&str, &Nothing)]) {
    let mut table =
        Table::new(&["", "source's answer", "the run", "round trip", "after the answer", "worst", "target"]);
    for (name, nothing) in cases {
        let added = nothing.added();
        table.row(vec![
            (*name).to_owned(),
            millis(median(&nothing.answer)),
            millis(median(&nothing.run)),
            millis(median(&nothing.round_trip)),
            millis(median(&added)),
            millis(most(&added)),
            millis(NOTHING_TARGET),
        ]);
    }
    table.print();
}
