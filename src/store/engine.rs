//! sled behind a narrow interface: get, scan by prefix, atomic batch, sync. Another ordered key-value
//! engine could take its place here.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs::File;
use std::path::{Path, PathBuf};

use parking_lot::{Mutex, RwLock};
use sled::IVec;

use super::StoreError;
use crate::limits::STORE_CACHE_BYTES;

/// The one tree.
pub struct Engine {
    db: sled::Db,
    path: PathBuf,
    /// Our own handles on sled's files; see [`Self::sync`].
    files: Mutex<Vec<(PathBuf, File)>>,
    /// What the keys of an applied batch held before it, until it is synced. Readers get this: what they are told must
    /// not be taken back by a crash.
    unsynced: RwLock<HashMap<Vec<u8>, Option<IVec>>>,
}

/// Puts and removals that happen together or not at all.
#[derive(Default)]
pub struct Batch {
    inner: sled::Batch,
    keys: Vec<Vec<u8>>,
    bytes: usize,
}

impl Batch {
    pub fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.bytes += key.len() + value.len();
        self.keys.push(key.clone());
        self.inner.insert(key, value);
    }

    pub fn remove(&mut self, key: Vec<u8>) {
        self.bytes += key.len();
        self.keys.push(key.clone());
        self.inner.remove(key);
    }
}

impl Engine {
    /// Opens or creates the tree in a folder of its own. The caller holds the data directory's lock.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        remove_half_snapshots(path)?;
        let db = sled::Config::new()
            .path(path)
            .cache_capacity(STORE_CACHE_BYTES)
            // The writer flushes after every batch; a timer would only add writes nobody waits for.
            .flush_every_ms(None)
            .open()
            .map_err(|source| StoreError::Open { path: path.to_owned(), source })?;
        Ok(Self { db, path: path.to_owned(), files: Mutex::default(), unsynced: RwLock::default() })
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
        {
            let mut unsynced = self.unsynced.write();
            for key in batch.keys {
                // Of several batches before one sync, the first knows what is on disk.
                if let Entry::Vacant(place) = unsynced.entry(key) {
                    let before = self.get_applied(place.key())?;
                    place.insert(before);
                }
            }
        }
        let failed = |source| StoreError::Engine { operation: "write the store", source };
        self.db.apply_batch(batch.inner).map_err(failed)
    }

    /// Makes every applied batch survive a power cut.
    ///
    /// sled's own flush ends in `sync_file_range` on Linux, which writes pages back but neither the disk's cache
    /// nor the file's length; so we `fdatasync` its files through handles of our own.
    pub fn sync(&self) -> Result<(), StoreError> {
        self.db.flush().map_err(|source| StoreError::Engine { operation: "flush the store", source })?;
        let mut files = self.files.lock();
        self.take_up_new_files(&mut files)?;
        for (path, file) in files.iter() {
            file.sync_data().map_err(|source| io("sync", path, source))?;
        }
        self.unsynced.write().clear();
        Ok(())
    }

    /// sled keeps its log in `db` and values too large for a segment in `blobs/`; snapshots are rebuilt from the log.
    fn take_up_new_files(&self, files: &mut Vec<(PathBuf, File)>) -> Result<(), StoreError> {
        let blobs = self.path.join("blobs");
        let mut paths = vec![self.path.join("db"), self.path.join("conf")];
        if blobs.is_dir() {
            for entry in std::fs::read_dir(&blobs).map_err(|source| io("list", &blobs, source))? {
                paths.push(entry.map_err(|source| io("list", &blobs, source))?.path());
            }
        }
        files.retain(|(path, _)| path.exists());
        let known = files.len();
        for path in paths {
            if path.is_file() && !files.iter().any(|(open, _)| *open == path) {
                let file = File::open(&path).map_err(|source| io("open", &path, source))?;
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

    pub fn bytes_on_disk(&self) -> Result<u64, StoreError> {
        self.db.size_on_disk().map_err(|source| StoreError::Engine { operation: "measure the store", source })
    }
}

/// sled refuses to open beside a snapshot that a kill left half-written. It is only a short cut to what the log says.
fn remove_half_snapshots(path: &Path) -> Result<(), StoreError> {
    let entries = match std::fs::read_dir(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(|source| io("list", path, source))?,
    };
    for entry in entries {
        let file = entry.map_err(|source| io("list", path, source))?.path();
        if file.extension().is_some_and(|extension| extension == "generating") {
            std::fs::remove_file(&file).map_err(|source| io("remove", &file, source))?;
        }
    }
    Ok(())
}

fn io(operation: &'static str, path: &Path, source: std::io::Error) -> StoreError {
    StoreError::Io { operation, path: path.to_owned(), source }
}

/// Makes new or renamed files of a folder survive a power cut.
pub fn sync_folder(path: &Path) -> Result<(), StoreError> {
    File::open(path).and_then(|folder| folder.sync_all()).map_err(|source| io("sync", path, source))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_synced_is_not_told() {
        let folder = tempfile::tempdir().unwrap();
        let engine = Engine::open(&folder.path().join("db")).unwrap();
        let told = |key: &[u8]| engine.get(key).unwrap().map(|value| value.to_vec());
        let apply = |old: Option<&[u8]>, new: &[u8]| {
            let mut batch = Batch::default();
            batch.put(b"new".to_vec(), new.to_vec());
            if let Some(old) = old {
                batch.put(b"old".to_vec(), old.to_vec());
            } else {
                batch.remove(b"old".to_vec());
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
