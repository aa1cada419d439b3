//! Who signed in: a value beside the person for each registration that a sign-in made. Which there are, and how old their
//! profiles are, is held in memory; the tokens stay on disk.
//!
//! Invariant: none is without its registration. It goes in the batch in which that goes, and is written only while it is there.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use sled::IVec;

use super::engine::Batch;
use super::index::Index;
use super::state::{State, unreadable};
use super::vault::{bound_to, key_of};
use super::writer::ChangeSet;
use super::{Store, StoreError, keys};
use crate::codec::{decode_sign_in, encode_sign_in};
use crate::limits::RESEALED_PER_BATCH;
use crate::model::{ExternalId, FeedId, Person, Registration, SignIn, SignInStanding, SourceName};

/// What is to become of what is kept of somebody who signed in; at most one for each in a batch. One that no longer fits what
/// is there has no effect.
#[derive(Debug)]
pub struct SignInWrite {
    pub source: SourceName,
    pub external_id: ExternalId,
    pub change: SignInChange,
}

#[derive(Debug)]
pub enum SignInChange {
    /// They signed in. It needs their registration.
    Put(Box<SignIn>),
    /// Other tokens of the sign-in of that time.
    Tokens {
        signed_in_at: Timestamp,
        tokens: Vec<u8>,
    },
    /// Their profile came.
    Came {
        signed_in_at: Timestamp,
        at: Timestamp,
    },
    /// The tokens of the sign-in of that time are good no more.
    SignInAgain {
        signed_in_at: Timestamp,
    },
    /// The same tokens, sealed by another key.
    Sealed {
        before: Vec<u8>,
        tokens: Vec<u8>,
    },
    Forget,
}

impl SignInChange {
    /// What is kept after it; the outer `None`: it has no effect.
    fn applied(&self, known: Option<SignIn>) -> Option<Option<SignIn>> {
        let of_time = |at: &Timestamp| known.clone().filter(|known| known.signed_in_at == *at);
        Some(match self {
            Self::Put(sign_in) => Some(SignIn::clone(sign_in)),
            Self::Forget => None,
            Self::Tokens { signed_in_at, tokens } => {
                Some(SignIn { tokens: Some(tokens.clone()), ..of_time(signed_in_at)? })
            }
            Self::Came { signed_in_at, at } => Some(SignIn { refreshed_at: *at, ..of_time(signed_in_at)? }),
            Self::SignInAgain { signed_in_at } => {
                let standing = SignInStanding::SignInAgain;
                Some(SignIn { standing, tokens: None, ..of_time(signed_in_at)? })
            }
            Self::Sealed { before, tokens } => {
                let same = known.filter(|known| known.tokens.as_ref() == Some(before))?;
                Some(SignIn { tokens: Some(tokens.clone()), ..same })
            }
        })
    }
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

/// Puts into a batch what becomes of sign-ins. `people`: whom the batch changes, before and after; `value`: what is stored.
pub fn put<'p>(
    batch: &mut Batch,
    state: &State,
    writes: &[SignInWrite],
    people: impl Iterator<Item = (Option<&'p Person>, Option<&'p Person>)>,
    value: impl Fn(&[u8]) -> Result<Option<IVec>, StoreError>,
) -> Result<Becoming, StoreError> {
    let gone = gone(state, people);
    let mut becoming: Becoming = gone.iter().map(|hash| (*hash, None)).collect();
    for SignInWrite { source, external_id, change } in writes {
        let hash = hash(&state.index, source, external_id);
        if gone.contains(&hash) || state.index.registration(hash).is_none() {
            continue;
        }
        let known = value(&keys::sign_in(hash))?.map(|sealed| decode_sign_in(&sealed)).transpose();
        let Some(after) = change.applied(known.map_err(unreadable("a sign-in"))?) else { continue };
        if let Some(sign_in) = &after {
            batch.put(keys::sign_in(hash), encode_sign_in(sign_in));
        }
        becoming.push((hash, after.as_ref().map(SignInGlance::of)));
    }
    for (hash, _) in becoming.iter().filter(|(_, after)| after.is_none()) {
        batch.remove(keys::sign_in(*hash));
    }
    Ok(becoming)
}

/// The sign-ins whose registrations nobody has after a batch. One may move from one person to another.
fn gone<'p>(state: &State, people: impl Iterator<Item = (Option<&'p Person>, Option<&'p Person>)>) -> BTreeSet<u128> {
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

    /// The same by its place among those that are due.
    pub fn sign_in_by(&self, hash: u128) -> Result<Option<SignIn>, StoreError> {
        let Some(sealed) = self.value(&keys::sign_in(hash))? else { return Ok(None) };
        decode_sign_in(&sealed).map(Some).map_err(unreadable("a sign-in"))
    }

    /// The places of those who are signed in and whose profiles came no later than `by`, the oldest first.
    pub fn sign_ins_due(&self, source: &SourceName, by: Timestamp) -> Vec<u128> {
        let mut due: Vec<_> = {
            let view = self.view();
            let is_due = |(_, glance): &(&u128, &SignInGlance)| {
                glance.source == *source && glance.standing == SignInStanding::SignedIn && glance.refreshed_at <= by
            };
            view.sign_ins().iter().filter(is_due).map(|(hash, glance)| (glance.refreshed_at, *hash)).collect()
        };
        due.sort_unstable();
        due.into_iter().map(|(_, hash)| hash).collect()
    }

    /// How many stand how with a source.
    pub fn sign_in_count(&self, source: &SourceName, standing: SignInStanding) -> usize {
        let counts = |glance: &&SignInGlance| glance.source == *source && glance.standing == standing;
        self.view().sign_ins().values().filter(counts).count()
    }

    /// Every sign-in after a place, in a fixed order, with the place to go on from.
    fn sign_ins_after(&self, after: Option<u128>, limit: usize) -> Result<Vec<(u128, SignIn)>, StoreError> {
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

    /// Changes the vault's key and seals anew what was sealed by a former one; what a kill interrupts, [`Self::seal_anew`] goes
    /// on with. Blocks.
    pub fn rotate_vault_key(&self) -> Result<Resealed, StoreError> {
        self.vault().add_key(&self.shared.folder)?;
        self.seal_anew()
    }

    /// Seals anew what is sealed by a former key of the vault. When nothing is any more, the former keys go. Blocks.
    pub fn seal_anew(&self) -> Result<Resealed, StoreError> {
        let mut resealed = Resealed { key: self.vault().current(), sealed: 0, unreadable: 0 };
        // What was sealed just before the key changed may have come to the store just after it was gone through.
        loop {
            let before = resealed.sealed;
            resealed.unreadable = 0;
            self.seal_all_anew(&mut resealed)?;
            self.seal_passes_anew(&mut resealed)?;
            if resealed.sealed == before {
                break;
            }
        }
        if resealed.unreadable == 0 && self.vault().has_former_keys() {
            self.vault().drop_former_keys(&self.shared.folder)?;
        }
        Ok(resealed)
    }

    fn seal_all_anew(&self, resealed: &mut Resealed) -> Result<(), StoreError> {
        let mut after = None;
        loop {
            let some = self.sign_ins_after(after, RESEALED_PER_BATCH)?;
            let Some((last, _)) = some.last() else { return Ok(()) };
            after = Some(*last);
            let sign_ins: Vec<_> = some.iter().filter_map(|(_, sign_in)| self.resealed(sign_in, resealed)).collect();
            if !sign_ins.is_empty() {
                resealed.sealed += sign_ins.len() as u64;
                self.commit(ChangeSet { sign_ins, ..ChangeSet::default() })?;
            }
        }
    }

    fn resealed(&self, sign_in: &SignIn, resealed: &mut Resealed) -> Option<SignInWrite> {
        let SignIn { source, external_id, tokens, .. } = sign_in;
        let before = tokens.clone().filter(|sealed| key_of(sealed) != Some(resealed.key))?;
        let bound_to = bound_to(source, external_id);
        let plain = self.vault().open(&bound_to, &before).ok();
        let Some(tokens) = plain.and_then(|plain| self.vault().seal(&bound_to, &plain).ok()) else {
            resealed.unreadable += 1;
            return None;
        };
        let change = SignInChange::Sealed { before, tokens };
        Some(SignInWrite { source: source.clone(), external_id: external_id.clone(), change })
    }
}

/// What came of sealing anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resealed {
    /// The number of the key that seals now.
    pub key: u32,
    pub sealed: u64,
    /// These stay as they are, and the former keys with them.
    pub unreadable: u64,
}
