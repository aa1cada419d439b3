//! `[source.<name>.login]`: people sign in with the source. Such a source has no list; whoever signs in is a record of it.

use std::sync::Arc;
use std::time::Duration;

use url::Url;

use super::budget::{read_budget, read_budget_headers};
use super::errors::read_errors;
use super::login::{Logins, expression_or, optional_secret, optional_text};
use super::mapping::{Meaning, read_mapping};
use super::request::{Claims, check_scheme, read_base_url, read_request};
use super::source::{read_edit_url, read_limits, read_priority, request_templates};
use crate::config::read::{Item, Section, shown};
use crate::config::secret::Secrets;
use crate::config::{
    AuthSpec, BodySpec, ClientAuth, DeleteScope, EndpointsSpec, Method, PaginationSpec, ProfileFrom, ProviderSpec,
    RequestSpec, SignInSpec, SourceSpec, Template,
};
use crate::limits;
use crate::mapping::MappingSpec;
use crate::model::{SafetySettings, SourceName};

/// What is asked for of a provider of OpenID Connect: who it is, their profile, and leave to ask again without them.
const SCOPES: &str = "openid email profile offline_access";

/// Parameters of the authorization request that are not the operator's to set.
const OWN_PARAMS: [&str; 9] = [
    "response_type",
    "response_mode",
    "client_id",
    "redirect_uri",
    "scope",
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
];

/// Addresses that a browser would run, or look at on its own machine.
const UNSAFE_SCHEMES: [&str; 7] = ["javascript", "data", "file", "blob", "about", "vbscript", "filesystem"];

/// What says how a list is read, of which there is none.
const OF_LISTS: [&str; 10] = [
    "push",
    "credential",
    "auth",
    "pagination",
    "partition",
    "incremental",
    "hook",
    "guard",
    "missing",
    "missing_runs",
];

/// Reads a source of logins. Its name was checked before.
pub(super) fn read_source_of_logins(
    name: SourceName,
    mut section: Section<'_>,
    login: Section<'_>,
    secrets: &Secrets<'_>,
) -> Option<Arc<SourceSpec>> {
    let allow_http = section.optional("allow_http").map_or(Some(false), |item| item.boolean());
    let priority = read_priority(&mut section);
    let edit_url = match section.optional("edit_url") {
        Some(item) => read_edit_url(&item).map(Some),
        None => Some(None),
    };
    let own_request = section.section("request");
    let asks = own_request.is_table();
    let base_url = if asks { read_base_url(&mut section, allow_http) } else { None };
    let mut claims = Claims::default();
    let request = asks.then(|| read_request(own_request, base_url, &mut claims));
    let logins = Logins { secrets, base_url: None, allow_http };
    let reading = Reading { source: &name, logins: &logins, allow_http, asks };
    let sign_in = reading.read(login);
    let errors = read_errors(section.list("error"));
    let mapping = read_mapping(&mut section, Some("."));
    let mapping_fits = match (&mapping, &sign_in) {
        (Some(meaning), Some(sign_in)) => fits(meaning, sign_in, &section),
        _ => None,
    };
    let weight = request.iter().flatten().map(|request| request.weight).max();
    let budget = read_budget(section.list("budget"), weight.or(Some(1)));
    let budget_headers = read_budget_headers(section.section("budget_headers"));
    let limits = read_limits(section.section("limits"));
    let of_lists: Vec<_> = OF_LISTS.into_iter().filter_map(|key| section.optional(key)).collect();
    for item in &of_lists {
        item.fault("is about lists, and a source with which people sign in has none", "leave it out");
    }
    let request = request.map(|request| request.filter(|request| says_the_same_for_everybody(request, &section)));
    section.finish();
    let (sign_in, Meaning { format, mapping, .. }) = (sign_in?, mapping?);
    mapping_fits?;
    let request = match request {
        Some(request) => request?,
        None => userinfo(&sign_in)?,
    };
    if !of_lists.is_empty() {
        return None;
    }
    Some(Arc::new(SourceSpec {
        name,
        credentials: Vec::new(),
        empty_hint: None,
        priority: priority?,
        edit_url: edit_url?,
        delete_scope: DeleteScope::Registration,
        safety: SafetySettings::default(),
        request,
        auth: AuthSpec::None,
        pagination: PaginationSpec::None,
        stable: false,
        partitions: Vec::new(),
        incremental: None,
        hook: None,
        pushes: Vec::new(),
        sign_in: Some(Arc::new(sign_in)),
        errors: errors?,
        format,
        mapping,
        budget: budget?,
        budget_headers: budget_headers?,
        limits: limits?,
    }))
}

/// Where the provider is; its UserInfo endpoint is found there.
fn userinfo(sign_in: &SignInSpec) -> Option<RequestSpec> {
    let ProviderSpec::Issuer(issuer) = &sign_in.provider else { return None };
    Some(RequestSpec {
        method: Method::Get,
        base_url: Url::parse(issuer).ok()?,
        path: Template::parse("").ok()?,
        query: Vec::new(),
        headers: Vec::new(),
        body: BodySpec::None,
        weight: 1,
    })
}

/// Somebody who signs in is of no event, and has one profile.
fn says_the_same_for_everybody(request: &RequestSpec, section: &Section<'_>) -> bool {
    let is_fixed = request_templates(request).iter().all(|template| template.placeholders().next().is_none());
    if !is_fixed {
        let place = section.place().key("request", section.place().line);
        let problem = "a profile is asked for with its person's token alone, so there is nothing to fill in";
        section.findings().fault(&place, problem, "leave out what stands in { }");
    }
    is_fixed
}

/// Does the mapping say what a profile can say, and no more?
fn fits(meaning: &Meaning, sign_in: &SignInSpec, section: &Section<'_>) -> Option<()> {
    let Meaning { mapping, empty_hint, .. } = meaning;
    let MappingSpec { skip_when, delete_when, removed_when, attendee_when, event_fields, external_id, locked, .. } =
        mapping;
    let of_attendees = [
        ("records", skip_when.is_some(), "skip_when"),
        ("states", delete_when.is_some(), "delete_when"),
        ("states", removed_when.is_some(), "removed_when"),
        ("states", attendee_when.is_some(), "attendee_when"),
        ("records", empty_hint.is_some(), "empty_hint"),
        ("mapping", !event_fields.is_empty(), "what belongs to an event"),
        ("mapping", !locked.is_empty(), "what events may not change"),
    ];
    let fault = |key: &str, problem: String, mend: &str| {
        let place = section.place().key(key, section.place().line);
        section.findings().fault(&place, problem, mend);
    };
    let wrong: Vec<_> = of_attendees.into_iter().filter(|(_, is_there, _)| *is_there).collect();
    for (key, _, what) in &wrong {
        fault(key, format!("{what} is about attendees, and who signs in becomes none by that"), "leave it out");
    }
    let names_subjects = matches!(sign_in.provider, ProviderSpec::Issuer(_));
    if names_subjects && external_id.is_some() {
        fault("mapping", "external_id is the `sub` that the provider vouches for".into(), "leave it out");
        return None;
    }
    if !names_subjects && external_id.is_none() {
        let mend = r#"write external_id = "…", the account's own id, which never changes"#;
        fault("mapping", "a provider without `issuer` says by the profile alone who it is of".into(), mend);
        return None;
    }
    wrong.is_empty().then_some(())
}

/// What the table is read by.
struct Reading<'a> {
    source: &'a SourceName,
    logins: &'a Logins<'a>,
    /// `None` when it is faulty.
    allow_http: Option<bool>,
    /// The source has a request of its own.
    asks: bool,
}

impl Reading<'_> {
    fn read(&self, mut section: Section<'_>) -> Option<SignInSpec> {
        let provider = self.provider(&mut section);
        let client_id = section.required("client_id", r#"write client_id = "…", as the provider gave it"#);
        let client_id = client_id.and_then(|item| item.text().map(ToOwned::to_owned));
        let client_secret = optional_secret(&mut section, "client_secret", self.logins.secrets);
        let places = [("basic", ClientAuth::Basic), ("body", ClientAuth::Body)];
        let client_auth = section.choice("client_auth", &places, ClientAuth::Basic);
        let scopes = scopes(&mut section, provider.as_ref());
        let params = params(section.section("params"));
        let redirect_url = section.required("redirect_url", &self.redirect_mend());
        let redirect_url = redirect_url.and_then(|item| self.redirect_url(&item));
        let mend = r#"write return_to = "https://app.example/signed-in", or a list of such"#;
        let return_to = section.required("return_to", mend).and_then(|item| self.return_to(&item));
        let email_verified = expression_or(&mut section, "email_verified", ".email_verified");
        let mut flag = |key: &'static str| section.optional(key).map_or(Some(false), |item| item.boolean());
        let (trust_email, accept_opaque_tokens) = (flag("trust_email"), flag("accept_opaque_tokens"));
        let audience = optional_text(&mut section, "audience");
        let min_interval = match section.optional("min_interval") {
            Some(item) => item.duration(Duration::ZERO..=limits::PROFILE_INTERVAL_MAX),
            None => Some(limits::PROFILE_INTERVAL),
        };
        let refresh_every = match section.optional("refresh_every") {
            Some(item) => refresh_every(&item),
            None => Some(Some(limits::PROFILE_REFRESH_EVERY)),
        };
        section.finish();
        Some(SignInSpec {
            provider: provider?,
            client_id: client_id?,
            client_secret: client_secret?,
            client_auth: client_auth?,
            scopes: scopes?,
            params: params?,
            redirect_url: redirect_url?,
            return_to: return_to?,
            profile: if self.asks { ProfileFrom::Request } else { ProfileFrom::UserInfo },
            email_verified: email_verified?,
            trust_email: trust_email?,
            audience: audience?,
            accept_opaque_tokens: accept_opaque_tokens?,
            min_interval: min_interval?,
            refresh_every: refresh_every?,
        })
    }

    fn provider(&self, section: &mut Section<'_>) -> Option<ProviderSpec> {
        let issuer = section.optional("issuer");
        let [authorization, token, revocation, introspection] =
            ["authorization_url", "token_url", "revocation_url", "introspection_url"].map(|key| section.optional(key));
        let place = section.place();
        match (issuer, authorization, token) {
            (Some(issuer), None, None) => {
                let named: Vec<_> = [revocation, introspection].into_iter().flatten().collect();
                named.iter().for_each(|item| item.fault("is found by the issuer", "leave it out"));
                let text = issuer.text()?;
                self.address(&issuer)?;
                named.is_empty().then(|| ProviderSpec::Issuer(text.to_owned()))
            }
            (None, Some(authorization), Some(token)) => {
                if !self.asks {
                    let mend = "write [source.<name>.request], which asks who a token is of";
                    section.findings().fault(place, "nothing says where profiles are", mend);
                }
                let optional = |item: Option<Item<'_>>| item.map_or(Some(None), |item| self.address(&item).map(Some));
                let (authorization, token) = (self.address(&authorization), self.address(&token));
                let (revocation, introspection) = (optional(revocation), optional(introspection));
                let (authorization, token) = (authorization?, token?);
                let (revocation, introspection) = (revocation?, introspection?);
                let spec = EndpointsSpec { authorization, token, revocation, introspection };
                self.asks.then(|| ProviderSpec::Endpoints(Box::new(spec)))
            }
            _ => {
                let mend = r#"write issuer = "https://…", or else both authorization_url and token_url"#;
                section.findings().fault(place, "the provider is known by its issuer, or by its endpoints", mend);
                None
            }
        }
    }

    fn address(&self, item: &Item<'_>) -> Option<Url> {
        if Url::parse(item.text()?).is_err() {
            item.fault("must be an address", r#"write e.g. "https://id.example""#);
            return None;
        }
        self.logins.read_url(item)
    }

    fn redirect_mend(&self) -> String {
        format!(r#"write redirect_url = "https://this.server.example/v1/login/{}/callback""#, self.source)
    }

    fn redirect_url(&self, item: &Item<'_>) -> Option<Url> {
        let url = self.address(item)?;
        let ends_right = url.path().ends_with(&format!("/v1/login/{}/callback", self.source));
        if !ends_right || url.query().is_some() {
            item.fault("must be the address of this source's callback, as browsers reach it", self.redirect_mend());
            return None;
        }
        Some(url)
    }

    fn return_to(&self, item: &Item<'_>) -> Option<Vec<Url>> {
        // Collected before, so that every faulty one is reported.
        let all: Vec<_> = item.list_or_one().iter().map(|item| self.return_address(item)).collect();
        let all: Vec<Url> = all.into_iter().collect::<Option<_>>()?;
        if all.is_empty() {
            item.fault("nobody could go anywhere", r#"write e.g. ["https://app.example/signed-in"]"#);
            return None;
        }
        Some(all)
    }

    /// An address of the app's: a page, or what a phone opens the app by (RFC 8252 §7.1).
    fn return_address(&self, item: &Item<'_>) -> Option<Url> {
        let text = item.text()?;
        let mend = r#"write e.g. "https://app.example/signed-in""#;
        let Ok(url) = Url::parse(text) else {
            item.fault("must be an address", mend);
            return None;
        };
        if UNSAFE_SCHEMES.contains(&url.scheme()) {
            item.fault(format!("is no place to send people to (got {})", shown(url.scheme())), mend);
            return None;
        }
        if url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() || url.password().is_some() {
            item.fault("must not hold a query, fragment, username or password", "leave them out: what came is added");
            return None;
        }
        check_scheme(item, &url, self.allow_http)?;
        Some(url)
    }
}

fn scopes(section: &mut Section<'_>, provider: Option<&ProviderSpec>) -> Option<Vec<String>> {
    let item = section.optional("scope");
    let is_openid = matches!(provider, Some(ProviderSpec::Issuer(_)));
    let text = match &item {
        Some(item) => item.text()?,
        None if is_openid => SCOPES,
        None => "",
    };
    let scopes: Vec<String> = text.split_ascii_whitespace().map(ToOwned::to_owned).collect();
    if let (Some(item), true, false) = (&item, is_openid, scopes.iter().any(|scope| scope == "openid")) {
        item.fault("must hold openid", format!("write e.g. {SCOPES:?}"));
        return None;
    }
    Some(scopes)
}

fn params(section: Section<'_>) -> Option<Vec<(String, String)>> {
    let read = |(name, item): (&str, Item<'_>)| {
        if OWN_PARAMS.contains(&name) {
            item.fault(format!("the parameter {name} is set by Rollcall itself"), "leave it out");
            return None;
        }
        Some((name.to_owned(), item.text()?.to_owned()))
    };
    let all: Vec<_> = section.named().into_iter().map(read).collect();
    all.into_iter().collect()
}

fn refresh_every(item: &Item<'_>) -> Option<Option<Duration>> {
    if item.any_text() == Some("never") {
        return Some(None);
    }
    item.duration(limits::PROFILE_REFRESH_EVERY_MIN..=limits::PROFILE_REFRESH_EVERY_MAX).map(Some)
}
