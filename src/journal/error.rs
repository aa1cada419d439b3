//! What can go wrong with a run's files.

use std::path::{Path, PathBuf};

use crate::codec::CodecError;
use crate::model::{ErrorReason, RunError};

#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    #[error("cannot {operation} {path}: {source}")]
    Io { operation: &'static str, path: PathBuf, source: std::io::Error },
    #[error("{path}, frame {frame}: {source}")]
    Codec { path: PathBuf, frame: u64, source: CodecError },
    #[error("{path} cannot be used: {what}")]
    Broken { path: PathBuf, what: &'static str },
}

impl JournalError {
    pub(super) fn io(operation: &'static str, path: &Path) -> impl Fn(std::io::Error) -> Self {
        move |source| Self::Io { operation, path: path.to_owned(), source }
    }

    /// Is there no such file: never planned, or its days are over?
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound)
    }

    /// The same as a run's error.
    pub fn to_run_error(&self) -> RunError {
        let full = matches!(self, Self::Io { source, .. } if source.kind() == std::io::ErrorKind::StorageFull);
        let (reason, hint) = if full {
            (ErrorReason::DiskFull, "free some space; the next sync starts again")
        } else {
            (ErrorReason::Store, "look at the disk and the server's log; the next sync starts again")
        };
        RunError { reason, message: self.to_string(), hint: hint.to_owned() }
    }
}
