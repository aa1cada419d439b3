//! What a read has found so far, whether a page has just come or a spool is taken up.
//! Invariant: changes nobody. The store is only asked.

use std::collections::BTreeMap;
use std::num::NonZeroU128;

use jiff::Timestamp;
use roaring::RoaringBitmap;

use super::feed::Feed;
use crate::codec::SpooledRecord;
use crate::journal::Place;
use crate::model::{
    Counts, Digest, EmailKey, ExternalId, GroupKey, GroupName, MappedRecord, Outcome, RecordNote, RecordState,
    Registration, SharedTombstones, Verdict,
};
use crate::plan::{Candidate, SignedIn, Version, admit};
use crate::source::Profile;
use crate::store::{RegistrationHit, Store, StoreError, View};

/// A record in the spool and what routing needs to know of it. There may be a million of them, so it is kept small:
/// 96 bytes.
pub struct Spooled {
    pub place: Place,
    /// As in [`Candidate`]. No hash is 0.
    pub key: u128,
    pub email: Option<NonZeroU128>,
    pub updated_at: Option<Timestamp>,
    pub mapped: Digest,
    pub state: RecordState,
}

impl Spooled {
    pub fn email(&self) -> Option<u128> {
        self.email.map(NonZeroU128::get)
    }

    pub fn candidate(&self) -> Candidate<u128> {
        let version = Version { updated_at: self.updated_at, mapped: self.mapped };
        Candidate { key: self.key, email: self.email(), version, state: self.state }
    }
}

pub struct Tally<'a> {
    pub store: &'a Store,
    pub feed: &'a Feed,
    /// Map every record, whatever its digest.
    pub full: bool,
    pub candidates: Vec<Spooled>,
    pub notes: Vec<Place>,
    /// Groups that the list names and the store does not have. Of several spellings the first in order, so that the
    /// order of the list does not matter.
    pub new_groups: BTreeMap<GroupKey, GroupName>,
    /// Registrations, by number, whose records the list has.
    pub seen: RoaringBitmap,
    /// Of these, the ones whose record is as it was.
    pub unchanged: RoaringBitmap,
    pub counts: Counts,
    /// A record was rejected whose external id could not be read: absence means nothing then.
    pub unidentified: bool,
    /// Who is to stay out, as of the read's beginning.
    pub tombstones: SharedTombstones,
    digest_seed: u64,
}

impl<'a> Tally<'a> {
    pub fn new(store: &'a Store, feed: &'a Feed, full: bool) -> Self {
        Self {
            store,
            feed,
            full,
            candidates: Vec::new(),
            notes: Vec::new(),
            new_groups: BTreeMap::new(),
            seen: RoaringBitmap::new(),
            unchanged: RoaringBitmap::new(),
            counts: Counts::default(),
            unidentified: false,
            tombstones: store.tombstones(),
            digest_seed: feed.digest_seed(),
        }
    }

    pub fn raw_digest(&self, record: &[u8]) -> Digest {
        Digest::of(self.digest_seed, record)
    }

    /// Under the same seed as the digests of raw records: a changed policy must not find everything as it was.
    pub fn mapped_digest(&self, record: &MappedRecord) -> Digest {
        Digest::of(self.digest_seed, &self.feed.entry.mapping.mapped_digest(record).0.to_le_bytes())
    }

    /// Were these bytes the record of a registration the last time? A registration that was absent is not
    /// unchanged: it is back.
    pub fn is_unchanged(&mut self, view: &View<'_>, raw: Digest) -> bool {
        let hit = if self.full { None } else { view.index().registration_by_raw(raw) };
        self.count_if_present(hit)
    }

    /// Is the registration with this key there as its record says, though the record's bytes differ?
    pub fn is_same(&mut self, key: u128, mapped: Option<Digest>) -> bool {
        let hit = if self.full { None } else { self.store.view().index().registration(key) };
        self.count_if_present(hit.filter(|hit| mapped.is_none_or(|mapped| hit.mapped == mapped)))
    }

    fn count_if_present(&mut self, hit: Option<RegistrationHit>) -> bool {
        let Some(hit) = hit.filter(|hit| !hit.absent) else { return false };
        self.seen.insert(hit.number);
        if self.unchanged.insert(hit.number) {
            self.counts.unchanged += 1;
        } else {
            self.counts.skip += 1;
            self.counts.duplicates += 1;
        }
        true
    }

    /// What a record's registration is known by.
    pub fn key(&self, record: &MappedRecord) -> u128 {
        self.store.view().index().registration_hash(&self.feed.id, &record.external_id)
    }

    /// What a profile says of whom it is of.
    pub fn admit(&self, record: MappedRecord, profile: &Profile) -> Result<Outcome, StoreError> {
        let external_id = profile.subject.as_ref().unwrap_or(&record.external_id);
        let person = match self.store.user_by_registration(&self.feed.id, external_id) {
            Some(user) => self.store.person(user)?,
            None => None,
        };
        let own = |r: &Registration| r.feed == self.feed.id && r.external_id == *external_id;
        let known = person.as_ref().map(|person| SignedIn {
            email: &person.email,
            has_others: person.registrations.iter().any(|r| !own(r) && !r.is_cancelled()),
        });
        let is_taken = |email: &EmailKey| self.store.user_by_email(email).is_some();
        let admitted = admit(record, profile.subject.as_ref(), profile.is_verified, known, is_taken);
        Ok(admitted.map_or_else(Outcome::Rejected, Outcome::Mapped))
    }

    /// Would the record bring back somebody who was erased?
    pub fn keeps_out(&self, record: &MappedRecord) -> bool {
        self.tombstones.keep_out(&self.feed.id.source, record)
    }

    /// Takes up a record that stands in the spool.
    pub fn enter(&mut self, place: Place, key: u128, spooled: &SpooledRecord) {
        let SpooledRecord { mapped, record, .. } = spooled;
        self.collect_groups(record);
        let email = {
            let view = self.store.view();
            let index = view.index();
            self.seen.extend(index.registration(key).map(|hit| hit.number));
            // A partial record finds its person by the registration alone.
            let email = record.email.as_ref().filter(|_| record.is_whole());
            email.and_then(|email| NonZeroU128::new(index.email_hash(&email.key())))
        };
        let (updated_at, state, mapped) = (record.updated_at, record.state, *mapped);
        self.candidates.push(Spooled { place, key, email, updated_at, mapped, state });
    }

    fn collect_groups(&mut self, record: &MappedRecord) {
        if record.groups.is_empty() || matches!(record.state, RecordState::Cancelled | RecordState::Deleted) {
            return;
        }
        let view = self.store.view();
        for group in record.groups.iter().filter(|group| !view.has_group(&group.key)) {
            let known = self.new_groups.entry(group.key.clone()).or_insert_with(|| group.clone());
            if group.name < known.name {
                known.name = group.name.clone();
            }
        }
    }

    /// Takes up a note that stands in the spool.
    pub fn enter_note(&mut self, place: Place, note: &RecordNote) {
        match (&note.verdict, &note.external_id) {
            (Verdict::Skip(_), _) => self.counts.skip += 1,
            (Verdict::Reject { .. }, external_id) => {
                self.counts.reject += 1;
                match external_id {
                    Some(external_id) => self.see(external_id),
                    None => self.unidentified = true,
                }
            }
        }
        self.notes.push(place);
    }

    /// A rejected record is not a missing one.
    fn see(&mut self, external_id: &ExternalId) {
        let view = self.store.view();
        let key = view.index().registration_hash(&self.feed.id, external_id);
        self.seen.extend(view.index().registration(key).map(|hit| hit.number));
    }
}
