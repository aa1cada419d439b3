//! Who attends: derived from a user's registrations in an event, unless an organiser decided it by hand.

use jiff::Timestamp;

use crate::model::{Attendance, ByHand, EventField, EventName, Override, Registration, RegistrationState, Value};

/// The attendances after a change, ascending by event; one that ends stays, inactive.
pub fn attendances(
    before: &[Attendance],
    ordered: &[&Registration],
    by_hand: Option<&ByHand>,
    now: Timestamp,
) -> Vec<Attendance> {
    let decided = by_hand.map_or(&[][..], |by_hand| &by_hand.attendances);
    let mut events: Vec<&EventName> = before.iter().map(|a| &a.event).collect();
    events.extend(decided.iter().map(|decided| &decided.event));
    events.extend(ordered.iter().filter(|r| r.state == RegistrationState::Attending).map(|r| &r.feed.event));
    events.sort_unstable();
    events.dedup();
    let decided = |event: &EventName| decided.iter().find(|decided| decided.event == *event).map(|decided| decided.set);
    events.into_iter().map(|event| attendance(event, before, ordered, decided(event), now)).collect()
}

/// The place in one event.
pub fn attendance(
    event: &EventName,
    before: &[Attendance],
    ordered: &[&Registration],
    decided: Option<Override>,
    now: Timestamp,
) -> Attendance {
    let here: Vec<&Registration> = ordered.iter().copied().filter(|r| r.feed.event == *event).collect();
    let active = match decided {
        Some(set) => set == Override::Added,
        None => here.iter().any(|r| grants(r, &here)),
    };
    let old = before.iter().find(|a| a.event == *event);
    let changed_at = old.filter(|old| old.active == active).map_or(now, |old| old.changed_at);
    Attendance { event: event.clone(), active, changed_at, fields: fields(old, &here) }
}

/// Does this registration keep its user in the event?
///
/// One that the last complete read did not find still does, but it never outweighs a cancellation in the same
/// feed: a reissued ticket must not keep a cancelled person in (DESIGN §4). One that is cancelled only because it was
/// missing long enough outweighs nothing, or it would take those along that were missing for a shorter time.
fn grants(registration: &Registration, here: &[&Registration]) -> bool {
    let outweighed =
        || here.iter().any(|other| other.feed == registration.feed && other.is_cancelled() && !other.is_lapsed());
    registration.state == RegistrationState::Attending && (registration.absent_since.is_none() || !outweighed())
}

/// For each event field the first in precedence; a cancelled registration brings none.
fn fields(old: Option<&Attendance>, here: &[&Registration]) -> Vec<(EventField, Value)> {
    let live: Vec<_> = here.iter().filter(|r| !r.is_cancelled()).collect();
    if live.is_empty() {
        return old.map(|old| old.fields.clone()).unwrap_or_default();
    }
    let value = |(field, _): (EventField, &str)| {
        let brings = |r: &&&Registration| r.event_fields.iter().find(|(f, _)| *f == field).cloned();
        live.iter().find_map(brings)
    };
    EventField::ALL.into_iter().filter_map(value).collect()
}
