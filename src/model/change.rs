//! What a run would do. A plan is a sequence of entries; the journal is that sequence as a file.

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use super::{ExternalId, GroupName, Person, Position, RejectReason, SkipReason, UserId, UserNo};

/// One entry of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    Person(Box<PersonChange>),
    Record(RecordNote),
    /// A group that the community does not have yet.
    Group(GroupName),
    /// A group that the community has no longer, for an undone run had made it and nobody is in it.
    GroupGone(GroupName),
    /// Somebody whom an undo leaves as they are.
    NotUndone(NotUndone),
}

/// What happens to one person, at most one per plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonChange {
    pub action: Action,
    /// `None`: a new user, numbered when committed.
    pub user: Option<UserNo>,
    pub id: UserId,
    /// The person as planned upon. `None` for a new user and, so that no journal keeps what was erased, for
    /// a permanent deletion; whom an undo takes away because the run had made them, stays here.
    pub before: Option<Person>,
    /// `None` where nobody is left: after a permanent deletion, or the undo of a creation.
    pub after: Option<Person>,
}

/// What a change means to an organiser.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// New to the community or newly an attendee of the event.
    Create,
    /// Something visible changed.
    Update,
    /// No longer an attendee of the event.
    Remove,
    /// Deleted permanently.
    Delete,
    /// Only bookkeeping (digests, absence); nothing an organiser would see. Counted as unchanged.
    Touch,
}

impl Action {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Remove => "remove",
            Self::Delete => "delete",
            Self::Touch => "touch",
        }
    }
}

/// A record that changes nobody, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordNote {
    pub position: Position,
    pub external_id: Option<ExternalId>,
    pub verdict: Verdict,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Skip(SkipReason),
    Reject { reason: RejectReason, field: CompactString },
}

/// A person whom an undo leaves as they are, for they are no longer as the run left them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotUndone {
    pub id: UserId,
    /// What of them is another by now, in words that hold no value.
    pub parts: Vec<CompactString>,
}
