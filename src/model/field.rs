//! Profile fields, event fields and their values.

use std::fmt;
use std::sync::Arc;

use compact_str::CompactString;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A field of a user's profile. `email` is the user's identity and kept apart; see [`super::Person`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Field {
    FirstName,
    LastName,
    Title,
    JobTitle,
    Company,
    Country,
    Biography,
    Phone,
    AdditionalInfo,
    /// `custom.<name>`, the name `[a-z0-9_]{1,64}`.
    Custom(Arc<str>),
}

/// What the names of fields begin with that are not in [`Field::STANDARD`].
const CUSTOM: &str = "custom.";

/// A name that is no field of this kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no such field")]
pub struct UnknownField;

impl Field {
    /// The fields every profile may have, with their names in config, API and journal.
    pub const STANDARD: [(Self, &'static str); 9] = [
        (Self::FirstName, "first_name"),
        (Self::LastName, "last_name"),
        (Self::Title, "title"),
        (Self::JobTitle, "job_title"),
        (Self::Company, "company"),
        (Self::Country, "country"),
        (Self::Biography, "biography"),
        (Self::Phone, "phone"),
        (Self::AdditionalInfo, "additional_info"),
    ];

    /// Without these (and an email) nobody becomes a user.
    pub const MANDATORY: [Self; 2] = [Self::FirstName, Self::LastName];

    pub fn parse(name: &str) -> Result<Self, UnknownField> {
        if let Some((field, _)) = Self::STANDARD.iter().find(|(_, standard)| *standard == name) {
            return Ok(field.clone());
        }
        let custom = name.strip_prefix(CUSTOM).ok_or(UnknownField)?;
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        if (1..=64).contains(&custom.len()) && custom.bytes().all(allowed) {
            Ok(Self::Custom(custom.into()))
        } else {
            Err(UnknownField)
        }
    }

    /// Its name in two parts, of which the first is empty for standard fields.
    pub fn name_parts(&self) -> (&'static str, &str) {
        if let Self::Custom(name) = self {
            return (CUSTOM, name);
        }
        let standard = Self::STANDARD.iter().find(|(field, _)| field == self);
        ("", standard.expect("every field but the custom ones is in STANDARD").1)
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, name) = self.name_parts();
        f.write_str(kind)?;
        f.write_str(name)
    }
}

/// A value of one attendee of one event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventField {
    /// The URL of a JPG, PNG or PDF.
    BadgeUrl,
    RegistrationType,
}

impl EventField {
    pub const ALL: [(Self, &'static str); 2] =
        [(Self::BadgeUrl, "badge_url"), (Self::RegistrationType, "registration_type")];

    pub fn parse(name: &str) -> Result<Self, UnknownField> {
        Self::ALL.iter().find(|(_, n)| *n == name).map(|(field, _)| *field).ok_or(UnknownField)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::BadgeUrl => "badge_url",
            Self::RegistrationType => "registration_type",
        }
    }
}

impl fmt::Display for EventField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

macro_rules! serde_by_name {
    ($type:ident) => {
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let name = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                Self::parse(&name).map_err(de::Error::custom)
            }
        }
    };
}

serde_by_name!(Field);
serde_by_name!(EventField);

/// A value of a field. Standard fields hold text; custom fields hold any kind.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Value {
    Text(CompactString),
    /// A JSON number as the source spelled it, so that no digit is lost.
    Number(CompactString),
    Bool(bool),
    List(Vec<CompactString>),
}

impl Value {
    /// The text of a text value, else `None`.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// When a source's value replaces one that is there already.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Overwrite {
    /// The source owns the field.
    #[default]
    Always,
    /// It fills the field where there is no value; from then on the value is anybody's.
    IfEmpty,
    /// It fills the field of a person who is made by this run.
    IfNew,
}

/// How a source's values get into one profile field.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FieldRule {
    pub overwrite: Overwrite,
    /// A blank from the source clears the field, where it would else keep what was there.
    pub clear_blank: bool,
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Bool(bool) => serializer.serialize_bool(*bool),
            Self::List(items) => items.serialize(serializer),
            Self::Number(number) => match number.parse::<serde_json::Number>() {
                Ok(number) => number.serialize(serializer),
                Err(_) => serializer.serialize_str(number),
            },
        }
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Value(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn field_names_round_trip() {
        for (field, name) in Field::STANDARD {
            assert_eq!(field.to_string(), name);
            assert_eq!(Field::parse(name), Ok(field));
        }
        assert_eq!(Field::parse("custom.diet").unwrap().to_string(), "custom.diet");
        for bad in ["", "name", "custom.", "custom.Diet", "custom.a b", "email"] {
            assert_eq!(Field::parse(bad), Err(UnknownField), "{bad}");
        }
        for (field, name) in EventField::ALL {
            assert_eq!((field.as_str(), EventField::parse(name)), (name, Ok(field)));
        }
    }

    #[test]
    fn numbers_keep_their_digits_as_far_as_json_can() {
        let json = |v: Value| serde_json::to_string(&v).unwrap();
        assert_eq!(json(Value::Number("12345678901234567".into())), "12345678901234567");
        assert_eq!(json(Value::Number("1.5".into())), "1.5");
        assert_eq!(json(Value::List(vec!["a".into()])), r#"["a"]"#);
    }
}
