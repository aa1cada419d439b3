//! Invitations of an event: its settings, and how they stand.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// What an organiser sets.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Invitations {
    /// Is whoever becomes an attendee invited? Needs a template.
    pub enabled: bool,
    /// What becomes of those who attended before it was enabled.
    pub existing: Option<Existing>,
    /// A run that would invite more is held.
    pub max_invites: Option<u32>,
    pub template: Option<Arc<InvitationTemplate>>,
}

/// Texts of minijinja; see `docs/invitations.md` for what they may name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvitationTemplate {
    /// One line.
    pub subject: String,
    pub text: String,
    /// Values are escaped in it.
    pub html: Option<String>,
}

/// Those who attended before invitations were enabled: are they invited?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Existing {
    Invite,
    Skip,
}

/// How an event's invitations stand: what plans go by. Stored for every event that ever had any, as the JSON that serde
/// makes of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Inviting {
    pub enabled: bool,
    pub max_invites: u32,
    /// What is still to be done to those who attended before; some of it may be done.
    pub pending: Option<Existing>,
    /// Nothing is sent until it is released.
    pub held: bool,
}
