//! A page that is made, not received: the JSON text of a list.

use std::ops::Range;

/// The JSON text of a list, and where its items stand in it.
pub(super) struct List {
    pub bytes: Vec<u8>,
    pub items: Vec<Range<usize>>,
}

impl List {
    /// With room for so many bytes.
    pub(super) fn with_room(bytes: usize) -> Self {
        let mut list = Self { bytes: Vec::with_capacity(bytes), items: Vec::new() };
        list.bytes.push(b'[');
        list
    }

    /// Appends an item that `write` writes.
    pub(super) fn push(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        if !self.items.is_empty() {
            self.bytes.push(b',');
        }
        let start = self.bytes.len();
        write(&mut self.bytes);
        self.items.push(start..self.bytes.len());
    }

    pub(super) fn end(mut self) -> Self {
        self.bytes.push(b']');
        self
    }
}
