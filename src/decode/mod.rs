//! Decoding: the bytes of a page become raw records.
//!
//! A page is checked once, strictly (RFC 8259), and from then on its bytes are trusted: records are found
//! and cut out without parsing them again, and each shares the page's memory.
//!
//! Invariant: pure. No clock, no I/O; no input makes it panic or recurse deeper than
//! [`JSON_DEPTH_MAX`](crate::limits::JSON_DEPTH_MAX); no error holds a letter or digit of the body.

#[cfg(test)]
mod arbitrary;
mod document;
mod error;
mod grammar;
mod outline;
mod tree;
mod value;
mod walk;

pub use document::{Document, RawRecord};
pub use error::DecodeError;

pub(crate) use grammar::{is_number, unescaped};
pub(crate) use tree::KeyTree;
pub(crate) use value::{NotJson, parse_value, spell_number, write_json};
pub(crate) use walk::{Found, elements, keys, look_up_key};
