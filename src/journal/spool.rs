//! The spool: the mapped records of a run that differ from the last time, and notes on those that cannot be
//! used. Written while the source is read, then read back by person; gone when the journal is complete.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Seek, SeekFrom, Write as _};
use std::ops::Range;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::JournalError;
use super::frames::{read_frame, write_frame};
use crate::codec::{Checkpoint, Item, ItemDecoder, ItemEncoder, SpooledRecord, checksum_of};
use crate::faults::{Faults, Step};
use crate::model::RecordNote;

const BUFFER_BYTES: usize = 256 * 1024;
/// Small enough that items asked for in no order cost little more than themselves.
const WINDOW_BYTES: usize = 32 * 1024;

/// Where an item lies in its spool, and how it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    offset: u64,
    bytes: u32,
    /// See [`mark`].
    mark: u32,
}

/// Half of an item's checksum: another item that came to stand at its place has another.
fn mark(sealed: &[u8]) -> Option<u32> {
    checksum_of(sealed).map(|checksum| checksum as u32)
}

/// A spool being written. The file is removed when the writer, or the reader made of it, is dropped.
pub struct SpoolWriter {
    file: BufWriter<File>,
    encoder: ItemEncoder,
    offset: u64,
    removal: Removal,
}

/// The frames of a spool up to an offset, in order.
struct Frames<'f> {
    file: BufReader<&'f File>,
    offset: u64,
    end: u64,
    frame: Vec<u8>,
}

impl<'f> Frames<'f> {
    fn new(mut file: &'f File, end: u64) -> io::Result<Self> {
        file.seek(SeekFrom::Start(0))?;
        Ok(Self { file: BufReader::with_capacity(BUFFER_BYTES, file), offset: 0, end, frame: Vec::new() })
    }

    fn next(&mut self) -> io::Result<Option<(Place, &[u8])>> {
        if self.offset >= self.end || !read_frame(&mut self.file, &mut self.frame)? {
            return Ok(None);
        }
        let bytes = u32::try_from(self.frame.len()).unwrap_or(u32::MAX);
        let place = Place { offset: self.offset + 4, bytes, mark: mark(&self.frame).unwrap_or_default() };
        self.offset += 4 + u64::from(bytes);
        Ok(Some((place, &self.frame)))
    }
}

/// Where the last checkpoint ends after which nothing is broken before it; what comes later was cut short.
fn last_checkpoint(file: &File) -> io::Result<Option<u64>> {
    let mut frames = Frames::new(file, u64::MAX)?;
    let mut decoder = ItemDecoder::default();
    let mut last = None;
    loop {
        let decoded = match frames.next() {
            Ok(Some((_, frame))) => decoder.decode(frame),
            Ok(None) => return Ok(last),
            Err(error) if matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData) => {
                return Ok(last);
            }
            Err(error) => return Err(error),
        };
        match decoded {
            Ok(Item::Checkpoint(_)) => last = Some(frames.offset),
            Ok(_) => {}
            Err(_) => return Ok(last),
        }
    }
}

/// Is there an item of which `wanted` says so, or something that is none?
pub(super) fn any_item(path: &Path, mut wanted: impl FnMut(&Item) -> bool) -> Result<bool, JournalError> {
    let failed = JournalError::io("read", path);
    let file = File::open(path).map_err(&failed)?;
    let mut frames = Frames::new(&file, u64::MAX).map_err(&failed)?;
    let mut decoder = ItemDecoder::default();
    loop {
        match frames.next() {
            Ok(Some((_, frame))) => match decoder.decode(frame) {
                Ok(item) if !wanted(&item) => {}
                _ => return Ok(true),
            },
            Ok(None) => return Ok(false),
            Err(error) if matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData) => {
                return Ok(true);
            }
            Err(error) => return Err(failed(error)),
        }
    }
}

/// The same spool being read. The clones of a reader share the file.
#[derive(Clone)]
pub struct SpoolReader {
    file: Arc<Removed>,
    decoder: ItemDecoder,
    /// A part of the file: what lies side by side is mostly asked for in a row.
    window: Vec<u8>,
    /// Where in the file the window begins.
    window_offset: u64,
}

/// An open file that goes when it is no longer needed.
struct Removed {
    file: File,
    removal: Removal,
}

struct Removal {
    path: PathBuf,
    faults: Faults,
    /// It is to be taken up later.
    stays: bool,
}

impl Drop for Removal {
    fn drop(&mut self) {
        if self.stays {
            return;
        }
        let failed = JournalError::io("remove", &self.path);
        // A spool that stays behind is overwritten or swept at the next start.
        let _ = self.faults.step(Step::SpoolRemove, &failed, || fs::remove_file(&self.path).map_err(&failed));
    }
}

impl SpoolWriter {
    pub fn create(path: &Path, faults: &Faults) -> Result<Self, JournalError> {
        let failed = JournalError::io("create", path);
        let file = faults.step(Step::SpoolCreate, &failed, || {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(true).mode(0o600).open(path).map_err(&failed)
        })?;
        let file = BufWriter::with_capacity(BUFFER_BYTES, file);
        let removal = Removal { path: path.to_owned(), faults: faults.clone(), stays: false };
        Ok(Self { file, encoder: ItemEncoder::default(), offset: 0, removal })
    }

    /// Goes on with a spool that an earlier run left behind, after its last checkpoint. `each` is given every item up to
    /// there, in order, and says whether it still means what it meant. `None` where there is nothing to go on from.
    pub fn take_up(
        path: &Path,
        faults: &Faults,
        mut each: impl FnMut(Place, Item) -> bool,
    ) -> Result<Option<Self>, JournalError> {
        let failed = JournalError::io("read", path);
        let file = match OpenOptions::new().read(true).write(true).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let removal = Removal { path: path.to_owned(), faults: faults.clone(), stays: false };
        let Some(end) = last_checkpoint(&file).map_err(&failed)? else { return Ok(None) };
        let mut frames = Frames::new(&file, end).map_err(&failed)?;
        let mut decoder = ItemDecoder::default();
        while let Some((place, frame)) = frames.next().map_err(&failed)? {
            let means_the_same = decoder.decode(frame).is_ok_and(|item| each(place, item));
            if !means_the_same {
                return Ok(None);
            }
        }
        file.set_len(end).map_err(&failed)?;
        let mut file = BufWriter::with_capacity(BUFFER_BYTES, file);
        file.seek(SeekFrom::Start(end)).map_err(&failed)?;
        Ok(Some(Self { file, encoder: decoder.into_encoder(), offset: end, removal }))
    }

    /// Writes how far the read has come, and hands everything so far to the system, so that it outlives the process. A
    /// power cut may take some of it: then the read goes on from an earlier checkpoint.
    pub fn checkpoint(&mut self, checkpoint: Checkpoint) -> Result<(), JournalError> {
        self.write(&Item::Checkpoint(checkpoint))?;
        self.file.flush().map_err(JournalError::io("write", &self.removal.path))
    }

    /// Leaves the file to be taken up later.
    pub fn keep(mut self) {
        // What cannot be written is read again.
        let _ = self.file.flush();
        self.removal.stays = true;
    }

    pub fn write(&mut self, item: &Item) -> Result<Place, JournalError> {
        let frame = self.encoder.encode(item);
        let bytes = write_frame(&mut self.file, &frame).map_err(JournalError::io("write", &self.removal.path))?;
        // A frame was just checked to fit, and bears a checksum.
        let (length, mark) = (u32::try_from(bytes - 4).unwrap_or(u32::MAX), mark(&frame).unwrap_or_default());
        let place = Place { offset: self.offset + 4, bytes: length, mark };
        self.offset += bytes;
        Ok(place)
    }

    pub fn into_reader(self) -> Result<SpoolReader, JournalError> {
        let Self { file, encoder, removal, .. } = self;
        let file = {
            let failed = JournalError::io("write", &removal.path);
            let flush = || file.into_inner().map_err(|error| failed(error.into_error()));
            removal.faults.step(Step::SpoolFlush, &failed, flush)?
        };
        let file = Arc::new(Removed { file, removal });
        Ok(SpoolReader { file, decoder: encoder.into_decoder(), window: Vec::new(), window_offset: 0 })
    }
}

impl SpoolReader {
    pub fn path(&self) -> &Path {
        &self.file.removal.path
    }

    /// Reads the record at a place.
    pub fn record(&mut self, place: Place) -> Result<SpooledRecord, JournalError> {
        match self.read(place)? {
            Item::Record(record) => Ok(record),
            _ => Err(self.broken("something else stands where a record was written")),
        }
    }

    /// Reads the note at a place.
    pub fn note(&mut self, place: Place) -> Result<RecordNote, JournalError> {
        match self.read(place)? {
            Item::Note(note) => Ok(note),
            _ => Err(self.broken("something else stands where a note was written")),
        }
    }

    fn broken(&self, what: &'static str) -> JournalError {
        JournalError::Broken { path: self.path().to_owned(), what }
    }

    fn read(&mut self, place: Place) -> Result<Item, JournalError> {
        let frame = self.reach(place)?;
        if mark(&self.window[frame.clone()]) != Some(place.mark) {
            return Err(self.broken("something else stands where an item was written"));
        }
        self.decoder.decode(&self.window[frame]).map_err(|source| JournalError::Codec {
            path: self.file.removal.path.clone(),
            frame: place.offset,
            source,
        })
    }

    /// Where in the window a place is, which is moved there if need be.
    fn reach(&mut self, place: Place) -> Result<Range<usize>, JournalError> {
        let bytes = place.bytes as usize;
        let within = |window: &Vec<u8>, from: u64| {
            let start = usize::try_from(place.offset.checked_sub(from)?).ok()?;
            let end = start.checked_add(bytes).filter(|end| *end <= window.len())?;
            Some(start..end)
        };
        if let Some(frame) = within(&self.window, self.window_offset) {
            return Ok(frame);
        }
        let filled = self.fill(place);
        // What is left of a window that could not be filled belongs to no place.
        self.window.truncate(filled.as_ref().map_or(0, |filled| *filled));
        filled.map(|_| 0..bytes)
    }

    /// Reads the window at a place, which fits into it. Returns how many bytes there were.
    fn fill(&mut self, place: Place) -> Result<usize, JournalError> {
        let Removed { file, removal } = &*self.file;
        let failed = JournalError::io("read", &removal.path);
        let bytes = place.bytes as usize;
        self.window.resize(bytes.max(WINDOW_BYTES), 0);
        self.window_offset = place.offset;
        let mut filled = 0;
        while filled < bytes {
            match file.read_at(&mut self.window[filled..], place.offset + filled as u64) {
                Ok(0) => return Err(failed(io::ErrorKind::UnexpectedEof.into())),
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(failed(error)),
            }
        }
        Ok(filled)
    }
}
