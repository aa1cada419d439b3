//! The engine while the program runs. After a write that failed nobody knows what sled holds in memory, so the engine
//! is closed and opened anew from the disk; until that succeeds the store is closed, and what lives in memory goes on.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use parking_lot::RwLock;

use super::StoreError;
use super::engine::{Engine, Place};
use super::room::Room;
use super::snapshot::Snapshot;
use super::state::State;
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
}

/// The engine, or why there is none.
pub struct Live {
    engine: RwLock<Result<Engine, Closed>>,
    opening: Opening,
}

struct Closed {
    why: String,
    is_disk_full: bool,
    tried: Instant,
}

impl Opening {
    pub fn new(place: Place, key: CommunityKey, room: Room, faults: Faults) -> Self {
        let snapshot = Snapshot::new(place.index.clone(), faults.clone());
        Self { place, key, room, faults, snapshot }
    }

    /// Opens the engine and reads what is held in memory. On a full disk the ballast makes room.
    fn open(&self) -> Result<(Engine, State), StoreError> {
        let open = || {
            let engine = Engine::open(&self.place, &self.key, &self.faults)?;
            let state = State::load(&engine, &self.key, &self.snapshot)?;
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
        Ok((Self { engine: RwLock::new(Ok(engine)), opening }, state))
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
        let closed = Closed { why: "it is being opened".into(), is_disk_full: false, tried: Instant::now() };
        let old = std::mem::replace(&mut *engine, Err(closed));
        // sled flushes when it is dropped, which may fail in ways of its own; what it leaves is read from the disk.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(old)));
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
