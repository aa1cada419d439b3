//! Where a run spends its time, as the program itself tells in its log, on `rollcall::stages` at level debug.
//!
//! Stages on different threads overlap, so they need not add up to the whole. A program that does not tell is
//! measured all the same: its figures are dashes.

use serde_json::{Value, json};

use super::table::{NONE, Table, median, millis};

/// The log's field and the table's head, in the order of a run.
const STAGES: [(&str, &str); 8] = [
    ("fetch_wait_us", "fetch wait"),
    ("split_us", "split"),
    ("map_us", "map"),
    ("spool_us", "spool"),
    ("plan_us", "plan"),
    ("journal_us", "journal"),
    ("commit_us", "commit"),
    ("sync_us", "sync"),
];

/// One run, in seconds.
#[derive(Debug, Clone, Default)]
pub struct Stages {
    /// Opening the store, where it was opened for this run.
    open: Option<f64>,
    /// Did the indexes come from their snapshot?
    from_snapshot: Option<bool>,
    stages: [Option<f64>; STAGES.len()],
}

/// The runs that a log tells of, in its order.
pub fn read(log: &str) -> Vec<Stages> {
    let mut runs = Vec::new();
    let mut open = Stages::default();
    for line in log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
        if line["message"] == "store opened" {
            open.open = seconds(&line["took_us"]);
            open.from_snapshot = line["from_snapshot"].as_bool();
        } else if line.get(STAGES[0].0).is_some() {
            let run = std::mem::take(&mut open);
            runs.push(Stages { stages: STAGES.map(|(field, _)| seconds(&line[field])), ..run });
        }
    }
    runs
}

fn seconds(micros: &Value) -> Option<f64> {
    micros.as_f64().map(|micros| micros / 1e6)
}

/// Prints one row for each kind of run, of its medians in milliseconds, and returns them in seconds.
pub fn print(kinds: &[(&str, &[Stages])]) -> Value {
    let mut head = vec!["stages, ms", "open", "snapshot"];
    head.extend(STAGES.map(|(_, name)| name));
    let mut table = Table::new(&head);
    let mut figures = serde_json::Map::new();
    for (kind, runs) in kinds {
        let open = middle(runs.iter().filter_map(|run| run.open));
        let snapshots: Vec<bool> = runs.iter().filter_map(|run| run.from_snapshot).collect();
        let snapshot = snapshots.first().map(|first| match snapshots.iter().all(|snapshot| snapshot == first) {
            true if *first => "yes",
            true => "no",
            false => "some",
        });
        let stages: [Option<f64>; STAGES.len()] =
            std::array::from_fn(|stage| middle(runs.iter().filter_map(|run| run.stages[stage])));
        let mut row = vec![(*kind).to_owned(), shown(open), snapshot.unwrap_or(NONE).to_owned()];
        row.extend(stages.iter().map(|stage| shown(*stage)));
        table.row(row);
        let mut figure = json!({ "open_s": open, "from_snapshot": snapshot });
        for ((field, _), stage) in STAGES.iter().zip(stages) {
            figure[field.replace("_us", "_s")] = json!(stage);
        }
        figures.insert((*kind).to_owned(), figure);
    }
    table.print();
    Value::Object(figures)
}

fn middle(figures: impl Iterator<Item = f64>) -> Option<f64> {
    let figures: Vec<f64> = figures.collect();
    (!figures.is_empty()).then(|| median(&figures))
}

fn shown(figure: Option<f64>) -> String {
    figure.map_or_else(|| NONE.to_owned(), millis)
}
