//! The store rewritten into a fresh folder, for sled leaves what was deleted in its files, perhaps for ever.
//!
//! The copy holds the same values under the same keys, and the same record: count of batches, sums. So the anchor and the
//! snapshot of the indexes hold for it as for the old one, and nothing in memory changes. It is read back and summed up
//! before it takes the old one's place. Readers go on but for the moment of the swap; whoever writes waits.
//!
//! A kill at any instant leaves the old folder or the new one in place, or neither: then [`Swap::mend`] ends what was
//! begun. A disk that fails, or has no room for both, leaves the old one.

use std::fs;
use std::path::{Path, PathBuf};

use super::engine::{Batch, Engine, Place, io_error, sync_folder};
use super::files::remove;
use super::integrity::Sums;
use super::room::Room;
use super::{StoreError, keys, pieces};
use crate::faults::{Faults, Step};
use crate::limits::BATCH_BYTES_MAX;
use crate::model::CommunityKey;

/// How large the engine's files were and are, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compaction {
    pub before: u64,
    pub after: u64,
}

/// The names in a data directory between which engines change places.
#[derive(Debug, Clone)]
pub struct Swap {
    data: PathBuf,
}

impl Swap {
    pub fn of(data: &Path) -> Self {
        Self { data: data.to_owned() }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.data.join(name)
    }

    fn current(&self) -> PathBuf {
        self.at("db")
    }

    /// The copy while it is made.
    fn making(&self) -> Place {
        let [folder, anchor, index, tombstones] =
            ["db.copy", "anchor.copy", "index.copy", "tombstones"].map(|name| self.at(name));
        Place { folder, anchor, index, tombstones }
    }

    /// The copy when it is whole and on disk.
    fn made(&self) -> PathBuf {
        self.at("db.copied")
    }

    /// The old one while it goes.
    fn old(&self) -> PathBuf {
        self.at("db.old")
    }

    /// Ends what a kill or a failing disk interrupted: puts an engine in place where there is none.
    pub fn mend(&self) -> Result<(), StoreError> {
        if self.current().exists() {
            return Ok(());
        }
        let left = [self.made(), self.old()].into_iter().find(|folder| folder.exists());
        left.map_or(Ok(()), |folder| {
            rename(&folder, &self.current())?;
            sync_folder(&self.data)
        })
    }

    /// Removes what is left beside an engine that could be opened.
    pub fn tidy_up(&self) -> Result<(), StoreError> {
        let Place { folder, anchor, .. } = self.making();
        [folder, anchor, self.made(), self.old()].iter().try_for_each(|path| remove(path))
    }

    /// Makes the copy of an engine in which everything is on disk.
    pub fn copy(&self, old: &Engine, key: &CommunityKey, room: &Room, faults: &Faults) -> Result<(), StoreError> {
        self.tidy_up()?;
        let place = self.making();
        let (new, _) = Engine::open_unchecked(&place, key, faults)?;
        old.check(copy_values(old, &new, room)?)?;
        new.take_record(old.record())?;
        drop(new);
        // As whoever opens it next will read it.
        let new = Engine::open(&place, key, faults)?;
        new.check(sums(&new)?)?;
        new.sync()?;
        drop(new);
        faults.step(Step::CompactMade, io("rename", &place.folder), || {
            rename(&place.folder, &self.made())?;
            sync_folder(&self.data)
        })
    }

    /// Puts the copy into the place of the old engine. Both must be closed.
    pub fn swap(&self, faults: &Faults) -> Result<(), StoreError> {
        faults.step(Step::CompactAside, io("rename", &self.current()), || {
            rename(&self.current(), &self.old())?;
            sync_folder(&self.data)
        })?;
        faults.step(Step::CompactSwap, io("rename", &self.made()), || {
            rename(&self.made(), &self.current())?;
            sync_folder(&self.data)
        })
    }

    /// Removes the old engine, with all that was deleted from it.
    pub fn drop_old(&self, faults: &Faults) -> Result<(), StoreError> {
        faults.step(Step::CompactRemove, io("remove", &self.old()), || self.tidy_up())?;
        sync_folder(&self.data)
    }
}

fn io<'p>(operation: &'static str, path: &'p Path) -> impl Fn(std::io::Error) -> StoreError + 'p {
    move |source| io_error(operation, path, source)
}

fn rename(from: &Path, to: &Path) -> Result<(), StoreError> {
    fs::rename(from, to).map_err(|source| io_error("rename", from, source))
}

fn is_value(key: &[u8]) -> bool {
    key != keys::INTEGRITY && !pieces::is_piece(key)
}

/// Copies every value, each as it is. Returns their sums.
fn copy_values(old: &Engine, new: &Engine, room: &Room) -> Result<Sums, StoreError> {
    let mut sums = Sums::default();
    let mut batch = Batch::default();
    for row in old.scan_much(b"") {
        let (key, value) = row?;
        if is_value(&key) {
            sums.take_up(&key, &value);
            batch.put(key.to_vec(), value.to_vec());
            if batch.bytes() >= BATCH_BYTES_MAX {
                write(new, std::mem::take(&mut batch), room)?;
            }
        }
    }
    write(new, batch, room)?;
    Ok(sums)
}

fn write(new: &Engine, batch: Batch, room: &Room) -> Result<(), StoreError> {
    room.check(batch.bytes())?;
    new.apply(batch)?;
    new.sync()
}

fn sums(engine: &Engine) -> Result<Sums, StoreError> {
    let mut sums = Sums::default();
    for row in engine.scan_much(b"") {
        let (key, value) = row?;
        if is_value(&key) {
            sums.take_up(&key, &value);
        }
    }
    Ok(sums)
}
