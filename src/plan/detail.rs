//! A change in words: what differs between a person before and after.

use serde::Serialize;

use crate::model::{
    EventField, EventName, ExternalId, FeedId, Field, GroupKey, InvitationState, Person, Registration,
    RegistrationState, Value,
};

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Detail {
    Email {
        before: Option<String>,
        after: Option<String>,
    },
    Field {
        field: Field,
        before: Option<Value>,
        after: Option<Value>,
    },
    /// The field is no longer any source's.
    Released {
        field: Field,
    },
    Attendance {
        event: EventName,
        before: bool,
        after: bool,
    },
    EventField {
        event: EventName,
        field: EventField,
        before: Option<Value>,
        after: Option<Value>,
    },
    Registration {
        feed: FeedId,
        external_id: ExternalId,
        before: Option<RegistrationState>,
        after: Option<RegistrationState>,
    },
    JoinedGroup {
        group: GroupKey,
    },
    LeftGroup {
        group: GroupKey,
    },
    /// An invitation is queued, or taken back.
    Invitation {
        event: EventName,
        before: Option<InvitationState>,
        after: Option<InvitationState>,
    },
}

/// Every visible difference, in a fixed order. A missing side is nobody.
pub fn details(before: Option<&Person>, after: Option<&Person>) -> Vec<Detail> {
    let mut details = Vec::new();
    email(before, after, &mut details);
    fields(before, after, &mut details);
    attendances(before, after, &mut details);
    registrations(before, after, &mut details);
    groups(before, after, &mut details);
    invitations(before, after, &mut details);
    details
}

fn email(before: Option<&Person>, after: Option<&Person>, details: &mut Vec<Detail>) {
    let spelled = |person: Option<&Person>| person.map(|person| person.email.as_str().to_owned());
    let (before, after) = (spelled(before), spelled(after));
    if before != after {
        details.push(Detail::Email { before, after });
    }
}

/// The sorted keys of both sides, each once.
fn union<K: Ord>(before: impl Iterator<Item = K>, after: impl Iterator<Item = K>) -> Vec<K> {
    let mut keys: Vec<K> = before.chain(after).collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

fn fields(before: Option<&Person>, after: Option<&Person>, details: &mut Vec<Detail>) {
    let of = |person: Option<&Person>| person.map(|p| p.profile.clone()).unwrap_or_default();
    let (old, new) = (of(before), of(after));
    for field in union(old.iter().map(|f| &f.field), new.iter().map(|f| &f.field)) {
        let find = |profile: &[crate::model::ProfileField]| profile.iter().find(|f| f.field == *field).cloned();
        let (old, new) = (find(&old), find(&new));
        let owned = |f: &Option<crate::model::ProfileField>| f.as_ref().is_some_and(|f| f.owner.is_some());
        if owned(&old) && new.is_some() && !owned(&new) {
            details.push(Detail::Released { field: field.clone() });
        }
        let (before, after) = (old.map(|f| f.value), new.map(|f| f.value));
        if before != after {
            details.push(Detail::Field { field: field.clone(), before, after });
        }
    }
}

fn attendances(before: Option<&Person>, after: Option<&Person>, details: &mut Vec<Detail>) {
    let of = |person: Option<&Person>| person.map(|p| p.attendances.clone()).unwrap_or_default();
    let (old, new) = (of(before), of(after));
    for event in union(old.iter().map(|a| a.event.clone()), new.iter().map(|a| a.event.clone())) {
        let attends = |person: Option<&Person>| person.is_some_and(|p| p.attends(&event));
        if attends(before) != attends(after) {
            details.push(Detail::Attendance { event: event.clone(), before: attends(before), after: attends(after) });
        }
        for (field, _) in EventField::ALL {
            let value = |person: Option<&Person>| {
                let fields = &person?.attendance(&event)?.fields;
                fields.iter().find(|(f, _)| *f == field).map(|(_, value)| value.clone())
            };
            let (before, after) = (value(before), value(after));
            if before != after {
                details.push(Detail::EventField { event: event.clone(), field, before, after });
            }
        }
    }
}

fn registrations(before: Option<&Person>, after: Option<&Person>, details: &mut Vec<Detail>) {
    let of = |person: Option<&Person>| person.map(|p| p.registrations.clone()).unwrap_or_default();
    let (old, new) = (of(before), of(after));
    let key = |r: &Registration| (r.feed.clone(), r.external_id.clone());
    for (feed, external_id) in union(old.iter().map(key), new.iter().map(key)) {
        let state = |person: Option<&Person>| person?.registration(&feed, &external_id).map(|r| r.state);
        let (before, after) = (state(before), state(after));
        if before != after {
            details.push(Detail::Registration { feed: feed.clone(), external_id: external_id.clone(), before, after });
        }
    }
}

fn groups(before: Option<&Person>, after: Option<&Person>, details: &mut Vec<Detail>) {
    let of = |person: Option<&Person>| person.map(Person::groups).unwrap_or_default();
    let (old, new) = (of(before), of(after));
    details.extend(new.iter().filter(|g| !old.contains(g)).map(|g| Detail::JoinedGroup { group: g.clone() }));
    details.extend(old.iter().filter(|g| !new.contains(g)).map(|g| Detail::LeftGroup { group: g.clone() }));
}

fn invitations(before: Option<&Person>, after: Option<&Person>, details: &mut Vec<Detail>) {
    let passages = |person: Option<&Person>| {
        let journey = person.and_then(|person| person.journey.as_deref().cloned());
        journey.into_iter().flat_map(|journey| journey.events).map(|passage| passage.event)
    };
    for event in union(passages(before), passages(after)) {
        let state = |person: Option<&Person>| person?.invitation(&event).map(|invitation| invitation.state);
        let (before, after) = (state(before), state(after));
        if before != after {
            details.push(Detail::Invitation { event: event.clone(), before, after });
        }
    }
}
