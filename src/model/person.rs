//! A person's whole truth: profile with owners, registrations, attendance. One put stores it.

use jiff::Timestamp;
use serde::Serialize;

use super::{
    ByHand, Digest, Email, EventField, EventName, ExternalId, FeedId, Field, GroupKey, Journey, MembershipByHand,
    Override, RunId, SourceName, UserId, Value,
};

/// A user of the community.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    pub id: UserId,
    /// Unique in the community by its key.
    pub email: Email,
    pub email_owner: Option<Owner>,
    /// Ascending by field.
    pub profile: Vec<ProfileField>,
    /// Ascending by feed, then external id.
    pub registrations: Vec<Registration>,
    /// Ascending by event. A past attendance stays, inactive.
    pub attendances: Vec<Attendance>,
    pub created_at: Timestamp,
    /// `None` of most people; never empty.
    pub by_hand: Option<Box<ByHand>>,
    /// `None` of most people; never empty. No plan takes it from an earlier state of the person.
    pub journey: Option<Box<Journey>>,
}

/// Which source set a value, in which run, when. A value without an owner is local.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Owner {
    pub source: SourceName,
    pub run: RunId,
    pub at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProfileField {
    pub field: Field,
    pub value: Value,
    pub owner: Option<Owner>,
}

/// What one record means here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    pub feed: FeedId,
    pub external_id: ExternalId,
    /// As its record spells it. The key is the user's, but where a cancelled registration kept an older one.
    pub email: Email,
    pub state: RegistrationState,
    /// The feed's complete read, by number, that first missed it; `None` while the list has it.
    pub absent_since: Option<u32>,
    pub updated_at: Option<Timestamp>,
    /// Of the record's bytes: equal means it need not even be mapped.
    pub raw: Digest,
    /// Of the mapped record: equal means nothing changed.
    pub mapped: Digest,
    /// The values it brings, ascending. The store keeps only those that differ from the profile.
    pub fields: Vec<(Field, Value)>,
    pub event_fields: Vec<(EventField, Value)>,
    /// The groups it grants while it is not cancelled, ascending.
    pub groups: Vec<GroupKey>,
}

impl Registration {
    /// `None` of somebody who signed in: what that brings counts in every event.
    pub fn event(&self) -> Option<&EventName> {
        (!self.feed.is_of_logins()).then_some(&self.feed.event)
    }

    /// A cancelled registration grants nothing.
    pub fn is_cancelled(&self) -> bool {
        self.state == RegistrationState::Cancelled
    }

    /// Cancels it because the list no longer has it: it is mapped anew should it come back.
    pub fn lapse(&mut self) {
        self.state = RegistrationState::Cancelled;
        self.mapped = Digest(0);
    }

    /// Was it cancelled because the list no longer had it, and not by its record?
    pub fn is_lapsed(&self) -> bool {
        self.is_cancelled() && self.mapped == Digest(0)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RegistrationState {
    Attending,
    NotAttending,
    Cancelled,
}

/// A user's place in one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attendance {
    pub event: EventName,
    /// By the registrations, or as decided by hand.
    pub active: bool,
    /// When it last became active or inactive.
    pub changed_at: Timestamp,
    /// Ascending.
    pub fields: Vec<(EventField, Value)>,
}

impl Person {
    /// Are both the same, but for how far they came?
    pub fn is_as(&self, other: &Self) -> bool {
        let Self { id, email, email_owner, profile, registrations, attendances, created_at, by_hand, journey: _ } =
            self;
        (id, email, email_owner, profile, registrations)
            == (&other.id, &other.email, &other.email_owner, &other.profile, &other.registrations)
            && (attendances, created_at, by_hand) == (&other.attendances, &other.created_at, &other.by_hand)
    }

    pub fn value(&self, field: &Field) -> Option<&Value> {
        self.profile.iter().find(|f| f.field == *field).map(|f| &f.value)
    }

    pub fn registration(&self, feed: &FeedId, external_id: &ExternalId) -> Option<&Registration> {
        let at = self.registrations.binary_search_by(|r| (&r.feed, &r.external_id).cmp(&(feed, external_id)));
        at.ok().map(|at| &self.registrations[at])
    }

    pub fn attendance(&self, event: &EventName) -> Option<&Attendance> {
        self.attendances.iter().find(|a| a.event == *event)
    }

    pub fn attends(&self, event: &EventName) -> bool {
        self.attendance(event).is_some_and(|a| a.active)
    }

    /// The groups that some registration grants or an organiser added, but for those that one excluded; ascending,
    /// each once.
    pub fn groups(&self) -> Vec<GroupKey> {
        sorted(self.grants().map(|(_, group)| group))
    }

    /// The groups as far as one event is concerned: what its registrations grant, and organisers for it or for no event
    /// in particular. Ascending, each once.
    pub fn groups_in(&self, event: &EventName) -> Vec<GroupKey> {
        let counts = |of: Option<&EventName>| of.is_none_or(|of| of == event);
        sorted(self.grants().filter(|(of, _)| counts(*of)).map(|(_, group)| group))
    }

    /// What puts the person in groups, each with the event that it is of; what is of none counts in every event. Some
    /// come more than once.
    pub fn grants(&self) -> impl Iterator<Item = (Option<&EventName>, &GroupKey)> {
        let live = self.registrations.iter().filter(|r| !r.is_cancelled());
        let granted = live.flat_map(|r| r.groups.iter().map(|group| (r.event(), group)));
        let by_hand = self.memberships_by_hand(Override::Added).map(|m| (m.event.as_ref(), &m.group));
        let is_in = |group: &GroupKey| !self.memberships_by_hand(Override::Excluded).any(|out| out.group == *group);
        granted.chain(by_hand).filter(move |(_, group)| self.by_hand.is_none() || is_in(group))
    }

    fn memberships_by_hand(&self, set: Override) -> impl Iterator<Item = &MembershipByHand> {
        self.by_hand.iter().flat_map(|by_hand| &by_hand.memberships).filter(move |m| m.set == set)
    }

    /// What was decided by hand about a place in an event.
    pub fn attendance_by_hand(&self, event: &EventName) -> Option<Override> {
        let of_event = self.by_hand.as_ref()?.attendances.iter().find(|a| a.event == *event);
        of_event.map(|attendance| attendance.set)
    }

    /// What was decided by hand about a membership.
    pub fn membership_by_hand(&self, group: &GroupKey) -> Option<&MembershipByHand> {
        self.by_hand.as_ref()?.memberships.iter().find(|m| m.group == *group)
    }

    /// Is this profile field kept from the sources?
    pub fn is_protected(&self, field: &Field) -> bool {
        self.by_hand.as_ref().is_some_and(|by_hand| by_hand.protected.holds(field))
    }

    /// Did an organiser add the person to an event or a group? Such a person lives on without registrations.
    pub fn is_added_by_hand(&self) -> bool {
        self.by_hand.as_ref().is_some_and(|by_hand| {
            let sets = by_hand.attendances.iter().map(|a| a.set).chain(by_hand.memberships.iter().map(|m| m.set));
            sets.into_iter().any(|set| set == Override::Added)
        })
    }
}

fn sorted<'a>(groups: impl Iterator<Item = &'a GroupKey>) -> Vec<GroupKey> {
    let mut groups: Vec<_> = groups.cloned().collect();
    groups.sort_unstable();
    groups.dedup();
    groups
}
