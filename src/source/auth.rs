//! How a request shows who asks.
//!
//! Invariant: a credential cannot print. Header values are marked sensitive; a key in the query stays a secret
//! until it is written into a URL, and URLs are shown only as [`RequestLine`](super::fault::RequestLine)s.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::config::{ApiKeyPlace, AuthSpec};

/// Puts a source's credential into its requests.
pub(super) enum Authenticator {
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

impl Authenticator {
    pub(super) fn new(spec: &AuthSpec) -> Result<Self, CredentialError> {
        match spec {
            AuthSpec::None => Ok(Self::None),
            AuthSpec::ApiKey { place: ApiKeyPlace::Header(name), prefix, key } => {
                let name = HeaderName::try_from(name).map_err(|_| CredentialError::Name(name.clone()))?;
                Self::header(name, &format!("{prefix}{}", key.expose_secret()))
            }
            AuthSpec::ApiKey { place: ApiKeyPlace::Query(name), prefix, key } => {
                let value = format!("{prefix}{}", key.expose_secret()).into();
                Ok(Self::Query { name: name.clone(), value })
            }
            AuthSpec::Basic { username, password } => {
                let pair = BASE64_STANDARD.encode(format!("{username}:{}", password.expose_secret()));
                Self::header(AUTHORIZATION, &format!("Basic {pair}"))
            }
            AuthSpec::Bearer { token } => Self::header(AUTHORIZATION, &format!("Bearer {}", token.expose_secret())),
        }
    }

    fn header(name: HeaderName, text: &str) -> Result<Self, CredentialError> {
        let mut value = HeaderValue::from_str(text).map_err(|_| CredentialError::Value)?;
        value.set_sensitive(true);
        Ok(Self::Header { name, value })
    }

    /// Adds the credential. A URL that the source gave may hold the key already; then it is left alone, byte by byte.
    pub(super) fn sign(&self, url: &mut Url, headers: &mut HeaderMap) {
        match self {
            Self::None => {}
            Self::Header { name, value } => {
                headers.insert(name.clone(), value.clone());
            }
            Self::Query { name, value } => {
                let value = value.expose_secret();
                if !url.query_pairs().any(|(key, present)| key == name.as_str() && present == value) {
                    url.query_pairs_mut().append_pair(name, value);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed(spec: &AuthSpec, url: &str) -> (String, HeaderMap) {
        let (mut url, mut headers) = (Url::parse(url).unwrap(), HeaderMap::new());
        Authenticator::new(spec).unwrap().sign(&mut url, &mut headers);
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
    fn a_credential_with_a_line_end_is_refused_without_being_shown() {
        let spec = AuthSpec::Bearer { token: "s3cret\n".into() };
        let error = Authenticator::new(&spec).err().unwrap();
        assert!(!format!("{error} {error:?}").contains("s3cret"));
    }
}
