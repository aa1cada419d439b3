//! The journal of a run, turned back into the plan of its undo.
//! Invariant: changes nobody.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use roaring::RoaringTreemap;

use super::failure::Failure;
use super::feed::Feed;
use super::progress::Lines;
use crate::journal::{JournalReader, JournalWriter};
use crate::model::{
    Action, Counts, Entry, GroupKey, GroupName, NotUndone, Person, PersonChange, Registration, UserId, UserNo,
};
use crate::plan::{self, Derivation, Obstacle, Undone};
use crate::store::{Store, StoreError};

/// How often the wish to stop is looked at, in entries.
const CHECK_EVERY: u64 = 256;

/// Plans the undo of what a journal says.
pub struct Undoing<'a> {
    pub store: &'a Store,
    pub feed: &'a Feed,
    pub derivation: Derivation<'a>,
    /// The journal of the run.
    pub path: &'a Path,
    /// How many of its entries were done.
    pub applied: u64,
    pub lines: &'a Lines,
}

/// What an undo comes to.
pub struct Planned {
    pub counts: Counts,
    /// Entries of its journal.
    pub entries: u64,
    /// People whom the run deleted permanently; they count as skipped, too.
    pub erased: u64,
}

/// What is to be known of the whole journal before anybody's undo is decided.
#[derive(Default)]
struct Survey {
    /// What somebody would get back that is another user's now: an email or a registration by its keyed hash, with the
    /// number of the entry that wants it, and who has it.
    wanted: HashMap<u128, (u64, UserNo)>,
    /// Groups that the run made and that are as it made them, with their members as they would be after the undo.
    made: BTreeMap<GroupKey, (GroupName, u64)>,
    /// Groups that it took away.
    gone: BTreeMap<GroupKey, GroupName>,
}

impl Undoing<'_> {
    /// Writes it into a journal of which only the header is written.
    pub fn write(self, mut journal: JournalWriter) -> Result<Planned, Failure> {
        let mut survey = self.survey()?;
        let staying = self.staying(&mut survey)?;
        let mut planned = Planned { counts: Counts::default(), entries: 0, erased: 0 };
        for group in std::mem::take(&mut survey.gone).into_values() {
            if !self.store.view().has_group(&group.key) {
                journal.write(&Entry::Group(group))?;
            }
        }
        let mut named = Vec::new();
        for entry in self.changes()? {
            let (number, change) = entry?;
            let now = self.now(&change)?;
            let entry = match self.undo(&change, now.as_ref()) {
                Ok(Undone::AsBefore) => continue,
                Ok(undone) if !staying.contains(number) => self.person(&change, now, undone),
                Ok(_) => not_undone(&change, &[self.hindered(number, &survey)]),
                Err(obstacles) => {
                    planned.erased += u64::from(obstacles == [Obstacle::Erased]);
                    not_undone(&change, &obstacles)
                }
            };
            if let Entry::Person(change) = &entry {
                self.count_members(change, &mut survey.made);
                for group in self.groups_to_make(change, &mut named) {
                    journal.write(&Entry::Group(group))?;
                }
            }
            count(&entry, &mut planned.counts);
            journal.write(&entry)?;
        }
        let empty = survey.made.into_values().filter(|(_, members)| *members == 0);
        for (group, _) in empty {
            journal.write(&Entry::GroupGone(group))?;
        }
        planned.entries = journal.finish()?;
        self.lines.tell(|p| p.planned = planned.entries);
        Ok(planned)
    }

    /// What was done to people, with the number of its entry.
    fn changes(&self) -> Result<impl Iterator<Item = Result<(u64, PersonChange), Failure>>, Failure> {
        let done = self.done()?;
        Ok(done.filter_map(|entry| match entry {
            Ok((number, Entry::Person(change))) => Some(Ok((number, *change))),
            Ok(_) => None,
            Err(failure) => Some(Err(failure)),
        }))
    }

    /// The entries that were done, numbered.
    fn done(&self) -> Result<impl Iterator<Item = Result<(u64, Entry), Failure>>, Failure> {
        let (journal, applied) = (JournalReader::open(self.path)?, self.applied);
        let lines = self.lines;
        let numbered = (0..).zip(journal).map(move |(number, entry)| {
            if number % CHECK_EVERY == 0 {
                lines.check()?;
            }
            Ok((number, entry?))
        });
        // Where it breaks off behind what was done, that is nothing to this.
        Ok(numbered.take_while(move |entry| entry.as_ref().map_or(true, |(number, _)| *number < applied)))
    }

    /// Who has the id of a change's person.
    fn now(&self, change: &PersonChange) -> Result<Option<(UserNo, Person)>, StoreError> {
        let Some(user) = self.store.user_by_id(change.id) else { return Ok(None) };
        Ok(self.store.person_in_passing(user)?.map(|person| (user, person)))
    }

    fn undo(&self, change: &PersonChange, now: Option<&(UserNo, Person)>) -> Result<Undone, Vec<Obstacle>> {
        plan::undo(change, now.map(|(_, person)| person), &self.derivation)
    }

    fn survey(&self) -> Result<Survey, Failure> {
        let mut survey = Survey::default();
        for entry in self.done()? {
            let (number, entry) = entry?;
            match entry {
                Entry::Person(change) => self.want(number, &change, &mut survey),
                Entry::Group(group) => {
                    let known = self.store.group(&group.key).filter(|known| known.group.name == group.name);
                    let made = known.map(|known| (group.key.clone(), (group, known.members)));
                    survey.made.extend(made);
                }
                Entry::GroupGone(group) => drop(survey.gone.insert(group.key.clone(), group)),
                Entry::Record(_) | Entry::NotUndone(_) => {}
            }
        }
        Ok(survey)
    }

    /// Enters what an entry's person would get back that somebody else has.
    fn want(&self, number: u64, change: &PersonChange, survey: &mut Survey) {
        let view = self.store.view();
        let index = view.index();
        let me = index.user_by_id(change.id);
        for token in self.gained(change.after.as_ref(), change.before.as_ref()) {
            let holder = index.user_by_email_hash(token).or_else(|| index.registration(token).map(|found| found.user));
            if let Some(holder) = holder.filter(|holder| Some(*holder) != me) {
                survey.wanted.insert(token, (number, holder));
            }
        }
    }

    /// The keyed hashes of the email and the registrations that a step brings to a person.
    fn gained(&self, from: Option<&Person>, to: Option<&Person>) -> Vec<u128> {
        let Some(to) = to else { return Vec::new() };
        let view = self.store.view();
        let index = view.index();
        let email = to.email.key();
        let had_email = from.is_some_and(|from| from.email.key() == email);
        let is_new = |r: &&Registration| from.is_none_or(|from| from.registration(&r.feed, &r.external_id).is_none());
        let mut gained: Vec<_> = (!had_email).then(|| index.email_hash(&email)).into_iter().collect();
        let new = to.registrations.iter().filter(is_new);
        gained.extend(new.map(|r| index.registration_hash(&r.feed, &r.external_id)));
        gained
    }

    /// The entries whose people stay as they are: those in whose way something is; those who want back what another has
    /// who does not give it up; and, so that nothing gets lost, whoever exchanges something with one of them.
    fn staying(&self, survey: &mut Survey) -> Result<RoaringTreemap, Failure> {
        let mut staying = RoaringTreemap::new();
        let mut exchanges = Vec::new();
        let mut unmet: HashMap<u128, u64> =
            survey.wanted.iter().map(|(token, (number, _))| (*token, *number)).collect();
        for entry in self.changes()? {
            let (number, change) = entry?;
            let now = self.now(&change)?;
            if self.undo(&change, now.as_ref()).is_err() {
                staying.insert(number);
            }
            let Some((user, _)) = now.filter(|_| !unmet.is_empty()) else { continue };
            for token in self.gained(change.before.as_ref(), change.after.as_ref()) {
                let Some((by, _)) = survey.wanted.get(&token).filter(|(_, holder)| *holder == user) else { continue };
                exchanges.push((number, *by));
                unmet.remove(&token);
            }
        }
        staying.extend(unmet.values());
        survey.wanted.retain(|token, _| unmet.contains_key(token));
        loop {
            let before = staying.len();
            for (gives, takes) in &exchanges {
                if staying.contains(*gives) || staying.contains(*takes) {
                    staying.insert(*gives);
                    staying.insert(*takes);
                }
            }
            if staying.len() == before {
                return Ok(staying);
            }
        }
    }

    /// Why somebody stays in whose own way nothing is.
    fn hindered(&self, number: u64, survey: &Survey) -> Obstacle {
        let is_unmet = survey.wanted.values().any(|(unmet, _)| *unmet == number);
        if is_unmet { Obstacle::Taken } else { Obstacle::Entangled }
    }

    fn person(&self, change: &PersonChange, now: Option<(UserNo, Person)>, undone: Undone) -> Entry {
        let (user, before) = now.unzip();
        let after = match undone {
            Undone::Becomes(person) | Undone::ComesBack(person) => Some(*person),
            Undone::Goes | Undone::AsBefore => None,
        };
        let action = after.as_ref().map_or(Action::Remove, |after| {
            plan::action(before.as_ref(), after, &self.feed.id.event).unwrap_or(Action::Touch)
        });
        Entry::Person(Box::new(PersonChange { action, user, id: change.id, before, after }))
    }

    /// Follows how many are in the groups that the run made.
    fn count_members(&self, change: &PersonChange, made: &mut BTreeMap<GroupKey, (GroupName, u64)>) {
        if made.is_empty() {
            return;
        }
        for group in groups_of(change.before.as_ref()) {
            made.entry(group).and_modify(|(_, members)| *members = members.saturating_sub(1));
        }
        for group in groups_of(change.after.as_ref()) {
            made.entry(group).and_modify(|(_, members)| *members += 1);
        }
    }

    /// The groups that a person gets back into and that were deleted since; each once.
    fn groups_to_make(&self, change: &PersonChange, named: &mut Vec<GroupKey>) -> Vec<GroupName> {
        let view = self.store.view();
        let mut make = Vec::new();
        for key in groups_of(change.after.as_ref()) {
            if !view.has_group(&key) && !named.contains(&key) {
                named.push(key.clone());
                make.push(GroupName { name: key.as_str().into(), key });
            }
        }
        make
    }
}

fn groups_of(person: Option<&Person>) -> Vec<GroupKey> {
    person.map(Person::groups).unwrap_or_default()
}

fn not_undone(change: &PersonChange, obstacles: &[Obstacle]) -> Entry {
    let id: UserId = change.id;
    Entry::NotUndone(NotUndone { id, parts: obstacles.iter().map(|o| o.to_string().into()).collect() })
}

fn count(entry: &Entry, counts: &mut Counts) {
    let count = match entry {
        Entry::Person(change) => match change.action {
            Action::Create => &mut counts.create,
            Action::Update => &mut counts.update,
            Action::Remove => &mut counts.remove,
            Action::Delete => &mut counts.delete,
            Action::Touch => &mut counts.unchanged,
        },
        Entry::NotUndone(_) => &mut counts.skip,
        Entry::Group(_) | Entry::GroupGone(_) | Entry::Record(_) => return,
    };
    *count += 1;
}
