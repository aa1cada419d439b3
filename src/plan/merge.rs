//! One record into one registration.

use crate::model::{
    Digest, Email, EventField, FeedId, Field, MappedRecord, RecordState, Registration, RegistrationState, Value,
};

/// A record that makes or changes a registration of the person.
#[derive(Debug, Clone)]
pub struct Arriving {
    pub record: MappedRecord,
    pub raw: Digest,
    pub mapped: Digest,
    /// The registration it was, where that was another person's.
    pub moved: Option<Registration>,
}

/// The registration after a record, given what it was before.
///
/// In the fields that are kept, a blank keeps the value that was there; in others, and in those that the source no longer
/// maps, it is dropped. A partial record (a cancellation whose profile was blanked) changes the state and keeps
/// everything else.
pub fn merge(
    feed: &FeedId,
    before: Option<Registration>,
    arriving: Arriving,
    email: Email,
    kept_fields: &[Field],
    kept_event_fields: &[EventField],
) -> Registration {
    let Arriving { record, raw, mapped, .. } = arriving;
    let partial = !record.is_whole();
    let (old_fields, old_event_fields, old_groups) =
        before.map(|old| (old.fields, old.event_fields, old.groups)).unwrap_or_default();
    let kept = |field: &Field| partial || kept_fields.contains(field);
    let kept_event = |field: &EventField| partial || kept_event_fields.contains(field);
    Registration {
        feed: feed.clone(),
        external_id: record.external_id,
        email,
        state: match record.state {
            RecordState::Attending => RegistrationState::Attending,
            RecordState::NotAttending => RegistrationState::NotAttending,
            // A deletion never becomes a registration; were it asked to, cancelled is the nearest.
            RecordState::Cancelled | RecordState::Deleted => RegistrationState::Cancelled,
        },
        absent_since: None,
        // The record's own, even if it has none: this is what it is weighed by against its duplicates.
        updated_at: record.updated_at,
        raw,
        mapped,
        fields: overlay(old_fields, record.fields, kept),
        event_fields: overlay(old_event_fields, record.event_fields, kept_event),
        groups: if partial { old_groups } else { record.groups.into_iter().map(|group| group.key).collect() },
    }
}

/// The new values, which are ascending, and of the old ones those that are kept and have no new value; ascending.
fn overlay<F: Ord>(old: Vec<(F, Value)>, mut values: Vec<(F, Value)>, kept: impl Fn(&F) -> bool) -> Vec<(F, Value)> {
    if old.is_empty() {
        return values;
    }
    let new = values.len();
    for (field, value) in old {
        if kept(&field) && values[..new].iter().all(|(other, _)| *other != field) {
            values.push((field, value));
        }
    }
    values.sort_by(|(a, _), (b, _)| a.cmp(b));
    values
}
