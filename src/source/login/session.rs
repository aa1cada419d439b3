//! The login request of a source that has a way of its own.

use bytes::Bytes;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use url::form_urlencoded;

use crate::config::{LoginBody, LoginRequestSpec, SecretJson};
use crate::source::auth::{CredentialError, sensitive};
use crate::source::request::{Request, http_method};

pub(super) fn request(spec: &LoginRequestSpec) -> Result<Request, CredentialError> {
    let mut url = spec.url.clone();
    for (name, value) in &spec.query {
        url.query_pairs_mut().append_pair(name, value.expose_secret());
    }
    let mut headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("application/json"))]);
    for (name, value) in &spec.headers {
        let key = HeaderName::try_from(name).map_err(|_| CredentialError::Name(name.clone()))?;
        headers.insert(key, sensitive(value.expose_secret())?);
    }
    let body = body(&spec.body).map(|(kind, bytes)| {
        headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static(kind));
        bytes
    });
    Ok(Request { method: http_method(spec.method), url, headers, body })
}

/// The body and its content type.
fn body(spec: &LoginBody) -> Option<(&'static str, Bytes)> {
    match spec {
        LoginBody::None => None,
        LoginBody::Json(value) => Some(("application/json", json(value).to_string().into())),
        LoginBody::Form(fields) => Some(("application/x-www-form-urlencoded", form(fields).into())),
    }
}

fn form(fields: &[(String, SecretString)]) -> String {
    let pairs = fields.iter().map(|(name, value)| (name, value.expose_secret()));
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

fn json(value: &SecretJson) -> Value {
    match value {
        SecretJson::Literal(value) => value.clone(),
        SecretJson::Text(text) => Value::String(text.expose_secret().to_owned()),
        SecretJson::Array(items) => Value::Array(items.iter().map(json).collect()),
        SecretJson::Object(fields) => {
            Value::Object(fields.iter().map(|(key, value)| (key.clone(), json(value))).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Method;

    fn spec(method: Method, body: LoginBody) -> LoginRequestSpec {
        LoginRequestSpec {
            method,
            url: "https://crm.example/login?a=b".parse().unwrap(),
            query: vec![("key".into(), "k&y".into())],
            headers: vec![("X-Tenant".into(), "t".into())],
            body,
        }
    }

    #[test]
    fn a_login_is_as_configured() {
        let user = || vec![("LoginId".to_owned(), "rollcall".into()), ("Password".to_owned(), "p&ss".into())];
        let texts = user().into_iter().map(|(name, value)| (name, SecretJson::Text(value)));
        let list = SecretJson::Array(vec![SecretJson::Literal(1.into()), SecretJson::Literal(true.into())]);
        let object = SecretJson::Object(texts.chain([("n".to_owned(), list)]).collect());
        for (spec, kind, body) in [
            (spec(Method::Get, LoginBody::None), None, None),
            (
                spec(Method::Post, LoginBody::Form(user())),
                Some("application/x-www-form-urlencoded"),
                Some("LoginId=rollcall&Password=p%26ss"),
            ),
            (
                spec(Method::Post, LoginBody::Json(object)),
                Some("application/json"),
                Some(r#"{"LoginId":"rollcall","Password":"p&ss","n":[1,true]}"#),
            ),
        ] {
            let request = request(&spec).unwrap();
            assert_eq!(request.url.as_str(), "https://crm.example/login?a=b&key=k%26y");
            assert_eq!(request.headers["x-tenant"], "t");
            assert!(request.headers["x-tenant"].is_sensitive());
            assert_eq!(request.headers.get(CONTENT_TYPE).map(|value| value.to_str().unwrap()), kind);
            assert_eq!(request.body.as_deref(), body.map(str::as_bytes));
        }
    }
}
