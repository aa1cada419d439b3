//! Groups: named sets of users of the community.

use std::fmt;
use std::sync::Arc;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use super::email::fold;

/// The identity of a group: its name trimmed, NFC, lower case. Never empty.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct GroupKey(Arc<str>);

impl GroupKey {
    /// `None` when nothing is left after trimming.
    pub fn of(name: &str) -> Option<Self> {
        let key = fold(name);
        (!key.is_empty()).then(|| Self(key.as_str().into()))
    }

    /// A key that was accepted before, as stored.
    pub fn from_stored(key: Arc<str>) -> Self {
        Self(key)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for GroupKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A group as a record names it: its key and the spelling used.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct GroupName {
    pub key: GroupKey,
    pub name: CompactString,
}

impl GroupName {
    /// `None` when nothing is left after trimming.
    pub fn new(name: &str) -> Option<Self> {
        let key = GroupKey::of(name)?;
        Some(Self { key, name: name.trim().into() })
    }
}

/// A group of the community.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    pub key: GroupKey,
    /// The spelling it was first seen with.
    pub name: CompactString,
}
