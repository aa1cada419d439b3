//! A table (RFC 4180): the page becomes the list of its rows, each an object of texts by the names of the columns.
//!
//! The `csv` crate reads what it can of anything; what is no table is refused here before, so that a list is not
//! bent without a word: a quote out of its place, one that nothing closes, a row of another width.

use std::collections::BTreeMap;

use csv::{ByteRecord, ReaderBuilder};

use super::error::{Fault, What};
use super::format::{CsvFormat, CsvHeader};
use super::list::List;
use super::value::write_text;
use crate::limits::CSV_COLUMNS_MAX;

/// Blank lines count for nothing. The text must be UTF-8; the place of a fault is one of the text. The list has at
/// most `bytes_max` bytes, for names of columns stand in it as often as there are rows.
pub(super) fn read(text: &[u8], format: &CsvFormat, bytes_max: usize) -> Result<List, Fault> {
    if text.trim_ascii_start().starts_with(b"<") {
        // A web page would pass for a table of one column.
        return Err(Fault { at: 0, what: What::LooksLikeHtml });
    }
    check_rows(text, format.delimiter)?;
    let mut rows = Rows::new(text, format.delimiter);
    let columns = match &format.header {
        CsvHeader::FirstRow => {
            let header = rows.next()?.ok_or(Fault { at: 0, what: What::Empty })?;
            let names: Vec<&[u8]> = header.iter().map(trimmed).collect();
            Columns::new(&names).map_err(|what| rows.fault(what))?
        }
        CsvHeader::Names(names) => {
            let names: Vec<&[u8]> = names.iter().map(String::as_bytes).collect();
            Columns::new(&names).map_err(|what| Fault { at: 0, what })?
        }
    };
    let mut list = List::with_room(text.len());
    while let Some(row) = rows.next()? {
        if row.len() != columns.keys.len() {
            let what = What::RowWidth { fields: row.len(), columns: columns.keys.len() };
            return Err(rows.fault(what));
        }
        list.push(|json| columns.write(row, json));
        if list.bytes.len() >= bytes_max {
            return Err(rows.fault(What::TooLarge));
        }
    }
    Ok(list.end())
}

/// Without white space around it, a no-break space included. The text is UTF-8, and so are its fields.
fn trimmed(name: &[u8]) -> &[u8] {
    std::str::from_utf8(name).map_or(name, |name| name.trim().as_bytes())
}

/// The rows of a text whose quotes were checked.
struct Rows<'t> {
    text: &'t [u8],
    reader: csv::Reader<&'t [u8]>,
    row: ByteRecord,
}

impl<'t> Rows<'t> {
    fn new(text: &'t [u8], delimiter: u8) -> Self {
        let mut builder = ReaderBuilder::new();
        let reader = builder.has_headers(false).flexible(true).delimiter(delimiter).from_reader(text);
        Self { text, reader, row: ByteRecord::new() }
    }

    fn next(&mut self) -> Result<Option<&ByteRecord>, Fault> {
        match self.reader.read_byte_record(&mut self.row) {
            Ok(true) => Ok(Some(&self.row)),
            Ok(false) => Ok(None),
            // Rows may have any width and bytes in memory always come, so this cannot be.
            Err(_) => Err(self.fault(What::NoRow)),
        }
    }

    /// A fault of the present row. The reader places a row before the line end of the one above, and before blank lines.
    fn fault(&self, what: What) -> Fault {
        let at = self.row.position().map_or(0, |position| usize::try_from(position.byte()).unwrap_or(usize::MAX));
        let rest = self.text.get(at..).unwrap_or_default();
        let line_ends = rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        Fault { at: at + line_ends, what }
    }
}

/// The names of the columns as the beginnings of an object's entries.
struct Columns {
    keys: Vec<Vec<u8>>,
}

impl Columns {
    fn new(names: &[&[u8]]) -> Result<Self, What> {
        let mut seen = BTreeMap::new();
        for (column, name) in (1..).zip(names) {
            if name.is_empty() {
                return Err(What::NoName { column });
            }
            if let Some(first) = seen.insert(*name, column) {
                return Err(What::SameName { first, second: column });
            }
        }
        let key = |(n, name): (usize, &&[u8])| {
            let mut key = vec![if n == 0 { b'{' } else { b',' }];
            write_text(name, &mut key);
            key.push(b':');
            key
        };
        Ok(Self { keys: names.iter().enumerate().map(key).collect() })
    }

    fn write(&self, row: &ByteRecord, json: &mut Vec<u8>) {
        for (key, field) in self.keys.iter().zip(row) {
            json.extend_from_slice(key);
            write_text(field, json);
        }
        json.push(b'}');
    }
}

/// Where in a field a byte stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Start,
    Bare,
    Quoted,
    /// After a quote in a quoted field: its end, or the first of two that stand for one.
    Closed,
}

/// Are all quotes where RFC 4180 has them, and is no row too wide?
fn check_rows(text: &[u8], delimiter: u8) -> Result<(), Fault> {
    let (mut place, mut opened, mut fields) = (Place::Start, 0, 1);
    for (at, byte) in text.iter().copied().enumerate() {
        let ends_row = matches!(byte, b'\r' | b'\n');
        place = match place {
            Place::Quoted if byte == b'"' => Place::Closed,
            Place::Quoted => Place::Quoted,
            _ if ends_row => {
                fields = 1;
                Place::Start
            }
            _ if byte == delimiter => {
                fields += 1;
                Place::Start
            }
            Place::Start if byte == b'"' => {
                opened = at;
                Place::Quoted
            }
            Place::Closed if byte == b'"' => Place::Quoted,
            Place::Closed => return Err(Fault { at, what: What::TextAfterQuote }),
            Place::Bare if byte == b'"' => return Err(Fault { at, what: What::StrayQuote }),
            Place::Start | Place::Bare => Place::Bare,
        };
        if fields > CSV_COLUMNS_MAX {
            return Err(Fault { at, what: What::TooWide });
        }
    }
    if place == Place::Quoted { Err(Fault { at: opened, what: What::OpenQuote }) } else { Ok(()) }
}
