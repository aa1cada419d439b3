//! The profile that a user's registrations make: for each field the first in precedence that has a value.

use jiff::Timestamp;

use super::rank::{self, Rank};
use crate::model::{Email, EmailKey, FeedId, Field, Owner, ProfileField, Registration, RunId, Value};

/// When and by which run a value is set, for its provenance.
#[derive(Clone, Copy)]
pub struct Stamp {
    pub run: RunId,
    pub at: Timestamp,
}

/// Registrations in order of precedence.
pub fn ordered<'a>(registrations: &'a [Registration], rank: &dyn Fn(&FeedId) -> Rank) -> Vec<&'a Registration> {
    if let [only] = registrations {
        return vec![only];
    }
    let mut ordered: Vec<_> = registrations.iter().map(|r| (r, rank(&r.feed))).collect();
    ordered.sort_by(|a, b| rank::compare(*a, *b));
    ordered.into_iter().map(|(registration, _)| registration).collect()
}

/// The profile after a change. A value that no registration brings any more stays, released from its owner.
pub fn profile(before: &[ProfileField], ordered: &[&Registration], stamp: Stamp) -> Vec<ProfileField> {
    if let ([], [only]) = (before, ordered) {
        return first_profile(only, stamp);
    }
    let mut fields: Vec<_> = before.iter().map(|f| &f.field).collect();
    fields.reserve(ordered.iter().map(|r| r.fields.len()).sum());
    fields.extend(ordered.iter().flat_map(|r| r.fields.iter().map(|(field, _)| field)));
    fields.sort_unstable();
    fields.dedup();
    let mut profile = Vec::with_capacity(fields.len());
    for field in fields {
        let old = before.iter().find(|f| f.field == *field);
        let brings = |r: &&Registration| r.fields.iter().find(|(f, _)| f == field).map(|(_, value)| value.clone());
        let new = ordered.iter().find_map(|r| brings(r).map(|value| (value, r)));
        profile.extend(match (old, new) {
            (old, Some((value, registration))) => {
                let unchanged = old.is_some_and(|old| old.value == value);
                let owner = own(old.and_then(|old| old.owner.as_ref()).filter(|_| unchanged), registration, stamp);
                Some(ProfileField { field: field.clone(), value, owner: Some(owner) })
            }
            (Some(old), None) => Some(ProfileField { owner: None, ..old.clone() }),
            (None, None) => None,
        });
    }
    profile
}

/// Of somebody new with one registration: what that brings.
fn first_profile(registration: &Registration, stamp: Stamp) -> Vec<ProfileField> {
    let owner = own(None, registration, stamp);
    let field = |(field, value): &(Field, Value)| ProfileField {
        field: field.clone(),
        value: value.clone(),
        owner: Some(owner.clone()),
    };
    registration.fields.iter().map(field).collect()
}

/// The email as the deciding registration spells it, and its owner. The key does not change here.
pub fn email(
    key: &EmailKey,
    before: Option<(&Email, Option<&Owner>)>,
    ordered: &[&Registration],
    stamp: Stamp,
) -> Option<(Email, Option<Owner>)> {
    let Some(registration) = ordered.iter().find(|r| key.is_of(&r.email)) else {
        return before.map(|(email, _)| (email.clone(), None));
    };
    let unchanged = before.filter(|(email, _)| **email == registration.email).and_then(|(_, owner)| owner);
    Some((registration.email.clone(), Some(own(unchanged, registration, stamp))))
}

/// An unchanged value keeps the run and time that set it, as long as its source is the same.
fn own(unchanged: Option<&Owner>, registration: &Registration, stamp: Stamp) -> Owner {
    match unchanged {
        Some(owner) if owner.source == registration.feed.source => owner.clone(),
        _ => Owner { source: registration.feed.source.clone(), run: stamp.run, at: stamp.at },
    }
}
