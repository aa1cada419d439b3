//! `[source.<name>]`: an external system and how to read it.

use std::collections::BTreeSet;
use std::sync::Arc;

use url::Url;

use super::auth::read_auth;
use super::budget::{read_budget, read_budget_headers};
use super::credential::read_credentials;
use super::errors::read_errors;
use super::hook::{Below, read_hook, says};
use super::incremental::read_incremental;
use super::login::Logins;
use super::mapping::{Meaning, read_mapping};
use super::pagination::read_pagination;
use super::partition::{Parents, check_parents, read_partitions};
use super::push::read_pushes;
use super::request::{Claims, read_base_url, read_request};
use super::safety::read_safety;
use super::sign_in::read_source_of_logins;
use super::text::{Placeholders, template};
use crate::config::read::{Item, Section};
use crate::config::secret::Secrets;
use crate::config::{
    BodySpec, CURSOR, DeleteScope, HOOK_ID, JsonTemplate, PartitionSpec, RequestSpec, SourceLimits, SourceSpec,
    Template, Vars,
};
use crate::limits;
use crate::model::SourceName;

/// The params that a source's templates use and it does not give itself, without their `param.`: what each of its feeds
/// must give.
pub fn source_placeholders(source: &SourceSpec) -> BTreeSet<String> {
    let mut templates: Vec<_> = source.requests().flat_map(request_templates).collect();
    templates.extend(&source.edit_url);
    let placeholders = templates.into_iter().flat_map(Template::placeholders);
    let params = placeholders.filter_map(|name| name.strip_prefix("param."));
    let by_push = source.pushes.iter().flat_map(|push| push.templates()).flat_map(Template::placeholders);
    let params = params.chain(by_push.filter_map(|name| name.strip_prefix("param.")));
    let by_hook = source.hook.iter().filter_map(|hook| hook.event.as_ref()).map(|event| event.param.as_str());
    let pre_set: BTreeSet<String> = source.pre_set().map(|(name, _)| name).collect();
    params.chain(by_hook).filter(|name| !pre_set.contains(*name)).map(ToOwned::to_owned).collect()
}

pub(super) fn request_templates(request: &RequestSpec) -> Vec<&Template> {
    let mut templates = vec![&request.path];
    templates.extend(request.query.iter().chain(&request.headers).map(|(_, value)| value));
    match &request.body {
        BodySpec::None => {}
        BodySpec::Form(form) => templates.extend(form.iter().map(|(_, value)| value)),
        BodySpec::Json(json) => json_templates(json, &mut templates),
    }
    templates
}

fn json_templates<'a>(json: &'a JsonTemplate, templates: &mut Vec<&'a Template>) {
    match json {
        JsonTemplate::Literal(_) => {}
        JsonTemplate::Text(text) => templates.push(text),
        JsonTemplate::Array(items) => items.iter().for_each(|item| json_templates(item, templates)),
        JsonTemplate::Object(entries) => entries.iter().for_each(|(_, value)| json_templates(value, templates)),
    }
}

/// Reads one source. Its name was checked before.
pub(in crate::config) fn read_source(
    name: SourceName,
    mut section: Section<'_>,
    secrets: &Secrets<'_>,
) -> Option<Arc<SourceSpec>> {
    let login = section.section("login");
    if login.is_table() {
        return read_source_of_logins(name, section, login, secrets);
    }
    let allow_http = section.optional("allow_http").map_or(Some(false), |item| item.boolean());
    let base_url = read_base_url(&mut section, allow_http);
    let credentials = read_credentials(section.section("credential"));
    let priority = read_priority(&mut section);
    let edit_url = match section.optional("edit_url") {
        Some(item) => read_edit_url(&item).map(Some),
        None => Some(None),
    };
    let scopes = [("registration", DeleteScope::Registration), ("user", DeleteScope::User)];
    let delete_scope = section.choice("delete_scope", &scopes, DeleteScope::Registration);
    let safety = read_safety(&mut section);
    let mut claims = Claims::default();
    let mut parents = Parents::new();
    let partitions = read_partitions(&mut section, base_url.as_ref(), &mut parents);
    let request = read_request(section.section("request"), base_url.clone(), &mut claims);
    let request = request.filter(|request| is_below(request, &parents, partitions.is_some(), &section));
    let request = request.filter(|request| names_no_hook(request, &section));
    let incremental = read_incremental(section.section("incremental"), request.as_ref());
    let logins = Logins { secrets, base_url: base_url.clone(), allow_http };
    let auth = read_auth(section.section("auth"), &logins, &mut claims);
    let cursor = request.as_ref().map(|request| says(request, CURSOR));
    let pagination = read_pagination(section.section("pagination"), &mut claims, cursor);
    let errors = read_errors(section.list("error"));
    let mapping = read_mapping(&mut section, None);
    let select = mapping.as_ref().map(|meaning| &meaning.mapping.select);
    let hook = read_hook(section.section("hook"), Below { secrets, base_url: base_url.clone(), select });
    let pushes = read_pushes(section.section("push"), base_url.as_ref());
    let heaviest = request.iter().chain(partitions.iter().flatten().filter_map(PartitionSpec::request));
    let heaviest = heaviest.chain(hook.iter().flatten().filter_map(|hook| hook.request()));
    let heaviest = heaviest.chain(pushes.iter().flatten().map(|push| &push.request));
    let heaviest = heaviest.map(|request| request.weight).max();
    let budget = read_budget(section.list("budget"), heaviest);
    let budget_headers = read_budget_headers(section.section("budget_headers"));
    let limits = read_limits(section.section("limits"));
    section.finish();
    let (pagination, stable) = pagination?;
    let Meaning { format, mapping, empty_hint } = mapping?;
    Some(Arc::new(SourceSpec {
        name,
        credentials: credentials?,
        empty_hint,
        priority: priority?,
        edit_url: edit_url?,
        delete_scope: delete_scope?,
        safety: safety?,
        request: request?,
        auth: auth?,
        pagination,
        stable,
        partitions: partitions?,
        incremental: incremental?,
        hook: hook?,
        pushes: pushes?,
        sign_in: None,
        errors: errors?,
        format,
        mapping,
        budget: budget?,
        budget_headers: budget_headers?,
        limits: limits?,
    }))
}

pub(super) fn read_priority(section: &mut Section<'_>) -> Option<i32> {
    section.optional("priority").map_or(Some(0), |item| item.integer(i32::MIN..=i32::MAX))
}

/// Does the request name only parents that there are? Where their levels are faulty, nobody knows.
fn is_below(request: &RequestSpec, parents: &Parents, known: bool, section: &Section<'_>) -> bool {
    let place = section.place().key("request", section.place().line);
    let fault = |problem, mend| section.findings().fault(&place, problem, mend);
    !known || check_parents(request, parents, fault).is_some()
}

/// Only the request of a hook's record knows which one that is.
fn names_no_hook(request: &RequestSpec, section: &Section<'_>) -> bool {
    let named = says(request, HOOK_ID);
    if named {
        let place = section.place().key("request", section.place().line);
        let mend = "move it to record in [source.<name>.hook]";
        section.findings().fault(&place, "a list does not know {hook.id}", mend);
    }
    !named
}

/// The address that people are sent to: absolute, `https` or `http`, whatever its placeholders are.
pub(super) fn read_edit_url(item: &Item<'_>) -> Option<Template> {
    let edit_url = template(item, item.text()?, Placeholders::ParamsAndExternalId)?;
    let vars: Vars = edit_url.placeholders().map(|name| (name.to_owned(), "x".to_owned())).collect();
    let rendered = edit_url.render(&vars, str::to_owned).ok()?;
    if !Url::parse(&rendered).is_ok_and(|url| matches!(url.scheme(), "https" | "http")) {
        item.fault("must be an https address", r#"write e.g. "https://crm.example/people/{external_id}""#);
        return None;
    }
    Some(edit_url)
}

pub(super) fn read_limits(mut section: Section<'_>) -> Option<SourceLimits> {
    let mut duration = |key: &'static str, default, max| match section.optional(key) {
        Some(item) => item.duration(limits::TIMEOUT_MIN..=max),
        None => Some(default),
    };
    let connect_timeout = duration("connect_timeout", limits::CONNECT_TIMEOUT, limits::TIMEOUT_MAX);
    let idle_timeout = duration("idle_timeout", limits::IDLE_TIMEOUT, limits::TIMEOUT_MAX);
    let run_timeout = duration("run_timeout", limits::RUN_TIMEOUT, limits::RUN_TIMEOUT_MAX);
    let mut count = |key: &'static str, default, max| match section.optional(key) {
        Some(item) => item.integer(1..=max),
        None => Some(default),
    };
    let tries = count("tries", limits::REQUEST_TRIES, limits::REQUEST_TRIES_MAX);
    let concurrency = count("concurrency", 1, limits::CONCURRENCY_MAX);
    let pages_max = count("pages_max", limits::PAGES_MAX, limits::PAGES_SETTING_MAX);
    let page_bytes_max = match section.optional("page_bytes_max") {
        Some(item) => item.size(limits::PAGE_BYTES_SETTING_MIN..=limits::PAGE_BYTES_SETTING_MAX),
        None => Some(limits::PAGE_BYTES_MAX),
    };
    section.finish();
    Some(SourceLimits {
        connect_timeout: connect_timeout?,
        idle_timeout: idle_timeout?,
        run_timeout: run_timeout?,
        tries: tries?,
        page_bytes_max: page_bytes_max?,
        pages_max: pages_max?,
        concurrency: concurrency?,
    })
}
