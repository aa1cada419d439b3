//! The third phase: what the journal says is done, in batches. It decides nothing. The run's progress is in the
//! same batch as the people it changed, so that a crash resumes exactly.

use tokio::sync::watch;

use super::failure::Failure;
use super::progress::{Lines, Progress};
use super::stopping::Stopping;
use crate::clock::Clock;
use crate::journal::{JournalReader, journal_path};
use crate::limits::BATCH_BYTES_MAX;
use crate::model::{Entry, FeedId, FeedState, Field, Person, Registration, Run, RunOutcome, Value};
use crate::store::{ChangeSet, Store};

/// The last words of a run, written with its last batch.
pub struct Ending {
    pub feed: FeedId,
    pub state: FeedState,
}

/// The end of a run that was committed whole, and its feed's state after it.
pub fn succeed(run: &mut Run, before: &FeedState, clock: &Clock) -> Ending {
    let now = clock.now();
    run.outcome = Some(RunOutcome::Done);
    run.ended_at = Some(now);
    let state = FeedState {
        complete_reads: before.complete_reads.saturating_add(u32::from(run.complete)),
        last_run: Some(run.id),
        last_attempt: Some(now),
        last_success: Some(now),
        consecutive_failures: 0,
    };
    Ending { feed: run.feed.clone(), state }
}

/// How far a commit came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Committed {
    /// The run has ended.
    Whole,
    /// The process is ending. The run stays open in history and goes on from its journal at the next start.
    Paused,
}

/// Goes on with a commit that had begun. One that had not changed nobody: its sync starts again.
pub fn resume(store: &Store, clock: &Clock, run: &mut Run, stopping: &Stopping) -> Result<Committed, Failure> {
    if run.applied == 0 {
        return Err(Failure::Stopped);
    }
    let journal = JournalReader::open(&journal_path(&store.runs_folder(), run.id))?;
    let before = store.feed_state(&run.feed);
    let (_keep, cancelled) = watch::channel(false);
    let lines = Lines { progress: watch::Sender::new(Progress::START), cancelled, stopping: stopping.clone() };
    commit(store, journal, run, &lines, |run| succeed(run, &before, clock))
}

/// Commits the journal's entries from `run.applied` on, then `ending` with the run as `finish` leaves it. After an
/// error, `run` is as it was last written.
pub fn commit(
    store: &Store,
    journal: JournalReader,
    run: &mut Run,
    lines: &Lines,
    finish: impl FnOnce(&mut Run) -> Ending,
) -> Result<Committed, Failure> {
    let mut set = ChangeSet::default();
    let mut bytes = 0;
    let mut read = 0;
    for entry in journal {
        let entry = entry?;
        read += 1;
        if read <= run.applied {
            continue;
        }
        match entry {
            Entry::Person(change) => {
                bytes += change.after.as_ref().map_or(64, weigh);
                set.people.push(*change);
            }
            Entry::Group(group) => set.groups.push(group),
            Entry::Record(_) => {}
        }
        if bytes >= BATCH_BYTES_MAX {
            put(store, std::mem::take(&mut set), run, Run { applied: read, ..run.clone() })?;
            bytes = 0;
            lines.tell(|p| p.applied = read);
            if lines.stopping.is_said() {
                return Ok(Committed::Paused);
            }
        }
    }
    let mut ended = Run { applied: read, ..run.clone() };
    let Ending { feed, state } = finish(&mut ended);
    set.feed = Some((feed, state));
    put(store, set, run, ended)?;
    lines.tell(|p| p.applied = read);
    Ok(Committed::Whole)
}

/// Writes a batch with the run as it is after it. Only then the run is so.
fn put(store: &Store, mut set: ChangeSet, run: &mut Run, after: Run) -> Result<(), Failure> {
    set.runs.push(after.clone());
    store.commit(set)?;
    *run = after;
    Ok(())
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
