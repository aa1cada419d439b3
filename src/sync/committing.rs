//! The third phase: what the journal says is done, in batches. It decides nothing. The run's progress is in the
//! same batch as the people it changed, so that a crash resumes exactly.

use super::failure::Failure;
use super::progress::Lines;
use crate::journal::JournalReader;
use crate::limits::BATCH_BYTES_MAX;
use crate::model::{Entry, FeedId, FeedState, Field, Person, Registration, Run, Value};
use crate::store::{ChangeSet, Store};

/// The last words of a run, written with its last batch.
pub struct Ending {
    pub feed: FeedId,
    pub state: FeedState,
}

/// Commits the journal's entries from `run.applied` on, then `ending` with the run as `finish` leaves it.
pub fn commit(
    store: &Store,
    journal: JournalReader,
    run: &mut Run,
    lines: &Lines,
    finish: impl FnOnce(&mut Run) -> Ending,
) -> Result<(), Failure> {
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
            run.applied = read;
            set.runs.push(run.clone());
            store.commit(std::mem::take(&mut set))?;
            bytes = 0;
            lines.tell(|p| p.applied = read);
        }
    }
    run.applied = read;
    let Ending { feed, state } = finish(run);
    set.runs.push(run.clone());
    set.feed = Some((feed, state));
    store.commit(set)?;
    lines.tell(|p| p.applied = read);
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
