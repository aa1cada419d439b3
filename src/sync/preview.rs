//! The first page of a feed as it is, as it would be mapped, and what it would change. Changes nobody, enters no history.
//!
//! The plan is the real one: the page goes through a spool, the planner and a journal, which are then thrown away.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;

use parking_lot::Mutex;
use tokio::sync::watch;

use super::failure::Failure;
use super::feed::Feed;
use super::journaling::Journaling;
use super::planning::{Plan, Planning};
use super::progress::{Lines, Progress};
use super::reading::Reading;
use super::stopping::Stopping;
use crate::clock::Clock;
use crate::codec::JournalHeader;
use crate::decode::RawRecord;
use crate::journal::{JournalReader, JournalWriter, preview_paths};
use crate::limits::{PREVIEW_RECORDS_MAX, PREVIEW_TURN_WAIT_MAX};
use crate::model::{
    Action, Counts, Entry, ExternalId, GroupName, Outcome, PersonChange, RunError, RunId, Traffic, UserNo, Verdict,
};
use crate::source::{Glimpse, Onward, Page, ShownAnswer, ShownRequest, Suggestion};
use crate::store::Store;

/// What the source answered first, and what that means.
pub struct Preview {
    pub request: Option<ShownRequest>,
    pub answer: Option<ShownAnswer>,
    pub onward: Option<Onward>,
    pub suggestions: Vec<Suggestion>,
    pub traffic: Traffic,
    pub page: Result<PreviewPage, RunError>,
}

/// The page.
pub struct PreviewPage {
    /// The records of the page, of which only the first are shown.
    pub records_count: usize,
    pub records: Vec<PreviewRecord>,
    /// What the whole page would do.
    pub plan: Result<PreviewPlan, Unplanned>,
}

pub struct PreviewRecord {
    pub raw: RawRecord,
    /// What the mapping makes of it.
    pub outcome: Outcome,
    /// Why it changes nobody, though the mapping accepts it.
    pub refused: Option<Verdict>,
    /// The people whom it changes: as a rule one, and two where it goes from one to the other. Bookkeeping is left out.
    pub changes: Vec<PersonChange>,
}

/// What the page would do.
#[derive(Debug, Default)]
pub struct PreviewPlan {
    pub counts: Counts,
    pub new_groups: Vec<GroupName>,
}

/// Why there is no plan.
#[derive(Debug)]
pub enum Unplanned {
    /// A sync was planning or committing all the while.
    Busy,
    Failed(RunError),
}

/// What a preview is made with.
pub struct Preparation {
    pub store: Store,
    pub feed: Feed,
    pub clock: Clock,
    /// It is the only one of this number.
    pub number: u64,
}

impl Preview {
    /// Maps and plans what was read. Blocks.
    pub fn of(glimpse: Glimpse, preparation: &Preparation, turn: &Mutex<()>) -> Self {
        let Glimpse { request, answer, page, onward, suggestions, traffic } = glimpse;
        let page = page.map(|page| preparation.page(&page, turn));
        Self { request, answer, onward, suggestions, traffic, page }
    }
}

impl Preparation {
    pub fn page(&self, page: &Page, turn: &Mutex<()>) -> PreviewPage {
        let mapping = &self.feed.entry.mapping;
        let record = |raw: &RawRecord| PreviewRecord {
            raw: raw.clone(),
            outcome: mapping.map(raw),
            refused: None,
            changes: Vec::new(),
        };
        let mut records: Vec<_> = page.records.iter().take(PREVIEW_RECORDS_MAX).map(record).collect();
        let plan = self.plan(page, turn, &mut records);
        PreviewPage { records_count: page.records.len(), records, plan }
    }

    fn plan(&self, page: &Page, turn: &Mutex<()>, records: &mut [PreviewRecord]) -> Result<PreviewPlan, Unplanned> {
        let failed = |failure: Failure| Unplanned::Failed(failure.to_run_error().unwrap_or_else(interrupted));
        let (spool, journal) = preview_paths(&self.store.runs_folder(), self.number);
        let found = Reading::of_page(&self.store, &self.feed, page, &spool, self.clock.clone()).map_err(failed)?;
        // A plan rests on whole commits.
        let Some(_turn) = turn.try_lock_for(PREVIEW_TURN_WAIT_MAX) else { return Err(Unplanned::Busy) };
        let scratch = Scratch(journal);
        let (run, now) = (RunId(0), self.clock.now());
        let header = JournalHeader { run, feed: self.feed.id.clone(), dry_run: true, planned_at: now, position: None };
        let journal = JournalWriter::create(&scratch.0, &header, self.store.faults());
        let journal = journal.map_err(Failure::from).and_then(|journal| Journaling::new(journal, &scratch.0));
        let plan = Plan { run, now, complete_read: None };
        let planning = Planning::new(&self.store, &self.feed, &plan, found, journal.map_err(failed)?);
        let counts = planning.and_then(|planning| planning.write(&unheard())).map_err(failed)?.counts;
        let new_groups = self.read(&scratch, records).map_err(failed)?;
        Ok(PreviewPlan { counts, new_groups })
    }

    /// Gives each record what the plan says of it. Returns the groups that would be made.
    fn read(&self, scratch: &Scratch, records: &mut [PreviewRecord]) -> Result<Vec<GroupName>, Failure> {
        let places = Places::of(records, &self.store, &self.feed);
        let mut new_groups = Vec::new();
        for entry in JournalReader::open(&scratch.0)? {
            match entry? {
                Entry::Group(group) => new_groups.push(group),
                Entry::Record(note) => {
                    if let Some(record) = records.get_mut(note.position.index as usize)
                        && matches!(record.outcome, Outcome::Mapped(_))
                    {
                        record.refused = Some(note.verdict);
                    }
                }
                Entry::Person(change) if change.action == Action::Touch => {}
                // Of undos alone.
                Entry::GroupGone(_) | Entry::NotUndone(_) => {}
                Entry::Person(change) => {
                    for at in places.of_change(&change, &self.feed) {
                        records[at].changes.push((*change).clone());
                    }
                }
            }
        }
        Ok(new_groups)
    }
}

/// Which records may concern whom.
struct Places {
    by_id: BTreeMap<ExternalId, Vec<usize>>,
    by_user: HashMap<UserNo, Vec<usize>>,
}

impl Places {
    fn of(records: &[PreviewRecord], store: &Store, feed: &Feed) -> Self {
        let mut places = Self { by_id: BTreeMap::new(), by_user: HashMap::new() };
        let view = store.view();
        for (at, record) in records.iter().enumerate() {
            let Outcome::Mapped(mapped) = &record.outcome else { continue };
            let id = &mapped.external_id;
            places.by_id.entry(id.clone()).or_default().push(at);
            let users: BTreeSet<UserNo> =
                view.index().registrations_of_source(&feed.id.source, id).iter().map(|hit| hit.user).collect();
            for user in users {
                places.by_user.entry(user).or_default().push(at);
            }
        }
        places
    }

    /// The records that a change comes from: nothing is kept of who was deleted, so there it is whoever was known by
    /// the record's id; elsewhere the registration is another than before.
    fn of_change(&self, change: &PersonChange, feed: &Feed) -> BTreeSet<usize> {
        if change.action == Action::Delete {
            let user = change.user.and_then(|user| self.by_user.get(&user));
            return user.into_iter().flatten().copied().collect();
        }
        let sides = [&change.before, &change.after].map(Option::as_ref);
        let ids = sides.into_iter().flatten().flat_map(|person| &person.registrations);
        let ids = ids.filter(|registration| registration.feed == feed.id).map(|registration| &registration.external_id);
        let differs = |id: &&ExternalId| {
            let [before, after] = sides.map(|person| person.and_then(|person| person.registration(&feed.id, id)));
            before != after
        };
        ids.filter(differs).filter_map(|id| self.by_id.get(id)).flatten().copied().collect()
    }
}

/// A file that goes when it is no longer needed.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        // What stays behind goes at the next start.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Lines of a run that nobody follows.
fn unheard() -> Lines {
    let (progress, _) = watch::channel(Progress::START);
    let (_, cancelled) = watch::channel(false);
    Lines { progress, cancelled, stopping: Stopping::default() }
}

fn interrupted() -> RunError {
    // Nobody can cancel a preview's plan.
    Failure::Stopped.to_run_error().expect("a run that is stopped says so")
}

impl PreviewRecord {
    /// Whether the record leaves everything visible as it is.
    pub fn is_unchanged(&self) -> bool {
        matches!(self.outcome, Outcome::Mapped(_)) && self.refused.is_none() && self.changes.is_empty()
    }
}
