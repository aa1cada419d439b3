//! A step that was planned for a person as they were, taken for the person as they are now.

use std::collections::BTreeMap;
use std::fmt;

use super::attendance;
use super::invitation::{carried, invite};
use super::profile::{self, Deciding, Stamp, ordered};
use super::rank::Rank;
use crate::model::{
    Attendance, EventField, EventName, ExternalId, FeedId, Field, FieldRule, Journey, Person, SourceName, Value,
};

/// A part of a person that the step changes and that is another by now.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Conflict {
    Email,
    Field(Field),
    EventField(EventName, EventField),
    Registration(FeedId, ExternalId),
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Email => f.write_str("email"),
            Self::Field(field) => write!(f, "{field}"),
            Self::EventField(event, field) => write!(f, "{field} in event {event}"),
            Self::Registration(feed, _) => write!(f, "registration of {feed}"),
        }
    }
}

/// How what follows from registrations is made anew.
pub struct Derivation<'a> {
    pub rank: &'a dyn Fn(&FeedId) -> Rank,
    /// How each source's values get into a profile field.
    pub rule: &'a dyn Fn(&SourceName, &Field) -> FieldRule,
    /// Does an event invite whoever becomes an attendee?
    pub invites: &'a dyn Fn(&EventName) -> bool,
    pub stamp: Stamp,
}

/// Does to `now` what leads from `from` to `to`: the third of a merge of three. What the step does not touch stays as it
/// is now; attendance and the profile follow from the registrations, as in a plan.
///
/// # Errors
/// Every part that the step changes and that is neither as it was nor as it would become, ascending.
pub fn rebase(from: &Person, to: &Person, now: &Person, by: &Derivation<'_>) -> Result<Person, Vec<Conflict>> {
    let journey = carried(from, Some(to), now);
    let mut after =
        if now.is_as(from) { Person { journey, ..to.clone() } } else { merged(from, to, now, journey, by)? };
    invite(Some(now), &mut after, by.invites, by.stamp.at);
    Ok(after)
}

/// The merge of the three, which all differ.
fn merged(
    from: &Person,
    to: &Person,
    now: &Person,
    journey: Option<Box<Journey>>,
    by: &Derivation<'_>,
) -> Result<Person, Vec<Conflict>> {
    let mut conflicts = Vec::new();
    let email = |person: &Person| (person.email.clone(), person.email_owner.clone());
    let merged_email = merge(email(from), email(to), email(now)).unwrap_or_else(|| {
        conflicts.push(Conflict::Email);
        email(now)
    });
    let profile = |person: &Person| person.profile.iter().map(|f| (f.field.clone(), f.clone())).collect();
    let merged_profile = merge_all(profile(from), profile(to), profile(now), |field| {
        conflicts.push(Conflict::Field(field));
    });
    let known = |person: &Person| {
        person.registrations.iter().map(|r| ((r.feed.clone(), r.external_id.clone()), r.clone())).collect()
    };
    let merged_registrations = merge_all(known(from), known(to), known(now), |(feed, external_id)| {
        conflicts.push(Conflict::Registration(feed, external_id));
    });
    let merged_event_fields = merge_all(event_fields(from), event_fields(to), event_fields(now), |(event, field)| {
        conflicts.push(Conflict::EventField(event, field));
    });
    if !conflicts.is_empty() {
        conflicts.sort();
        return Err(conflicts);
    }
    let registrations: Vec<_> = merged_registrations.into_values().collect();
    let in_order = ordered(&registrations, by.rank);
    let (email, email_owner) = merged_email;
    let known_email = Some((&email, email_owner.as_ref()));
    let (email, email_owner) = profile::email(&email.key(), known_email, &in_order, by.stamp)
        .unwrap_or_else(|| (email.clone(), email_owner.clone()));
    let known_profile: Vec<_> = merged_profile.into_values().collect();
    // No run decides by hand, so what was decided is as it is now.
    let by_hand = now.by_hand.as_deref();
    let deciding = Deciding { stamp: by.stamp, is_new: false, rule: by.rule, by_hand };
    let profile = profile::profile(&known_profile, &in_order, &deciding);
    let attendances = attendances(from, to, now, merged_event_fields);
    let attendances = attendance::attendances(&attendances, &in_order, by_hand, by.stamp.at);
    let Person { id, created_at, ref by_hand, .. } = *now;
    let by_hand = by_hand.clone();
    Ok(Person { id, email, email_owner, profile, registrations, attendances, created_at, by_hand, journey })
}

/// `None` where both sides changed it, to different ends.
fn merge<T: PartialEq>(from: T, to: T, now: T) -> Option<T> {
    match () {
        () if now == from => Some(to),
        () if to == from || to == now => Some(now),
        () => None,
    }
}

/// The same, part by part; a part may be absent on any side.
fn merge_all<K: Ord + Clone, V: PartialEq + Clone>(
    from: BTreeMap<K, V>,
    to: BTreeMap<K, V>,
    now: BTreeMap<K, V>,
    mut conflict: impl FnMut(K),
) -> BTreeMap<K, V> {
    let mut keys: Vec<&K> = from.keys().chain(to.keys()).chain(now.keys()).collect();
    keys.sort_unstable();
    keys.dedup();
    let mut merged = BTreeMap::new();
    for key in keys {
        match merge(from.get(key), to.get(key), now.get(key)) {
            Some(part) => merged.extend(part.map(|part| (key.clone(), part.clone()))),
            None => conflict(key.clone()),
        }
    }
    merged
}

type EventFields = BTreeMap<(EventName, EventField), Value>;

fn event_fields(person: &Person) -> EventFields {
    let of = |a: &Attendance| a.fields.iter().map(|(f, v)| ((a.event.clone(), *f), v.clone())).collect::<Vec<_>>();
    person.attendances.iter().flat_map(of).collect()
}

/// The places in events that there are or would be, with these values. Which are active follows from the registrations.
fn attendances(from: &Person, to: &Person, now: &Person, fields: EventFields) -> Vec<Attendance> {
    let of = |person: &Person| person.attendances.iter().map(|a| (a.event.clone(), a.clone())).collect();
    let mut contested = Vec::new();
    let mut places: BTreeMap<EventName, Attendance> = merge_all(of(from), of(to), of(now), |event| {
        contested.push(event);
    });
    // What is there now stays.
    let as_now = |event: EventName| now.attendance(&event).map(|a| (event, a.clone()));
    places.extend(contested.into_iter().filter_map(as_now));
    let own = |event: &EventName| {
        let mine = fields.iter().filter(|((of, _), _)| of == event);
        mine.map(|((_, field), value)| (*field, value.clone())).collect()
    };
    places.into_iter().map(|(event, a)| Attendance { fields: own(&event), event, ..a }).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::{
        Action, Attendance, Digest, Email, PersonChange, ProfileField, Registration, RegistrationState, RunId,
        SourceName, UserId,
    };
    use crate::plan::{Obstacle, Undone, undo};

    const AT: jiff::Timestamp = jiff::Timestamp::UNIX_EPOCH;

    fn registration(n: u8, state: u8, company: u8) -> Registration {
        let source = SourceName::parse(["s", "t"][usize::from(n % 2)]).unwrap();
        Registration {
            feed: FeedId { event: EventName::parse("e").unwrap(), source },
            external_id: ExternalId::new(&n.to_string()).unwrap(),
            email: Email::parse("a@x.org").unwrap(),
            state: [RegistrationState::Attending, RegistrationState::NotAttending, RegistrationState::Cancelled]
                [usize::from(state)],
            absent_since: None,
            updated_at: None,
            raw: Digest(1),
            mapped: Digest(1),
            fields: vec![(Field::Company, Value::Text(company.to_string().into()))],
            event_fields: Vec::new(),
            groups: Vec::new(),
        }
    }

    fn by() -> Derivation<'static> {
        Derivation {
            rank: &|_| Rank::default(),
            rule: &|_, _| FieldRule::default(),
            invites: &|_| false,
            stamp: Stamp { run: RunId(1), at: AT },
        }
    }

    /// Somebody with these registrations, as a plan would have made them, and a local telephone.
    fn person(registrations: &BTreeMap<u8, (u8, u8)>, phone: Option<u8>) -> Person {
        let mut registrations: Vec<_> = registrations.iter().map(|(n, (s, c))| registration(*n, *s, *c)).collect();
        registrations.sort_by(|a, b| (&a.feed, &a.external_id).cmp(&(&b.feed, &b.external_id)));
        let phone = phone.map(|phone| ProfileField {
            field: Field::Phone,
            value: Value::Text(phone.to_string().into()),
            owner: None,
        });
        let known: Vec<ProfileField> = phone.into_iter().collect();
        let in_order = ordered(&registrations, by().rank);
        let deciding = Deciding { stamp: by().stamp, is_new: false, rule: by().rule, by_hand: None };
        let profile = profile::profile(&known, &in_order, &deciding);
        let email = Email::parse("a@x.org").unwrap();
        let (email, email_owner) = profile::email(&email.key(), Some((&email, None)), &in_order, by().stamp).unwrap();
        let attendances = attendance::attendances(&[] as &[Attendance], &in_order, None, AT);
        let id = UserId::from_u128(7);
        Person {
            id,
            email,
            email_owner,
            profile,
            registrations,
            attendances,
            created_at: AT,
            by_hand: None,
            journey: None,
        }
    }

    fn registrations() -> impl Strategy<Value = BTreeMap<u8, (u8, u8)>> {
        proptest::collection::btree_map(0u8..3, (0u8..3, 0u8..2), 0..3)
    }

    fn anybody() -> impl Strategy<Value = Person> {
        (registrations(), proptest::option::of(0u8..2)).prop_map(|(registrations, phone)| person(&registrations, phone))
    }

    fn key(registration: &Registration) -> (FeedId, ExternalId) {
        (registration.feed.clone(), registration.external_id.clone())
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_step_from_where_it_was_planned_is_the_step(from in anybody(), to in anybody()) {
            prop_assert_eq!(rebase(&from, &to, &from, &by()), Ok(to));
        }

        #[test]
        fn what_was_done_to_somebody_is_taken_back(from in anybody(), to in anybody()) {
            let change = |before: Option<&Person>, after: Option<&Person>| PersonChange {
                action: Action::Update, user: None, id: to.id, before: before.cloned(), after: after.cloned(),
            };
            let back = if from == to { Undone::AsBefore } else { Undone::Becomes(Box::new(from.clone())) };
            prop_assert_eq!(undo(&change(Some(&from), Some(&to)), Some(&to), &by()), Ok(back));
            prop_assert_eq!(undo(&change(None, Some(&to)), Some(&to), &by()), Ok(Undone::Goes));
            prop_assert_eq!(undo(&change(Some(&from), None), None, &by()), Ok(Undone::ComesBack(Box::new(from.clone()))));
            prop_assert_eq!(undo(&change(None, None), None, &by()), Err(vec![Obstacle::Erased]));
            prop_assert_eq!(undo(&change(Some(&from), Some(&to)), None, &by()), Err(vec![Obstacle::NotHere]));
        }

        #[test]
        fn no_step_leaves_everybody_as_they_are_now(from in anybody(), now in anybody()) {
            let same = rebase(&from, &from, &now, &by()).unwrap();
            prop_assert_eq!(&same.registrations, &now.registrations);
            prop_assert_eq!(same.attends(&EventName::parse("e").unwrap()), now.attends(&EventName::parse("e").unwrap()));
        }

        #[test]
        fn untouched_registrations_stay_and_both_sides_never_win(from in anybody(), to in anybody(), now in anybody()) {
            let find = |person: &Person, of: &Registration| person.registration(&of.feed, &of.external_id).cloned();
            let all = [&from, &to, &now].into_iter().flat_map(|person| &person.registrations);
            let both = |r: &Registration| {
                let [a, b, c] = [&from, &to, &now].map(|person| find(person, r));
                a != b && a != c && b != c
            };
            let clash: Vec<_> = all.clone().filter(|r| both(r)).map(key).collect();
            match rebase(&from, &to, &now, &by()) {
                Ok(after) => {
                    prop_assert!(clash.is_empty());
                    for r in all {
                        let side = if find(&from, r) == find(&to, r) { &now } else { &to };
                        prop_assert_eq!(find(&after, r), find(side, r));
                    }
                }
                Err(found) => {
                    for (feed, external_id) in clash {
                        prop_assert!(found.contains(&Conflict::Registration(feed, external_id)));
                    }
                }
            }
        }
    }
}
