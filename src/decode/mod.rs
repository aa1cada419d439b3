//! Decoding: the bytes of a page become raw records.
//!
//! A page is checked once, strictly (RFC 8259), and from then on its bytes are trusted: records are found
//! and cut out without parsing them again, and each shares the page's memory. What is not JSON (NDJSON, CSV) is made
//! into the JSON text of a list while it is checked, so that all behind this module sees one kind of page.
//!
//! Invariant: pure. No clock, no I/O; no input makes it panic or recurse deeper than
//! [`JSON_DEPTH_MAX`](crate::limits::JSON_DEPTH_MAX); no error holds a letter or digit of the body.

#[cfg(test)]
mod arbitrary;
mod charset;
mod csv;
mod document;
mod error;
mod format;
mod grammar;
mod list;
mod ndjson;
mod outline;
mod tree;
mod value;
mod walk;

#[cfg(test)]
mod tests;

pub use charset::Charset;
pub use document::{Document, RawRecord};
pub use error::DecodeError;
pub use format::{CsvFormat, CsvHeader, Format};

pub(crate) use grammar::{is_number, unescaped};
pub(crate) use tree::KeyTree;
pub(crate) use value::{NotJson, parse_value, spell_number, write_json};
pub(crate) use walk::{Found, elements, keys, look_up_key};
