//! What becomes of a person when something is decided by hand. A refusal names what is refused and changes nothing.

use jiff::Timestamp;

use super::profile::ordered;
use super::{Rank, attendance};
use crate::model::{
    AttendanceByHand, ByHand, Decision, Digest, Email, EventName, FeedId, Field, GroupKey, MembershipByHand, Override,
    Owner, Person, ProfileField, Protected, Value,
};

/// A value of a source's that cannot be edited here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Locked {
    /// `None`: the email.
    pub field: Option<Field>,
    pub owner: Owner,
}

/// Sets and clears profile fields, and the email. A value that stays as it is may be given, whoever owns it.
///
/// `is_locked` tells of a source whether it always writes the field.
pub fn edit(
    person: &Person,
    email: Option<Email>,
    fields: Vec<(Field, Option<Value>)>,
    is_locked: &dyn Fn(&Owner, &Field) -> bool,
) -> Result<Person, Vec<Locked>> {
    let mut after = person.clone();
    let mut locked = Vec::new();
    match (email.filter(|email| *email != person.email), &person.email_owner) {
        (Some(_), Some(owner)) => locked.push(Locked { field: None, owner: owner.clone() }),
        (Some(email), None) => after.email = email,
        (None, _) => {}
    }
    for (field, value) in fields {
        if person.value(&field) == value.as_ref() {
            continue;
        }
        let place = after.profile.binary_search_by(|known| known.field.cmp(&field));
        let owner = place.ok().and_then(|at| after.profile[at].owner.clone());
        match (owner.filter(|owner| is_locked(owner, &field)), place, value) {
            (Some(owner), ..) => locked.push(Locked { field: Some(field), owner }),
            (None, Ok(at), Some(value)) => after.profile[at] = ProfileField { field, value, owner: None },
            (None, Ok(at), None) => drop(after.profile.remove(at)),
            (None, Err(at), Some(value)) => after.profile.insert(at, ProfileField { field, value, owner: None }),
            (None, Err(_), None) => {}
        }
    }
    if locked.is_empty() { Ok(after) } else { Err(locked) }
}

/// Keeps fields from the sources, and no others. The value of one that is kept stays and is nobody's; one that is given
/// back is its source's as soon as its record is mapped again, which is why what is remembered of the record is
/// forgotten.
pub fn protect(person: &Person, protected: Protected) -> Person {
    let mut after = person.clone();
    for field in after.profile.iter_mut().filter(|known| protected.holds(&known.field)) {
        field.owner = None;
    }
    let is_given_back = |field: &Field| person.is_protected(field) && !protected.holds(field);
    for registration in &mut after.registrations {
        if registration.fields.iter().any(|(field, _)| is_given_back(field)) {
            (registration.raw, registration.mapped) = (Digest(0), Digest(0));
        }
    }
    decide(&mut after, |by_hand| by_hand.protected = protected);
    after
}

/// Decides about a place in an event, or lifts what was decided.
pub fn set_attendance(
    person: &Person,
    event: &EventName,
    set: Option<Override>,
    decision: Decision,
    rank: &dyn Fn(&FeedId) -> Rank,
) -> Person {
    if person.attendance_by_hand(event) == set {
        return person.clone();
    }
    let now = decision.at;
    let mut after = person.clone();
    decide(&mut after, |ByHand { attendances, .. }| {
        let made = set.map(|set| AttendanceByHand { event: event.clone(), set, decision });
        replace(attendances, attendances.binary_search_by(|known| known.event.cmp(event)), made);
    });
    attend(&mut after, event, now, rank);
    after
}

/// Makes the place in one event what it is after a decision.
fn attend(person: &mut Person, event: &EventName, now: Timestamp, rank: &dyn Fn(&FeedId) -> Rank) {
    let place = person.attendances.binary_search_by(|known| known.event.cmp(event));
    let of_registrations = ordered(&person.registrations, rank);
    let decided = person.attendance_by_hand(event);
    let new = attendance::attendance(event, &person.attendances, &of_registrations, decided, now);
    replace(&mut person.attendances, place, Some(new));
}

/// Decides about a membership, or lifts what was decided. The membership may be for an event.
pub fn set_membership(
    person: &Person,
    group: &GroupKey,
    set: Option<Override>,
    event: Option<EventName>,
    decision: Decision,
) -> Person {
    let known = person.membership_by_hand(group).map(|known| (known.set, known.event.clone()));
    if known == set.map(|set| (set, event.clone())) {
        return person.clone();
    }
    let mut after = person.clone();
    decide(&mut after, |ByHand { memberships, .. }| {
        let made = set.map(|set| MembershipByHand { group: group.clone(), set, event, decision });
        replace(memberships, memberships.binary_search_by(|known| known.group.cmp(group)), made);
    });
    after
}

/// Puts, replaces or removes an item at the place where a search found it, or would have.
fn replace<T>(items: &mut Vec<T>, place: Result<usize, usize>, item: Option<T>) {
    match (place, item) {
        (Ok(at), Some(item)) => items[at] = item,
        (Ok(at), None) => drop(items.remove(at)),
        (Err(at), Some(item)) => items.insert(at, item),
        (Err(_), None) => {}
    }
}

fn decide(person: &mut Person, change: impl FnOnce(&mut ByHand)) {
    let mut by_hand = person.by_hand.take().unwrap_or_default();
    change(&mut by_hand);
    person.by_hand = (!by_hand.is_empty()).then_some(by_hand);
}
