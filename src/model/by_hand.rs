//! What an organiser decided about a person by hand. Syncs leave it as it is, until it is lifted.

use compact_str::CompactString;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{EventName, Field, GroupKey};

/// Everything of one person that was decided by hand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ByHand {
    /// Ascending by event, each once.
    pub attendances: Vec<AttendanceByHand>,
    /// Ascending by group, each once.
    pub memberships: Vec<MembershipByHand>,
    pub protected: Protected,
}

/// Added or excluded, whatever the sources say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Override {
    Added,
    Excluded,
}

/// Whose decision it is, and when it was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// The name of the API token, or the machine's own command line.
    pub by: CompactString,
    pub at: Timestamp,
}

/// A person's place in one event, decided by hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttendanceByHand {
    pub event: EventName,
    pub set: Override,
    pub decision: Decision,
}

/// A person's membership in one group, decided by hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MembershipByHand {
    pub group: GroupKey,
    pub set: Override,
    /// The event that it is for, where one was said.
    pub event: Option<EventName>,
    pub decision: Decision,
}

/// The profile fields that no source writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Protected {
    /// Ascending, each once.
    Fields(Vec<Field>),
    All,
}

impl Default for Protected {
    fn default() -> Self {
        Self::Fields(Vec::new())
    }
}

impl Protected {
    pub fn holds(&self, field: &Field) -> bool {
        match self {
            Self::Fields(fields) => fields.contains(field),
            Self::All => true,
        }
    }
}

impl ByHand {
    pub fn is_empty(&self) -> bool {
        self.attendances.is_empty() && self.memberships.is_empty() && self.protected == Protected::default()
    }
}
