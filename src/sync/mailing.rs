//! Sends what waits. One mail at a time: a mail's outcome is in the store before the next is begun, in the same batch that
//! says that one is begun. So a crash leaves at most one mail of which nobody knows whether it was sent; it is sent again,
//! under the same id.
//!
//! It takes its turn like an organiser at work: no plan rests on people whose invitations change under it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use roaring::RoaringBitmap;
use tokio::time::{Instant, sleep, sleep_until};

use super::by_hand::{Desk, Refusal, change};
use super::runner::Runner;
use super::stopping::Stopping;
use crate::config::MailSpec;
use crate::invite::{Delivery, Mail, MessageKey, Outbox, Smtp, SmtpError, Waiting, backoff};
use crate::letter::{Letter, render};
use crate::limits::MAIL_LOOK_EVERY;
use crate::model::{Actor, Event, EventName, Invitation, InvitationState, Person, UserId, UserNo};
use crate::observe::MailOutcome;
use crate::store::{ChangeSet, StoreError};

/// The one who sends.
pub struct Mailing {
    runner: Runner,
    spec: Arc<MailSpec>,
    smtp: Smtp,
    key: MessageKey,
    outbox: Outbox,
    /// The mail that was given to the server last, until its outcome is stored.
    done: Option<Done>,
    /// Whose mail that is.
    begun: Option<(EventName, UserNo)>,
    /// No mail goes before, for the rate's sake.
    next_at: Instant,
}

/// What became of a mail.
#[derive(Debug, Clone)]
struct Done {
    user: UserId,
    event: EventName,
    serial: u32,
    delivery: Delivery,
}

/// A mail about to be sent.
struct Parcel {
    person: Person,
    event: Arc<Event>,
    serial: u32,
}

/// A desk's visit: what was stored, and what is to be sent.
struct Visit {
    parcel: Option<Parcel>,
    /// Who waits on after an attempt.
    deferred: Option<(UserNo, Waiting)>,
}

impl Mailing {
    /// # Errors
    /// Where there is nothing to verify the server with.
    pub fn new(runner: Runner, spec: Arc<MailSpec>) -> Result<Self, SmtpError> {
        let smtp = Smtp::new(Arc::clone(&spec))?;
        let key = MessageKey::new(runner.inner.store.community_key().child("rollcall message ids"));
        let (outbox, next_at) = (Outbox::default(), Instant::now());
        Ok(Self { runner, spec, smtp, key, outbox, done: None, begun: None, next_at })
    }

    /// Sends until the process is to end; the mail under way is finished first.
    pub async fn run(mut self, stopping: Stopping) {
        while !stopping.is_said() {
            self.send_due(&stopping).await;
            self.smtp.close().await;
            tokio::select! {
                () = sleep(MAIL_LOOK_EVERY) => {}
                () = stopping.heard() => {}
            }
        }
    }

    /// Sends everything that is due; returns how many the server took. What fails because of the store, or because a sync
    /// takes long, is left for the next time.
    pub async fn send_due(&mut self, stopping: &Stopping) -> u64 {
        let mut sent = 0;
        loop {
            if let Err(error) = self.look() {
                self.runner.inner.observer.store_failed("read who waits for a mail", &error.to_string());
                return sent;
            }
            let next = if stopping.is_said() { None } else { self.outbox.next(self.runner.inner.now()) };
            if next.is_none() && self.done.is_none() {
                return sent;
            }
            // The pace is kept before a mail is begun, so that one that is begun is sent at once.
            if next.is_some() {
                tokio::select! {
                    () = sleep_until(self.next_at) => {}
                    // Nothing more is begun; what became of the last one is stored.
                    () = stopping.heard() => continue,
                }
            }
            match self.visit(next.clone()).await {
                Ok(Some(parcel)) => sent += u64::from(self.send(parcel).await),
                Ok(None) => {
                    // Not to be sent after all. Looked at again the next time, so that nothing goes round in circles.
                    if let Some((event, user)) = next {
                        self.outbox.drop(&event, user);
                        return sent;
                    }
                }
                Err(Refusal::Store(error)) => {
                    self.runner.inner.observer.store_failed("write what became of a mail", &error.to_string());
                    return sent;
                }
                Err(_) => return sent,
            }
        }
    }

    /// Finds who waits in events that are not held.
    fn look(&mut self) -> Result<(), StoreError> {
        let store = &self.runner.inner.store;
        let mut open = BTreeSet::new();
        for (event, standing) in store.all_inviting() {
            if !standing.enabled || standing.held {
                continue;
            }
            let waiting = self.runner.waiting(&event);
            for user in self.outbox.meet(&event, &waiting) {
                let Some(person) = store.person_in_passing(user)? else { continue };
                if let Some(known) = person.invitation(&event) {
                    let Invitation { queued_at, next_try_at, .. } = *known;
                    self.outbox.put(&event, user, Waiting { queued_at, next_try_at });
                }
            }
            open.insert(event);
        }
        self.outbox.keep(&open);
        if let Some((event, user)) = &self.begun {
            // It is marked as being sent until its outcome is stored.
            self.outbox.drop(event, *user);
        }
        self.runner.inner.observer.outbox(self.outbox.len(), self.outbox.oldest());
        Ok(())
    }

    /// Stores what became of the last mail, and that the next one is begun, in one batch.
    async fn visit(&mut self, next: Option<(EventName, UserNo)>) -> Result<Option<Parcel>, Refusal> {
        let done = self.done.clone();
        let event = done.as_ref().map(|done| done.event.clone());
        let begins = next.clone();
        let work = move |desk: &Desk<'_>| visit(desk, done.as_ref(), next);
        let visited = self.runner.by_hand(Actor::CommandLine, work).await?;
        self.done = None;
        self.begun = begins.filter(|_| visited.parcel.is_some());
        if let (Some(event), Some((user, waiting))) = (event, visited.deferred) {
            self.outbox.put(&event, user, waiting);
        }
        Ok(visited.parcel)
    }

    /// Gives a mail to the server; true where it took it.
    async fn send(&mut self, Parcel { person, event, serial }: Parcel) -> bool {
        let delivery = match letter(&person, &event) {
            Ok(letter) => {
                let domain = self.spec.from.domain();
                let message_id = self.key.id(person.id, &event.name, serial, domain);
                let at = self.runner.inner.now();
                let mail =
                    Mail { to: person.email, user: person.id, event: event.name.clone(), message_id, letter, at };
                self.next_at = Instant::now() + Duration::from_secs(60) / self.spec.rate.max(1);
                self.smtp.send(&mail).await
            }
            Err(why) => Delivery::Refused(why),
        };
        let (outcome, why) = match &delivery {
            Delivery::Sent => (MailOutcome::Sent, ""),
            Delivery::Deferred(why) | Delivery::Unreachable(why) => (MailOutcome::Deferred, why.as_str()),
            Delivery::Refused(why) => (MailOutcome::Failed, why.as_str()),
        };
        self.runner.inner.observer.mailed(&event.name, outcome, why);
        match delivery {
            Delivery::Unreachable(_) => self.outbox.pause(self.runner.inner.now()),
            _ => self.outbox.resume(),
        }
        let sent = delivery == Delivery::Sent;
        self.done = Some(Done { user: person.id, event: event.name.clone(), serial, delivery });
        sent
    }
}

fn letter(person: &Person, event: &Event) -> Result<Letter, String> {
    let template = event.invitations.template.as_ref().ok_or("the event has no template any more")?;
    render(template, person, event).map_err(|fault| format!("the template's {}: {}", fault.part, fault.problem))
}

fn visit(desk: &Desk<'_>, done: Option<&Done>, next: Option<(EventName, UserNo)>) -> Result<Visit, Refusal> {
    let mut set = ChangeSet::default();
    let mut visit = Visit { parcel: None, deferred: None };
    if let Some(done) = done {
        visit.deferred = record(desk, done, &mut set)?;
    }
    if let Some((event, user)) = next {
        // Two steps of one person do not fit into one batch.
        if set.people.iter().any(|change| change.user == Some(user)) {
            desk.store.commit(std::mem::take(&mut set))?;
        }
        visit.parcel = begin(desk, &event, user, &mut set)?;
    }
    if !set.people.is_empty() {
        desk.store.commit(set)?;
    }
    Ok(visit)
}

/// Writes down what became of a mail, unless the invitation is another by now, or gone with its person.
fn record(desk: &Desk<'_>, done: &Done, set: &mut ChangeSet) -> Result<Option<(UserNo, Waiting)>, StoreError> {
    let Some(user) = desk.store.user_by_id(done.user) else { return Ok(None) };
    let Some(person) = desk.store.person(user)? else { return Ok(None) };
    let is_its = |known: &&Invitation| known.state == InvitationState::Sending && known.serial == done.serial;
    let Some(known) = person.invitation(&done.event).filter(is_its).cloned() else { return Ok(None) };
    let in_state = |state, failure: Option<&String>| Invitation {
        state,
        changed_at: desk.now,
        next_try_at: None,
        failure: failure.map(|why| why.as_str().into()),
        ..known.clone()
    };
    let invitation = match &done.delivery {
        Delivery::Sent => in_state(InvitationState::Sent, None),
        Delivery::Refused(why) => in_state(InvitationState::Failed, Some(why)),
        Delivery::Deferred(why) | Delivery::Unreachable(why) => {
            let pause = SignedDuration::try_from(backoff(known.attempts)).unwrap_or(SignedDuration::from_mins(1));
            let next_try_at: Option<Timestamp> = desk.now.checked_add(pause).ok();
            Invitation { next_try_at, ..in_state(InvitationState::Queued, Some(why)) }
        }
    };
    let Invitation { queued_at, next_try_at, state, .. } = invitation;
    let mut after = person.clone();
    after.pass(&done.event, |passage| passage.invitation = Some(invitation));
    set.people.push(change(user, person, after));
    Ok(state.is_waiting().then_some((user, Waiting { queued_at, next_try_at })))
}

/// Marks an invitation as being sent, unless it is not to be sent any more.
fn begin(desk: &Desk<'_>, event: &EventName, user: UserNo, set: &mut ChangeSet) -> Result<Option<Parcel>, StoreError> {
    let standing = desk.store.inviting(event);
    let Some(settings) = desk.runner.event(event).filter(|_| standing.enabled && !standing.held) else {
        return Ok(None);
    };
    let Some(person) = desk.store.person(user)?.filter(|person| person.attends(event)) else { return Ok(None) };
    let is_due = |known: &&Invitation| {
        known.state.is_waiting() && known.next_try_at.is_none_or(|next_try_at| next_try_at <= desk.now)
    };
    let Some(known) = person.invitation(event).filter(is_due) else { return Ok(None) };
    let (serial, attempts) = (known.serial, known.attempts.saturating_add(1));
    let invitation = Invitation { state: InvitationState::Sending, changed_at: desk.now, attempts, ..known.clone() };
    let mut after = person.clone();
    after.pass(event, |passage| passage.invitation = Some(invitation));
    set.people.push(change(user, person, after.clone()));
    Ok(Some(Parcel { person: after, event: settings, serial }))
}

impl Runner {
    /// Who attends an event and waits for its invitation. One that is being sent waits, too, should nobody be at it.
    pub fn waiting(&self, event: &EventName) -> RoaringBitmap {
        let view = self.inner.store.view();
        let (places, symbols) = (view.index().places(), view.symbols());
        let Some(attending) = places.attendees(symbols, event, true) else { return RoaringBitmap::new() };
        let states = InvitationState::ALL.into_iter().filter(|state| state.is_waiting());
        let waiting = states.filter_map(|state| places.invited(symbols, event, state));
        waiting.fold(RoaringBitmap::new(), |all, of_state| all | of_state) & attending
    }
}
