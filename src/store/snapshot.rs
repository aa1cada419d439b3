//! The indexes in a file, so that opening need not read every person: a sealed head, then the columns of
//! [`super::index`]. Hash tables are not in it; they are made from the columns.
//!
//! The head bears the sum over all blocks, which every batch writes into the store, too: equal sums mean that the
//! columns were made of exactly these blocks. It also bears the count of batches. A store that wrote a batch after its
//! last snapshot, because the process died, is scanned, so that damage which sled hides after a kill is found then.
//! The file is not synced: what a power cut leaves of it fails its checksum.
//!
//! Invariant: a file that is missing, stale or damaged is never an error but a scan, and never believed.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Read, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::PathBuf;

use parking_lot::Mutex;

use super::StoreError;
use super::columns::{ColumnReader, ColumnWriter, unfit};
use super::engine::io_error;
use super::index::{Index, Known};
use super::integrity::{Record, Sum};
use super::room::Room;
use crate::codec::{Kind, open_newest, seal};
use crate::faults::{Faults, Step};
use crate::model::CommunityKey;

/// The file in which the indexes are kept.
pub struct Snapshot {
    path: PathBuf,
    faults: Faults,
    /// What this process knows the file to bear.
    kept: Mutex<Option<Head>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Head {
    /// Batches of the store when this was last true.
    batches: u64,
    /// See [`Record::key`].
    key: u64,
    /// The sum of the blocks that the columns were made of.
    blocks: Sum,
    /// How many symbols of each kind the columns may name.
    symbols: [u32; 4],
    body_bytes: u64,
    body: u128,
}

const PAYLOAD_BYTES: usize = 8 + 8 + 16 + 4 * 4 + 8 + 16;
/// With its seal.
const HEAD_BYTES: usize = 10 + PAYLOAD_BYTES;

impl Head {
    fn encode(&self) -> Vec<u8> {
        let mut payload = Vec::with_capacity(PAYLOAD_BYTES);
        payload.extend_from_slice(&self.batches.to_le_bytes());
        payload.extend_from_slice(&self.key.to_le_bytes());
        payload.extend_from_slice(&self.blocks.to_le_bytes());
        self.symbols.iter().for_each(|count| payload.extend_from_slice(&count.to_le_bytes()));
        payload.extend_from_slice(&self.body_bytes.to_le_bytes());
        payload.extend_from_slice(&self.body.to_le_bytes());
        seal(Kind::IndexHead, &payload)
    }

    fn decode(sealed: &[u8]) -> Option<Self> {
        fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
            let (taken, after) = rest.split_first_chunk()?;
            *rest = after;
            Some(*taken)
        }
        let mut rest = open_newest(Kind::IndexHead, sealed)?;
        let head = Self {
            batches: u64::from_le_bytes(take(&mut rest)?),
            key: u64::from_le_bytes(take(&mut rest)?),
            blocks: Sum::from_le_bytes(take(&mut rest)?),
            symbols: [take(&mut rest)?, take(&mut rest)?, take(&mut rest)?, take(&mut rest)?].map(u32::from_le_bytes),
            body_bytes: u64::from_le_bytes(take(&mut rest)?),
            body: u128::from_le_bytes(take(&mut rest)?),
        };
        rest.is_empty().then_some(head)
    }

    /// Was this made of these blocks, by a store that named no more than this one?
    fn is_of(&self, record: &Record, known: &Known) -> bool {
        let named = self.symbols.iter().zip(&known.symbols).all(|(named, known)| named <= known);
        named && self.key == record.key && Some(self.blocks) == record.blocks
    }
}

impl Snapshot {
    pub fn new(path: PathBuf, faults: Faults) -> Self {
        Self { path, faults, kept: Mutex::new(None) }
    }

    /// The indexes, if the file bears those of a store closed in this state; else nothing. A file that knows of a
    /// later batch than the store tells that the store went back in time.
    pub fn read(&self, record: &Record, known: &Known, key: &CommunityKey) -> Result<Option<Index>, StoreError> {
        let Ok((mut file, head)) = self.open() else { return Ok(None) };
        if head.key == record.key && head.batches > record.batches {
            return Err(StoreError::WentBack { found: record.batches, anchored: head.batches });
        }
        if head.batches != record.batches || !head.is_of(record, known) {
            return Ok(None);
        }
        let index = read_body(&mut file, &head, known, key).ok();
        *self.kept.lock() = index.is_some().then_some(head);
        Ok(index)
    }

    fn open(&self) -> io::Result<(File, Head)> {
        let mut file = File::open(&self.path)?;
        let mut head = [0; HEAD_BYTES];
        file.read_exact(&mut head)?;
        let head = Head::decode(&head).ok_or_else(|| unfit("no head"))?;
        if file.metadata()?.len().checked_sub(HEAD_BYTES as u64) != Some(head.body_bytes) {
            return Err(unfit("another length"));
        }
        Ok((file, head))
    }

    /// Makes the file bear these indexes, which are those of the store as the record says. What it bears already is
    /// not written again.
    pub fn keep(&self, record: &Record, known: &Known, index: &Index, room: &Room) -> Result<(), StoreError> {
        let mut kept = self.kept.lock();
        if let Some(head) = kept.take_if(|head| head.is_of(record, known)) {
            let renewed = Head { batches: record.batches, ..head };
            if head == renewed || self.renew(&renewed)? {
                *kept = Some(renewed);
                return Ok(());
            }
        }
        let Some(blocks) = record.blocks else { return Ok(()) };
        room.check_file(index.bytes_about())?;
        let blank =
            Head { batches: record.batches, key: record.key, blocks, symbols: known.symbols, body_bytes: 0, body: 0 };
        *kept = Some(self.write(blank, index)?);
        Ok(())
    }

    /// Writes a head over the one in place. Returns whether there was a file.
    fn renew(&self, head: &Head) -> Result<bool, StoreError> {
        let failed = |source| io_error("write", &self.path, source);
        self.faults.step(Step::IndexWrite, failed, || match OpenOptions::new().write(true).open(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            file => file.and_then(|file| file.write_all_at(&head.encode(), 0)).map(|()| true).map_err(failed),
        })
    }

    /// Writes the whole file beside the old one, which is gone before: it holds no more, and may be large.
    fn write(&self, head: Head, index: &Index) -> Result<Head, StoreError> {
        let part = self.path.with_extension("tmp");
        let write = || {
            let failed = |source| io_error("write", &part, source);
            let head = self.faults.step(Step::IndexWrite, failed, || {
                super::files::remove(&self.path)?;
                write_file(&part, head, index).map_err(failed)
            })?;
            let failed = |source| io_error("rename", &part, source);
            self.faults.step(Step::IndexRename, failed, || fs::rename(&part, &self.path).map_err(failed))?;
            Ok(head)
        };
        let written = write();
        if written.is_err() {
            // What stays is written over the next time, and takes room until then.
            let _ = fs::remove_file(&part);
        }
        written
    }
}

fn write_file(path: &std::path::Path, head: Head, index: &Index) -> io::Result<Head> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(&[0; HEAD_BYTES])?;
    let mut columns = ColumnWriter::new(&file);
    index.write(&mut columns)?;
    let (body_bytes, body) = columns.end()?;
    let head = Head { body_bytes, body, ..head };
    file.write_all_at(&head.encode(), 0)?;
    Ok(head)
}

fn read_body(file: &mut File, head: &Head, known: &Known, key: &CommunityKey) -> io::Result<Index> {
    let mut columns = ColumnReader::new(BufReader::new(file), head.body_bytes);
    let mut index = Index::read(key, known, &mut columns)?;
    if columns.end()? != head.body {
        return Err(unfit("another checksum"));
    }
    index.build_tables()?;
    Ok(index)
}
