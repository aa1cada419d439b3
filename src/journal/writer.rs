//! Writing a journal.

use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::Xxh3;

use super::JournalError;
use super::frames::write_frame;
use crate::codec::{EntryEncoder, JournalHeader, JournalTrailer};
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
    finished: bool,
}

impl JournalWriter {
    pub fn create(path: &Path, header: &JournalHeader) -> Result<Self, JournalError> {
        let part = path.with_extension("journal.part");
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(true).mode(0o600).open(&part);
        let file = BufWriter::with_capacity(BUFFER_BYTES, file.map_err(JournalError::io("create", &part))?);
        let (path, encoder, checksum) = (path.to_owned(), EntryEncoder::default(), Xxh3::new());
        let mut writer = Self { path, part, file, encoder, checksum, entries: 0, finished: false };
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

    /// Writes the trailer, brings everything to disk and gives the file its name. Returns the number of entries.
    pub fn finish(mut self) -> Result<u64, JournalError> {
        let trailer = JournalTrailer { entries: self.entries, checksum: self.checksum.digest() };
        write_frame(&mut self.file, &trailer.encode()).map_err(JournalError::io("write", &self.part))?;
        self.file.flush().map_err(JournalError::io("write", &self.part))?;
        self.file.get_ref().sync_all().map_err(JournalError::io("sync", &self.part))?;
        fs::rename(&self.part, &self.path).map_err(JournalError::io("rename", &self.part))?;
        self.finished = true;
        if let Some(folder) = self.path.parent() {
            File::open(folder).and_then(|folder| folder.sync_all()).map_err(JournalError::io("sync", folder))?;
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
