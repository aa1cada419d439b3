//! Erases people: from the store at once, then from what the runs left in files, and in time from the store's own files.
//!
//! What is still to be done is in the store, so that a kill leaves it to the next start. The source's delete flag erases
//! in its run's commit; from there on it is the same.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;

use super::failure::Failure;
use super::runner::Runner;
use super::stopping::Stopping;
use super::unfinished::Unfinished;
use crate::clock::Clock;
use crate::journal::{JournalError, RunFile, clean_journal, read_tells_of, run_files};
use crate::limits::{COMPACT_AGAIN_AFTER, ERASE_TURN_WAIT_MAX};
use crate::model::{
    Action, AuditEntry, Cleaned, Entry, ErasedBy, Erasure, ErasureId, FeedId, PersonChange, RunId, SourceName, Traces,
    UserId,
};
use crate::observe::Observer;
use crate::store::{ChangeSet, Compaction, Erasing, Store, StoreError};

pub struct Eraser {
    store: Store,
    clock: Clock,
    observer: Observer,
    unfinished: Arc<Unfinished>,
    turn: Arc<Mutex<()>>,
    stopping: Stopping,
    /// For how long the store's files may keep the bytes of who was erased.
    compact_after: Duration,
    /// Held by whoever enters what was done after an erasure.
    entering: Mutex<()>,
    /// After a compaction that failed, none is tried by itself before.
    compact_not_before: Mutex<Option<Timestamp>>,
}

/// A run that goes on.
pub type Going = (FeedId, RunId);

/// Why nobody was erased.
#[derive(Debug)]
pub enum EraseError {
    Unknown,
    /// A sync was planning or committing all the while.
    Busy,
    /// What an earlier run left half-done cannot be finished.
    Unfinished(Failure),
    Store(StoreError),
}

impl From<StoreError> for EraseError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Eraser {
    pub fn new(
        store: Store,
        clock: Clock,
        observer: Observer,
        unfinished: Arc<Unfinished>,
        turn: Arc<Mutex<()>>,
        stopping: Stopping,
        compact_after: Duration,
    ) -> Self {
        let (entering, compact_not_before) = (Mutex::default(), Mutex::default());
        Self { store, clock, observer, unfinished, turn, stopping, compact_after, entering, compact_not_before }
    }

    /// Erases one user; with `keep_out` no source brings them back until that is lifted. Between two plans, so that none
    /// rests on them. `entry` is for the audit log. Blocks.
    pub fn erase(
        &self,
        id: UserId,
        keep_out: bool,
        entry: AuditEntry,
        going: impl Fn() -> Vec<Going>,
    ) -> Result<(ErasureId, Erasure), EraseError> {
        let _turn = self.turn.try_lock_for(ERASE_TURN_WAIT_MAX).ok_or(EraseError::Busy)?;
        self.unfinished.finish(&self.stopping).map_err(EraseError::Unfinished)?;
        let user = self.store.user_by_id(id).ok_or(EraseError::Unknown)?;
        let delete = PersonChange { action: Action::Delete, user: Some(user), id, before: None, after: None };
        let erasing = Erasing { at: entry.at, by: ErasedBy::Hand(entry.actor.clone()), keep_out };
        self.store.commit(ChangeSet {
            people: vec![delete],
            erasing: Some(erasing),
            audit: vec![entry],
            ..ChangeSet::default()
        })?;
        self.observer.erased(1);
        self.clean_files(&going());
        // As it is after the cleaning. Whoever has the turn is the only one who erases, so the newest is this one.
        let newest = self.store.erasures(None, 1)?.pop();
        Ok(newest.ok_or(StoreError::Reopened)?)
    }

    /// Cleans the runs' files of whom the last runs erased. Blocks.
    pub fn clean(&self, going: impl Fn() -> Vec<Going>) {
        if self.uncleaned().is_empty() {
            return;
        }
        let _turn = self.turn.lock();
        self.clean_files(&going());
    }

    fn uncleaned(&self) -> Vec<(ErasureId, Erasure)> {
        let mut pending = self.store.pending_erasures();
        pending.retain(|(_, erasure)| erasure.cleaned_at.is_none());
        pending
    }

    /// The caller has the turn, so no journal is written or committed meanwhile.
    fn clean_files(&self, going: &[Going]) {
        let pending = self.uncleaned();
        // What is half-committed goes on from its journal first.
        if pending.is_empty() || self.stopping.is_said() || self.unfinished.has_commits() {
            return;
        }
        let (cleaned, is_through) = self.clean_all(&pending, going);
        let now = self.clock.now();
        self.update(&pending, |erasure| {
            erasure.cleaned += cleaned;
            // Until then its spool, or what it took up of an interrupted read, is still there.
            if is_through && going.iter().all(|(_, run)| *run >= erasure.next_run) {
                erasure.cleaned_at = Some(now);
                erasure.marks.clear();
            }
        });
    }

    /// Changes what is known of these erasures, as it is now.
    fn update(&self, these: &[(ErasureId, Erasure)], change: impl Fn(&mut Erasure)) {
        let _entering = self.entering.lock();
        let mut erasures = self.store.pending_erasures();
        erasures.retain_mut(|(id, erasure)| {
            let before = erasure.clone();
            if these.iter().any(|(known, _)| known == id) {
                change(erasure);
            }
            *erasure != before
        });
        if erasures.is_empty() {
            return;
        }
        if let Err(error) = self.store.commit(ChangeSet { erasures, ..ChangeSet::default() }) {
            // It is done, and done once more.
            self.observer.store_failed("write what is left of an erasure", &error.to_string());
        }
    }

    /// Returns whether nothing was left to a later time.
    fn clean_all(&self, pending: &[(ErasureId, Erasure)], going: &[Going]) -> (Cleaned, bool) {
        let (mut cleaned, mut is_through) = (Cleaned::default(), true);
        let files = run_files(&self.store.runs_folder()).unwrap_or_else(|error| {
            is_through = self.not_cleaned(&error);
            Vec::new()
        });
        for (path, file) in files {
            let done = match file {
                RunFile::Journal(run) => self.clean_journal(&path, run, pending, &mut cleaned),
                RunFile::Read(feed) => self.clean_read(&path, &feed, pending, going, &mut cleaned),
            };
            match done {
                Ok(done) => is_through &= done,
                // Its days are over.
                Err(error) if error.is_missing() => {}
                Err(error) => is_through = self.not_cleaned(&error),
            }
        }
        (cleaned, is_through)
    }

    /// Tells it, and that something is left to a later time.
    fn not_cleaned(&self, error: &JournalError) -> bool {
        self.observer.store_failed("write a run's file without the erased", &error.to_string());
        false
    }

    /// Runs that began after an erasure cannot tell of who was erased, but may of somebody new under the same address. The
    /// run that erased them by the source's flag tells of them by their records' ids only: whom else it names is as the
    /// list has it now.
    fn clean_journal(
        &self,
        path: &Path,
        run: RunId,
        pending: &[(ErasureId, Erasure)],
        cleaned: &mut Cleaned,
    ) -> Result<bool, JournalError> {
        let traces = || Traces::new(self.store.community_key());
        let (mut earlier, mut own) = (traces(), traces());
        let before: Vec<_> = pending.iter().filter(|(_, erasure)| run < erasure.next_run).collect();
        if before.is_empty() {
            return Ok(true);
        }
        for (_, erasure) in before {
            if erasure.by == ErasedBy::Run(run) { own.add(erasure) } else { earlier.add(erasure) }
        }
        let tells = |source: &SourceName, entry: &Entry| match entry {
            Entry::Record(note) if own.are_in_note(source, note) => true,
            entry => earlier.are_in(source, entry),
        };
        let entries = match clean_journal(path, tells, self.store.faults()) {
            // Nobody can tell whom it tells of, nor make a clean one of it.
            Err(JournalError::Codec { .. } | JournalError::Broken { .. }) => {
                remove(path)?;
                1
            }
            found => found?,
        };
        cleaned.journals += u64::from(entries > 0);
        cleaned.entries += entries;
        Ok(true)
    }

    fn clean_read(
        &self,
        path: &Path,
        feed: &FeedId,
        pending: &[(ErasureId, Erasure)],
        going: &[Going],
        cleaned: &mut Cleaned,
    ) -> Result<bool, JournalError> {
        let mut traces = Traces::new(self.store.community_key());
        pending.iter().for_each(|(_, erasure)| traces.add(erasure));
        if !read_tells_of(path, &feed.source, &traces)? {
            return Ok(true);
        }
        if going.iter().any(|(going, _)| going == feed) {
            return Ok(false);
        }
        remove(path)?;
        cleaned.reads += 1;
        Ok(true)
    }

    /// Writes the store anew, without the bytes of who was erased. Blocks.
    pub fn compact(&self) -> Result<Compaction, StoreError> {
        let pending = self.store.pending_erasures();
        match self.store.compact() {
            Ok(compaction) => {
                self.observer.compacted(compaction.before, compaction.after);
                let now = self.clock.now();
                self.update(&pending, |erasure| erasure.compacted_at = erasure.compacted_at.or(Some(now)));
                Ok(compaction)
            }
            Err(error) => {
                self.observer.compaction_failed(&error.to_string());
                let again = SignedDuration::try_from(COMPACT_AGAIN_AFTER).unwrap_or(SignedDuration::MAX);
                *self.compact_not_before.lock() = self.clock.now().checked_add(again).ok();
                Err(error)
            }
        }
    }

    /// When the store's files are to be without the bytes of who was erased at that time.
    pub fn due(&self, erased_at: Timestamp) -> Timestamp {
        let after = SignedDuration::try_from(self.compact_after).unwrap_or(SignedDuration::MAX);
        erased_at.saturating_add(after).unwrap_or(Timestamp::MAX)
    }

    /// Compacts the store if it is time. Blocks.
    pub fn compact_when_due(&self) {
        let now = self.clock.now();
        let waits = self.compact_not_before.lock().is_some_and(|not_before| now < not_before);
        let is_due = |erasure: &Erasure| erasure.compacted_at.is_none() && self.due(erasure.at) <= now;
        if !waits && !self.stopping.is_said() && self.store.pending_erasures().iter().any(|(_, e)| is_due(e)) {
            // Said where it failed.
            let _ = self.compact();
        }
    }
}

impl Runner {
    /// Erases a user from everything that is kept. With `keep_out` nothing brings them back until that is lifted. Blocks,
    /// also while a sync plans or commits.
    pub fn erase(&self, user: UserId, keep_out: bool, entry: AuditEntry) -> Result<(ErasureId, Erasure), EraseError> {
        self.inner.eraser.erase(user, keep_out, entry, || self.inner.active.going())
    }

    /// Writes the store anew, without the bytes of who was erased. Blocks.
    pub fn compact(&self) -> Result<Compaction, StoreError> {
        self.inner.eraser.compact()
    }

    /// When the store's files are to be without the bytes of who was erased at that time.
    pub fn compaction_due(&self, erased_at: Timestamp) -> Timestamp {
        self.inner.eraser.due(erased_at)
    }

    /// Does what is left to do after erasures, as far as it is time. Blocks.
    pub fn see_to_erasures(&self) {
        if self.inner.active.going().is_empty() {
            self.inner.eraser.clean(|| self.inner.active.going());
        }
        self.inner.eraser.compact_when_due();
    }
}

fn remove(path: &Path) -> Result<(), JournalError> {
    let failed = |source| JournalError::Io { operation: "remove", path: path.to_owned(), source };
    let folder = path.parent().unwrap_or(path);
    std::fs::remove_file(path).and_then(|()| std::fs::File::open(folder)?.sync_all()).map_err(failed)
}
