//! How an event maps a source.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use crate::mapping::{Expression, MappingSpec, Overrides};
use crate::model::{EventName, MappingKey, SourceName};

/// How an event maps a source, key by key.
#[derive(Serialize, ToSchema)]
#[schema(as = Mapping)]
pub struct MappingView {
    event: String,
    source: String,
    /// The event is declared in the configuration file, hence read-only here.
    provisioned: bool,
    keys: Vec<MappingKeyView>,
    /// All of it as another event can be given it: expressions by what they are for, an empty one for what the source maps and
    /// the event does not.
    mapping: BTreeMap<String, String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = MappingEntry)]
struct MappingKeyView {
    /// A field of a person or of an attendee, `external_id`, `updated_at`, `groups`, or a condition.
    key: String,
    /// What counts; null where it is not mapped.
    expression: Option<String>,
    /// What the source says.
    default: Option<String>,
    /// `default` or `event`: who says what counts.
    origin: &'static str,
    /// No event may say otherwise.
    locked: bool,
    /// Why what the event says does not count; null where it does.
    ignored: Option<String>,
}

impl MappingView {
    pub fn of(
        event: &EventName,
        source: &SourceName,
        provisioned: bool,
        spec: &MappingSpec,
        overrides: &Overrides,
    ) -> Self {
        let (effective, unusable) = spec.with(overrides);
        let text = |expression: Option<&Expression>| expression.map(|expression| expression.source().to_owned());
        let entry = |key: &MappingKey| {
            let ignored = unusable.iter().find(|(of, _)| of == key).map(|(_, why)| why.to_string());
            let is_own = overrides.contains_key(key) && ignored.is_none();
            MappingKeyView {
                key: key.to_string(),
                expression: text(effective.expression(key)),
                default: text(spec.expression(key)),
                origin: if is_own { "event" } else { "default" },
                locked: spec.locked.contains(key),
                ignored,
            }
        };
        let mut keys = spec.keys();
        keys.extend(overrides.keys().cloned());
        let keys: Vec<_> = keys.iter().map(entry).collect();
        let said = keys.iter().filter(|entry| entry.expression.is_some() || entry.default.is_some());
        let mapping = said.map(|entry| (entry.key.clone(), entry.expression.clone().unwrap_or_default())).collect();
        Self { event: event.to_string(), source: source.to_string(), provisioned, keys, mapping }
    }
}
