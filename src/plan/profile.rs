//! The profile that a user's registrations make: for each field the first in precedence that has a value, as far as its
//! source's rule for the field and the organiser's protection let it.

use jiff::Timestamp;

use super::rank::{self, Rank};
use crate::model::{
    ByHand, Email, EmailKey, FeedId, Field, FieldRule, Overwrite, Owner, ProfileField, Registration, RunId, SourceName,
    Value,
};

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

/// What decides on the fields of one person.
pub struct Deciding<'a> {
    pub stamp: Stamp,
    /// The person is made by this run.
    pub is_new: bool,
    /// How a source's values get into a field.
    pub rule: &'a dyn Fn(&SourceName, &Field) -> FieldRule,
    /// What was decided by hand; `None` of most people.
    pub by_hand: Option<&'a ByHand>,
}

/// The profile after a change. A value that no registration brings any more stays, released from its owner.
pub fn profile(before: &[ProfileField], ordered: &[&Registration], deciding: &Deciding<'_>) -> Vec<ProfileField> {
    if let (true, [only]) = (deciding.is_new, ordered) {
        return first_profile(only, deciding.stamp);
    }
    let mut fields: Vec<_> = before.iter().map(|f| &f.field).collect();
    fields.reserve(ordered.iter().map(|r| r.fields.len()).sum());
    fields.extend(ordered.iter().flat_map(|r| r.fields.iter().map(|(field, _)| field)));
    fields.sort_unstable();
    fields.dedup();
    let old = |field: &Field| before.iter().find(|f| f.field == *field);
    fields.into_iter().filter_map(|field| deciding.field(field, old(field), ordered)).collect()
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

impl Deciding<'_> {
    /// One field. First come, in their order, the registrations whose source always writes it. Where none of them brings
    /// a value, the one that is there stays; where there is none, the others may fill it. So nothing hangs on which
    /// source is read first, and a second plan finds nothing to do.
    fn field(&self, field: &Field, old: Option<&ProfileField>, ordered: &[&Registration]) -> Option<ProfileField> {
        if self.by_hand.is_some_and(|by_hand| by_hand.protected.holds(field)) {
            return old.map(released);
        }
        let value_of = |r: &Registration| r.fields.iter().find(|(f, _)| f == field).map(|(_, value)| value.clone());
        let bringing = || ordered.iter().filter_map(|r| Some((*r, value_of(r)?)));
        let overwrite = |r: &Registration| (self.rule)(&r.feed.source, field).overwrite;
        if let Some((registration, value)) = bringing().find(|(r, _)| overwrite(r) == Overwrite::Always) {
            let unchanged = old.filter(|old| old.value == value).and_then(|old| old.owner.as_ref());
            let owner = own(unchanged, registration, self.stamp);
            return Some(ProfileField { field: field.clone(), value, owner: Some(owner) });
        }
        let is_brought_by = |source: &SourceName| bringing().any(|(r, _)| r.feed.source == *source);
        match old.filter(|old| !self.is_cleared(old, ordered, is_brought_by)) {
            Some(old) if old.owner.as_ref().is_some_and(|owner| is_brought_by(&owner.source)) => Some(old.clone()),
            Some(old) => Some(released(old)),
            None => {
                let fills = |r: &Registration| self.is_new || overwrite(r) == Overwrite::IfEmpty;
                let (registration, value) = bringing().find(|(r, _)| fills(r))?;
                let owner = Some(own(None, registration, self.stamp));
                Some(ProfileField { field: field.clone(), value, owner })
            }
        }
    }

    /// Does the owner of a value say that it is blank now, and mean it?
    fn is_cleared(
        &self,
        old: &ProfileField,
        ordered: &[&Registration],
        is_brought_by: impl Fn(&SourceName) -> bool,
    ) -> bool {
        old.owner.as_ref().is_some_and(|Owner { source, .. }| {
            let is_here = || ordered.iter().any(|r| r.feed.source == *source && !r.is_cancelled());
            (self.rule)(source, &old.field).clear_blank && !is_brought_by(source) && is_here()
        })
    }
}

fn released(field: &ProfileField) -> ProfileField {
    ProfileField { owner: None, ..field.clone() }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Digest, EventName, ExternalId, Protected, RegistrationState};

    /// What a source's name says of how it writes: `always`, `empty` (if_empty), `new` (if_new), `clears` (always, and a
    /// blank clears).
    fn rule(source: &SourceName, _: &Field) -> FieldRule {
        let overwrite = match source.as_str() {
            "empty" => Overwrite::IfEmpty,
            "new" => Overwrite::IfNew,
            _ => Overwrite::Always,
        };
        FieldRule { overwrite, clear_blank: source.as_str() == "clears" }
    }

    /// `source:value`, or `source:` for a blank, `source!:value` of a cancelled one.
    fn registration(text: &str) -> Registration {
        let (source, value) = text.split_once(':').unwrap();
        let (source, state) = match source.strip_suffix('!') {
            Some(source) => (source, RegistrationState::Cancelled),
            None => (source, RegistrationState::Attending),
        };
        let value = (!value.is_empty()).then(|| (Field::Phone, Value::Text(value.into())));
        Registration {
            feed: FeedId { event: EventName::parse("e").unwrap(), source: SourceName::parse(source).unwrap() },
            external_id: ExternalId::new(text).unwrap(),
            email: Email::parse("a@x.org").unwrap(),
            state,
            absent_since: None,
            updated_at: None,
            raw: Digest(1),
            mapped: Digest(1),
            fields: value.into_iter().collect(),
            event_fields: Vec::new(),
            groups: Vec::new(),
        }
    }

    fn owner(source: &str, run: u64) -> Owner {
        Owner { source: SourceName::parse(source).unwrap(), run: RunId(run), at: Timestamp::UNIX_EPOCH }
    }

    /// `source:value` of run 1, `:value` of nobody; empty for no value.
    fn field(text: &str) -> Option<ProfileField> {
        let (source, value) = text.split_once(':')?;
        let owner = (!source.is_empty()).then(|| owner(source, 1));
        Some(ProfileField { field: Field::Phone, value: Value::Text(value.into()), owner })
    }

    /// `source@run:value`, where the run that made the plan is 2.
    fn shown(profile: &[ProfileField]) -> String {
        let one = |f: &ProfileField| {
            let owner = f.owner.as_ref().map(|owner| format!("{}@{}", owner.source, owner.run.0)).unwrap_or_default();
            format!("{owner}:{}", f.value.as_text().unwrap())
        };
        profile.iter().map(one).collect()
    }

    fn decide(
        is_new: bool,
        protected: bool,
        before: &[ProfileField],
        registrations: &[Registration],
    ) -> Vec<ProfileField> {
        let by_hand = ByHand { protected: Protected::Fields(vec![Field::Phone]), ..ByHand::default() };
        let stamp = Stamp { run: RunId(2), at: Timestamp::UNIX_EPOCH };
        let ordered: Vec<&Registration> = registrations.iter().collect();
        let by_hand = protected.then_some(&by_hand);
        profile(before, &ordered, &Deciding { stamp, is_new, rule: &rule, by_hand })
    }

    #[test]
    fn each_mode_writes_when_it_may() {
        const KNOWN: (bool, bool) = (false, false);
        const NEW: (bool, bool) = (true, false);
        const PROTECTED: (bool, bool) = (false, true);
        for (what, how, before, registrations, after) in [
            ("always: fills", KNOWN, "", "always:1", "always@2:1"),
            ("always: overwrites its own", KNOWN, "always:0", "always:1", "always@2:1"),
            ("always: overwrites anybody's", KNOWN, ":0", "always:1", "always@2:1"),
            ("always: what is as it was keeps its run", KNOWN, "always:1", "always:1", "always@1:1"),
            ("always: a blank leaves the value, as nobody's", KNOWN, "always:0", "always:", ":0"),
            ("if_empty: fills", KNOWN, "", "empty:1", "empty@2:1"),
            ("if_empty: fills somebody new", NEW, "", "empty:1", "empty@2:1"),
            ("if_empty: leaves its own", KNOWN, "empty:0", "empty:1", "empty@1:0"),
            ("if_empty: leaves an edited one", KNOWN, ":0", "empty:1", ":0"),
            ("if_empty: a blank leaves the value, as nobody's", KNOWN, "empty:0", "empty:", ":0"),
            ("if_new: fills somebody new", NEW, "", "new:1", "new@2:1"),
            ("if_new: fills nobody else", KNOWN, "", "new:1", ""),
            ("if_new: leaves its own", KNOWN, "new:0", "new:1", "new@1:0"),
            ("if_new: leaves an edited one", KNOWN, ":0", "new:1", ":0"),
            ("if_new, of two registrations at once", NEW, "", "new:1 empty:2", "new@2:1"),
            ("clear_blank: a blank clears its own", KNOWN, "clears:0", "clears:", ""),
            ("clear_blank: it leaves an edited one", KNOWN, ":0", "clears:", ":0"),
            ("clear_blank: it leaves another's", KNOWN, "always:0", "clears:", ":0"),
            (
                "clear_blank: another of its registrations brings one",
                KNOWN,
                "clears:0",
                "clears: clears:1",
                "clears@2:1",
            ),
            ("clear_blank: what it clears another may fill", KNOWN, "clears:0", "clears: empty:1", "empty@2:1"),
            ("clear_blank: who is cancelled is not asked", KNOWN, "clears:0", "clears!:", ":0"),
            ("clear_blank: who is gone is not asked", KNOWN, "clears:0", "empty:1", ":0"),
            (
                "one that always writes goes first, whatever the order",
                KNOWN,
                "empty:0",
                "empty:1 always:2",
                "always@2:2",
            ),
            ("… and keeps writing", KNOWN, "always:2", "empty:1 always:2", "always@1:2"),
            ("of two that fill, the first", KNOWN, "", "empty:1 empty:2", "empty@2:1"),
            ("protected: nobody overwrites", PROTECTED, "always:0", "always:1", ":0"),
            ("protected: nobody fills", PROTECTED, "", "always:1 empty:2", ""),
            ("protected: nobody clears", PROTECTED, "clears:0", "clears:", ":0"),
            ("nobody brings it", KNOWN, "always:0", "other:", ":0"),
        ] {
            let registrations: Vec<_> = registrations.split_whitespace().map(registration).collect();
            let before: Vec<_> = field(before).into_iter().collect();
            let (is_new, protected) = how;
            let profile = decide(is_new, protected, &before, &registrations);
            assert_eq!(shown(&profile), after, "{what}");
            assert_eq!(decide(false, protected, &profile, &registrations), profile, "{what}, planned again");
        }
    }
}
