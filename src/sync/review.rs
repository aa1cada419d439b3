//! What of an event a person should look at, as its runs have found it.

use crate::codec::Planned;
use crate::journal::{JournalError, JournalReader, journal_path};
use crate::limits::REVIEW_RUNS_MAX;
use crate::model::{Entry, ExternalId, FeedId, Position, RecordNote, Run, RunId, RunOutcome, UserId};
use crate::plan::{Matter, Review, shares_email, used_ids};
use crate::store::{Store, StoreError};

/// One thing to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReviewItem {
    pub matter: Matter,
    /// The record's, where it is about one and its id can be read.
    pub external_id: Option<ExternalId>,
    /// The person, where it is about one who is here.
    pub user: Option<UserId>,
    /// The run that found it last, and where the record stood in its list.
    pub found: Option<(RunId, Position)>,
}

#[derive(Debug, thiserror::Error)]
pub enum ReviewError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// Everything there is to look at in a feed: rejections, duplicates, then shared emails. Found anew each time, from the
/// last complete read on, as far as journals are kept. Blocks.
pub fn review(store: &Store, feed: &FeedId) -> Result<Vec<ReviewItem>, ReviewError> {
    let mut review = Review::default();
    for run in runs(store, feed)? {
        take_run(store, &run, &mut review)?;
    }
    let user = |id: &ExternalId| {
        let user = store.user_by_registration(feed, id)?;
        store.view().index().user_id(user)
    };
    let mut items: Vec<ReviewItem> = Vec::new();
    for finding in review.findings() {
        let user = finding.external_id.as_ref().and_then(user);
        let found = Some((finding.run, finding.position));
        items.push(ReviewItem { matter: finding.matter, external_id: finding.external_id, user, found });
    }
    for user in store.users_with_several_registrations(feed) {
        if let Some(person) = store.person(user)?.filter(|person| shares_email(person, feed)) {
            let user = Some(person.id);
            items.push(ReviewItem { matter: Matter::SharedEmail, external_id: None, user, found: None });
        }
    }
    Ok(items)
}

/// The last complete read and what came after it, oldest first.
fn runs(store: &Store, feed: &FeedId) -> Result<Vec<Run>, StoreError> {
    let has_read = |run: &Run| run.undoes.is_none() && (run.is_held() || run.outcome == Some(RunOutcome::Done));
    let counts = |run: &Run| run.feed == *feed && !run.dry_run && has_read(run);
    let mut runs = store.runs(None, REVIEW_RUNS_MAX, counts)?;
    let last_complete = runs.iter().position(|run| run.complete);
    runs.truncate(last_complete.map_or(runs.len(), |at| at + 1));
    runs.reverse();
    Ok(runs)
}

fn take_run(store: &Store, run: &Run, review: &mut Review) -> Result<(), ReviewError> {
    let mut journal = match JournalReader::open(&journal_path(&store.runs_folder(), run.id)) {
        Err(error) if error.is_missing() => return Ok(()),
        journal => journal?,
    };
    let (mut notes, mut used): (Vec<RecordNote>, Vec<ExternalId>) = Default::default();
    // After a complete read nothing from before stands that could be mended, so its newcomers are passed as bytes.
    while let Some(entry) = next(&mut journal, run.complete) {
        match entry? {
            Some(Entry::Record(note)) => notes.push(note),
            Some(Entry::Person(change)) => used.extend(used_ids(&change, &run.feed)),
            Some(Entry::Group(_) | Entry::GroupGone(_) | Entry::NotUndone(_)) | None => {}
        }
    }
    review.take_run(run.id, run.complete, notes, &used);
    Ok(())
}

fn next(journal: &mut JournalReader, pass_newcomers: bool) -> Option<Result<Option<Entry>, JournalError>> {
    if !pass_newcomers {
        return journal.next().map(|entry| entry.map(Some));
    }
    let entry = |planned| match planned {
        Planned::Newcomer(_) => None,
        Planned::Other(entry) => Some(entry),
    };
    journal.next_planned().map(|planned| planned.map(entry))
}
