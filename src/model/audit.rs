//! Who did what by hand. Kept apart from the journals, and longer; nothing in it is personal.

use std::fmt;

use jiff::Timestamp;

use super::ids::{RunId, TokenId};

/// Something that was done because somebody said so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    pub at: Timestamp,
    pub actor: Actor,
    pub action: AuditAction,
    /// To what: an event's name, a run's number, a group's key, a user's or a token's id.
    pub subject: String,
    /// More of it in words: names of fields and settings, never a person's values.
    pub note: String,
}

/// Where an entry stands in the log. A later one has a higher number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct AuditId(pub u64);

/// Who did it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// Whoever uses the command line on the machine itself.
    CommandLine,
    /// Whoever has the token.
    Token { id: TokenId, name: String },
}

impl Actor {
    /// The name that people know it by.
    pub fn name(&self) -> &str {
        match self {
            Self::CommandLine => "command line",
            Self::Token { name, .. } => name,
        }
    }
}

impl fmt::Display for Actor {
    /// As it stands in a sentence.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CommandLine => write!(f, "the command line"),
            Self::Token { name, .. } => write!(f, "the token {name:?}"),
        }
    }
}

impl AuditEntry {
    /// Something that was done to a run.
    pub fn of_run(at: Timestamp, actor: Actor, action: AuditAction, run: RunId) -> Self {
        Self { at, actor, action, subject: run.to_string(), note: String::new() }
    }
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AuditAction {
    TokenMade,
    TokenRevoked,
    EventSaved,
    EventRemoved,
    EventPaused,
    EventResumed,
    RunCancelled,
    RunApproved,
    RunRejected,
    RunUndone,
    UserEdited,
    UserProtected,
    AttendanceSet,
    GroupSaved,
    GroupRemoved,
    MembershipSet,
    PersonErased,
    TombstoneLifted,
    StoreCompacted,
    InvitationsSaved,
    InvitationsHeld,
    InvitationsReleased,
    InvitationResent,
    InvitationBounced,
    /// Of a source.
    SignedOut,
    /// The vault's.
    KeyRotated,
    /// An attendee's.
    PassRotated,
}

impl AuditAction {
    pub const ALL: [Self; 27] = [
        Self::TokenMade,
        Self::TokenRevoked,
        Self::EventSaved,
        Self::EventRemoved,
        Self::EventPaused,
        Self::EventResumed,
        Self::RunCancelled,
        Self::RunApproved,
        Self::RunRejected,
        Self::RunUndone,
        Self::UserEdited,
        Self::UserProtected,
        Self::AttendanceSet,
        Self::GroupSaved,
        Self::GroupRemoved,
        Self::MembershipSet,
        Self::PersonErased,
        Self::TombstoneLifted,
        Self::StoreCompacted,
        Self::InvitationsSaved,
        Self::InvitationsHeld,
        Self::InvitationsReleased,
        Self::InvitationResent,
        Self::InvitationBounced,
        Self::SignedOut,
        Self::KeyRotated,
        Self::PassRotated,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TokenMade => "token_made",
            Self::TokenRevoked => "token_revoked",
            Self::EventSaved => "event_saved",
            Self::EventRemoved => "event_removed",
            Self::EventPaused => "event_paused",
            Self::EventResumed => "event_resumed",
            Self::RunCancelled => "run_cancelled",
            Self::RunApproved => "run_approved",
            Self::RunRejected => "run_rejected",
            Self::RunUndone => "run_undone",
            Self::UserEdited => "user_edited",
            Self::UserProtected => "user_protected",
            Self::AttendanceSet => "attendance_set",
            Self::GroupSaved => "group_saved",
            Self::GroupRemoved => "group_removed",
            Self::MembershipSet => "membership_set",
            Self::PersonErased => "person_erased",
            Self::TombstoneLifted => "tombstone_lifted",
            Self::StoreCompacted => "store_compacted",
            Self::InvitationsSaved => "invitations_saved",
            Self::InvitationsHeld => "invitations_held",
            Self::InvitationsReleased => "invitations_released",
            Self::InvitationResent => "invitation_resent",
            Self::InvitationBounced => "invitation_bounced",
            Self::SignedOut => "signed_out",
            Self::KeyRotated => "key_rotated",
            Self::PassRotated => "pass_rotated",
        }
    }
}
