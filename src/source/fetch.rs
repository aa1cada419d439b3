//! Getting one page: admitted by the budget, tried again where that can help, redirected within the origin.
//!
//! A `POST` is tried again like a `GET`: the requests of a source only ever read a list.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, DATE, HeaderMap, HeaderName, LOCATION, RETRY_AFTER};
use tokio::time::Instant;

use super::auth::Credential;
use super::budget::Permit;
use super::caller::Caller;
use super::client::Answer;
use super::fault::{Fault, RequestLine, shown_origin};
use super::page::Fetched;
use super::request::{Ask, Blueprint, Request};
use super::retry;
use super::source::Inner;
use crate::clock::Clock;
use crate::limits;
use crate::model::Traffic;
use crate::observe::ResponseCode;

/// Gets the pages of one read and counts what that took.
pub(super) struct Fetcher<'s> {
    source: &'s Inner,
    blueprint: Blueprint,
    caller: Caller,
    traffic: Traffic,
    /// Of the present page.
    tries: u32,
    /// What the last request showed.
    shown: Option<Credential>,
}

/// Why a try failed, and whether the source's budget is paused on that account.
struct Failure {
    fault: Fault,
    paused: bool,
    /// Nothing was sent, for want of leave or of a credential; a login has had tries of its own.
    is_unsent: bool,
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self { fault, paused: false, is_unsent: false }
    }
}

impl<'s> Fetcher<'s> {
    pub(super) fn new(source: &'s Inner, blueprint: Blueprint, caller: Caller) -> Self {
        Self { source, blueprint, caller, traffic: Traffic::default(), tries: 0, shown: None }
    }

    pub(super) const fn traffic(&self) -> Traffic {
        self.traffic
    }

    pub(super) const fn deadline(&self) -> Instant {
        self.caller.deadline
    }

    /// How often the present page was asked for.
    pub(super) const fn tries(&self) -> u32 {
        self.tries
    }

    pub(super) async fn page(&mut self, ask: &Ask) -> Result<Fetched, Fault> {
        let request = self.blueprint.request(ask)?;
        self.tries = 1;
        let mut renewed = false;
        loop {
            let failure = match self.attempt(request.clone()).await {
                Ok(fetched) => {
                    self.traffic.pages += 1;
                    self.traffic.bytes += fetched.body.len() as u64;
                    return Ok(fetched);
                }
                Err(failure) => failure,
            };
            if failure.fault.is_unauthorised() && !renewed && self.renew() {
                renewed = true;
                self.traffic.retries += 1;
                continue;
            }
            if failure.fault.is_unauthorised() {
                self.condemn();
            }
            if failure.is_unsent || !failure.fault.is_transient() || self.tries >= self.source.spec.limits.tries {
                return Err(failure.fault);
            }
            if !failure.paused {
                self.caller.back_off(self.source.pauses, self.tries).await;
            }
            self.tries += 1;
            self.traffic.retries += 1;
        }
    }

    /// One try, with the redirects it leads to.
    async fn attempt(&mut self, mut request: Request) -> Result<Fetched, Failure> {
        for _ in 0..=limits::REDIRECTS_MAX {
            let line = RequestLine::new(&request.method, &request.url);
            let answer = self.send(&request).await?;
            match answer.status {
                200..=299 => {
                    let Answer { headers, body, .. } = answer;
                    return Ok(Fetched { request: line, url: request.url, headers, body });
                }
                301 | 302 | 303 | 307 | 308 => request = redirected(request, line, &answer)?,
                _ => return Err(self.refused(line, &answer)),
            }
        }
        let request = RequestLine::new(&request.method, &request.url);
        Err(Fault::RedirectedTooOften { request, limit: limits::REDIRECTS_MAX }.into())
    }

    async fn send(&mut self, request: &Request) -> Result<Answer, Failure> {
        let unsent = |fault| Failure { fault, paused: false, is_unsent: true };
        let (credential, permit) = self.admit().await.map_err(unsent)?;
        let mut sent = self.caller.sends(&mut self.traffic);
        let answer = self.source.client.exchange(request, &credential, Some(permit)).await;
        self.shown = Some(credential);
        let answer = answer?;
        sent.code = ResponseCode::Status(answer.status);
        Ok(answer)
    }

    /// Waits for a credential and for leave of the budget. The credential comes first, for a login may need the
    /// budget itself; and it is looked at again after, for it may have expired in the wait.
    async fn admit(&mut self) -> Result<(Credential, Permit), Fault> {
        loop {
            self.source.auth.ensure(&self.caller, &mut self.traffic).await?;
            let permit = self.caller.admit(&self.source.budget, &mut self.traffic).await?;
            if let Some(credential) = self.source.auth.ready() {
                return Ok((credential, permit));
            }
        }
    }

    /// Gives up the credential that the last request showed, so that the next one shows another. `false` where there
    /// is no other to be had.
    pub(super) fn renew(&mut self) -> bool {
        self.shown.take().is_some_and(|shown| self.source.auth.give_up(&shown, self.caller.read))
    }

    /// The source refused even a credential that was new.
    fn condemn(&mut self) {
        if let Some(shown) = self.shown.take() {
            self.source.auth.condemn(&shown);
        }
    }

    /// What a status that is no success means. A pause that the source asks for is everybody's who calls it.
    fn refused(&self, request: RequestLine, answer: &Answer) -> Failure {
        let status = answer.status;
        let header = answer.headers.contains_key(RETRY_AFTER);
        let paused = status == 429 || status == 503 && header;
        if paused {
            let asked = asked_pause(&answer.headers);
            self.source.budget.pause(self.source.pauses.asked(asked, self.tries));
        }
        let fault = match status {
            401 | 403 => Fault::Auth { request, status },
            429 => Fault::RateLimited { request },
            _ => Fault::Status { request, status },
        };
        Failure { fault, paused, is_unsent: false }
    }
}

/// The pause that `Retry-After` asks for.
pub(super) fn asked_pause(headers: &HeaderMap) -> Option<Duration> {
    let now: Timestamp = Clock::System.now();
    retry::retry_after(text(headers, &RETRY_AFTER)?, text(headers, &DATE), now)
}

pub(super) fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

/// The request that a redirect asks for, on the same origin only. As every client does, a 303, and a 301 or 302 to
/// a `POST`, becomes a `GET` (RFC 9110, 15.4).
fn redirected(request: Request, line: RequestLine, answer: &Answer) -> Result<Request, Fault> {
    let Some(location) = text(&answer.headers, &LOCATION) else {
        return Err(Fault::Status { request: line, status: answer.status });
    };
    let joined = request.url.join(location);
    let url = joined.map_err(|_| Fault::Status { request: line.clone(), status: answer.status })?;
    if url.origin() != request.url.origin() {
        let target = shown_origin(&url);
        return Err(Fault::OtherOrigin { request: line, what: "a redirect", target });
    }
    let mut next = Request { url, ..request };
    if matches!(answer.status, 301..=303) {
        next.method = Method::GET;
        next.body = None;
        next.headers.remove(CONTENT_TYPE);
    }
    Ok(next)
}
