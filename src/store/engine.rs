//! sled behind a narrow interface: get, scan by prefix, atomic batch, sync. Another ordered key-value
//! engine could take its place here.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use parking_lot::{Mutex, RwLock};
use sled::IVec;

use super::{StoreError, pieces};
use crate::limits::STORE_CACHE_BYTES;

/// The one tree.
pub struct Engine {
    db: sled::Db,
    path: PathBuf,
    /// Our own handles on sled's files; see [`Self::sync`].
    files: Mutex<Vec<(PathBuf, File)>>,
    /// Readers keep out of sled while a batch is on its way to the disk; see [`Self::commit`].
    gate: RwLock<()>,
}

/// Puts and removals that happen together or not at all; of several for one key the last counts.
#[derive(Default)]
pub struct Batch {
    writes: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
}

impl Batch {
    pub fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.writes.insert(key, Some(value));
    }

    pub fn remove(&mut self, key: Vec<u8>) {
        self.writes.insert(key, None);
    }
}

impl Engine {
    /// Opens or creates the tree in a folder of its own. The caller holds the data directory's lock.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        remove_half_snapshots(path)?;
        write_settings(path)?;
        // sled builds upon what it finds; of that a killed process may have left some in the system's cache only.
        let mut files = Vec::new();
        sync_files(path, &mut files)?;
        let db = sled::Config::new()
            .path(path)
            .cache_capacity(STORE_CACHE_BYTES)
            // The writer flushes after every batch; a timer would only add writes nobody waits for.
            .flush_every_ms(None)
            .open()
            .map_err(|source| StoreError::Open { path: path.to_owned(), source })?;
        Ok(Self { db, path: path.to_owned(), files: Mutex::new(files), gate: RwLock::default() })
    }

    /// The value under a key, as it is on disk. Waits while a batch is committed.
    pub fn get(&self, key: &[u8]) -> Result<Option<IVec>, StoreError> {
        let _open = self.gate.read();
        let stored = self.stored(key)?;
        stored.map(|stored| self.whole(key, stored)).transpose()
    }

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

    /// Applies a batch and makes it survive a power cut. Until then nobody sees it, or they would be told what a cut may
    /// take back.
    ///
    /// Readers must keep out for another reason. sled splits and merges nodes when they are next visited, by whom does
    /// not matter, and trusts what it has written as if it were synced: it marks later parts of its log with it and
    /// overwrites what it replaced. A node split by a reader belongs to no batch; lost in a cut, it takes with it what
    /// was acknowledged long ago. So the writer visits every node that it changed, within a second batch, which is the
    /// same one again and changes nothing else; then reading writes nothing.
    pub fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        let _alone = self.gate.write();
        let mut writes = sled::Batch::default();
        for (key, value) in batch.writes {
            self.write(&mut writes, &key, value.as_deref())?;
        }
        for writes in [writes.clone(), writes] {
            let failed = |source| StoreError::Engine { operation: "write the store", source };
            self.db.apply_batch(writes).map_err(failed)?;
            self.sync()?;
        }
        Ok(())
    }

    /// One put or removal, with the pieces that come and go.
    fn write(&self, writes: &mut sled::Batch, key: &[u8], value: Option<&[u8]>) -> Result<(), StoreError> {
        let stored = self.stored(key)?;
        let mut kept = 0;
        if let Some(value) = value {
            let (head, parts) = pieces::split(value);
            writes.insert(key, head);
            for (piece, part) in (0..).zip(parts) {
                writes.insert(pieces::key(key, piece), part);
                kept = piece + 1;
            }
        } else {
            writes.remove(key);
        }
        let held = stored.and_then(|stored| pieces::count(&stored)).unwrap_or(0);
        (kept..held).for_each(|piece| writes.remove(pieces::key(key, piece)));
        Ok(())
    }

    /// Brings to disk what sled has written.
    ///
    /// sled's own flush ends in `sync_file_range` on Linux, which writes pages back but neither the disk's cache
    /// nor the file's length; so we `fdatasync` its files through handles of our own.
    pub fn sync(&self) -> Result<(), StoreError> {
        self.db.flush().map_err(|source| StoreError::Engine { operation: "flush the store", source })?;
        sync_files(&self.path, &mut self.files.lock())
    }

    pub fn bytes_on_disk(&self) -> Result<u64, StoreError> {
        self.db.size_on_disk().map_err(|source| StoreError::Engine { operation: "measure the store", source })
    }
}

/// Brings sled's files to disk, through handles that are kept. It keeps its log in `db`; in `blobs/` it kept values too
/// large for its log, before we cut them into pieces. Snapshots are rebuilt from the log.
fn sync_files(path: &Path, files: &mut Vec<(PathBuf, File)>) -> Result<(), StoreError> {
    let blobs = path.join("blobs");
    let mut paths = vec![path.join("db"), path.join("conf")];
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
        for folder in [Some(path), Some(&blobs), path.parent()].into_iter().flatten() {
            if folder.is_dir() {
                sync_folder(folder)?;
            }
        }
    }
    for (path, file) in files.iter() {
        file.sync_data().map_err(|source| io("sync", path, source))?;
    }
    Ok(())
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

    fn files_in(folder: &Path) -> Vec<PathBuf> {
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
    }

    /// sled's log may reach the disk before the entries of `blobs/` do, and then passes over what it does not find.
    #[test]
    fn a_batch_with_large_values_is_not_kept_by_half_when_new_files_are_lost() {
        let folder = tempfile::tempdir().unwrap();
        let (path, blobs) = (folder.path().join("db"), folder.path().join("db/blobs"));
        let engine = Engine::open(&path).unwrap();
        let put = |version: u8| {
            let mut batch = Batch::default();
            batch.put(b"large".to_vec(), vec![version; 1 << 20]);
            batch.put(b"small".to_vec(), vec![version]);
            engine.commit(batch).unwrap();
        };
        put(1);
        let safe = files_in(&blobs);
        put(2);
        drop(engine);
        files_in(&blobs).iter().filter(|file| !safe.contains(file)).for_each(|file| fs::remove_file(file).unwrap());
        let engine = Engine::open(&path).unwrap();
        let version = |key: &[u8]| engine.get(key).unwrap().map(|value| value[0]);
        assert_eq!(version(b"large"), version(b"small"));
    }

    #[test]
    fn values_of_every_size_are_read_as_written_and_leave_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db");
        let mut engine = Engine::open(&path).unwrap();
        let sizes = [10, 200_000, 4_000, 30_000, 2_000_000, 100];
        for round in 0..sizes.len() {
            let mut batch = Batch::default();
            for key in 0..60 {
                let value = vec![b'a' + key; sizes[(round + usize::from(key)) % sizes.len()]];
                batch.put(vec![b'k', key], value);
            }
            engine.commit(batch).unwrap();
            assert!(files_in(&path.join("blobs")).is_empty(), "round {round}");
            drop(engine);
            engine = Engine::open(&path).unwrap();
            let found: Vec<_> = engine.scan(b"k").map(Result::unwrap).collect();
            assert_eq!(found.len(), 60);
            for (key, value) in found {
                let size = sizes[(round + usize::from(key[1])) % sizes.len()];
                assert!(value.len() == size && value.iter().all(|byte| *byte == b'a' + key[1]), "{key:?}");
                assert_eq!(engine.get(&key).unwrap(), Some(value));
            }
        }
        let mut batch = Batch::default();
        (0..60).for_each(|key| batch.remove(vec![b'k', key]));
        engine.commit(batch).unwrap();
        assert_eq!(engine.db.len(), 0, "pieces without their value");
    }

    #[test]
    fn reading_writes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let engine = Engine::open(&folder.path().join("db")).unwrap();
        for round in 0..20_u8 {
            let mut batch = Batch::default();
            for key in (0..400_u16).filter(|key| key % 7 != u16::from(round) % 7) {
                batch.put((key * (1 + u16::from(round) % 3)).to_be_bytes().to_vec(), vec![round; 3_000]);
            }
            (0..100_u16).for_each(|key| batch.remove((key * u16::from(round)).to_be_bytes().to_vec()));
            engine.commit(batch).unwrap();
            engine.db.flush().unwrap();
            (0..1200_u16).for_each(|key| drop(engine.get(&key.to_be_bytes()).unwrap()));
            engine.scan(b"").for_each(|row| drop(row.unwrap()));
            assert_eq!(engine.db.flush().unwrap(), 0, "round {round}");
        }
    }

    #[test]
    fn large_values_of_earlier_builds_are_read_and_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let engine = Engine::open(&folder.path().join("db")).unwrap();
        engine.db.insert(b"k", vec![2; 300_000]).unwrap();
        assert_eq!(engine.get(b"k").unwrap().unwrap().len(), 300_000);
        let mut batch = Batch::default();
        batch.put(b"k".to_vec(), vec![2; 200_000]);
        engine.commit(batch).unwrap();
        assert_eq!(engine.get(b"k").unwrap().unwrap().len(), 200_000);
    }
}
