//! What digests are taken of: the mapping itself, and a mapped record as unambiguous bytes.

use super::{BadgeKind, Expression, MappingSpec};
use crate::model::{Digest, Field, FieldRule, MappedRecord, Overwrite, RecordState, Value};

/// Raised when the same mapping begins to read the same record differently, so that records are read anew.
const MAPPING_VERSION: &[u8] = b"mapping 1";

/// Most mapped records take less, encoded.
const USUAL_BYTES: usize = 1024;

/// A number that stands for the mapping: every expression, with what it is for.
pub(super) fn seed(spec: &MappingSpec) -> u64 {
    let mut parts = vec![MAPPING_VERSION.to_vec()];
    let mut add = |name: &str, expression: Option<&Expression>| {
        parts.push(name.as_bytes().to_vec());
        parts.push(expression.map_or_else(Vec::new, |expression| expression.source().as_bytes().to_vec()));
    };
    add("select", Some(&spec.select));
    add("external_id", spec.external_id.as_ref());
    add("email", Some(&spec.email));
    add("updated_at", spec.updated_at.as_ref());
    add("skip_when", spec.skip_when.as_ref());
    add("delete_when", spec.delete_when.as_ref());
    add("removed_when", spec.removed_when.as_ref());
    add("attendee_when", spec.attendee_when.as_ref());
    add("groups", spec.groups.as_ref());
    for field in &spec.fields {
        add(&format!("field {}", field.field), Some(&field.value));
    }
    for field in &spec.event_fields {
        add(&format!("event field {}", field.field), Some(&field.value));
    }
    // Of the usual kind nothing is said, so that digests of before there was another hold.
    if spec.badge == BadgeKind::Any {
        add("any badge", None);
    }
    for rule in &spec.group_rules {
        add(&format!("group {}", rule.name), Some(&rule.when));
    }
    // Of the usual rule nothing is said, so that digests of before there were rules hold.
    let rules = spec.fields.iter().map(|of| (of.field.to_string(), of.rule));
    let rules = rules.chain(spec.event_fields.iter().map(|of| (of.field.to_string(), of.rule)));
    for (field, FieldRule { overwrite, clear_blank }) in rules.filter(|(_, rule)| *rule != FieldRule::default()) {
        let overwrite = match overwrite {
            Overwrite::Always => 0,
            Overwrite::IfEmpty => 1,
            Overwrite::IfNew => 2,
        };
        parts.push(format!("rule {field}").into_bytes());
        parts.push(vec![overwrite, u8::from(clear_blank)]);
    }
    let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
    Digest::seed(&parts)
}

/// A mapped record as bytes. Every part says its length or is of fixed length, so two records have the same
/// bytes only if they are equal.
pub(super) fn encode(record: &MappedRecord) -> Vec<u8> {
    let MappedRecord { external_id, state, email, updated_at, fields, event_fields, groups } = record;
    let mut bytes = Bytes(Vec::with_capacity(USUAL_BYTES));
    bytes.0.push(match state {
        RecordState::Attending => 0,
        RecordState::NotAttending => 1,
        RecordState::Cancelled => 2,
        RecordState::Deleted => 3,
    });
    bytes.text(external_id.as_str());
    bytes.count(email.iter().len());
    email.iter().for_each(|email| bytes.text(email.as_str()));
    bytes.count(updated_at.iter().len());
    updated_at.iter().for_each(|at| bytes.0.extend_from_slice(&at.as_nanosecond().to_le_bytes()));
    bytes.count(fields.len());
    for (field, value) in fields {
        bytes.field(field);
        bytes.value(value);
    }
    bytes.count(event_fields.len());
    for (field, value) in event_fields {
        bytes.text(field.as_str());
        bytes.value(value);
    }
    bytes.count(groups.len());
    for group in groups {
        bytes.text(group.key.as_str());
        bytes.text(&group.name);
    }
    bytes.0
}

struct Bytes(Vec<u8>);

impl Bytes {
    fn count(&mut self, count: usize) {
        self.0.extend_from_slice(&(count as u64).to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.count(text.len());
        self.0.extend_from_slice(text.as_bytes());
    }

    fn field(&mut self, field: &Field) {
        let (kind, name) = field.name_parts();
        self.count(kind.len() + name.len());
        self.0.extend_from_slice(kind.as_bytes());
        self.0.extend_from_slice(name.as_bytes());
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::Text(text) => {
                self.0.push(0);
                self.text(text);
            }
            Value::Number(spelled) => {
                self.0.push(1);
                self.text(spelled);
            }
            Value::Bool(value) => self.0.extend_from_slice(&[2, u8::from(*value)]),
            Value::List(items) => {
                self.0.push(3);
                self.count(items.len());
                items.iter().for_each(|item| self.text(item));
            }
        }
    }
}
