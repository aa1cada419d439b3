//! The plan of a held run, made to fit who its people are by now.
//! Invariant: changes nobody.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::path::Path;

use super::failure::Failure;
use super::feed::Feed;
use crate::journal::{JournalReader, JournalWriter};
use crate::model::{Action, Counts, Entry, Person, PersonChange, Registration, UserNo};
use crate::plan::{self, Conflict, Derivation};
use crate::store::{Store, StoreError};

/// Why a plan no longer fits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Conflicts {
    pub people: u64,
    /// What of them is another than it was, by kind.
    parts: BTreeMap<&'static str, u64>,
}

impl Conflicts {
    fn add(&mut self, parts: &[&'static str]) {
        self.people += 1;
        for part in parts {
            *self.parts.entry(part).or_default() += 1;
        }
    }
}

impl fmt::Display for Conflicts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<_> = self.parts.iter().map(|(part, count)| format!("{part}: {count}")).collect();
        write!(f, "{} of the people whom it changes are no longer as they were ({})", self.people, parts.join(", "))
    }
}

/// Adds to the journal who the people are that it deletes: as long as it is held, whoever decides can see them, and an
/// approval can tell whether they are as they were.
pub fn show_deleted(store: &Store, path: &Path) -> Result<(), Failure> {
    let journal = JournalReader::open(path)?;
    let mut shown = JournalWriter::create(path, journal.header(), store.faults())?;
    for entry in journal {
        let mut entry = entry?;
        if let Entry::Person(change) = &mut entry
            && let (Action::Delete, Some(user)) = (change.action, change.user)
        {
            change.before = store.person_in_passing(user)?;
        }
        shown.write(&entry)?;
    }
    shown.finish()?;
    Ok(())
}

/// Makes of a held journal one that can be committed now, beside it.
pub struct Rebasing<'a> {
    pub store: &'a Store,
    pub feed: &'a Feed,
    pub derivation: Derivation<'a>,
    /// As the plan counted.
    pub counts: Counts,
}

/// Who is in a plan.
#[derive(Default)]
struct Cast {
    users: HashSet<UserNo>,
    /// Those of them who give their email up.
    leaving_email: HashSet<UserNo>,
}

impl Cast {
    fn of(path: &Path) -> Result<Self, Failure> {
        let mut cast = Self::default();
        for entry in JournalReader::open(path)? {
            let Entry::Person(change) = entry? else { continue };
            let Some(user) = change.user else { continue };
            cast.users.insert(user);
            let key = |person: Option<&Person>| person.map(|person| person.email.key());
            if key(change.before.as_ref()) != key(change.after.as_ref()) {
                cast.leaving_email.insert(user);
            }
        }
        Ok(cast)
    }
}

impl Rebasing<'_> {
    /// Writes it `to` there. Returns the counts of the plan as it is then.
    pub fn rewrite(mut self, path: &Path, to: &Path) -> Result<Result<Counts, Conflicts>, Failure> {
        let cast = Cast::of(path)?;
        let journal = JournalReader::open(path)?;
        let mut rebased = JournalWriter::create(to, journal.header(), self.store.faults())?;
        let mut conflicts = Conflicts::default();
        for entry in journal {
            let entry = match entry? {
                Entry::Person(change) => match self.change(*change, &cast)? {
                    Ok(change) => Entry::Person(Box::new(change)),
                    Err(parts) => {
                        conflicts.add(&parts);
                        continue;
                    }
                },
                other => other,
            };
            rebased.write(&entry)?;
        }
        if conflicts.people > 0 {
            return Ok(Err(conflicts));
        }
        rebased.finish()?;
        Ok(Ok(self.counts))
    }

    fn change(
        &mut self,
        change: PersonChange,
        cast: &Cast,
    ) -> Result<Result<PersonChange, Vec<&'static str>>, StoreError> {
        let mut parts = self.taken(&change, cast);
        let planned = change.action;
        let change = match (change.user, &change.after) {
            (None, _) => change,
            (Some(user), after) => {
                let now = self.store.person_in_passing(user)?.filter(|person| person.id == change.id);
                match (&change.before, after, now) {
                    (Some(before), None, Some(now)) if plan::visible(before) == plan::visible(&now) => {
                        // Nothing is kept of who is deleted.
                        PersonChange { before: None, ..change }
                    }
                    (Some(from), Some(to), Some(now)) => match plan::rebase(from, to, &now, &self.derivation) {
                        Ok(after) => self.rebased(change, now, after),
                        Err(found) => {
                            parts.extend(found.iter().map(word));
                            change
                        }
                    },
                    _ => {
                        parts.push("person");
                        change
                    }
                }
            }
        };
        if !parts.is_empty() {
            return Ok(Err(parts));
        }
        *self.count_of(planned) = self.count_of(planned).saturating_sub(1);
        *self.count_of(change.action) += 1;
        Ok(Ok(change))
    }

    fn rebased(&self, change: PersonChange, now: Person, after: Person) -> PersonChange {
        let action = plan::action(Some(&now), &after, &self.feed.id.event).unwrap_or(Action::Touch);
        PersonChange { action, before: Some(now), after: Some(after), ..change }
    }

    /// What the change needs to be nobody's, and is somebody's by now who does not give it up.
    fn taken(&self, change: &PersonChange, cast: &Cast) -> Vec<&'static str> {
        let Some(after) = &change.after else { return Vec::new() };
        let view = self.store.view();
        let index = view.index();
        let mut taken = Vec::new();
        let key = after.email.key();
        let had_email = change.before.as_ref().is_some_and(|before| before.email.key() == key);
        let owner = index.user_by_email_hash(index.email_hash(&key)).filter(|owner| Some(*owner) != change.user);
        if !had_email && owner.is_some_and(|owner| !cast.leaving_email.contains(&owner)) {
            taken.push("email");
        }
        if change.user.is_none() && index.user_by_id(change.id).is_some() {
            taken.push("person");
        }
        let is_new = |r: &&Registration| {
            change.before.as_ref().is_none_or(|before| before.registration(&r.feed, &r.external_id).is_none())
        };
        let elsewhere = |r: &Registration| {
            let hit = index.registration(index.registration_hash(&r.feed, &r.external_id));
            hit.is_some_and(|hit| Some(hit.user) != change.user && !cast.users.contains(&hit.user))
        };
        taken.extend(after.registrations.iter().filter(is_new).filter(|r| elsewhere(r)).map(|_| "registration"));
        taken
    }

    fn count_of(&mut self, action: Action) -> &mut u64 {
        match action {
            Action::Create => &mut self.counts.create,
            Action::Update => &mut self.counts.update,
            Action::Remove => &mut self.counts.remove,
            Action::Delete => &mut self.counts.delete,
            Action::Touch => &mut self.counts.unchanged,
        }
    }
}

fn word(conflict: &Conflict) -> &'static str {
    match conflict {
        Conflict::Email => "email",
        Conflict::Field(_) => "field",
        Conflict::EventField(..) => "event field",
        Conflict::Registration(..) => "registration",
    }
}
