//! Who may do what: bearer tokens (RFC 6750), stored as SHA-256, with scopes.
//!
//! Invariant: a request without a token, with an unknown one or with a malformed one gets the same answer after the
//! same time; no token is compared in a way whose time tells how much of it was right.

use axum::extract::Request;
use axum::handler::Handler;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures_util::future::{BoxFuture, Either};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;
use tokio::time::Instant;
use utoipa::ToSchema;

use super::api::{Api, Shared};
use super::problem::{Kind, Problem};
use crate::limits::API_REFUSAL_PAUSE;
use crate::model::{TokenId, Trigger};

/// What a token allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Events, people, groups, runs, sources.
    Read,
    /// Starting and cancelling runs.
    Sync,
    /// Everything.
    Admin,
    /// What an event app asks for its users.
    App,
    /// Prometheus.
    Metrics,
}

impl Scope {
    pub const ALL: [Self; 5] = [Self::Read, Self::Sync, Self::Admin, Self::App, Self::Metrics];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Sync => "sync",
            Self::Admin => "admin",
            Self::App => "app",
            Self::Metrics => "metrics",
        }
    }

    /// A word that is no scope of this build allows nothing.
    fn is_granted_by(self, scopes: &[String]) -> bool {
        scopes.iter().any(|scope| scope == self.as_str() || scope == Self::Admin.as_str())
    }
}

/// Who asks, for routes behind a scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    /// The command line of this machine.
    Local,
    Token(TokenId),
}

impl Caller {
    pub const fn trigger(self) -> Trigger {
        match self {
            Self::Local => Trigger::Cli,
            Self::Token(_) => Trigger::Api,
        }
    }
}

/// A route's handler behind a scope: it is called only for a request whose token has it.
///
/// A handler itself and no middleware, for a middleware costs every request two boxes and a copy of what is behind it.
#[derive(Clone)]
pub struct Guarded<H> {
    pub scope: Scope,
    pub handler: H,
}

/// Why a request is refused, as a metric label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    Missing,
    Unknown,
    Scope,
}

impl<T, H: Handler<T, Shared>> Handler<T, Shared> for Guarded<H> {
    type Future = Either<H::Future, BoxFuture<'static, Response>>;

    fn call(self, mut request: Request, api: Shared) -> Self::Future {
        let came = Instant::now();
        match self.scope.admit(&api, request.headers()) {
            Ok(caller) => {
                request.extensions_mut().insert(caller);
                Either::Left(self.handler.call(request, api))
            }
            Err(refusal) => Either::Right(Box::pin(refuse(api, self.scope, refusal, came))),
        }
    }
}

impl Scope {
    fn admit(self, api: &Api, headers: &HeaderMap) -> Result<Caller, Refusal> {
        let token = bearer(headers);
        // Nobody's token is empty, so that the same work is done where there is none.
        let digest: [u8; 32] = Sha256::digest(token.unwrap_or_default()).into();
        let local = bool::from(api.local_token.ct_eq(&digest));
        let view = api.app.store.view();
        let mut known = None;
        for stored in view.tokens() {
            if bool::from(stored.sha256.ct_eq(&digest)) {
                known = Some(stored);
            }
        }
        match known {
            _ if local => Ok(Caller::Local),
            Some(stored) if self.is_granted_by(&stored.scopes) => Ok(Caller::Token(stored.id())),
            Some(_) => Err(Refusal::Scope),
            None if token.is_none() => Err(Refusal::Missing),
            None => Err(Refusal::Unknown),
        }
    }

    /// RFC 6750 §3.1
    fn insufficient(self) -> HeaderValue {
        let challenge = format!(r#"Bearer error="insufficient_scope", scope="{}""#, self.as_str());
        HeaderValue::from_str(&challenge).unwrap_or(bearer_challenge())
    }

    fn forbidden(self) -> Problem {
        Problem::new(Kind::Forbidden, format!("this needs a token with the scope '{}'", self.as_str()))
    }
}

impl Refusal {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Unknown => "unknown",
            Self::Scope => "scope",
        }
    }
}

async fn refuse(api: Shared, scope: Scope, refusal: Refusal, came: Instant) -> Response {
    if refusal != Refusal::Scope {
        return unauthenticated(&api, refusal, came).await;
    }
    refused(&api, refusal, came, scope.forbidden(), scope.insufficient()).await
}

/// What everybody is told who does not prove to be anybody, by whatever means, and how late.
pub async fn unauthenticated(api: &Api, refusal: Refusal, came: Instant) -> Response {
    refused(api, refusal, came, unauthorized(), bearer_challenge()).await
}

async fn refused(api: &Api, refusal: Refusal, came: Instant, problem: Problem, challenge: HeaderValue) -> Response {
    api.app.observer.auth_failed(refusal.as_str());
    tokio::time::sleep_until(came + API_REFUSAL_PAUSE).await;
    let mut response = problem.into_response();
    response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    response
}

const fn bearer_challenge() -> HeaderValue {
    HeaderValue::from_static("Bearer")
}

fn unauthorized() -> Problem {
    Problem::new(Kind::Unauthorized, "send Authorization: Bearer with a token of this server")
        .hint("make one with `rollcall token create`")
}

/// The token of `Authorization: Bearer …`; the scheme's case does not matter (RFC 9110 §11.1).
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn admin_implies_every_scope_and_nothing_else_does() {
        for wanted in Scope::ALL {
            for held in Scope::ALL {
                let granted = wanted.is_granted_by(&[held.as_str().to_owned()]);
                assert_eq!(granted, held == wanted || held == Scope::Admin, "{held:?} for {wanted:?}");
            }
            assert!(!wanted.is_granted_by(&[]) && !wanted.is_granted_by(&["root".into()]));
        }
    }

    #[test]
    fn tokens_are_read_from_bearer_credentials_only() {
        for (value, token) in [
            ("Bearer abc", Some("abc")),
            ("bearer  abc ", Some("abc")),
            ("BEARER abc", Some("abc")),
            ("Basic abc", None),
            ("Bearer", None),
            ("Bearer ", None),
            ("abc", None),
            ("", None),
        ] {
            let headers = HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_static(value))]);
            assert_eq!(bearer(&headers), token, "{value}");
        }
        assert_eq!(bearer(&HeaderMap::new()), None);
    }
}
