//! The data directory: lock file, community key, the engine's folder, the runs' files.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::StoreError;
use super::engine::sync_folder;
use crate::model::CommunityKey;

/// The layout of the data directory; a higher one is refused.
pub const STORE_SCHEMA: u32 = 1;

/// A locked data directory. Dropping it gives the lock back.
pub struct Folder {
    path: PathBuf,
    _lock: File,
}

impl Folder {
    /// Makes the folder if need be (0700) and takes its lock.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let io = |operation, path: &Path| {
            let path = path.to_owned();
            move |source| StoreError::Io { operation, path, source }
        };
        make_folder(path)?;
        let lock_path = path.join("lock");
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&lock_path)
            .map_err(io("open", &lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // Only for the message: an unreadable holder is an unknown one.
                let _ = lock.read_to_string(&mut holder);
                let holder = if holder.is_empty() { "unknown".into() } else { holder.trim().to_owned() };
                return Err(StoreError::Locked { path: lock_path, holder });
            }
            Err(TryLockError::Error(source)) => {
                return Err(StoreError::Io { operation: "lock", path: lock_path, source });
            }
        }
        lock.set_len(0).map_err(io("write", &lock_path))?;
        writeln!(lock, "{}", std::process::id()).map_err(io("write", &lock_path))?;
        make_folder(&path.join("runs"))?;
        let folder = Self { path: path.to_owned(), _lock: lock };
        folder.check_schema()?;
        Ok(folder)
    }

    fn check_schema(&self) -> Result<(), StoreError> {
        let path = self.path.join("schema");
        let text = self.read_or_create(&path, || format!("{STORE_SCHEMA}\n"))?;
        match text.trim().parse::<u32>() {
            Ok(STORE_SCHEMA) => Ok(()),
            Ok(found) => Err(StoreError::Schema { path, found, known: STORE_SCHEMA }),
            Err(_) => Err(StoreError::Unreadable { path, what: "a schema number" }),
        }
    }

    /// The community's secret, made at the first open.
    pub fn community_key(&self) -> Result<CommunityKey, StoreError> {
        let path = self.path.join("community.key");
        let mut fresh = [0; 32];
        getrandom::fill(&mut fresh).map_err(|source| StoreError::Random(source.to_string()))?;
        let text = self.read_or_create(&path, || hex(&fresh))?;
        unhex(text.trim()).map(CommunityKey::new).ok_or(StoreError::Unreadable { path, what: "64 hexadecimal digits" })
    }

    /// A small file's text; made durably with `fresh` when it is not there.
    fn read_or_create(&self, path: &Path, fresh: impl FnOnce() -> String) -> Result<String, StoreError> {
        let io = |operation| move |source| StoreError::Io { operation, path: path.to_owned(), source };
        match fs::read_to_string(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            read => return read.map_err(io("read")),
        }
        let part = path.with_extension("part");
        let text = fresh();
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part).map_err(io("create"))?;
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(io("write"))?;
        fs::rename(&part, path).map_err(io("rename"))?;
        sync_folder(&self.path)?;
        Ok(text)
    }

    /// Writes a file of this size and removes it. It is not brought to disk: the file system refuses what it has
    /// no room for when it is written.
    pub fn check_room(&self, bytes: usize) -> Result<(), StoreError> {
        let path = self.path.join("room.part");
        let written = fs::write(&path, vec![0; bytes]);
        // Gone already, or overwritten by the next try.
        let _ = fs::remove_file(&path);
        written.map_err(|source| StoreError::Io { operation: "write", path, source })
    }

    pub fn engine(&self) -> PathBuf {
        self.path.join("db")
    }

    /// Spools and journals, one per run.
    pub fn runs(&self) -> PathBuf {
        self.path.join("runs")
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Makes a folder (0700) and what is missing above it. A power cut takes none of them away again.
fn make_folder(path: &Path) -> Result<(), StoreError> {
    let new: Vec<&Path> =
        path.ancestors().take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists()).collect();
    let failed = |source| StoreError::Io { operation: "create", path: path.to_owned(), source };
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
    for folder in new {
        let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty());
        sync_folder(parent.unwrap_or(Path::new(".")))?;
    }
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(bytes)
}
