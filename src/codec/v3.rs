//! The third schema version of what needed one, frozen.

use bincode::{BorrowDecode, Encode};

#[derive(Encode, BorrowDecode)]
pub struct Event<'a> {
    /// JSON, which may grow without a version of its own.
    pub settings: &'a str,
}
