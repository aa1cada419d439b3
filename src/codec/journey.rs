//! How far a person came, as a frozen struct behind what was decided by hand. Behind the others there is nothing.

use jiff::Timestamp;

use super::convert::{event_name, millis};
use super::seal::{CodecError, Kind};
use super::symbols::{SymbolKind, Symbols};
use super::v3;
use crate::model::{Invitation, InvitationState, Journey, Passage, Person};

/// `None` where nothing is known.
pub fn journey_to_v3<'a>(symbols: &mut Symbols, person: &'a Person) -> Option<v3::Journey<'a>> {
    let Journey { account_at, events } = &**person.journey.as_ref()?;
    let mut passage = |passage: &'a Passage| v3::Passage {
        event: symbols.intern(SymbolKind::Event, passage.event.as_str()),
        invitation: passage.invitation.as_ref().map(invitation_to_v3),
        first_access_at_ms: passage.first_access_at.map(Timestamp::as_millisecond),
    };
    Some(v3::Journey {
        account_at_ms: account_at.map(Timestamp::as_millisecond),
        events: events.iter().map(&mut passage).collect(),
    })
}

pub fn journey_from_v3(symbols: &Symbols, stored: &v3::Journey<'_>) -> Result<Journey, CodecError> {
    let mut journey = Journey { account_at: optional(stored.account_at_ms)?, events: Vec::new() };
    for v3::Passage { event, invitation, first_access_at_ms } in &stored.events {
        journey.events.push(Passage {
            event: event_name(symbols, *event)?,
            invitation: invitation.as_ref().map(invitation_from_v3).transpose()?,
            first_access_at: optional(*first_access_at_ms)?,
        });
    }
    Ok(journey)
}

fn optional(at_ms: Option<i64>) -> Result<Option<Timestamp>, CodecError> {
    at_ms.map(|at| millis(Kind::Block, at)).transpose()
}

fn invitation_to_v3(invitation: &Invitation) -> v3::Invitation<'_> {
    v3::Invitation {
        state: state_to_v3(invitation.state),
        queued_at_ms: invitation.queued_at.as_millisecond(),
        changed_at_ms: invitation.changed_at.as_millisecond(),
        attempts: invitation.attempts,
        serial: invitation.serial,
        next_try_at_ms: invitation.next_try_at.map(Timestamp::as_millisecond),
        failure: invitation.failure.as_deref(),
    }
}

fn invitation_from_v3(stored: &v3::Invitation<'_>) -> Result<Invitation, CodecError> {
    Ok(Invitation {
        state: state_from_v3(stored.state),
        queued_at: millis(Kind::Block, stored.queued_at_ms)?,
        changed_at: millis(Kind::Block, stored.changed_at_ms)?,
        attempts: stored.attempts,
        serial: stored.serial,
        next_try_at: optional(stored.next_try_at_ms)?,
        failure: stored.failure.map(Into::into),
    })
}

const fn state_to_v3(state: InvitationState) -> v3::InvitationState {
    match state {
        InvitationState::Queued => v3::InvitationState::Queued,
        InvitationState::Sending => v3::InvitationState::Sending,
        InvitationState::Sent => v3::InvitationState::Sent,
        InvitationState::Failed => v3::InvitationState::Failed,
        InvitationState::Bounced => v3::InvitationState::Bounced,
        InvitationState::Skipped => v3::InvitationState::Skipped,
    }
}

pub const fn state_from_v3(state: v3::InvitationState) -> InvitationState {
    match state {
        v3::InvitationState::Queued => InvitationState::Queued,
        v3::InvitationState::Sending => InvitationState::Sending,
        v3::InvitationState::Sent => InvitationState::Sent,
        v3::InvitationState::Failed => InvitationState::Failed,
        v3::InvitationState::Bounced => InvitationState::Bounced,
        v3::InvitationState::Skipped => InvitationState::Skipped,
    }
}
