//! `[[source.<name>.partition]]`: lists that hang below other lists.

use std::collections::{BTreeMap, BTreeSet};

use url::Url;

use super::hook::says;
use super::pagination::read_pagination;
use super::request::{Claims, read_request};
use super::source::request_templates;
use super::text::{expression, is_param_name, optional_expression};
use crate::config::read::{Item, Section};
use crate::config::{CURSOR, HOOK_ID, PaginationSpec, ParentList, PartitionSpec, RequestSpec, SINCE};
use crate::limits::{PARENT_FIELDS_MAX, PARTITION_LEVELS_MAX, PARTITIONS_MAX};
use crate::mapping::Expression;

/// Fields of the parents above a request.
pub(super) type Parents = BTreeSet<String>;

/// Reads the levels, outermost first, and collects the names of their fields.
pub(super) fn read_partitions(
    source: &mut Section<'_>,
    base_url: Option<&Url>,
    parents: &mut Parents,
) -> Option<Vec<PartitionSpec>> {
    let mut levels = Some(Vec::new());
    for (level, section) in source.list("partition").into_iter().enumerate() {
        if level == PARTITION_LEVELS_MAX {
            let problem = format!("more than {PARTITION_LEVELS_MAX} levels of parents");
            section.findings().fault(section.place(), problem, "take the innermost list that names all of them");
            return None;
        }
        let read = read_level(section, base_url, parents);
        match (levels.as_mut(), read) {
            (Some(levels), Some(level)) => levels.push(level),
            _ => levels = None,
        }
    }
    levels
}

fn read_level(mut section: Section<'_>, base_url: Option<&Url>, parents: &mut Parents) -> Option<PartitionSpec> {
    let values = section.optional("values");
    let request = section.optional("request");
    let list = match (&values, request) {
        (None, Some(item)) => read_list(item, &mut section, base_url, parents).map(PartitionSpec::List),
        (Some(item), None) => read_values(item).map(PartitionSpec::Fixed),
        _ => {
            let mend = "write request = { path = \"…\" }, or values = [{ name = \"…\" }, …]";
            section.findings().fault(section.place(), "parents are either asked for or written down", mend);
            return None;
        }
    };
    let place = section.place().clone();
    let findings = section.findings();
    section.finish();
    let level = list?;
    for name in level.fields() {
        if !parents.insert(name.to_owned()) {
            findings.fault(&place, format!("a level above has a field '{name}', too"), "give it another name");
            return None;
        }
    }
    Some(level)
}

fn read_list(
    request: Item<'_>,
    section: &mut Section<'_>,
    base_url: Option<&Url>,
    parents: &Parents,
) -> Option<Box<ParentList>> {
    let mut claims = Claims::default();
    let place = request.place().clone();
    let findings = section.findings();
    let request = read_request(request.section_as("source.<name>.request"), base_url.cloned(), &mut claims);
    let cursor = request.as_ref().map(|request| says(request, CURSOR));
    let pagination = match section.optional("pagination") {
        Some(item) => read_pagination(item.section_as("source.<name>.pagination"), &mut claims, cursor),
        None => Some((PaginationSpec::None, false)),
    };
    let select = section
        .required("select", r#"write select = "…", where the list stands in a page, e.g. ".results[]""#)
        .and_then(|item| expression(&item));
    let skip_when = optional_expression(section, "skip_when");
    let fields = read_fields(section);
    let request = request?;
    if says(&request, SINCE) {
        findings.fault(&place, "a list of parents is always read whole, so that it cannot say {since}", "leave it out");
        return None;
    }
    if says(&request, HOOK_ID) {
        findings.fault(&place, "a list of parents does not know {hook.id}", "leave it out");
        return None;
    }
    check_parents(&request, parents, |problem, mend| findings.fault(&place, problem, mend))?;
    let (pagination, _) = pagination?;
    Some(Box::new(ParentList { request, pagination, select: select?, skip_when: skip_when?, fields: fields? }))
}

/// Is each `{parent.x}` of a request a field of a level above it?
pub(super) fn check_parents(request: &RequestSpec, parents: &Parents, fault: impl Fn(String, String)) -> Option<()> {
    let templates = request_templates(request);
    let named = templates.iter().flat_map(|template| template.placeholders()).filter_map(|p| p.strip_prefix("parent."));
    let unknown: BTreeSet<&str> = named.filter(|name| !parents.contains(*name)).collect();
    for name in &unknown {
        let known: Vec<&str> = parents.iter().map(String::as_str).collect();
        let mend = if known.is_empty() {
            "name it in fields of a [[source.<name>.partition]]".to_owned()
        } else {
            format!("the levels above have {}", known.join(", "))
        };
        fault(format!("no parent has a field '{name}'"), mend);
    }
    unknown.is_empty().then_some(())
}

fn read_fields(section: &mut Section<'_>) -> Option<Vec<(String, Expression)>> {
    let item = section.required("fields", r#"write what to take of each parent, e.g. fields = { event = ".slug" }"#)?;
    let named = item.clone().section().named();
    if named.is_empty() || named.len() > PARENT_FIELDS_MAX {
        item.fault(format!("must have 1 to {PARENT_FIELDS_MAX} fields"), r#"write e.g. fields = { event = ".slug" }"#);
        return None;
    }
    let field = |(name, item): (&str, Item<'_>)| {
        let value = expression(&item);
        check_name(&item, name)?;
        Some((name.to_owned(), value?))
    };
    // Collected before `?`, so that every faulty field is reported.
    let fields: Vec<_> = named.into_iter().map(field).collect();
    fields.into_iter().collect()
}

fn read_values(item: &Item<'_>) -> Option<Vec<BTreeMap<String, String>>> {
    let rows: Vec<_> = item.list()?.into_iter().map(read_row).collect();
    let rows = rows.into_iter().collect::<Option<Vec<_>>>()?;
    let fault = |problem: String, mend: &str| {
        item.fault(problem, mend);
        None
    };
    if rows.is_empty() || rows.len() > PARTITIONS_MAX {
        return fault(format!("must have 1 to {PARTITIONS_MAX} rows"), r#"write e.g. values = [{ city = "Wien" }]"#);
    }
    if rows.iter().any(|row| !row.keys().eq(rows[0].keys())) {
        return fault("the rows have different keys".into(), "give each row the same keys");
    }
    if rows.iter().collect::<BTreeSet<_>>().len() < rows.len() {
        return fault("two rows are the same".into(), "keep one of them");
    }
    Some(rows)
}

fn read_row(item: Item<'_>) -> Option<BTreeMap<String, String>> {
    let row = item.clone().section().named();
    if row.is_empty() || row.len() > PARENT_FIELDS_MAX {
        item.fault(format!("must have 1 to {PARENT_FIELDS_MAX} fields"), r#"write e.g. { city = "Wien" }"#);
        return None;
    }
    let field = |(name, item): (&str, Item<'_>)| {
        check_name(&item, name)?;
        Some((name.to_owned(), item.spelled()?))
    };
    let fields: Vec<_> = row.into_iter().map(field).collect();
    fields.into_iter().collect()
}

fn check_name(item: &Item<'_>, name: &str) -> Option<()> {
    if is_param_name(name) {
        return Some(());
    }
    item.fault("no name for a field", "use 1 to 64 letters, digits, '-' and '_'");
    None
}
