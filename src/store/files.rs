//! The data directory: lock file, community key, the engine's folder, the runs' files.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::StoreError;
use super::compact::Swap;
use super::engine::{Place, io_error, sync_folder};
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
        // Who holds the lock is only for the message; on a full disk it stays unsaid.
        let _ = lock.set_len(0).and_then(|()| writeln!(lock, "{}", std::process::id()));
        make_folder(&path.join("runs"))?;
        let folder = Self { path: path.to_owned(), _lock: lock };
        folder.check_schema()?;
        folder.finish_swap()?;
        Swap::of(path).mend()?;
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
    pub(super) fn read_or_create(&self, path: &Path, fresh: impl FnOnce() -> String) -> Result<String, StoreError> {
        let io = |operation| move |source| StoreError::Io { operation, path: path.to_owned(), source };
        match fs::read_to_string(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            read => return read.map_err(io("read")),
        }
        let text = fresh();
        self.replace(path, &text)?;
        Ok(text)
    }

    /// Puts a small file's text in the place of what was there, durably and whole.
    pub(super) fn replace(&self, path: &Path, text: &str) -> Result<(), StoreError> {
        let io = |operation| move |source| StoreError::Io { operation, path: path.to_owned(), source };
        let part = path.with_extension("part");
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part).map_err(io("create"))?;
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(io("write"))?;
        fs::rename(&part, path).map_err(io("rename"))?;
        sync_folder(&self.path)
    }

    pub fn engine(&self) -> Place {
        self.place("db", "anchor", "index")
    }

    /// Where a rebuild makes the new engine.
    pub fn engine_in_making(&self) -> Place {
        self.place("db.part", "anchor.part", "index.part")
    }

    fn place(&self, folder: &str, anchor: &str, index: &str) -> Place {
        let [folder, anchor, index, tombstones] =
            [folder, anchor, index, "tombstones"].map(|name| self.path.join(name));
        Place { folder, anchor, index, tombstones }
    }

    /// Puts the engine in the making, which must be whole and closed, into the old one's place. Returns where the old
    /// one is kept. A kill in between leaves either the old one or what [`Self::finish_swap`] ends.
    pub fn swap_engines(&self) -> Result<PathBuf, StoreError> {
        let (old, made) = (self.engine(), self.engine_in_making());
        let free = (1..).map(|n| self.path.join(format!("db.damaged-{n}"))).find(|path| !path.exists());
        let kept = free.unwrap_or_else(|| self.path.join("db.damaged"));
        remove(&old.anchor)?;
        remove(&old.index)?;
        rename(&made.folder, &self.made())?;
        rename(&made.anchor, &old.anchor)?;
        sync_folder(&self.path)?;
        if old.folder.exists() {
            rename(&old.folder, &kept)?;
        }
        self.finish_swap()?;
        Ok(kept)
    }

    /// A new engine that is whole and waits for its place.
    fn made(&self) -> PathBuf {
        self.path.join("db.new")
    }

    fn finish_swap(&self) -> Result<(), StoreError> {
        let folder = self.engine().folder;
        if folder.exists() || !self.made().exists() {
            return Ok(());
        }
        rename(&self.made(), &folder)?;
        sync_folder(&self.path)
    }

    /// The size of the engine's files, in bytes.
    pub fn engine_bytes(&self) -> Result<u64, StoreError> {
        let folder = self.engine().folder;
        [folder.join("blobs"), folder].iter().map(|folder| files_bytes(folder)).sum()
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
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|source| io_error("create", path, source))?;
    for folder in new {
        let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty());
        sync_folder(parent.unwrap_or(Path::new(".")))?;
    }
    Ok(())
}

fn rename(from: &Path, to: &Path) -> Result<(), StoreError> {
    fs::rename(from, to).map_err(|source| io_error("rename", from, source))
}

/// Removes a file or a folder with all in it, if it is there.
pub fn remove(path: &Path) -> Result<(), StoreError> {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(|source| io_error("remove", path, source)),
    }
}

fn files_bytes(folder: &Path) -> Result<u64, StoreError> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
        entries => entries.map_err(|source| io_error("list", folder, source))?,
    };
    let mut bytes = 0;
    for entry in entries {
        let entry = entry.map_err(|source| io_error("list", folder, source))?;
        // A file that is gone by now takes no room.
        bytes += entry.metadata().ok().filter(std::fs::Metadata::is_file).map_or(0, |file| file.len());
    }
    Ok(bytes)
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(bytes)
}
