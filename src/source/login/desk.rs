//! Asking for a token: with leave of the budget, tried again where that can help.
//!
//! Invariant: a login goes to the address the operator named and nowhere else; a redirect is a refusal.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::RETRY_AFTER;
use tokio::time::{Instant, sleep};

use super::answer::Reading;
use crate::clock::Clock;
use crate::config::BudgetHeaders;
use crate::limits;
use crate::observe::ResponseCode;
use crate::source::auth::Credential;
use crate::source::budget::Budget;
use crate::source::budget_headers::asked_pause;
use crate::source::caller::Caller;
use crate::source::client::{Answer, Client};
use crate::source::fault::{Fault, RequestLine};
use crate::source::read::WaitReason;
use crate::source::request::Request;
use crate::source::retry::Pauses;

/// Sends logins.
pub(super) struct Desk {
    pub(super) client: Client,
    /// The source's, where the login is a request to the source itself.
    pub(super) budget: Option<Budget>,
    pub(super) pauses: Pauses,
    /// Of one login, the first included.
    pub(super) tries: u32,
}

/// An answer that is a success, and when it came.
pub(super) struct Admitted {
    pub(super) request: RequestLine,
    pub(super) answer: Answer,
    pub(super) at: Timestamp,
}

/// Why a try failed, and how long the login's own server asks to be left alone.
struct Failure {
    fault: Fault,
    pause: Option<Duration>,
}

impl Desk {
    pub(super) async fn ask(&self, request: &Request, caller: &Caller) -> Result<Admitted, Fault> {
        let line = RequestLine::new(&request.method, &request.url);
        let mut tries = 1;
        loop {
            let failure = match self.attempt(request, &line, tries, caller).await {
                Ok(admitted) => return Ok(admitted),
                Err(failure) => failure,
            };
            if !failure.fault.is_transient() || tries >= self.tries {
                return Err(failure.fault);
            }
            match failure.pause {
                None => caller.back_off(self.pauses, tries).await,
                Some(pause) => self.obey(pause, caller).await?,
            }
            tries += 1;
            caller.count(|traffic| traffic.retries += 1);
        }
    }

    async fn attempt(
        &self,
        request: &Request,
        line: &RequestLine,
        tries: u32,
        caller: &Caller,
    ) -> Result<Admitted, Failure> {
        let alone = |fault| Failure { fault, pause: None };
        let permit = match &self.budget {
            Some(budget) => Some(caller.admit(budget, 1).await.map_err(alone)?),
            None => None,
        };
        let mut sent = caller.sends();
        let answer = self.client.exchange(request, &Credential::none(), permit, &[]).await;
        let answer = answer.map_err(|fault| alone(of_a_login(fault)))?;
        sent.code = ResponseCode::Status(answer.status);
        let at = Clock::System.now();
        let (request, status) = (line.clone(), answer.status);
        let fault = match status {
            200..=299 => return Ok(Admitted { request, answer, at }),
            400 | 401 | 403 | 422 => {
                let refusal = Reading::new(&answer, line).refusal();
                Fault::LoginRefused { request, status, refusal }
            }
            429 => Fault::RateLimited { request, status },
            _ => Fault::Status { request, status },
        };
        let asks = status == 429 || status == 503 && answer.headers.contains_key(RETRY_AFTER);
        let pause = asks.then(|| self.pauses.asked(asked_pause(&BudgetHeaders::default(), &answer.headers, at), tries));
        Err(Failure { fault, pause })
    }

    /// A pause that the source asks for is everybody's who calls it; another server's is the login's alone.
    async fn obey(&self, pause: Duration, caller: &Caller) -> Result<(), Fault> {
        if let Some(budget) = &self.budget {
            budget.pause(pause);
            return Ok(());
        }
        if Instant::now() + pause > caller.deadline {
            return Err(Fault::PausedTooLong { pause });
        }
        caller.tell_wait(pause, WaitReason::RetryAfter);
        sleep(pause).await;
        Ok(())
    }
}

/// A fault of a page in the words of a login.
fn of_a_login(fault: Fault) -> Fault {
    match fault {
        Fault::TooLarge { request, .. } => Fault::Decode {
            request,
            problem: format!("the login's answer is larger than {} KiB", limits::LOGIN_BYTES_MAX >> 10),
            hint: "check the login's address: this is no answer that holds a token",
        },
        other => other,
    }
}
