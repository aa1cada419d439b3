//! A JSON value a line: the page becomes the list of them.

use super::error::{Fault, What};
use super::grammar::{Check, Reader};
use super::list::List;
use crate::limits::JSON_DEPTH_MAX;

/// Blank lines count for nothing. The text must be UTF-8; the place of a fault is one of the text.
pub(super) fn read(text: &[u8]) -> Result<List, Fault> {
    let mut list = List::with_room(text.len() + 2);
    let mut start = 0;
    for line in text.split(|byte| *byte == b'\n') {
        let (from, to) = trimmed(line);
        let value = &line[from..to];
        if !value.is_empty() {
            check(value).map_err(|fault| placed(fault, text, start + from, value.len()))?;
            list.push(|bytes| bytes.extend_from_slice(value));
        }
        start += line.len() + 1;
    }
    Ok(list.end())
}

/// Where a line begins and ends without JSON's white space.
fn trimmed(line: &[u8]) -> (usize, usize) {
    let solid = |byte: &u8| !matches!(byte, b' ' | b'\t' | b'\r');
    let from = line.iter().position(solid).unwrap_or(line.len());
    let to = line.iter().rposition(solid).map_or(from, |last| last + 1);
    (from, to)
}

/// One value, which the list will hold one level deeper.
fn check(value: &[u8]) -> Result<(), Fault> {
    let mut reader = Reader::new(value);
    reader.value(&Check, JSON_DEPTH_MAX - 1)?;
    reader.end()
}

/// A value that ends too early in a line before the last is not cut off: it is not written line by line.
fn placed(fault: Fault, text: &[u8], start: usize, length: usize) -> Fault {
    let is_last = text[start + length..].trim_ascii().is_empty();
    let what = if fault.what == What::EndsTooEarly && !is_last { What::BeyondItsLine } else { fault.what };
    Fault { at: start + fault.at, what }
}
