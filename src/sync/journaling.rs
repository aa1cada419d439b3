//! The journal is written on a thread of its own, while the planning goes on.

use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::failure::Failure;
use crate::journal::{JournalError, JournalWriter};
use crate::model::Entry;

/// Entries handed over at once, so that the threads seldom wait for each other.
const ENTRIES_AT_ONCE: usize = 64;
/// How many of these may wait to be written.
const WAITING_MAX: usize = 8;

/// A journal being written. Dropped before [`Self::finish`], it leaves nothing behind.
pub struct Journaling {
    gathered: Vec<Entry>,
    /// `None` once there are no more.
    entries: Option<SyncSender<Vec<Entry>>>,
    /// `None` once it was waited for.
    thread: Option<JoinHandle<Result<Written, JournalError>>>,
}

/// A journal whose entries are all in it, and the time that took.
struct Written {
    journal: JournalWriter,
    took: Duration,
}

impl Journaling {
    /// Goes on with a journal of which only the header is written. Errors name its `path`.
    pub fn new(journal: JournalWriter, path: &Path) -> Result<Self, Failure> {
        let (entries, queue) = sync_channel(WAITING_MAX);
        let thread = std::thread::Builder::new().name("journal".into()).spawn(move || write_all(journal, &queue));
        let operation = "start the thread that writes";
        let thread = thread.map_err(|source| JournalError::Io { operation, path: path.to_owned(), source })?;
        Ok(Self { gathered: Vec::with_capacity(ENTRIES_AT_ONCE), entries: Some(entries), thread: Some(thread) })
    }

    pub fn write(&mut self, entry: Entry) -> Result<(), Failure> {
        self.gathered.push(entry);
        if self.gathered.len() < ENTRIES_AT_ONCE { Ok(()) } else { self.hand_over() }
    }

    fn hand_over(&mut self) -> Result<(), Failure> {
        let gathered = std::mem::replace(&mut self.gathered, Vec::with_capacity(ENTRIES_AT_ONCE));
        match self.entries.as_ref().map(|entries| entries.send(gathered)) {
            Some(Ok(())) => Ok(()),
            // The thread ends early only by an error.
            Some(Err(_)) | None => self.written().map(drop),
        }
    }

    /// Waits for the thread.
    fn written(&mut self) -> Result<Written, Failure> {
        drop(self.entries.take());
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(written)) => Ok(written?),
            Some(Err(_)) | None => Err(Failure::Panicked),
        }
    }

    /// Completes the journal, see [`JournalWriter::finish`]. Returns the number of entries and what writing them took.
    pub fn finish(mut self) -> Result<(u64, Duration), Failure> {
        self.hand_over()?;
        let Written { journal, took } = self.written()?;
        let began = Instant::now();
        let entries = journal.finish()?;
        Ok((entries, took + began.elapsed()))
    }
}

impl Drop for Journaling {
    fn drop(&mut self) {
        // Waited for, so that the file is gone when this is. What went wrong was told, or nobody asks any more.
        let _ = self.written();
    }
}

fn write_all(mut journal: JournalWriter, queue: &Receiver<Vec<Entry>>) -> Result<Written, JournalError> {
    let mut took = Duration::ZERO;
    for entries in queue {
        let began = Instant::now();
        for entry in &entries {
            journal.write(entry)?;
        }
        took += began.elapsed();
    }
    Ok(Written { journal, took })
}
