//! How far a person came: the account, the invitations, the first access. No source says any of it, and no sync takes it
//! back; it goes with the person.

use compact_str::CompactString;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{EventName, Person};

/// What happened to a person on the way to the app and into events.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Journey {
    /// When the app first said that the person has an account.
    pub account_at: Option<Timestamp>,
    /// Ascending by event, each once; none is empty.
    pub events: Vec<Passage>,
}

/// The part of it that is of one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passage {
    pub event: EventName,
    /// `None`: never invited. It survives that the person leaves the event and comes back.
    pub invitation: Option<Invitation>,
    /// When the app first said that the person opened the event.
    pub first_access_at: Option<Timestamp>,
}

/// The one invitation of a person to an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    pub state: InvitationState,
    /// When it was last put into the queue, or left out of it.
    pub queued_at: Timestamp,
    /// When it last came into its state.
    pub changed_at: Timestamp,
    /// How often it was given to the mail server since it was last queued.
    pub attempts: u32,
    /// How often it was queued again by hand; a part of the message's id.
    pub serial: u32,
    /// When it is tried again; `None`: as soon as its turn comes, or never again.
    pub next_try_at: Option<Timestamp>,
    /// Why the last attempt failed: words of ours, in which no address is.
    pub failure: Option<CompactString>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InvitationState {
    /// Waits for its turn.
    Queued,
    /// Is being given to the mail server; after a crash, perhaps it was.
    Sending,
    /// The mail server took it.
    Sent,
    /// The mail server refused it for good.
    Failed,
    /// It was taken and came back, as somebody told us.
    Bounced,
    /// Was not to be sent: the person was here before invitations were.
    Skipped,
}

impl InvitationState {
    pub const ALL: [Self; 6] = [Self::Queued, Self::Sending, Self::Sent, Self::Failed, Self::Bounced, Self::Skipped];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Sending => "sending",
            Self::Sent => "sent",
            Self::Failed => "failed",
            Self::Bounced => "bounced",
            Self::Skipped => "skipped",
        }
    }

    /// Is it still to be sent?
    pub const fn is_waiting(self) -> bool {
        matches!(self, Self::Queued | Self::Sending)
    }
}

impl Invitation {
    pub const fn new(state: InvitationState, now: Timestamp) -> Self {
        Self { state, queued_at: now, changed_at: now, attempts: 0, serial: 0, next_try_at: None, failure: None }
    }
}

impl Passage {
    const fn is_empty(&self) -> bool {
        self.invitation.is_none() && self.first_access_at.is_none()
    }
}

impl Journey {
    pub const fn is_empty(&self) -> bool {
        self.account_at.is_none() && self.events.is_empty()
    }

    pub fn passage(&self, event: &EventName) -> Option<&Passage> {
        self.events.iter().find(|passage| passage.event == *event)
    }

    pub fn invitation(&self, event: &EventName) -> Option<&Invitation> {
        self.passage(event)?.invitation.as_ref()
    }

    /// Changes what is known of the way into one event; what is left empty is gone.
    pub fn pass(&mut self, event: &EventName, change: impl FnOnce(&mut Passage)) {
        let place = self.events.binary_search_by(|passage| passage.event.cmp(event));
        let at = place.unwrap_or_else(|at| {
            self.events.insert(at, Passage { event: event.clone(), invitation: None, first_access_at: None });
            at
        });
        change(&mut self.events[at]);
        if self.events[at].is_empty() {
            self.events.remove(at);
        }
    }
}

impl Person {
    pub fn passage(&self, event: &EventName) -> Option<&Passage> {
        self.journey.as_ref()?.passage(event)
    }

    pub fn invitation(&self, event: &EventName) -> Option<&Invitation> {
        self.journey.as_ref()?.invitation(event)
    }

    /// Changes what is known of the way here; what is left empty is gone.
    pub fn travel(&mut self, change: impl FnOnce(&mut Journey)) {
        let mut journey = self.journey.take().unwrap_or_default();
        change(&mut journey);
        self.journey = (!journey.is_empty()).then_some(journey);
    }

    /// Changes what is known of the way into one event.
    pub fn pass(&mut self, event: &EventName, change: impl FnOnce(&mut Passage)) {
        self.travel(|journey| journey.pass(event, change));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Email, UserId};

    #[test]
    fn what_is_left_empty_is_gone() {
        let at = Timestamp::UNIX_EPOCH;
        let mut ada = Person {
            id: UserId::from_u128(1),
            email: Email::parse("ada@x.org").unwrap(),
            email_owner: None,
            profile: Vec::new(),
            registrations: Vec::new(),
            attendances: Vec::new(),
            created_at: at,
            by_hand: None,
            journey: None,
        };
        let [e, f] = ["e", "f"].map(|name| EventName::parse(name).unwrap());
        ada.pass(&f, |passage| passage.first_access_at = Some(at));
        ada.pass(&e, |passage| passage.invitation = Some(Invitation::new(InvitationState::Queued, at)));
        let events =
            |ada: &Person| ada.journey.as_ref().unwrap().events.iter().map(|p| p.event.clone()).collect::<Vec<_>>();
        assert_eq!(events(&ada), [e.clone(), f.clone()]);
        assert!(ada.invitation(&e).is_some() && ada.invitation(&f).is_none());
        ada.pass(&f, |passage| passage.first_access_at = None);
        assert_eq!(events(&ada), std::slice::from_ref(&e));
        ada.pass(&e, |passage| passage.invitation = None);
        assert_eq!(ada.journey, None);
        ada.travel(|journey| journey.account_at = Some(at));
        assert_eq!(ada.journey.as_ref().unwrap().account_at, Some(at));
    }
}
