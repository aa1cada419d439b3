//! `[source.<name>.push.<name>]`: what goes back to a source, and how.

use std::collections::BTreeSet;
use std::sync::Arc;

use url::Url;

use super::request::{Claims, read_headers, read_path, read_query};
use super::text::{Placeholders, expression, is_param_name, optional_expression};
use crate::config::read::{Item, Section, shown};
use crate::config::{BodySpec, Method, PassValue, PushSpec, RequestSpec};
use crate::limits::{
    PARENT_FIELDS_MAX, PUSH_BATCH_MAX, PUSH_EVERY, PUSH_EVERY_MAX, PUSH_EVERY_MIN, TITLE_BYTES_MAX, WINDOW_REQUESTS_MAX,
};
use crate::mapping::Expression;
use crate::model::PushName;

const METHODS: [(&str, Method); 3] = [("POST", Method::Post), ("PUT", Method::Put), ("PATCH", Method::Patch)];

pub(super) fn read_pushes(section: Section<'_>, base_url: Option<&Url>) -> Option<Vec<Arc<PushSpec>>> {
    // Collected before `?`, so that every faulty one is reported.
    let pushes: Vec<_> = section.named().into_iter().map(|(name, item)| read_push(name, item, base_url)).collect();
    pushes.into_iter().collect()
}

fn read_push(name: &str, item: Item<'_>, base_url: Option<&Url>) -> Option<Arc<PushSpec>> {
    let name = match PushName::parse(name) {
        Ok(name) => name,
        Err(error) => {
            item.fault(format!("no legal name (got {})", shown(name)), error.to_string());
            return None;
        }
    };
    let mut section = item.section();
    let description = section.optional("description").map_or(Some(None), |item| read_description(&item).map(Some));
    let request = read_request(&mut section, base_url);
    let fields = read_fields(section.section("item"));
    let mend = r#"write the body as jq, e.g. body = "[.items[] | {id: .external_id, url: .webapp_link}]""#;
    let body = section.required("body", mend).and_then(|item| expression(&item));
    let batch = section.optional("batch").map_or(Some(1), |item| item.integer(1..=PUSH_BATCH_MAX));
    let every =
        section.optional("every").map_or(Some(PUSH_EVERY), |item| item.duration(PUSH_EVERY_MIN..=PUSH_EVERY_MAX));
    let withdraw = section.optional("withdraw").map_or(Some(true), |item| item.boolean());
    let refused = optional_expression(&mut section, "refused");
    let confirm = read_confirm(section.section("confirm"));
    let sound = names_known_items(&section, request.as_ref(), fields.as_deref(), batch);
    section.finish();
    let push = PushSpec {
        name,
        description: description?,
        request: request?,
        fields: fields?,
        body: body?,
        batch: batch?,
        every: every?,
        withdraw: withdraw?,
        refused: refused?,
        confirm: confirm?,
    };
    sound.then(|| Arc::new(push))
}

fn read_description(item: &Item<'_>) -> Option<String> {
    let text = item.text()?;
    if text.len() > TITLE_BYTES_MAX || text.contains(char::is_control) {
        item.fault(format!("must be at most {TITLE_BYTES_MAX} bytes on one line"), "shorten it");
        return None;
    }
    Some(text.to_owned())
}

fn read_request(section: &mut Section<'_>, base_url: Option<&Url>) -> Option<RequestSpec> {
    let mut claims = Claims::default();
    let method = section.choice("method", &METHODS, Method::Post);
    let path = section
        .required("path", r#"write path = "…", where the source takes it, below base_url"#)
        .and_then(|item| read_path(&item, base_url, Placeholders::ParamsAndItem));
    let query = read_query(section.section("query"), &mut claims, Placeholders::ParamsAndItem);
    let headers = read_headers(section.section("headers"), &mut claims, Placeholders::ParamsAndItem);
    let weight = section.optional("weight").map_or(Some(1), |item| item.integer(1..=WINDOW_REQUESTS_MAX));
    let base_url = base_url.cloned();
    let (query, headers, weight) = (query?, headers?, weight?);
    Some(RequestSpec {
        method: method?,
        base_url: base_url?,
        path: path?,
        query,
        headers,
        body: BodySpec::None,
        weight,
    })
}

/// `item`: what to take of an item for the request's templates.
fn read_fields(section: Section<'_>) -> Option<Vec<(String, Expression)>> {
    let place = section.place().clone();
    let findings = section.findings();
    let named = section.named();
    if named.len() > PARENT_FIELDS_MAX {
        findings.fault(&place, format!("must have at most {PARENT_FIELDS_MAX} fields"), "leave some out");
        return None;
    }
    let field = |(name, item): (&str, Item<'_>)| {
        let value = expression(&item);
        if !is_param_name(name) {
            item.fault("no name for a field", "use 1 to 64 letters, digits, '-' and '_'");
            return None;
        }
        Some((name.to_owned(), value?))
    };
    let fields: Vec<_> = named.into_iter().map(field).collect();
    fields.into_iter().collect()
}

fn read_confirm(mut section: Section<'_>) -> Option<Vec<(PassValue, Expression)>> {
    let read = |value: PassValue| optional_expression(&mut section, value.as_str()).map(|found| (value, found));
    let found: Vec<_> = PassValue::ALL.map(read).into();
    section.finish();
    let found: Vec<_> = found.into_iter().collect::<Option<_>>()?;
    Some(found.into_iter().filter_map(|(value, expression)| Some((value, expression?))).collect())
}

/// Does each `{item.x}` stand for something, and is there one item for it?
fn names_known_items(
    section: &Section<'_>,
    request: Option<&RequestSpec>,
    fields: Option<&[(String, Expression)]>,
    batch: Option<u32>,
) -> bool {
    let (Some(request), Some(fields)) = (request, fields) else { return true };
    let RequestSpec { path, query, headers, .. } = request;
    let templates = query.iter().chain(headers).map(|(_, value)| value).chain([path]);
    let said: BTreeSet<&str> =
        templates.flat_map(|template| template.placeholders()).filter_map(|name| name.strip_prefix("item.")).collect();
    let fault = |problem: String, mend: &str| section.findings().fault(section.place(), problem, mend);
    let unknown: Vec<_> = said.iter().filter(|name| !fields.iter().any(|(field, _)| field == *name)).collect();
    for name in &unknown {
        let mend = r#"name it in item, e.g. item = { code = ".external_id" }"#;
        fault(format!("{{item.{name}}} stands for nothing"), mend);
    }
    let is_several = !said.is_empty() && batch.is_some_and(|batch| batch > 1);
    if is_several {
        fault("a request of several items cannot say {item.x}".into(), "write batch = 1");
    }
    unknown.is_empty() && !is_several
}
