//! What a batch that deletes people leaves behind of them: a line that says so, tombstones where they are to stay out, and
//! marks by which the runs' files are cleaned. All of it is in the same batch, so that a kill forgets none of it.

use std::sync::Arc;

use jiff::Timestamp;
use sled::IVec;

use super::engine::Batch;
use super::read::{Store, View};
use super::state::State;
use super::tombstones::row;
use super::writer::ChangeSet;
use super::{StoreError, keys};
use crate::codec::{CodecError, Kind, Meta, decode_erasure, encode_erasure};
use crate::model::{
    Cleaned, CommunityKey, ErasedBy, Erasure, ErasureId, Mark, Marker, Person, RunId, SharedTombstones, Tombstone,
    TombstoneId,
};

/// Why and how the people of a change set are deleted.
#[derive(Debug, Clone)]
pub struct Erasing {
    pub at: Timestamp,
    pub by: ErasedBy,
    /// Leaves tombstones.
    pub keep_out: bool,
}

/// What of a change set concerns the erased, and what is remembered of those that it deletes.
#[derive(Debug, Default)]
pub struct Remembered {
    tombstones: Vec<Tombstone>,
    lifted: Option<TombstoneId>,
    erasures: Vec<(ErasureId, Erasure)>,
}

impl Remembered {
    /// Takes it out of a change set. `gone` are the people whom it deletes.
    pub fn of<'p>(
        set: &mut ChangeSet,
        key: &CommunityKey,
        meta: &Meta,
        gone: impl Iterator<Item = &'p Person>,
    ) -> Self {
        let mut remembered = Self {
            tombstones: std::mem::take(&mut set.tombstones),
            lifted: set.lift.take(),
            erasures: std::mem::take(&mut set.erasures),
        };
        if let Some(erasing) = set.erasing.take() {
            remembered.erase(erasing, key, meta, gone);
        }
        remembered
    }

    fn erase<'p>(
        &mut self,
        Erasing { at, by, keep_out }: Erasing,
        key: &CommunityKey,
        meta: &Meta,
        gone: impl Iterator<Item = &'p Person>,
    ) {
        let marker = Marker::new(key);
        let mut erasure = Erasure {
            at,
            by,
            users: Vec::new(),
            registrations: 0,
            tombstones: 0,
            next_run: RunId(meta.next_run),
            marks: Vec::new(),
            cleaned: Cleaned::default(),
            cleaned_at: None,
            compacted_at: None,
        };
        for person in gone {
            let marks: Vec<Mark> = marker.person(person);
            erasure.users.push(person.id);
            erasure.registrations += person.registrations.len() as u64;
            erasure.marks.extend(&marks);
            if keep_out {
                erasure.tombstones += 1;
                self.tombstones.push(Tombstone { at, user: person.id, marks });
            }
        }
        if !erasure.users.is_empty() {
            self.erasures.push((ErasureId(meta.generation), erasure));
        }
    }

    /// Of these, what a batch has to write, beside what only the file knew so far.
    pub fn put(&mut self, batch: &mut Batch, state: &State) {
        if !self.tombstones.is_empty() {
            let mut tombstones = state.tombstones.as_ref().clone();
            for tombstone in std::mem::take(&mut self.tombstones) {
                let id = tombstone.id();
                tombstones.put(tombstone);
                self.tombstones.extend(tombstones.get(id).cloned());
            }
        }
        for tombstone in state.unstored.iter().chain(&self.tombstones) {
            let (key, value) = row(tombstone);
            batch.put(key, value);
        }
        if let Some(id) = self.lifted {
            batch.remove(keys::tombstone(id));
        }
        for (id, erasure) in &self.erasures {
            batch.put(keys::erasure(*id), encode_erasure(erasure));
        }
    }

    /// Lets the readers see it. Returns whether the tombstones are others than before.
    pub fn publish(self, state: &mut State) -> bool {
        let changed = !self.tombstones.is_empty() || self.lifted.is_some() || !state.unstored.is_empty();
        state.unstored.clear();
        if changed {
            let tombstones = Arc::make_mut(&mut state.tombstones);
            self.tombstones.into_iter().for_each(|tombstone| tombstones.put(tombstone));
            self.lifted.into_iter().for_each(|id| tombstones.lift(id));
        }
        for (id, erasure) in self.erasures {
            if erasure.is_over() {
                state.erasures.remove(&id);
            } else {
                state.erasures.insert(id, erasure);
            }
        }
        changed
    }
}

impl View<'_> {
    pub fn tombstones(&self) -> &SharedTombstones {
        &self.state().tombstones
    }
}

/// The erased.
impl Store {
    /// As they are now. Another value later means that they changed.
    pub fn tombstones(&self) -> SharedTombstones {
        Arc::clone(self.view().tombstones())
    }

    /// Erasures after which something is left to do, ascending.
    pub fn pending_erasures(&self) -> Vec<(ErasureId, Erasure)> {
        self.view().state().erasures.iter().map(|(id, erasure)| (*id, erasure.clone())).collect()
    }

    /// Erasures, newest first, from below `before`.
    pub fn erasures(&self, before: Option<ErasureId>, limit: usize) -> Result<Vec<(ErasureId, Erasure)>, StoreError> {
        self.with_engine(|engine| {
            let rows = engine.scan(keys::ERASURES).rev().map(|row| erasure_row(row?));
            let wanted =
                rows.filter(|row| row.as_ref().map_or(true, |(id, _)| before.is_none_or(|before| *id < before)));
            wanted.take(limit).collect()
        })
    }
}

fn erasure_row((key, sealed): (IVec, IVec)) -> Result<(ErasureId, Erasure), StoreError> {
    let failed = |source| StoreError::Codec { what: "what is known of an erasure".into(), source };
    let id = keys::erasure_number(&key).ok_or(CodecError::Short(Kind::Erasure)).map_err(failed)?;
    Ok((id, decode_erasure(&sealed).map_err(failed)?))
}
