//! What outlives the process: the engine says what is to be kept, whoever builds it where.

use futures_util::future::BoxFuture;

use crate::model::{ChildKey, ErrorReason, Keepsake};

/// A source's keepsakes.
pub trait Keep: Send + Sync {
    /// By which what is secret is sealed before it is kept; the same as long as the keepsakes are.
    fn key(&self) -> ChildKey;

    fn load(&self, what: Keepsake) -> Option<Vec<u8>>;

    /// Puts a value in the place of the former. When it ends well, the value survives a power cut.
    fn keep(&self, what: Keepsake, value: Vec<u8>) -> BoxFuture<'_, Result<(), KeepError>>;
}

/// A value could not be kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct KeepError {
    /// As runs that fail for it have it.
    pub reason: ErrorReason,
    pub problem: String,
}
