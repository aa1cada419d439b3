//! `[source.<name>.records]`, `.mapping`, `.field`, `.states` and `.groups`: what a record means.

use std::collections::BTreeSet;

use super::field::read_rules;
use super::format::read_format;
use super::text::{expression, optional_expression};
use crate::config::read::{Item, Section, shown};
use crate::config::suggest::nearest;
use crate::decode::Format;
use crate::limits::GROUP_NAME_BYTES_MAX;
use crate::mapping::{BadgeKind, Expression, FieldSpec, GroupRule, MappingSpec};
use crate::model::{EventField, Field, FieldRule, GroupName, MappingKey};

/// What a page and its records mean.
pub(super) struct Meaning {
    pub format: Format,
    pub mapping: MappingSpec,
    pub empty_hint: Option<String>,
}

/// How a page is written, and the one mapping that the sections make.
/// `whole`: what finds the records where nothing is said.
pub(super) fn read_mapping(source: &mut Section<'_>, whole: Option<&str>) -> Option<Meaning> {
    let records = read_records(source.section("records"), whole);
    let mut section = source.section("mapping");
    let locked = read_locked(&mut section);
    let fields = read_fields(section);
    let fields = with_rules(fields, source.section("field"));
    let states = read_states(source.section("states"));
    let groups = read_groups(source.section("groups"));
    let (records, fields, states, groups, locked) = (records?, fields?, states?, groups?, locked?);
    let mapping = MappingSpec {
        select: records.select,
        skip_when: records.skip_when,
        external_id: fields.external_id,
        email: fields.email,
        fields: fields.fields,
        event_fields: fields.event_fields,
        updated_at: fields.updated_at,
        delete_when: states.delete_when,
        removed_when: states.removed_when,
        attendee_when: states.attendee_when,
        groups: groups.from,
        group_rules: groups.rules,
        badge: fields.badge,
        locked,
    };
    Some(Meaning { format: records.format, mapping, empty_hint: records.empty_hint })
}

/// `locked`: what no event may say otherwise.
fn read_locked(section: &mut Section<'_>) -> Option<BTreeSet<MappingKey>> {
    let items = section.optional("locked").map_or(Some(Vec::new()), |item| item.list())?;
    // Collected before `?`, so that every faulty name is reported.
    let keys: Vec<_> = items.iter().map(read_key).collect();
    keys.into_iter().collect()
}

/// The name of what a mapping says.
fn read_key(item: &Item<'_>) -> Option<MappingKey> {
    let name = item.text()?;
    let key = MappingKey::parse(name).ok();
    if key.is_none() {
        item.fault(format!("a mapping says no such thing (got {})", shown(name)), key_mend(name));
    }
    key
}

/// What to write in the place of a name that no mapping knows.
pub(super) fn key_mend(name: &str) -> String {
    let known: Vec<_> = MappingKey::standard().map(|key| key.to_string()).collect();
    match nearest(name, known.iter().map(String::as_str)) {
        Some(meant) => format!("did you mean {meant:?}?"),
        None => format!("use custom.<name> or one of {}", known.join(", ")),
    }
}

struct Records {
    format: Format,
    select: Expression,
    skip_when: Option<Expression>,
    empty_hint: Option<String>,
}

fn read_records(mut section: Section<'_>, whole: Option<&str>) -> Option<Records> {
    let format = read_format(&mut section);
    let select = match &format {
        // Their page is a list already.
        Some(Format::Ndjson | Format::Csv(_)) => match section.optional("select") {
            Some(item) => expression(&item),
            None => Some(all_items()),
        },
        _ => match (section.optional("select"), whole) {
            (Some(item), _) => expression(&item),
            (None, Some(whole)) => Expression::compile(whole).ok(),
            (None, None) => section
                .required("select", r#"write select = "…", where the list stands in a page, e.g. ".results[]""#)
                .and_then(|item| expression(&item)),
        },
    };
    let skip_when = optional_expression(&mut section, "skip_when");
    let empty_hint =
        section.optional("empty_hint").map_or(Some(None), |item| item.text().map(|text| Some(text.to_owned())));
    section.finish();
    Some(Records { format: format?, select: select?, skip_when: skip_when?, empty_hint: empty_hint? })
}

fn all_items() -> Expression {
    Expression::compile(".[]").expect("jq's own spelling of a list's items")
}

struct Fields {
    external_id: Option<Expression>,
    email: Expression,
    fields: Vec<FieldSpec<Field>>,
    event_fields: Vec<FieldSpec<EventField>>,
    updated_at: Option<Expression>,
    badge: BadgeKind,
}

fn read_fields(mut section: Section<'_>) -> Option<Fields> {
    let external_id = optional_expression(&mut section, "external_id");
    let email = required_expression(&mut section, "email");
    let mut fields = Some(Vec::new());
    for (field, key) in Field::STANDARD {
        let value = if Field::MANDATORY.contains(&field) {
            required_expression(&mut section, key).map(Some)
        } else {
            optional_expression(&mut section, key)
        };
        push(&mut fields, field, value);
    }
    let mut event_fields = Some(Vec::new());
    for (field, key) in EventField::ALL {
        let value = optional_expression(&mut section, key);
        push(&mut event_fields, field, value);
    }
    let updated_at = optional_expression(&mut section, "updated_at");
    let badge = section.choice("badge", &[("file", BadgeKind::File), ("any", BadgeKind::Any)], BadgeKind::default());
    read_custom(section.section("custom"), &mut fields);
    section.finish();
    let (mut fields, mut event_fields) = (fields?, event_fields?);
    fields.sort_by(|a, b| a.field.cmp(&b.field));
    event_fields.sort_by_key(|spec| spec.field);
    let (external_id, email, updated_at, badge) = (external_id?, email?, updated_at?, badge?);
    Some(Fields { external_id, email, fields, event_fields, updated_at, badge })
}

fn read_custom(section: Section<'_>, fields: &mut Option<Vec<FieldSpec<Field>>>) {
    for (name, item) in section.named() {
        let value = expression(&item).map(Some);
        match Field::parse(&format!("custom.{name}")) {
            Ok(field) => push(fields, field, value),
            Err(_) => {
                let problem = format!("no name for a custom field (got {})", shown(name));
                item.fault(problem, "use 1 to 64 of a-z, 0-9 and '_'");
                *fields = None;
            }
        }
    }
}

fn required_expression(section: &mut Section<'_>, key: &'static str) -> Option<Expression> {
    let mend = format!(r#"everybody needs one: write where it stands in a record, e.g. {key} = ".{key}""#);
    section.required(key, &mend).and_then(|item| expression(&item))
}

/// Adds a mapped field, skips one that is not mapped, and forgets everything when one is faulty.
fn push<F>(fields: &mut Option<Vec<FieldSpec<F>>>, field: F, value: Option<Option<Expression>>) {
    match (fields.as_mut(), value) {
        (Some(fields), Some(value)) => {
            fields.extend(value.map(|value| FieldSpec { field, value, rule: FieldRule::default() }));
        }
        _ => *fields = None,
    }
}

fn with_rules(fields: Option<Fields>, section: Section<'_>) -> Option<Fields> {
    let mut fields = fields?;
    read_rules(section, &mut fields.fields, &mut fields.event_fields);
    Some(fields)
}

struct States {
    removed_when: Option<Expression>,
    delete_when: Option<Expression>,
    attendee_when: Option<Expression>,
}

fn read_states(mut section: Section<'_>) -> Option<States> {
    let removed_when = optional_expression(&mut section, "removed_when");
    let delete_when = optional_expression(&mut section, "delete_when");
    let attendee_when = optional_expression(&mut section, "attendee_when");
    section.finish();
    Some(States { removed_when: removed_when?, delete_when: delete_when?, attendee_when: attendee_when? })
}

struct Groups {
    from: Option<Expression>,
    rules: Vec<GroupRule>,
}

fn read_groups(mut section: Section<'_>) -> Option<Groups> {
    let from = optional_expression(&mut section, "from");
    // Collected before `?`, so that every faulty rule is reported.
    let rules: Vec<_> = section.list("rule").into_iter().map(read_rule).collect();
    section.finish();
    Some(Groups { from: from?, rules: rules.into_iter().collect::<Option<_>>()? })
}

fn read_rule(mut section: Section<'_>) -> Option<GroupRule> {
    let name = section.required("name", r#"write the group's name, e.g. name = "VIP""#).and_then(|item| {
        let name = item.text()?;
        if name.len() > GROUP_NAME_BYTES_MAX || GroupName::new(name).is_none() {
            let problem = format!("must be a name of at most {GROUP_NAME_BYTES_MAX} bytes (got {})", shown(name));
            item.fault(problem, "shorten it");
            return None;
        }
        Some(name.trim().to_owned())
    });
    let when = section
        .required("when", r#"write a condition on the record, e.g. when = '.ticket == "VIP"'"#)
        .and_then(|item| expression(&item));
    section.finish();
    Some(GroupRule { name: name?, when: when? })
}
