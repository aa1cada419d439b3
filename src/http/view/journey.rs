//! How far a person came: the account, invitations, the first access.

use compact_str::CompactString;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::model::{EventName, Invitation, InvitationState, Passage, Person};

/// How far a person came on the way to the app and into events.
#[derive(Default, Serialize, ToSchema)]
#[schema(as = Journey)]
pub struct JourneyView {
    /// When the app first said that the person has an account.
    #[schema(value_type = Option<String>, format = DateTime)]
    account_at: Option<Timestamp>,
    /// Events to which the person was invited or came.
    events: Vec<PassageView>,
}

/// The part of it that is of one event.
#[derive(Serialize, ToSchema)]
#[schema(as = Passage)]
pub struct PassageView {
    #[schema(value_type = String)]
    event: EventName,
    invitation: Option<InvitationView>,
    /// When the app first said that the person opened the event.
    #[schema(value_type = Option<String>, format = DateTime)]
    first_access_at: Option<Timestamp>,
}

/// The one invitation of a person to an event.
#[derive(Serialize, ToSchema)]
#[schema(as = Invitation)]
pub struct InvitationView {
    /// `queued`, `sending`, `sent`, `failed`, `bounced` or `skipped`.
    #[schema(value_type = String)]
    state: InvitationState,
    /// When it was last put into the queue, or left out of it.
    #[schema(value_type = String, format = DateTime)]
    queued_at: Timestamp,
    /// When it last came into its state.
    #[schema(value_type = String, format = DateTime)]
    changed_at: Timestamp,
    /// How often it was given to the mail server since it was last queued.
    attempts: u32,
    /// How often it was queued again by hand.
    serial: u32,
    /// When it is tried again, where the last attempt failed for now.
    #[schema(value_type = Option<String>, format = DateTime)]
    next_try_at: Option<Timestamp>,
    /// Why the last attempt failed.
    #[schema(value_type = Option<String>)]
    failure: Option<CompactString>,
}

impl JourneyView {
    pub fn of(person: &Person) -> Self {
        let Some(journey) = person.journey.as_deref() else { return Self::default() };
        Self { account_at: journey.account_at, events: journey.events.iter().map(PassageView::of).collect() }
    }
}

impl PassageView {
    fn of(Passage { event, invitation, first_access_at }: &Passage) -> Self {
        let invitation = invitation.as_ref().map(InvitationView::of);
        Self { event: event.clone(), invitation, first_access_at: *first_access_at }
    }
}

impl InvitationView {
    pub fn of(invitation: &Invitation) -> Self {
        let Invitation { state, queued_at, changed_at, attempts, serial, next_try_at, failure } = invitation.clone();
        Self { state, queued_at, changed_at, attempts, serial, next_try_at, failure }
    }
}
