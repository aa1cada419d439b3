//! A held run that somebody approved: its journal is made to fit, its approval is entered into history, and only then it
//! is committed. From the entry on nothing but an error of its own stops it: a killed process goes on at the next start.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::committing::{Committed, commit, journal_of, succeed};
use super::failure::Failure;
use super::feed::Feed;
use super::holding::Holding;
use super::progress::{Lines, Phase};
use super::rebasing::{Conflicts, Rebasing};
use super::run::drop_unused_plan;
use super::unfinished::Unfinished;
use crate::clock::Clock;
use crate::journal::{approved_path, journal_path};
use crate::model::{Actor, AuditAction, AuditEntry, Decision, Level, LogLine, Run};
use crate::observe::{Observer, Stages};
use crate::plan::{Derivation, Stamp};
use crate::store::{ChangeSet, Store};

/// An approval about to be executed.
pub struct Approval {
    pub store: Store,
    pub feed: Feed,
    pub run: Run,
    pub by: Actor,
    pub clock: Clock,
    pub observer: Observer,
    pub turn: Arc<Mutex<()>>,
    pub lines: Lines,
    pub unfinished: Arc<Unfinished>,
    pub holding: Arc<Holding>,
}

/// Why a run stays held.
#[derive(Debug)]
pub enum Refused {
    Conflicts(Conflicts),
    Failed(Failure),
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl Approval {
    /// Tells `verdict` as soon as the approval is in history, or refused; then commits. Returns the run as history has
    /// it. Blocks.
    pub fn execute(mut self, verdict: oneshot::Sender<Result<(), Refused>>) -> Run {
        let turn = Arc::clone(&self.turn);
        let _turn = turn.lock();
        if let Err(refused) = self.enter() {
            // Whoever asked may be gone.
            let _ = verdict.send(Err(refused));
            return self.run;
        }
        self.observer.run_approved(&self.run);
        let _ = verdict.send(Ok(()));
        match self.commit() {
            Ok(Committed::Whole) => self.observer.run_ended(&self.run),
            Ok(Committed::Paused) => self.observer.run_paused(&self.run),
            Err(failure) => {
                if !self.unfinished.end_failed(&mut self.run, &failure) {
                    drop_unused_plan(&self.store.runs_folder(), &self.run);
                }
            }
        }
        self.lines.tell(|p| p.phase = Phase::Ended);
        self.run
    }

    /// Makes the journal fit and enters the approval into history.
    fn enter(&mut self) -> Result<(), Refused> {
        self.unfinished.finish(&self.lines.stopping)?;
        self.lines.check()?;
        self.lines.tell(|p| p.phase = Phase::Planning);
        let now = self.clock.now();
        let rank = |feed: &_| self.feed.rank(feed);
        let rule = |source: &_, field: &_| self.feed.rule(source, field);
        let inviting = self.store.all_inviting();
        let invites = |event: &_| inviting.get(event).is_some_and(|inviting| inviting.enabled);
        let stamp = Stamp { run: self.run.id, at: now };
        let derivation = Derivation { rank: &rank, rule: &rule, invites: &invites, stamp };
        let rebasing = Rebasing { store: &self.store, feed: &self.feed, derivation, counts: self.run.counts };
        let folder = self.store.runs_folder();
        let (held, ready) = (journal_path(&folder, self.run.id), approved_path(&folder, self.run.id));
        let counts = rebasing.rewrite(&held, &ready)?.map_err(Refused::Conflicts)?;
        let mut approved = Run { ended_at: None, outcome: None, expires_at: None, counts, ..self.run.clone() };
        let text = format!("approved by {}", self.by);
        approved.log.push(LogLine { at: now, level: Level::Info, text });
        approved.decision = Some(Decision { by: self.by.to_string().into(), at: now });
        let audit = vec![AuditEntry::of_run(now, self.by.clone(), AuditAction::RunApproved, approved.id)];
        let set = ChangeSet { runs: vec![approved.clone()], audit, ..ChangeSet::default() };
        self.store.commit(set).map_err(Failure::from)?;
        self.run = approved;
        self.holding.forget(&self.run);
        Ok(())
    }

    fn commit(&mut self) -> Result<Committed, Failure> {
        self.lines.tell(|p| p.phase = Phase::Committing);
        let journal = journal_of(&self.store, &self.run)?;
        let (state, position) = (self.store.feed_state(&self.feed.id), journal.header().position.clone());
        let clock = self.clock.clone();
        let finish = |run: &mut Run| succeed(run, &state, position, None, &clock);
        commit(&self.store, journal, &mut self.run, &self.lines, &mut Stages::default(), finish)
    }
}
