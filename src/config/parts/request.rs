//! `[source.<name>]`'s `base_url` and `[source.<name>.request]`.

use std::collections::BTreeSet;

use url::{Host, Url};

use super::text::{Placeholders, check_header_name, is_header_text, template};
use crate::config::read::{Children, Item, Section};
use crate::config::{BodySpec, JsonTemplate, Method, RequestSpec, Template, Vars};
use crate::limits;

/// Headers that carry a credential: their place is `[source.<name>.auth]`, where secrets cannot print.
const CREDENTIAL_HEADERS: [&str; 2] = ["authorization", "cookie"];

/// The names that a source's request already uses, so that no other setting writes over them.
#[derive(Default)]
pub(super) struct Claims {
    query: BTreeSet<String>,
    /// In lower case: header names are case-insensitive (RFC 9110 §5.1).
    headers: BTreeSet<String>,
    /// `None`: there is no body.
    body: Option<BTreeSet<String>>,
}

impl Claims {
    pub fn has_body(&self) -> bool {
        self.body.is_some()
    }

    pub fn claim_query(&mut self, item: &Item<'_>, name: &str) -> Option<()> {
        claimed(self.query.insert(name.to_owned()), item, "query parameter")
    }

    pub fn claim_header(&mut self, item: &Item<'_>, name: &str) -> Option<()> {
        claimed(self.headers.insert(name.to_ascii_lowercase()), item, "header")
    }

    pub fn claim_body(&mut self, item: &Item<'_>, name: &str) -> Option<()> {
        let free = self.body.as_mut().is_none_or(|keys| keys.insert(name.to_owned()));
        claimed(free, item, "key of the body")
    }
}

fn claimed(free: bool, item: &Item<'_>, what: &str) -> Option<()> {
    if !free {
        item.fault(format!("this {what} is set twice"), "keep one of the two settings");
    }
    free.then_some(())
}

/// `source.<name>.base_url`, ending in `/`. Its text is never shown: it may hold a password.
pub(super) fn read_base_url(section: &mut Section<'_>, allow_http: Option<bool>) -> Option<Url> {
    let item = section.required("base_url", r#"write base_url = "https://…""#)?;
    let text = item.text()?;
    let Ok(mut url) = Url::parse(text) else {
        item.fault("must be an address", r#"write e.g. "https://crm.example/api/""#);
        return None;
    };
    let fault = |problem: &str, mend: &str| {
        item.fault(problem, mend);
        None::<Url>
    };
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return fault("must be an https address", r#"write e.g. "https://crm.example/api/""#);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return fault("must not hold a username or password", r#"use [source.<name>.auth] with kind = "basic""#);
    }
    if url.query().is_some() || url.fragment().is_some() {
        return fault("must not hold a query or fragment", "move it to query in [source.<name>.request]");
    }
    if text.contains(['{', '}']) {
        return fault("must not hold placeholders", "move them to path in [source.<name>.request]");
    }
    check_scheme(&item, &url, allow_http)?;
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    Some(url)
}

/// `https`, or `http` to this machine or where it is allowed. `allow_http` is `None` when it is faulty.
pub(super) fn check_scheme(item: &Item<'_>, url: &Url, allow_http: Option<bool>) -> Option<()> {
    if url.scheme() == "http" && allow_http == Some(false) && !is_loopback(url) {
        let mend = "use https, or say allow_http = true if the network between is yours";
        item.fault("http would send people and keys unencrypted", mend);
        return None;
    }
    Some(())
}

pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

/// `[source.<name>.request]`. `base_url` is `None` when it is faulty; the rest is checked all the same.
pub(super) fn read_request(
    mut section: Section<'_>,
    base_url: Option<Url>,
    claims: &mut Claims,
) -> Option<RequestSpec> {
    let method = section.choice("method", &[("GET", Method::Get), ("POST", Method::Post)], Method::Get);
    let path = section
        .required("path", r#"write path = "…", the address of the list below base_url"#)
        .and_then(|item| read_path(&item, base_url.as_ref(), Placeholders::ParamsAndCursor));
    let query = read_query(section.section("query"), claims, Placeholders::ParamsAndCursor);
    let headers = read_headers(section.section("headers"), claims, Placeholders::ParamsAndCursor);
    let body = read_body(&mut section, method, claims);
    let weight = match section.optional("weight") {
        Some(item) => item.integer(1..=limits::WINDOW_REQUESTS_MAX),
        None => Some(1),
    };
    section.finish();
    let (query, headers, body, weight) = (query?, headers?, body?, weight?);
    Some(RequestSpec { method: method?, base_url: base_url?, path: path?, query, headers, body, weight })
}

/// A path that stays below the base URL, whatever its params are.
pub(super) fn read_path(item: &Item<'_>, base_url: Option<&Url>, allowed: Placeholders) -> Option<Template> {
    let text = item.text()?;
    if text.starts_with(['/', '\\']) {
        item.fault("must be relative to base_url", "leave out the slash at the start");
        return None;
    }
    if text.contains(['?', '#']) {
        item.fault("must not hold a query or fragment", "move it to query");
        return None;
    }
    if text.contains(char::is_control) {
        item.fault("must not hold control characters", "write it on one line, without tabs");
        return None;
    }
    let path = template(item, text, allowed)?;
    let vars: Vars = path.placeholders().map(|name| (name.to_owned(), "x".to_owned())).collect();
    let rendered = path.render(&vars, str::to_owned).ok()?;
    let stays = |base: &Url| {
        let joined = base.join(&rendered);
        joined.is_ok_and(|url| url.origin() == base.origin() && url.path().starts_with(base.path()))
    };
    if !base_url.is_none_or(stays) {
        item.fault("leads out of base_url", "write it without '..' and without a scheme or host");
        return None;
    }
    Some(path)
}

/// `query`: texts, numbers, booleans, or lists of them for a parameter that is repeated.
pub(super) fn read_query(
    section: Section<'_>,
    claims: &mut Claims,
    allowed: Placeholders,
) -> Option<Vec<(String, Template)>> {
    let mut query = Some(Vec::new());
    for (name, item) in section.named() {
        let values = claims.claim_query(&item, name).and_then(|()| read_values(name, &item, allowed));
        extend(&mut query, values);
    }
    query
}

fn read_values(name: &str, item: &Item<'_>, allowed: Placeholders) -> Option<Vec<(String, Template)>> {
    let values = item.list_or_one();
    let values = values.iter().map(|value| template(value, &value.spelled()?, allowed));
    // Collected before `?`, so that every faulty value is reported.
    let values: Vec<_> = values.collect();
    values.into_iter().map(|value| Some((name.to_owned(), value?))).collect()
}

/// Appends, or forgets everything when either is faulty.
pub(super) fn extend<T>(all: &mut Option<Vec<T>>, more: Option<Vec<T>>) {
    match (all.as_mut(), more) {
        (Some(all), Some(more)) => all.extend(more),
        _ => *all = None,
    }
}

pub(super) fn read_headers(
    section: Section<'_>,
    claims: &mut Claims,
    allowed: Placeholders,
) -> Option<Vec<(String, Template)>> {
    let mut headers = Some(Vec::new());
    for (name, item) in section.named() {
        extend(&mut headers, read_header(name, &item, claims, allowed).map(|value| vec![(name.to_owned(), value)]));
    }
    headers
}

fn read_header(name: &str, item: &Item<'_>, claims: &mut Claims, allowed: Placeholders) -> Option<Template> {
    check_header_name(item, name)?;
    if CREDENTIAL_HEADERS.contains(&name.to_ascii_lowercase().as_str()) {
        item.fault(format!("the header {name} carries a credential"), "set it by [source.<name>.auth]");
        return None;
    }
    claims.claim_header(item, name)?;
    let text = item.text()?;
    if !is_header_text(text) {
        item.fault("holds characters that no header can carry", "use visible ASCII characters and blanks");
        return None;
    }
    template(item, text, allowed)
}

fn read_body(section: &mut Section<'_>, method: Option<Method>, claims: &mut Claims) -> Option<BodySpec> {
    let json = section.optional("json");
    let form = section.optional("form");
    match (json, form) {
        (None, None) => Some(BodySpec::None),
        (Some(_), Some(form)) => {
            // Which of the two is meant, nobody knows; that there is a body is clear.
            claims.body = Some(BTreeSet::new());
            form.fault("a request has one body, json or form", "keep one of the two");
            None
        }
        (Some(body), None) => {
            needs_post(&body, method);
            read_json_body(&body, claims)
        }
        (None, Some(body)) => {
            needs_post(&body, method);
            read_form_body(body, claims)
        }
    }
}

pub(super) fn needs_post(body: &Item<'_>, method: Option<Method>) {
    if method == Some(Method::Get) {
        body.fault("only a POST has a body", r#"write method = "POST", or use query"#);
    }
}

fn read_form_body(item: Item<'_>, claims: &mut Claims) -> Option<BodySpec> {
    let mut form = Some(Vec::new());
    claims.body = Some(BTreeSet::new());
    for (name, item) in item.section().named() {
        let values =
            claims.claim_body(&item, name).and_then(|()| read_values(name, &item, Placeholders::ParamsAndCursor));
        extend(&mut form, values);
    }
    form.map(BodySpec::Form)
}

fn read_json_body(item: &Item<'_>, claims: &mut Claims) -> Option<BodySpec> {
    let Children::Table(entries) = item.open() else {
        item.fault("must be a table", r#"write e.g. json = { status = "confirmed" }"#);
        return None;
    };
    claims.body = Some(entries.iter().map(|(name, _)| (*name).to_owned()).collect());
    read_json(item).map(BodySpec::Json)
}

/// The recursion is bounded by the TOML parser's own bound on nesting.
fn read_json(item: &Item<'_>) -> Option<JsonTemplate> {
    match item.open() {
        Children::Text(text) => template(item, &text, Placeholders::ParamsAndCursor).map(JsonTemplate::Text),
        Children::Bool(bool) => Some(JsonTemplate::Literal(bool.into())),
        Children::Integer(Some(number)) | Children::Float(Some(number)) => {
            Some(JsonTemplate::Literal(serde_json::Value::Number(number)))
        }
        Children::Integer(None) | Children::Float(None) => {
            item.fault("no number that JSON can carry", "write a finite number of at most 64 bits");
            None
        }
        Children::List(items) => {
            let items: Vec<_> = items.iter().map(read_json).collect();
            items.into_iter().collect::<Option<_>>().map(JsonTemplate::Array)
        }
        Children::Table(entries) => {
            let entries: Vec<_> = entries.iter().map(|(name, item)| ((*name).to_owned(), read_json(item))).collect();
            let entries = entries.into_iter().map(|(name, value)| Some((name, value?)));
            entries.collect::<Option<_>>().map(JsonTemplate::Object)
        }
    }
}
