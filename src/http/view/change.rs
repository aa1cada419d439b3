//! Entries of a journal: what a run did, or would do.

use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::UserView;
use crate::model::{Action, Entry, FeedId, GroupName, NotUndone, PersonChange, Position, RecordNote, Verdict};
use crate::plan::{Detail, details};
use crate::sync::Runner;

/// What an entry is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChangeAction {
    /// New to the community or newly an attendee of the event.
    Create,
    /// Something visible changed.
    Update,
    /// No longer an attendee of the event.
    Remove,
    /// Deleted permanently.
    Delete,
    /// A record that changes nobody; of an undo, a person who stays as they are.
    Skip,
    /// A record that cannot be used.
    Reject,
    /// Only bookkeeping; counted as unchanged.
    Touch,
    /// A new group of the community.
    Group,
    /// A group that the community has no longer: the run that is undone had made it.
    GroupGone,
}

/// One entry of a run's plan: a person, a record that changes nobody, or a group.
#[derive(Serialize, ToSchema)]
#[schema(as = Change)]
pub struct ChangeView {
    /// Its number in the plan, from 1.
    pub entry: u64,
    action: ChangeAction,
    /// The person, where it is about one.
    user: Option<String>,
    /// The person's address after the change, or before it.
    email: Option<String>,
    /// Every difference, where it is about a person. Nothing is kept of who was deleted permanently.
    details: Vec<DetailView>,
    /// The person before the change; null when new or deleted.
    before: Option<UserView>,
    /// The person after the change; null when deleted.
    after: Option<UserView>,
    /// The record, where it is about one and its id can be read.
    external_id: Option<String>,
    /// Where the record stood in the list.
    position: Option<PositionView>,
    /// Why the record was skipped or rejected.
    reason: Option<&'static str>,
    /// The mapping key concerned.
    field: Option<String>,
    /// The key and the name of the group.
    group: Option<String>,
    name: Option<String>,
    /// Of a person whom an undo leaves as they are: what of them is another than the run left it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    parts: Vec<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Position)]
pub struct PositionView {
    /// From 1.
    page: u32,
    /// From 0.
    index: u32,
}

/// One difference between a person before and after. Which members there are depends on `kind`; `before` and
/// `after` are null where there was or will be nothing.
#[derive(Default, Serialize, ToSchema)]
#[schema(as = Detail)]
pub struct DetailView {
    /// `email`, `field`, `released` (no longer any source's), `attendance`, `event_field`, `registration`,
    /// `joined_group`, `left_group` or `invitation` (queued, or taken back).
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    external_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<String>,
    #[schema(value_type = Value)]
    before: serde_json::Value,
    #[schema(value_type = Value)]
    after: serde_json::Value,
}

impl ChangeView {
    pub fn of(number: u64, entry: Entry, runner: &Runner) -> Self {
        let bare = Self::bare(number, ChangeAction::of(&entry));
        match entry {
            Entry::Person(change) => bare.person(*change, runner),
            Entry::Record(note) => bare.record(&note),
            Entry::NotUndone(NotUndone { id, parts }) => Self {
                user: Some(id.to_string()),
                reason: Some("not_undone"),
                parts: parts.iter().map(ToString::to_string).collect(),
                ..bare
            },
            Entry::Group(GroupName { key, name }) | Entry::GroupGone(GroupName { key, name }) => {
                Self { group: Some(key.to_string()), name: Some(name.to_string()), ..bare }
            }
        }
    }

    const fn bare(entry: u64, action: ChangeAction) -> Self {
        Self {
            entry,
            action,
            user: None,
            email: None,
            details: Vec::new(),
            before: None,
            after: None,
            external_id: None,
            position: None,
            reason: None,
            field: None,
            group: None,
            name: None,
            parts: Vec::new(),
        }
    }

    fn person(self, change: PersonChange, runner: &Runner) -> Self {
        let (before, after) = (change.before.as_ref(), change.after.as_ref());
        Self {
            user: Some(change.id.to_string()),
            email: after.or(before).map(|person| person.email.as_str().to_owned()),
            details: details(before, after).into_iter().map(DetailView::from).collect(),
            before: change.before.map(|person| UserView::of(person, runner)),
            after: change.after.map(|person| UserView::of(person, runner)),
            ..self
        }
    }

    fn record(self, note: &RecordNote) -> Self {
        let (reason, field) = match &note.verdict {
            Verdict::Skip(reason) => (reason.as_str(), ""),
            Verdict::Reject { reason, field } => (reason.as_str(), field.as_str()),
        };
        Self {
            external_id: note.external_id.as_ref().map(ToString::to_string),
            // What stands for an entry that told of an erased person stood nowhere.
            position: (note.position.page > 0).then(|| note.position.into()),
            reason: Some(reason),
            field: (!field.is_empty()).then(|| field.to_owned()),
            ..self
        }
    }
}

impl From<Position> for PositionView {
    fn from(Position { page, index }: Position) -> Self {
        Self { page, index }
    }
}

impl ChangeAction {
    pub fn of(entry: &Entry) -> Self {
        match entry {
            Entry::Person(change) => change.action.into(),
            Entry::Record(RecordNote { verdict: Verdict::Skip(_), .. }) => Self::Skip,
            Entry::Record(RecordNote { verdict: Verdict::Reject { .. }, .. }) => Self::Reject,
            Entry::NotUndone(_) => Self::Skip,
            Entry::Group(_) => Self::Group,
            Entry::GroupGone(_) => Self::GroupGone,
        }
    }
}

impl From<Action> for ChangeAction {
    fn from(action: Action) -> Self {
        match action {
            Action::Create => Self::Create,
            Action::Update => Self::Update,
            Action::Remove => Self::Remove,
            Action::Delete => Self::Delete,
            Action::Touch => Self::Touch,
        }
    }
}

impl DetailView {
    fn kind(kind: &'static str) -> Self {
        Self { kind, ..Self::default() }
    }

    /// Both sides as JSON; no value is null.
    fn sides(self, before: impl Serialize, after: impl Serialize) -> Self {
        Self { before: json!(before), after: json!(after), ..self }
    }

    fn feed(self, feed: &FeedId) -> Self {
        Self { event: Some(feed.event.to_string()), source: Some(feed.source.to_string()), ..self }
    }
}

impl From<Detail> for DetailView {
    fn from(detail: Detail) -> Self {
        match detail {
            Detail::Email { before, after } => Self::kind("email").sides(before, after),
            Detail::Field { field, before, after } => {
                Self { field: Some(field.to_string()), ..Self::kind("field").sides(before, after) }
            }
            Detail::Released { field } => Self { field: Some(field.to_string()), ..Self::kind("released") },
            Detail::Attendance { event, before, after } => {
                Self { event: Some(event.to_string()), ..Self::kind("attendance").sides(before, after) }
            }
            Detail::EventField { event, field, before, after } => {
                let of = Self::kind("event_field").sides(before, after);
                Self { event: Some(event.to_string()), field: Some(field.to_string()), ..of }
            }
            Detail::Registration { feed, external_id, before, after } => {
                let of = Self::kind("registration").feed(&feed).sides(before, after);
                Self { external_id: Some(external_id.to_string()), ..of }
            }
            Detail::JoinedGroup { group } => Self { group: Some(group.to_string()), ..Self::kind("joined_group") },
            Detail::LeftGroup { group } => Self { group: Some(group.to_string()), ..Self::kind("left_group") },
            Detail::Invitation { event, before, after } => {
                Self { event: Some(event.to_string()), ..Self::kind("invitation").sides(before, after) }
            }
        }
    }
}
