//! The runs that go on, at most one of a feed.
//!
//! Who begins a run, or decides on a held one, has the turn while that is written. Whoever only looks waits for nobody, and so not
//! for the disk: a status and a scrape are wanted most when it is slow.

use std::collections::HashMap;

use parking_lot::RwLock;
use tokio::sync::{Mutex, MutexGuard, watch};

use super::eraser::Going;
use super::progress::Progress;
use crate::model::{FeedId, Run, RunId, Trigger};

#[derive(Default)]
pub struct ActiveRuns {
    turn: Mutex<()>,
    runs: RwLock<HashMap<FeedId, Active>>,
}

/// A run that goes on, for whoever asks about it.
#[derive(Clone)]
pub struct Active {
    pub run: RunId,
    pub trigger: Trigger,
    /// A held one whose plan is committed now: history had its end before it began.
    pub was_held: bool,
    pub progress: watch::Receiver<Progress>,
    /// The run when it has ended; open still where its commit was paused because the process ends.
    pub ended: watch::Receiver<Option<Run>>,
    cancel: watch::Sender<bool>,
}

/// The other ends of the lines, for whoever does the run's work.
pub struct Worked {
    pub progress: watch::Sender<Progress>,
    pub cancelled: watch::Receiver<bool>,
    pub ended: watch::Sender<Option<Run>>,
}

/// The right to let a run begin.
pub struct Turn<'t> {
    table: &'t ActiveRuns,
    _alone: MutexGuard<'t, ()>,
}

impl ActiveRuns {
    /// Waits for whoever lets a run begin now.
    pub async fn turn(&self) -> Turn<'_> {
        Turn { table: self, _alone: self.turn.lock().await }
    }

    pub fn of(&self, feed: &FeedId) -> Option<Active> {
        self.runs.read().get(feed).cloned()
    }

    pub fn run(&self, run: RunId) -> Option<Active> {
        self.runs.read().values().find(|active| active.run == run).cloned()
    }

    /// Those in the table.
    pub fn all(&self) -> Vec<(FeedId, Active)> {
        self.runs.read().iter().map(|(feed, active)| (feed.clone(), active.clone())).collect()
    }

    /// As [`Self::run`], but a run that begins now is found, too: history has it before the table does.
    pub async fn find(&self, run: RunId) -> Option<Active> {
        if let Some(active) = self.run(run) {
            return Some(active);
        }
        drop(self.turn.lock().await);
        self.run(run)
    }

    /// All, with one that begins now: what is erased meanwhile must not be thought gone from its files. Blocks.
    pub fn going(&self) -> Vec<Going> {
        let _alone = self.turn.blocking_lock();
        self.runs.read().iter().map(|(feed, active)| (feed.clone(), active.run)).collect()
    }

    pub fn remove(&self, feed: &FeedId) {
        self.runs.write().remove(feed);
    }
}

impl Active {
    /// Asks it to end early. False when it has ended.
    pub fn cancel(&self) -> bool {
        self.cancel.send(true).is_ok()
    }
}

impl Turn<'_> {
    /// The run of a feed that goes on; no other begins meanwhile.
    pub fn of(&self, feed: &FeedId) -> Option<Active> {
        self.table.of(feed)
    }

    /// Enters a run of a feed that has none. It is there until it is removed.
    pub fn enter(self, run: &Run, progress: Progress) -> Worked {
        let (progress, progress_out) = watch::channel(progress);
        let (cancel, cancelled) = watch::channel(false);
        let (ended, ended_out) = watch::channel(None);
        let (trigger, was_held) = (run.trigger, run.is_held());
        let active = Active { run: run.id, trigger, was_held, progress: progress_out, ended: ended_out, cancel };
        self.table.runs.write().insert(run.feed.clone(), active);
        Worked { progress, cancelled, ended }
    }
}
