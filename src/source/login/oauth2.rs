//! The token requests of OAuth 2.0 (RFC 6749): any grant, and the refresh of what it gave.

use reqwest::Method;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use url::form_urlencoded::{self, byte_serialize};

use crate::config::{ClientAuth, OAuth2Spec};
use crate::source::auth::{CredentialError, basic, sensitive};
use crate::source::request::Request;

pub(super) const CLIENT_CREDENTIALS: &str = "client_credentials";
/// The grant that uses up a refresh token (RFC 6749 §6).
const REFRESH_TOKEN: &str = "refresh_token";

/// The request of the configured grant, with the configured refresh token where the grant takes one.
pub(super) fn first(spec: &OAuth2Spec) -> Result<Request, CredentialError> {
    request(spec, &spec.grant, spec.refresh_token.as_ref())
}

/// The request that uses up a refresh token.
pub(super) fn refresh(spec: &OAuth2Spec, token: &SecretString) -> Result<Request, CredentialError> {
    request(spec, REFRESH_TOKEN, Some(token))
}

fn request(spec: &OAuth2Spec, grant: &str, refresh: Option<&SecretString>) -> Result<Request, CredentialError> {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("grant_type", grant);
    if let Some(token) = refresh {
        form.append_pair("refresh_token", token.expose_secret());
    }
    if let Some(scope) = &spec.scope {
        form.append_pair("scope", scope);
    }
    // What a grant of its own wants, such as a password or a code, is not sent again with what it gave.
    if grant == spec.grant {
        for (name, value) in &spec.fields {
            form.append_pair(name, value.expose_secret());
        }
    }
    let mut headers = HeaderMap::from_iter([
        (ACCEPT, HeaderValue::from_static("application/json")),
        (CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded")),
    ]);
    let shown = client_credential(&spec.client_id, spec.client_secret.as_ref(), spec.client_auth, &mut form)?;
    headers.extend(shown.map(|value| (AUTHORIZATION, value)));
    Ok(Request { method: Method::POST, url: spec.token_url.clone(), headers, body: Some(form.finish().into()) })
}

/// Shows the client itself (RFC 6749 §2.3.1): in the form, or in the value of `Authorization` that is returned.
pub(in crate::source) fn client_credential(
    id: &str,
    secret: Option<&SecretString>,
    place: ClientAuth,
    form: &mut form_urlencoded::Serializer<'_, String>,
) -> Result<Option<HeaderValue>, CredentialError> {
    match (secret, place) {
        (Some(secret), ClientAuth::Basic) => return sensitive(&client_basic(id, secret)).map(Some),
        (Some(secret), ClientAuth::Body) => {
            form.append_pair("client_id", id).append_pair("client_secret", secret.expose_secret());
        }
        (None, _) => {
            form.append_pair("client_id", id);
        }
    }
    Ok(None)
}

/// Id and secret are encoded as in a form before they become name and password (RFC 6749 §2.3.1).
fn client_basic(id: &str, secret: &SecretString) -> String {
    let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
    basic(&encoded(id), &encoded(secret.expose_secret()).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ApiKeyPlace, TokenFrom, TokenSpec};
    use crate::mapping::Expression;

    fn spec(grant: &str, client_auth: ClientAuth, client_secret: Option<&str>) -> OAuth2Spec {
        let jq = |source| Expression::compile(source).unwrap();
        OAuth2Spec {
            token_url: "https://login.example/token?tenant=a".parse().unwrap(),
            grant: grant.into(),
            client_id: "app 1".into(),
            client_secret: client_secret.map(Into::into),
            client_auth,
            scope: Some("read:people".into()),
            fields: vec![("audience".into(), "https://crm.example/".into())],
            refresh_token: (grant == REFRESH_TOKEN).then(|| "first&".into()),
            next_refresh_token: jq(".refresh_token"),
            token: TokenSpec {
                from: TokenFrom::Body(jq(".access_token")),
                life: None,
                place: ApiKeyPlace::Header("Authorization".into()),
                prefix: "Bearer ".into(),
            },
        }
    }

    #[test]
    fn requests_are_as_the_rfc_has_them() {
        let scope = "scope=read%3Apeople";
        let field = "audience=https%3A%2F%2Fcrm.example%2F";
        for (spec, body, authorization) in [
            (
                spec("client_credentials", ClientAuth::Basic, Some("s3cret:")),
                format!("grant_type=client_credentials&{scope}&{field}"),
                // "app+1:s3cret%3A"
                Some("Basic YXBwKzE6czNjcmV0JTNB"),
            ),
            (
                spec("client_credentials", ClientAuth::Body, Some("s3cret:")),
                format!("grant_type=client_credentials&{scope}&{field}&client_id=app+1&client_secret=s3cret%3A"),
                None,
            ),
            (
                spec("refresh_token", ClientAuth::Basic, None),
                format!("grant_type=refresh_token&refresh_token=first%26&{scope}&{field}&client_id=app+1"),
                None,
            ),
            (
                spec("urn:x:any", ClientAuth::Body, None),
                format!("grant_type=urn%3Ax%3Aany&{scope}&{field}&client_id=app+1"),
                None,
            ),
        ] {
            let request = first(&spec).unwrap();
            assert_eq!(request.body.unwrap(), body);
            let header = request.headers.get(AUTHORIZATION);
            assert_eq!(header.map(|value| value.to_str().unwrap()), authorization);
            assert!(header.is_none_or(HeaderValue::is_sensitive));
            assert_eq!(request.url.as_str(), "https://login.example/token?tenant=a");
        }
    }

    #[test]
    fn a_refresh_does_not_repeat_the_fields_of_another_grant() {
        let body = |grant| refresh(&spec(grant, ClientAuth::Body, None), &"next".into()).unwrap().body.unwrap();
        let begin = "grant_type=refresh_token&refresh_token=next&scope=read%3Apeople";
        assert_eq!(body("password"), format!("{begin}&client_id=app+1"));
        let field = "audience=https%3A%2F%2Fcrm.example%2F";
        assert_eq!(body("refresh_token"), format!("{begin}&{field}&client_id=app+1"));
    }
}
