//! sled behind a narrow interface: get, scan by prefix, atomic batch, sync. Another ordered key-value
//! engine could take its place here.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};
use sled::IVec;

use super::integrity::{Anchor, Record, Sums};
use super::sled_files::SledFiles;
use super::{StoreError, keys, pieces};
use crate::faults::{Faults, Step};
use crate::limits::{STORE_CACHE_BYTES, STORE_SEGMENT_BYTES};
use crate::model::CommunityKey;

/// The one tree.
pub struct Engine {
    db: sled::Db,
    files: SledFiles,
    /// What the keys of an applied batch held before it, until it is synced. Readers get this: what they are told must
    /// not be taken back by a crash.
    unsynced: RwLock<HashMap<Vec<u8>, Option<IVec>>>,
    anchor: Anchor,
    /// As of the last batch applied.
    record: Mutex<Record>,
    /// Was nothing synced since it was opened? Opening and the first reading may settle what a kill left unsettled, see
    /// [`Self::settle`], which must be on disk before anything is written.
    is_new: AtomicBool,
    faults: Faults,
}

/// Puts (`Some`) and removals that happen together or not at all, by key; the last word on a key counts.
#[derive(Default)]
pub struct Batch {
    changes: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    bytes: usize,
}

impl Batch {
    pub fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.bytes += key.len() + value.len();
        self.changes.insert(key, Some(value));
    }

    pub fn remove(&mut self, key: Vec<u8>) {
        self.bytes += key.len();
        self.changes.insert(key, None);
    }

    /// About how many bytes it writes.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }
}

/// Where an engine's folder lies, and what is kept of it beside.
#[derive(Debug, Clone)]
pub struct Place {
    pub folder: PathBuf,
    pub anchor: PathBuf,
    /// The snapshot of its index.
    pub index: PathBuf,
    /// The community's tombstones, whichever engine is meant.
    pub tombstones: PathBuf,
}

/// See [`Engine::pass`].
const CACHE_VISITS: usize = 8;

/// Threads of an engine just closed may hold its lock for a moment longer.
const CLOSING: Duration = Duration::from_secs(5);

impl Engine {
    /// Opens or creates the tree in a folder of its own, and refuses one that is older than its anchor or belongs to
    /// another community. The caller holds the data directory's lock.
    pub fn open(place: &Place, key: &CommunityKey, faults: &Faults) -> Result<Self, StoreError> {
        let (engine, anchored) = Self::open_unchecked(place, key, faults)?;
        let found = engine.get(keys::INTEGRITY)?;
        let found = found.map(|sealed| Record::decode(&sealed)).transpose();
        let found = found.map_err(|source| StoreError::Codec { what: "the store's own record".into(), source })?;
        check_age(found.as_ref(), anchored.as_ref())?;
        let mut record = *engine.record.lock();
        match found {
            Some(found) if found.key != record.key => return Err(StoreError::WrongKey),
            Some(found) => record = found,
            // Made before stores had a record: what is there is taken as whole.
            None => {
                let sums = engine.sums()?;
                (record.sum, record.blocks) = (sums.blocks.and(sums.rest), Some(sums.blocks));
            }
        }
        *engine.record.lock() = record;
        Ok(engine)
    }

    /// Opens the tree as it is, to read what can be read; also returns what the anchor says.
    pub fn open_unchecked(
        place: &Place,
        key: &CommunityKey,
        faults: &Faults,
    ) -> Result<(Self, Option<Record>), StoreError> {
        let files = SledFiles::prepare(&place.folder)?;
        let db = open_sled(&place.folder)?;
        let (anchor, anchored) = Anchor::open(&place.anchor)?;
        let engine = Self {
            db,
            files,
            unsynced: RwLock::default(),
            anchor,
            record: Mutex::new(Record::new(key)),
            is_new: AtomicBool::new(true),
            faults: faults.clone(),
        };
        Ok((engine, anchored))
    }

    pub fn folder(&self) -> &Path {
        self.files.folder()
    }

    fn sums(&self) -> Result<Sums, StoreError> {
        let mut sums = Sums::default();
        for row in self.scan(b"") {
            let (key, value) = row?;
            if !pieces::is_piece(&key) {
                sums.take_up(&key, &value);
            }
        }
        Ok(sums)
    }

    /// What is known of the whole store, as of the last batch applied.
    pub fn record(&self) -> Record {
        *self.record.lock()
    }

    /// Are these the sums of what was last written? From then on the record knows the blocks' own.
    pub fn check(&self, sums: Sums) -> Result<(), StoreError> {
        let mut record = self.record.lock();
        let is_whole = record.sum == sums.blocks.and(sums.rest) && record.blocks.is_none_or(|sum| sum == sums.blocks);
        if !is_whole {
            return Err(StoreError::Incomplete);
        }
        record.blocks = Some(sums.blocks);
        Ok(())
    }

    /// The value as it is on disk for good.
    pub fn get(&self, key: &[u8]) -> Result<Option<IVec>, StoreError> {
        // Held while sled is asked, so that no batch is applied in between.
        let unsynced = self.unsynced.read();
        match unsynced.get(key) {
            Some(before) => Ok(before.clone()),
            None => self.get_applied(key),
        }
    }

    fn get_applied(&self, key: &[u8]) -> Result<Option<IVec>, StoreError> {
        self.stored(key)?.map(|stored| self.whole(key, stored)).transpose()
    }

    /// What sled has under a key: the value, or what stands for its pieces.
    fn stored(&self, key: &[u8]) -> Result<Option<IVec>, StoreError> {
        self.db.get(key).map_err(|source| StoreError::Engine { operation: "read the store", source })
    }

    /// The value of a key from what is stored under it.
    fn whole(&self, key: &[u8], stored: IVec) -> Result<IVec, StoreError> {
        let Some(count) = pieces::count(&stored) else { return Ok(stored) };
        let mut value = Vec::new();
        for piece in 0..count {
            // One that is missing is found by the value's checksum.
            value.extend_from_slice(&self.stored(&pieces::key(key, piece))?.unwrap_or_default());
        }
        Ok(value.into())
    }

    /// Keys with the prefix and their values, ascending.
    pub fn scan(&self, prefix: &[u8]) -> impl DoubleEndedIterator<Item = Result<(IVec, IVec), StoreError>> {
        self.db.scan_prefix(prefix).map(|row| {
            let (key, stored) = row.map_err(|source| StoreError::Engine { operation: "scan the store", source })?;
            let value = self.whole(&key, stored)?;
            Ok((key, value))
        })
    }

    /// The same for more than fits into memory.
    pub fn scan_much(&self, prefix: &[u8]) -> impl Iterator<Item = Result<(IVec, IVec), StoreError>> {
        self.scan(prefix).inspect(|row| {
            if let Ok((key, _)) = row {
                self.pass(key);
            }
        })
    }

    /// To be called for each key by whoever goes through more than fits into memory.
    ///
    /// sled notes each visit of a node in one of 256 lists, and looks into a list, to see what is to leave its cache,
    /// only when 64 are noted. Who visits each node once keeps up to 16,384 of them: a gigabyte. Of the visits made
    /// here, a node of 8 keys gets so many that its list is looked into at once.
    pub fn pass(&self, key: &[u8]) {
        // What cannot be read is told where it is read.
        (0..CACHE_VISITS).for_each(|_| drop(self.db.contains_key(key)));
    }

    /// Applies a batch. It is durable, and seen by [`Self::get`], only after [`Self::sync`].
    pub fn apply(&self, batch: Batch) -> Result<(), StoreError> {
        if self.is_new.load(Ordering::Acquire) {
            self.sync()?;
        }
        let mut record = *self.record.lock();
        record.batches += 1;
        let mut inner = sled::Batch::default();
        let mut touched = vec![keys::INTEGRITY.to_vec()];
        let mut unsynced = self.unsynced.write();
        for (key, value) in batch.changes {
            let old = self.get_applied(&key)?;
            if let Some(old) = &old {
                record.take(&key, old);
            }
            if let Some(value) = &value {
                record.add(&key, value);
            }
            touched.extend(put_pieces(&mut inner, &key, old.as_deref(), value.as_deref()));
            // Of several batches before one sync, the first knows what is on disk.
            unsynced.entry(key).or_insert(old);
        }
        drop(unsynced);
        inner.insert(keys::INTEGRITY, record.encode());
        let failed = |source| StoreError::Engine { operation: "write the store", source };
        self.faults.step(Step::Batch, |source| failed(source.into()), || self.db.apply_batch(inner).map_err(failed))?;
        *self.record.lock() = record;
        self.settle(&touched)
    }

    /// Makes this the engine of which a record tells, whose values it holds already.
    pub fn take_record(&self, record: Record) -> Result<(), StoreError> {
        let failed = |source| StoreError::Engine { operation: "write the store", source };
        self.db.insert(keys::INTEGRITY, record.encode()).map_err(failed)?;
        *self.record.lock() = record;
        self.settle(&[keys::INTEGRITY.to_vec()])?;
        self.sync()
    }

    /// Visits every node that a batch changed.
    ///
    /// sled splits and merges nodes when they are next visited, by whom does not matter, and trusts what it has written
    /// as if it were synced: it overwrites what a split replaced. Left to a reader, a split would lie unsynced when the
    /// next batch is written, and a power cut then could take with it what was acknowledged long ago. Visited here, it
    /// is synced with its batch, and reading writes nothing.
    fn settle(&self, keys: &[Vec<u8>]) -> Result<(), StoreError> {
        keys.iter().try_for_each(|key| {
            self.stored(key)?;
            self.pass(key);
            Ok(())
        })
    }

    /// Is everything that was applied, and what an earlier process left, known to be on disk?
    pub fn is_synced(&self) -> bool {
        !self.is_new.load(Ordering::Acquire) && self.unsynced.read().is_empty()
    }

    /// Makes every applied batch survive a power cut, and seen by [`Self::get`].
    pub fn sync(&self) -> Result<(), StoreError> {
        self.make_durable()?;
        self.show();
        Ok(())
    }

    /// Makes every applied batch survive a power cut; see [`SledFiles::sync`].
    pub fn make_durable(&self) -> Result<(), StoreError> {
        let failed = |source| StoreError::Engine { operation: "flush the store", source };
        self.faults.step(Step::Flush, |source| failed(source.into()), || self.db.flush().map(drop).map_err(failed))?;
        let io = |operation| move |source| io_error(operation, self.folder(), source);
        self.faults.step(Step::Sync, io("sync"), || self.files.sync())?;
        self.faults.step(Step::Anchor, io("anchor"), || self.anchor.write(&self.record.lock()))?;
        self.is_new.store(false, Ordering::Release);
        Ok(())
    }

    /// Lets what is durable be seen by [`Self::get`].
    pub fn show(&self) {
        self.unsynced.write().clear();
    }
}

/// One put or removal, with the pieces that come and go. Returns every key touched.
fn put_pieces(batch: &mut sled::Batch, key: &[u8], old: Option<&[u8]>, new: Option<&[u8]>) -> Vec<Vec<u8>> {
    let mut touched = vec![key.to_vec()];
    match new {
        Some(value) => {
            let (head, parts) = pieces::split(value);
            batch.insert(key, head);
            for (piece, part) in (0..).zip(parts) {
                touched.push(pieces::key(key, piece));
                batch.insert(pieces::key(key, piece), part);
            }
        }
        None => batch.remove(key),
    }
    let (kept, held) = (new.map_or(0, pieces::needed), old.map_or(0, pieces::needed));
    for piece in kept..held {
        touched.push(pieces::key(key, piece));
        batch.remove(pieces::key(key, piece));
    }
    touched
}

#[cfg(test)]
impl Engine {
    /// Changes values behind the record's back, as a damaged disk would.
    pub fn apply_raw(&self, batch: Batch) {
        for (key, value) in batch.changes {
            match value {
                Some(value) => drop(self.db.insert(key, value).unwrap()),
                None => drop(self.db.remove(key).unwrap()),
            }
        }
        self.db.flush().unwrap();
    }

    /// Bytes that were written since the last sync.
    pub fn unflushed(&self) -> usize {
        self.db.flush().unwrap()
    }

    pub fn put_raw(&self, key: &[u8], value: Vec<u8>) {
        let mut batch = Batch::default();
        batch.put(key.to_vec(), value);
        self.apply_raw(batch);
    }
}

/// An engine that knows of fewer batches than were acknowledged has lost some.
fn check_age(found: Option<&Record>, anchored: Option<&Record>) -> Result<(), StoreError> {
    let batches = |record: Option<&Record>| record.map_or(0, |record| record.batches);
    let (found, anchored) = (batches(found), batches(anchored));
    if found < anchored { Err(StoreError::WentBack { found, anchored }) } else { Ok(()) }
}

fn open_sled(path: &Path) -> Result<sled::Db, StoreError> {
    let patience = Instant::now() + CLOSING;
    loop {
        let config = sled::Config::new()
            .path(path)
            .cache_capacity(STORE_CACHE_BYTES)
            .segment_size(STORE_SEGMENT_BYTES)
            // The writer flushes after every batch; a timer would only add writes nobody waits for.
            .flush_every_ms(None);
        // On some damaged logs sled panics.
        match catch_unwind(AssertUnwindSafe(|| config.open())) {
            Ok(Ok(db)) => return Ok(db),
            Ok(Err(sled::Error::Io(error))) if error.to_string().contains("lock") && Instant::now() < patience => {
                std::thread::sleep(Duration::from_millis(10));
            }
            Ok(Err(source)) => return Err(StoreError::Open { path: path.to_owned(), source }),
            Err(_) => return Err(StoreError::Unopenable { path: path.to_owned() }),
        }
    }
}

pub fn io_error(operation: &'static str, path: &Path, source: std::io::Error) -> StoreError {
    StoreError::Io { operation, path: path.to_owned(), source }
}

/// Makes new or renamed files of a folder survive a power cut.
pub fn sync_folder(path: &Path) -> Result<(), StoreError> {
    File::open(path).and_then(|folder| folder.sync_all()).map_err(|source| io_error("sync", path, source))
}
