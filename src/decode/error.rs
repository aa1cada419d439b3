//! Why a page cannot be read, in words that hold nothing of what it says.

use std::fmt;

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
}

impl What {
    const fn as_str(self) -> &'static str {
        match self {
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
        }
    }
}

/// A page that is not JSON: what is wrong, where, and a masked excerpt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodeError {
    what: What,
    offset: usize,
    line: usize,
    column: usize,
    near: String,
}

impl DecodeError {
    pub(super) fn new(body: &[u8], fault: Fault) -> Self {
        let offset = fault.at.min(body.len());
        let before = &body[..offset];
        let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        Self {
            what: fault.what,
            offset,
            line: before.iter().filter(|byte| **byte == b'\n').count() + 1,
            column: offset - line_start + 1,
            near: masked(&body[offset.saturating_sub(NEAR_BEFORE)..body.len().min(offset + NEAR_AFTER)]),
        }
    }

    /// Where it stands in the body, in bytes from 0.
    pub const fn offset(&self) -> usize {
        self.offset
    }

    /// Where it stands in the body: line and byte within the line, both from 1.
    pub const fn line_and_column(&self) -> (usize, usize) {
        (self.line, self.column)
    }

    /// What the operator may do about it.
    pub const fn hint(&self) -> &'static str {
        match self.what {
            What::Empty => "check the path and the parameters: the source answered with a success and no body",
            What::LooksLikeHtml => "check the address: a login or error page usually stands behind it",
            What::EndsTooEarly => "the answer was cut off; if it happens again, ask for smaller pages",
            What::NotUtf8 => "the source must answer in UTF-8 (RFC 8259)",
            What::TooDeep => "no list of people is nested so deeply; check the address",
            _ => "look at the answer with curl; the source must answer with one JSON value",
        }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = self.what.as_str();
        if matches!(self.what, What::Empty | What::LooksLikeHtml) {
            return write!(f, "invalid JSON: {what}");
        }
        let Self { offset, line, column, near, .. } = self;
        write!(f, "invalid JSON at byte {offset} (line {line}, column {column}): {what} near `{near}`")
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
