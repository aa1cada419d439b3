//! Where a list goes on after a page, so that an interrupted read need not start again.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::paginate::Place;
use super::request::Ask;
use super::watermark::Mark;
use crate::model::Digest;

/// A place in one list of a source. It may hold a token that the source gave, so that it is kept as people are.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bookmark {
    /// Of the partition; see [`Digest`].
    pub(super) partition: u128,
    /// `None`: the list was read to its end.
    pub(super) next: Option<Ask>,
    pub(super) place: Place,
    /// From when on changes were asked for.
    pub(super) since: Option<Timestamp>,
    pub(super) mark: Mark,
}

impl Bookmark {
    /// The list it lies in: of several bookmarks of one list the last counts.
    pub const fn partition(&self) -> Digest {
        Digest(self.partition)
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        // It holds texts and numbers only, under keys that are texts.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// `None` of what was not written by this build.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }
}

impl std::fmt::Debug for Bookmark {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bookmark").field("is_end", &self.next.is_none()).finish_non_exhaustive()
    }
}
