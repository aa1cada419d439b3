//! Deciding on held runs: approving, rejecting, and letting those expire on which nobody decides.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::active::{Turn, Worked};
use super::approving::{Approval, Refused};
use super::failure::Failure;
use super::holding::Fate;
use super::progress::{Lines, Progress};
use super::rebasing::Conflicts;
use super::runner::{Runner, StartError};
use crate::model::{Actor, FeedId, Run, RunError, RunId};
use crate::store::StoreError;

/// Why a decision is refused. The run stays as it is.
#[derive(Debug)]
pub enum DecideError {
    UnknownRun(RunId),
    /// It is not held, or no longer.
    NotHeld(Box<Run>),
    /// A run of the same feed goes on.
    Busy(RunId),
    /// Its people are others by now.
    Outdated(Box<Run>, Conflicts),
    /// Its feed cannot be run.
    Feed(StartError),
    /// The journal cannot be read or written.
    Failed(RunError),
    Store(StoreError),
    Stopping,
}

impl Runner {
    /// The run of a feed that waits for a decision.
    pub fn held_run(&self, feed: &FeedId) -> Option<RunId> {
        self.inner.holding.of_feed(feed).map(|run| run.id)
    }

    /// How many runs wait for a decision.
    pub fn held_runs(&self) -> usize {
        self.inner.holding.count()
    }

    /// Commits the plan of a held run. Returns when that is in history, so that nothing but an error stops it any more;
    /// the end of the commit can be waited for. `by`: whose decision it is.
    pub async fn approve(&self, run: RunId, by: Actor) -> Result<(), DecideError> {
        let approving = tokio::spawn(self.clone().begin_approval(run, by));
        // The task ends early only with the runtime.
        let verdict = approving.await.unwrap_or(Err(DecideError::Stopping))?;
        let run = match verdict.answer.await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(Refused::Conflicts(conflicts))) => return Err(DecideError::Outdated(verdict.run, conflicts)),
            Ok(Err(Refused::Failed(failure))) => failure,
            Err(_) => Failure::Panicked,
        };
        Err(match run {
            Failure::Store(error) => DecideError::Store(error),
            Failure::Stopped => DecideError::Stopping,
            other => match other.to_run_error() {
                Some(error) => DecideError::Failed(error),
                None => DecideError::NotHeld(verdict.run),
            },
        })
    }

    async fn begin_approval(self, id: RunId, by: Actor) -> Result<Verdict, DecideError> {
        let (turn, run) = self.turn_of_held(id).await?;
        // Asked in turn, as for a run that begins.
        if self.inner.stopping.is_said() {
            return Err(DecideError::Stopping);
        }
        let feed = self.feed(&run.feed).map_err(DecideError::Feed)?;
        let Worked { progress, cancelled, ended } = turn.enter(&run, Progress::START);
        let approval = Approval {
            store: self.inner.store.clone(),
            feed,
            run: run.clone(),
            by,
            clock: self.inner.clock.clone(),
            observer: self.inner.observer.clone(),
            turn: Arc::clone(&self.inner.turn),
            lines: Lines { progress, cancelled, stopping: self.inner.stopping.clone() },
            unfinished: Arc::clone(&self.inner.unfinished),
            holding: Arc::clone(&self.inner.holding),
        };
        let (verdict, answer) = oneshot::channel();
        let asked = run.clone();
        tokio::spawn(self.supervise(asked, ended, move || approval.execute(verdict)));
        Ok(Verdict { run: Box::new(run), answer })
    }

    /// The turn, and a held run whose feed is not at work.
    async fn turn_of_held(&self, id: RunId) -> Result<(Turn<'_>, Run), DecideError> {
        let found = self.held(id).await?;
        let (turn, going) = self.turn_of(&found.feed).await;
        match going {
            Some(going) => Err(DecideError::Busy(going.run)),
            // Another may have decided meanwhile.
            None => Ok((turn, self.held(id).await?)),
        }
    }

    /// A run that is held, by its number.
    async fn held(&self, id: RunId) -> Result<Run, DecideError> {
        let runner = self.clone();
        let found = tokio::task::spawn_blocking(move || runner.run(id)).await;
        let run = found.map_err(|_| DecideError::Stopping)?.map_err(DecideError::Store)?;
        let run = run.ok_or(DecideError::UnknownRun(id))?;
        if run.is_held() { Ok(run) } else { Err(DecideError::NotHeld(Box::new(run))) }
    }

    /// Discards the plan of a held run.
    pub async fn reject(&self, id: RunId, by: Actor) -> Result<Run, DecideError> {
        let (_turn, run) = self.turn_of_held(id).await?;
        self.end_held(run, Fate::Rejected { by }).await.map_err(DecideError::Store)
    }

    /// Lets held runs expire whose time is over. One whose feed is at work is looked at again.
    pub async fn expire(&self) {
        for run in self.inner.holding.overdue() {
            let turn = self.inner.active.turn().await;
            if turn.of(&run.feed).is_some() || self.held_run(&run.feed) != Some(run.id) {
                continue;
            }
            if let Err(error) = self.end_held(run, Fate::Expired).await {
                self.inner.observer.store_failed("write that a run expires", &error.to_string());
            }
        }
    }

    /// The caller keeps runs of the feed from beginning.
    async fn end_held(&self, run: Run, fate: Fate) -> Result<Run, StoreError> {
        let holding = Arc::clone(&self.inner.holding);
        let ended = tokio::task::spawn_blocking(move || holding.end(run, fate)).await;
        // A final sync that was held may be tried again.
        self.schedules_changed();
        ended.unwrap_or(Err(StoreError::Stopped))
    }
}

/// An approval that was begun.
struct Verdict {
    run: Box<Run>,
    answer: oneshot::Receiver<Result<(), Refused>>,
}
