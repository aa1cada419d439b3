//! What a mapping says one by one, so that an event can say it otherwise.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{EventField, Field, UnknownField};

/// One expression of a mapping: what a field is filled from, or a condition. Spelled as the field, or as the condition is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MappingKey {
    ExternalId,
    Email,
    Field(Field),
    EventField(EventField),
    UpdatedAt,
    SkipWhen,
    DeleteWhen,
    RemovedWhen,
    AttendeeWhen,
    /// The names of groups.
    Groups,
}

impl MappingKey {
    /// Those that are neither a profile field nor an event field, with their names and their places below a source.
    const OTHERS: [(Self, &'static str, &'static str); 8] = [
        (Self::ExternalId, "external_id", "mapping.external_id"),
        (Self::Email, "email", "mapping.email"),
        (Self::UpdatedAt, "updated_at", "mapping.updated_at"),
        (Self::SkipWhen, "skip_when", "records.skip_when"),
        (Self::DeleteWhen, "delete_when", "states.delete_when"),
        (Self::RemovedWhen, "removed_when", "states.removed_when"),
        (Self::AttendeeWhen, "attendee_when", "states.attendee_when"),
        (Self::Groups, "groups", "groups.from"),
    ];

    /// # Errors
    /// There is no such field and no such condition.
    pub fn parse(name: &str) -> Result<Self, UnknownField> {
        if let Some((key, ..)) = Self::OTHERS.iter().find(|(_, known, _)| *known == name) {
            return Ok(key.clone());
        }
        Field::parse(name).map(Self::Field).or_else(|_| EventField::parse(name).map(Self::EventField))
    }

    /// Every one but custom fields, in the order in which a mapping is shown.
    pub fn standard() -> impl Iterator<Item = Self> {
        let fields = Field::STANDARD.into_iter().map(|(field, _)| Self::Field(field));
        let event_fields = EventField::ALL.into_iter().map(|(field, _)| Self::EventField(field));
        let others = Self::OTHERS.into_iter().map(|(key, ..)| key);
        let mut keys: Vec<_> = fields.chain(event_fields).chain(others).collect();
        keys.sort();
        keys.into_iter()
    }

    /// May a mapping not be without it?
    pub fn is_mandatory(&self) -> bool {
        match self {
            Self::Email => true,
            Self::Field(field) => Field::MANDATORY.contains(field),
            _ => false,
        }
    }

    /// Where a source says it in the configuration, e.g. `mapping.company`.
    pub fn place(&self) -> Cow<'static, str> {
        match Self::OTHERS.iter().find(|(key, ..)| key == self) {
            Some((.., place)) => (*place).into(),
            None => format!("mapping.{self}").into(),
        }
    }
}

impl fmt::Display for MappingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(field) => field.fmt(f),
            Self::EventField(field) => field.fmt(f),
            other => {
                let name = Self::OTHERS.iter().find(|(key, ..)| key == other).map(|(_, name, _)| *name);
                f.write_str(name.expect("every key but the fields is among the others"))
            }
        }
    }
}

impl Serialize for MappingKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for MappingKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&Cow::<'de, str>::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back_and_places_are_those_of_a_source() {
        let keys: Vec<_> = MappingKey::standard().collect();
        assert_eq!(keys.len(), 19);
        for key in &keys {
            assert_eq!(MappingKey::parse(&key.to_string()).as_ref(), Ok(key));
        }
        for (name, place) in [
            ("company", "mapping.company"),
            ("custom.vat", "mapping.custom.vat"),
            ("badge_url", "mapping.badge_url"),
            ("groups", "groups.from"),
            ("skip_when", "records.skip_when"),
        ] {
            assert_eq!(MappingKey::parse(name).unwrap().place(), place);
        }
        for name in ["", "select", "custom.", "custom.A", "Email"] {
            assert_eq!(MappingKey::parse(name), Err(UnknownField), "{name}");
        }
    }
}
