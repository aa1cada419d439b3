//! The first page of a source: each record raw, and what would become of it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::model::{MappedRecord, Outcome, RecordState, Rejection, SkipReason, Value};
use crate::sync::PreviewRecord;

#[derive(Serialize, ToSchema)]
#[schema(as = Preview)]
pub struct PreviewView {
    pub event: String,
    pub source: String,
    /// Records on the page; only the first 100 are shown.
    pub page_records: usize,
    pub records: Vec<PreviewRecordView>,
}

/// A record of the source. One of `mapped`, `skip` and `reject` is not null.
#[derive(Serialize, ToSchema)]
#[schema(as = PreviewRecord)]
pub struct PreviewRecordView {
    /// As the source sent it.
    #[schema(value_type = Value)]
    raw: Option<Box<RawValue>>,
    mapped: Option<MappedView>,
    skip: Option<SkipView>,
    reject: Option<RejectView>,
}

/// What the mapping makes of a record.
#[derive(Serialize, ToSchema)]
#[schema(as = Mapped)]
struct MappedView {
    external_id: String,
    /// `attending`, `not_attending`, `cancelled` or `deleted`.
    state: &'static str,
    email: Option<String>,
    #[schema(value_type = Option<String>, format = DateTime)]
    updated_at: Option<Timestamp>,
    /// Values by field name.
    #[schema(value_type = BTreeMap<String, Value>)]
    fields: BTreeMap<String, Value>,
    /// Values of the attendee in this event, by name.
    #[schema(value_type = BTreeMap<String, Value>)]
    event_fields: BTreeMap<String, Value>,
    /// Names of groups.
    groups: Vec<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Skip)]
struct SkipView {
    reason: &'static str,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Reject)]
struct RejectView {
    external_id: Option<String>,
    reason: &'static str,
    /// The mapping key concerned; empty when no one key is.
    field: String,
}

impl PreviewRecordView {
    pub fn of(record: PreviewRecord) -> Self {
        // The record was cut out of a body that was checked to be JSON.
        let text = std::str::from_utf8(record.raw.bytes()).ok();
        let raw = text.and_then(|text| RawValue::from_string(text.to_owned()).ok());
        let mut view = Self { raw, mapped: None, skip: None, reject: None };
        match record.outcome {
            Outcome::Mapped(mapped) => view.mapped = Some(mapped.into()),
            Outcome::Skipped(reason) => view.skip = Some(reason.into()),
            Outcome::Rejected(rejection) => view.reject = Some(rejection.into()),
        }
        view
    }
}

impl From<MappedRecord> for MappedView {
    fn from(record: MappedRecord) -> Self {
        let state = match record.state {
            RecordState::Attending => "attending",
            RecordState::NotAttending => "not_attending",
            RecordState::Cancelled => "cancelled",
            RecordState::Deleted => "deleted",
        };
        Self {
            external_id: record.external_id.to_string(),
            state,
            email: record.email.map(|email| email.as_str().to_owned()),
            updated_at: record.updated_at,
            fields: record.fields.into_iter().map(|(field, value)| (field.to_string(), value)).collect(),
            event_fields: record.event_fields.into_iter().map(|(field, value)| (field.to_string(), value)).collect(),
            groups: record.groups.into_iter().map(|group| group.name.into()).collect(),
        }
    }
}

impl From<SkipReason> for SkipView {
    fn from(reason: SkipReason) -> Self {
        Self { reason: reason.as_str() }
    }
}

impl From<Rejection> for RejectView {
    fn from(Rejection { external_id, reason, field }: Rejection) -> Self {
        let external_id = external_id.map(|id| id.to_string());
        Self { external_id, reason: reason.as_str(), field: field.into() }
    }
}
