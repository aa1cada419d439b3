//! Who signed in: a value beside the person for each registration that a sign-in made. Which there are, and how old their
//! profiles are, is held in memory; the tokens stay on disk.
//!
//! Invariant: none is without its registration. It goes in the batch in which that goes, and is written only while it is there.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::engine::Batch;
use super::index::Index;
use super::state::{State, unreadable};
use super::{Store, StoreError, keys};
use crate::codec::{decode_sign_in, encode_sign_in};
use crate::model::{ExternalId, FeedId, Person, Registration, SignIn, SignInStanding, SourceName};

/// What is to become of what is kept of somebody who signed in.
#[derive(Debug)]
pub enum SignInWrite {
    /// Has no effect where the registration is no more.
    Put(Box<SignIn>),
    Forget(SourceName, ExternalId),
}

/// A sign-in, as far as it is held in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignInGlance {
    pub source: SourceName,
    pub standing: SignInStanding,
    pub refreshed_at: Timestamp,
}

/// By the hashes of their registrations.
pub type SignIns = BTreeMap<u128, SignInGlance>;

impl SignInGlance {
    pub fn of(SignIn { source, standing, refreshed_at, .. }: &SignIn) -> Self {
        Self { source: source.clone(), standing: *standing, refreshed_at: *refreshed_at }
    }
}

/// What becomes of sign-ins once a batch is on disk; `None`: it goes.
pub type Becoming = Vec<(u128, Option<SignInGlance>)>;

fn hash(index: &Index, source: &SourceName, external_id: &ExternalId) -> u128 {
    index.registration_hash(&FeedId::of_logins(source.clone()), external_id)
}

/// Puts into a batch what becomes of sign-ins. `people`: whom the batch changes, before and after.
pub fn put<'p>(
    batch: &mut Batch,
    state: &State,
    writes: &[SignInWrite],
    people: impl Iterator<Item = (Option<&'p Person>, Option<&'p Person>)>,
) -> Becoming {
    let gone = gone(state, people);
    let mut becoming: Becoming = gone.iter().map(|hash| (*hash, None)).collect();
    for write in writes {
        match write {
            SignInWrite::Put(sign_in) => {
                let hash = hash(&state.index, &sign_in.source, &sign_in.external_id);
                if !gone.contains(&hash) && state.index.registration(hash).is_some() {
                    batch.put(keys::sign_in(hash), encode_sign_in(sign_in));
                    becoming.push((hash, Some(SignInGlance::of(sign_in))));
                }
            }
            SignInWrite::Forget(source, external_id) => {
                becoming.push((hash(&state.index, source, external_id), None));
            }
        }
    }
    for (hash, _) in becoming.iter().filter(|(_, after)| after.is_none()) {
        batch.remove(keys::sign_in(*hash));
    }
    becoming
}

/// The sign-ins whose registrations nobody has after a batch. One may move from one person to another.
fn gone<'p>(
    state: &State,
    people: impl Iterator<Item = (Option<&'p Person>, Option<&'p Person>)>,
) -> BTreeSet<u128> {
    if state.sign_ins.is_empty() {
        return BTreeSet::new();
    }
    let (mut before, mut after) = (BTreeSet::new(), BTreeSet::new());
    let hashes = |person: Option<&'p Person>| {
        let of_logins = |r: &&Registration| r.feed.is_of_logins();
        let registrations = person.map_or(&[][..], |person| &person.registrations).iter().filter(of_logins);
        registrations.map(|r| state.index.registration_hash(&r.feed, &r.external_id)).collect::<Vec<_>>()
    };
    for (was, is) in people {
        before.extend(hashes(was));
        after.extend(hashes(is));
    }
    before.difference(&after).copied().filter(|hash| state.sign_ins.contains_key(hash)).collect()
}

/// Takes up what became of sign-ins.
pub fn publish(sign_ins: &mut SignIns, becoming: Becoming) {
    for (hash, after) in becoming {
        match after {
            Some(glance) => drop(sign_ins.insert(hash, glance)),
            None => drop(sign_ins.remove(&hash)),
        }
    }
}

impl Store {
    /// What is kept of somebody who signed in with a source.
    pub fn sign_in(&self, source: &SourceName, external_id: &ExternalId) -> Result<Option<SignIn>, StoreError> {
        let hash = hash(self.view().index(), source, external_id);
        self.sign_in_by(hash)
    }

    fn sign_in_by(&self, hash: u128) -> Result<Option<SignIn>, StoreError> {
        let Some(sealed) = self.value(&keys::sign_in(hash))? else { return Ok(None) };
        decode_sign_in(&sealed).map(Some).map_err(unreadable("a sign-in"))
    }

    /// Those who are signed in and whose profiles came no later than `by`, the oldest first.
    pub fn sign_ins_due(&self, source: &SourceName, by: Timestamp, limit: usize) -> Result<Vec<SignIn>, StoreError> {
        let mut due: Vec<_> = {
            let view = self.view();
            let is_due = |(_, glance): &(&u128, &SignInGlance)| {
                glance.source == *source && glance.standing == SignInStanding::SignedIn && glance.refreshed_at <= by
            };
            view.sign_ins().iter().filter(is_due).map(|(hash, glance)| (glance.refreshed_at, *hash)).collect()
        };
        due.sort_unstable();
        due.truncate(limit);
        let found = due.into_iter().filter_map(|(_, hash)| self.sign_in_by(hash).transpose());
        found.collect()
    }

    /// How many stand how with a source.
    pub fn sign_in_count(&self, source: &SourceName, standing: SignInStanding) -> usize {
        let counts = |glance: &&SignInGlance| glance.source == *source && glance.standing == standing;
        self.view().sign_ins().values().filter(counts).count()
    }

    /// Every sign-in after a place, in a fixed order, with the place to go on from.
    pub fn sign_ins_after(&self, after: Option<u128>, limit: usize) -> Result<Vec<(u128, SignIn)>, StoreError> {
        let hashes: Vec<u128> = {
            let view = self.view();
            let from = after.map_or(0, |after| after.saturating_add(1));
            view.sign_ins().range(from..).take(limit).map(|(hash, _)| *hash).collect()
        };
        let found = hashes.into_iter().filter_map(|hash| {
            let sign_in = self.sign_in_by(hash).transpose()?;
            Some(sign_in.map(|sign_in| (hash, sign_in)))
        });
        found.collect()
    }
}
