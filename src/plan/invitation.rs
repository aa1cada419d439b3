//! Who is invited: whoever becomes an attendee of an event with invitations, once for ever.

use jiff::Timestamp;

use crate::model::{EventName, Invitation, InvitationState, Journey, Person};

/// Queues an invitation to every event of which the person becomes an active attendee, that invites, and to which they
/// never were invited.
pub fn invite(before: Option<&Person>, after: &mut Person, invites: &dyn Fn(&EventName) -> bool, now: Timestamp) {
    let joins = |event: &EventName| before.is_none_or(|before| !before.attends(event));
    let is_due = |event: &&EventName| joins(event) && invites(event) && after.invitation(event).is_none();
    let due: Vec<EventName> =
        after.attendances.iter().filter(|a| a.active).map(|a| &a.event).filter(is_due).cloned().collect();
    for event in due {
        after.pass(&event, |passage| passage.invitation = Some(Invitation::new(InvitationState::Queued, now)));
    }
}

/// To how many events the change newly invites the person.
pub fn invited(before: Option<&Person>, after: &Person) -> u64 {
    let passages = after.journey.iter().flat_map(|journey| &journey.events);
    let queued = passages.filter(|passage| passage.invitation.is_some());
    queued.filter(|passage| before.is_none_or(|before| before.invitation(&passage.event).is_none())).count() as u64
}

/// How far somebody has come after a step from `from` to `to` that meets them as they are `now`. A step decides of
/// nothing but of invitations that are not sent: it queues one where there is none yet, and takes back one that it, or the
/// run that it undoes, queued.
pub fn carried(from: &Person, to: Option<&Person>, now: &Person) -> Option<Box<Journey>> {
    let passages = |person: &Person| person.journey.clone().into_iter().flat_map(|journey| journey.events);
    let mut carried = now.journey.clone().unwrap_or_default();
    for queued in to.into_iter().flat_map(passages).filter(|passage| from.invitation(&passage.event).is_none()) {
        if carried.invitation(&queued.event).is_none() {
            carried.pass(&queued.event, |passage| passage.invitation = queued.invitation);
        }
    }
    for queued in passages(from).filter(|passage| to.and_then(|to| to.invitation(&passage.event)).is_none()) {
        let theirs = queued.invitation.as_ref().zip(carried.invitation(&queued.event));
        if theirs.is_some_and(|(queued, now)| is_same_and_unsent(queued, now)) {
            carried.pass(&queued.event, |passage| passage.invitation = None);
        }
    }
    (!carried.is_empty()).then_some(carried)
}

/// It may have been tried since, in vain.
fn is_same_and_unsent(queued: &Invitation, now: &Invitation) -> bool {
    let is_queued = queued.state == InvitationState::Queued && now.state == InvitationState::Queued;
    is_queued && (queued.queued_at, queued.serial) == (now.queued_at, now.serial)
}
