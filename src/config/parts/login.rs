//! `[source.<name>.auth]` of the kinds that log in: `oauth2` and `session`.

use std::collections::BTreeSet;

use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use super::auth::{header_place, query_place, read_prefix, read_secret};
use super::request::{Claims, check_scheme, extend, needs_post};
use super::text::{Placeholders, check_header_name, expression, is_header_text, template};
use crate::config::read::{Children, Item, Section, shown};
use crate::config::secret::Secrets;
use crate::config::{
    ApiKeyPlace, ClientAuth, LoginBody, LoginRequestSpec, Method, OAuth2Spec, SecretJson, SessionSpec, TokenFrom,
    TokenLife, TokenSpec, Vars,
};
use crate::limits::{TOKEN_LIFE_MAX, TOKEN_LIFE_MIN};
use crate::mapping::Expression;

/// The grant that uses up a refresh token (RFC 6749 §6).
const REFRESH_TOKEN: &str = "refresh_token";

/// Fields of a token request that other settings fill.
const OWN_FIELDS: [(&str, &str); 5] = [
    ("grant_type", "grant"),
    ("client_id", "client_id"),
    ("client_secret", "client_secret"),
    ("refresh_token", "refresh_token"),
    ("scope", "scope"),
];

/// The keys of a secret's table, by which it is told from a table of JSON.
const SECRET_KEYS: [&str; 3] = ["env", "file", "credential"];

/// What every login of a source may rest on.
pub(super) struct Logins<'a> {
    pub secrets: &'a Secrets<'a>,
    /// `None` when it is faulty.
    pub base_url: Option<Url>,
    /// `None` when it is faulty.
    pub allow_http: Option<bool>,
}

pub(super) fn read_oauth2(section: &mut Section<'_>, logins: &Logins<'_>, claims: &mut Claims) -> Option<OAuth2Spec> {
    let token_url = section
        .required("token_url", r#"write token_url = "…", the address that gives tokens"#)
        .and_then(|item| logins.read_url(&item));
    let grant = optional_text(section, "grant").map(|grant| grant.unwrap_or_else(|| "client_credentials".to_owned()));
    let client_id =
        section.required("client_id", r#"write client_id = "…""#).and_then(|item| item.text().map(ToOwned::to_owned));
    let client_secret = optional_secret(section, "client_secret", logins.secrets);
    let places = [("basic", ClientAuth::Basic), ("body", ClientAuth::Body)];
    let client_auth = section.choice("client_auth", &places, ClientAuth::Basic);
    let scope = optional_text(section, "scope");
    let fields = read_fields(section.section("fields"), logins);
    let refresh_token = read_refresh_token(section, grant.as_deref(), logins.secrets);
    let next_refresh_token = expression_or(section, "next_refresh_token", ".refresh_token");
    let from = expression_or(section, "token", ".access_token").map(TokenFrom::Body);
    let life = read_life(section, Some(".expires_in"));
    let place = read_place(section, claims);
    let (place, prefix) = place?;
    Some(OAuth2Spec {
        token_url: token_url?,
        grant: grant?,
        client_id: client_id?,
        client_secret: client_secret?,
        client_auth: client_auth?,
        scope: scope?,
        fields: fields?,
        refresh_token: refresh_token?,
        next_refresh_token: next_refresh_token?,
        token: TokenSpec { from: from?, life: life?, place, prefix },
    })
}

pub(super) fn read_session(section: &mut Section<'_>, logins: &Logins<'_>, claims: &mut Claims) -> Option<SessionSpec> {
    let request = read_request(section.section("request"), logins);
    let from = read_token_from(section);
    let life = read_life(section, None);
    let place = match &from {
        Some(TokenFrom::Cookie(name)) => cookie_place(section, name, claims),
        _ => read_place(section, claims),
    };
    let (place, prefix) = place?;
    Some(SessionSpec { request: request?, token: TokenSpec { from: from?, life: life?, place, prefix } })
}

impl Logins<'_> {
    /// An address that the operator names: absolute, or relative to `base_url`. Its text is never shown.
    pub(super) fn read_url(&self, item: &Item<'_>) -> Option<Url> {
        let text = item.text()?;
        let fault = |problem: &str, mend: &str| {
            item.fault(problem, mend);
            None::<Url>
        };
        if text.contains(['{', '}']) {
            return fault("must not hold placeholders", "write the address itself: one login serves every feed");
        }
        let url = match (Url::parse(text), &self.base_url) {
            (Ok(url), _) => url,
            (Err(url::ParseError::RelativeUrlWithoutBase), None) => return None,
            (Err(url::ParseError::RelativeUrlWithoutBase), Some(base)) => match base.join(text) {
                Ok(url) => url,
                Err(_) => return fault("must be an address", r#"write e.g. "https://crm.example/oauth/token""#),
            },
            (Err(_), _) => return fault("must be an address", r#"write e.g. "https://crm.example/oauth/token""#),
        };
        if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
            return fault("must be an https address", r#"write e.g. "https://crm.example/oauth/token""#);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return fault("must not hold a username or password", "give them as settings of their own");
        }
        if url.fragment().is_some() {
            return fault("must not hold a fragment", "leave out the '#' and what follows it");
        }
        check_scheme(item, &url, self.allow_http)?;
        Some(url)
    }

    /// A text, number, boolean or secret.
    fn read_value(&self, item: &Item<'_>) -> Option<SecretString> {
        if matches!(item.open(), Children::Table(_)) {
            return self.secrets.read(item.clone());
        }
        plain(item, &item.spelled()?)
    }

    /// Values by name; a list repeats the name.
    fn read_values(&self, name: &str, item: &Item<'_>) -> Option<Vec<(String, SecretString)>> {
        let values: Vec<_> = item.list_or_one().iter().map(|value| self.read_value(value)).collect();
        values.into_iter().map(|value| Some((name.to_owned(), value?))).collect()
    }

    fn read_named(&self, section: Section<'_>) -> Option<Vec<(String, SecretString)>> {
        let mut all = Some(Vec::new());
        for (name, item) in section.named() {
            extend(&mut all, self.read_values(name, &item));
        }
        all
    }

    fn read_headers(&self, section: Section<'_>) -> Option<Vec<(String, SecretString)>> {
        let mut all = Some(Vec::new());
        let mut seen = BTreeSet::new();
        for (name, item) in section.named() {
            let header = check_header_name(&item, name).and_then(|()| self.read_header(name, &item));
            if !seen.insert(name.to_ascii_lowercase()) {
                item.fault("this header is set twice", "keep one of the two settings");
            }
            extend(&mut all, header.map(|header| vec![header]));
        }
        all
    }

    fn read_header(&self, name: &str, item: &Item<'_>) -> Option<(String, SecretString)> {
        let value = self.read_value(item)?;
        if !is_header_text(value.expose_secret()) {
            item.fault("holds characters that no header can carry", "use visible ASCII characters and blanks");
            return None;
        }
        Some((name.to_owned(), value))
    }

    /// The recursion is bounded by the TOML parser's own bound on nesting.
    fn read_json(&self, item: &Item<'_>) -> Option<SecretJson> {
        match item.open() {
            Children::Text(text) => plain(item, &text).map(SecretJson::Text),
            Children::Bool(bool) => Some(SecretJson::Literal(bool.into())),
            Children::Integer(Some(number)) | Children::Float(Some(number)) => {
                Some(SecretJson::Literal(serde_json::Value::Number(number)))
            }
            Children::Integer(None) | Children::Float(None) => {
                item.fault("no number that JSON can carry", "write a finite number of at most 64 bits");
                None
            }
            Children::List(items) => {
                let items: Vec<_> = items.iter().map(|item| self.read_json(item)).collect();
                items.into_iter().collect::<Option<_>>().map(SecretJson::Array)
            }
            Children::Table(entries) => match entries.as_slice() {
                [(key, _)] if SECRET_KEYS.contains(key) => self.secrets.read(item.clone()).map(SecretJson::Text),
                entries => self.read_object(entries),
            },
        }
    }

    fn read_object(&self, entries: &[(&str, Item<'_>)]) -> Option<SecretJson> {
        let entries: Vec<_> = entries.iter().map(|(name, item)| ((*name).to_owned(), self.read_json(item))).collect();
        let entries = entries.into_iter().map(|(name, value)| Some((name, value?)));
        entries.collect::<Option<_>>().map(SecretJson::Object)
    }
}

/// A text without placeholders; `{{` and `}}` stand for single braces, as in every request.
fn plain(item: &Item<'_>, text: &str) -> Option<SecretString> {
    let text = template(item, text, Placeholders::None)?.render(&Vars::new(), str::to_owned);
    text.ok().map(SecretString::from)
}

pub(super) fn optional_text(section: &mut Section<'_>, key: &'static str) -> Option<Option<String>> {
    match section.optional(key) {
        Some(item) => item.text().map(|text| Some(text.to_owned())),
        None => Some(None),
    }
}

pub(super) fn optional_secret(
    section: &mut Section<'_>,
    key: &'static str,
    secrets: &Secrets<'_>,
) -> Option<Option<SecretString>> {
    match section.optional(key) {
        Some(item) => secrets.read(item).map(Some),
        None => Some(None),
    }
}

pub(super) fn expression_or(section: &mut Section<'_>, key: &'static str, default: &str) -> Option<Expression> {
    match section.optional(key) {
        Some(item) => expression(&item),
        None => Some(built_in(default)),
    }
}

fn built_in(source: &str) -> Expression {
    Expression::compile(source).expect("the reader's own expressions are paths")
}

/// The form's further fields.
fn read_fields(section: Section<'_>, logins: &Logins<'_>) -> Option<Vec<(String, SecretString)>> {
    let mut all = Some(Vec::new());
    for (name, item) in section.named() {
        let own = OWN_FIELDS.iter().find(|(field, _)| *field == name);
        let values = match own {
            Some((_, setting)) => {
                item.fault(format!("the field {name} is set by Rollcall itself"), format!("set {setting} in auth"));
                None
            }
            None => logins.read_values(name, &item),
        };
        extend(&mut all, values);
    }
    all
}

/// The first refresh token: it belongs to one grant and to no other. `grant` is `None` when it is faulty.
fn read_refresh_token(
    section: &mut Section<'_>,
    grant: Option<&str>,
    secrets: &Secrets<'_>,
) -> Option<Option<SecretString>> {
    if grant == Some(REFRESH_TOKEN) {
        return read_secret(section, "refresh_token", secrets, false).map(Some);
    }
    let item = section.optional("refresh_token");
    if let (Some(item), Some(_)) = (&item, grant) {
        item.fault("only the grant refresh_token takes one", r#"write grant = "refresh_token", or leave it out"#);
        return None;
    }
    Some(None)
}

/// How long a token lives, said in one way at most.
fn read_life(section: &mut Section<'_>, default: Option<&str>) -> Option<Option<TokenLife>> {
    let expires_in = section.optional("expires_in");
    let expires_at = section.optional("expires_at");
    let life = section.optional("life");
    match (&expires_in, &expires_at, &life) {
        (None, None, None) => Some(default.map(|path| TokenLife::In(built_in(path)))),
        (Some(item), None, None) => expression(item).map(|path| Some(TokenLife::In(path))),
        (None, Some(item), None) => expression(item).map(|path| Some(TokenLife::At(path))),
        (None, None, Some(item)) => {
            item.duration(TOKEN_LIFE_MIN..=TOKEN_LIFE_MAX).map(|life| Some(TokenLife::Fixed(life)))
        }
        _ => {
            let problem = "expires_in, expires_at and life say the same thing";
            section.findings().fault(section.place(), problem, "keep the one that the answer really has");
            None
        }
    }
}

/// Where requests carry the token: `Authorization: Bearer …` where nothing else is said.
fn read_place(section: &mut Section<'_>, claims: &mut Claims) -> Option<(ApiKeyPlace, String)> {
    let header = section.optional("header");
    let query = section.optional("query");
    let prefix = section.optional("prefix");
    let in_header = query.is_none();
    let by_default = if header.is_none() && in_header { "Bearer " } else { "" };
    let place = match (&header, &query) {
        (Some(item), None) => header_place(item, claims),
        (None, Some(item)) => query_place(item, claims),
        (None, None) => Some(ApiKeyPlace::Header("Authorization".to_owned())),
        (Some(_), Some(item)) => {
            item.fault("a token goes into one header or query parameter", "keep one of the two");
            None
        }
    };
    let prefix = match prefix {
        Some(item) => read_prefix(&item, in_header),
        None => Some(by_default.to_owned()),
    };
    Some((place?, prefix?))
}

/// A cookie goes back as one.
fn cookie_place(section: &mut Section<'_>, name: &str, claims: &mut Claims) -> Option<(ApiKeyPlace, String)> {
    let mut place = Some((ApiKeyPlace::Header("Cookie".to_owned()), format!("{name}=")));
    for key in ["header", "query", "prefix"] {
        if let Some(item) = section.optional(key) {
            item.fault("a cookie goes back as a cookie", "leave it out");
            place = None;
        }
    }
    let item = section.optional("cookie")?;
    claims.claim_header(&item, "Cookie")?;
    place
}

fn read_token_from(section: &mut Section<'_>) -> Option<TokenFrom> {
    let body = section.optional("token");
    let header = section.optional("token_header");
    let cookie = section.optional("cookie");
    match (&body, &header, &cookie) {
        (Some(item), None, None) => expression(item).map(TokenFrom::Body),
        (None, Some(item), None) => {
            let name = item.text()?;
            check_header_name(item, name)?;
            Some(TokenFrom::Header(name.to_owned()))
        }
        (None, None, Some(item)) => read_cookie_name(item).map(TokenFrom::Cookie),
        _ => {
            let mend = r#"write token = ".token", token_header = "X-Token" or cookie = "session""#;
            section.findings().fault(section.place(), "a login's answer holds the token in exactly one place", mend);
            None
        }
    }
}

/// A token (RFC 6265 §4.1.1), so that nothing of it is taken for more of the header.
fn read_cookie_name(item: &Item<'_>) -> Option<String> {
    let name = item.text()?;
    if !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b)) {
        item.fault(format!("no legal name of a cookie (got {})", shown(name)), "use letters, digits, '-' and '_' only");
        return None;
    }
    Some(name.to_owned())
}

fn read_request(mut section: Section<'_>, logins: &Logins<'_>) -> Option<LoginRequestSpec> {
    let method = section.choice("method", &[("GET", Method::Get), ("POST", Method::Post)], Method::Post);
    let url = section
        .required("url", r#"write url = "…", the login's address, below base_url or elsewhere"#)
        .and_then(|item| logins.read_url(&item));
    let query = logins.read_named(section.section("query"));
    let headers = logins.read_headers(section.section("headers"));
    let body = read_body(&mut section, method, logins);
    section.finish();
    Some(LoginRequestSpec { method: method?, url: url?, query: query?, headers: headers?, body: body? })
}

fn read_body(section: &mut Section<'_>, method: Option<Method>, logins: &Logins<'_>) -> Option<LoginBody> {
    let json = section.optional("json");
    let form = section.optional("form");
    match (json, form) {
        (None, None) => Some(LoginBody::None),
        (Some(_), Some(form)) => {
            form.fault("a request has one body, json or form", "keep one of the two");
            None
        }
        (Some(body), None) => {
            needs_post(&body, method);
            let Children::Table(entries) = body.open() else {
                body.fault("must be a table", r#"write e.g. json = { user = "rollcall" }"#);
                return None;
            };
            logins.read_object(&entries).map(LoginBody::Json)
        }
        (None, Some(body)) => {
            needs_post(&body, method);
            logins.read_named(body.section()).map(LoginBody::Form)
        }
    }
}
