//! Why a page cannot be read, in words that hold nothing of what it says.

use std::fmt;

use super::Format;
use crate::limits::CSV_COLUMNS_MAX;

/// Bytes shown before the place of a fault, and after it.
const NEAR_BEFORE: usize = 24;
const NEAR_AFTER: usize = 8;

/// A fault of the grammar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fault {
    pub at: usize,
    pub what: What,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    Empty,
    LooksLikeHtml,
    NotUtf8,
    EndsTooEarly,
    TooDeep,
    NoValue,
    NoKey,
    NoColon,
    NoArrayEnd,
    NoObjectEnd,
    ControlCharacter,
    BadEscape,
    BadNumber,
    TrailingText,
    /// NDJSON
    BeyondItsLine,
    /// Bytes that are no text in this encoding.
    Undecodable(&'static str),
    /// CSV, as are all that follow.
    OpenQuote,
    StrayQuote,
    TextAfterQuote,
    /// Columns are counted from 1.
    NoName {
        column: usize,
    },
    SameName {
        first: usize,
        second: usize,
    },
    RowWidth {
        fields: usize,
        columns: usize,
    },
    NoRow,
    TooWide,
    TooLarge,
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "the body is empty",
            Self::LooksLikeHtml => "the body looks like HTML or XML",
            Self::NotUtf8 => "invalid UTF-8",
            Self::EndsTooEarly => "the body ends too early",
            Self::TooDeep => "nested too deeply",
            Self::NoValue => "expected a value",
            Self::NoKey => "expected a key in double quotes",
            Self::NoColon => "expected ':'",
            Self::NoArrayEnd => "expected ',' or ']'",
            Self::NoObjectEnd => "expected ',' or '}'",
            Self::ControlCharacter => "a control character inside a string",
            Self::BadEscape => "an invalid escape inside a string",
            Self::BadNumber => "an invalid number",
            Self::TrailingText => "more text after the end of the value",
            Self::BeyondItsLine => "the value does not end in its line",
            Self::Undecodable(charset) => return write!(f, "these bytes are no {charset}"),
            Self::OpenQuote => "a quote is opened and never closed",
            Self::StrayQuote => "a quote inside a field that does not begin with one",
            Self::TextAfterQuote => "more text after the closing quote of a field",
            Self::NoName { column } => return write!(f, "column {column} has no name"),
            Self::SameName { first, second } => return write!(f, "columns {first} and {second} have the same name"),
            Self::RowWidth { fields: 1, columns } => return write!(f, "1 field where there are {columns} columns"),
            Self::RowWidth { fields, columns } => {
                return write!(f, "{fields} fields where there are {columns} columns");
            }
            Self::NoRow => "this is no row",
            Self::TooWide => return write!(f, "more than {CSV_COLUMNS_MAX} columns"),
            Self::TooLarge => "the rows become too large when the columns' names are written with them",
        })
    }
}

/// A page that is not what it should be: what is wrong, where, and a masked excerpt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodeError {
    /// What it should be, e.g. `JSON`.
    format: &'static str,
    what: What,
    offset: usize,
    line: usize,
    column: usize,
    near: String,
}

impl DecodeError {
    /// `body` is what the place of the fault is one of.
    pub(super) fn new(format: &Format, body: &[u8], fault: Fault) -> Self {
        let offset = fault.at.min(body.len());
        let before = &body[..offset];
        let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        Self {
            format: format.name(),
            what: fault.what,
            offset,
            line: before.iter().filter(|byte| **byte == b'\n').count() + 1,
            column: offset - line_start + 1,
            near: masked(&body[offset.saturating_sub(NEAR_BEFORE)..body.len().min(offset + NEAR_AFTER)]),
        }
    }

    /// Is the page sound, but larger than allowed once it is decoded?
    pub const fn is_too_large(&self) -> bool {
        matches!(self.what, What::TooLarge)
    }

    /// Where it stands in the body, in bytes from 0; of a CSV page, in its text as UTF-8.
    pub const fn offset(&self) -> usize {
        self.offset
    }

    /// Where it stands in the body: line and byte within the line, both from 1.
    pub const fn line_and_column(&self) -> (usize, usize) {
        (self.line, self.column)
    }

    /// What the operator may do about it.
    pub fn hint(&self) -> &'static str {
        match self.what {
            What::Empty => "check the path and the parameters: the source answered with a success and no body",
            What::LooksLikeHtml => "check the address: a login or error page usually stands behind it",
            What::EndsTooEarly | What::OpenQuote => {
                "the answer was cut off; if it happens again, ask for smaller pages"
            }
            What::BeyondItsLine => "is the answer plain JSON? then leave out `format`",
            What::Undecodable(_) => "set `encoding` to what the source really writes, e.g. \"windows-1252\"",
            What::StrayQuote | What::TextAfterQuote | What::NoRow | What::TooWide => {
                "compare `delimiter` with the answer; quotes must be as in RFC 4180"
            }
            What::NoName { .. } | What::SameName { .. } => {
                "each column needs a name of its own: name them all by `header = [\"…\", …]`"
            }
            What::RowWidth { .. } => {
                "compare `delimiter` and `header` with the answer; a last row too short is cut off"
            }
            What::NotUtf8 => "the source must answer in UTF-8 (RFC 8259)",
            What::TooDeep => "no list of people is nested so deeply; check the address",
            _ if self.is_by_lines() => "look at the answer with curl; each line must be one JSON value",
            _ => "look at the answer with curl; the source must answer with one JSON value",
        }
    }

    fn is_by_lines(&self) -> bool {
        self.format == Format::Ndjson.name()
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { format, what, offset, line, column, near } = self;
        match what {
            What::Empty | What::LooksLikeHtml => write!(f, "invalid {format}: {what}"),
            // The fault is the row's. A place in bytes would be one of the text as UTF-8, not of what was sent.
            What::RowWidth { .. }
            | What::NoName { .. }
            | What::SameName { .. }
            | What::NoRow
            | What::TooWide
            | What::TooLarge => {
                write!(f, "invalid {format} in line {line}: {what}")
            }
            What::OpenQuote | What::StrayQuote | What::TextAfterQuote => {
                write!(f, "invalid {format} in line {line}: {what} near `{near}`")
            }
            _ => write!(f, "invalid {format} at byte {offset} (line {line}, column {column}): {what} near `{near}`"),
        }
    }
}

impl std::error::Error for DecodeError {}

/// Letters become `x` and digits `0`, so that the shape shows and the content does not.
fn masked(bytes: &[u8]) -> String {
    let mask = |byte: &u8| match byte {
        b'0'..=b'9' => '0',
        b'a'..=b'z' | b'A'..=b'Z' | 0x80.. => 'x',
        0..=0x1f | 0x7f | b'`' => ' ',
        punctuation => char::from(*punctuation),
    };
    bytes.iter().map(mask).collect()
}
