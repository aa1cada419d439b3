//! What a template may name.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use minijinja::Value as Shown;

use crate::model::{Attendance, Email, Event, EventField, EventName, Field, Person, ProfileField, UserId, Value};

/// What is known of the event, below `event`.
pub const EVENT_NAMES: [&str; 7] = ["name", "title", "zone", "starts_at", "starts_on", "ends_at", "ends_on"];

/// Every name that a template may use, where there are these custom fields.
pub fn names(customs: &BTreeSet<Arc<str>>) -> BTreeSet<String> {
    let fields = Field::STANDARD.iter().map(|(_, name)| (*name).to_owned());
    let of_event = EventField::ALL.iter().map(|(_, name)| (*name).to_owned());
    let event = EVENT_NAMES.iter().map(|name| format!("event.{name}"));
    let customs = customs.iter().map(|name| format!("custom.{name}"));
    ["email", "groups"]
        .map(str::to_owned)
        .into_iter()
        .chain(fields)
        .chain(of_event)
        .chain(event)
        .chain(customs)
        .collect()
}

/// The values of one person in one event. What they do not have is an empty text.
pub fn values(person: &Person, event: &Event, customs: &BTreeSet<Arc<str>>) -> Shown {
    let mut values: BTreeMap<&str, Shown> = BTreeMap::new();
    let empty = || Shown::from("");
    values.insert("email", person.email.as_str().into());
    values.insert("groups", person.groups().iter().map(|group| group.as_str().to_owned()).collect());
    for (field, name) in &Field::STANDARD {
        values.insert(name, person.value(field).map_or_else(empty, shown));
    }
    let fields = person.attendance(&event.name).map_or(&[][..], |attendance| &attendance.fields);
    for (field, name) in EventField::ALL {
        let value = fields.iter().find(|(known, _)| *known == field);
        values.insert(name, value.map_or_else(empty, |(_, value)| shown(value)));
    }
    let mut custom: BTreeMap<String, Shown> = customs.iter().map(|name| (name.to_string(), empty())).collect();
    for field in &person.profile {
        if let Field::Custom(name) = &field.field {
            custom.insert(name.to_string(), shown(&field.value));
        }
    }
    values.insert("custom", custom.into_iter().collect());
    values.insert("event", of_event(event));
    values.into_iter().collect()
}

fn of_event(event: &Event) -> Shown {
    let local = |at: Option<Timestamp>, format: &str| {
        at.map(|at| at.to_zoned(event.zone.clone()).strftime(format).to_string()).unwrap_or_default()
    };
    let values = [
        event.name.to_string(),
        event.title.clone(),
        event.zone.iana_name().unwrap_or("UTC").to_owned(),
        local(event.starts_at, "%Y-%m-%d %H:%M"),
        local(event.starts_at, "%Y-%m-%d"),
        local(event.ends_at, "%Y-%m-%d %H:%M"),
        local(event.ends_at, "%Y-%m-%d"),
    ];
    EVENT_NAMES.into_iter().zip(values).collect()
}

fn shown(value: &Value) -> Shown {
    match value {
        Value::Text(text) | Value::Number(text) => text.as_str().into(),
        Value::Bool(bool) => (*bool).into(),
        Value::List(items) => items.iter().map(|item| item.to_string()).collect(),
    }
}

/// Somebody who has a value for everything.
pub fn sample(event: &EventName, customs: &BTreeSet<Arc<str>>) -> Person {
    let example = |field: &Field| match field {
        Field::FirstName => "Ada",
        Field::LastName => "Lovelace",
        Field::Company => "Engines & Söhne",
        Field::Country => "GB",
        _ => "Example",
    };
    let standard = Field::STANDARD.iter().map(|(field, _)| field.clone());
    let fields = standard.chain(customs.iter().map(|name| Field::Custom(name.clone())));
    let profile =
        fields.map(|field| ProfileField { value: Value::Text(example(&field).into()), owner: None, field }).collect();
    let at = Timestamp::UNIX_EPOCH;
    let fields = EventField::ALL.into_iter().map(|(field, _)| (field, Value::Text("https://example.org/1.png".into())));
    let attendance = Attendance { event: event.clone(), active: true, changed_at: at, fields: fields.collect() };
    Person {
        id: UserId::from_u128(0),
        email: Email::from_stored("ada@example.org".into()),
        email_owner: None,
        profile,
        registrations: Vec::new(),
        attendances: vec![attendance],
        created_at: at,
        by_hand: None,
        journey: None,
    }
}
