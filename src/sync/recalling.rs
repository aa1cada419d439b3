//! The spool is read back on a thread of its own, a little ahead of the planning.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::vec::IntoIter;

use super::failure::Failure;
use super::reading::Spooled;
use crate::codec::SpooledRecord;
use crate::journal::{JournalError, SpoolReader};

/// Records handed over at once, so that the threads seldom wait for each other.
const RECORDS_AT_ONCE: usize = 64;
/// How many of these may wait to be planned.
const WAITING_MAX: usize = 4;

type Recalled = Result<Vec<SpooledRecord>, JournalError>;

/// Records of a spool in an order that was told beforehand.
pub struct Recalling {
    path: PathBuf,
    at_hand: IntoIter<SpooledRecord>,
    /// `None` once nobody listens any more.
    recalled: Option<Receiver<Recalled>>,
    /// `None` once it was waited for.
    thread: Option<JoinHandle<()>>,
}

impl Recalling {
    /// Recalls the records of which `order` gives the numbers, in that order.
    pub fn new(
        spool: SpoolReader,
        records: Arc<Vec<Spooled>>,
        order: impl Iterator<Item = u32> + Send + 'static,
    ) -> Result<Self, Failure> {
        let (recall, recalled) = sync_channel(WAITING_MAX);
        let path = spool.path().to_owned();
        let thread = std::thread::Builder::new().name("spool".into());
        let thread = thread.spawn(move || recall_all(spool, &records, order, &recall));
        let operation = "start the thread that reads";
        let thread = thread.map_err(|source| JournalError::Io { operation, path: path.clone(), source })?;
        Ok(Self { path, at_hand: Vec::new().into_iter(), recalled: Some(recalled), thread: Some(thread) })
    }

    /// The next record.
    pub fn next(&mut self) -> Result<SpooledRecord, Failure> {
        loop {
            if let Some(record) = self.at_hand.next() {
                return Ok(record);
            }
            let recalled = self.recalled.as_ref().and_then(|recalled| recalled.recv().ok());
            let broken = || JournalError::Broken { path: self.path.clone(), what: "it was not read to its end" };
            self.at_hand = recalled.unwrap_or_else(|| Err(broken()))?.into_iter();
        }
    }
}

impl Drop for Recalling {
    fn drop(&mut self) {
        drop(self.recalled.take());
        // Waited for, so that the spool goes when the planning ends. Had it panicked, a record was missed above.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn recall_all(
    mut spool: SpoolReader,
    records: &[Spooled],
    mut order: impl Iterator<Item = u32>,
    recall: &SyncSender<Recalled>,
) {
    loop {
        let mut some = Vec::with_capacity(RECORDS_AT_ONCE);
        let next = order.by_ref().take(RECORDS_AT_ONCE);
        let read = next.map(|at| spool.record(records[at as usize].place)).try_for_each(|record| {
            some.push(record?);
            Ok(())
        });
        let some: Recalled = read.map(|()| some);
        let is_last = some.as_ref().map_or(true, |some| some.len() < RECORDS_AT_ONCE);
        // Nobody listening means that the planning has ended early.
        if recall.send(some).is_err() || is_last {
            return;
        }
    }
}
