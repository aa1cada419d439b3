//! One person as frozen structs. What a registration shares with the profile is not written twice.

use jiff::Timestamp;

use super::convert::{
    digest, event_field_from_v1, event_field_to_v1, event_name, feed, field_from_v1, field_to_v1, group_key, micros,
    millis, registration_state_from_v1, registration_state_to_v1, source_name, value_from_v1, value_to_v1,
};
use super::seal::{CodecError, Kind};
use super::symbols::{SymbolKind, Symbols};
use super::v1;
use crate::model::{
    Attendance, Email, EventField, ExternalId, Field, Owner, Person, ProfileField, Registration, UserId, Value,
};

/// The person without what was decided by hand and how far they came.
pub fn person_to_v1<'a>(symbols: &mut Symbols, person: &'a Person) -> v1::Person<'a> {
    let mut owners = Owners { listed: Vec::new(), stored: Vec::new() };
    let email_owner = owners.number(symbols, person.email_owner.as_ref());
    let mut profile = Vec::with_capacity(person.profile.len());
    for field in &person.profile {
        profile.push(v1::ProfileField {
            field: field_to_v1(symbols, &field.field),
            owner: owners.number(symbols, field.owner.as_ref()),
            value: value_to_v1(&field.value),
        });
    }
    let attendances = person.attendances.iter().map(|a| attendance_to_v1(symbols, a)).collect();
    let registrations = person.registrations.iter().map(|r| registration_to_v1(symbols, person, r)).collect();
    v1::Person {
        id: person.id.as_u128().to_le_bytes(),
        email: person.email.as_str(),
        email_owner,
        created_at_ms: person.created_at.as_millisecond(),
        owners: owners.stored,
        profile,
        registrations,
        attendances,
    }
}

/// The owners of one person, each once: mostly one, which owns every value.
struct Owners<'a> {
    listed: Vec<&'a Owner>,
    /// The same for storing.
    stored: Vec<v1::Owner>,
}

impl<'a> Owners<'a> {
    /// The number of an owner in the person's own list; past 255 different ones (never seen) the value counts as local.
    fn number(&mut self, symbols: &mut Symbols, owner: Option<&'a Owner>) -> u8 {
        let Some(owner) = owner else { return 0 };
        let same = |listed: &&Owner| std::ptr::eq(*listed, owner) || **listed == *owner;
        let at = self.listed.iter().position(same).unwrap_or_else(|| self.list(symbols, owner));
        u8::try_from(at + 1).unwrap_or(0)
    }

    fn list(&mut self, symbols: &mut Symbols, owner: &'a Owner) -> usize {
        let source = symbols.intern(SymbolKind::Source, owner.source.as_str());
        self.stored.push(v1::Owner { source, run: owner.run.0, at_ms: owner.at.as_millisecond() });
        self.listed.push(owner);
        self.listed.len() - 1
    }
}

fn registration_to_v1<'a>(symbols: &mut Symbols, person: &Person, r: &'a Registration) -> v1::Registration<'a> {
    let attendance = person.attendance(&r.feed.event);
    let in_attendance = |field: EventField| attendance?.fields.iter().find(|(f, _)| *f == field).map(|(_, v)| v);
    let event_field = |(field, value): &'a (EventField, Value)| {
        (event_field_to_v1(*field), (in_attendance(*field) != Some(value)).then(|| value_to_v1(value)))
    };
    let mut field = |(field, value): &'a (Field, Value)| {
        (field_to_v1(symbols, field), (person.value(field) != Some(value)).then(|| value_to_v1(value)))
    };
    let fields = r.fields.iter().map(&mut field).collect();
    v1::Registration {
        event: symbols.intern(SymbolKind::Event, r.feed.event.as_str()),
        source: symbols.intern(SymbolKind::Source, r.feed.source.as_str()),
        external_id: r.external_id.as_str(),
        email: (r.email != person.email).then(|| r.email.as_str()),
        state: registration_state_to_v1(r.state),
        absent_since: r.absent_since,
        updated_at_us: r.updated_at.map(Timestamp::as_microsecond),
        raw: r.raw.0.to_le_bytes(),
        mapped: r.mapped.0.to_le_bytes(),
        fields,
        event_fields: r.event_fields.iter().map(event_field).collect(),
        groups: r.groups.iter().map(|key| symbols.intern(SymbolKind::Group, key.as_str())).collect(),
    }
}

fn attendance_to_v1<'a>(symbols: &mut Symbols, a: &'a Attendance) -> v1::Attendance<'a> {
    v1::Attendance {
        event: symbols.intern(SymbolKind::Event, a.event.as_str()),
        active: a.active,
        changed_at_ms: a.changed_at.as_millisecond(),
        fields: a.fields.iter().map(|(f, v)| (event_field_to_v1(*f), value_to_v1(v))).collect(),
    }
}

/// The person without what was decided by hand and how far they came.
pub fn person_from_v1(symbols: &Symbols, stored: &v1::Person<'_>) -> Result<Person, CodecError> {
    let owner = |number: u8| owner_from_v1(symbols, &stored.owners, number);
    let mut person = Person {
        id: UserId::from_u128(u128::from_le_bytes(stored.id)),
        email: Email::from_stored(stored.email.into()),
        email_owner: owner(stored.email_owner)?,
        created_at: millis(Kind::Block, stored.created_at_ms)?,
        profile: Vec::with_capacity(stored.profile.len()),
        registrations: Vec::with_capacity(stored.registrations.len()),
        attendances: Vec::with_capacity(stored.attendances.len()),
        by_hand: None,
        journey: None,
    };
    for f in &stored.profile {
        let (field, value) = (field_from_v1(symbols, f.field)?, value_from_v1(&f.value));
        person.profile.push(ProfileField { field, value, owner: owner(f.owner)? });
    }
    for attendance in &stored.attendances {
        person.attendances.push(attendance_from_v1(symbols, attendance)?);
    }
    for registration in &stored.registrations {
        let registration = registration_from_v1(symbols, &person, registration)?;
        person.registrations.push(registration);
    }
    Ok(person)
}

fn owner_from_v1(symbols: &Symbols, owners: &[v1::Owner], number: u8) -> Result<Option<Owner>, CodecError> {
    let Some(at) = usize::from(number).checked_sub(1) else { return Ok(None) };
    let owner = owners.get(at).ok_or_else(|| CodecError::malformed(Kind::Block, "an owner that is not listed"))?;
    Ok(Some(Owner {
        source: source_name(symbols, owner.source)?,
        run: crate::model::RunId(owner.run),
        at: millis(Kind::Block, owner.at_ms)?,
    }))
}

fn registration_from_v1(
    symbols: &Symbols,
    person: &Person,
    stored: &v1::Registration<'_>,
) -> Result<Registration, CodecError> {
    let lost = || CodecError::malformed(Kind::Block, "a registration shares a value that the person does not have");
    let feed = feed(symbols, stored.event, stored.source)?;
    let mut fields = Vec::with_capacity(stored.fields.len());
    for (field, value) in &stored.fields {
        let field = field_from_v1(symbols, *field)?;
        let value = match value {
            Some(value) => value_from_v1(value),
            None => person.value(&field).ok_or_else(lost)?.clone(),
        };
        fields.push((field, value));
    }
    let shared = person.attendance(&feed.event).map_or(&[][..], |attendance| &attendance.fields);
    let mut event_fields = Vec::with_capacity(stored.event_fields.len());
    for (field, value) in &stored.event_fields {
        let field = event_field_from_v1(*field);
        let value = match value {
            Some(value) => value_from_v1(value),
            None => shared.iter().find(|(f, _)| *f == field).map(|(_, v)| v.clone()).ok_or_else(lost)?,
        };
        event_fields.push((field, value));
    }
    Ok(Registration {
        external_id: ExternalId::from_stored(stored.external_id.into()),
        email: stored.email.map_or_else(|| person.email.clone(), |email| Email::from_stored(email.into())),
        state: registration_state_from_v1(stored.state),
        absent_since: stored.absent_since,
        updated_at: stored.updated_at_us.map(|at| micros(Kind::Block, at)).transpose()?,
        raw: digest(stored.raw),
        mapped: digest(stored.mapped),
        fields,
        event_fields,
        groups: stored.groups.iter().map(|key| group_key(symbols, *key)).collect::<Result<_, _>>()?,
        feed,
    })
}

fn attendance_from_v1(symbols: &Symbols, stored: &v1::Attendance<'_>) -> Result<Attendance, CodecError> {
    Ok(Attendance {
        event: event_name(symbols, stored.event)?,
        active: stored.active,
        changed_at: millis(Kind::Block, stored.changed_at_ms)?,
        fields: stored.fields.iter().map(|(f, v)| (event_field_from_v1(*f), value_from_v1(v))).collect(),
    })
}
