//! What an event says of a mapping otherwise: an expression in the place of the source's, or nothing in its place.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::{Expression, ExpressionError, FieldSpec, MappingSpec};
use crate::model::{FieldRule, MappingKey};

/// Expressions by what they are for; an empty one: it is not mapped.
pub type Overrides = BTreeMap<MappingKey, String>;

/// Why an override cannot be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unusable {
    /// The source says that no event changes it.
    Locked,
    /// Nobody is without one.
    Mandatory,
    Expression(ExpressionError),
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Locked => f.write_str("the source locks it: every event has it as the source says"),
            Self::Mandatory => f.write_str("everybody needs one, so that it cannot be left unmapped"),
            Self::Expression(error) => f.write_str(error.reason()),
        }
    }
}

impl MappingSpec {
    /// What is said for a key.
    pub fn expression(&self, key: &MappingKey) -> Option<&Expression> {
        match key {
            MappingKey::ExternalId => self.external_id.as_ref(),
            MappingKey::Email => Some(&self.email),
            MappingKey::Field(field) => self.fields.iter().find(|spec| spec.field == *field).map(|spec| &spec.value),
            MappingKey::EventField(field) => {
                self.event_fields.iter().find(|spec| spec.field == *field).map(|spec| &spec.value)
            }
            MappingKey::UpdatedAt => self.updated_at.as_ref(),
            MappingKey::SkipWhen => self.skip_when.as_ref(),
            MappingKey::DeleteWhen => self.delete_when.as_ref(),
            MappingKey::RemovedWhen => self.removed_when.as_ref(),
            MappingKey::AttendeeWhen => self.attendee_when.as_ref(),
            MappingKey::Groups => self.groups.as_ref(),
        }
    }

    /// Every key that it says something for, or could.
    pub fn keys(&self) -> BTreeSet<MappingKey> {
        let fields = self.fields.iter().map(|spec| MappingKey::Field(spec.field.clone()));
        fields.chain(MappingKey::standard()).collect()
    }

    /// The mapping with what an event says otherwise. Those that cannot be are left out, and told; the rest holds.
    pub fn with(&self, overrides: &Overrides) -> (Self, Vec<(MappingKey, Unusable)>) {
        let (mut spec, mut unusable) = (self.clone(), Vec::new());
        for (key, text) in overrides {
            if let Err(why) = spec.set(key, text) {
                unusable.push((key.clone(), why));
            }
        }
        (spec, unusable)
    }

    /// As it is said in another event, as overrides of what this mapping says; what both say alike needs none.
    pub fn overrides_to(&self, wanted: &Overrides) -> Overrides {
        let is_said = |key: &MappingKey, text: &str| self.expression(key).map_or("", Expression::source) == text;
        wanted.iter().filter(|(key, text)| !is_said(key, text)).map(|(key, text)| (key.clone(), text.clone())).collect()
    }

    fn set(&mut self, key: &MappingKey, text: &str) -> Result<(), Unusable> {
        if self.locked.contains(key) {
            return Err(Unusable::Locked);
        }
        let value = match text.trim() {
            "" if key.is_mandatory() => return Err(Unusable::Mandatory),
            "" => None,
            _ => Some(Expression::compile(text).map_err(Unusable::Expression)?),
        };
        match key {
            MappingKey::ExternalId => self.external_id = value,
            MappingKey::Email => self.email = value.unwrap_or_else(|| self.email.clone()),
            MappingKey::Field(field) => put(&mut self.fields, field, value),
            MappingKey::EventField(field) => put(&mut self.event_fields, field, value),
            MappingKey::UpdatedAt => self.updated_at = value,
            MappingKey::SkipWhen => self.skip_when = value,
            MappingKey::DeleteWhen => self.delete_when = value,
            MappingKey::RemovedWhen => self.removed_when = value,
            MappingKey::AttendeeWhen => self.attendee_when = value,
            MappingKey::Groups => self.groups = value,
        }
        Ok(())
    }
}

/// Keeps the fields ascending. One that was mapped keeps its rule.
fn put<F: Ord + Clone>(fields: &mut Vec<FieldSpec<F>>, field: &F, value: Option<Expression>) {
    match (fields.binary_search_by(|spec| spec.field.cmp(field)), value) {
        (Ok(at), Some(value)) => fields[at].value = value,
        (Ok(at), None) => drop(fields.remove(at)),
        (Err(at), Some(value)) => {
            fields.insert(at, FieldSpec { field: field.clone(), value, rule: FieldRule::default() });
        }
        (Err(_), None) => {}
    }
}
