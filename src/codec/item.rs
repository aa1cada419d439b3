//! Spooled items: a mapped record that differs from the last time, or a note on one that cannot be used.

use super::convert::{digest, new_symbols, note_from_v1, note_to_v1, record_from_v1, record_to_v1, take_symbols};
use super::seal::{self, CodecError, Kind};
use super::symbols::Symbols;
use super::v1;
use crate::model::{Digest, MappedRecord, Position, RecordNote};

/// A mapped record with where it stood and its two digests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpooledRecord {
    pub position: Position,
    pub raw: Digest,
    pub mapped: Digest,
    pub record: MappedRecord,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    Record(SpooledRecord),
    Note(RecordNote),
}

/// Encodes the items of one spool, in order.
#[derive(Debug, Default)]
pub struct ItemEncoder {
    symbols: Symbols,
}

impl ItemEncoder {
    pub fn encode(&mut self, item: &Item) -> Vec<u8> {
        let seen = self.symbols.counts();
        let body = match item {
            Item::Record(SpooledRecord { position, raw, mapped, record }) => v1::SpoolBody::Record {
                page: position.page,
                index: position.index,
                raw: raw.0.to_le_bytes(),
                mapped: mapped.0.to_le_bytes(),
                record: record_to_v1(&mut self.symbols, record),
            },
            Item::Note(note) => v1::SpoolBody::Note(note_to_v1(note)),
        };
        let new = new_symbols(&self.symbols, seen);
        let symbols = new.iter().map(|(kind, name)| (*kind, &**name)).collect();
        seal::write(Kind::SpoolItem, &v1::SpoolItem { symbols, body })
    }

    /// Once everything is written: reads items in any order.
    pub fn into_decoder(self) -> ItemDecoder {
        ItemDecoder { symbols: self.symbols }
    }
}

/// Decodes items: in order from the first, or in any order once it knows the symbols of all.
#[derive(Debug, Clone, Default)]
pub struct ItemDecoder {
    symbols: Symbols,
}

impl ItemDecoder {
    pub fn decode(&mut self, sealed: &[u8]) -> Result<Item, CodecError> {
        let stored: v1::SpoolItem<'_> = seal::read(Kind::SpoolItem, sealed)?;
        take_symbols(&mut self.symbols, Kind::SpoolItem, &stored.symbols)?;
        Ok(match stored.body {
            v1::SpoolBody::Record { page, index, raw, mapped, record } => Item::Record(SpooledRecord {
                position: Position { page, index },
                raw: digest(raw),
                mapped: digest(mapped),
                record: record_from_v1(&self.symbols, &record)?,
            }),
            v1::SpoolBody::Note(note) => Item::Note(note_from_v1(&note)),
        })
    }
}
