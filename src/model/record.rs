//! What the mapping makes of one record of a source.

use compact_str::CompactString;
use jiff::Timestamp;

use super::{Email, EventField, ExternalId, Field, GroupName, Value};

/// Where a record stood in the list, both counted from 1 and 0: page 1 is the first, index 0 its first record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    pub page: u32,
    pub index: u32,
}

/// What a record says of its registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RecordState {
    /// The person attends the event.
    Attending,
    /// `attendee_when` was false: user and groups are kept, without attendance.
    NotAttending,
    /// `removed_when` was true: the registration is cancelled.
    Cancelled,
    /// `delete_when` was true: the person is to be deleted permanently.
    Deleted,
}

/// A record that the mapping accepted.
///
/// A record in state `Deleted` or `Cancelled` needs only its external id: a registration system often
/// blanks the rest. Such a record may come without email or with part of its fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MappedRecord {
    pub external_id: ExternalId,
    pub state: RecordState,
    pub email: Option<Email>,
    /// When the source changed it last.
    pub updated_at: Option<Timestamp>,
    /// Fields with a value, in ascending order of [`Field`]; a blank field is absent.
    pub fields: Vec<(Field, Value)>,
    /// Event fields with a value, ascending.
    pub event_fields: Vec<(EventField, Value)>,
    /// Ascending by key, each once.
    pub groups: Vec<GroupName>,
}

impl MappedRecord {
    /// Does it hold all that a user needs: email, first and last name?
    pub fn is_whole(&self) -> bool {
        let has = |wanted: &Field| self.fields.iter().any(|(field, _)| field == wanted);
        self.email.is_some() && Field::MANDATORY.iter().all(has)
    }
}

/// What became of one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Mapped(MappedRecord),
    /// A rule took it out. Its external id, where it could be read.
    Skipped(SkipReason, Option<ExternalId>),
    Rejected(Rejection),
}

/// Why a record changes nothing, though nothing is wrong with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SkipReason {
    /// `skip_when` was true.
    Filtered,
    /// It asks to delete somebody who is not here.
    UnknownDeleted,
    /// It cancels a registration that is not here, and holds too little to make one.
    UnknownCancelled,
    /// Another record with the same external id won.
    Duplicate,
    /// It would bring back somebody who was erased and is to stay out. In a plan that was cleaned: it told of them.
    Erased,
}

impl SkipReason {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Filtered => "filtered",
            Self::UnknownDeleted => "unknown_deleted",
            Self::UnknownCancelled => "unknown_cancelled",
            Self::Duplicate => "duplicate",
            Self::Erased => "erased",
        }
    }
}

/// A record that cannot be used. It holds no value of the record but its external id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// The record's external id, where it could be read.
    pub external_id: Option<ExternalId>,
    pub reason: RejectReason,
    /// The mapping key concerned, e.g. `email` or `custom.diet`; empty when no one key is.
    pub field: CompactString,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RejectReason {
    MissingField,
    InvalidEmail,
    FieldTooLong,
    NulCharacter,
    WrongType,
    InvalidUrl,
    InvalidTime,
    /// A jq expression failed on this record.
    ExpressionFailed,
    /// The new email of a known person is another user's.
    EmailTaken,
    /// Somebody signed in with an email that their provider has not verified.
    EmailUnverified,
}

impl RejectReason {
    pub const ALL: [Self; 10] = [
        Self::MissingField,
        Self::InvalidEmail,
        Self::FieldTooLong,
        Self::NulCharacter,
        Self::WrongType,
        Self::InvalidUrl,
        Self::InvalidTime,
        Self::ExpressionFailed,
        Self::EmailTaken,
        Self::EmailUnverified,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MissingField => "missing_field",
            Self::InvalidEmail => "invalid_email",
            Self::FieldTooLong => "field_too_long",
            Self::NulCharacter => "nul_character",
            Self::WrongType => "wrong_type",
            Self::InvalidUrl => "invalid_url",
            Self::InvalidTime => "invalid_time",
            Self::ExpressionFailed => "expression_failed",
            Self::EmailTaken => "email_taken",
            Self::EmailUnverified => "email_unverified",
        }
    }
}
