//! Spooled items: a mapped record that differs from the last time, a note on one that cannot be used, and how far the
//! read has come that they are of.

use jiff::Timestamp;

use super::convert::{
    digest, millis, new_symbols, note_from_v1, note_to_v1, record_from_v1, record_to_v1, take_symbols,
};
use super::seal::{self, CodecError, Kind};
use super::symbols::Symbols;
use super::v2;
use crate::model::{Digest, MappedRecord, Position, RecordNote};

/// A mapped record with where it stood and its two digests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpooledRecord {
    pub position: Position,
    pub raw: Digest,
    pub mapped: Digest,
    pub record: MappedRecord,
}

/// What a read was begun with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opening {
    /// Of the settings under which it means something.
    pub seed: u64,
    /// Every record is mapped, whatever its digest.
    pub full: bool,
    pub began: Timestamp,
    /// When the last read of the whole list began; `None` if this is one.
    pub read_whole_at: Option<Timestamp>,
}

/// How far a read has come: what stands before it in the spool is of whole pages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Where the list goes on, in the words of whoever read it.
    pub bookmark: Vec<u8>,
    pub at: Timestamp,
    /// Pages so far.
    pub pages: u32,
    /// What follows is of this page alone: its records.
    pub records: u64,
    /// Raw digests of those that were as the last time.
    pub unchanged: Vec<Digest>,
    /// Keys of registrations whose records differ only in what is not mapped.
    pub same: Vec<u128>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    Record(SpooledRecord),
    Note(RecordNote),
    Opening(Opening),
    Checkpoint(Checkpoint),
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
            Item::Record(SpooledRecord { position, raw, mapped, record }) => v2::SpoolBody::Record {
                page: position.page,
                index: position.index,
                raw: raw.0.to_le_bytes(),
                mapped: mapped.0.to_le_bytes(),
                record: record_to_v1(&mut self.symbols, record),
            },
            Item::Note(note) => v2::SpoolBody::Note(note_to_v1(note)),
            Item::Opening(Opening { seed, full, began, read_whole_at }) => v2::SpoolBody::Opening {
                seed: *seed,
                full: *full,
                began_ms: began.as_millisecond(),
                read_whole_at_ms: read_whole_at.map(Timestamp::as_millisecond),
            },
            Item::Checkpoint(checkpoint) => v2::SpoolBody::Checkpoint {
                bookmark: &checkpoint.bookmark,
                at_ms: checkpoint.at.as_millisecond(),
                pages: checkpoint.pages,
                records: checkpoint.records,
                unchanged: checkpoint.unchanged.iter().map(|digest| digest.0.to_le_bytes()).collect(),
                same: checkpoint.same.iter().map(|key| key.to_le_bytes()).collect(),
            },
        };
        let new = new_symbols(&self.symbols, seen);
        let symbols = new.iter().map(|(kind, name)| (*kind, &**name)).collect();
        seal::write(Kind::SpoolItem, &v2::SpoolItem { symbols, body })
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
        let stored: v2::SpoolItem<'_> = seal::read(Kind::SpoolItem, sealed)?;
        take_symbols(&mut self.symbols, Kind::SpoolItem, &stored.symbols)?;
        let time = |at| millis(Kind::SpoolItem, at);
        Ok(match stored.body {
            v2::SpoolBody::Record { page, index, raw, mapped, record } => Item::Record(SpooledRecord {
                position: Position { page, index },
                raw: digest(raw),
                mapped: digest(mapped),
                record: record_from_v1(&self.symbols, &record)?,
            }),
            v2::SpoolBody::Note(note) => Item::Note(note_from_v1(&note)),
            v2::SpoolBody::Opening { seed, full, began_ms, read_whole_at_ms } => Item::Opening(Opening {
                seed,
                full,
                began: time(began_ms)?,
                read_whole_at: read_whole_at_ms.map(time).transpose()?,
            }),
            v2::SpoolBody::Checkpoint { bookmark, at_ms, pages, records, unchanged, same } => {
                Item::Checkpoint(Checkpoint {
                    bookmark: bookmark.to_vec(),
                    at: time(at_ms)?,
                    pages,
                    records,
                    unchanged: unchanged.into_iter().map(digest).collect(),
                    same: same.into_iter().map(u128::from_le_bytes).collect(),
                })
            }
        })
    }

    /// Goes on writing after what was read.
    pub fn into_encoder(self) -> ItemEncoder {
        ItemEncoder { symbols: self.symbols }
    }
}
