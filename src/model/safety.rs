//! What an operator says of absence and of the guard, and what a plan gave cause to doubt.

use serde::{Deserialize, Serialize};

/// What becomes of somebody whom the list no longer has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Missing {
    Keep,
    /// No longer an attendee, after some complete reads in a row.
    Remove,
}

impl Missing {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Remove => "remove",
        }
    }
}

/// What a source, or a feed for itself, says. What a feed leaves out its source says, and then the default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SafetySettings {
    pub missing: Option<Missing>,
    /// Complete reads in a row after which a missing registration is removed.
    pub missing_runs: Option<u32>,
    pub guard: GuardSettings,
}

/// The limits that hold a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GuardSettings {
    /// `false`: nothing is held.
    pub enabled: Option<bool>,
    /// Of the feed's active registrations, in percent.
    pub max_removed: Option<u32>,
    /// Permanent deletions.
    pub max_deleted: Option<u32>,
    /// Records of a whole list.
    pub min_expected: Option<u32>,
    /// Of the records read, in percent.
    pub max_rejected: Option<u32>,
    /// For how long a held run waits, in days.
    pub held_days: Option<u32>,
}

impl GuardSettings {
    /// What this says, else what `other` says.
    pub fn or(self, other: Self) -> Self {
        Self {
            enabled: self.enabled.or(other.enabled),
            max_removed: self.max_removed.or(other.max_removed),
            max_deleted: self.max_deleted.or(other.max_deleted),
            min_expected: self.min_expected.or(other.min_expected),
            max_rejected: self.max_rejected.or(other.max_rejected),
            held_days: self.held_days.or(other.held_days),
        }
    }
}

impl SafetySettings {
    /// What this says, else what `other` says.
    pub fn or(self, other: Self) -> Self {
        Self {
            missing: self.missing.or(other.missing),
            missing_runs: self.missing_runs.or(other.missing_runs),
            guard: self.guard.or(other.guard),
        }
    }
}

/// A doubt about a plan: a word for programs and a sentence with its figures. Neither holds personal data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Doubt {
    pub kind: DoubtKind,
    pub text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DoubtKind {
    /// Too many people would lose the event or a group, or be deleted.
    Removed,
    /// Too many people would be deleted permanently.
    Deleted,
    /// Nobody would attend any more.
    NobodyLeft,
    /// The list has no record.
    Empty,
    /// The list has fewer records than expected.
    BelowExpected,
    /// The list lacks much of what it had.
    Shrunk,
    /// Too many records cannot be used.
    Rejected,
    /// Many people share an email.
    SharedEmail,
    /// Too many people would be invited.
    Invites,
}

impl DoubtKind {
    pub const ALL: [Self; 9] = [
        Self::Removed,
        Self::Deleted,
        Self::NobodyLeft,
        Self::Empty,
        Self::BelowExpected,
        Self::Shrunk,
        Self::Rejected,
        Self::SharedEmail,
        Self::Invites,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Removed => "removed",
            Self::Deleted => "deleted",
            Self::NobodyLeft => "nobody_left",
            Self::Empty => "empty",
            Self::BelowExpected => "below_expected",
            Self::Shrunk => "shrunk",
            Self::Rejected => "rejected",
            Self::SharedEmail => "shared_email",
            Self::Invites => "invites",
        }
    }
}
