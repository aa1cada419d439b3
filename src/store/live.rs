//! The engine while the program runs. After a write that failed nobody knows what sled holds in memory, so the engine
//! is closed and opened anew from the disk; until that succeeds the store is closed, and what lives in memory goes on.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use parking_lot::RwLock;

use super::StoreError;
use super::compact::Swap;
use super::engine::{Engine, Place};
use super::room::Room;
use super::snapshot::Snapshot;
use super::state::State;
use super::tombstones::TombstoneFile;
use crate::faults::Faults;
use crate::model::CommunityKey;

/// A closed engine is not tried again sooner.
const RETRY: Duration = Duration::from_secs(1);

/// How an engine is opened.
pub struct Opening {
    place: Place,
    key: CommunityKey,
    room: Room,
    faults: Faults,
    snapshot: Snapshot,
    tombstones: TombstoneFile,
}

/// The engine, or why there is none.
pub struct Live {
    engine: RwLock<Result<Engine, Closed>>,
    opening: Opening,
    /// Who is told what each commit's wait for the disk took.
    flushed: OnceLock<Box<Told>>,
}

pub type Told = dyn Fn(Duration) + Send + Sync;

struct Closed {
    why: String,
    is_disk_full: bool,
    tried: Instant,
}

impl Opening {
    pub fn new(place: Place, key: CommunityKey, room: Room, faults: Faults) -> Self {
        let snapshot = Snapshot::new(place.index.clone(), faults.clone());
        let tombstones = TombstoneFile::new(place.tombstones.clone());
        Self { place, key, room, faults, snapshot, tombstones }
    }

    /// Opens the engine and reads what is held in memory. On a full disk the ballast makes room.
    fn open(&self) -> Result<(Engine, State), StoreError> {
        let open = || {
            let engine = Engine::open(&self.place, &self.key, &self.faults)?;
            let mut state = State::load(&engine, &self.key, &self.snapshot)?;
            self.tombstones.add_to(&mut state)?;
            Ok((engine, state))
        };
        match open() {
            Err(error) if StoreError::is_disk_full(&error) => {
                self.room.give_up_ballast();
                open()
            }
            opened => opened,
        }
    }
}

impl Live {
    pub fn open(opening: Opening) -> Result<(Self, State), StoreError> {
        let (engine, state) = opening.open()?;
        Ok((Self { engine: RwLock::new(Ok(engine)), opening, flushed: OnceLock::new() }, state))
    }

    pub fn on_flush(&self, tell: Box<Told>) {
        // Who was there first is told.
        let _ = self.flushed.set(tell);
    }

    pub fn tell_flushed(&self, took: Duration) {
        if let Some(tell) = self.flushed.get() {
            tell(took);
        }
    }

    pub const fn key(&self) -> &CommunityKey {
        &self.opening.key
    }

    pub const fn tombstones(&self) -> &TombstoneFile {
        &self.opening.tombstones
    }

    pub const fn faults(&self) -> &Faults {
        &self.opening.faults
    }

    /// Writes the index of the store as the engine has it into its snapshot. Everything that was applied must be synced,
    /// or the snapshot would know of a batch that a power cut takes back.
    pub fn keep_index(&self, state: &State) -> Result<(), StoreError> {
        let Opening { snapshot, room, .. } = &self.opening;
        self.with(|engine| snapshot.keep(&engine.record(), &state.known(), &state.index, room))
    }

    /// Writes the engine anew into a fresh folder, without what was deleted. What is in memory stays as it is. Everything
    /// that was applied must be synced.
    pub fn compact(&self, swap: &Swap) -> Result<(), StoreError> {
        let Opening { place, key, room, faults, .. } = &self.opening;
        let copied = self.with(|old| swap.copy(old, key, room, faults));
        if copied.is_err() {
            // To make room. What stays is removed before the next copy, or at the next start.
            let _ = swap.tidy_up();
            return copied;
        }
        let mut engine = self.engine.write();
        close(&mut engine);
        let swapped = swap.swap(faults).or_else(|error| swap.mend().and(Err(error)));
        let opened = Engine::open(place, key, faults);
        *engine = opened.map_err(|error| Closed {
            why: error.to_string(),
            is_disk_full: error.is_disk_full(),
            tried: Instant::now(),
        });
        drop(engine);
        swapped?;
        self.with(|_| Ok(()))?;
        swap.drop_old(faults)
    }

    /// Does something with the engine. Waits while it is being opened anew.
    pub fn with<T>(&self, work: impl FnOnce(&Engine) -> Result<T, StoreError>) -> Result<T, StoreError> {
        match &*self.engine.read() {
            Ok(engine) => work(engine),
            Err(closed) => Err(StoreError::Closed { why: closed.why.clone(), is_disk_full: closed.is_disk_full }),
        }
    }

    /// Is the engine closed, and is it time to try again?
    pub fn wants_reopening(&self) -> bool {
        matches!(&*self.engine.read(), Err(closed) if closed.tried.elapsed() >= RETRY)
    }

    /// Opens the engine anew and returns what the disk says.
    pub fn reopen(&self) -> Result<State, StoreError> {
        let mut engine = self.engine.write();
        close(&mut engine);
        match self.opening.open() {
            Ok((opened, state)) => {
                *engine = Ok(opened);
                Ok(state)
            }
            Err(error) => {
                let (why, is_disk_full) = (error.to_string(), error.is_disk_full());
                *engine = Err(Closed { why, is_disk_full, tried: Instant::now() });
                Err(error)
            }
        }
    }
}

fn close(engine: &mut Result<Engine, Closed>) {
    let closed = Closed { why: "it is being opened".into(), is_disk_full: false, tried: Instant::now() };
    let old = std::mem::replace(engine, Err(closed));
    // sled flushes when it is dropped, which may fail in ways of its own; what it leaves is read from the disk.
    let _ = catch_unwind(AssertUnwindSafe(|| drop(old)));
}
