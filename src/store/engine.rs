//! sled behind a narrow interface: get, scan by prefix, atomic batch, sync. Another ordered key-value
//! engine could take its place here.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};
use sled::IVec;

use super::integrity::{Anchor, Record, Sum};
use super::{StoreError, keys};
use crate::faults::{Faults, Step};
use crate::limits::STORE_CACHE_BYTES;
use crate::model::CommunityKey;

/// The one tree.
pub struct Engine {
    db: sled::Db,
    path: PathBuf,
    /// Our own handles on sled's files; see [`Self::sync`].
    files: Mutex<Vec<(PathBuf, File)>>,
    /// What the keys of an applied batch held before it, until it is synced. Readers get this: what they are told must
    /// not be taken back by a crash.
    unsynced: RwLock<HashMap<Vec<u8>, Option<IVec>>>,
    anchor: Anchor,
    /// As of the last batch applied.
    record: Mutex<Record>,
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

/// Where an engine's folder and its anchor lie.
#[derive(Debug, Clone)]
pub struct Place {
    pub folder: PathBuf,
    pub anchor: PathBuf,
}

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
            None => record.sum = engine.sum()?,
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
        let db = open_sled(&place.folder)?;
        let (anchor, anchored) = Anchor::open(&place.anchor)?;
        let engine = Self {
            db,
            path: place.folder.clone(),
            files: Mutex::default(),
            unsynced: RwLock::default(),
            anchor,
            record: Mutex::new(Record::new(key)),
            faults: faults.clone(),
        };
        Ok((engine, anchored))
    }

    fn sum(&self) -> Result<Sum, StoreError> {
        let mut sum = Sum::default();
        for row in self.scan(b"") {
            let (key, value) = row?;
            sum.add(&key, &value);
        }
        Ok(sum)
    }

    /// Is this the sum of what was last written?
    pub fn check(&self, sum: Sum) -> Result<(), StoreError> {
        if self.record.lock().sum == sum { Ok(()) } else { Err(StoreError::Incomplete) }
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
        self.db.get(key).map_err(|source| StoreError::Engine { operation: "read the store", source })
    }

    /// Keys with the prefix and their values, ascending.
    pub fn scan(&self, prefix: &[u8]) -> impl DoubleEndedIterator<Item = Result<(IVec, IVec), StoreError>> {
        let failed = |source| StoreError::Engine { operation: "scan the store", source };
        self.db.scan_prefix(prefix).map(move |row| row.map_err(failed))
    }

    /// Applies a batch. It is durable, and seen by [`Self::get`], only after [`Self::sync`].
    pub fn apply(&self, batch: Batch) -> Result<(), StoreError> {
        let mut record = *self.record.lock();
        record.batches += 1;
        let mut inner = sled::Batch::default();
        let mut unsynced = self.unsynced.write();
        for (key, value) in batch.changes {
            let old = self.get_applied(&key)?;
            if let Some(old) = &old {
                record.sum.take(&key, old);
            }
            if let Some(value) = &value {
                record.sum.add(&key, value);
            }
            // Of several batches before one sync, the first knows what is on disk.
            unsynced.entry(key.clone()).or_insert(old);
            match value {
                Some(value) => inner.insert(key, value),
                None => inner.remove(key),
            }
        }
        drop(unsynced);
        inner.insert(keys::INTEGRITY, record.encode());
        let failed = |source| StoreError::Engine { operation: "write the store", source };
        self.faults.step(Step::Batch, |source| failed(source.into()), || self.db.apply_batch(inner).map_err(failed))?;
        *self.record.lock() = record;
        Ok(())
    }

    /// Makes every applied batch survive a power cut.
    ///
    /// sled's own flush ends in `sync_file_range` on Linux, which writes pages back but neither the disk's cache
    /// nor the file's length; so we `fdatasync` its files through handles of our own.
    pub fn sync(&self) -> Result<(), StoreError> {
        let failed = |source| StoreError::Engine { operation: "flush the store", source };
        self.faults.step(Step::Flush, |source| failed(source.into()), || self.db.flush().map(drop).map_err(failed))?;
        let io = |operation| move |source| io_error(operation, &self.path, source);
        self.faults.step(Step::Sync, io("sync"), || self.sync_files())?;
        self.faults.step(Step::Anchor, io("anchor"), || self.anchor.write(&self.record.lock()))?;
        self.unsynced.write().clear();
        Ok(())
    }

    fn sync_files(&self) -> Result<(), StoreError> {
        let mut files = self.files.lock();
        self.take_up_new_files(&mut files)?;
        for (path, file) in files.iter() {
            file.sync_data().map_err(|source| io_error("sync", path, source))?;
        }
        Ok(())
    }

    /// sled keeps its log in `db` and values too large for a segment in `blobs/`; snapshots are rebuilt from the log.
    fn take_up_new_files(&self, files: &mut Vec<(PathBuf, File)>) -> Result<(), StoreError> {
        let blobs = self.path.join("blobs");
        let mut paths = vec![self.path.join("db"), self.path.join("conf")];
        if blobs.is_dir() {
            for entry in std::fs::read_dir(&blobs).map_err(|source| io_error("list", &blobs, source))? {
                paths.push(entry.map_err(|source| io_error("list", &blobs, source))?.path());
            }
        }
        files.retain(|(path, _)| path.exists());
        let known = files.len();
        for path in paths {
            if path.is_file() && !files.iter().any(|(open, _)| *open == path) {
                let file = File::open(&path).map_err(|source| io_error("open", &path, source))?;
                files.push((path, file));
            }
        }
        if files.len() > known {
            // The folder itself is new to its parent.
            for folder in [Some(self.path.as_path()), Some(&blobs), self.path.parent()].into_iter().flatten() {
                if folder.is_dir() {
                    sync_folder(folder)?;
                }
            }
        }
        Ok(())
    }
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
    remove_half_snapshots(path)?;
    let patience = Instant::now() + CLOSING;
    loop {
        let config = sled::Config::new()
            .path(path)
            .cache_capacity(STORE_CACHE_BYTES)
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

/// sled refuses to open beside a snapshot that a kill left half-written. It is only a short cut to what the log says.
fn remove_half_snapshots(path: &Path) -> Result<(), StoreError> {
    let entries = match std::fs::read_dir(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(|source| io_error("list", path, source))?,
    };
    for entry in entries {
        let file = entry.map_err(|source| io_error("list", path, source))?.path();
        if file.extension().is_some_and(|extension| extension == "generating") {
            std::fs::remove_file(&file).map_err(|source| io_error("remove", &file, source))?;
        }
    }
    Ok(())
}

pub fn io_error(operation: &'static str, path: &Path, source: std::io::Error) -> StoreError {
    StoreError::Io { operation, path: path.to_owned(), source }
}

/// Makes new or renamed files of a folder survive a power cut.
pub fn sync_folder(path: &Path) -> Result<(), StoreError> {
    File::open(path).and_then(|folder| folder.sync_all()).map_err(|source| io_error("sync", path, source))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_synced_is_not_told() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place { folder: folder.path().join("db"), anchor: folder.path().join("anchor") };
        let engine = Engine::open(&place, &CommunityKey::new([7; 32]), &Faults::none()).unwrap();
        let told = |key: &[u8]| engine.get(key).unwrap().map(|value| value.to_vec());
        let apply = |old: Option<&[u8]>, new: &[u8]| {
            let mut batch = Batch::default();
            batch.put(b"new".to_vec(), new.to_vec());
            match old {
                Some(old) => batch.put(b"old".to_vec(), old.to_vec()),
                None => batch.remove(b"old".to_vec()),
            }
            engine.apply(batch).unwrap();
        };
        apply(Some(b"1"), b"1");
        assert_eq!((told(b"old"), told(b"new")), (None, None));
        engine.sync().unwrap();
        assert_eq!((told(b"old"), told(b"new")), (Some(b"1".to_vec()), Some(b"1".to_vec())));
        apply(Some(b"2"), b"2");
        apply(None, b"3");
        assert_eq!((told(b"old"), told(b"new")), (Some(b"1".to_vec()), Some(b"1".to_vec())));
        engine.sync().unwrap();
        assert_eq!((told(b"old"), told(b"new")), (None, Some(b"3".to_vec())));
    }
}
