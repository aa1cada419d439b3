//! Makes the index by reading every block: one thread reads, another takes up what was read.

use std::panic::resume_unwind;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use sled::IVec;

use super::engine::{Engine, io_error};
use super::index::{Entering, Index};
use super::integrity::Sum;
use super::state::unreadable;
use super::{StoreError, keys};
use crate::codec::{CodecError, Glance, Kind, Symbols, Unpacked};
use crate::limits::BLOCK_USERS;
use crate::model::UserNo;

/// Blocks handed over at once, and how often that may be ahead.
const BLOCKS_AT_ONCE: usize = 64;
const AHEAD: usize = 4;

type Rows = Vec<(IVec, IVec)>;

/// Takes up everybody in the store into an empty index. Returns the sum of the blocks.
pub fn scan(engine: &Engine, symbols: &Symbols, index: &mut Index) -> Result<Sum, StoreError> {
    let (read, rows) = sync_channel(AHEAD);
    let sum = std::thread::scope(|scope| {
        let builder = std::thread::Builder::new().name("store-scan".into());
        let mut taker = Taker { entering: Entering::new(index, symbols), sum: Sum::default() };
        let taker = builder.spawn_scoped(scope, move || taker.take_all(&rows));
        let taker = taker.map_err(|source| io_error("start a thread for", engine.folder(), source))?;
        let done = read_all(engine, read);
        let sum = taker.join().unwrap_or_else(|panic| resume_unwind(panic));
        done.and(sum)
    })?;
    index.build_tables().map_err(|source| io_error("start a thread for", engine.folder(), source))?;
    Ok(sum)
}

fn read_all(engine: &Engine, read: SyncSender<Rows>) -> Result<(), StoreError> {
    let mut rows = Rows::with_capacity(BLOCKS_AT_ONCE);
    for row in engine.scan_much(keys::BLOCKS) {
        rows.push(row?);
        if rows.len() == BLOCKS_AT_ONCE && read.send(std::mem::take(&mut rows)).is_err() {
            // Whoever takes them up has failed, and says why.
            return Ok(());
        }
    }
    // The same.
    let _ = read.send(rows);
    Ok(())
}

struct Taker<'a> {
    entering: Entering<'a>,
    sum: Sum,
}

impl Taker<'_> {
    fn take_all(&mut self, rows: &Receiver<Rows>) -> Result<Sum, StoreError> {
        for (key, sealed) in rows.iter().flatten() {
            self.sum.add(&key, &sealed);
            self.take_block(&key, &sealed)?;
        }
        Ok(self.sum)
    }

    fn take_block(&mut self, key: &[u8], sealed: &[u8]) -> Result<(), StoreError> {
        let number =
            keys::block_number(key).ok_or_else(|| unreadable("a block's key")(CodecError::Short(Kind::Block)))?;
        self.take_people(number, sealed).map_err(|error| unreadable(format!("block {number}"))(error))
    }

    fn take_people(&mut self, block: u32, sealed: &[u8]) -> Result<(), CodecError> {
        for (slot, bytes) in Unpacked::open(sealed)?.people()? {
            let user = u32::try_from(slot).ok().and_then(|slot| block.checked_mul(BLOCK_USERS)?.checked_add(slot));
            let malformed = || CodecError::Malformed { kind: Kind::Block, what: "its key".into() };
            self.entering.take_up(UserNo(user.ok_or_else(malformed)?), &Glance::at(bytes)?)?;
        }
        Ok(())
    }
}
