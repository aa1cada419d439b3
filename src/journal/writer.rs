//! Writing a journal.

use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use xxhash_rust::xxh3::Xxh3;

use super::JournalError;
use super::frames::write_frame;
use crate::codec::{EntryEncoder, JournalHeader, JournalTrailer};
use crate::faults::{Faults, Step};
use crate::model::Entry;

const BUFFER_BYTES: usize = 256 * 1024;

/// A journal being written. Dropped before [`Self::finish`], it leaves nothing behind.
pub struct JournalWriter {
    /// Its final name.
    path: PathBuf,
    part: PathBuf,
    file: BufWriter<File>,
    encoder: EntryEncoder,
    checksum: Xxh3,
    entries: u64,
    /// The time it is to bear; without one, it is that of its writing.
    modified: Option<SystemTime>,
    finished: bool,
    faults: Faults,
}

impl JournalWriter {
    pub fn create(path: &Path, header: &JournalHeader, faults: &Faults) -> Result<Self, JournalError> {
        let part = path.with_extension("journal.part");
        let file = faults.step(Step::JournalCreate, JournalError::io("create", &part), || {
            let mut options = OpenOptions::new();
            options
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&part)
                .map_err(JournalError::io("create", &part))
        })?;
        let mut writer = Self {
            path: path.to_owned(),
            part,
            file: BufWriter::with_capacity(BUFFER_BYTES, file),
            encoder: EntryEncoder::default(),
            checksum: Xxh3::new(),
            entries: 0,
            modified: None,
            finished: false,
            faults: faults.clone(),
        };
        writer.put(&header.encode())?;
        Ok(writer)
    }

    pub fn write(&mut self, entry: &Entry) -> Result<(), JournalError> {
        let frame = self.encoder.encode(entry);
        self.put(&frame)?;
        self.entries += 1;
        Ok(())
    }

    fn put(&mut self, frame: &[u8]) -> Result<(), JournalError> {
        self.checksum.update(frame);
        write_frame(&mut self.file, frame).map_err(JournalError::io("write", &self.part))?;
        Ok(())
    }

    /// Has the file bear this time, as another of which it takes the place.
    pub const fn dated(mut self, modified: SystemTime) -> Self {
        self.modified = Some(modified);
        self
    }

    /// Writes the trailer, brings everything to disk and gives the file its name. Returns the number of entries.
    pub fn finish(mut self) -> Result<u64, JournalError> {
        let trailer = JournalTrailer { entries: self.entries, checksum: self.checksum.digest() };
        let Self { path, part, file, faults, finished, modified, .. } = &mut self;
        faults.step(Step::JournalFlush, JournalError::io("write", part), || {
            write_frame(file, &trailer.encode()).and_then(|_| file.flush()).map_err(JournalError::io("write", part))
        })?;
        faults.step(Step::JournalSync, JournalError::io("sync", part), || {
            let file = file.get_ref();
            let dated = modified.map_or(Ok(()), |modified| file.set_modified(modified));
            dated.and_then(|()| file.sync_all()).map_err(JournalError::io("sync", part))
        })?;
        faults.step(Step::JournalRename, JournalError::io("rename", part), || {
            fs::rename(&*part, &*path).map_err(JournalError::io("rename", part))
        })?;
        *finished = true;
        if let Some(folder) = path.parent() {
            let sync =
                || File::open(folder).and_then(|folder| folder.sync_all()).map_err(JournalError::io("sync", folder));
            faults.step(Step::JournalFolderSync, JournalError::io("sync", folder), sync)?;
        }
        Ok(self.entries)
    }
}

impl Drop for JournalWriter {
    fn drop(&mut self) {
        if !self.finished {
            // What stays behind is overwritten by the next run of this number and never read.
            let _ = fs::remove_file(&self.part);
        }
    }
}
