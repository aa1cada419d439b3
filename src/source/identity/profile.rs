//! What a provider says of somebody, asked with their own token.

use reqwest::Method;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use secrecy::SecretString;

use super::provider::{Identity, IdentityError, Unbelievable, failed};
use super::wire::Wire;
use crate::config::{ProfileFrom, Vars};
use crate::decode::RawRecord;
use crate::mapping::Expression;
use crate::model::ExternalId;
use crate::source::auth::{Authenticator, Credential};
use crate::source::fault::{Fault, RequestLine};
use crate::source::fetch::Fetcher;
use crate::source::page::{self, Fetched};
use crate::source::request::{Ask, Blueprint, Request};

/// What a provider says of somebody who signed in with it.
#[derive(Clone)]
pub struct Profile {
    pub record: RawRecord,
    /// The `sub` that it vouches for; `None` where the profile alone says who it is of.
    pub subject: Option<ExternalId>,
    /// It vouches for the email, too, or is taken to.
    pub is_verified: bool,
}

impl Identity {
    /// The profile of whom an access token is of. `subject`: who that is, where it is known.
    pub async fn profile(&self, access: &SecretString, subject: Option<&ExternalId>) -> Result<Profile, IdentityError> {
        let wire = self.wire();
        let credential = Credential::bearer(access);
        let credential = credential.map_err(|error| failed(Fault::Config { problem: error.to_string() }))?;
        let fetched = match self.spec.profile {
            ProfileFrom::UserInfo => self.userinfo(&wire, &credential).await?,
            ProfileFrom::Request => self.requested(&wire, credential).await?,
        };
        let record = self.only_record(fetched)?;
        let subject = match self.spec.profile {
            ProfileFrom::UserInfo => Some(the_same(&record, subject)?),
            ProfileFrom::Request if self.names_subjects() => {
                Some(subject.cloned().ok_or(IdentityError::Unbelievable(Unbelievable::NoProof))?)
            }
            ProfileFrom::Request => None,
        };
        let is_verified = self.spec.trust_email || is_true(&self.spec.email_verified, &record);
        Ok(Profile { record, subject, is_verified })
    }

    async fn userinfo(&self, wire: &Wire, credential: &Credential) -> Result<Fetched, IdentityError> {
        let endpoints = self.endpoints(wire, false).await?;
        let url = endpoints.openid.as_ref().and_then(|openid| openid.userinfo.clone());
        let url = url.ok_or_else(|| {
            let problem =
                "the provider's metadata names no UserInfo endpoint: say by [source.….request] where profiles are";
            failed(Fault::Config { problem: problem.into() })
        })?;
        let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("application/json"))]);
        let request = Request { method: Method::GET, url: url.clone(), headers, body: None };
        let answer = wire.ask(&request, credential).await.map_err(failed)?;
        let line = RequestLine::new(&request.method, &url);
        match answer.status {
            200..=299 => {}
            401 | 403 => return Err(IdentityError::Refused),
            status => return Err(failed(Fault::Status { request: line, status })),
        }
        let declared = answer.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if declared.starts_with("application/jwt") {
            let hint = "have the provider answer this client with plain JSON (userinfo_signed_response_alg)";
            return Err(failed(Fault::Decode { request: line, problem: "the profile is signed".into(), hint }));
        }
        let (status, headers, body) = (answer.status, answer.headers, answer.body);
        Ok(Fetched { request: line, url, status, headers, body, document: None })
    }

    /// By the source's own request, with its rules on errors and its tries.
    async fn requested(&self, wire: &Wire, credential: Credential) -> Result<Fetched, IdentityError> {
        let blueprint = Blueprint::new(&self.source.spec.request, Vars::new()).map_err(failed)?;
        let auth = Authenticator::Fixed(credential);
        let mut fetcher = Fetcher::with_auth(&self.source, blueprint, wire.caller.clone(), auth);
        let ask = Ask::Query(Vec::new());
        let fetched = tokio::time::timeout_at(wire.caller.deadline, fetcher.page(&ask)).await;
        match fetched.map_err(|_| failed(wire.caller.out_of_time()))? {
            Err(Fault::Auth { .. }) => Err(IdentityError::Refused),
            other => other.map_err(failed),
        }
    }

    fn only_record(&self, fetched: Fetched) -> Result<RawRecord, IdentityError> {
        let mut records = page::parse(&self.source.how, fetched).map_err(failed)?.records;
        match (records.pop(), records.is_empty()) {
            (Some(record), true) => Ok(record),
            (_, none) => {
                let problem =
                    format!("`select` finds {} in the profile", if none { "no person" } else { "several people" });
                Err(failed(Fault::Select { problem, hint: "write `select` so that it gives the one person's object" }))
            }
        }
    }
}

/// The `sub` of a UserInfo answer, which must be the ID token's (OpenID Connect Core 1.0 §5.3.2).
fn the_same(record: &RawRecord, subject: Option<&ExternalId>) -> Result<ExternalId, IdentityError> {
    let other = || IdentityError::Unbelievable(Unbelievable::Subject);
    let found = Expression::compile(".sub").ok().and_then(|path| path.scalar_of_record(record).ok().flatten());
    let found = found.and_then(|sub| ExternalId::new(&sub)).ok_or_else(other)?;
    if subject.is_none_or(|subject| *subject == found) { Ok(found) } else { Err(other()) }
}

/// Some providers write truth as a text, and jq takes every text for true.
fn is_true(expression: &Expression, record: &RawRecord) -> bool {
    matches!(expression.scalar_of_record(record), Ok(Some(text)) if text == "true")
}
