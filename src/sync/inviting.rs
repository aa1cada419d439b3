//! What organisers do with invitations by hand, and what follows when they are switched on.

use roaring::RoaringBitmap;

use super::by_hand::{Desk, Refusal, change};
use super::runner::Runner;
use crate::limits::{INVITED_PER_BATCH, MAX_INVITES};
use crate::model::{
    AuditAction, Event, EventName, Existing, Invitation, InvitationState, Invitations, Inviting, Person, UserId, UserNo,
};
use crate::store::{ChangeSet, EventWrite, Store, StoreError};

/// Why invitations stay as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Uninvited {
    /// They cannot be enabled without a template.
    NoTemplate,
    /// Nobody said what becomes of those who attend already.
    ExistingUnsaid,
    /// The person was never invited to the event.
    Never,
    /// It is in this state, in which that cannot be done.
    State(InvitationState),
    /// The person no longer attends.
    Gone,
}

impl Desk<'_> {
    /// Sets the invitations of an event that was made over the API. Where they are switched on, whoever attends already is
    /// invited or skipped, as they say.
    pub fn set_invitations(&self, event: &EventName, invitations: Invitations) -> Result<Event, Refusal> {
        let before = self.store.event(event).ok_or_else(|| Refusal::UnknownEvent(event.clone()))?;
        let stood = self.store.inviting(event);
        if invitations.enabled && invitations.template.is_none() {
            return Err(Uninvited::NoTemplate.into());
        }
        if invitations.enabled && !stood.enabled && invitations.existing.is_none() {
            return Err(Uninvited::ExistingUnsaid.into());
        }
        let standing = stands(&stood, &invitations);
        let after = Event { invitations, ..before };
        let note = if after.invitations.enabled { "enabled" } else { "disabled" };
        self.store.commit(ChangeSet {
            event: Some(EventWrite::Put(Box::new(after.clone()))),
            inviting: Some((event.clone(), Some(standing))),
            audit: self.audit(AuditAction::InvitationsSaved, event, note.to_owned()),
            ..ChangeSet::default()
        })?;
        meet_existing(self.store, event, self.now)?;
        Ok(after)
    }

    /// Keeps everything in the queue until it is released, or releases it.
    pub fn hold_invitations(&self, event: &EventName, held: bool) -> Result<(), Refusal> {
        let stood = self.store.inviting(event);
        if stood.held == held {
            return Ok(());
        }
        let action = if held { AuditAction::InvitationsHeld } else { AuditAction::InvitationsReleased };
        let inviting = Some((event.clone(), Some(Inviting { held, ..stood })));
        let audit = self.audit(action, event, String::new());
        self.store.commit(ChangeSet { inviting, audit, ..ChangeSet::default() })?;
        Ok(())
    }

    /// Queues an invitation again that was sent, failed, came back or was left out; one that waits to be tried again is
    /// tried as soon as its turn comes.
    pub fn resend_invitation(&self, id: UserId, event: &EventName) -> Result<Person, Refusal> {
        let done = (AuditAction::InvitationResent, format!("to event {event}"));
        self.change_invitation(id, event, done, |person, known| {
            if !person.attends(event) {
                return Err(Uninvited::Gone);
            }
            match known.state {
                InvitationState::Sending => Err(Uninvited::State(known.state)),
                InvitationState::Queued => Ok(Invitation { next_try_at: None, ..known.clone() }),
                state => {
                    // What was never sent has no message that another could be taken for.
                    let serial = known.serial + u32::from(state != InvitationState::Skipped);
                    Ok(Invitation { serial, ..Invitation::new(InvitationState::Queued, self.now) })
                }
            }
        })
    }

    /// Notes that a mail came back.
    pub fn bounce_invitation(&self, id: UserId, event: &EventName) -> Result<Person, Refusal> {
        let done = (AuditAction::InvitationBounced, format!("of event {event}"));
        self.change_invitation(id, event, done, |_, known| match known.state {
            InvitationState::Bounced => Ok(known.clone()),
            InvitationState::Sent => {
                Ok(Invitation { state: InvitationState::Bounced, changed_at: self.now, ..known.clone() })
            }
            state => Err(Uninvited::State(state)),
        })
    }

    fn change_invitation(
        &self,
        id: UserId,
        event: &EventName,
        done: (AuditAction, String),
        change_of: impl FnOnce(&Person, &Invitation) -> Result<Invitation, Uninvited>,
    ) -> Result<Person, Refusal> {
        self.change(id, done, |_, person| {
            let known = person.invitation(event).ok_or(Uninvited::Never)?;
            let invitation = change_of(person, known)?;
            let mut after = person.clone();
            after.pass(event, |passage| passage.invitation = Some(invitation));
            Ok(after)
        })
    }
}

/// How invitations stand under these settings.
fn stands(stood: &Inviting, settings: &Invitations) -> Inviting {
    let Invitations { enabled, existing, max_invites, .. } = settings;
    let pending = match (enabled, stood.enabled) {
        (true, false) => *existing,
        (true, true) => stood.pending,
        (false, _) => None,
    };
    Inviting { enabled: *enabled, max_invites: max_invites.unwrap_or(MAX_INVITES), pending, held: stood.held }
}

/// Invites or skips those who attended before invitations were enabled. Done by half, it goes on the next time.
fn meet_existing(store: &Store, event: &EventName, now: jiff::Timestamp) -> Result<(), StoreError> {
    let standing = store.inviting(event);
    let Some(choice) = standing.pending else { return Ok(()) };
    let state = match choice {
        Existing::Invite => InvitationState::Queued,
        Existing::Skip => InvitationState::Skipped,
    };
    let users: Vec<u32> = never_invited(store, event).iter().collect();
    for batch in users.chunks(INVITED_PER_BATCH) {
        let mut set = ChangeSet::default();
        for user in batch.iter().copied().map(UserNo) {
            let Some(person) = store.person_in_passing(user)? else { continue };
            let mut after = person.clone();
            after.pass(event, |passage| passage.invitation = Some(Invitation::new(state, now)));
            set.people.push(change(user, person, after));
        }
        store.commit(set)?;
    }
    let inviting = Some((event.clone(), Some(Inviting { pending: None, ..standing })));
    store.commit(ChangeSet { inviting, ..ChangeSet::default() })?;
    Ok(())
}

/// Who attends and was never invited.
fn never_invited(store: &Store, event: &EventName) -> RoaringBitmap {
    let view = store.view();
    let (places, symbols) = (view.index().places(), view.symbols());
    let mut users = places.attendees(symbols, event, true).cloned().unwrap_or_default();
    for invited in InvitationState::ALL.into_iter().filter_map(|state| places.invited(symbols, event, state)) {
        users -= invited;
    }
    users
}

impl Runner {
    /// Makes invitations stand as the configuration and the events of the API say, and goes on with what was left half
    /// done. Whoever calls has the turn. Blocks.
    pub(super) fn settle_invitations(&self) -> Result<(), StoreError> {
        let store = &self.inner.store;
        let events = self.events();
        for event in &events {
            let stood = store.inviting(&event.name);
            let standing = stands(&stood, &event.invitations);
            let never = !event.invitations.enabled && stood == Inviting::default();
            if standing != stood && !never {
                let inviting = Some((event.name.clone(), Some(standing)));
                store.commit(ChangeSet { inviting, ..ChangeSet::default() })?;
            }
            meet_existing(store, &event.name, self.inner.now())?;
        }
        // Of an event that the file no longer declares.
        for (event, stood) in store.all_inviting() {
            if stood.enabled && !events.iter().any(|known| known.name == event) {
                let inviting = Some((event, Some(Inviting { enabled: false, pending: None, ..stood })));
                store.commit(ChangeSet { inviting, ..ChangeSet::default() })?;
            }
        }
        Ok(())
    }
}
