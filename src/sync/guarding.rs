//! The guard's question to a plan that is whole: is it to wait for a person?

use roaring::RoaringBitmap;

use super::feed::Feed;
use crate::model::{Doubt, DoubtKind, GuardSettings, Registration};
use crate::plan::{Figures, Limits, reasons_to_hold, reasons_to_look};
use crate::store::{Store, StoreError};

/// What there is to say of a plan.
#[derive(Default)]
pub struct Doubts {
    /// Why it is held; empty: it goes.
    pub held: Vec<Doubt>,
    /// Why it deserves a look all the same.
    pub degraded: Vec<Doubt>,
}

/// Asked before anything of the plan is written.
pub fn doubts(store: &Store, feed: &Feed, mut figures: Figures) -> Result<Doubts, StoreError> {
    let guard: &GuardSettings = &feed.safety.guard;
    let inviting = store.inviting(&feed.id.event);
    // Those of another event are no matter of this one.
    let max_invites = if inviting.enabled { inviting.max_invites } else { u32::MAX };
    let limits = Limits::of(guard, max_invites);
    if limits.is_exceeded_by(figures.losing(), at_least_active(store, feed, &figures)) {
        figures.active = active(store, feed)?;
    }
    let reasons = reasons_to_hold(&limits, &figures);
    let (mut held, mut degraded) =
        if guard.enabled.unwrap_or(true) { (reasons, Vec::new()) } else { (Vec::new(), reasons) };
    let is_said = |look: &Doubt| held.iter().chain(&degraded).any(|doubt| doubt.kind == look.kind);
    let looks: Vec<_> = reasons_to_look(&figures).into_iter().filter(|look| !is_said(look)).collect();
    degraded.extend(looks);
    if let Some(hint) = &feed.spec().empty_hint {
        let empty = held.iter_mut().chain(&mut degraded).filter(|doubt| doubt.kind == DoubtKind::Empty);
        empty.for_each(|doubt| doubt.text = format!("{}; {hint}", doubt.text));
    }
    Ok(Doubts { held, degraded })
}

/// So many registrations of the feed are active for certain: everybody who attends the event has an active one there,
/// but for those whom an organiser added, and no other feed holds more of them than it has registrations.
fn at_least_active(store: &Store, feed: &Feed, figures: &Figures) -> u64 {
    let view = store.view();
    let index = view.index();
    let others = index.feeds_of(&feed.id.event).filter(|other| **other != feed.id);
    let elsewhere: u64 = others.map(|other| index.registration_count(other)).sum();
    let (places, symbols) = (index.places(), view.symbols());
    let attending = places.attendees(symbols, &feed.id.event, true);
    let added = places.added(symbols, &feed.id.event);
    let by_hand = attending.zip(added).map_or(0, |(attending, added)| attending.intersection_len(added));
    figures.attending_before.saturating_sub(by_hand).saturating_sub(elsewhere)
}

/// The feed's active registrations. Reads all its people, which only a plan that takes much is worth.
fn active(store: &Store, feed: &Feed) -> Result<u64, StoreError> {
    let users: RoaringBitmap = {
        let view = store.view();
        let index = view.index();
        index.registrations_of(&feed.id).iter().map(|number| index.registration_user(number).0).collect()
    };
    let is_active = |r: &&Registration| r.feed == feed.id && !r.is_cancelled();
    let mut count = 0;
    for user in users {
        let person = store.person_in_passing(crate::model::UserNo(user))?;
        count += person.map_or(0, |person| person.registrations.iter().filter(is_active).count() as u64);
    }
    Ok(count)
}
