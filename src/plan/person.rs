//! The change of one person.

use std::collections::{BTreeMap, HashSet};

use jiff::Timestamp;

use super::merge::Arriving;
use super::profile::{self, Deciding, Stamp, ordered};
use super::rank::Rank;
use super::{attendance, erase, invitation, merge};
use crate::model::{
    Action, Digest, Email, EventField, EventName, ExternalId, FeedId, Field, FieldRule, Person, PersonChange,
    Registration, RunId, SourceName, UserId, UserNo,
};

/// What a run decides by.
pub struct Policy<'a> {
    pub feed: &'a FeedId,
    pub run: RunId,
    pub now: Timestamp,
    /// The number of this complete read of the feed; `None` when the read was not complete.
    pub complete_read: Option<u32>,
    /// Complete reads in a row after which a missing registration no longer counts; `None`: it does for ever.
    pub missing_runs: Option<u32>,
    /// A deletion always takes the whole user, not only the flagged registrations.
    pub delete_user: bool,
    /// The fields that the feed's source maps and in which its blanks keep what was there.
    pub kept_fields: &'a [Field],
    pub kept_event_fields: &'a [EventField],
    pub rank: &'a dyn Fn(&FeedId) -> Rank,
    /// How each source's values get into a profile field.
    pub rule: &'a dyn Fn(&SourceName, &Field) -> FieldRule,
    /// Does an event invite whoever becomes an attendee?
    pub invites: &'a dyn Fn(&EventName) -> bool,
}

/// All that concerns one person in a run, but for what arrives.
pub struct Inputs<'a> {
    /// `None` for a new user.
    pub user: Option<UserNo>,
    pub before: Option<&'a Person>,
    pub id: UserId,
    /// The email after the run; its key is the user's.
    pub email: &'a Email,
    /// Registrations of this feed that move to somebody else.
    pub leaving: &'a [ExternalId],
    /// Registrations of this feed that a complete read did not find.
    pub absent: &'a [ExternalId],
    /// External ids under the delete flag: in every event of this feed's source.
    pub deleted: &'a [ExternalId],
}

/// What the run does to one person, for whom at most one record of each external id arrives; `None` when nothing
/// changes, not even bookkeeping.
pub fn plan_person(inputs: &Inputs<'_>, arriving: Vec<Arriving>, policy: &Policy<'_>) -> Option<PersonChange> {
    let registrations = registrations(inputs, arriving, policy);
    let is_added = inputs.before.is_some_and(Person::is_added_by_hand);
    let bereft = registrations.is_empty() && !is_added || policy.delete_user;
    if !inputs.deleted.is_empty() && bereft {
        let delete =
            PersonChange { action: Action::Delete, user: inputs.user, id: inputs.id, before: None, after: None };
        return inputs.before.map(|_| delete);
    }
    let after = assemble(inputs, policy, registrations)?;
    let action = action(inputs.before, &after, &policy.feed.event)?;
    Some(PersonChange { action, user: inputs.user, id: inputs.id, before: inputs.before.cloned(), after: Some(after) })
}

/// The person's registrations after the run, ascending. There may be very many under one email, so none is looked
/// for in a row.
fn registrations(inputs: &Inputs<'_>, arriving: Vec<Arriving>, policy: &Policy<'_>) -> Vec<Registration> {
    let email_key = inputs.email.key();
    let arrive = |mut arriving: Arriving, known: Option<Registration>| {
        let old = known.or_else(|| arriving.moved.take());
        let email = arriving.record.email.as_ref().filter(|email| email_key.is_of(email));
        let email = email.or(old.as_ref().map(|old| &old.email)).unwrap_or(inputs.email).clone();
        merge::merge(policy.feed, old, arriving, email, policy.kept_fields, policy.kept_event_fields)
    };
    if inputs.before.is_none() && arriving.len() == 1 {
        return arriving.into_iter().map(|only| arrive(only, None)).collect();
    }
    let key = |r: &Registration| (r.feed.clone(), r.external_id.clone());
    let here = |external_id: &ExternalId| (policy.feed.clone(), external_id.clone());
    let known = inputs.before.map(|person| person.registrations.clone()).unwrap_or_default();
    let mut registrations: BTreeMap<_, _> = known.into_iter().map(|r| (key(&r), r)).collect();
    let deleted: HashSet<&ExternalId> = inputs.deleted.iter().collect();
    registrations.retain(|(feed, id), _| feed.source != policy.feed.source || !deleted.contains(id));
    for external_id in inputs.leaving {
        registrations.remove(&here(external_id));
    }
    for arriving in arriving {
        let key = here(&arriving.record.external_id);
        let known = registrations.remove(&key);
        registrations.insert(key, arrive(arriving, known));
    }
    if let Some(read) = policy.complete_read {
        for external_id in inputs.absent {
            if let Some(missed) = registrations.get_mut(&here(external_id)) {
                let since = *missed.absent_since.get_or_insert(read);
                let missed_runs = read.saturating_sub(since).saturating_add(1);
                if policy.missing_runs.is_some_and(|runs| missed_runs >= runs) && !missed.is_cancelled() {
                    missed.lapse();
                }
            }
        }
    }
    registrations.into_values().collect()
}

/// The person that the registrations make.
fn assemble(inputs: &Inputs<'_>, policy: &Policy<'_>, registrations: Vec<Registration>) -> Option<Person> {
    let stamp = Stamp { run: policy.run, at: policy.now };
    let before = inputs.before;
    let ordered = ordered(&registrations, policy.rank);
    let known_email = before.map(|person| (&person.email, person.email_owner.as_ref()));
    let (email, email_owner) = profile::email(&inputs.email.key(), known_email, &ordered, stamp)?;
    let erased = |r: &&Registration| r.feed.source == policy.feed.source && inputs.deleted.contains(&r.external_id);
    let erased: Vec<&Registration> = before.iter().flat_map(|person| &person.registrations).filter(erased).collect();
    let known_profile = before.map(|person| erase::profile(person, &erased)).unwrap_or_default();
    let by_hand = before.and_then(|person| person.by_hand.clone());
    let deciding = Deciding { stamp, is_new: before.is_none(), rule: policy.rule, by_hand: by_hand.as_deref() };
    let profile = profile::profile(&known_profile, &ordered, &deciding);
    let known_attendances = before.map(|person| erase::attendances(person, &erased)).unwrap_or_default();
    let attendances = attendance::attendances(&known_attendances, &ordered, by_hand.as_deref(), policy.now);
    let created_at = before.map_or(policy.now, |person| person.created_at);
    let journey = before.and_then(|person| person.journey.clone());
    let id = inputs.id;
    let mut after =
        Person { id, email, email_owner, profile, registrations, attendances, created_at, by_hand, journey };
    invitation::invite(before, &mut after, policy.invites, policy.now);
    Some(after)
}

/// What a change means to the organiser of an event; `None` where nothing is different, not even bookkeeping.
pub fn action(before: Option<&Person>, after: &Person, event: &EventName) -> Option<Action> {
    let Some(before) = before else { return Some(Action::Create) };
    match (before.attends(event), after.attends(event)) {
        (false, true) => Some(Action::Create),
        (true, false) => Some(Action::Remove),
        _ if before == after => None,
        _ if visible(before) == visible(after) => Some(Action::Touch),
        _ => Some(Action::Update),
    }
}

/// The person without bookkeeping (digests, absence, the source's own timestamps), and without how far they came.
pub fn visible(person: &Person) -> Person {
    let mut person = Person { journey: None, ..person.clone() };
    for registration in &mut person.registrations {
        registration.absent_since = None;
        registration.updated_at = None;
        registration.raw = Digest(0);
        registration.mapped = Digest(0);
    }
    person
}
