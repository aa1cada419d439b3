//! People: a user with the owner of every value, and an attendee as an event sees it.
//!
//! A view takes the person apart and copies nothing of it: these are the answers asked for most.

use compact_str::{CompactString, ToCompactString as _};
use jiff::Timestamp;
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

use super::by_hand::{DecisionView, MembershipView, ProtectedView, locked};
use super::journey::{InvitationView, JourneyView};
use crate::model::{
    Attendance, Email, EventField, EventName, ExternalId, Field, GroupKey, Owner, Person, ProfileField, Registration,
    RegistrationState, RunId, SourceName, UserId, Value,
};
use crate::sync::Runner;

/// A JSON object of fields by name, in the order of the profile.
struct ByField<T>(Vec<(Field, T)>);

impl<T: Serialize> Serialize for ByField<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(field, value)| (field, value)))
    }
}

/// A user of the community, with the owner of every value.
#[derive(Serialize, ToSchema)]
#[schema(as = User)]
pub struct UserView {
    /// A UUID.
    #[schema(value_type = String)]
    id: UserId,
    email: EmailView,
    /// By field name: `first_name`, …, `custom.<name>`.
    #[schema(value_type = BTreeMap<String, FieldView>)]
    fields: ByField<FieldView>,
    /// Keys of the user's groups.
    #[schema(value_type = Vec<String>)]
    groups: Vec<GroupKey>,
    /// The same with what grants each, and the groups that the user is kept out of.
    memberships: Vec<MembershipView>,
    registrations: Vec<RegistrationView>,
    attendances: Vec<AttendanceView>,
    /// What cannot be edited here, for a source always writes it: `email`, and names of fields.
    #[schema(value_type = Vec<String>)]
    locked: Vec<CompactString>,
    /// The fields that no source writes.
    protected: ProtectedView,
    /// How far the person came.
    journey: JourneyView,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

#[derive(Serialize, ToSchema)]
#[schema(as = OwnedEmail)]
struct EmailView {
    /// As the source spells it.
    #[schema(value_type = String)]
    value: Email,
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
    #[schema(value_type = String)]
    source: SourceName,
    #[schema(value_type = u64)]
    run: RunId,
    #[schema(value_type = String, format = DateTime)]
    at: TimeText,
}

/// A time as it is shown. It fits where it stands, without an allocation.
type TimeText = CompactString;

/// Shows times, each once: nearly all values of a person are of the same run.
#[derive(Default)]
struct Times {
    last: Option<(Timestamp, TimeText)>,
}

/// What one record of a source means here.
#[derive(Serialize, ToSchema)]
#[schema(as = Registration)]
struct RegistrationView {
    #[schema(value_type = String)]
    event: EventName,
    #[schema(value_type = String)]
    source: SourceName,
    /// The source's own id of the record.
    #[schema(value_type = String)]
    external_id: ExternalId,
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
    #[schema(value_type = String)]
    event: EventName,
    active: bool,
    /// When it became active or inactive.
    #[schema(value_type = String, format = DateTime)]
    changed_at: Timestamp,
    /// What was decided by hand about it.
    by_hand: Option<DecisionView>,
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
    #[schema(value_type = String)]
    id: UserId,
    #[schema(value_type = String)]
    email: Email,
    /// Values by field name: `first_name`, …, `custom.<name>`. The user tells who owns them.
    #[schema(value_type = BTreeMap<String, Value>)]
    fields: ByField<Value>,
    active: bool,
    /// When the person became active or inactive in this event.
    #[schema(value_type = String, format = DateTime)]
    changed_at: Timestamp,
    /// What was decided by hand about it.
    by_hand: Option<DecisionView>,
    #[serde(flatten)]
    event_fields: EventFieldsView,
    /// Keys of the user's groups.
    #[schema(value_type = Vec<String>)]
    groups: Vec<GroupKey>,
    /// The user's registrations in this event.
    registrations: Vec<RegistrationView>,
    /// `null`: never invited to this event.
    invitation: Option<InvitationView>,
    /// When the app first said that the person has an account.
    #[schema(value_type = Option<String>, format = DateTime)]
    account_at: Option<Timestamp>,
    /// When the app first said that the person opened this event.
    #[schema(value_type = Option<String>, format = DateTime)]
    first_access_at: Option<Timestamp>,
}

impl UserView {
    pub fn of(person: Person, runner: &Runner) -> Self {
        let (groups, memberships) = (person.groups(), MembershipView::all(&person));
        let (locked, protected) = (locked(&person, runner), ProtectedView::of(&person));
        let journey = JourneyView::of(&person);
        let decisions: Vec<_> =
            person.attendances.iter().map(|place| DecisionView::of_attendance(&person, &place.event)).collect();
        let attendances = person.attendances.into_iter().zip(decisions);
        let mut times = Times::default();
        let mut owned = |owner: Option<Owner>| owner.map(|owner| OwnerView::of(owner, &mut times));
        let email = EmailView { value: person.email, owner: owned(person.email_owner) };
        let field = |ProfileField { field, value, owner }| (field, FieldView { value, owner: owned(owner) });
        Self {
            id: person.id,
            email,
            fields: ByField(person.profile.into_iter().map(field).collect()),
            groups,
            memberships,
            registrations: person.registrations.into_iter().map(|r| RegistrationView::of(r, runner)).collect(),
            attendances: attendances.map(|(place, by_hand)| AttendanceView::of(place, by_hand)).collect(),
            locked,
            protected,
            journey,
            created_at: person.created_at,
        }
    }
}

impl AttendeeView {
    /// `None` when the person has no place in the event.
    pub fn of(mut person: Person, event: &EventName, runner: &Runner) -> Option<Self> {
        let place = person.attendances.iter().position(|attendance| attendance.event == *event)?;
        let attendance = person.attendances.swap_remove(place);
        let (groups, by_hand) = (person.groups(), DecisionView::of_attendance(&person, event));
        let invitation = person.invitation(event).map(InvitationView::of);
        let first_access_at = person.passage(event).and_then(|passage| passage.first_access_at);
        let account_at = person.journey.as_ref().and_then(|journey| journey.account_at);
        let registrations = person.registrations.into_iter().filter(|registration| registration.feed.event == *event);
        Some(Self {
            id: person.id,
            email: person.email,
            fields: ByField(person.profile.into_iter().map(|field| (field.field, field.value)).collect()),
            active: attendance.active,
            changed_at: attendance.changed_at,
            by_hand,
            event_fields: attendance.fields.into(),
            groups,
            registrations: registrations.map(|r| RegistrationView::of(r, runner)).collect(),
            invitation,
            account_at,
            first_access_at,
        })
    }
}

impl OwnerView {
    fn of(Owner { source, run, at }: Owner, times: &mut Times) -> Self {
        Self { source, run, at: times.text(at) }
    }
}

impl Times {
    fn text(&mut self, at: Timestamp) -> TimeText {
        match &self.last {
            Some((last, text)) if *last == at => text.clone(),
            _ => {
                let text = at.to_compact_string();
                self.last = Some((at, text.clone()));
                text
            }
        }
    }
}

impl RegistrationView {
    fn of(registration: Registration, runner: &Runner) -> Self {
        let edit_url = runner.edit_url(&registration);
        Self {
            event: registration.feed.event,
            source: registration.feed.source,
            external_id: registration.external_id,
            state: registration.state.into(),
            absent: registration.absent_since.is_some(),
            edit_url,
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

impl AttendanceView {
    fn of(attendance: Attendance, by_hand: Option<DecisionView>) -> Self {
        Self {
            by_hand,
            event: attendance.event,
            active: attendance.active,
            changed_at: attendance.changed_at,
            fields: attendance.fields.into(),
        }
    }
}

impl From<Vec<(EventField, Value)>> for EventFieldsView {
    fn from(fields: Vec<(EventField, Value)>) -> Self {
        let mut view = Self { badge_url: None, registration_type: None };
        for (field, value) in fields {
            match field {
                EventField::BadgeUrl => view.badge_url = Some(value),
                EventField::RegistrationType => view.registration_type = Some(value),
            }
        }
        view
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_is_shown_as_it_is() {
        let times = [0, 1_700_000_000_123, 1_700_000_000_123, 5, 0].map(|at| Timestamp::from_millisecond(at).unwrap());
        let mut shown = Times::default();
        for at in times {
            assert_eq!(shown.text(at), at.to_string());
        }
    }

    #[test]
    fn fields_are_an_object_by_name() {
        let fields = ByField(vec![(Field::FirstName, "Ada"), (Field::Custom("diet".into()), "vegan")]);
        assert_eq!(serde_json::to_string(&fields).unwrap(), r#"{"first_name":"Ada","custom.diet":"vegan"}"#);
    }
}
