//! Ends of runs that could not be written, because the disk was full or broken. Until they are, they are told from here.

use std::borrow::Cow;
use std::collections::BTreeMap;

use parking_lot::Mutex;

use crate::model::{FeedState, Run, RunId, RunOutcome};
use crate::observe::Observer;
use crate::store::{ChangeSet, Store, StoreError};

#[derive(Default)]
pub struct Unwritten {
    runs: Mutex<BTreeMap<RunId, Run>>,
}

impl Unwritten {
    /// Enters a failed run into history, now or as soon as that is possible.
    pub fn write(&self, store: &Store, observer: &Observer, run: &Run) {
        if let Err(error) = store.commit(ending(store, run)) {
            observer.store_failed("write the end of a run", &error.to_string());
            self.runs.lock().insert(run.id, run.clone());
        }
    }

    /// Tries again what could not be written.
    pub fn catch_up(&self, store: &Store) -> Result<(), StoreError> {
        loop {
            let first = self.runs.lock().first_key_value().map(|(_, run)| run.clone());
            let Some(run) = first else { return Ok(()) };
            store.commit(ending(store, &run))?;
            self.runs.lock().remove(&run.id);
        }
    }

    /// The run as it ended, if history does not say so yet.
    pub fn corrected<'a>(&self, run: &'a Run) -> Cow<'a, Run> {
        self.runs.lock().get(&run.id).cloned().map_or(Cow::Borrowed(run), Cow::Owned)
    }
}

/// A failed run with its feed's state after it.
fn ending(store: &Store, run: &Run) -> ChangeSet {
    let feed = (!run.dry_run).then(|| (run.feed.clone(), state_after(store.feed_state(&run.feed), run)));
    ChangeSet { runs: vec![run.clone()], feed, ..ChangeSet::default() }
}

fn state_after(mut state: FeedState, run: &Run) -> FeedState {
    state.last_run = state.last_run.max(Some(run.id));
    state.last_attempt = state.last_attempt.max(run.ended_at);
    if run.outcome == Some(RunOutcome::Failed) {
        state.consecutive_failures = state.consecutive_failures.saturating_add(1);
    }
    state
}
