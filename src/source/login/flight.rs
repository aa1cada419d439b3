//! A token that everybody who calls the source shares: who needs one first logs in, the others wait and look again.
//!
//! Invariant: one login at a time. One that has begun goes on even if the read that began it is given up: the source may
//! have changed its refresh token already. Time is tokio's, so that tests can stop it; the clock only dates what is kept.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;
use secrecy::{ExposeSecret, SecretString};
use tokio::time::{Instant, timeout_at};

use super::answer::{Granted, Reading};
use super::desk::{Admitted, Desk};
use super::vault::{Held, Vault};
use super::{oauth2, session};
use crate::clock::Clock;
use crate::config::{AuthSpec, OAuth2Spec, SourceSpec, TokenFrom, TokenSpec};
use crate::limits;
use crate::model::{ErrorReason, Keepsake, SourceName};
use crate::observe::Observer;
use crate::source::auth::{Credential, CredentialError};
use crate::source::budget::Budget;
use crate::source::caller::Caller;
use crate::source::client::{Client, SourceError};
use crate::source::fault::Fault;
use crate::source::keep::{Keep, KeepError};
use crate::source::request::Request;
use crate::source::retry::Pauses;

/// The credential of a source that is logged in to.
pub(in crate::source) struct Login {
    source: SourceName,
    way: Way,
    desk: Desk,
    vault: Vault,
    keep: Arc<dyn Keep>,
    observer: Observer,
    /// Held by the one login that goes on.
    turn: Arc<tokio::sync::Mutex<()>>,
    state: Mutex<State>,
}

/// How a token is asked for.
struct Way {
    /// The login as configured.
    first: Request,
    token: TokenSpec,
    /// Where a refresh token is used once there is one.
    refreshing: Option<OAuth2Spec>,
}

#[derive(Default)]
struct State {
    token: Option<Token>,
    refresh: Option<SecretString>,
    /// Granted, but not yet kept.
    pending: Option<Pending>,
    /// Logins that have ended.
    logins: u64,
    /// Of the last login.
    failure: Option<Failure>,
    /// The last token that was refused although it was new, and how many reads had begun by then.
    condemned: Option<(u64, u64)>,
    /// The last token's number.
    serial: u64,
    reads: u64,
}

/// What requests show now.
struct Token {
    credential: Credential,
    expiry: Option<Expiry>,
}

struct Pending {
    token: SecretString,
    expiry: Option<Expiry>,
    /// Came with a refresh token that takes the place of the former: without it nobody gets in again.
    is_rotated: bool,
}

#[derive(Clone, Copy)]
struct Expiry {
    at: Timestamp,
    /// A new one is due from here on.
    due: Instant,
}

struct Failure {
    fault: Fault,
    /// Which login it was.
    login: u64,
    /// How many reads had begun by then.
    reads: u64,
}

impl Way {
    fn of(auth: &AuthSpec) -> Result<Option<Self>, CredentialError> {
        Ok(match auth {
            AuthSpec::OAuth2(spec) => Some(Self {
                first: oauth2::first(spec)?,
                token: spec.token.clone(),
                // That grant needs no refresh token, and none is to be given (RFC 6749 §4.4.3).
                refreshing: (spec.grant != oauth2::CLIENT_CREDENTIALS).then(|| (**spec).clone()),
            }),
            AuthSpec::Session(spec) => {
                Some(Self { first: session::request(&spec.request)?, token: spec.token.clone(), refreshing: None })
            }
            AuthSpec::None | AuthSpec::ApiKey { .. } | AuthSpec::Basic { .. } | AuthSpec::Bearer { .. } => None,
        })
    }

    fn configured_refresh(&self) -> Option<&SecretString> {
        self.refreshing.as_ref()?.refresh_token.as_ref()
    }

    fn vault(&self, keep: &dyn Keep, source: &SourceName) -> Vault {
        let Request { method, url, headers, body } = &self.first;
        let mut made_by: Vec<&[u8]> = vec![method.as_str().as_bytes(), url.as_str().as_bytes()];
        for (name, value) in headers {
            made_by.extend([name.as_str().as_bytes(), value.as_bytes()]);
        }
        made_by.push(body.as_deref().unwrap_or_default());
        let (kind, name) = match &self.token.from {
            TokenFrom::Body(path) => ("body", path.source()),
            TokenFrom::Header(name) => ("header", name.as_str()),
            TokenFrom::Cookie(name) => ("cookie", name.as_str()),
        };
        made_by.extend([kind.as_bytes(), name.as_bytes()]);
        match (&self.refreshing, self.configured_refresh()) {
            (Some(spec), Some(first)) => {
                let refresh_of = [spec.client_id.as_bytes(), first.expose_secret().as_bytes()];
                Vault::new(&keep.key(), source, &made_by, &refresh_of)
            }
            _ => Vault::new(&keep.key(), source, &made_by, &made_by),
        }
    }
}

impl Expiry {
    /// `now` is the time at which `life` begins, a moment ago at most.
    fn new(life: Duration, now: Timestamp) -> Self {
        let life = life.min(limits::TOKEN_LIFE_MAX);
        let ahead = limits::TOKEN_AHEAD_MAX.min(life / limits::TOKEN_AHEAD_PARTS);
        Self { at: now.checked_add(life).unwrap_or(Timestamp::MAX), due: Instant::now() + (life - ahead) }
    }
}

impl State {
    fn ready(&self) -> Option<Credential> {
        let token = self.token.as_ref()?;
        let is_due = token.expiry.is_some_and(|expiry| Instant::now() >= expiry.due);
        (!is_due).then(|| token.credential.clone())
    }

    /// Why there is no token, for a read that waited since `logins` had ended; nothing if it may try by itself.
    fn failed(&self, logins: u64, read: u64) -> Option<Fault> {
        let failure = self.failure.as_ref()?;
        let holds = match failure.fault {
            Fault::LoginRefused { .. } => read <= failure.reads,
            // That was the time of the read that logged in.
            Fault::RunTimeout { .. } | Fault::PausedTooLong { .. } => false,
            _ => failure.login > logins,
        };
        holds.then(|| failure.fault.clone())
    }

    fn take_place(&mut self, token: Credential, expiry: Option<Expiry>) {
        self.token = Some(Token { credential: token, expiry });
    }
}

impl Login {
    /// `None` where the source is not logged in to. What an earlier process kept serves on.
    pub(in crate::source) fn new(
        spec: &SourceSpec,
        client: &Client,
        budget: &Budget,
        pauses: Pauses,
        observer: &Observer,
        keep: Arc<dyn Keep>,
    ) -> Result<Option<Self>, SourceError> {
        let Some(way) = Way::of(&spec.auth).map_err(|error| error.of(&spec.name))? else { return Ok(None) };
        let is_own = way.first.url.origin() == *client.origin();
        let desk = Desk {
            client: client.for_logins(spec, &way.first.url)?,
            budget: is_own.then(|| budget.clone()),
            pauses,
            tries: spec.limits.tries,
        };
        let login = Self {
            source: spec.name.clone(),
            vault: way.vault(&*keep, &spec.name),
            way,
            desk,
            keep,
            observer: observer.clone(),
            turn: Arc::default(),
            state: Mutex::default(),
        };
        login.recall();
        Ok(Some(login))
    }

    /// Goes on with what an earlier process kept.
    fn recall(&self) {
        let opened = self.keep.load(Keepsake::Credential).map(|sealed| self.vault.open(&sealed));
        let held = match opened {
            Some(Ok(held)) => held,
            Some(Err(_)) => {
                self.observer.credential_unreadable(&self.source);
                Held::default()
            }
            None => Held::default(),
        };
        let mut state = self.state.lock();
        if self.way.refreshing.is_some() {
            state.refresh = held.refresh.or_else(|| self.way.configured_refresh().cloned());
        }
        let Some((token, expires_at)) = held.token else { return };
        let now = Clock::System.now();
        let left = expires_at.map(|at| Duration::try_from(at.duration_since(now)).unwrap_or_default());
        if left == Some(Duration::ZERO) {
            return;
        }
        // Whoever sealed it had shown it already, so a request can carry it.
        let Ok(credential) = Credential::token(&self.way.token, &token, state.serial) else { return };
        state.take_place(credential, left.map(|left| Expiry::new(left, now)));
        self.observer.credential_held(&self.source, expires_at, true);
    }

    pub(in crate::source) fn begin_read(&self) -> u64 {
        let mut state = self.state.lock();
        state.reads += 1;
        state.reads
    }

    pub(in crate::source) fn ready(&self) -> Option<Credential> {
        self.state.lock().ready()
    }

    pub(in crate::source) fn expires_at(&self) -> Option<Timestamp> {
        self.state.lock().token.as_ref()?.expiry.map(|expiry| expiry.at)
    }

    /// As [`Authenticator::give_up`](crate::source::auth::Authenticator::give_up). Where somebody else has got another
    /// token meanwhile, that one stays.
    pub(in crate::source) fn give_up(&self, used: &Credential, read: u64) -> bool {
        let mut state = self.state.lock();
        let is_hopeless = state.condemned.is_some_and(|(serial, reads)| used.serial == Some(serial) && read <= reads);
        if is_hopeless {
            return false;
        }
        if state.token.as_ref().is_some_and(|token| token.credential.serial == used.serial) {
            state.token = None;
        }
        true
    }

    pub(in crate::source) fn condemn(&self, used: &Credential) {
        let mut state = self.state.lock();
        let reads = state.reads;
        state.condemned = used.serial.map(|serial| (serial, reads));
    }

    /// Sees to it that there is a token.
    pub(in crate::source) async fn ensure(self: &Arc<Self>, caller: &Caller) -> Result<(), Fault> {
        let logins = {
            let state = self.state.lock();
            if state.ready().is_some() {
                return Ok(());
            }
            state.logins
        };
        let turn = timeout_at(caller.deadline, Arc::clone(&self.turn).lock_owned()).await;
        let turn = turn.map_err(|_| caller.out_of_time())?;
        {
            // Whoever had the turn before has it, or knows why there is none.
            let state = self.state.lock();
            if state.ready().is_some() {
                return Ok(());
            }
            if let Some(fault) = state.failed(logins, caller.read) {
                return Err(fault);
            }
        }
        let (login, caller) = (Arc::clone(self), caller.clone());
        let task = tokio::spawn(async move {
            let outcome = login.log_in(&caller).await;
            drop(turn);
            outcome
        });
        task.await.unwrap_or_else(|_| Err(Fault::Internal { problem: "the login broke off".into() }))
    }

    async fn log_in(&self, caller: &Caller) -> Result<(), Fault> {
        let outcome = self.renewed(caller).await;
        let mut state = self.state.lock();
        state.logins += 1;
        let (login, reads) = (state.logins, state.reads);
        state.failure = outcome.as_ref().err().map(|fault| Failure { fault: fault.clone(), login, reads });
        outcome
    }

    async fn renewed(&self, caller: &Caller) -> Result<(), Fault> {
        // What an earlier login gave and the store did not take comes first: it is all there is to get in with.
        if self.state.lock().pending.is_some() {
            self.settle().await?;
            if self.ready().is_some() {
                return Ok(());
            }
        }
        let granted = timeout_at(caller.deadline, self.granted(caller)).await;
        let (granted, at) = granted.unwrap_or_else(|_| Err(caller.out_of_time()))?;
        self.take(granted, at);
        self.settle().await
    }

    /// By the refresh token where there is one, else as configured.
    async fn granted(&self, caller: &Caller) -> Result<(Granted, Timestamp), Fault> {
        let held = self.state.lock().refresh.clone();
        if let (Some(spec), Some(held)) = (&self.way.refreshing, held) {
            let request = oauth2::refresh(spec, &held).map_err(|error| Fault::Config { problem: error.to_string() })?;
            match self.desk.ask(&request, caller).await {
                // Another grant gives a new one.
                Err(Fault::LoginRefused { .. }) if spec.refresh_token.is_none() => self.state.lock().refresh = None,
                answered => return self.read(&answered?),
            }
        }
        let answered = self.desk.ask(&self.way.first, caller).await?;
        self.read(&answered)
    }

    fn read(&self, admitted: &Admitted) -> Result<(Granted, Timestamp), Fault> {
        let next_refresh = self.way.refreshing.as_ref().map(|spec| &spec.next_refresh_token);
        let reading = Reading::new(&admitted.answer, &admitted.request);
        let granted = reading.granted(&self.way.token, next_refresh, admitted.at)?;
        Ok((granted, admitted.at))
    }

    fn take(&self, granted: Granted, at: Timestamp) {
        let mut state = self.state.lock();
        let Granted { token, life, next_refresh } = granted;
        let mut is_rotated = false;
        if let Some(next) = next_refresh {
            is_rotated = state.refresh.as_ref().map(ExposeSecret::expose_secret) != Some(next.expose_secret());
            state.refresh = Some(next);
        }
        state.pending = Some(Pending { token, expiry: life.map(|life| Expiry::new(life, at)), is_rotated });
    }

    /// Keeps what was granted, and lets requests show it only then.
    async fn settle(&self) -> Result<(), Fault> {
        let Some((held, is_rotated)) = self.pending() else { return Ok(()) };
        if let Err(error) = self.store(&held).await {
            if is_rotated {
                return Err(Fault::TokenUnkept { reason: error.reason, problem: error.problem });
            }
            self.observer.credential_unkept(&self.source, &error.problem);
        }
        let mut state = self.state.lock();
        let Some(Pending { token, expiry, .. }) = state.pending.take() else { return Ok(()) };
        state.serial += 1;
        let credential = Credential::token(&self.way.token, &token, state.serial);
        let credential = credential.map_err(|_| Fault::Select {
            problem: "the token that the login gave holds characters that no header can carry".into(),
            hint: "compare `token` with what the source really answers to the login",
        })?;
        state.take_place(credential, expiry);
        drop(state);
        self.observer.credential_held(&self.source, expiry.map(|expiry| expiry.at), false);
        Ok(())
    }

    fn pending(&self) -> Option<(Held, bool)> {
        let state = self.state.lock();
        let pending = state.pending.as_ref()?;
        let token = Some((pending.token.clone(), pending.expiry.map(|expiry| expiry.at)));
        Some((Held { token, refresh: state.refresh.clone() }, pending.is_rotated))
    }

    async fn store(&self, held: &Held) -> Result<(), KeepError> {
        let sealed = self.vault.seal(held);
        let sealed = sealed.map_err(|problem| KeepError { reason: ErrorReason::Store, problem })?;
        self.keep.keep(Keepsake::Credential, sealed).await
    }
}
