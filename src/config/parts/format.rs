//! `format` and `csv` of `[source.<name>.records]`: how a page is written.

use std::collections::BTreeSet;

use crate::config::read::{Item, Section, shown};
use crate::decode::{Charset, CsvFormat, CsvHeader, Format};
use crate::limits::CSV_COLUMNS_MAX;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Json,
    Ndjson,
    Csv,
}

const KINDS: [(&str, Kind); 3] = [("json", Kind::Json), ("ndjson", Kind::Ndjson), ("csv", Kind::Csv)];

pub(super) fn read_format(records: &mut Section<'_>) -> Option<Format> {
    let kind = records.choice("format", &KINDS, Kind::Json);
    let csv = records.section("csv");
    if csv.is_table() && kind.is_some_and(|kind| kind != Kind::Csv) {
        csv.findings().fault(csv.place(), "is of no use to another format", r#"write format = "csv", or leave it out"#);
        return None;
    }
    let csv = read_csv(csv);
    match kind? {
        Kind::Json => Some(Format::Json),
        Kind::Ndjson => Some(Format::Ndjson),
        Kind::Csv => csv.map(Format::Csv),
    }
}

fn read_csv(mut section: Section<'_>) -> Option<CsvFormat> {
    let delimiter = match section.optional("delimiter") {
        Some(item) => read_delimiter(&item),
        None => Some(b','),
    };
    let header = match section.optional("header") {
        Some(item) => read_header(&item),
        None => Some(CsvHeader::FirstRow),
    };
    let charset = match section.optional("encoding") {
        Some(item) => read_charset(&item).map(Some),
        None => Some(None),
    };
    section.finish();
    Some(CsvFormat { delimiter: delimiter?, header: header?, charset: charset? })
}

fn read_delimiter(item: &Item<'_>) -> Option<u8> {
    match item.any_text()?.as_bytes() {
        [byte] if byte.is_ascii() && !matches!(byte, b'"' | b'\r' | b'\n') => Some(*byte),
        _ => {
            item.fault("must be one ASCII character, no quote and no line end", r#"write e.g. ";" or "\t""#);
            None
        }
    }
}

/// `true`, or the names of the columns.
fn read_header(item: &Item<'_>) -> Option<CsvHeader> {
    const NAMES: &str = r#"write true, or the names of the columns: ["email", "name"]"#;
    if !item.is_list() {
        let first_row = item.boolean()?;
        if !first_row {
            item.fault("without a header the columns have no names", NAMES);
        }
        return first_row.then_some(CsvHeader::FirstRow);
    }
    let items = item.list()?;
    if !(1..=CSV_COLUMNS_MAX).contains(&items.len()) {
        item.fault(format!("a table has 1 to {CSV_COLUMNS_MAX} columns (got {})", items.len()), NAMES);
        return None;
    }
    let mut seen = BTreeSet::new();
    let names: Vec<_> = items.iter().map(|item| read_column(item, &mut seen)).collect();
    names.into_iter().collect::<Option<_>>().map(CsvHeader::Names)
}

fn read_column(item: &Item<'_>, seen: &mut BTreeSet<String>) -> Option<String> {
    let name = item.text()?.trim();
    if !seen.insert(name.to_owned()) {
        item.fault(format!("a second column {}", shown(name)), "give each column a name of its own");
        return None;
    }
    Some(name.to_owned())
}

fn read_charset(item: &Item<'_>) -> Option<Charset> {
    let label = item.text()?;
    let charset = Charset::of_label(label);
    if charset.is_none() {
        let mend = r#"write a label of the WHATWG, e.g. "utf-8", "windows-1252", "utf-16le" or "shift_jis""#;
        item.fault(format!("no known encoding (got {})", shown(label)), mend);
    }
    charset
}
