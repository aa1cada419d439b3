//! `[source.<name>.auth]`: who Rollcall is to a source.

use secrecy::{ExposeSecret as _, SecretString};

use super::login::{Logins, read_oauth2, read_session};
use super::request::Claims;
use super::text::{check_header_name, is_header_text};
use crate::config::read::{Item, Section};
use crate::config::secret::{SECRET_FORMS, Secrets};
use crate::config::{ApiKeyPlace, AuthSpec};

#[derive(Clone, Copy)]
enum Kind {
    None,
    ApiKey,
    Basic,
    Bearer,
    OAuth2,
    Session,
}

const KINDS: [(&str, Kind); 6] = [
    ("none", Kind::None),
    ("api_key", Kind::ApiKey),
    ("basic", Kind::Basic),
    ("bearer", Kind::Bearer),
    ("oauth2", Kind::OAuth2),
    ("session", Kind::Session),
];

pub(super) fn read_auth(mut section: Section<'_>, logins: &Logins<'_>, claims: &mut Claims) -> Option<AuthSpec> {
    let secrets = logins.secrets;
    let auth = match section.choice("kind", &KINDS, Kind::None)? {
        Kind::None => Some(AuthSpec::None),
        Kind::ApiKey => read_api_key(&mut section, secrets, claims),
        Kind::Basic => read_basic(&mut section, secrets),
        Kind::Bearer => read_secret(&mut section, "token", secrets, true).map(|token| AuthSpec::Bearer { token }),
        Kind::OAuth2 => read_oauth2(&mut section, logins, claims).map(|spec| AuthSpec::OAuth2(Box::new(spec))),
        Kind::Session => read_session(&mut section, logins, claims).map(|spec| AuthSpec::Session(Box::new(spec))),
    };
    section.finish();
    auth
}

fn read_api_key(section: &mut Section<'_>, secrets: &Secrets<'_>, claims: &mut Claims) -> Option<AuthSpec> {
    let header = section.optional("header");
    let query = section.optional("query");
    let place = match (&header, &query) {
        (Some(item), None) => header_place(item, claims),
        (None, Some(item)) => query_place(item, claims),
        _ => {
            let mend = r#"write header = "X-Api-Key" or query = "key""#;
            section.findings().fault(
                section.place(),
                "an API key goes into exactly one header or query parameter",
                mend,
            );
            None
        }
    };
    let in_header = header.is_some();
    let prefix = match section.optional("prefix") {
        Some(item) => read_prefix(&item, in_header),
        None => Some(String::new()),
    };
    let key = read_secret(section, "key", secrets, in_header);
    Some(AuthSpec::ApiKey { place: place?, prefix: prefix?, key: key? })
}

pub(super) fn header_place(item: &Item<'_>, claims: &mut Claims) -> Option<ApiKeyPlace> {
    let name = item.text()?;
    check_header_name(item, name)?;
    claims.claim_header(item, name)?;
    Some(ApiKeyPlace::Header(name.to_owned()))
}

pub(super) fn query_place(item: &Item<'_>, claims: &mut Claims) -> Option<ApiKeyPlace> {
    let name = item.text()?;
    claims.claim_query(item, name)?;
    Some(ApiKeyPlace::Query(name.to_owned()))
}

pub(super) fn read_prefix(item: &Item<'_>, in_header: bool) -> Option<String> {
    let prefix = item.any_text()?;
    if in_header && !is_header_text(prefix) {
        item.fault("holds characters that no header can carry", "use visible ASCII characters and blanks");
        return None;
    }
    Some(prefix.to_owned())
}

fn read_basic(section: &mut Section<'_>, secrets: &Secrets<'_>) -> Option<AuthSpec> {
    let username = section.required("username", r#"write username = "…""#).and_then(|item| read_username(&item));
    let password = read_secret(section, "password", secrets, false);
    Some(AuthSpec::Basic { username: username?, password: password? })
}

/// RFC 7617 §2: no colon, no control characters.
fn read_username(item: &Item<'_>) -> Option<String> {
    let username = item.text()?;
    if username.contains(|c: char| c == ':' || c.is_control()) {
        item.fault("must not hold ':' or control characters", "check the username; the password has a key of its own");
        return None;
    }
    Some(username.to_owned())
}

pub(super) fn read_secret(
    section: &mut Section<'_>,
    key: &'static str,
    secrets: &Secrets<'_>,
    in_header: bool,
) -> Option<SecretString> {
    let item = section.required(key, SECRET_FORMS)?;
    let secret = secrets.read(item.clone())?;
    if in_header && !is_header_text(secret.expose_secret()) {
        item.fault("the secret holds characters that no header can carry", "check that it is one line of plain ASCII");
        return None;
    }
    Some(secret)
}
