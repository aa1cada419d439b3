//! One run from its first request to its line in history.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use jiff::SignedDuration;
use parking_lot::Mutex;

use super::committing::{Committed, commit, succeed};
use super::failure::Failure;
use super::feed::Feed;
use super::guarding::{self, Doubts};
use super::holding::Holding;
use super::journaling::Journaling;
use super::log::RunLog;
use super::planning::{Plan, Planned, Planning};
use super::progress::{Lines, Phase};
use super::reading::Reading;
use super::rebasing;
use super::unfinished::Unfinished;
use crate::clock::Clock;
use crate::codec::JournalHeader;
use crate::journal::{JournalReader, JournalWriter, journal_path};
use crate::limits::HELD_DAYS;
use crate::model::{Counts, Doubt, FeedState, Level, Run, RunOutcome, Traffic};
use crate::observe::Observer;
use crate::store::{ChangeSet, Store, StoreError};

/// A run about to be executed.
pub struct Execution {
    pub store: Store,
    pub feed: Feed,
    pub run: Run,
    pub clock: Clock,
    pub observer: Observer,
    /// Planning and committing take turns across feeds.
    pub turn: Arc<Mutex<()>>,
    pub lines: Lines,
    pub unfinished: Arc<Unfinished>,
    pub holding: Arc<Holding>,
}

impl Execution {
    /// Runs to the end, on a thread that may block, and returns the run as history has it. It is open still where
    /// the process ends first.
    pub fn execute(mut self) -> Run {
        let mut log = RunLog::new(self.clock.clone());
        match self.phases(&mut log) {
            Ok(Committed::Whole) => self.observer.run_ended(&self.run),
            Ok(Committed::Paused) => self.observer.run_paused(&self.run),
            Err(failure) => {
                if self.run.traffic == Traffic::default() {
                    self.run.traffic = log.traffic;
                }
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
        let folder = self.store.runs_folder();
        let epoch = self.store.epoch();
        let state = self.store.feed_state(&self.feed.id);
        let turn = Arc::clone(&self.turn);
        // What a profile says hangs on who its person is; it is here already, so nobody waits for long.
        let early = self.run.trigger.is_of_logins().then(|| turn.lock());
        let reading = Reading::new(&self.store, &self.feed, &self.run, &state, log)?;
        let reading = if self.run.dry_run { reading } else { reading.reading_back(self.run.started_at) };
        let found = reading.read(&mut self.lines, log)?;
        let mut stages = found.stages;
        self.run.traffic = found.traffic;
        self.run.complete = found.complete;
        let _turn = early.unwrap_or_else(|| turn.lock());
        self.lines.check()?;
        self.unfinished.finish(&self.lines.stopping)?;
        self.lines.tell(|p| p.phase = Phase::Planning);
        let planning_began = Instant::now();
        let now = self.clock.now();
        let state = self.store.feed_state(&self.feed.id);
        let (run, feed) = (self.run.id, self.feed.id.clone());
        let position = found.position.clone();
        let header =
            JournalHeader { run, feed, dry_run: self.run.dry_run, planned_at: now, position: position.clone() };
        let path = journal_path(&folder, run);
        let journal = Journaling::new(JournalWriter::create(&path, &header, self.store.faults())?, &path)?;
        let plan = Plan { run, now, complete_read: Some(state.complete_reads + 1) };
        let planning = Planning::new(&self.store, &self.feed, &plan, found, journal)?;
        let Planned { counts, figures, entries, journal_took } = planning.write(&self.lines)?;
        (stages.plan, stages.journal) = (planning_began.elapsed(), journal_took);
        // What was seen and what is absent was told by the index's numbers, which a store opened anew gives afresh.
        if self.store.epoch() != epoch {
            return Err(StoreError::Reopened.into());
        }
        self.run.counts = counts;
        self.run.planned = Some(entries);
        let Doubts { held, degraded } = match self.run.trigger.is_of_logins() {
            // Each says of one's own person what one's own provider says.
            true => Doubts::default(),
            false => guarding::doubts(&self.store, &self.feed, figures)?,
        };
        warn_of(&counts, &degraded, log);
        self.run.degraded = degraded;
        if self.run.dry_run {
            return self.end_dry(held, log);
        }
        // The last chance to end early: what has begun is finished, now or at the next start.
        self.lines.check()?;
        let is_partial = self.run.trigger.is_partial();
        // What a hint brings is no plan of the whole list, unless it has to wait for a decision itself.
        let superseded = self.holding.superseded_by(&self.run).filter(|_| !is_partial || !held.is_empty());
        if !held.is_empty() {
            return self.hold(held, &state, superseded, log);
        }
        self.lines.tell(|p| p.phase = Phase::Committing);
        log.add(Level::Info, summary(&counts));
        self.run.log.append(&mut log.lines);
        let clock = self.clock.clone();
        let finish = |run: &mut Run| succeed(run, &state, position, superseded.clone(), &clock);
        let commit_began = Instant::now();
        let journal = JournalReader::open(&path)?;
        let committed = commit(&self.store, journal, &mut self.run, &self.lines, &mut stages, finish)?;
        stages.commit = commit_began.elapsed();
        if let (Committed::Whole, Some(older)) = (committed, &superseded) {
            self.holding.ended(older);
        }
        self.observer.run_stages(&self.run, &stages);
        Ok(committed)
    }

    /// Ends the run without having changed anybody; its plan waits for a decision.
    fn hold(
        &mut self,
        reasons: Vec<Doubt>,
        state: &FeedState,
        superseded: Option<Run>,
        log: &mut RunLog,
    ) -> Result<Committed, Failure> {
        if self.run.counts.delete > 0 {
            rebasing::show_deleted(&self.store, &journal_path(&self.store.runs_folder(), self.run.id))?;
        }
        log.add(Level::Info, format!("planned: {}", summary(&self.run.counts)));
        for reason in &reasons {
            log.add(Level::Warn, format!("held: {}", reason.text));
        }
        let now = self.clock.now();
        let days = self.feed.safety.guard.held_days.unwrap_or(HELD_DAYS);
        let mut held = Run { held: reasons, outcome: Some(RunOutcome::Held), ended_at: Some(now), ..self.run.clone() };
        held.expires_at = now.checked_add(SignedDuration::from_hours(i64::from(days) * 24)).ok();
        held.log.append(&mut log.lines);
        let began = Some(held.started_at);
        let state = FeedState {
            last_run: Some(held.id),
            last_attempt: Some(now),
            last_began: began,
            goes_on_at: None,
            ..state.clone()
        };
        let runs = superseded.iter().chain([&held]).cloned().collect();
        // As at every end of a hint.
        let feed = (!held.trigger.is_partial()).then(|| (held.feed.clone(), state));
        self.store.commit(ChangeSet { runs, feed, ..ChangeSet::default() })?;
        superseded.iter().for_each(|older| self.holding.ended(older));
        self.holding.enter(held.clone());
        self.run = held;
        Ok(Committed::Whole)
    }

    fn end_dry(&mut self, held: Vec<Doubt>, log: &mut RunLog) -> Result<Committed, Failure> {
        for reason in &held {
            log.add(Level::Warn, format!("would be held: {}", reason.text));
        }
        self.run.held = held;
        log.add(Level::Info, format!("dry run, nothing committed: {}", summary(&self.run.counts)));
        self.run.log.append(&mut log.lines);
        self.run.outcome = Some(RunOutcome::Done);
        self.run.ended_at = Some(self.clock.now());
        self.store.commit(ChangeSet { runs: vec![self.run.clone()], ..ChangeSet::default() })?;
        Ok(Committed::Whole)
    }
}

/// The plan of a run that ended before anything of it was done says nothing of what happened. What cannot be removed
/// goes with the old journals.
pub fn drop_unused_plan(folder: &Path, run: &Run) {
    if run.applied == 0 {
        let _ = std::fs::remove_file(journal_path(folder, run.id));
    }
}

fn warn_of(counts: &Counts, degraded: &[Doubt], log: &mut RunLog) {
    for doubt in degraded {
        log.add(Level::Warn, format!("degraded: {}", doubt.text));
    }
    if counts.reject > 0 {
        log.add(Level::Warn, format!("{} records were rejected; the run's changes list them", counts.reject));
    }
}

/// A run's counts in one line.
fn summary(counts: &Counts) -> String {
    let Counts { records, unchanged, create, update, remove, delete, skip, reject, missing, .. } = counts;
    format!(
        "{records} records: {create} created, {update} updated, {remove} removed, {delete} deleted, \
         {unchanged} unchanged, {skip} skipped, {reject} rejected, {missing} missing"
    )
}
