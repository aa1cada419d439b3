//! A mapping as the config declares it. Every expression is compiled, so a `MappingSpec` can always be used.

use std::collections::BTreeSet;

use crate::model::{EventField, Field, FieldRule, MappingKey};

use super::Expression;

/// How records are found in a page and what they mean.
#[derive(Debug, Clone)]
pub struct MappingSpec {
    /// From a page to its records, e.g. `.results[]`.
    pub select: Expression,
    /// `None`: the email key serves.
    pub external_id: Option<Expression>,
    pub email: Expression,
    /// Profile fields, ascending; first and last name are always there.
    pub fields: Vec<FieldSpec<Field>>,
    /// Event fields, ascending.
    pub event_fields: Vec<FieldSpec<EventField>>,
    pub updated_at: Option<Expression>,
    pub skip_when: Option<Expression>,
    pub delete_when: Option<Expression>,
    pub removed_when: Option<Expression>,
    pub attendee_when: Option<Expression>,
    /// Yields the names of groups: texts or lists of texts; null yields none.
    pub groups: Option<Expression>,
    /// Named groups for the records on which `when` is true.
    pub group_rules: Vec<GroupRule>,
    pub badge: BadgeKind,
    /// What no event may say otherwise.
    pub locked: BTreeSet<MappingKey>,
}

/// What a badge's URL may be. Another one is left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum BadgeKind {
    /// An https URL whose path ends like a JPG, PNG or PDF.
    #[default]
    File,
    /// Any https URL.
    Any,
}

impl MappingSpec {
    /// How a value gets into a profile field.
    pub fn rule(&self, field: &Field) -> FieldRule {
        self.fields.iter().find(|spec| spec.field == *field).map(|spec| spec.rule).unwrap_or_default()
    }

    /// Has some profile field a rule of its own?
    pub fn has_rules(&self) -> bool {
        self.fields.iter().any(|spec| spec.rule != FieldRule::default())
    }

    /// Every expression but `select`, which alone is evaluated on pages.
    pub(super) fn on_records(&self) -> impl Iterator<Item = &Expression> {
        let once = [
            self.external_id.as_ref(),
            Some(&self.email),
            self.updated_at.as_ref(),
            self.skip_when.as_ref(),
            self.delete_when.as_ref(),
            self.removed_when.as_ref(),
            self.attendee_when.as_ref(),
            self.groups.as_ref(),
        ];
        let fields = self.fields.iter().map(|field| &field.value);
        let event_fields = self.event_fields.iter().map(|field| &field.value);
        let rules = self.group_rules.iter().map(|rule| &rule.when);
        once.into_iter().flatten().chain(fields).chain(event_fields).chain(rules)
    }
}

#[derive(Debug, Clone)]
pub struct FieldSpec<F> {
    pub field: F,
    pub value: Expression,
    /// Event fields are always overwritten, for nobody else writes them.
    pub rule: FieldRule,
}

#[derive(Debug, Clone)]
pub struct GroupRule {
    pub name: String,
    pub when: Expression,
}
