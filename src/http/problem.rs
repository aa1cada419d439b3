//! Problem details (RFC 9457): what a client is told when it does not get what it asked for.
//!
//! Invariant: a problem holds no secret, and of personal data at most what the client itself sent.

use axum::Json;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

pub const MEDIA_TYPE: &str = "application/problem+json";

/// The kinds of problems. Each has one status, one type and one title.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    BadRequest,
    Unauthorized,
    Forbidden,
    NotFound,
    MethodNotAllowed,
    BodyTimeout,
    Conflict,
    Locked,
    EmailTaken,
    TooLarge,
    MediaType,
    Invalid,
    Internal,
    Stopping,
    StoreClosed,
    Busy,
    SourceTimeout,
    Unavailable,
    DiskFull,
}

impl Kind {
    const fn facts(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::BadRequest => (StatusCode::BAD_REQUEST, "bad-request", "The request is malformed"),
            Self::Unauthorized => (StatusCode::UNAUTHORIZED, "unauthorized", "A valid token is needed"),
            Self::Forbidden => (StatusCode::FORBIDDEN, "forbidden", "The token's scopes do not allow this"),
            Self::NotFound => (StatusCode::NOT_FOUND, "not-found", "There is no such thing"),
            Self::MethodNotAllowed => {
                (StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "The method does not apply here")
            }
            Self::BodyTimeout => (StatusCode::REQUEST_TIMEOUT, "body-timeout", "The request's body came too slowly"),
            Self::Conflict => (StatusCode::CONFLICT, "conflict", "The state of things forbids this"),
            Self::Locked => (StatusCode::CONFLICT, "locked", "The value is a source's"),
            Self::EmailTaken => (StatusCode::CONFLICT, "email-taken", "The email is another user's"),
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "too-large", "The request's body is too large"),
            Self::MediaType => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "media-type", "The request's body is not JSON"),
            Self::Invalid => (StatusCode::UNPROCESSABLE_ENTITY, "invalid", "The request's body is not valid"),
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal", "The server failed"),
            Self::Stopping => (StatusCode::SERVICE_UNAVAILABLE, "stopping", "The server is stopping"),
            Self::StoreClosed => (StatusCode::SERVICE_UNAVAILABLE, "store-closed", "The store is being opened again"),
            Self::Busy => (StatusCode::SERVICE_UNAVAILABLE, "busy", "The server has too much to do"),
            Self::SourceTimeout => (StatusCode::GATEWAY_TIMEOUT, "source-timeout", "The source takes too long"),
            Self::Unavailable => {
                (StatusCode::SERVICE_UNAVAILABLE, "unavailable", "The identity provider does not answer")
            }
            Self::DiskFull => (StatusCode::INSUFFICIENT_STORAGE, "disk-full", "The disk is full"),
        }
    }
}

#[derive(Debug)]
pub struct Problem {
    kind: Kind,
    // Boxed, so that a result with a problem stays small.
    words: Box<Words>,
}

#[derive(Debug, Default)]
struct Words {
    detail: String,
    errors: Vec<FieldError>,
    locked: Vec<LockedValue>,
    hint: Option<String>,
}

/// A value that is to be edited where it comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Locked)]
pub struct LockedValue {
    /// `email`, or a profile field.
    pub field: String,
    pub source: String,
    /// Where the person can be edited there, where the source's configuration tells.
    pub edit_url: Option<String>,
}

/// What is wrong with one field of the body, one parameter of the query or one part of the path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// Its path, e.g. `feeds[0].source`.
    pub field: String,
    pub detail: String,
}

/// A problem as the client reads it (RFC 9457).
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemView {
    /// The kind of the problem, e.g. `urn:rollcall:problem:not-found`.
    r#type: String,
    /// The kind in words.
    title: &'static str,
    status: u16,
    /// This problem in words.
    detail: String,
    /// Every fault of a request that is not valid.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldError>,
    /// Where the first of the values that are locked can be edited.
    #[serde(skip_serializing_if = "Option::is_none")]
    edit_url: Option<String>,
    /// Every value that cannot be edited here, for it is a source's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    locked: Vec<LockedValue>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

impl Problem {
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self { kind, words: Box::new(Words { detail: detail.into(), ..Words::default() }) }
    }

    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(Kind::NotFound, detail)
    }

    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(Kind::Conflict, detail)
    }

    pub fn stopping() -> Self {
        Self::new(Kind::Stopping, "the server is stopping").hint("ask again when it is back")
    }

    /// One part of the request is wrong.
    pub fn at(kind: Kind, field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::of(kind, vec![FieldError { field: field.into(), detail: detail.into() }])
    }

    /// Several parts of the request are wrong.
    pub fn of(kind: Kind, errors: Vec<FieldError>) -> Self {
        let parts: Vec<_> = errors.iter().map(|error| format!("{}: {}", error.field, error.detail)).collect();
        let mut problem = Self::new(kind, parts.join("; "));
        problem.words.errors = errors;
        problem
    }

    /// Values that are sources'.
    pub fn locked(values: Vec<LockedValue>) -> Self {
        let parts: Vec<_> =
            values.iter().map(|value| format!("{} is set by source '{}'", value.field, value.source)).collect();
        let mut problem = Self::new(Kind::Locked, parts.join("; "))
            .hint("edit it in the source, or protect the field from it (PUT /v1/users/{user}/protected)");
        problem.words.locked = values;
        problem
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.words.hint = Some(hint.into());
        self
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, slug, title) = self.kind.facts();
        let Words { detail, errors, locked, hint } = *self.words;
        let edit_url = locked.iter().find_map(|value| value.edit_url.clone());
        let r#type = format!("urn:rollcall:problem:{slug}");
        let body = ProblemView { r#type, title, status: status.as_u16(), detail, errors, edit_url, locked, hint };
        let mut response = (status, Json(body)).into_response();
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        response
    }
}
