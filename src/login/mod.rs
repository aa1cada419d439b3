//! People sign in with the organiser's identity system, and their profiles stay in step with it.
//!
//! ```text
//! browser ──► attempt   begun and sealed into a cookie; what comes back is held against it, once
//!               │ source::Identity   code → tokens → profile
//! app ────────► arrival  the profile is taken, the tokens are kept sealed, the person is known
//!               │ gathering          profiles that come together are one run
//!               ▼
//!             codes     what the browser takes to the app: good once, for a minute
//!
//! refreshing  profiles asked for anew: when the app says that somebody came, and by a schedule
//! leaving     somebody signs out: the tokens are revoked and forgotten
//! ```
//!
//! Invariant: no token leaves this process but to its provider, and none is stored but sealed. A refresh token that takes the
//! place of another is on disk before the access token it came with is used.

mod arrival;
mod attempt;
mod codes;
mod gathering;
mod leaving;
mod refreshing;
mod tokens;

use std::sync::Arc;

use parking_lot::Mutex;

use crate::clock::Clock;
use crate::config::SignInSpec;
use crate::model::SourceName;
use crate::observe::{Observer, SignInOutcome};
use crate::source::{Identity, IdentityError, Unbelievable};
use crate::store::{Store, StoreError};
use crate::sync::{Runner, Unfit};

pub use self::arrival::HandedOver;
pub use self::attempt::{Begun, Brought, COOKIE_PREFIX, Landed};
pub use self::leaving::SignedOut;
pub use self::refreshing::Refreshed;

/// Signs people in. Cloning shares it.
#[derive(Clone)]
pub struct Logins {
    inner: Arc<Inner>,
}

struct Inner {
    runner: Runner,
    store: Store,
    clock: Clock,
    observer: Observer,
    used: Mutex<attempt::Used>,
    codes: Mutex<codes::Codes>,
    gathering: gathering::Gathering,
    refreshing: refreshing::Refreshing,
}

/// Why somebody is not signed in.
#[derive(Debug, thiserror::Error)]
pub enum Denial {
    #[error("nobody signs in with this source")]
    UnknownSource,
    #[error("this address is not among the source's return_to")]
    ReturnTo,
    #[error("no sign-in was begun in this browser, or too long ago")]
    Session,
    #[error("the answer is not of the sign-in that was begun")]
    State,
    #[error("the answer was used already")]
    Replayed,
    #[error("the provider says that the sign-in was refused or given up")]
    Denied,
    #[error("the provider does not know what was brought from it (any more)")]
    Unknown,
    #[error("{0}")]
    Unbelievable(Unbelievable),
    #[error("the profile cannot be used: {} ({})", .0.field, .0.reason.as_str())]
    Rejected(crate::model::Rejection),
    #[error("the email is another user's")]
    EmailTaken,
    #[error("the person was erased and is to stay out")]
    Erased,
    #[error("the provider gives no useful answer")]
    Unavailable,
    #[error("the server has too much to do")]
    Busy,
    #[error("the server is stopping")]
    Stopping,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Denial {
    pub fn outcome(&self) -> SignInOutcome {
        use crate::model::RejectReason::{EmailTaken, EmailUnverified};
        match self {
            Self::UnknownSource | Self::ReturnTo => SignInOutcome::ReturnTo,
            Self::Session => SignInOutcome::Session,
            Self::State => SignInOutcome::State,
            Self::Replayed => SignInOutcome::Replayed,
            Self::Denied => SignInOutcome::Denied,
            Self::Unknown => SignInOutcome::Unknown,
            Self::Unbelievable(why) => match why {
                Unbelievable::IdToken => SignInOutcome::IdToken,
                Unbelievable::Nonce => SignInOutcome::Nonce,
                Unbelievable::Issuer => SignInOutcome::Issuer,
                Unbelievable::Subject => SignInOutcome::Subject,
                Unbelievable::NoProof => SignInOutcome::NoProof,
                Unbelievable::OtherAudience => SignInOutcome::OtherAudience,
            },
            Self::Rejected(rejection) if rejection.reason == EmailUnverified => SignInOutcome::EmailUnverified,
            Self::Rejected(rejection) if rejection.reason == EmailTaken => SignInOutcome::EmailTaken,
            Self::Rejected(_) => SignInOutcome::Rejected,
            Self::EmailTaken => SignInOutcome::EmailTaken,
            Self::Erased => SignInOutcome::Erased,
            Self::Unavailable | Self::Busy | Self::Stopping | Self::Store(_) => SignInOutcome::Failed,
        }
    }
}

impl From<Unfit> for Denial {
    fn from(unfit: Unfit) -> Self {
        match unfit {
            Unfit::Rejected(rejection) => Self::Rejected(rejection),
            Unfit::Erased => Self::Erased,
        }
    }
}

impl Logins {
    pub fn new(runner: Runner, store: Store, clock: Clock, observer: Observer) -> Self {
        let (used, codes) = (Mutex::default(), Mutex::default());
        let gathering = gathering::Gathering::new(runner.clone());
        let refreshing = refreshing::Refreshing::default();
        Self { inner: Arc::new(Inner { runner, store, clock, observer, used, codes, gathering, refreshing }) }
    }

    /// With whom people of a source sign in.
    fn identity(&self, source: &SourceName) -> Result<Identity, Denial> {
        let entry = self.inner.runner.sources().get(source);
        entry.and_then(|entry| entry.source.identity()).ok_or(Denial::UnknownSource)
    }

    /// How people of a source sign in; `None` where nobody does.
    pub fn spec(&self, source: &SourceName) -> Option<Arc<SignInSpec>> {
        self.inner.runner.sources().get(source)?.source.spec().sign_in.clone()
    }

    /// The sources with which people sign in.
    fn sources(&self) -> impl Iterator<Item = (&SourceName, &Arc<SignInSpec>)> {
        let entries = self.inner.runner.sources().iter();
        entries.filter_map(|(name, entry)| Some((name, entry.source.spec().sign_in.as_ref()?)))
    }

    /// Counts how a sign-in ended that came to nothing, and says what the provider said.
    fn denied(&self, source: &SourceName, denial: Denial) -> Denial {
        self.inner.observer.sign_in(source, denial.outcome());
        denial
    }

    /// What a provider's error means for whoever signs in; a fault is told to the log.
    fn of_identity(&self, source: &SourceName, error: IdentityError) -> Denial {
        match error {
            IdentityError::Refused => Denial::Unknown,
            IdentityError::Unbelievable(why) => Denial::Unbelievable(why),
            IdentityError::Failed(error) => {
                self.inner.observer.provider_failed(source, &error);
                Denial::Unavailable
            }
        }
    }
}
