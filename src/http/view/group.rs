//! Groups of the community.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::model::{Event, EventName};
use crate::store::GroupCount;
use crate::sync::Runner;

/// A named set of users.
#[derive(Serialize, ToSchema)]
#[schema(as = Group)]
pub struct GroupView {
    /// The name trimmed, composed (NFC) and in lower case.
    pub key: String,
    /// As it was first spelled.
    name: String,
    members: u64,
    /// The events through which somebody is in it, by name. Who was added by hand for no event in particular is in it
    /// through none, and counts in each.
    events: Vec<GroupEventView>,
}

/// An event through which people are in a group.
#[derive(Serialize, ToSchema)]
#[schema(as = GroupEvent)]
struct GroupEventView {
    #[schema(value_type = String)]
    event: EventName,
    /// How many people its registrations, or organisers for it, have put there.
    members: u64,
    /// It is over: its `ends_at` has passed.
    past: bool,
}

impl GroupView {
    pub fn of(counted: GroupCount, runner: &Runner, now: Timestamp) -> Self {
        let GroupCount { group, members, events } = counted;
        let is_over = |event: &Event| event.ends_at.is_some_and(|end| end <= now);
        let event = |(event, members)| {
            let past = runner.event(&event).is_some_and(|event| is_over(&event));
            GroupEventView { event, members, past }
        };
        let events = events.into_iter().map(event).collect();
        Self { key: group.key.to_string(), name: group.name.to_string(), members, events }
    }
}
