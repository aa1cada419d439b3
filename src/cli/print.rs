//! Tables and JSON on standard output.

use serde_json::Value;

use super::error::CliError;

/// Prints a line. A closed pipe (`| head`) ends the program quietly, as it does `cat`.
pub fn line(text: &str) -> Result<(), CliError> {
    use std::io::Write;
    writeln!(std::io::stdout(), "{text}").map_err(|error| match error.kind() {
        std::io::ErrorKind::BrokenPipe => CliError::unheard(),
        _ => CliError::failed(format!("cannot print: {error}")),
    })
}

pub fn json(value: &Value) -> Result<(), CliError> {
    // A value always serialises.
    line(&serde_json::to_string_pretty(value).unwrap_or_default())
}

/// Prints rows in columns, the first row being the heads.
pub fn table(rows: &[Vec<String>]) -> Result<(), CliError> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    for row in rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        line(cells.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
}

/// A value as a cell: texts bare, null as a dash.
pub fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".into(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A run's counts in words, without the zeros.
pub fn counts(counts: &Value) -> String {
    let words = [
        ("create", "created"),
        ("update", "updated"),
        ("remove", "removed"),
        ("delete", "deleted"),
        ("unchanged", "unchanged"),
        ("skip", "skipped"),
        ("reject", "rejected"),
        ("missing", "missing"),
    ];
    let some = words.iter().filter_map(|(key, word)| {
        let count = counts[*key].as_u64().filter(|count| *count > 0)?;
        Some(format!("{count} {word}"))
    });
    let some: Vec<_> = some.collect();
    let records = counts["records"].as_u64().unwrap_or(0);
    if some.is_empty() { format!("{records} records") } else { format!("{records} records: {}", some.join(", ")) }
}
