//! The tombstones in a file of their own, so that a store put back from an older backup does not forget them: the file
//! stays where it is.
//!
//! It says as of which batch of the store it tells. A store that has come as far knows better; one that has not went
//! back, and whatever either of them keeps out stays out.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::Arc;

use super::engine::{io_error, sync_folder};
use super::state::{State, unreadable};
use super::{StoreError, keys};
use crate::codec::{decode_tombstones, encode_tombstones};
use crate::model::{Tombstone, Tombstones};

pub struct TombstoneFile {
    path: PathBuf,
}

impl TombstoneFile {
    pub const fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Adds to a state what only the file knows. The writer stores it with the next batch that it is given.
    pub fn add_to(&self, state: &mut State) -> Result<(), StoreError> {
        let Some((generation, tombstones)) = self.read()? else { return Ok(()) };
        if generation > state.meta.generation {
            let known = Arc::make_mut(&mut state.tombstones);
            for tombstone in tombstones {
                if known.get(tombstone.id()).is_none_or(|known| known.marks != tombstone.marks) {
                    known.put(tombstone.clone());
                    state.unstored.extend(known.get(tombstone.id()).cloned());
                }
            }
        }
        Ok(())
    }

    fn read(&self) -> Result<Option<(u64, Vec<Tombstone>)>, StoreError> {
        match fs::read(&self.path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(io_error("read", &self.path, error)),
            Ok(sealed) => decode_tombstones(&sealed).map(Some).map_err(unreadable(format!("{}", self.path.display()))),
        }
    }

    /// Makes the file say these. A kill leaves it as it was or as it is to be.
    pub fn write(&self, generation: u64, tombstones: &Tombstones) -> Result<(), StoreError> {
        let part = self.path.with_extension("part");
        let sealed = encode_tombstones(generation, tombstones.iter().map(|(_, tombstone)| tombstone));
        let write = || {
            let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part)?;
            file.write_all(&sealed)?;
            file.sync_all()?;
            fs::rename(&part, &self.path)
        };
        write().map_err(|source| io_error("write", &self.path, source))?;
        self.path.parent().map_or(Ok(()), sync_folder)
    }

    /// Puts a file that cannot be read aside. Returns whether there was one.
    pub fn set_aside(&self) -> Result<bool, StoreError> {
        if self.read().is_ok() {
            return Ok(false);
        }
        let aside = self.path.with_extension("damaged");
        fs::rename(&self.path, &aside).map_err(|source| io_error("rename", &self.path, source))?;
        Ok(true)
    }
}

/// The key and the value of a tombstone.
pub fn row(tombstone: &Tombstone) -> (Vec<u8>, Vec<u8>) {
    (keys::tombstone(tombstone.id()), crate::codec::encode_tombstone(tombstone))
}
