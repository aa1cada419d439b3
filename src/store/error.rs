//! What can go wrong with the store, with what to do about it.

use std::path::PathBuf;

use crate::codec::CodecError;
use crate::model::{ErrorReason, RunError, UserId};

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("cannot {operation} {path}: {source}")]
    Io { operation: &'static str, path: PathBuf, source: std::io::Error },
    #[error("{path} is locked by another rollcall (process {holder}); stop it, or talk to it over its API")]
    Locked { path: PathBuf, holder: String },
    #[error("the store in {path} cannot be opened: {source}")]
    Open { path: PathBuf, source: sled::Error },
    #[error("cannot {operation}: {source}")]
    Engine { operation: &'static str, source: sled::Error },
    #[error("{what} cannot be read: {source}")]
    Codec { what: String, source: CodecError },
    #[error(
        "the data directory has layout {found} ({path}), this build knows {known}: use the rollcall that wrote it, or a newer one"
    )]
    Schema { path: PathBuf, found: u32, known: u32 },
    #[error("{path} does not hold {what}: restore it from a backup")]
    Unreadable { path: PathBuf, what: &'static str },
    #[error("the system gives no random bytes: {0}")]
    Random(String),
    #[error("user {0} was changed since this was planned")]
    Conflict(UserId),
    #[error("user {0} would be too large to be read again: too many registrations under one email, or huge fields")]
    TooLarge(UserId),
    #[error("the store has stopped")]
    Stopped,
}

impl StoreError {
    /// Is there no room on the disk?
    pub fn is_disk_full(&self) -> bool {
        let full = |error: &std::io::Error| error.kind() == std::io::ErrorKind::StorageFull;
        match self {
            Self::Io { source, .. } => full(source),
            Self::Open { source: sled::Error::Io(source), .. }
            | Self::Engine { source: sled::Error::Io(source), .. } => full(source),
            _ => false,
        }
    }

    /// The same as a run's error.
    pub fn to_run_error(&self) -> RunError {
        let (reason, hint) = match self {
            _ if self.is_disk_full() => (ErrorReason::DiskFull, "free some space; the next sync starts again"),
            Self::Conflict(_) => (ErrorReason::Store, "start the sync again: it plans upon what is there now"),
            Self::TooLarge(_) => (ErrorReason::Store, "is the mapped email the buyer's? map the attendee's own"),
            Self::Stopped => (ErrorReason::Interrupted, "start the sync again"),
            _ => (ErrorReason::Store, "look at the disk and the server's log"),
        };
        RunError { reason, message: self.to_string(), hint: hint.to_owned() }
    }
}
