//! sled's own files: made ready before it opens them, and brought to disk after it wrote them.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;

use super::StoreError;
use super::engine::{io_error, sync_folder};

/// The folder of one tree, with handles of our own on the files in it.
pub struct SledFiles {
    folder: PathBuf,
    open: Mutex<Vec<(PathBuf, File)>>,
}

/// sled's settings as it writes them itself, with their checksum.
const SETTINGS: &[u8] = b"segment_size: 2097152\nuse_compression: false\nversion: 0.34\n\x27\x9c\x3d\xb8";

impl SledFiles {
    /// Mends what a kill or a power cut left half-written, so that sled can open the folder.
    pub fn prepare(folder: &Path) -> Result<Self, StoreError> {
        remove_half_snapshots(folder)?;
        write_settings(folder)?;
        let files = Self { folder: folder.to_owned(), open: Mutex::default() };
        // sled builds upon what it finds; of that a killed process may have left some in the system's cache only.
        files.sync()?;
        Ok(files)
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Makes what sled wrote survive a power cut.
    ///
    /// sled's own flush ends in `sync_file_range` on Linux, which writes pages back but neither the disk's cache nor
    /// the file's length; so we `fdatasync` its files through handles of our own.
    pub fn sync(&self) -> Result<(), StoreError> {
        let mut open = self.open.lock();
        self.take_up_new_files(&mut open)?;
        for (path, file) in open.iter() {
            file.sync_data().map_err(|source| io_error("sync", path, source))?;
        }
        Ok(())
    }

    /// sled keeps its log in `db` and values too large for a segment in `blobs/`, which [`super::pieces`] keeps empty;
    /// snapshots are rebuilt from the log.
    fn take_up_new_files(&self, open: &mut Vec<(PathBuf, File)>) -> Result<(), StoreError> {
        let blobs = self.folder.join("blobs");
        let mut paths = vec![self.folder.join("db"), self.folder.join("conf")];
        if blobs.is_dir() {
            for entry in fs::read_dir(&blobs).map_err(|source| io_error("list", &blobs, source))? {
                paths.push(entry.map_err(|source| io_error("list", &blobs, source))?.path());
            }
        }
        open.retain(|(path, _)| path.exists());
        let known = open.len();
        for path in paths {
            if path.is_file() && !open.iter().any(|(known, _)| *known == path) {
                let file = File::open(&path).map_err(|source| io_error("open", &path, source))?;
                open.push((path, file));
            }
        }
        if open.len() > known {
            // The folder itself is new to its parent.
            for folder in [Some(self.folder.as_path()), Some(&blobs), self.folder.parent()].into_iter().flatten() {
                if folder.is_dir() {
                    sync_folder(folder)?;
                }
            }
        }
        Ok(())
    }
}

/// Writes sled's settings where they are not whole. sled does not sync what it writes, and refuses to open for ever on
/// the zeros that a power cut may leave of it. Whole ones that say something else are left for sled to refuse.
fn write_settings(folder: &Path) -> Result<(), StoreError> {
    let (path, part) = (folder.join("conf"), folder.join("conf.part"));
    if fs::read(&path).is_ok_and(|found| is_whole(&found)) {
        return Ok(());
    }
    fs::create_dir_all(folder).map_err(|source| io_error("create", folder, source))?;
    let mut file = File::create(&part).map_err(|source| io_error("create", &part, source))?;
    file.write_all(SETTINGS).and_then(|()| file.sync_all()).map_err(|source| io_error("write", &part, source))?;
    fs::rename(&part, &path).map_err(|source| io_error("rename", &part, source))?;
    sync_folder(folder)
}

/// Do settings end with their checksum?
fn is_whole(settings: &[u8]) -> bool {
    let Some((text, sum)) = settings.split_last_chunk() else { return false };
    !text.is_empty() && crc32fast::hash(text) == u32::from_le_bytes(*sum)
}

/// sled refuses to open beside a snapshot that a kill left half-written. It is only a short cut to what the log says.
fn remove_half_snapshots(folder: &Path) -> Result<(), StoreError> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(|source| io_error("list", folder, source))?,
    };
    for entry in entries {
        let file = entry.map_err(|source| io_error("list", folder, source))?.path();
        if file.extension().is_some_and(|extension| extension == "generating") {
            fs::remove_file(&file).map_err(|source| io_error("remove", &file, source))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::STORE_SEGMENT_BYTES;

    fn open(path: &Path) -> sled::Result<sled::Db> {
        sled::Config::new().path(path).segment_size(STORE_SEGMENT_BYTES).open()
    }

    #[test]
    fn the_settings_are_those_that_sled_writes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db");
        drop(open(&path).unwrap());
        assert_eq!(fs::read(path.join("conf")).unwrap(), SETTINGS);
    }

    #[test]
    fn settings_that_a_power_cut_left_empty_are_written_anew() {
        let mut flipped = SETTINGS.to_vec();
        flipped[14] ^= 1;
        for left in [&[][..], &[0; 63], &SETTINGS[..20], &flipped] {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join("conf"), left).unwrap();
            SledFiles::prepare(folder.path()).unwrap();
            open(folder.path()).unwrap_or_else(|error| panic!("{left:?}: {error}"));
        }
    }

    #[test]
    fn other_settings_are_refused_and_stay() {
        let folder = tempfile::tempdir().unwrap();
        drop(sled::Config::new().path(folder.path()).segment_size(512 * 1024).open().unwrap());
        let before = fs::read(folder.path().join("conf")).unwrap();
        SledFiles::prepare(folder.path()).unwrap();
        assert!(matches!(open(folder.path()), Err(sled::Error::Unsupported(_))));
        assert_eq!(fs::read(folder.path().join("conf")).unwrap(), before);
    }
}
