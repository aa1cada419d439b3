//! What a full or broken disk keeps from being finished: commits that stopped half-way, and ends of runs that are not in
//! history yet. They are finished as soon as the disk allows it, and told from here until then.
//! Invariant: nothing is planned before they are, for a plan must rest on whole commits.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use parking_lot::Mutex;

use super::committing::{Committed, resume};
use super::failure::Failure;
use super::holding::Holding;
use super::stopping::Stopping;
use crate::clock::Clock;
use crate::model::{FeedState, Level, LogLine, Run, RunId, RunOutcome};
use crate::observe::Observer;
use crate::store::{ChangeSet, Store};

pub struct Unfinished {
    store: Store,
    clock: Clock,
    observer: Observer,
    holding: Arc<Holding>,
    runs: Mutex<BTreeMap<RunId, Pending>>,
}

#[derive(Clone)]
enum Pending {
    /// A failed run that is to be entered into history, and when its feed goes on by itself.
    End(Run, Option<Timestamp>),
    /// A commit that stopped half-way. History has the run open, so that a start would go on with it, too.
    Commit(Run),
}

impl Pending {
    /// The run as whoever waited for it was told.
    const fn run(&self) -> &Run {
        match self {
            Self::End(run, _) | Self::Commit(run) => run,
        }
    }
}

impl Unfinished {
    pub fn new(store: Store, clock: Clock, observer: Observer, holding: Arc<Holding>) -> Self {
        Self { store, clock, observer, holding, runs: Mutex::default() }
    }

    /// Ends a run that failed: its line in history, its feed's state, the log, the metrics. Nobody was changed, or
    /// everything up to `applied` was; the rest follows where only the disk was in the way. Returns whether it does.
    pub fn end_failed(&self, run: &mut Run, failure: &Failure) -> bool {
        let now = self.clock.now();
        run.error = failure.to_run_error();
        run.outcome = Some(failure.outcome());
        run.ended_at = Some(now);
        if let Some(error) = &run.error {
            let text = format!("{}: {}", error.reason.as_str(), error.message);
            run.log.push(LogLine { at: now, level: Level::Error, text });
        }
        let follows = (run.applied > 0 || run.is_approved()) && failure.is_of_the_disk();
        if follows {
            self.runs.lock().insert(run.id, Pending::Commit(run.clone()));
        } else {
            let opens_in = failure.quota_opens_in().filter(|_| !run.dry_run);
            self.enter(run, opens_in.and_then(|opens_in| now.checked_add(opens_in).ok()));
        }
        self.observer.run_ended(run);
        follows
    }

    fn enter(&self, run: &Run, goes_on_at: Option<Timestamp>) {
        if let Err(error) = self.store.commit(ending(&self.store, run, goes_on_at)) {
            self.observer.store_failed("write the end of a run", &error.to_string());
            self.runs.lock().insert(run.id, Pending::End(run.clone(), goes_on_at));
        }
    }

    /// Tries to finish everything. The caller has the turn to plan and commit. Blocks.
    pub fn finish(&self, stopping: &Stopping) -> Result<(), Failure> {
        loop {
            // Not held while the disk is waited for: readers ask for corrections.
            let first = self.runs.lock().first_key_value().map(|(_, pending)| pending.clone());
            match first {
                None => return Ok(()),
                Some(Pending::End(run, goes_on_at)) => {
                    self.store.commit(ending(&self.store, &run, goes_on_at))?;
                    self.runs.lock().remove(&run.id);
                }
                Some(Pending::Commit(told)) => self.finish_commit(&told, stopping)?,
            }
        }
    }

    fn finish_commit(&self, told: &Run, stopping: &Stopping) -> Result<(), Failure> {
        let Some(mut run) = self.store.run(told.id)? else {
            self.runs.lock().remove(&told.id);
            return Ok(());
        };
        match resume(&self.store, &self.clock, &self.holding, &mut run, stopping) {
            Ok(Committed::Whole) => {
                self.runs.lock().remove(&run.id);
                self.observer.run_ended(&run);
                Ok(())
            }
            // The next start goes on.
            Ok(Committed::Paused) => Err(Failure::Stopped),
            Err(failure) if failure.is_of_the_disk() => Err(failure),
            Err(failure) => {
                self.runs.lock().remove(&run.id);
                self.end_failed(&mut run, &failure);
                Ok(())
            }
        }
    }

    /// Is a commit half-way?
    pub fn has_commits(&self) -> bool {
        self.runs.lock().values().any(|pending| matches!(pending, Pending::Commit(_)))
    }

    /// The run as it ended, if history does not say so yet.
    pub fn corrected<'a>(&self, run: &'a Run) -> Cow<'a, Run> {
        let runs = self.runs.lock();
        runs.get(&run.id).map_or(Cow::Borrowed(run), |pending| Cow::Owned(pending.run().clone()))
    }
}

/// A failed run with its feed's state after it.
fn ending(store: &Store, run: &Run, goes_on_at: Option<Timestamp>) -> ChangeSet {
    let state = || FeedState { goes_on_at, ..state_after(store.feed_state(&run.feed), run) };
    let feed = (!run.dry_run && run.trigger.is_sync()).then(|| (run.feed.clone(), state()));
    ChangeSet { runs: vec![run.clone()], feed, ..ChangeSet::default() }
}

fn state_after(mut state: FeedState, run: &Run) -> FeedState {
    // The end of an older run may come to be written later; and times may go back, where the clock was set.
    if state.last_run <= Some(run.id) {
        state.last_run = Some(run.id);
        state.last_attempt = run.ended_at;
        state.last_began = Some(run.started_at);
    }
    if run.outcome == Some(RunOutcome::Failed) {
        state.failing_since = state.failing_since.or(Some(run.started_at));
        state.consecutive_failures = state.consecutive_failures.saturating_add(1);
    }
    state
}
