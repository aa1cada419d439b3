//! What of a feed a person should look at: records that could not be used, ids and emails that several share.

use std::collections::{BTreeMap, HashSet};

use compact_str::CompactString;

use crate::model::{
    ExternalId, FeedId, Field, Person, PersonChange, Position, RecordNote, RejectReason, RunId, SkipReason, Verdict,
};

/// What is the matter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Matter {
    /// A record cannot be used; `field` is the mapping key concerned, empty when no one key is.
    Rejected { reason: RejectReason, field: CompactString },
    /// Two records bear one external id; one of them was used.
    DuplicateId,
    /// Registrations with differing names bear one email.
    SharedEmail,
}

impl Matter {
    /// What to do about it.
    pub const fn mend(&self) -> &'static str {
        let Self::Rejected { reason, .. } = self else {
            return match self {
                Self::DuplicateId => {
                    "give each record its own id in the source, or map `external_id` from a key that tells them apart"
                }
                _ => "map the attendee's own email, not the buyer's; or correct the emails in the source",
            };
        };
        match reason {
            RejectReason::MissingField => "fill it in in the source, or map it from another key, too: `.a // .b`",
            RejectReason::InvalidEmail => "correct the email in the source",
            RejectReason::FieldTooLong => "shorten it in the source, or map a part of it",
            RejectReason::NulCharacter => "remove the NUL character in the source",
            RejectReason::WrongType => "map it to a text, e.g. with `tostring`; `rollcall preview` shows what arrives",
            RejectReason::InvalidUrl => "correct the address in the source",
            RejectReason::InvalidTime => "map a time of RFC 3339; `rollcall preview` shows what arrives",
            RejectReason::ExpressionFailed => {
                "let the expression bear what may be missing, with `?` or `//`; `rollcall preview` tries it"
            }
            RejectReason::EmailTaken => {
                "correct the email in the source; where both are one person, cancel the record that is too many"
            }
            RejectReason::EmailUnverified => {
                "have the person verify the email there; where every email of the provider is good, set trust_email"
            }
        }
    }
}

/// One thing to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The run that found it last.
    pub run: RunId,
    pub external_id: Option<ExternalId>,
    /// Where the record stood in that run's list.
    pub position: Position,
    pub matter: Matter,
}

/// What a feed's runs found, each after the one before. A complete read finds everything anew; of any other, what it
/// does not speak of stands.
#[derive(Debug, Default)]
pub struct Review {
    found: BTreeMap<Key, Finding>,
}

/// Of one id there is one rejection and one duplicate at most; a record without an id is known by its place.
type Key = (bool, Option<ExternalId>, Option<(RunId, Position)>);

impl Review {
    /// Takes up a run: what it noted, and the external ids of the records that it could use.
    pub fn take_run(&mut self, run: RunId, complete: bool, notes: Vec<RecordNote>, used: &[ExternalId]) {
        if complete {
            self.found.clear();
        }
        for id in used {
            self.found.remove(&(false, Some(id.clone()), None));
        }
        // A read with a record that nobody can name is not complete; it finds every such record all the same.
        if notes.iter().any(|note| note.external_id.is_none()) {
            self.found.retain(|(_, external_id, _), _| external_id.is_some());
        }
        for RecordNote { position, external_id, verdict } in notes {
            let matter = match verdict {
                Verdict::Reject { reason, field } => Matter::Rejected { reason, field },
                Verdict::Skip(SkipReason::Duplicate) => Matter::DuplicateId,
                Verdict::Skip(_) => continue,
            };
            let place = external_id.is_none().then_some((run, position));
            let key = (matter == Matter::DuplicateId, external_id.clone(), place);
            self.found.insert(key, Finding { run, external_id, position, matter });
        }
    }

    /// Rejections, then duplicates, each by external id.
    pub fn findings(self) -> impl Iterator<Item = Finding> {
        self.found.into_values()
    }
}

/// The external ids of a feed that a change brought something of.
pub fn used_ids(change: &PersonChange, feed: &FeedId) -> Vec<ExternalId> {
    let after = change.after.iter().flat_map(|person| &person.registrations);
    let is_new = |id: &ExternalId, mapped| {
        let before = change.before.as_ref().and_then(|person| person.registration(feed, id));
        before.is_none_or(|before| before.mapped != mapped)
    };
    let of_feed = after.filter(|r| r.feed == *feed && is_new(&r.external_id, r.mapped));
    of_feed.map(|r| r.external_id.clone()).collect()
}

/// Do a feed's registrations of one person bear differing names under the one email?
pub fn shares_email(person: &Person, feed: &FeedId) -> bool {
    if person.registrations.len() < 2 {
        return false;
    }
    let mut names = HashSet::new();
    for registration in person.registrations.iter().filter(|r| r.feed == *feed && !r.is_cancelled()) {
        let name = |wanted: &Field| registration.fields.iter().find(|(field, _)| field == wanted).map(|(_, v)| v);
        names.insert(Field::MANDATORY.each_ref().map(name));
    }
    names.len() > 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> ExternalId {
        ExternalId::new(text).unwrap()
    }

    fn rejected(external_id: Option<&str>, index: u32) -> RecordNote {
        let verdict = Verdict::Reject { reason: RejectReason::InvalidEmail, field: "email".into() };
        RecordNote { position: Position { page: 1, index }, external_id: external_id.map(id), verdict }
    }

    fn skipped(external_id: &str, reason: SkipReason) -> RecordNote {
        let position = Position { page: 1, index: 0 };
        RecordNote { position, external_id: Some(id(external_id)), verdict: Verdict::Skip(reason) }
    }

    fn told(review: Review) -> Vec<(u64, Option<String>, bool)> {
        let told = |f: Finding| (f.run.0, f.external_id.map(|id| id.to_string()), f.matter == Matter::DuplicateId);
        review.findings().map(told).collect()
    }

    #[test]
    fn a_finding_stands_until_its_record_is_used_or_everything_is_read() {
        let find = |later: &[(bool, Vec<RecordNote>, &[&str])]| {
            let mut review = Review::default();
            let first = vec![rejected(Some("a"), 0), rejected(Some("b"), 1), skipped("c", SkipReason::Duplicate)];
            review.take_run(RunId(1), true, first, &[]);
            for (run, (complete, notes, used)) in (2..).zip(later) {
                let used: Vec<_> = used.iter().map(|text| id(text)).collect();
                review.take_run(RunId(run), *complete, notes.clone(), &used);
            }
            told(review)
        };
        let one = |run, external_id: &str, duplicate| (run, Some(external_id.to_owned()), duplicate);
        let all = vec![one(1, "a", false), one(1, "b", false), one(1, "c", true)];
        assert_eq!(find(&[]), all);
        assert_eq!(find(&[(false, vec![], &[])]), all, "what a partial read does not speak of");
        assert_eq!(find(&[(false, vec![], &["a", "c"])]), all[1..], "a duplicate was used all along");
        assert_eq!(find(&[(false, vec![rejected(Some("a"), 7)], &["a"])])[0], one(2, "a", false), "one of two records");
        assert_eq!(find(&[(true, vec![], &[])]), []);
        assert_eq!(find(&[(true, vec![rejected(Some("b"), 0)], &[])]), [one(2, "b", false)]);
    }

    #[test]
    fn records_without_an_id_are_told_apart_and_filtered_ones_are_no_matter() {
        let mut review = Review::default();
        let notes = vec![rejected(None, 0), rejected(None, 1), skipped("a", SkipReason::Filtered)];
        review.take_run(RunId(1), true, notes, &[]);
        review.take_run(RunId(2), false, vec![rejected(None, 0)], &[]);
        review.take_run(RunId(3), false, vec![rejected(Some("b"), 0)], &[]);
        assert_eq!(
            told(review),
            [(2, None, false), (3, Some("b".into()), false)],
            "those of the newest read that has any"
        );
    }

    #[test]
    fn every_matter_has_a_mend() {
        let matters = RejectReason::ALL.map(|reason| Matter::Rejected { reason, field: "email".into() });
        let mends: HashSet<_> =
            matters.iter().chain([&Matter::DuplicateId, &Matter::SharedEmail]).map(Matter::mend).collect();
        assert_eq!(mends.len(), RejectReason::ALL.len() + 2);
    }
}
