//! How we know that the engine gives back what it was given.
//!
//! sled guards each page with a checksum, but after a kill a damaged page makes it take its log for shorter than it
//! was: it then opens, without a word, as it stood some commits ago. So every batch carries a count and a sum over
//! all keys and values, and the count of the last batch on disk is kept in a file of our own, the anchor. At open the
//! count may not be lower than the anchor's, and the sum must be that of what was read. The blocks have a sum of their
//! own beside it, by which a snapshot of the index is known to be of them; see [`super::snapshot`].

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::Xxh3;

use super::engine::{io_error, sync_folder};
use super::{StoreError, keys};
use crate::codec::{CodecError, Kind, open, seal};
use crate::model::{CommunityKey, Digest};

/// A sum over keys and values, whatever their order: of 128-bit hashes, wrapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sum(u128);

impl Sum {
    pub fn add(&mut self, key: &[u8], value: &[u8]) {
        self.0 = self.0.wrapping_add(hash(key, value));
    }

    /// The sum of what both are sums of.
    pub const fn and(self, Self(other): Self) -> Self {
        Self(self.0.wrapping_add(other))
    }

    pub const fn to_le_bytes(self) -> [u8; 16] {
        self.0.to_le_bytes()
    }

    pub const fn from_le_bytes(bytes: [u8; 16]) -> Self {
        Self(u128::from_le_bytes(bytes))
    }
}

/// The sums of what was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sums {
    pub blocks: Sum,
    /// Of every other key.
    pub rest: Sum,
}

impl Sums {
    pub fn take_up(&mut self, key: &[u8], value: &[u8]) {
        let sum = if key.starts_with(keys::BLOCKS) { &mut self.blocks } else { &mut self.rest };
        sum.add(key, value);
    }
}

fn hash(key: &[u8], value: &[u8]) -> u128 {
    let mut hash = Xxh3::new();
    hash.update(&(key.len() as u64).to_le_bytes());
    hash.update(key);
    hash.update(value);
    hash.digest128()
}

/// What is known of the whole store after a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    /// Batches since the store was made.
    pub batches: u64,
    /// Of every key but the record's own.
    pub sum: Sum,
    /// Of the blocks alone. A record of version 1 does not say; the first scan does.
    pub blocks: Option<Sum>,
    /// Tells whether the community key beside the store is the one it was made with.
    pub key: u64,
}

/// A record of version 1 ends after the key.
const RECORD_BYTES: usize = 8 + 16 + 8;

impl Record {
    /// Of a store without a batch.
    pub fn new(key: &CommunityKey) -> Self {
        let key = Digest::seed(&[b"integrity", key.bytes()]);
        Self { batches: 0, sum: Sum::default(), blocks: Some(Sum::default()), key }
    }

    /// A value comes under a key that has none.
    pub fn add(&mut self, key: &[u8], value: &[u8]) {
        self.shift(key, hash(key, value));
    }

    /// A value goes.
    pub fn take(&mut self, key: &[u8], value: &[u8]) {
        self.shift(key, hash(key, value).wrapping_neg());
    }

    fn shift(&mut self, key: &[u8], by: u128) {
        self.sum.0 = self.sum.0.wrapping_add(by);
        if let Some(blocks) = self.blocks.as_mut().filter(|_| key.starts_with(keys::BLOCKS)) {
            blocks.0 = blocks.0.wrapping_add(by);
        }
    }

    pub fn encode(&self) -> Vec<u8> {
        let blocks = self.blocks.map(Sum::to_le_bytes);
        let blocks = blocks.as_ref().map_or(&[][..], |sum| sum);
        let (batches, sum, key) = (self.batches.to_le_bytes(), self.sum.to_le_bytes(), self.key.to_le_bytes());
        seal(Kind::Integrity, &[&batches[..], &sum, &key, blocks].concat())
    }

    pub fn decode(sealed: &[u8]) -> Result<Self, CodecError> {
        let payload = open(Kind::Integrity, sealed)?;
        let malformed = || CodecError::Malformed { kind: Kind::Integrity, what: "its length".into() };
        let (record, blocks) = payload.split_first_chunk::<RECORD_BYTES>().ok_or_else(malformed)?;
        let (batches, record) = record.split_first_chunk().ok_or_else(malformed)?;
        let (sum, record) = record.split_first_chunk().ok_or_else(malformed)?;
        let (key, _) = record.split_first_chunk().ok_or_else(malformed)?;
        let blocks = match blocks {
            [] => None,
            blocks => Some(Sum::from_le_bytes(blocks.try_into().map_err(|_| malformed())?)),
        };
        let (batches, key) = (u64::from_le_bytes(*batches), u64::from_le_bytes(*key));
        Ok(Self { batches, sum: Sum::from_le_bytes(*sum), blocks, key })
    }
}

/// The file that says how many batches are on disk. It is written after each one and not synced: it may lag behind
/// after a power cut, which is harmless, and never leads.
pub struct Anchor {
    path: PathBuf,
    file: File,
}

impl Anchor {
    /// Opens or makes the file. Returns what it says; nothing where it is new or unreadable.
    pub fn open(path: &Path) -> Result<(Self, Option<Record>), StoreError> {
        let is_new = !path.exists();
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
        let file = file.map_err(|source| io_error("open", path, source))?;
        if is_new && let Some(folder) = path.parent() {
            sync_folder(folder)?;
        }
        let mut sealed = Vec::new();
        io::Read::read_to_end(&mut &file, &mut sealed).map_err(|source| io_error("read", path, source))?;
        Ok((Self { path: path.to_owned(), file }, Record::decode(&sealed).ok()))
    }

    pub fn write(&self, record: &Record) -> Result<(), StoreError> {
        self.file.write_all_at(&record.encode(), 0).map_err(|source| io_error("write", &self.path, source))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_knows_every_key_and_value_and_no_order() {
        let rows: [(&[u8], &[u8]); 3] = [(b"a", b"1"), (b"b", b"2"), (b"", b"")];
        let sum = |rows: &[(&[u8], &[u8])]| {
            let mut sum = Sum::default();
            rows.iter().for_each(|(key, value)| sum.add(key, value));
            sum
        };
        let all = sum(&rows);
        assert_eq!(all, sum(&[rows[2], rows[0], rows[1]]));
        assert_ne!(all, sum(&rows[..2]), "a row is missing");
        assert_ne!(all, sum(&[(b"a", b"2"), (b"b", b"1"), rows[2]]), "values changed places");
        assert_ne!(sum(&[(b"ab", b"c")]), sum(&[(b"a", b"bc")]), "a byte changed sides");
        assert_eq!(sum(&rows[..1]).and(sum(&rows[1..])), all);
    }

    #[test]
    fn a_record_sums_blocks_apart_and_with_the_rest() {
        let mut record = Record::new(&CommunityKey::new([7; 32]));
        let (block, gone, run) = ((keys::block(7), b"1"), (keys::block(8), b"2"), (b"r1", b"3"));
        record.add(&block.0, block.1);
        record.add(&gone.0, gone.1);
        record.add(run.0, run.1);
        record.take(&gone.0, gone.1);
        let mut sums = Sums::default();
        sums.blocks.add(&block.0, block.1);
        sums.rest.add(run.0, run.1);
        assert_eq!((record.sum, record.blocks), (sums.blocks.and(sums.rest), Some(sums.blocks)));
        let mut first = Record { blocks: None, ..record };
        first.add(&gone.0, gone.1);
        assert_eq!(first.blocks, None, "what is not known stays so");
        first.take(&gone.0, gone.1);
        assert_eq!(first.sum, record.sum);
    }

    /// A record as the first version sealed it.
    #[test]
    fn a_record_of_the_first_version_knows_nothing_of_blocks() {
        let mut record = Record::new(&CommunityKey::new([7; 32]));
        record.batches = 258;
        record.add(b"key", b"value");
        record.blocks = None;
        let mut sealed = record.encode();
        sealed[1] = 1;
        let mut hash = Xxh3::new();
        hash.update(&sealed[..2]);
        hash.update(&sealed[10..]);
        sealed[2..10].copy_from_slice(&hash.digest().to_le_bytes());
        assert_eq!(sealed.len(), 42);
        assert_eq!(Record::decode(&sealed), Ok(record));
    }

    #[test]
    fn a_record_is_read_as_written_and_damage_is_seen() {
        let mut record = Record::new(&CommunityKey::new([7; 32]));
        record.batches = 258;
        record.add(&keys::block(1), b"value");
        let sealed = record.encode();
        assert_eq!(Record::decode(&sealed), Ok(record));
        for bit in 0..sealed.len() * 8 {
            let mut damaged = sealed.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(Record::decode(&damaged).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn an_anchor_keeps_the_last_record() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("anchor");
        let (anchor, found) = Anchor::open(&path).unwrap();
        assert_eq!(found, None);
        let mut record = Record::new(&CommunityKey::new([7; 32]));
        for batches in [1, 2] {
            record.batches = batches;
            anchor.write(&record).unwrap();
        }
        assert_eq!(Anchor::open(&path).unwrap().1, Some(record));
        std::fs::write(&path, "damaged").unwrap();
        assert_eq!(Anchor::open(&path).unwrap().1, None);
    }
}
