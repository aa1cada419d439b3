//! The runs that the guard holds: at most one for each feed, known in memory, kept in history.
//! Invariant: a run is in the table exactly as long as history says that it is held.

use std::collections::BTreeMap;

use jiff::Timestamp;
use parking_lot::Mutex;

use crate::clock::Clock;
use crate::journal::{approved_path, journal_path};
use crate::model::{Actor, AuditAction, AuditEntry, Decision, FeedId, Level, LogLine, Run, RunOutcome};
use crate::observe::Observer;
use crate::store::{ChangeSet, Store, StoreError};

pub struct Holding {
    store: Store,
    clock: Clock,
    observer: Observer,
    runs: Mutex<BTreeMap<FeedId, Run>>,
}

/// What becomes of a held run that nobody approves.
#[derive(Debug, Clone)]
pub enum Fate {
    Rejected {
        by: Actor,
    },
    /// By a newer run of the feed.
    Superseded {
        newer: crate::model::RunId,
    },
    Expired,
}

impl Holding {
    pub fn new(store: Store, clock: Clock, observer: Observer) -> Self {
        Self { store, clock, observer, runs: Mutex::default() }
    }

    /// Enters a run that history has as held.
    pub fn enter(&self, run: Run) {
        self.runs.lock().insert(run.feed.clone(), run);
    }

    /// Forgets a run that history no longer has as held.
    pub fn forget(&self, run: &Run) {
        let mut runs = self.runs.lock();
        if runs.get(&run.feed).is_some_and(|known| known.id == run.id) {
            runs.remove(&run.feed);
        }
    }

    pub fn of_feed(&self, feed: &FeedId) -> Option<Run> {
        self.runs.lock().get(feed).cloned()
    }

    pub fn count(&self) -> usize {
        self.runs.lock().len()
    }

    /// Those for which nobody decided in time.
    pub fn overdue(&self) -> Vec<Run> {
        let now = self.clock.now();
        let is_over = |run: &&Run| run.expires_at.is_some_and(|at| at <= now);
        self.runs.lock().values().filter(is_over).cloned().collect()
    }

    /// The held run whose place a newer one takes, as it is to be stored with that.
    pub fn superseded_by(&self, newer: &Run) -> Option<Run> {
        let older = self.of_feed(&newer.feed).filter(|older| older.id != newer.id && !newer.dry_run)?;
        Some(after(older, Fate::Superseded { newer: newer.id }, self.clock.now()))
    }

    /// Enters into history what becomes of a held run. Blocks.
    pub fn end(&self, run: Run, fate: Fate) -> Result<Run, StoreError> {
        let now = self.clock.now();
        let rejected = match &fate {
            Fate::Rejected { by } => Some(AuditEntry::of_run(now, by.clone(), AuditAction::RunRejected, run.id)),
            Fate::Superseded { .. } | Fate::Expired => None,
        };
        let run = after(run, fate, now);
        let audit = rejected.into_iter().collect();
        self.store.commit(ChangeSet { runs: vec![run.clone()], audit, ..ChangeSet::default() })?;
        self.ended(&run);
        Ok(run)
    }

    /// History has the run as ended: its plan is nobody's any more.
    pub fn ended(&self, run: &Run) {
        self.forget(run);
        // What cannot be removed goes with the old journals, or at the next start.
        let folder = self.store.runs_folder();
        let _ = std::fs::remove_file(journal_path(&folder, run.id));
        let _ = std::fs::remove_file(approved_path(&folder, run.id));
        self.observer.run_decided(run);
    }
}

/// The run with its fate and a note of it.
fn after(mut run: Run, fate: Fate, now: Timestamp) -> Run {
    let (outcome, text) = match fate {
        Fate::Rejected { by } => {
            let text = format!("rejected by {by}: nothing was changed");
            run.decision = Some(Decision { by: by.to_string().into(), at: now });
            (RunOutcome::Rejected, text)
        }
        Fate::Superseded { newer } => (RunOutcome::Superseded, format!("superseded: run {newer} has a newer plan")),
        Fate::Expired => (RunOutcome::Expired, "expired: nobody decided in time; nothing was changed".to_owned()),
    };
    run.outcome = Some(outcome);
    run.expires_at = None;
    run.log.push(LogLine { at: now, level: Level::Info, text });
    run
}
