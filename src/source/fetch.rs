//! Getting one page: admitted by the budget, tried again where that can help, redirected within the origin.
//!
//! A `POST` is tried again like a `GET`: the requests of a source only ever read a list.

use std::sync::Arc;

use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH, LOCATION};
use tokio::task::spawn_blocking;

use super::auth::{Authenticator, Credential};
use super::budget::Permit;
use super::budget_headers::{asked_pause, asks_for_pause, used_up};
use super::caller::Caller;
use super::client::Answer;
use super::fault::{Fault, RequestLine, shown_origin};
use super::header::text;
use super::page::Fetched;
use super::request::{Ask, Blueprint, Request};
use super::rules::{self, Judged};
use super::source::Inner;
use crate::config::{ErrorRule, Verdict};
use crate::limits;
use crate::model::Validators;
use crate::observe::ResponseCode;

/// Gets the pages of one read and counts what that took.
pub(super) struct Fetcher<'s> {
    source: &'s Inner,
    auth: Authenticator,
    blueprint: Blueprint,
    caller: Caller,
    /// Of the present page.
    tries: u32,
    tries_max: u32,
    /// What the last request showed.
    shown: Option<Credential>,
}

/// What came for a page; `None`: the list is as its validators say (RFC 9110, 15.4.5).
pub(super) type Got = Option<Fetched>;

/// Why a try failed, and whether the source's budget is paused on that account.
struct Failure {
    fault: Fault,
    paused: bool,
    /// Nothing was sent, for want of leave or of a credential; a login has had tries of its own.
    is_unsent: bool,
    /// The credential that was shown is no good.
    is_unauthorised: bool,
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self { fault, paused: false, is_unsent: false, is_unauthorised: false }
    }
}

impl<'s> Fetcher<'s> {
    pub(super) fn new(source: &'s Inner, blueprint: Blueprint, caller: Caller) -> Self {
        let auth = source.auth.clone();
        Self::with_auth(source, blueprint, caller, auth)
    }

    /// On behalf of somebody who has a credential of their own.
    pub(super) fn with_auth(source: &'s Inner, blueprint: Blueprint, caller: Caller, auth: Authenticator) -> Self {
        let tries_max = source.spec.limits.tries;
        Self { source, auth, blueprint, caller, tries: 0, tries_max, shown: None }
    }

    /// Nothing is tried again, but for a credential that has to be renewed.
    pub(super) fn once(self) -> Self {
        Self { tries_max: 1, ..self }
    }

    /// What comes to a request without a condition.
    pub(super) async fn answer_to(&mut self, request: Request) -> Result<Fetched, Fault> {
        let got = self.got(request).await?;
        got.ok_or_else(|| Fault::Internal { problem: "a condition that nobody set was met".into() })
    }

    /// On whose behalf it is.
    pub(super) const fn caller(&self) -> &Caller {
        &self.caller
    }

    /// How often the present page was asked for.
    pub(super) const fn tries(&self) -> u32 {
        self.tries
    }

    pub(super) async fn page(&mut self, ask: &Ask) -> Result<Fetched, Fault> {
        self.answer_to(self.blueprint.request(ask)?).await
    }

    /// The page, unless the list is as it was.
    pub(super) async fn page_unless(&mut self, ask: &Ask, validators: &Validators) -> Result<Got, Fault> {
        let mut request = self.blueprint.request(ask)?;
        for (name, value) in [(IF_NONE_MATCH, &validators.etag), (IF_MODIFIED_SINCE, &validators.last_modified)] {
            // What the source gave came in a header, so it can be carried by one.
            let value = value.as_ref().and_then(|value| HeaderValue::from_str(value).ok());
            request.headers.extend(value.map(|value| (name, value)));
        }
        self.got(request).await
    }

    fn try_for(&mut self, tries: u32) {
        self.tries = tries;
        self.caller.tries_for(tries);
    }

    async fn got(&mut self, request: Request) -> Result<Got, Fault> {
        self.try_for(1);
        let mut renewed = false;
        loop {
            let failure = match self.attempt(request.clone()).await {
                Ok(got) => {
                    if let Some(fetched) = &got {
                        self.caller.count(|traffic| {
                            traffic.pages += 1;
                            traffic.bytes += fetched.body.len() as u64;
                        });
                    }
                    return Ok(got);
                }
                Err(failure) => failure,
            };
            if failure.is_unauthorised && !renewed && self.renew() {
                renewed = true;
                self.caller.count(|traffic| traffic.retries += 1);
                continue;
            }
            if failure.is_unauthorised {
                self.condemn();
            }
            if failure.is_unsent || !failure.fault.is_transient() || self.tries >= self.tries_max {
                return Err(failure.fault);
            }
            if !failure.paused {
                self.caller.back_off(self.source.pauses, self.tries).await;
            }
            self.try_for(self.tries + 1);
            self.caller.count(|traffic| traffic.retries += 1);
        }
    }

    /// One try, with the redirects it leads to.
    async fn attempt(&mut self, mut request: Request) -> Result<Got, Failure> {
        for _ in 0..=limits::REDIRECTS_MAX {
            let line = RequestLine::new(&request.method, &request.url);
            let answer = self.send(&request).await?;
            let Judged { answer, document, rule } = self.judged(answer).await?;
            match (rule, answer.status) {
                (Some(rule), _) => return Err(self.ruled(rule, line, &answer)),
                (None, 200..=299) => {
                    let Answer { status, headers, body } = answer;
                    return Ok(Some(Fetched { request: line, url: request.url, status, headers, body, document }));
                }
                (None, 304) if is_conditional(&request) => return Ok(None),
                (None, 301 | 302 | 303 | 307 | 308) => request = redirected(request, line, &answer)?,
                (None, status) => return Err(self.refused(rules::usual(status), line, &answer)),
            }
        }
        let request = RequestLine::new(&request.method, &request.url);
        Err(Fault::RedirectedTooOften { request, limit: limits::REDIRECTS_MAX }.into())
    }

    async fn send(&mut self, request: &Request) -> Result<Answer, Failure> {
        let admitted = self.admit().await;
        let (credential, permit) = admitted.map_err(|fault| Failure { is_unsent: true, ..fault.into() })?;
        let mut sent = self.caller.sends();
        let answer = self.source.client.exchange(request, &credential, Some(permit), &self.source.spec.errors).await;
        self.shown = Some(credential);
        let answer = answer?;
        sent.code = ResponseCode::Status(answer.status);
        self.heed(&answer.headers);
        Ok(answer)
    }

    /// Shuts the source to everybody where it says that its allowance is used up. What it says does not change the
    /// windows, for it does not say which of them it means.
    fn heed(&self, headers: &HeaderMap) {
        let Inner { spec, budget, pauses, clock, .. } = self.source;
        if let Some(reset) = used_up(&spec.budget_headers, headers, self.blueprint.weight(), clock.now()) {
            budget.pause_used_up(pauses.until_reset(reset, budget.longest()));
        }
    }

    /// Waits for a credential and for leave of the budget. The credential comes first, for a login may need the
    /// budget itself; and it is looked at again after, for it may have expired in the wait.
    async fn admit(&self) -> Result<(Credential, Permit), Fault> {
        loop {
            self.auth.ensure(&self.caller).await?;
            let permit = self.caller.admit(&self.source.budget, self.blueprint.weight()).await?;
            if let Some(credential) = self.auth.ready() {
                return Ok((credential, permit));
            }
        }
    }

    /// Gives up the credential that the last request showed, so that the next one shows another. `false` where there
    /// is no other to be had.
    fn renew(&mut self) -> bool {
        self.shown.take().is_some_and(|shown| self.auth.give_up(&shown, self.caller.read))
    }

    /// The source refused even a credential that was new.
    fn condemn(&mut self) {
        if let Some(shown) = self.shown.take() {
            self.auth.condemn(&shown);
        }
    }

    /// Holds an answer against the source's rules. A body is looked at off the async threads: a page may be large.
    async fn judged(&self, answer: Answer) -> Result<Judged, Fault> {
        let spec = Arc::clone(&self.source.spec);
        if !rules::need_body(&spec.errors, answer.status, &answer.headers) {
            return Ok(rules::judge(&spec, answer));
        }
        let judging = spawn_blocking(move || rules::judge(&spec, answer)).await;
        judging.map_err(|_| Fault::Internal { problem: "looking for errors in the answer broke off".into() })
    }

    /// What an answer means that meets a rule, by its place.
    fn ruled(&self, rule: usize, request: RequestLine, answer: &Answer) -> Failure {
        let Some(ErrorRule { then, hint, .. }) = self.source.spec.errors.get(rule) else {
            return Fault::Internal { problem: "an answer met a rule that is none".into() }.into();
        };
        let refused = self.refused(*then, request, answer);
        let transient = matches!(then, Verdict::Retry | Verdict::RateLimited);
        let fault = Box::new(refused.fault);
        Failure { fault: Fault::Ruled { fault, rule: rule + 1, transient, hint: hint.clone() }, ..refused }
    }

    /// What comes of a verdict. A pause that the source asks for is everybody's who calls it.
    fn refused(&self, verdict: Verdict, request: RequestLine, answer: &Answer) -> Failure {
        let status = answer.status;
        let names = &self.source.spec.budget_headers;
        let asked = asked_pause(names, &answer.headers, self.source.clock.now());
        let paused = match verdict {
            Verdict::RateLimited => true,
            Verdict::Retry => asks_for_pause(names, &answer.headers),
            Verdict::QuotaExhausted | Verdict::RefreshToken | Verdict::Ignore | Verdict::Fail => false,
        };
        if paused {
            self.source.budget.pause(self.source.pauses.asked(asked, self.tries));
        }
        let fault = match verdict {
            Verdict::RefreshToken => Fault::Auth { request, status },
            Verdict::Fail if matches!(status, 401 | 403) => Fault::Auth { request, status },
            Verdict::RateLimited => Fault::RateLimited { request, status },
            Verdict::QuotaExhausted => {
                let opens_in = asked.filter(|pause| !pause.is_zero()).map(|pause| pause.min(limits::QUOTA_OPENS_MAX));
                if let Some(opens_in) = opens_in {
                    self.source.budget.pause_used_up(opens_in);
                }
                Fault::Quota { request, status, opens_in }
            }
            Verdict::Ignore => Fault::Ignored { request, status },
            Verdict::Retry | Verdict::Fail => Fault::Status { request, status },
        };
        let is_unauthorised = matches!(verdict, Verdict::RefreshToken);
        Failure { fault, paused, is_unsent: false, is_unauthorised }
    }
}

fn is_conditional(request: &Request) -> bool {
    [IF_NONE_MATCH, IF_MODIFIED_SINCE].iter().any(|name| request.headers.contains_key(name))
}

/// The request that a redirect asks for, on the same origin only. As every client does, a 303, and a 301 or 302 to
/// a `POST`, becomes a `GET` (RFC 9110, 15.4).
fn redirected(request: Request, line: RequestLine, answer: &Answer) -> Result<Request, Fault> {
    let Some(location) = text(&answer.headers, LOCATION) else {
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
