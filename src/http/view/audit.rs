//! The audit log.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::model::{Actor, AuditAction, AuditEntry, AuditId};

/// Something that was done because somebody said so. Nothing in it is personal.
#[derive(Serialize, ToSchema)]
#[schema(as = AuditEntry)]
pub struct AuditEntryView {
    /// A later entry has a higher number.
    id: u64,
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    actor: ActorView,
    action: AuditActionView,
    /// To what: an event's name, a run's number, a group's key, a user's or a token's id.
    subject: String,
    /// More of it in words.
    note: String,
}

/// Who did it.
#[derive(Serialize, ToSchema)]
#[schema(as = Actor)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum ActorView {
    /// Whoever uses the command line on the machine itself.
    CommandLine,
    /// Whoever has the token.
    Token { id: String, name: String },
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = AuditAction)]
pub enum AuditActionView {
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
    SignedOut,
    KeyRotated,
    PassRotated,
}

impl From<AuditAction> for AuditActionView {
    fn from(action: AuditAction) -> Self {
        match action {
            AuditAction::TokenMade => Self::TokenMade,
            AuditAction::TokenRevoked => Self::TokenRevoked,
            AuditAction::EventSaved => Self::EventSaved,
            AuditAction::EventRemoved => Self::EventRemoved,
            AuditAction::EventPaused => Self::EventPaused,
            AuditAction::EventResumed => Self::EventResumed,
            AuditAction::RunCancelled => Self::RunCancelled,
            AuditAction::RunApproved => Self::RunApproved,
            AuditAction::RunRejected => Self::RunRejected,
            AuditAction::RunUndone => Self::RunUndone,
            AuditAction::UserEdited => Self::UserEdited,
            AuditAction::UserProtected => Self::UserProtected,
            AuditAction::AttendanceSet => Self::AttendanceSet,
            AuditAction::GroupSaved => Self::GroupSaved,
            AuditAction::GroupRemoved => Self::GroupRemoved,
            AuditAction::MembershipSet => Self::MembershipSet,
            AuditAction::PersonErased => Self::PersonErased,
            AuditAction::TombstoneLifted => Self::TombstoneLifted,
            AuditAction::StoreCompacted => Self::StoreCompacted,
            AuditAction::InvitationsSaved => Self::InvitationsSaved,
            AuditAction::InvitationsHeld => Self::InvitationsHeld,
            AuditAction::InvitationsReleased => Self::InvitationsReleased,
            AuditAction::InvitationResent => Self::InvitationResent,
            AuditAction::InvitationBounced => Self::InvitationBounced,
            AuditAction::SignedOut => Self::SignedOut,
            AuditAction::KeyRotated => Self::KeyRotated,
            AuditAction::PassRotated => Self::PassRotated,
        }
    }
}

impl AuditEntryView {
    pub fn of(AuditId(id): AuditId, entry: &AuditEntry) -> Self {
        let actor = match &entry.actor {
            Actor::CommandLine => ActorView::CommandLine,
            Actor::Token { id, name } => ActorView::Token { id: id.to_string(), name: name.clone() },
        };
        let action = entry.action.into();
        Self { id, at: entry.at, actor, action, subject: entry.subject.clone(), note: entry.note.clone() }
    }
}
