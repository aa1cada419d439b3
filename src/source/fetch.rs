//! Getting one page: admitted by the budget, tried again where that can help, redirected within the origin.
//!
//! A `POST` is tried again like a `GET`: the requests of a source only ever read a list.

use std::time::Duration;

use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, LOCATION};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use super::budget::{OutOfTime, Permit, Refusal, worth_telling};
use super::budget_headers::{asked_pause, asks_for_pause, used_up};
use super::client::Answer;
use super::fault::{Fault, RequestLine, shown_origin};
use super::page::Fetched;
use super::read::{ReadEvent, WaitReason};
use super::request::{Ask, Blueprint, Request};
use super::source::Inner;
use crate::limits;
use crate::model::Traffic;
use crate::observe::ResponseCode;

/// Gets the pages of one read and counts what that took.
pub(super) struct Fetcher<'s> {
    source: &'s Inner,
    blueprint: Blueprint,
    deadline: Instant,
    events: mpsc::Sender<ReadEvent>,
    traffic: Traffic,
    /// Of the present page.
    tries: u32,
}

/// A request that was sent. It is told when dropped, so that one which the end of the run's time cuts short is, too.
struct Sent<'s> {
    source: &'s Inner,
    started: Instant,
    code: ResponseCode,
}

impl Drop for Sent<'_> {
    fn drop(&mut self) {
        self.source.observer.source_request(&self.source.spec.name, self.code, self.started.elapsed());
    }
}

/// Why a try failed, and whether the source's budget is paused on that account.
struct Failure {
    fault: Fault,
    paused: bool,
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self { fault, paused: false }
    }
}

impl<'s> Fetcher<'s> {
    pub(super) fn new(
        source: &'s Inner,
        blueprint: Blueprint,
        deadline: Instant,
        events: mpsc::Sender<ReadEvent>,
    ) -> Self {
        Self { source, blueprint, deadline, events, traffic: Traffic::default(), tries: 0 }
    }

    pub(super) const fn traffic(&self) -> Traffic {
        self.traffic
    }

    pub(super) const fn deadline(&self) -> Instant {
        self.deadline
    }

    /// How often the present page was asked for.
    pub(super) const fn tries(&self) -> u32 {
        self.tries
    }

    pub(super) async fn page(&mut self, ask: &Ask) -> Result<Fetched, Fault> {
        let request = self.blueprint.request(ask)?;
        self.tries = 1;
        loop {
            let failure = match self.attempt(request.clone()).await {
                Ok(fetched) => {
                    self.traffic.pages += 1;
                    self.traffic.bytes += fetched.body.len() as u64;
                    return Ok(fetched);
                }
                Err(failure) => failure,
            };
            if !failure.fault.is_transient() || self.tries >= self.source.spec.limits.tries {
                return Err(failure.fault);
            }
            if !failure.paused {
                self.back_off().await;
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

    async fn send(&mut self, request: &Request) -> Result<Answer, Fault> {
        let permit = self.admit().await?;
        self.traffic.requests += 1;
        let mut sent = Sent { source: self.source, started: Instant::now(), code: ResponseCode::Error };
        let answer = self.source.client.exchange(request, permit).await?;
        sent.code = ResponseCode::Status(answer.status);
        self.heed(&answer.headers);
        Ok(answer)
    }

    /// Shuts the source to everybody where it says that its allowance is used up. What it says does not change the
    /// windows, for it does not say which of them it means.
    fn heed(&self, headers: &HeaderMap) {
        let Inner { spec, budget, pauses, clock, .. } = self.source;
        if let Some(reset) = used_up(&spec.budget_headers, headers, spec.request.weight, clock.now()) {
            budget.pause_used_up(pauses.until_reset(reset, budget.longest()));
        }
    }

    /// Waits for the source's budget.
    async fn admit(&mut self) -> Result<Permit, Fault> {
        let started = Instant::now();
        let events = &self.events;
        let mut announce = |pause, why| tell_wait(events, pause, why);
        let admitted = self.source.budget.admit(self.source.spec.request.weight, self.deadline, &mut announce).await;
        let waited = started.elapsed();
        let wait_ms = u64::try_from(waited.as_millis()).unwrap_or(u64::MAX);
        if wait_ms > 0 {
            self.traffic.wait_ms += wait_ms;
            self.source.observer.source_budget_wait(&self.source.spec.name, waited);
        }
        admitted.map_err(|refusal| match refusal {
            Refusal::Unkept(error) => Fault::Unkept { reason: error.reason, problem: error.problem },
            Refusal::OutOfTime(OutOfTime { is_quota: true, opens_in, .. }) => Fault::Quota { opens_in },
            Refusal::OutOfTime(OutOfTime { why: WaitReason::RetryAfter, opens_in: Some(pause), .. }) => {
                Fault::PausedTooLong { pause }
            }
            Refusal::OutOfTime(_) => Fault::RunTimeout { limit: self.source.spec.limits.run_timeout },
        })
    }

    async fn back_off(&self) {
        // Without random numbers the pause is arbitrary, not random; that is still a pause.
        let random = getrandom::u64().unwrap_or(u64::MAX / 3);
        let pause = self.source.pauses.back_off(self.tries, random);
        tell_wait(&self.events, pause, WaitReason::BackOff);
        sleep(pause).await;
    }

    /// What a status that is no success means. A pause that the source asks for is everybody's who calls it.
    fn refused(&self, request: RequestLine, answer: &Answer) -> Failure {
        let status = answer.status;
        let names = &self.source.spec.budget_headers;
        let paused = status == 429 || status == 503 && asks_for_pause(names, &answer.headers);
        if paused {
            let asked = asked_pause(names, &answer.headers, self.source.clock.now());
            self.source.budget.pause(self.source.pauses.asked(asked, self.tries));
        }
        let fault = match status {
            401 | 403 => Fault::Auth { request, status },
            429 => Fault::RateLimited { request },
            _ => Fault::Status { request, status },
        };
        Failure { fault, paused }
    }
}

fn tell_wait(events: &mpsc::Sender<ReadEvent>, pause: Duration, why: WaitReason) {
    if let Some(pause) = worth_telling(pause) {
        // A reader that is busy with pages does not miss what it is not waiting for.
        let _ = events.try_send(ReadEvent::Waiting { pause, why });
    }
}

fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
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
