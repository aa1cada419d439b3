//! The model's words to the frozen structs and back, shared by people, entries and spooled records.

use std::sync::Arc;

use jiff::Timestamp;

use super::seal::{CodecError, Kind};
use super::symbols::{SymbolKind, Symbols};
use super::v1;
use crate::model::{
    Digest, Email, EventField, EventName, ExternalId, FeedId, Field, GroupKey, GroupName, MappedRecord, Position,
    RecordNote, RecordState, RegistrationState, RejectReason, SkipReason, SourceName, Value, Verdict,
};

/// A time from stored milliseconds.
pub fn millis(kind: Kind, at_ms: i64) -> Result<Timestamp, CodecError> {
    // The calendar's last second is a whole one, which `from_millisecond` does not take.
    let nanos = i32::try_from(at_ms.rem_euclid(1_000) * 1_000_000).unwrap_or_default();
    time(kind, at_ms.div_euclid(1_000), nanos)
}

/// A time from stored microseconds.
pub fn micros(kind: Kind, at_us: i64) -> Result<Timestamp, CodecError> {
    let nanos = i32::try_from(at_us.rem_euclid(1_000_000) * 1_000).unwrap_or_default();
    time(kind, at_us.div_euclid(1_000_000), nanos)
}

fn time(kind: Kind, second: i64, nanos: i32) -> Result<Timestamp, CodecError> {
    Timestamp::new(second, nanos).map_err(|_| CodecError::malformed(kind, "a time out of range"))
}

pub fn digest(bytes: [u8; 16]) -> Digest {
    Digest(u128::from_le_bytes(bytes))
}

pub fn event_name(symbols: &Symbols, number: u32) -> Result<EventName, CodecError> {
    symbols.name(SymbolKind::Event, number).map(EventName::from_stored)
}

pub fn source_name(symbols: &Symbols, number: u32) -> Result<SourceName, CodecError> {
    symbols.name(SymbolKind::Source, number).map(SourceName::from_stored)
}

pub fn group_key(symbols: &Symbols, number: u32) -> Result<GroupKey, CodecError> {
    symbols.name(SymbolKind::Group, number).map(GroupKey::from_stored)
}

pub fn feed(symbols: &Symbols, event: u32, source: u32) -> Result<FeedId, CodecError> {
    Ok(FeedId { event: event_name(symbols, event)?, source: source_name(symbols, source)? })
}

/// A name given in full, checked again: histories are read by name, not by symbol.
pub fn named_feed(kind: Kind, event: &str, source: &str) -> Result<FeedId, CodecError> {
    let malformed = |error| CodecError::malformed(kind, error);
    Ok(FeedId {
        event: EventName::or_community(event).map_err(malformed)?,
        source: SourceName::parse(source).map_err(malformed)?,
    })
}

pub fn field_to_v1(symbols: &mut Symbols, field: &Field) -> v1::Field {
    match field {
        Field::FirstName => v1::Field::FirstName,
        Field::LastName => v1::Field::LastName,
        Field::Title => v1::Field::Title,
        Field::JobTitle => v1::Field::JobTitle,
        Field::Company => v1::Field::Company,
        Field::Country => v1::Field::Country,
        Field::Biography => v1::Field::Biography,
        Field::Phone => v1::Field::Phone,
        Field::AdditionalInfo => v1::Field::AdditionalInfo,
        Field::Custom(name) => v1::Field::Custom(symbols.intern(SymbolKind::CustomField, name)),
    }
}

pub fn field_from_v1(symbols: &Symbols, field: v1::Field) -> Result<Field, CodecError> {
    Ok(match field {
        v1::Field::FirstName => Field::FirstName,
        v1::Field::LastName => Field::LastName,
        v1::Field::Title => Field::Title,
        v1::Field::JobTitle => Field::JobTitle,
        v1::Field::Company => Field::Company,
        v1::Field::Country => Field::Country,
        v1::Field::Biography => Field::Biography,
        v1::Field::Phone => Field::Phone,
        v1::Field::AdditionalInfo => Field::AdditionalInfo,
        v1::Field::Custom(number) => Field::Custom(symbols.name(SymbolKind::CustomField, number)?),
    })
}

pub fn event_field_to_v1(field: EventField) -> v1::EventField {
    match field {
        EventField::BadgeUrl => v1::EventField::BadgeUrl,
        EventField::RegistrationType => v1::EventField::RegistrationType,
    }
}

pub fn event_field_from_v1(field: v1::EventField) -> EventField {
    match field {
        v1::EventField::BadgeUrl => EventField::BadgeUrl,
        v1::EventField::RegistrationType => EventField::RegistrationType,
    }
}

pub fn value_to_v1(value: &Value) -> v1::Value<'_> {
    match value {
        Value::Text(text) => v1::Value::Text(text),
        Value::Number(number) => v1::Value::Number(number),
        Value::Bool(bool) => v1::Value::Bool(*bool),
        Value::List(items) => v1::Value::List(items.iter().map(|item| item.as_str()).collect()),
    }
}

pub fn value_from_v1(value: &v1::Value<'_>) -> Value {
    match value {
        v1::Value::Text(text) => Value::Text((*text).into()),
        v1::Value::Number(number) => Value::Number((*number).into()),
        v1::Value::Bool(bool) => Value::Bool(*bool),
        v1::Value::List(items) => Value::List(items.iter().map(|item| (*item).into()).collect()),
    }
}

pub fn registration_state_to_v1(state: RegistrationState) -> v1::RegistrationState {
    match state {
        RegistrationState::Attending => v1::RegistrationState::Attending,
        RegistrationState::NotAttending => v1::RegistrationState::NotAttending,
        RegistrationState::Cancelled => v1::RegistrationState::Cancelled,
    }
}

pub fn registration_state_from_v1(state: v1::RegistrationState) -> RegistrationState {
    match state {
        v1::RegistrationState::Attending => RegistrationState::Attending,
        v1::RegistrationState::NotAttending => RegistrationState::NotAttending,
        v1::RegistrationState::Cancelled => RegistrationState::Cancelled,
    }
}

fn record_state_to_v1(state: RecordState) -> v1::RecordState {
    match state {
        RecordState::Attending => v1::RecordState::Attending,
        RecordState::NotAttending => v1::RecordState::NotAttending,
        RecordState::Cancelled => v1::RecordState::Cancelled,
        RecordState::Deleted => v1::RecordState::Deleted,
    }
}

fn record_state_from_v1(state: v1::RecordState) -> RecordState {
    match state {
        v1::RecordState::Attending => RecordState::Attending,
        v1::RecordState::NotAttending => RecordState::NotAttending,
        v1::RecordState::Cancelled => RecordState::Cancelled,
        v1::RecordState::Deleted => RecordState::Deleted,
    }
}

pub fn record_to_v1<'a>(symbols: &mut Symbols, record: &'a MappedRecord) -> v1::MappedRecord<'a> {
    let mut field = |(field, value): &'a (Field, Value)| (field_to_v1(symbols, field), value_to_v1(value));
    let fields = record.fields.iter().map(&mut field).collect();
    let event_fields = record.event_fields.iter().map(|(f, v)| (event_field_to_v1(*f), value_to_v1(v))).collect();
    let mut group = |group: &'a GroupName| (symbols.intern(SymbolKind::Group, group.key.as_str()), group.name.as_str());
    v1::MappedRecord {
        external_id: record.external_id.as_str(),
        state: record_state_to_v1(record.state),
        email: record.email.as_ref().map(Email::as_str),
        updated_at_us: record.updated_at.map(Timestamp::as_microsecond),
        fields,
        event_fields,
        groups: record.groups.iter().map(&mut group).collect(),
    }
}

pub fn record_from_v1(symbols: &Symbols, record: &v1::MappedRecord<'_>) -> Result<MappedRecord, CodecError> {
    // Collecting results would not know how many there are.
    let mut fields = Vec::with_capacity(record.fields.len());
    for (field, value) in &record.fields {
        fields.push((field_from_v1(symbols, *field)?, value_from_v1(value)));
    }
    let mut groups = Vec::with_capacity(record.groups.len());
    for (key, name) in &record.groups {
        groups.push(GroupName { key: group_key(symbols, *key)?, name: (*name).into() });
    }
    Ok(MappedRecord {
        external_id: ExternalId::from_stored(record.external_id.into()),
        state: record_state_from_v1(record.state),
        email: record.email.map(|email| Email::from_stored(email.into())),
        updated_at: record.updated_at_us.map(|at| micros(Kind::SpoolItem, at)).transpose()?,
        fields,
        event_fields: record.event_fields.iter().map(|(f, v)| (event_field_from_v1(*f), value_from_v1(v))).collect(),
        groups,
    })
}

/// The pairs of model and frozen variants that have no content of their own.
macro_rules! same_variants {
    ($to:ident, $from:ident, $type:ident { $($variant:ident),+ $(,)? }) => {
        fn $to(value: $type) -> v1::$type {
            match value { $($type::$variant => v1::$type::$variant),+ }
        }

        fn $from(value: &v1::$type) -> $type {
            match value { $(v1::$type::$variant => $type::$variant),+ }
        }
    };
}

same_variants!(skip_to_v1, skip_from_v1, SkipReason { Filtered, UnknownDeleted, UnknownCancelled, Duplicate, Erased });
same_variants!(
    reject_to_v1,
    reject_from_v1,
    RejectReason {
        MissingField,
        InvalidEmail,
        FieldTooLong,
        NulCharacter,
        WrongType,
        InvalidUrl,
        InvalidTime,
        ExpressionFailed,
        EmailTaken,
        EmailUnverified,
    }
);

pub fn note_to_v1(note: &RecordNote) -> v1::RecordNote<'_> {
    v1::RecordNote {
        page: note.position.page,
        index: note.position.index,
        external_id: note.external_id.as_ref().map(ExternalId::as_str),
        verdict: match &note.verdict {
            Verdict::Skip(reason) => v1::Verdict::Skip(skip_to_v1(*reason)),
            Verdict::Reject { reason, field } => v1::Verdict::Reject { reason: reject_to_v1(*reason), field },
        },
    }
}

pub fn note_from_v1(note: &v1::RecordNote<'_>) -> RecordNote {
    RecordNote {
        position: Position { page: note.page, index: note.index },
        external_id: note.external_id.map(|id| ExternalId::from_stored(id.into())),
        verdict: match &note.verdict {
            v1::Verdict::Skip(reason) => Verdict::Skip(skip_from_v1(reason)),
            v1::Verdict::Reject { reason, field } => {
                Verdict::Reject { reason: reject_from_v1(reason), field: (*field).into() }
            }
        },
    }
}

/// The symbols new since `seen`, to be written before what uses them.
pub fn new_symbols(symbols: &Symbols, seen: [usize; 4]) -> Vec<(u8, Arc<str>)> {
    symbols.since(seen).map(|(kind, _, name)| (kind as u8, Arc::clone(name))).collect()
}

/// Takes up symbols written by [`new_symbols`]; the order gives them their numbers.
pub fn take_symbols(symbols: &mut Symbols, kind: Kind, new: &[(u8, &str)]) -> Result<(), CodecError> {
    for (byte, name) in new {
        let symbol =
            SymbolKind::from_byte(*byte).ok_or_else(|| CodecError::malformed(kind, "an unknown kind of symbol"))?;
        symbols.intern(symbol, name);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_that_is_written_can_be_read() {
        let near =
            |edge: Timestamp, nanos: i64| edge.checked_add(jiff::SignedDuration::from_nanos(nanos)).unwrap_or(edge);
        for at in [Timestamp::MIN, Timestamp::MAX, Timestamp::UNIX_EPOCH] {
            for nanos in [0, 1, -1, 999_999_999, -999_999_999, 500_000_000, -500_000_000, 1_000_000_000, -1_000_000_000]
            {
                let at = near(at, nanos);
                let (ms, us) = (millis(Kind::Run, at.as_millisecond()), micros(Kind::Run, at.as_microsecond()));
                assert_eq!(ms.unwrap().as_millisecond(), at.as_millisecond(), "{at}");
                assert_eq!(us.unwrap().as_microsecond(), at.as_microsecond(), "{at}");
            }
        }
        for out in [i64::MIN, i64::MAX] {
            assert!(millis(Kind::Run, out).is_err() && micros(Kind::Run, out).is_err());
        }
    }
}
