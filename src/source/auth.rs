//! How a request shows who asks.
//!
//! Invariant: a credential cannot print. Header values are marked sensitive; a key in the query stays a secret
//! until it is written into a URL, and URLs are shown only as [`RequestLine`](super::fault::RequestLine)s.

use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::caller::Caller;
use super::client::SourceError;
use super::fault::Fault;
use super::login::Login;
use crate::config::{ApiKeyPlace, AuthSpec, TokenSpec};
use crate::model::SourceName;

/// What requests show to a source, and how it is come by. Cloning shares it.
#[derive(Clone)]
pub(super) enum Authenticator {
    Fixed(Credential),
    /// By a login.
    Login(Arc<Login>),
}

/// What one request shows.
#[derive(Clone)]
pub(super) struct Credential {
    signature: Arc<Signature>,
    /// Which of a login's tokens it is; `None` for what never changes.
    pub(super) serial: Option<u64>,
}

enum Signature {
    None,
    Header { name: HeaderName, value: HeaderValue },
    Query { name: String, value: SecretString },
}

/// What is wrong with a credential, without it.
#[derive(Debug, thiserror::Error)]
pub(super) enum CredentialError {
    #[error("'{0}' is no name of a header")]
    Name(String),
    #[error("the credential holds characters that no header can carry (a line end?)")]
    Value,
}

impl CredentialError {
    pub(super) fn of(&self, source: &SourceName) -> SourceError {
        SourceError::Credential { source_name: source.clone(), problem: self.to_string() }
    }
}

impl Authenticator {
    /// Sees to it that there is a credential, by a login where one is due. Hold no permit of the budget meanwhile:
    /// the login may need the last one.
    pub(super) async fn ensure(&self, caller: &Caller) -> Result<(), Fault> {
        match self {
            Self::Fixed(_) => Ok(()),
            Self::Login(login) => login.ensure(caller).await,
        }
    }

    /// What a request that is sent now may show; `None` where a login is due before.
    pub(super) fn ready(&self) -> Option<Credential> {
        match self {
            Self::Fixed(credential) => Some(credential.clone()),
            Self::Login(login) => login.ready(),
        }
    }

    /// Gives up a credential that the source refused to this read; is another to be had?
    pub(super) fn give_up(&self, used: &Credential, read: u64) -> bool {
        match self {
            Self::Fixed(_) => false,
            Self::Login(login) => login.give_up(used, read),
        }
    }

    /// The source refused a credential that was new: to every read that goes on there is no other.
    pub(super) fn condemn(&self, used: &Credential) {
        if let Self::Login(login) = self {
            login.condemn(used);
        }
    }

    /// Counts a read that begins. It may learn anew whether a login is refused.
    pub(super) fn begin_read(&self) -> u64 {
        match self {
            Self::Fixed(_) => 1,
            Self::Login(login) => login.begin_read(),
        }
    }

    /// When what is shown now expires, where that is known.
    pub(super) fn expires_at(&self) -> Option<Timestamp> {
        match self {
            Self::Fixed(_) => None,
            Self::Login(login) => login.expires_at(),
        }
    }
}

impl Credential {
    /// One that never changes. A kind that logs in shows nothing by itself.
    pub(super) fn fixed(spec: &AuthSpec) -> Result<Self, CredentialError> {
        let signature = match spec {
            AuthSpec::None | AuthSpec::OAuth2(_) | AuthSpec::Session(_) => Signature::None,
            AuthSpec::ApiKey { place, prefix, key } => Signature::new(place, prefix, key)?,
            AuthSpec::Basic { username, password } => Signature::header(AUTHORIZATION, &basic(username, password))?,
            AuthSpec::Bearer { token } => {
                Signature::header(AUTHORIZATION, &format!("Bearer {}", token.expose_secret()))?
            }
        };
        Ok(Self { signature: Arc::new(signature), serial: None })
    }

    /// Somebody's own token (RFC 6750).
    pub(super) fn bearer(token: &SecretString) -> Result<Self, CredentialError> {
        let signature = Signature::header(AUTHORIZATION, &format!("Bearer {}", token.expose_secret()))?;
        Ok(Self { signature: Arc::new(signature), serial: None })
    }

    /// The token of a login.
    pub(super) fn token(spec: &TokenSpec, token: &SecretString, serial: u64) -> Result<Self, CredentialError> {
        let signature = Signature::new(&spec.place, &spec.prefix, token)?;
        Ok(Self { signature: Arc::new(signature), serial: Some(serial) })
    }

    /// Nothing: a login shows who asks in itself.
    pub(super) fn none() -> Self {
        Self { signature: Arc::new(Signature::None), serial: None }
    }

    /// Adds the credential. A URL that the source gave may hold the key already; then it is left alone, byte by byte. It
    /// may also hold a login's former token, which goes.
    pub(super) fn sign(&self, url: &mut Url, headers: &mut HeaderMap) {
        match &*self.signature {
            Signature::None => {}
            Signature::Header { name, value } => {
                headers.insert(name.clone(), value.clone());
            }
            Signature::Query { name, value } => {
                let value = value.expose_secret();
                if self.serial.is_some() {
                    remove_others(url, name, value);
                }
                if !url.query_pairs().any(|(key, present)| key == name.as_str() && present == value) {
                    url.query_pairs_mut().append_pair(name, value);
                }
            }
        }
    }
}

impl Signature {
    fn new(place: &ApiKeyPlace, prefix: &str, key: &SecretString) -> Result<Self, CredentialError> {
        let text = SecretString::from(format!("{prefix}{}", key.expose_secret()));
        match place {
            ApiKeyPlace::Header(name) => {
                let name = HeaderName::try_from(name).map_err(|_| CredentialError::Name(name.clone()))?;
                Self::header(name, text.expose_secret())
            }
            ApiKeyPlace::Query(name) => Ok(Self::Query { name: name.clone(), value: text }),
        }
    }

    fn header(name: HeaderName, text: &str) -> Result<Self, CredentialError> {
        sensitive(text).map(|value| Self::Header { name, value })
    }
}

/// Removes from the query what has this name and another value.
fn remove_others(url: &mut Url, name: &str, value: &str) {
    let is_other = |key: &str, present: &str| key == name && present != value;
    if url.query_pairs().any(|(key, present)| is_other(&key, &present)) {
        let pairs: Vec<_> = url.query_pairs().into_owned().filter(|(key, present)| !is_other(key, present)).collect();
        url.query_pairs_mut().clear().extend_pairs(pairs);
    }
}

/// A header's value that does not print.
pub(super) fn sensitive(text: &str) -> Result<HeaderValue, CredentialError> {
    let mut value = HeaderValue::from_str(text).map_err(|_| CredentialError::Value)?;
    value.set_sensitive(true);
    Ok(value)
}

/// `Authorization` as RFC 7617 has it.
pub(super) fn basic(username: &str, password: &SecretString) -> String {
    let pair = BASE64_STANDARD.encode(format!("{username}:{}", password.expose_secret()));
    format!("Basic {pair}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::TokenFrom;

    fn signed(spec: &AuthSpec, url: &str) -> (String, HeaderMap) {
        let (mut url, mut headers) = (Url::parse(url).unwrap(), HeaderMap::new());
        Credential::fixed(spec).unwrap().sign(&mut url, &mut headers);
        (url.into(), headers)
    }

    fn api_key(place: ApiKeyPlace, prefix: &str) -> AuthSpec {
        AuthSpec::ApiKey { place, prefix: prefix.into(), key: "k3y&".into() }
    }

    #[test]
    fn each_kind_signs_its_way() {
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        for (spec, expected) in [
            (api_key(ApiKeyPlace::Header("X-Key".into()), ""), header("x-key", "k3y&")),
            (api_key(ApiKeyPlace::Header("Authorization".into()), "Token "), header("authorization", "Token k3y&")),
            // RFC 7617's own example.
            (
                AuthSpec::Basic { username: "Aladdin".into(), password: "open sesame".into() },
                header("authorization", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
            ),
            (AuthSpec::Bearer { token: "t".into() }, header("authorization", "Bearer t")),
        ] {
            let (url, headers) = signed(&spec, "https://a.example/b?c=d");
            assert_eq!(url, "https://a.example/b?c=d");
            assert_eq!(headers.len(), 1);
            assert_eq!(headers[&expected.0], expected.1.as_str());
            assert!(headers[&expected.0].is_sensitive());
        }
        let (url, headers) = signed(&AuthSpec::None, "https://a.example/");
        assert_eq!((url.as_str(), headers.len()), ("https://a.example/", 0));
    }

    #[test]
    fn a_key_in_the_query_is_added_once() {
        let spec = api_key(ApiKeyPlace::Query("key".into()), "");
        for (url, expected) in [
            ("https://a.example/?x=%20y", "https://a.example/?x=%20y&key=k3y%26"),
            ("https://a.example/?key=k3y%26&x=%20y", "https://a.example/?key=k3y%26&x=%20y"),
        ] {
            assert_eq!(signed(&spec, url).0, expected);
        }
    }

    #[test]
    fn a_token_in_the_query_takes_the_place_of_a_former_one() {
        let path = crate::mapping::Expression::compile(".t").unwrap();
        let place = ApiKeyPlace::Query("t".into());
        let spec = TokenSpec { from: TokenFrom::Body(path), life: None, place, prefix: String::new() };
        let credential = Credential::token(&spec, &"new".into(), 2).unwrap();
        for (url, expected) in [
            ("https://a.example/?x=%20y", "https://a.example/?x=%20y&t=new"),
            ("https://a.example/?t=new&x=%20y", "https://a.example/?t=new&x=%20y"),
            ("https://a.example/?t=old&x=%20y&t=older", "https://a.example/?x=+y&t=new"),
            ("https://a.example/?t=old", "https://a.example/?t=new"),
        ] {
            let mut url = Url::parse(url).unwrap();
            credential.sign(&mut url, &mut HeaderMap::new());
            assert_eq!(url.as_str(), expected);
        }
    }

    #[test]
    fn a_credential_with_a_line_end_is_refused_without_being_shown() {
        let spec = AuthSpec::Bearer { token: "s3cret\n".into() };
        let error = Credential::fixed(&spec).err().unwrap();
        assert!(!format!("{error} {error:?}").contains("s3cret"));
    }
}
