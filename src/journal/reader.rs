//! Reading a journal, in order.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::Xxh3;

use super::JournalError;
use super::frames::read_frame;
use crate::codec::{CodecError, EntryDecoder, JournalHeader, JournalTrailer, Kind, Planned, Symbols};
use crate::model::Entry;

/// The entries of one journal. The iterator ends after the trailer was found and fits, else with an error.
pub struct JournalReader {
    path: PathBuf,
    file: BufReader<File>,
    header: JournalHeader,
    decoder: EntryDecoder,
    checksum: Xxh3,
    entries: u64,
    frame: Vec<u8>,
    ended: bool,
}

type Decode<T> = fn(&mut EntryDecoder, &[u8]) -> Result<T, CodecError>;

impl JournalReader {
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        let file = File::open(path).map_err(JournalError::io("open", path))?;
        let mut file = BufReader::with_capacity(256 * 1024, file);
        let mut frame = Vec::new();
        if !read_frame(&mut file, &mut frame).map_err(JournalError::io("read", path))? {
            return Err(JournalError::Broken { path: path.to_owned(), what: "it is empty" });
        }
        let header = JournalHeader::decode(&frame).map_err(|source| JournalError::Codec {
            path: path.to_owned(),
            frame: 0,
            source,
        })?;
        let mut checksum = Xxh3::new();
        checksum.update(&frame);
        let (path, decoder) = (path.to_owned(), EntryDecoder::default());
        Ok(Self { path, file, header, decoder, checksum, entries: 0, frame, ended: false })
    }

    pub const fn header(&self) -> &JournalHeader {
        &self.header
    }

    /// The names in the entries read so far.
    pub const fn symbols(&self) -> &Symbols {
        self.decoder.symbols()
    }

    /// The next entry as the commit needs it; as the iterator's.
    pub fn next_planned(&mut self) -> Option<Result<Planned, JournalError>> {
        self.next_with(EntryDecoder::decode_planned)
    }

    fn next_with<T>(&mut self, decode: Decode<T>) -> Option<Result<T, JournalError>> {
        if self.ended {
            return None;
        }
        let next = self.read(decode).transpose();
        self.ended = !matches!(next, Some(Ok(_)));
        next
    }

    fn read<T>(&mut self, decode: Decode<T>) -> Result<Option<T>, JournalError> {
        let broken = |what| JournalError::Broken { path: self.path.clone(), what };
        if !read_frame(&mut self.file, &mut self.frame).map_err(JournalError::io("read", &self.path))? {
            return Err(broken("it ends without its trailer"));
        }
        let codec = |source| JournalError::Codec { path: self.path.clone(), frame: self.entries + 1, source };
        if self.frame.first() == Some(&(Kind::JournalTrailer as u8)) {
            let trailer = JournalTrailer::decode(&self.frame).map_err(codec)?;
            let mut beyond = [0];
            let ends = self.file.read(&mut beyond).map_err(JournalError::io("read", &self.path))? == 0;
            return match trailer {
                _ if !ends => Err(broken("it goes on after its trailer")),
                JournalTrailer { entries, .. } if entries != self.entries => Err(broken("entries are missing")),
                JournalTrailer { checksum, .. } if checksum != self.checksum.digest() => {
                    Err(broken("it does not match its checksum"))
                }
                _ => Ok(None),
            };
        }
        self.checksum.update(&self.frame);
        let entry = decode(&mut self.decoder, &self.frame).map_err(codec)?;
        self.entries += 1;
        Ok(Some(entry))
    }
}

impl Iterator for JournalReader {
    type Item = Result<Entry, JournalError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_with(EntryDecoder::decode)
    }
}
