//! Invitations of an event, and the outbox.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::journey::InvitationView;
use crate::letter::Letter;
use crate::model::{EventName, Existing, Invitation, InvitationTemplate, Invitations, Inviting, UserId};

/// The texts of a mail, in the syntax of minijinja (Jinja2). `docs/invitations.md` lists what they may name.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[schema(as = InvitationTemplate)]
#[serde(deny_unknown_fields)]
pub struct TemplateView {
    /// One line, at most 1 KiB.
    #[schema(example = "{{ event.title }}: your invitation")]
    subject: String,
    /// At most 64 KiB.
    text: String,
    /// At most 256 KiB; values are escaped in it. Without it, the mail is plain text.
    #[serde(default)]
    html: Option<String>,
}

/// What becomes of those who attend already when invitations are switched on.
#[derive(Clone, Copy, Serialize, Deserialize, ToSchema)]
#[schema(as = Existing)]
#[serde(rename_all = "snake_case")]
pub enum ExistingView {
    Invite,
    Skip,
}

/// How many people's invitations to the event are in each state. Of those that are to be sent, only those of people who
/// attend.
#[derive(Serialize, ToSchema)]
#[schema(as = InvitationCounts)]
pub struct InvitationCounts {
    pub waiting: u64,
    pub sent: u64,
    pub failed: u64,
    pub bounced: u64,
    pub skipped: u64,
}

/// An event's invitations.
#[derive(Serialize, ToSchema)]
#[schema(as = EventInvitation)]
pub struct EventInvitationView {
    #[schema(value_type = String)]
    event: EventName,
    /// Whoever becomes an attendee is invited, once for ever.
    enabled: bool,
    /// A run that would invite more is held.
    max_invites: u32,
    template: Option<TemplateView>,
    /// Declared in the configuration file, hence read-only here.
    provisioned: bool,
    /// Nothing is sent until it is released.
    held: bool,
    /// There is a mail server in the configuration.
    can_send: bool,
    counts: InvitationCounts,
}

/// A mail as it would be.
#[derive(Serialize, ToSchema)]
#[schema(as = Letter)]
pub struct LetterView {
    subject: String,
    text: String,
    html: Option<String>,
}

/// An invitation that is not sent, or came back.
#[derive(Serialize, ToSchema)]
#[schema(as = OutboxItem)]
pub struct OutboxItemView {
    /// What it is sent again by.
    id: String,
    #[schema(value_type = String)]
    event: EventName,
    #[schema(value_type = String)]
    user: UserId,
    #[serde(flatten)]
    invitation: InvitationView,
    /// One who no longer attends is not invited.
    attends: bool,
    #[schema(value_type = String, format = DateTime)]
    waiting_since: Timestamp,
}

impl From<ExistingView> for Existing {
    fn from(view: ExistingView) -> Self {
        match view {
            ExistingView::Invite => Self::Invite,
            ExistingView::Skip => Self::Skip,
        }
    }
}

impl From<TemplateView> for InvitationTemplate {
    fn from(TemplateView { subject, text, html }: TemplateView) -> Self {
        Self { subject, text, html }
    }
}

impl From<&InvitationTemplate> for TemplateView {
    fn from(template: &InvitationTemplate) -> Self {
        let InvitationTemplate { subject, text, html } = template.clone();
        Self { subject, text, html }
    }
}

impl EventInvitationView {
    pub fn of(
        event: EventName,
        settings: &Invitations,
        standing: Inviting,
        provisioned: bool,
        can_send: bool,
        counts: InvitationCounts,
    ) -> Self {
        Self {
            event,
            enabled: settings.enabled,
            max_invites: settings.max_invites.unwrap_or(crate::limits::MAX_INVITES),
            template: settings.template.as_deref().map(TemplateView::from),
            provisioned,
            held: standing.held,
            can_send,
            counts,
        }
    }
}

impl From<Letter> for LetterView {
    fn from(Letter { subject, text, html }: Letter) -> Self {
        Self { subject, text, html }
    }
}

impl OutboxItemView {
    pub fn of(event: EventName, user: UserId, invitation: &Invitation, attends: bool) -> Self {
        let (id, waiting_since) = (format!("{event}:{user}"), invitation.queued_at);
        Self { id, event, user, invitation: InvitationView::of(invitation), attends, waiting_since }
    }
}

/// As settings hold it.
pub fn template_of(view: TemplateView) -> Arc<InvitationTemplate> {
    Arc::new(view.into())
}
