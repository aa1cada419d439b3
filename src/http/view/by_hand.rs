//! What was decided by hand, and what is asked to be.

use compact_str::CompactString;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::model::{
    AttendanceByHand, Decision, EventName, ExternalId, Field, GroupKey, MembershipByHand, Override, Person, Protected,
    SourceName,
};
use crate::sync::Runner;

/// What somebody decides, or lifts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Choice {
    #[default]
    Added,
    Excluded,
    /// As the sources say.
    Synced,
}

impl From<Choice> for Option<Override> {
    fn from(choice: Choice) -> Self {
        match choice {
            Choice::Added => Some(Override::Added),
            Choice::Excluded => Some(Override::Excluded),
            Choice::Synced => None,
        }
    }
}

impl From<Override> for Choice {
    fn from(set: Override) -> Self {
        match set {
            Override::Added => Self::Added,
            Override::Excluded => Self::Excluded,
        }
    }
}

/// What was decided by hand, by whom and when. It outlives syncs until it is lifted.
#[derive(Serialize, ToSchema)]
#[schema(as = Decision)]
pub struct DecisionView {
    /// `added` or `excluded`.
    set: Choice,
    /// The event that it is for, where one was said.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    event: Option<EventName>,
    /// The name of the token, or `command line`.
    #[schema(value_type = String)]
    by: CompactString,
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
}

impl DecisionView {
    fn of(set: Override, event: Option<EventName>, Decision { by, at }: Decision) -> Self {
        Self { set: set.into(), event, by, at }
    }

    /// What was decided about a place in an event.
    pub fn of_attendance(person: &Person, event: &EventName) -> Option<Self> {
        let decided = person.by_hand.as_ref()?.attendances.iter().find(|decided| decided.event == *event)?;
        let AttendanceByHand { set, decision, .. } = decided.clone();
        Some(Self::of(set, None, decision))
    }
}

/// A group that somebody is in or kept out of, and why.
#[derive(Serialize, ToSchema)]
#[schema(as = Membership)]
pub struct MembershipView {
    /// The group's key.
    #[schema(value_type = String)]
    group: GroupKey,
    member: bool,
    /// The registrations that grant it.
    granted_by: Vec<GrantView>,
    /// What was decided by hand.
    by_hand: Option<DecisionView>,
}

/// A registration that puts its user into a group.
#[derive(Serialize, ToSchema)]
#[schema(as = Grant)]
struct GrantView {
    #[schema(value_type = String)]
    event: EventName,
    #[schema(value_type = String)]
    source: SourceName,
    #[schema(value_type = String)]
    external_id: ExternalId,
}

impl MembershipView {
    /// Every group that the person is in or kept out of, ascending by key.
    pub fn all(person: &Person) -> Vec<Self> {
        let mut groups = person.groups();
        let decided = person.by_hand.iter().flat_map(|by_hand| &by_hand.memberships);
        groups.extend(decided.filter(|decided| decided.set == Override::Excluded).map(|decided| decided.group.clone()));
        groups.sort_unstable();
        groups.into_iter().map(|group| Self::of(person, group)).collect()
    }

    fn of(person: &Person, group: GroupKey) -> Self {
        let decided = person.membership_by_hand(&group).cloned();
        let grants = person.registrations.iter().filter(|r| !r.is_cancelled() && r.groups.contains(&group));
        let granted_by = grants.map(|r| GrantView {
            event: r.feed.event.clone(),
            source: r.feed.source.clone(),
            external_id: r.external_id.clone(),
        });
        Self {
            granted_by: granted_by.collect(),
            member: decided.as_ref().is_none_or(|decided| decided.set == Override::Added),
            by_hand: decided
                .map(|MembershipByHand { set, event, decision, .. }| DecisionView::of(set, event, decision)),
            group,
        }
    }
}

/// The profile fields that no source writes.
#[derive(Default, Serialize, ToSchema)]
#[schema(as = ProtectedFields)]
pub struct ProtectedView {
    all: bool,
    /// By name, where it is not all of them.
    #[schema(value_type = Vec<String>)]
    fields: Vec<Field>,
}

impl ProtectedView {
    pub fn of(person: &Person) -> Self {
        match person.by_hand.as_ref().map(|by_hand| &by_hand.protected) {
            None => Self::default(),
            Some(Protected::All) => Self { all: true, fields: Vec::new() },
            Some(Protected::Fields(fields)) => Self { all: false, fields: fields.clone() },
        }
    }
}

/// What cannot be edited here, for a source always writes it.
pub fn locked(person: &Person, runner: &Runner) -> Vec<CompactString> {
    let email = person.email_owner.is_some().then(|| CompactString::const_new("email"));
    let fields = person
        .profile
        .iter()
        .filter(|known| known.owner.as_ref().is_some_and(|owner| runner.is_locked(&owner.source, &known.field)));
    let names = fields.map(|known| compact_str::format_compact!("{}", known.field));
    email.into_iter().chain(names).collect()
}
