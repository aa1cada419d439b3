//! Gathers what is known of one person or one record in a feed: what is here, what the runs wrote down and, where it is
//! asked for, what the source says now. What it means is decided in `plan`.

use tokio::time::timeout;

use super::feed::Feed;
use crate::codec::{Newcomer, Planned, decode_person};
use crate::decode::RawRecord;
use crate::journal::{JournalError, JournalReader, journal_path};
use crate::limits::{EXPLAIN_FETCH_MAX, EXPLAIN_RECORDS_MAX, EXPLAIN_RUNS_MAX};
use crate::mapping::Mapping;
use crate::model::{
    Action, Email, EmailKey, Entry, ExternalId, FeedId, Outcome, Person, PersonChange, RecordNote, Rejection, Run,
    RunError, RunId, RunOutcome, Traffic, UserId,
};
use crate::plan::{Evidence, LastDone, Step, explain};
use crate::source::{Page, ReadEvent};
use crate::store::{Store, StoreError};

/// Who is asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    User(UserId),
    Email(EmailKey),
    ExternalId(ExternalId),
}

/// The answer for one feed.
pub struct Explanation {
    pub feed: FeedId,
    /// The person, where one is here.
    pub person: Option<Person>,
    pub steps: Vec<Step>,
    /// The last change of a kept plan that concerns them: the entry's number in it, and the values used.
    pub change: Option<(RunId, u64, Box<PersonChange>)>,
}

#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// Explains from what is here and what the runs wrote down. Blocks.
pub fn from_journals(store: &Store, feed: &FeedId, subject: &Subject) -> Result<Explanation, ExplainError> {
    let person = person(store, feed, subject)?;
    let ids = external_ids(feed, subject, person.as_ref());
    let runs = store.runs(None, EXPLAIN_RUNS_MAX, |run| run.feed == *feed && !run.dry_run && run.ended_at.is_some())?;
    let user = person.as_ref().map(|person| person.id);
    let trace = trace(store, &runs, &Wanted { feed, ids: &ids, user })?;
    let done = runs.iter().find(|run| run.outcome == Some(RunOutcome::Done) && run.undoes.is_none());
    let failed = runs.first().filter(|run| run.outcome == Some(RunOutcome::Failed));
    let evidence = Evidence {
        feed,
        external_ids: &ids,
        person: person.as_ref(),
        last_done: done.and_then(|run| Some(LastDone { run: run.id, at: run.ended_at?, complete: run.complete })),
        failed: failed.and_then(|run| Some((run.id, run.error.as_ref()?.reason))),
        note: trace.note.as_ref().map(|(run, note)| (*run, note)),
        change: trace.change.as_ref().map(|(run, _, change)| (*run, &**change)),
        pending: trace.pending.as_ref().map(|(run, _, change)| (*run, &**change)),
    };
    let steps = explain(&evidence);
    Ok(Explanation { feed: feed.clone(), person, steps, change: trace.change })
}

fn person(store: &Store, feed: &FeedId, subject: &Subject) -> Result<Option<Person>, StoreError> {
    let user = match subject {
        Subject::User(id) => store.user_by_id(*id),
        Subject::Email(email) => store.user_by_email(email),
        Subject::ExternalId(id) => store.user_by_registration(feed, id),
    };
    user.map(|user| store.person(user)).transpose().map(Option::flatten)
}

fn external_ids(feed: &FeedId, subject: &Subject, person: Option<&Person>) -> Vec<ExternalId> {
    if let Subject::ExternalId(id) = subject {
        return vec![id.clone()];
    }
    let registrations = person.into_iter().flat_map(|person| &person.registrations);
    registrations.filter(|r| r.feed == *feed).map(|r| r.external_id.clone()).collect()
}

struct Wanted<'a> {
    feed: &'a FeedId,
    ids: &'a [ExternalId],
    user: Option<UserId>,
}

#[derive(Default)]
struct Trace {
    /// Only if no later change speaks of them.
    note: Option<(RunId, RecordNote)>,
    change: Option<(RunId, u64, Box<PersonChange>)>,
    /// Of a run that is held.
    pending: Option<(RunId, u64, Box<PersonChange>)>,
}

/// Looks through the plans from the newest on, up to the last change. A complete read speaks of every record, so nothing
/// that was noted before it still holds.
fn trace(store: &Store, runs: &[Run], wanted: &Wanted<'_>) -> Result<Trace, JournalError> {
    let mut trace = Trace::default();
    let mut notes_hold = true;
    for run in runs {
        let journal = match JournalReader::open(&journal_path(&store.runs_folder(), run.id)) {
            Err(error) if error.is_missing() => continue,
            journal => journal?,
        };
        let found = in_journal(journal, run.id, wanted)?;
        if run.is_held() {
            trace.pending = found.change;
            continue;
        }
        if notes_hold {
            trace.note = trace.note.or(found.note);
        }
        if found.change.is_some() {
            trace.change = found.change;
            break;
        }
        notes_hold &= trace.note.is_none() && !(run.complete && run.outcome == Some(RunOutcome::Done));
    }
    Ok(trace)
}

fn in_journal(mut journal: JournalReader, run: RunId, wanted: &Wanted<'_>) -> Result<Trace, JournalError> {
    let mut trace = Trace::default();
    let mut number = 0;
    while let Some(entry) = next(&mut journal, wanted.user) {
        number += 1;
        match entry? {
            Some(Entry::Record(note)) if note.external_id.as_ref().is_some_and(|id| wanted.ids.contains(id)) => {
                trace.note = Some((run, note));
            }
            Some(Entry::Person(change)) if wanted.is_about(&change) => trace.change = Some((run, number, change)),
            _ => {}
        }
    }
    Ok(trace)
}

/// Newcomers are told by their id before anything of them is decoded.
fn next(journal: &mut JournalReader, user: Option<UserId>) -> Option<Result<Option<Entry>, JournalError>> {
    let entry = match journal.next_planned()? {
        Ok(Planned::Newcomer(Newcomer { id, person })) if Some(id) == user => {
            let after = decode_person(journal.symbols(), &person).ok();
            let create =
                |after| PersonChange { action: Action::Create, user: None, id, before: None, after: Some(after) };
            Ok(after.map(|after| Entry::Person(Box::new(create(after)))))
        }
        Ok(Planned::Newcomer(_)) => Ok(None),
        Ok(Planned::Other(entry)) => Ok(Some(entry)),
        Err(error) => Err(error),
    };
    Some(entry)
}

impl Wanted<'_> {
    fn is_about(&self, change: &PersonChange) -> bool {
        let has = |person: &Person| self.ids.iter().any(|id| person.registration(self.feed, id).is_some());
        Some(change.id) == self.user || [&change.before, &change.after].into_iter().flatten().any(has)
    }
}

/// Which records of a list are one person's.
pub struct Whose {
    ids: Vec<ExternalId>,
    email: Option<EmailKey>,
}

impl Whose {
    /// # Errors
    /// The store cannot be read.
    pub fn of(store: &Store, feed: &FeedId, subject: &Subject) -> Result<Self, StoreError> {
        let person = person(store, feed, subject)?;
        let email = match subject {
            Subject::Email(email) => Some(email.clone()),
            Subject::User(_) => person.as_ref().map(|person| person.email.key()),
            Subject::ExternalId(_) => None,
        };
        Ok(Self { ids: external_ids(feed, subject, person.as_ref()), email })
    }

    /// Is it theirs, as far as the mapping can tell who a record is about?
    fn is_of(&self, mapping: &Mapping, record: &RawRecord) -> bool {
        let is = |id: &Option<ExternalId>| id.as_ref().is_some_and(|id| self.ids.contains(id));
        match mapping.map(record) {
            Outcome::Mapped(mapped) => {
                let email = mapped.email.as_ref().map(Email::key);
                self.ids.contains(&mapped.external_id) || (email.is_some() && email == self.email)
            }
            Outcome::Skipped(_, id) => is(&id) || self.is_mentioned(record),
            Outcome::Rejected(Rejection { external_id, .. }) => is(&external_id) || self.is_mentioned(record),
        }
    }

    /// The mapping gives no email of a record that it does not accept; so the email is looked for in its text.
    fn is_mentioned(&self, record: &RawRecord) -> bool {
        let Some(email) = &self.email else { return false };
        String::from_utf8_lossy(record.bytes()).to_lowercase().contains(email.as_str())
    }
}

/// Reads the feed's list, within the source's allowance and at most for [`EXPLAIN_FETCH_MAX`], and gives the pages that
/// have records of theirs, with those records only. Changes nobody.
pub async fn look(feed: &Feed, whose: &Whose) -> Look {
    let mut look = Look::default();
    look.out_of_time = timeout(EXPLAIN_FETCH_MAX, look.through(feed, whose)).await.is_err();
    look
}

/// What a look into the source found.
#[derive(Default)]
pub struct Look {
    pub traffic: Traffic,
    pub records: u64,
    /// Why it is not the whole list, where it is not.
    pub failure: Option<RunError>,
    pub out_of_time: bool,
    /// Pages with nothing but records of theirs.
    pub pages: Vec<Page>,
}

impl Look {
    async fn through(&mut self, feed: &Feed, whose: &Whose) {
        let mut read = feed.entry.source.read(&feed.params);
        let mut left = EXPLAIN_RECORDS_MAX;
        while let Some(event) = read.next().await {
            match event {
                ReadEvent::Page(mut page) => {
                    self.traffic = page.traffic;
                    self.records += page.records.len() as u64;
                    page.records.retain(|record| whose.is_of(&feed.entry.mapping, record));
                    page.records.truncate(left);
                    left -= page.records.len();
                    if !page.records.is_empty() {
                        self.pages.push(page);
                    }
                }
                ReadEvent::Waiting { .. } => {}
                ReadEvent::End(end) => self.traffic = end.traffic,
                ReadEvent::Failed { error, traffic, .. } => {
                    (self.traffic, self.failure) = (traffic, Some(error));
                }
            }
        }
    }
}
