//! sled behind a narrow interface: get, scan by prefix, atomic batch, sync. Another ordered key-value
//! engine could take its place here.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Write;
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
    /// What stood under the keys of batches that are not on disk yet.
    unsynced: RwLock<HashMap<Vec<u8>, Option<IVec>>>,
}

/// Puts and removals that happen together or not at all.
#[derive(Default)]
pub struct Batch {
    inner: sled::Batch,
    keys: Vec<Vec<u8>>,
}

impl Batch {
    pub fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.keys.push(key.clone());
        self.inner.insert(key, value);
    }

    pub fn remove(&mut self, key: Vec<u8>) {
        self.keys.push(key.clone());
        self.inner.remove(key);
    }
}

impl Engine {
    /// Opens or creates the tree in a folder of its own. The caller holds the data directory's lock.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        remove_half_snapshots(path)?;
        write_settings(path)?;
        let db = sled::Config::new()
            .path(path)
            .cache_capacity(STORE_CACHE_BYTES)
            // The writer flushes after every batch; a timer would only add writes nobody waits for.
            .flush_every_ms(None)
            .open()
            .map_err(|source| StoreError::Open { path: path.to_owned(), source })?;
        Ok(Self { db, path: path.to_owned(), files: Mutex::default(), unsynced: RwLock::default() })
    }

    /// The value under a key, as it is on disk: what was applied shows only when it is synced, or somebody would be told
    /// what a power cut may take back.
    pub fn get(&self, key: &[u8]) -> Result<Option<IVec>, StoreError> {
        // Held while sled is asked, so that no batch is applied in between.
        let unsynced = self.unsynced.read();
        if let Some(before) = unsynced.get(key) {
            return Ok(before.clone());
        }
        self.db.get(key).map_err(|source| StoreError::Engine { operation: "read the store", source })
    }

    /// Keys with the prefix and their values, ascending.
    pub fn scan(&self, prefix: &[u8]) -> impl DoubleEndedIterator<Item = Result<(IVec, IVec), StoreError>> {
        let failed = |source| StoreError::Engine { operation: "scan the store", source };
        self.db.scan_prefix(prefix).map(move |row| row.map_err(failed))
    }

    /// Applies a batch. It is durable, and seen by [`Self::get`], only after [`Self::sync`].
    pub fn apply(&self, batch: Batch) -> Result<(), StoreError> {
        let before = batch.keys.into_iter().map(|key| Ok((self.get(&key)?, key)));
        let before: Vec<_> = before.collect::<Result<_, StoreError>>()?;
        self.unsynced.write().extend(before.into_iter().map(|(value, key)| (key, value)));
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
            for entry in fs::read_dir(&blobs).map_err(|source| io("list", &blobs, source))? {
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

/// sled's settings as it writes them itself, with their checksum. They never differ: nothing of this is set here.
const SETTINGS: &[u8] = b"segment_size: 524288\nuse_compression: false\nversion: 0.34\n\x76\x19\x51\xc1";

/// Writes sled's settings where they are not whole. sled does not sync what it writes, and refuses to open for ever on
/// the zeros that a power cut may leave of it.
fn write_settings(folder: &Path) -> Result<(), StoreError> {
    let (path, part) = (folder.join("conf"), folder.join("conf.part"));
    if fs::read(&path).is_ok_and(|found| found == SETTINGS) {
        return Ok(());
    }
    fs::create_dir_all(folder).map_err(|source| io("create", folder, source))?;
    let mut file = File::create(&part).map_err(|source| io("create", &part, source))?;
    file.write_all(SETTINGS).and_then(|()| file.sync_all()).map_err(|source| io("write", &part, source))?;
    fs::rename(&part, &path).map_err(|source| io("rename", &part, source))?;
    sync_folder(folder)
}

/// sled refuses to open beside a snapshot that a kill left half-written. It is only a short cut to what the log says.
fn remove_half_snapshots(path: &Path) -> Result<(), StoreError> {
    let entries = match fs::read_dir(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(|source| io("list", path, source))?,
    };
    for entry in entries {
        let file = entry.map_err(|source| io("list", path, source))?.path();
        if file.extension().is_some_and(|extension| extension == "generating") {
            fs::remove_file(&file).map_err(|source| io("remove", &file, source))?;
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
    fn the_settings_are_those_that_sled_writes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db");
        drop(sled::Config::new().path(&path).open().unwrap());
        assert_eq!(fs::read(path.join("conf")).unwrap(), SETTINGS);
    }

    #[test]
    fn settings_that_a_power_cut_left_empty_are_written_anew() {
        for left in [&[][..], &[0; 62], &SETTINGS[..20]] {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join("conf"), left).unwrap();
            Engine::open(folder.path()).unwrap_or_else(|error| panic!("{left:?}: {error}"));
        }
    }

    #[test]
    fn a_batch_is_seen_when_it_is_on_disk_and_not_before() {
        let folder = tempfile::tempdir().unwrap();
        let engine = Engine::open(&folder.path().join("db")).unwrap();
        let seen = |key: &[u8]| engine.get(key).unwrap().map(|value| value.to_vec());
        let put = |value: &[u8]| {
            let mut batch = Batch::default();
            batch.put(b"a".to_vec(), value.to_vec());
            engine.apply(batch).unwrap();
        };
        put(b"1");
        assert_eq!(seen(b"a"), None);
        engine.sync().unwrap();
        assert_eq!(seen(b"a"), Some(b"1".to_vec()));
        put(b"2");
        assert_eq!(seen(b"a"), Some(b"1".to_vec()));
        let mut batch = Batch::default();
        batch.remove(b"a".to_vec());
        engine.apply(batch).unwrap();
        assert_eq!(seen(b"a"), Some(b"1".to_vec()), "the oldest of two that are not on disk");
        engine.sync().unwrap();
        assert_eq!(seen(b"a"), None);
    }
}
