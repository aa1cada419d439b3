//! What can go wrong with the store, with what to do about it.

use std::io;
use std::path::PathBuf;

use crate::codec::CodecError;
use crate::model::{ErrorReason, RunError, UserId};

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("cannot {operation} {path}: {source}")]
    Io { operation: &'static str, path: PathBuf, source: io::Error },
    #[error("{path} is locked by another rollcall (process {holder}); stop it, or talk to it over its API")]
    Locked { path: PathBuf, holder: String },
    #[error("the store in {path} cannot be opened: {source}")]
    Open { path: PathBuf, source: sled::Error },
    #[error("the store in {path} is damaged and cannot be opened")]
    Unopenable { path: PathBuf },
    #[error("cannot {operation}: {source}")]
    Engine { operation: &'static str, source: sled::Error },
    #[error("{what} cannot be read: {source}")]
    Codec { what: String, source: CodecError },
    #[error("the store ends at commit {found}, but commit {anchored} was acknowledged: it lost what came after")]
    WentBack { found: u64, anchored: u64 },
    #[error("the store does not hold what was last written: values are missing or changed")]
    Incomplete,
    #[error("community.key is not the key this store was made with: put the right one back, from a backup")]
    WrongKey,
    #[error(
        "the data directory has layout {found} ({path}), this build knows {known}: use the rollcall that wrote it, or a newer one"
    )]
    Schema { path: PathBuf, found: u32, known: u32 },
    #[error("{path} does not hold {what}: restore it from a backup")]
    Unreadable { path: PathBuf, what: &'static str },
    #[error("the system gives no random bytes: {0}")]
    Random(String),
    #[error("the disk of {path} is full: {} MB are free, {} MB are needed", megabytes(.free), megabytes(.needed))]
    NoRoom { path: PathBuf, free: u64, needed: u64 },
    #[error("the store is closed after a write that failed, and is opened again by itself: {why}")]
    Closed { why: String, is_disk_full: bool },
    #[error("user {0} was changed since this was planned")]
    Conflict(UserId),
    #[error("user {0} would be too large to be read again: too many registrations under one email, or huge fields")]
    TooLarge(UserId),
    #[error("the store was opened anew while this was planned")]
    Reopened,
    #[error("the store failed by a fault in its engine")]
    Panicked,
    #[error("the store has stopped")]
    Stopped,
}

fn megabytes(bytes: &u64) -> u64 {
    bytes / 1_000_000
}

impl StoreError {
    fn io(&self) -> Option<&io::Error> {
        match self {
            Self::Io { source, .. }
            | Self::Open { source: sled::Error::Io(source), .. }
            | Self::Engine { source: sled::Error::Io(source), .. } => Some(source),
            _ => None,
        }
    }

    /// Is there no room on the disk?
    pub fn is_disk_full(&self) -> bool {
        let full = |kind| matches!(kind, io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
        match self {
            Self::NoRoom { .. } | Self::Closed { is_disk_full: true, .. } => true,
            _ => self.io().is_some_and(|error| full(error.kind())),
        }
    }

    /// Will the same work when the disk is well again?
    pub fn is_of_the_disk(&self) -> bool {
        self.io().is_some() || matches!(self, Self::NoRoom { .. } | Self::Closed { .. } | Self::Panicked)
    }

    /// Are stored bytes not what they were?
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Codec { source: CodecError::Newer { .. }, .. } => false,
            Self::Unopenable { .. } | Self::Codec { .. } | Self::WentBack { .. } | Self::Incomplete => true,
            Self::Open { source, .. } | Self::Engine { source, .. } => matches!(source, sled::Error::Corruption { .. }),
            _ => false,
        }
    }

    /// What an operator can do, where the error does not say it itself.
    pub fn way_out(&self) -> Option<&'static str> {
        match self {
            _ if self.is_disk_full() => Some("free some space"),
            _ if self.is_damage() => {
                Some("run `rollcall rebuild`: it keeps what can be read and fetches the rest from the sources")
            }
            Self::Open { source: sled::Error::Unsupported(_), .. } => Some("use the rollcall that wrote it"),
            Self::Conflict(_) | Self::Reopened => Some("start the sync again: it plans upon what is there now"),
            Self::TooLarge(_) => Some("is the mapped email the buyer's? map the attendee's own"),
            Self::Stopped => Some("start the sync again"),
            _ => match self.io()?.kind() {
                io::ErrorKind::PermissionDenied => {
                    Some("run as the owner of the data directory, or give it to this user with chown")
                }
                io::ErrorKind::ReadOnlyFilesystem => {
                    Some("mount the file system writable, or set [store] path to one that is")
                }
                _ => None,
            },
        }
    }

    /// The same as a run's error.
    pub fn to_run_error(&self) -> RunError {
        let reason = match self {
            _ if self.is_disk_full() => ErrorReason::DiskFull,
            Self::Stopped => ErrorReason::Interrupted,
            _ => ErrorReason::Store,
        };
        let hint = self.way_out().unwrap_or("look at the disk and the server's log");
        RunError { reason, message: self.to_string(), hint: hint.to_owned() }
    }
}
