//! Everything that is stored about one person.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::{AuditEntryView, ChangeView, ReceiptView, SignInView, UserView};
use crate::model::{
    Email, EventField, EventName, ExternalId, FeedId, Field, GroupKey, MappedRecord, Registration, RegistrationState,
    RunId, SourceName, UserId, Value,
};

/// Everything that is stored about one person. Nothing is kept of what the person has no longer but what `changes` and
/// `waiting_records` hold.
#[derive(Serialize, ToSchema)]
#[schema(as = Export)]
pub struct ExportView {
    #[schema(value_type = String, format = DateTime)]
    pub exported_at: Timestamp,
    #[schema(value_type = String)]
    pub id: UserId,
    pub user: UserView,
    /// The person's registrations with all they hold.
    pub registrations: Vec<ExportedRegistrationView>,
    /// How they stand with the sources that they signed in with. Their tokens are no part of it: they are keys, not facts.
    pub sign_ins: Vec<SignInView>,
    /// How far their login links and event passwords went back. The values are no part of it, either.
    pub receipts: Vec<ReceiptView>,
    /// What the kept journals tell of the person, oldest first.
    pub changes: Vec<ExportedChangeView>,
    /// Records of theirs in reads that were interrupted and wait to go on.
    pub waiting_records: Vec<WaitingRecordView>,
    /// What was done to them by hand.
    pub audit: Vec<AuditEntryView>,
}

/// A value by its field's name.
#[derive(Serialize, ToSchema)]
#[schema(as = ExportedValue)]
struct ValueView {
    field: String,
    #[schema(value_type = Value)]
    value: Value,
}

/// What one record of a source means here, whole.
#[derive(Serialize, ToSchema)]
#[schema(as = ExportedRegistration)]
pub struct ExportedRegistrationView {
    #[schema(value_type = String)]
    event: EventName,
    #[schema(value_type = String)]
    source: SourceName,
    #[schema(value_type = String)]
    external_id: ExternalId,
    #[schema(value_type = String)]
    email: Email,
    /// `attending`, `not_attending` or `cancelled`.
    #[schema(value_type = String)]
    state: RegistrationState,
    /// The number of the complete read that was the first not to find it.
    absent_since_read: Option<u32>,
    #[schema(value_type = Option<String>, format = DateTime)]
    updated_at: Option<Timestamp>,
    values: Vec<ValueView>,
    event_values: Vec<ValueView>,
    #[schema(value_type = Vec<String>)]
    groups: Vec<GroupKey>,
    /// Keyed digests of the record as it came and as it was mapped, by which an unchanged one is known: hexadecimal.
    raw_digest: String,
    mapped_digest: String,
}

/// An entry of a journal that tells of the person.
#[derive(Serialize, ToSchema)]
#[schema(as = ExportedChange)]
pub struct ExportedChangeView {
    #[schema(value_type = u64)]
    pub run: RunId,
    #[schema(value_type = String)]
    pub event: EventName,
    #[schema(value_type = String)]
    pub source: SourceName,
    #[schema(value_type = String, format = DateTime)]
    pub planned_at: Timestamp,
    pub change: ChangeView,
}

/// A record that was read and is not planned yet.
#[derive(Serialize, ToSchema)]
#[schema(as = WaitingRecord)]
pub struct WaitingRecordView {
    #[schema(value_type = String)]
    event: EventName,
    #[schema(value_type = String)]
    source: SourceName,
    #[schema(value_type = String)]
    external_id: ExternalId,
    #[schema(value_type = Option<String>)]
    email: Option<Email>,
    values: Vec<ValueView>,
    event_values: Vec<ValueView>,
    groups: Vec<String>,
}

fn values(fields: Vec<(Field, Value)>) -> Vec<ValueView> {
    fields.into_iter().map(|(field, value)| ValueView { field: field.to_string(), value }).collect()
}

fn event_values(fields: Vec<(EventField, Value)>) -> Vec<ValueView> {
    fields.into_iter().map(|(field, value)| ValueView { field: field.to_string(), value }).collect()
}

impl From<Registration> for ExportedRegistrationView {
    fn from(registration: Registration) -> Self {
        Self {
            event: registration.feed.event,
            source: registration.feed.source,
            external_id: registration.external_id,
            email: registration.email,
            state: registration.state,
            absent_since_read: registration.absent_since,
            updated_at: registration.updated_at,
            values: values(registration.fields),
            event_values: event_values(registration.event_fields),
            groups: registration.groups,
            raw_digest: format!("{:032x}", registration.raw.0),
            mapped_digest: format!("{:032x}", registration.mapped.0),
        }
    }
}

impl WaitingRecordView {
    pub fn of(feed: FeedId, record: MappedRecord) -> Self {
        Self {
            event: feed.event,
            source: feed.source,
            external_id: record.external_id,
            email: record.email,
            values: values(record.fields),
            event_values: event_values(record.event_fields),
            groups: record.groups.iter().map(|group| group.name.to_string()).collect(),
        }
    }
}
