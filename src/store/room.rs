//! Room on the disk: a reserve below which nothing is written, and a ballast that is given up when the disk is full
//! all the same, because sled cannot open its files without writing a little.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, fallocate, statvfs};

use super::StoreError;
use super::engine::{io_error, sync_folder};
use crate::limits::{STORE_BALLAST_BYTES, STORE_RESERVE_BYTES};

/// The disk that holds a data directory.
#[derive(Debug, Clone)]
pub struct Room {
    folder: PathBuf,
    ballast: PathBuf,
}

impl Room {
    pub fn of(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), ballast: folder.join("ballast") }
    }

    /// Is there room to write this much into the engine? Makes the ballast where it is missing.
    pub fn check(&self, bytes: usize) -> Result<(), StoreError> {
        // sled writes a page whole for any change in it, and moves pages to clean its log.
        self.check_file(4 * bytes)
    }

    /// The same for a file of this size.
    pub fn check_file(&self, bytes: usize) -> Result<(), StoreError> {
        let mut needed = STORE_RESERVE_BYTES + bytes as u64;
        let has_ballast = self.has_ballast();
        if !has_ballast {
            needed += STORE_BALLAST_BYTES;
        }
        let free = self.free()?;
        if free < needed {
            return Err(StoreError::NoRoom { path: self.folder.clone(), free, needed });
        }
        if has_ballast { Ok(()) } else { self.take_ballast() }
    }

    /// Bytes that a user who is not root may still write.
    pub fn free(&self) -> Result<u64, StoreError> {
        let stat = statvfs(&self.folder).map_err(|error| io_error("measure", &self.folder, error.into()))?;
        // Some file systems do not count their blocks; what they have no room for, they refuse.
        Ok(if stat.f_blocks == 0 { u64::MAX } else { stat.f_bavail.saturating_mul(stat.f_frsize) })
    }

    fn has_ballast(&self) -> bool {
        fs::metadata(&self.ballast).is_ok_and(|ballast| ballast.len() >= STORE_BALLAST_BYTES)
    }

    fn take_ballast(&self) -> Result<(), StoreError> {
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&self.ballast);
        let taken = file.and_then(|file| allocate(&file));
        if taken.is_err() {
            self.give_up_ballast();
        }
        taken.map_err(|source| io_error("allocate", &self.ballast, source))?;
        sync_folder(&self.folder)
    }

    /// Frees the ballast's room, so that the store can be opened.
    pub fn give_up_ballast(&self) {
        // What cannot be removed was not there, or makes no room.
        let _ = fs::remove_file(&self.ballast);
    }

    /// Writes a file of this size and removes it. It is not brought to disk: the file system refuses what it has
    /// no room for when it is written.
    pub fn probe(&self, bytes: usize) -> Result<(), StoreError> {
        self.check(bytes)?;
        let path = self.folder.join("room.part");
        let written = fs::write(&path, vec![0; bytes]);
        // Gone already, or overwritten by the next try.
        let _ = fs::remove_file(&path);
        written.map_err(|source| io_error("write", &path, source))
    }
}

/// Takes the blocks, not only the length.
fn allocate(file: &File) -> io::Result<()> {
    match fallocate(file, FallocateFlags::empty(), 0, STORE_BALLAST_BYTES) {
        Err(rustix::io::Errno::OPNOTSUPP) => {
            let mut zeros = io::Read::take(io::repeat(0), STORE_BALLAST_BYTES);
            io::copy(&mut zeros, &mut &*file).map(drop)
        }
        allocated => allocated.map_err(Into::into),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ballast_takes_blocks_and_comes_back() {
        use std::os::unix::fs::MetadataExt;
        let folder = tempfile::tempdir().unwrap();
        let room = Room::of(folder.path());
        let ballast = folder.path().join("ballast");
        room.check(1).unwrap();
        let taken = fs::metadata(&ballast).unwrap();
        assert!(taken.blocks() * 512 >= STORE_BALLAST_BYTES, "{} blocks", taken.blocks());
        room.give_up_ballast();
        assert!(!ballast.exists());
        room.probe(1).unwrap();
        assert!(ballast.exists() && !folder.path().join("room.part").exists());
    }

    #[test]
    fn what_has_no_room_is_refused_before_it_is_tried() {
        let folder = tempfile::tempdir().unwrap();
        let error = Room::of(folder.path()).check(usize::MAX / 8).unwrap_err();
        assert!(error.is_disk_full() && error.to_string().contains("MB are free"), "{error}");
    }
}
