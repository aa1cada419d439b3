//! Undoing a run: a run whose plan is the other's journal backwards. Nothing of its source is read. It is somebody's
//! decision, so the guard does not hold it, and once it is in history nothing but an error of its own stops it.

use std::sync::Arc;

use jiff::Timestamp;
use parking_lot::Mutex;

use super::active::Worked;
use super::committing::{Committed, Ending, commit, succeed, undone_by};
use super::failure::Failure;
use super::feed::Feed;
use super::log::RunLog;
use super::progress::{Lines, Phase, Progress};
use super::run::drop_unused_plan;
use super::runner::{Runner, StartError};
use super::undoing::{Planned, Undoing};
use super::unfinished::Unfinished;
use crate::clock::Clock;
use crate::codec::JournalHeader;
use crate::journal::{JournalError, JournalReader, JournalWriter, journal_path, read_path};
use crate::model::{
    Actor, AuditAction, AuditEntry, Counts, Decision, EventName, FeedState, Level, Pause, PauseReason, Run, RunId,
    RunOutcome, Trigger,
};
use crate::observe::{Observer, Stages};
use crate::plan::{Derivation, Stamp};
use crate::store::{ChangeSet, Store, StoreError};

/// Why a run is not undone. Nobody was changed.
#[derive(Debug, thiserror::Error)]
pub enum UndoError {
    #[error("there is no run {0}")]
    UnknownRun(RunId),
    #[error("run {0} goes on")]
    GoesOn(RunId),
    #[error("run {run} changed nobody: it {why}")]
    ChangedNobody { run: RunId, why: &'static str },
    #[error("run {run} was undone by run {by}")]
    Undone { run: RunId, by: RunId },
    #[error("the changes of run {run} are no longer known: journals are kept for {days} days (journal_days)")]
    Expired { run: RunId, days: u32 },
    /// A run of the same feed goes on.
    #[error("run {0} of the same feed goes on")]
    Busy(RunId),
    /// Its feed cannot be run.
    #[error(transparent)]
    Feed(#[from] StartError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the server is stopping")]
    Stopping,
}

impl Runner {
    /// Starts a run that undoes another, or that only says what that would do; its end can be waited for. A caller that
    /// goes away meanwhile changes nothing. `by`: whose decision it is.
    pub async fn undo(&self, run: RunId, dry_run: bool, by: Actor) -> Result<RunId, UndoError> {
        let begun = tokio::spawn(self.clone().begin_undo(run, dry_run, by)).await;
        // The task ends early only with the runtime.
        begun.unwrap_or(Err(UndoError::Stopping))
    }

    async fn begin_undo(self, id: RunId, dry_run: bool, by: Actor) -> Result<RunId, UndoError> {
        let found = self.found_undoable(id).await?;
        let (turn, going) = self.turn_of(&found.feed).await;
        // Asked in turn, as for a run that begins.
        if self.inner.stopping.is_said() {
            return Err(UndoError::Stopping);
        }
        if let Some(going) = going {
            return Err(UndoError::Busy(going.run));
        }
        // Another may have undone it meanwhile.
        let undone = self.found_undoable(id).await?;
        let feed = self.feed(&undone.feed)?;
        let event = self.event(&feed.id.event);
        let pauses = event.is_some_and(|event| self.runs_by_itself(&event));
        let run = Run::new(feed.id.clone(), Trigger::Undo, self.inner.clock.now());
        let run = Run { dry_run, undoes: Some(id), ..run };
        let ack = self.inner.store.commit_async(ChangeSet { new_run: Some(run.clone()), ..ChangeSet::default() }).await;
        let ack = ack.inspect_err(|error| self.inner.observer.run_refused(&run, &error.to_run_error()))?;
        let run = Run { id: ack.new_run.ok_or(UndoError::Stopping)?, ..run };
        let (number, planning) = (run.id, Progress { phase: Phase::Planning, ..Progress::START });
        let Worked { progress, cancelled, ended } = turn.enter(&run, planning);
        let undo = Undo {
            store: self.inner.store.clone(),
            feed,
            run: run.clone(),
            undone: id,
            by,
            pauses,
            clock: self.inner.clock.clone(),
            observer: self.inner.observer.clone(),
            turn: Arc::clone(&self.inner.turn),
            lines: Lines { progress, cancelled, stopping: self.inner.stopping.clone() },
            unfinished: Arc::clone(&self.inner.unfinished),
        };
        self.inner.observer.run_started(&run);
        tokio::spawn(self.supervise(run, ended, move || undo.execute()));
        Ok(number)
    }

    async fn found_undoable(&self, id: RunId) -> Result<Run, UndoError> {
        let runner = self.clone();
        let found = tokio::task::spawn_blocking(move || runner.undoable(id)).await;
        found.map_err(|_| UndoError::Stopping)?
    }

    /// A run that did something which can be told backwards. Blocks.
    fn undoable(&self, id: RunId) -> Result<Run, UndoError> {
        let run = self.run(id)?.ok_or(UndoError::UnknownRun(id))?;
        if run.ended_at.is_none() {
            return Err(UndoError::GoesOn(id));
        }
        if let Some(why) = did_nothing(&run) {
            return Err(UndoError::ChangedNobody { run: id, why });
        }
        if let Some(by) = run.undone_by {
            return Err(UndoError::Undone { run: id, by });
        }
        if !journal_path(&self.inner.store.runs_folder(), id).exists() {
            return Err(UndoError::Expired { run: id, days: self.inner.kept.journals });
        }
        Ok(run)
    }
}

/// Why a run that has ended changed nobody, if so.
fn did_nothing(run: &Run) -> Option<&'static str> {
    match run.outcome {
        _ if run.dry_run => Some("was a dry run"),
        Some(RunOutcome::Held) => Some("is held; reject it to discard its plan"),
        _ if run.applied > 0 => None,
        Some(RunOutcome::Rejected) => Some("was held, and rejected"),
        Some(RunOutcome::Superseded) => Some("was held, and superseded"),
        Some(RunOutcome::Expired) => Some("was held, and expired"),
        Some(RunOutcome::Failed) => Some("failed before it wrote anything"),
        Some(RunOutcome::Cancelled) => Some("was cancelled before it wrote anything"),
        Some(RunOutcome::Done) | None => Some("had nothing to change"),
    }
}

/// An undo about to be executed.
struct Undo {
    store: Store,
    feed: Feed,
    run: Run,
    undone: RunId,
    by: Actor,
    /// Something of the event is synced by itself, which would bring back what is undone.
    pauses: bool,
    clock: Clock,
    observer: Observer,
    /// Planning and committing take turns across feeds.
    turn: Arc<Mutex<()>>,
    lines: Lines,
    unfinished: Arc<Unfinished>,
}

impl Undo {
    /// Runs to the end, on a thread that may block, and returns the run as history has it.
    fn execute(mut self) -> Run {
        let mut log = RunLog::new(self.clock.clone());
        match self.phases(&mut log) {
            Ok(Committed::Whole) => self.observer.run_ended(&self.run),
            Ok(Committed::Paused) => self.observer.run_paused(&self.run),
            Err(failure) => {
                self.run.log.append(&mut log.lines);
                if !self.unfinished.end_failed(&mut self.run, &failure) {
                    drop_unused_plan(&self.store.runs_folder(), &self.run);
                }
            }
        }
        self.lines.tell(|p| p.phase = Phase::Ended);
        self.run
    }

    fn phases(&mut self, log: &mut RunLog) -> Result<Committed, Failure> {
        let turn = Arc::clone(&self.turn);
        let _turn = turn.lock();
        self.unfinished.finish(&self.lines.stopping)?;
        self.lines.check()?;
        let Planned { counts, entries, erased } = self.plan()?;
        self.run.counts = counts;
        self.run.planned = Some(entries);
        say(&counts, erased, self.undone, log);
        if self.run.dry_run {
            return self.end_dry(log);
        }
        // The last chance to end early: what has begun is finished, now or at the next start.
        self.lines.check()?;
        if self.pauses {
            let event = &self.feed.id.event;
            log.add(
                Level::Warn,
                format!("event {event} is paused: nothing of it is synced by itself until it is resumed"),
            );
        }
        self.run.log.append(&mut log.lines);
        self.enter()?;
        self.lines.tell(|p| p.phase = Phase::Committing);
        let journal = JournalReader::open(&journal_path(&self.store.runs_folder(), self.run.id))?;
        let (state, clock) = (self.store.feed_state(&self.feed.id), self.clock.clone());
        let undone = undone_by(&self.store, &self.run)?;
        let finish = |run: &mut Run| Ending { undone, ..succeed(run, &state, None, None, &clock) };
        commit(&self.store, journal, &mut self.run, &self.lines, &mut Stages::default(), finish)
    }

    fn plan(&self) -> Result<Planned, Failure> {
        self.lines.tell(|p| p.phase = Phase::Planning);
        let (folder, now) = (self.store.runs_folder(), self.clock.now());
        // A full disk may have stopped it half-way, and it may have been finished just now.
        let applied = self.store.run(self.undone)?.map_or(0, |run| run.applied);
        let (run, dry_run) = (self.run.id, self.run.dry_run);
        let header = JournalHeader { run, feed: self.feed.id.clone(), dry_run, planned_at: now, position: None };
        let journal = JournalWriter::create(&journal_path(&folder, run), &header, self.store.faults())?;
        let rank = |feed: &_| self.feed.rank(feed);
        let rule = |source: &_, field: &_| self.feed.rule(source, field);
        let inviting = self.store.all_inviting();
        let invites = |event: &_| inviting.get(event).is_some_and(|inviting| inviting.enabled);
        let derivation = Derivation { rank: &rank, rule: &rule, invites: &invites, stamp: Stamp { run, at: now } };
        let path = journal_path(&folder, self.undone);
        let (store, feed, lines) = (&self.store, &self.feed, &self.lines);
        Undoing { store, feed, derivation, path: &path, applied, lines }.write(journal)
    }

    /// Enters into history that it will be done. From now on the source is to be read anew: what it changes may have been
    /// read already.
    fn enter(&mut self) -> Result<(), Failure> {
        // A read that waits to go on was compared with people as they will be no more.
        let path = read_path(&self.store.runs_folder(), &self.feed.id);
        match std::fs::remove_file(&path) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                return Err(JournalError::Io { operation: "remove", path, source }.into());
            }
            _ => {}
        }
        let now = self.clock.now();
        let decision = Some(Decision { by: self.by.to_string().into(), at: now });
        let run = Run { decision, ..self.run.clone() };
        let state = FeedState { position: None, ..self.store.feed_state(&self.feed.id) };
        let audit = vec![AuditEntry::of_run(now, self.by.clone(), AuditAction::RunUndone, self.undone)];
        let feed = Some((self.feed.id.clone(), state));
        let pause = self.pause(now);
        self.store.commit(ChangeSet { runs: vec![run.clone()], feed, audit, pause, ..ChangeSet::default() })?;
        self.run = run;
        Ok(())
    }

    /// The pause that begins with the undo; one that is there stays.
    fn pause(&self, now: Timestamp) -> Option<(EventName, Option<Pause>)> {
        let event = &self.feed.id.event;
        if !self.pauses || self.store.pause(event).is_some() {
            return None;
        }
        let pause = Pause { by: self.by.to_string(), at: now, why: PauseReason::Undo(self.undone) };
        Some((event.clone(), Some(pause)))
    }

    fn end_dry(&mut self, log: &mut RunLog) -> Result<Committed, Failure> {
        log.add(Level::Info, "dry run, nothing committed".to_owned());
        self.run.log.append(&mut log.lines);
        self.run.outcome = Some(RunOutcome::Done);
        self.run.ended_at = Some(self.clock.now());
        self.store.commit(ChangeSet { runs: vec![self.run.clone()], ..ChangeSet::default() })?;
        Ok(Committed::Whole)
    }
}

/// What an undo does, in words.
fn say(counts: &Counts, erased: u64, undone: RunId, log: &mut RunLog) {
    let Counts { create, update, remove, unchanged, skip, .. } = counts;
    let text = format!(
        "undo of run {undone}: {create} created, {update} updated, {remove} removed, {unchanged} unchanged but for \
         bookkeeping, {skip} skipped"
    );
    log.add(Level::Info, text);
    let changed = skip - erased;
    if changed > 0 {
        let text = format!(
            "{changed} people are no longer as run {undone} left them, and stay as they are; the changes list them"
        );
        log.add(Level::Warn, text);
    }
    if erased > 0 {
        let text = format!("{erased} people were deleted permanently by run {undone}, which cannot be undone");
        log.add(Level::Warn, text);
    }
}
