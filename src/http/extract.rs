//! Path, query and body of a request, strictly: what is unknown, missing or of the wrong type is a problem that
//! names it.

use std::fmt::{self, Display};
use std::marker::PhantomData;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::path::ErrorKind;
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use jiff::tz::TimeZone;
use serde::de::{self, DeserializeOwned, Error as _, IgnoredAny, Visitor};
use serde::{Deserialize, Deserializer};
use url::form_urlencoded;

use super::problem::{Kind, Problem};
use crate::config::parse_duration;
use crate::limits::{API_BODY_BYTES_MAX, API_BODY_TIMEOUT, API_WAIT_MAX};

/// The parts of the path.
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let found = axum::extract::Path::<T>::from_request_parts(parts, state).await;
        found.map(|axum::extract::Path(parts)| Self(parts)).map_err(|rejection| path_problem(&rejection))
    }
}

fn path_problem(rejection: &PathRejection) -> Problem {
    let PathRejection::FailedToDeserializePathParams(failed) = rejection else {
        return Problem::new(Kind::Internal, "the route has no such parts");
    };
    match failed.kind() {
        ErrorKind::DeserializeError { key, message, .. } => Problem::at(Kind::BadRequest, key, message),
        ErrorKind::ParseErrorAtKey { key, expected_type, .. } => {
            Problem::at(Kind::BadRequest, key, format!("not a number ({expected_type})"))
        }
        ErrorKind::InvalidUtf8InPathParam { key } => Problem::at(Kind::BadRequest, key, "not UTF-8"),
        other => Problem::new(Kind::BadRequest, other.to_string()),
    }
}

/// A time zone by its name.
pub fn zone<'de, D: Deserializer<'de>>(deserializer: D) -> Result<TimeZone, D::Error> {
    let name = String::deserialize(deserializer)?;
    TimeZone::get(&name)
        .map_err(|_| D::Error::custom("no time zone of the IANA database; write e.g. \"Europe/Berlin\""))
}

/// Reads a name in a path. The type's own way would not tell axum which part of the path is wrong.
pub fn name<'de, T: TryFrom<String, Error: Display>, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    struct Name<T>(PhantomData<T>);

    impl<T: TryFrom<String, Error: Display>> Visitor<'_> for Name<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a name")
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
            T::try_from(text.to_owned()).map_err(E::custom)
        }
    }

    deserializer.deserialize_str(Name(PhantomData))
}

/// The parameters of the query.
pub struct Query<T>(pub T);

/// For routes without parameters.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let pairs = form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes());
        let query = serde_path_to_error::deserialize(serde_urlencoded::Deserializer::new(pairs));
        query.map(Self).map_err(|error| field_problem(Kind::BadRequest, &error))
    }
}

/// A JSON body.
pub struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        check_json(request.headers())?;
        read_json(&read_body(request, state).await?).map(Self)
    }
}

/// A JSON body that may be left out.
pub struct OptionalBody<T>(pub T);

impl<T: DeserializeOwned + Default, S: Send + Sync> FromRequest<S> for OptionalBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let is_json = check_json(request.headers());
        let body = read_body(request, state).await?;
        if body.is_empty() {
            return Ok(Self(T::default()));
        }
        is_json?;
        read_json(&body).map(Self)
    }
}

/// No body, or an empty JSON object.
pub struct EmptyBody;

impl<S: Send + Sync> FromRequest<S> for EmptyBody {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let body = read_body(request, state).await?;
        if !body.is_empty() {
            read_json::<Nothing>(&body)?;
        }
        Ok(Self)
    }
}

/// `application/json` or `application/<anything>+json`, whatever its parameters.
fn check_json(headers: &HeaderMap) -> Result<(), Problem> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_json = kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"));
    if is_json { Ok(()) } else { Err(Problem::new(Kind::MediaType, "send Content-Type: application/json")) }
}

/// The router caps the body's size for this extractor.
pub async fn read_body<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Problem> {
    let reading = Bytes::from_request(request, state);
    let slow = || format!("it must be here within {} s", API_BODY_TIMEOUT.as_secs());
    let read = tokio::time::timeout(API_BODY_TIMEOUT, reading).await;
    let read = read.map_err(|_| Problem::new(Kind::BodyTimeout, slow()))?;
    read.map_err(|rejection| {
        if rejection.status() == axum::http::StatusCode::PAYLOAD_TOO_LARGE {
            too_large()
        } else {
            Problem::new(Kind::BadRequest, "the body ends early")
        }
    })
}

pub fn too_large() -> Problem {
    Problem::new(Kind::TooLarge, format!("a body has at most {API_BODY_BYTES_MAX} bytes"))
}

/// Text that is no JSON is malformed (400); JSON that is not what the route takes is invalid (422).
fn read_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice::<IgnoredAny>(body).map_err(|error| not_json(&error))?;
    // serde would take an array for an object with its members in order.
    if !body.trim_ascii_start().starts_with(b"{") {
        return Err(Problem::new(Kind::Invalid, "the body must be a JSON object"));
    }
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    serde_path_to_error::deserialize(&mut deserializer).map_err(|error| field_problem(Kind::Invalid, &error))
}

fn not_json(error: &serde_json::Error) -> Problem {
    Problem::new(Kind::BadRequest, format!("not JSON at line {}, column {}", error.line(), error.column()))
}

/// The problem names the field: where the fault is one of its value, serde tells the path; where there is no such
/// field, or none that must be there, its message does.
fn field_problem<E: Display>(kind: Kind, error: &serde_path_to_error::Error<E>) -> Problem {
    let message = error.inner().to_string();
    // serde_json adds the place, which says less than the field.
    let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(message, _)| message);
    let named = ["unknown field `", "missing field `", "duplicate field `"]
        .iter()
        .find_map(|start| message.strip_prefix(start)?.split('`').next());
    let path = error.path().to_string();
    let field = match (named, path.as_str()) {
        (Some(name), "." | "") => name.to_owned(),
        (Some(name), path) if path == name || path.ends_with(&format!(".{name}")) => path.to_owned(),
        (Some(name), path) => format!("{path}.{name}"),
        (None, path) => path.to_owned(),
    };
    Problem::at(kind, field, message)
}

/// A parameter that is either there or not: `?full`, `?full=true` and `?full=1` are the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Flag(pub bool);

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match String::deserialize(deserializer)?.as_str() {
            "" | "true" | "1" => Ok(Self(true)),
            "false" | "0" => Ok(Self(false)),
            _ => Err(D::Error::custom("must be true or false")),
        }
    }
}

/// A time as people write it, cut to [`API_WAIT_MAX`].
#[derive(Debug, Clone, Copy)]
pub struct Wait(pub Duration);

impl<'de> Deserialize<'de> for Wait {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wait = parse_duration(&String::deserialize(deserializer)?);
        let wait = wait.ok_or_else(|| D::Error::custom("must be a time with its unit, e.g. 30s or 2m"))?;
        Ok(Self(wait.min(API_WAIT_MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        #[serde(rename = "name")]
        _name: String,
        #[serde(default, rename = "inner")]
        _inner: Vec<Inner>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        #[serde(rename = "flag")]
        _flag: bool,
    }

    async fn body_of(problem: Problem) -> (u16, serde_json::Value) {
        use axum::response::IntoResponse;
        let response = problem.into_response();
        let status = response.status().as_u16();
        let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, serde_json::from_slice(&bytes).unwrap())
    }

    #[tokio::test]
    async fn faults_of_a_body_name_the_field() {
        for (body, status, field) in [
            (r#"{"name": "a", "nmae": 1}"#, 422, "nmae"),
            (r#"{}"#, 422, "name"),
            (r#"{"name": 1}"#, 422, "name"),
            (r#"{"name": "a", "name": "b"}"#, 422, "name"),
            (r#"{"name": "a", "inner": [{"flag": true}, {"flag": 1}]}"#, 422, "inner[1].flag"),
            (r#"{"name": "a", "inner": [{"flag": true, "x": 1}]}"#, 422, "inner[0].x"),
            (r#"{"name": "a", "inner": [{}]}"#, 422, "inner[0].flag"),
        ] {
            let (got, problem) = body_of(read_json::<Outer>(body.as_bytes()).unwrap_err()).await;
            assert_eq!((got, problem["errors"][0]["field"].as_str()), (status, Some(field)), "{body}: {problem}");
        }
        let deep = "[".repeat(100_000);
        for (body, status) in [
            ("", 400),
            ("{", 400),
            ("nope", 400),
            (r#"{"name": "a"} x"#, 400),
            ("\u{0}", 400),
            ("[]", 422),
            (r#"["a"]"#, 422),
            ("null", 422),
            (&deep, 400),
        ] {
            let (got, problem) = body_of(read_json::<Outer>(body.as_bytes()).unwrap_err()).await;
            assert_eq!((got, &problem["errors"]), (status, &serde_json::Value::Null), "{body}: {problem}");
        }
    }

    #[test]
    fn content_types() {
        for (kind, good) in [
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            ("application/merge-patch+json", true),
            ("text/json", false),
            ("application/x-www-form-urlencoded", false),
            ("", false),
        ] {
            let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, kind.parse().unwrap())]);
            assert_eq!(check_json(&headers).is_ok(), good, "{kind}");
        }
        assert!(check_json(&HeaderMap::new()).is_err());
    }
}
