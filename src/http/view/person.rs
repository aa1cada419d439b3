//! People: a user with the owner of every value, and an attendee as an event sees it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::model::{
    Attendance, EventField, EventName, GroupKey, Owner, Person, Registration, RegistrationState, Value,
};
use crate::sync::Runner;

/// A user of the community, with the owner of every value.
#[derive(Serialize, ToSchema)]
#[schema(as = User)]
pub struct UserView {
    /// A UUID.
    id: String,
    email: EmailView,
    /// By field name: `first_name`, …, `custom.<name>`.
    fields: BTreeMap<String, FieldView>,
    /// Keys of the user's groups.
    groups: Vec<String>,
    registrations: Vec<RegistrationView>,
    attendances: Vec<AttendanceView>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

#[derive(Serialize, ToSchema)]
#[schema(as = OwnedEmail)]
struct EmailView {
    /// As the source spells it.
    value: String,
    owner: Option<OwnerView>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = OwnedField)]
struct FieldView {
    /// A text, number, boolean or list of texts.
    #[schema(value_type = Value)]
    value: Value,
    owner: Option<OwnerView>,
}

/// Who set a value; a value without an owner is local.
#[derive(Serialize, ToSchema)]
#[schema(as = Owner)]
struct OwnerView {
    source: String,
    run: u64,
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
}

/// What one record of a source means here.
#[derive(Serialize, ToSchema)]
#[schema(as = Registration)]
struct RegistrationView {
    event: String,
    source: String,
    /// The source's own id of the record.
    external_id: String,
    state: StateView,
    /// The last complete read did not find the record.
    absent: bool,
    /// Where the person can be edited in the source, where its configuration tells.
    edit_url: Option<String>,
    /// When the source changed it last, where it tells.
    #[schema(value_type = Option<String>, format = DateTime)]
    updated_at: Option<Timestamp>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = RegistrationState)]
#[serde(rename_all = "snake_case")]
enum StateView {
    Attending,
    NotAttending,
    Cancelled,
}

/// A place in one event, present or past.
#[derive(Serialize, ToSchema)]
#[schema(as = Attendance)]
struct AttendanceView {
    event: String,
    active: bool,
    /// When it became active or inactive.
    #[schema(value_type = String, format = DateTime)]
    changed_at: Timestamp,
    #[serde(flatten)]
    fields: EventFieldsView,
}

/// The values of one attendee of one event.
#[derive(Serialize, ToSchema)]
#[schema(as = EventFields)]
struct EventFieldsView {
    /// The URL of a JPG, PNG or PDF.
    #[schema(value_type = Option<String>)]
    badge_url: Option<Value>,
    #[schema(value_type = Option<String>)]
    registration_type: Option<Value>,
}

/// An attendee of one event.
#[derive(Serialize, ToSchema)]
#[schema(as = Attendee)]
pub struct AttendeeView {
    /// The user's id.
    id: String,
    email: String,
    /// Values by field name: `first_name`, …, `custom.<name>`. The user tells who owns them.
    #[schema(value_type = BTreeMap<String, Value>)]
    fields: BTreeMap<String, Value>,
    active: bool,
    /// When the person became active or inactive in this event.
    #[schema(value_type = String, format = DateTime)]
    changed_at: Timestamp,
    #[serde(flatten)]
    event_fields: EventFieldsView,
    /// Keys of the user's groups.
    groups: Vec<String>,
    /// The user's registrations in this event.
    registrations: Vec<RegistrationView>,
}

impl UserView {
    pub fn of(person: &Person, runner: &Runner) -> Self {
        let email = EmailView {
            value: person.email.as_str().to_owned(),
            owner: person.email_owner.as_ref().map(OwnerView::from),
        };
        let field = |field: &crate::model::ProfileField| {
            let owner = field.owner.as_ref().map(OwnerView::from);
            (field.field.to_string(), FieldView { value: field.value.clone(), owner })
        };
        Self {
            id: person.id.to_string(),
            email,
            fields: person.profile.iter().map(field).collect(),
            groups: keys(&person.groups()),
            registrations: person.registrations.iter().map(|r| RegistrationView::of(r, runner)).collect(),
            attendances: person.attendances.iter().map(AttendanceView::from).collect(),
            created_at: person.created_at,
        }
    }
}

impl AttendeeView {
    /// `None` when the person has no place in the event.
    pub fn of(person: &Person, event: &EventName, runner: &Runner) -> Option<Self> {
        let attendance = person.attendance(event)?;
        let registrations = person.registrations.iter().filter(|registration| registration.feed.event == *event);
        Some(Self {
            id: person.id.to_string(),
            email: person.email.as_str().to_owned(),
            fields: person.profile.iter().map(|f| (f.field.to_string(), f.value.clone())).collect(),
            active: attendance.active,
            changed_at: attendance.changed_at,
            event_fields: EventFieldsView::from(attendance),
            groups: keys(&person.groups()),
            registrations: registrations.map(|r| RegistrationView::of(r, runner)).collect(),
        })
    }
}

fn keys(groups: &[GroupKey]) -> Vec<String> {
    groups.iter().map(ToString::to_string).collect()
}

impl From<&Owner> for OwnerView {
    fn from(owner: &Owner) -> Self {
        Self { source: owner.source.to_string(), run: owner.run.0, at: owner.at }
    }
}

impl RegistrationView {
    fn of(registration: &Registration, runner: &Runner) -> Self {
        Self {
            event: registration.feed.event.to_string(),
            source: registration.feed.source.to_string(),
            external_id: registration.external_id.to_string(),
            state: registration.state.into(),
            absent: registration.absent_since.is_some(),
            edit_url: runner.edit_url(registration),
            updated_at: registration.updated_at,
        }
    }
}

impl From<RegistrationState> for StateView {
    fn from(state: RegistrationState) -> Self {
        match state {
            RegistrationState::Attending => Self::Attending,
            RegistrationState::NotAttending => Self::NotAttending,
            RegistrationState::Cancelled => Self::Cancelled,
        }
    }
}

impl From<&Attendance> for AttendanceView {
    fn from(attendance: &Attendance) -> Self {
        Self {
            event: attendance.event.to_string(),
            active: attendance.active,
            changed_at: attendance.changed_at,
            fields: attendance.into(),
        }
    }
}

impl From<&Attendance> for EventFieldsView {
    fn from(attendance: &Attendance) -> Self {
        let value = |wanted| attendance.fields.iter().find(|(field, _)| *field == wanted).map(|(_, v)| v.clone());
        Self { badge_url: value(EventField::BadgeUrl), registration_type: value(EventField::RegistrationType) }
    }
}
