//! The third phase: what the journal says is done, in batches. It decides nothing. The run's progress is in the
//! same batch as the people it changed, so that a crash resumes exactly.

use std::time::Duration;

use tokio::sync::watch;

use super::failure::Failure;
use super::holding::Holding;
use super::progress::{Lines, Progress};
use super::stopping::Stopping;
use crate::clock::Clock;
use crate::codec::Planned;
use crate::journal::{JournalReader, adopt_approved, journal_path};
use crate::limits::BATCH_BYTES_MAX;
use crate::model::{
    Entry, ErasedBy, FeedId, FeedPosition, FeedState, Field, Person, Registration, Run, RunOutcome, Value,
};
use crate::observe::Stages;
use crate::store::{ChangeSet, Commit, Erasing, GroupWrite, Store, StoreError};

/// The last words of a run, written with its last batch.
pub struct Ending {
    pub feed: FeedId,
    pub state: FeedState,
    /// A held run of the feed, whose plan this one's takes the place of.
    pub superseded: Option<Run>,
    /// The run that this one undid.
    pub undone: Option<Run>,
}

/// The end of a run that was committed whole, and its feed's state after it.
/// `position`: how far the source was read; `None` leaves it as it was.
pub fn succeed(
    run: &mut Run,
    before: &FeedState,
    position: Option<FeedPosition>,
    superseded: Option<Run>,
    clock: &Clock,
) -> Ending {
    let now = clock.now();
    run.outcome = Some(RunOutcome::Done);
    run.ended_at = Some(now);
    if !run.trigger.is_sync() {
        return Ending { feed: run.feed.clone(), state: before.clone(), superseded, undone: None };
    }
    let state = FeedState {
        complete_reads: before.complete_reads.saturating_add(u32::from(run.complete)),
        last_run: Some(run.id),
        last_attempt: Some(now),
        last_success: Some(now),
        last_began: Some(run.started_at),
        last_success_began: Some(run.started_at),
        failing_since: None,
        consecutive_failures: 0,
        position: position.or_else(|| before.position.clone()),
        goes_on_at: None,
    };
    Ending { feed: run.feed.clone(), state, superseded, undone: None }
}

/// The run that this one undoes, as it is once that is done.
pub fn undone_by(store: &Store, run: &Run) -> Result<Option<Run>, StoreError> {
    let undone = run.undoes.map(|undone| store.run(undone)).transpose()?.flatten();
    Ok(undone.map(|undone| Run { undone_by: Some(run.id), ..undone }))
}

/// How far a commit came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Committed {
    /// The run has ended.
    Whole,
    /// The process is ending. The run stays open in history and goes on from its journal at the next start.
    Paused,
}

/// Goes on with a commit that had begun, or that somebody approved. Another changed nobody: its sync starts again.
pub fn resume(
    store: &Store,
    clock: &Clock,
    holding: &Holding,
    run: &mut Run,
    stopping: &Stopping,
) -> Result<Committed, Failure> {
    if run.applied == 0 && !run.is_approved() {
        return Err(Failure::Stopped);
    }
    let journal = journal_of(store, run)?;
    let (before, position) = (store.feed_state(&run.feed), journal.header().position.clone());
    let (_keep, cancelled) = watch::channel(false);
    let lines = Lines { progress: watch::Sender::new(Progress::START), cancelled, stopping: stopping.clone() };
    let superseded = holding.superseded_by(run).filter(|_| run.trigger.is_sync());
    let undone = undone_by(store, run)?;
    let finish = |run: &mut Run| Ending { undone, ..succeed(run, &before, position, superseded.clone(), clock) };
    let committed = commit(store, journal, run, &lines, &mut Stages::default(), finish)?;
    if let (Committed::Whole, Some(older)) = (committed, &superseded) {
        holding.ended(older);
    }
    Ok(committed)
}

/// The journal of a run that is to be committed.
pub fn journal_of(store: &Store, run: &Run) -> Result<JournalReader, Failure> {
    let folder = store.runs_folder();
    if run.is_approved() {
        adopt_approved(&folder, run.id)?;
    }
    Ok(JournalReader::open(&journal_path(&folder, run.id))?)
}

/// Commits the journal's entries from `run.applied` on, then `ending` with the run as `finish` leaves it. After an
/// error, `run` is as it was last written.
pub fn commit(
    store: &Store,
    journal: JournalReader,
    run: &mut Run,
    lines: &Lines,
    stages: &mut Stages,
    finish: impl FnOnce(&mut Run) -> Ending,
) -> Result<Committed, Failure> {
    let mut batches = Batches { store, run, lines, waiting_for_disk: Duration::ZERO, under_way: None };
    let done = batches.write_all(journal, finish);
    // Also where the journal breaks off: the run is to be told as it is on disk.
    let settled = batches.settle();
    stages.sync += batches.waiting_for_disk;
    let done = done?;
    settled.map(|()| done)
}

/// Batches on their way to the disk: one is written while the next is gathered. None is handed over before the one
/// before it is on disk, for the progress it bears says that those before are.
struct Batches<'a> {
    store: &'a Store,
    /// As it was last written.
    run: &'a mut Run,
    lines: &'a Lines,
    waiting_for_disk: Duration,
    /// The run as it is when this one is on disk.
    under_way: Option<(Commit, Run)>,
}

impl Batches<'_> {
    fn write_all(
        &mut self,
        mut journal: JournalReader,
        finish: impl FnOnce(&mut Run) -> Ending,
    ) -> Result<Committed, Failure> {
        let before = self.run.clone();
        let mut set = ChangeSet::default();
        let mut bytes = 0;
        let mut read = 0;
        while let Some(entry) = journal.next_planned() {
            let entry = entry?;
            read += 1;
            if read <= before.applied {
                continue;
            }
            match entry {
                Planned::Newcomer(newcomer) => {
                    bytes += newcomer.person.len();
                    set.newcomers.people.push(newcomer);
                }
                Planned::Other(Entry::Person(change)) => {
                    bytes += change.after.as_ref().map_or(64, weigh);
                    set.people.push(*change);
                }
                Planned::Other(Entry::Group(group)) => set.groups.push(group),
                Planned::Other(Entry::GroupGone(group)) => set.group_writes.push(GroupWrite::Delete(group.key)),
                Planned::Other(Entry::Record(_) | Entry::NotUndone(_)) => {}
            }
            if bytes >= BATCH_BYTES_MAX {
                self.begin(std::mem::take(&mut set), &journal, Run { applied: read, ..before.clone() })?;
                bytes = 0;
                if self.lines.stopping.is_said() {
                    return Ok(Committed::Paused);
                }
            }
        }
        let mut ended = Run { applied: read, ..before };
        let Ending { feed, state, superseded, undone } = finish(&mut ended);
        set.runs.extend(superseded.into_iter().chain(undone));
        set.feed = Some((feed, state));
        self.begin(set, &journal, ended)?;
        Ok(Committed::Whole)
    }

    /// Has a batch of a journal written, with the run as it is after it, once the one before is on disk.
    fn begin(&mut self, mut set: ChangeSet, journal: &JournalReader, after: Run) -> Result<(), Failure> {
        self.settle()?;
        set.newcomers.symbols = journal.symbols().clone();
        let (at, by) = (journal.header().planned_at, ErasedBy::Run(after.id));
        // Who was new and goes again is not erased: an undo can be undone.
        set.erasing = after.undoes.is_none().then_some(Erasing { at, by, keep_out: false });
        set.runs.push(after.clone());
        self.under_way = Some((self.store.begin_commit(set)?, after));
        Ok(())
    }

    /// Waits for the batch under way. Only then the run is as it says.
    fn settle(&mut self) -> Result<(), Failure> {
        let Some((commit, after)) = self.under_way.take() else { return Ok(()) };
        self.waiting_for_disk += commit.wait()?.synced_in;
        self.lines.tell(|p| p.applied = after.applied);
        *self.run = after;
        Ok(())
    }
}

/// About how many bytes a person takes in a batch, their neighbours in the block not counted.
fn weigh(person: &Person) -> usize {
    let text = |value: &Value| match value {
        Value::Text(text) | Value::Number(text) => text.len(),
        Value::Bool(_) => 1,
        Value::List(items) => items.iter().map(|item| item.len() + 2).sum(),
    };
    let profile: usize = person.profile.iter().map(|field| 8 + text(&field.value)).sum();
    // A registration's values are mostly those of the profile, and then not written twice.
    let differs = |(field, value): &&(Field, Value)| person.value(field) != Some(value);
    let own = |r: &Registration| r.fields.iter().filter(differs).map(|(_, value)| text(value)).sum::<usize>();
    let registrations: usize = person.registrations.iter().map(|r| 80 + 4 * r.fields.len() + own(r)).sum();
    120 + profile + registrations
}
