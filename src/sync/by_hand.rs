//! What organisers do by hand. It takes turns with planning and committing, so that no plan ever rests on people who are
//! changed before it is committed; it waits for a commit that stopped half-way to be finished, too.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::Value as Json;

use super::failure::Failure;
use super::inviting::Uninvited;
use super::runner::Runner;
use crate::limits::{EDITED_FIELDS_MAX, MEMBERSHIPS_BY_HAND_MAX, MEMBERSHIPS_LIFTED_PER_BATCH};
use crate::mapping::field_value;
use crate::model::{
    Action, Actor, AuditAction, AuditEntry, Decision, Email, EventName, FeedId, Field, Group, GroupKey, GroupName,
    Override, Overwrite, Person, PersonChange, Protected, RejectReason, SourceName, UserId, UserNo, Validators,
};
use crate::plan::{self, Locked, Rank};
use crate::store::{ChangeSet, GroupWrite, Store, StoreError};

/// Why something is not done by hand. Nobody was changed.
#[derive(Debug)]
pub enum Refusal {
    UnknownUser(UserId),
    UnknownGroup,
    UnknownEvent(EventName),
    /// About invitations.
    Uninvited(Uninvited),
    /// These values are sources'; the person as they are.
    Locked(Vec<Locked>, Box<Person>),
    /// Of these fields, the values cannot be taken.
    Invalid(Vec<(Field, RejectReason)>),
    EmailTaken,
    /// A source has somebody in the group.
    GroupGranted(SourceName),
    /// A person has at most so many of these.
    TooMany(&'static str, usize),
    /// A sync plans or commits, and takes long.
    Busy,
    Stopping,
    Store(StoreError),
}

impl From<Uninvited> for Refusal {
    fn from(why: Uninvited) -> Self {
        Self::Uninvited(why)
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Store(error) => Self::Store(error),
            _ => Self::Stopping,
        }
    }
}

/// An organiser at work, while nobody else is. Blocks.
pub struct Desk<'a> {
    pub(super) runner: &'a Runner,
    pub(super) store: &'a Store,
    pub(super) actor: Actor,
    /// In whole milliseconds, as it is stored.
    pub(super) now: Timestamp,
}

impl Desk<'_> {
    /// Sets and clears fields, and the email, by the rules of mapped values. Null clears.
    pub fn edit(&self, id: UserId, email: Option<Email>, fields: BTreeMap<Field, Json>) -> Result<Person, Refusal> {
        let (mut values, mut faults) = (Vec::with_capacity(fields.len()), Vec::new());
        for (field, json) in fields {
            match field_value(&field, &json.to_string()) {
                Ok(None) if Field::MANDATORY.contains(&field) => faults.push((field, RejectReason::MissingField)),
                Ok(value) => values.push((field, value)),
                Err(reason) => faults.push((field, reason)),
            }
        }
        if !faults.is_empty() {
            return Err(Refusal::Invalid(faults));
        }
        let names = email.iter().map(|_| "email".to_owned()).chain(values.iter().map(|(field, _)| field.to_string()));
        let note = names.collect::<Vec<_>>().join(", ");
        self.change(id, (AuditAction::UserEdited, note), |user, person| {
            if email
                .as_ref()
                .and_then(|email| self.store.user_by_email(&email.key()))
                .is_some_and(|other| other != user)
            {
                return Err(Refusal::EmailTaken);
            }
            let edited = plan::edit(person, email, values, &|owner, field| self.runner.is_locked(&owner.source, field));
            let edited = edited.map_err(|locked| Refusal::Locked(locked, Box::new(person.clone())))?;
            if edited.profile.len() > EDITED_FIELDS_MAX.max(person.profile.len()) {
                return Err(Refusal::TooMany("profile fields", EDITED_FIELDS_MAX));
            }
            Ok(edited)
        })
    }

    /// Keeps fields from the sources, and no others.
    pub fn protect(&self, id: UserId, protected: Protected) -> Result<Person, Refusal> {
        let note = match &protected {
            Protected::All => "all".to_owned(),
            Protected::Fields(fields) => fields.iter().map(Field::to_string).collect::<Vec<_>>().join(", "),
        };
        let done = (AuditAction::UserProtected, note);
        let after = self.change(id, done, |_, person| Ok(plan::protect(person, protected)))?;
        let forgotten = after.registrations.iter().filter(|r| r.raw.0 == 0).map(|r| &r.feed);
        forgotten.collect::<BTreeSet<_>>().into_iter().try_for_each(|feed| self.ask_anew(feed))?;
        Ok(after)
    }

    /// A list that is as it was would not be read, and nobody in it mapped again.
    fn ask_anew(&self, feed: &FeedId) -> Result<(), Refusal> {
        let mut state = self.store.feed_state(feed);
        let Some(position) = state.position.as_mut().filter(|position| !position.validators.is_empty()) else {
            return Ok(());
        };
        position.validators = Validators::default();
        self.store.commit(ChangeSet { feed: Some((feed.clone(), state)), ..ChangeSet::default() })?;
        Ok(())
    }

    /// Decides about a place in an event; `None` lifts what was decided.
    pub fn set_attendance(&self, id: UserId, event: &EventName, set: Option<Override>) -> Result<Person, Refusal> {
        let rank = |feed: &FeedId| self.runner.rank(feed);
        let done = (AuditAction::AttendanceSet, format!("{} in event {event}", word(set)));
        self.change(id, done, |_, person| {
            let mut after = plan::set_attendance(person, event, set, self.decision(), &rank);
            plan::invite(Some(person), &mut after, &|event| self.store.inviting(event).enabled, self.now);
            Ok(after)
        })
    }

    /// Decides about a membership, which may be for an event; `None` lifts what was decided.
    pub fn set_membership(
        &self,
        id: UserId,
        group: &GroupKey,
        set: Option<Override>,
        event: Option<EventName>,
    ) -> Result<Person, Refusal> {
        let done = (AuditAction::MembershipSet, format!("{} in group {group}", word(set)));
        self.change(id, done, |_, person| {
            let is_known = person.membership_by_hand(group).is_some();
            // What was decided can be lifted even where the group was deleted since.
            if self.store.group(group).is_none() && !(set.is_none() && is_known) {
                return Err(Refusal::UnknownGroup);
            }
            let by_hand = person.by_hand.as_ref().map_or(0, |by_hand| by_hand.memberships.len());
            if !is_known && set.is_some() && by_hand >= MEMBERSHIPS_BY_HAND_MAX {
                return Err(Refusal::TooMany("memberships by hand", MEMBERSHIPS_BY_HAND_MAX));
            }
            Ok(plan::set_membership(person, group, set, event, self.decision()))
        })
    }

    /// Makes a group, or spells its name anew. True where it was made.
    pub fn put_group(&self, group: GroupName) -> Result<bool, Refusal> {
        let is_new = self.store.group(&group.key).is_none();
        let audit = self.audit(AuditAction::GroupSaved, &group.key, String::new());
        let group_writes = vec![GroupWrite::Put(Group { key: group.key, name: group.name })];
        self.store.commit(ChangeSet { group_writes, audit, ..ChangeSet::default() })?;
        Ok(is_new)
    }

    /// Deletes a group that no source grants, and the memberships that organisers made in it. Who was excluded from it
    /// stays so, should a source make it again.
    pub fn delete_group(&self, group: &GroupKey) -> Result<(), Refusal> {
        if self.store.group(group).is_none() {
            return Err(Refusal::UnknownGroup);
        }
        let members = self.store.members(group, None, usize::MAX);
        for user in &members {
            let person = self.store.person_in_passing(*user)?;
            let mut live = person.iter().flat_map(|p| &p.registrations).filter(|r| !r.is_cancelled());
            if let Some(granting) = live.find(|r| r.groups.contains(group)) {
                return Err(Refusal::GroupGranted(granting.feed.source.clone()));
            }
        }
        for batch in members.chunks(MEMBERSHIPS_LIFTED_PER_BATCH) {
            let mut set = ChangeSet::default();
            for user in batch {
                let Some(person) = self.store.person_in_passing(*user)? else { continue };
                let after = plan::set_membership(&person, group, None, None, self.decision());
                set.people.push(change(*user, person, after));
            }
            self.store.commit(set)?;
        }
        let group_writes = vec![GroupWrite::Delete(group.clone())];
        let audit = self.audit(AuditAction::GroupRemoved, group, format!("{} members by hand", members.len()));
        self.store.commit(ChangeSet { group_writes, audit, ..ChangeSet::default() })?;
        Ok(())
    }

    pub(super) fn change(
        &self,
        id: UserId,
        (action, note): (AuditAction, String),
        change_of: impl FnOnce(UserNo, &Person) -> Result<Person, Refusal>,
    ) -> Result<Person, Refusal> {
        let user = self.store.user_by_id(id).ok_or(Refusal::UnknownUser(id))?;
        let before = self.store.person(user)?.ok_or(Refusal::UnknownUser(id))?;
        let after = change_of(user, &before)?;
        if after == before {
            return Ok(after);
        }
        // Of those whom an exclusion kept out, a group may have been deleted since.
        let groups = after.groups().into_iter().filter(|group| self.store.group(group).is_none());
        let groups = groups.map(|key| GroupName { name: key.as_str().into(), key }).collect();
        let (people, audit) = (vec![change(user, before, after.clone())], self.audit(action, id, note));
        self.store.commit(ChangeSet { people, groups, audit, ..ChangeSet::default() })?;
        Ok(after)
    }

    fn decision(&self) -> Decision {
        Decision { by: self.actor.name().into(), at: self.now }
    }

    pub(super) fn audit(&self, action: AuditAction, subject: impl ToString, note: String) -> Vec<AuditEntry> {
        vec![AuditEntry { at: self.now, actor: self.actor.clone(), action, subject: subject.to_string(), note }]
    }
}

/// A decision in one word.
const fn word(set: Option<Override>) -> &'static str {
    match set {
        Some(Override::Added) => "added",
        Some(Override::Excluded) => "excluded",
        None => "synced",
    }
}

pub(super) fn change(user: UserNo, before: Person, after: Person) -> PersonChange {
    PersonChange { action: Action::Update, user: Some(user), id: before.id, before: Some(before), after: Some(after) }
}

impl Runner {
    /// May a value that the source set not be edited here, for it would write it again? A source that is configured no
    /// longer counts as one that would: the next sync may be of another configuration.
    pub fn is_locked(&self, source: &SourceName, field: &Field) -> bool {
        let rule = self.sources().get(source).map(|entry| entry.mapping.spec().rule(field));
        rule.unwrap_or_default().overwrite == Overwrite::Always
    }

    fn rank(&self, feed: &FeedId) -> Rank {
        Rank {
            priority: self.sources().get(&feed.source).map_or(i32::MIN, |entry| entry.source.spec().priority),
            starts_at: self.event(&feed.event).and_then(|event| event.starts_at),
        }
    }
}
