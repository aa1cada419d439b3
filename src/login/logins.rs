//! What signing in works with.

use std::sync::Arc;

use parking_lot::Mutex;

use super::denial::Denial;
use super::{attempt, codes, gathering, refreshing};
use crate::clock::Clock;
use crate::config::SignInSpec;
use crate::model::SourceName;
use crate::observe::Observer;
use crate::source::{Identity, IdentityError};
use crate::store::Store;
use crate::sync::Runner;

/// Signs people in. Cloning shares it.
#[derive(Clone)]
pub struct Logins {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) runner: Runner,
    pub(super) store: Store,
    pub(super) clock: Clock,
    pub(super) observer: Observer,
    pub(super) used: Mutex<attempt::Used>,
    pub(super) codes: Mutex<codes::Codes>,
    pub(super) gathering: gathering::Gathering,
    pub(super) refreshing: refreshing::Refreshing,
}

impl Logins {
    pub fn new(runner: Runner, store: Store, clock: Clock, observer: Observer) -> Self {
        let (used, codes) = (Mutex::default(), Mutex::default());
        let gathering = gathering::Gathering::new(runner.clone());
        let refreshing = refreshing::Refreshing::default();
        Self { inner: Arc::new(Inner { runner, store, clock, observer, used, codes, gathering, refreshing }) }
    }

    /// With whom people of a source sign in.
    pub(super) fn identity(&self, source: &SourceName) -> Result<Identity, Denial> {
        let entry = self.inner.runner.sources().get(source);
        entry.and_then(|entry| entry.source.identity()).ok_or(Denial::UnknownSource)
    }

    /// How people of a source sign in; `None` where nobody does.
    pub fn spec(&self, source: &SourceName) -> Option<Arc<SignInSpec>> {
        self.inner.runner.sources().get(source)?.source.spec().sign_in.clone()
    }

    /// The sources with which people sign in.
    pub(super) fn sources(&self) -> impl Iterator<Item = (&SourceName, &Arc<SignInSpec>)> {
        let entries = self.inner.runner.sources().iter();
        entries.filter_map(|(name, entry)| Some((name, entry.source.spec().sign_in.as_ref()?)))
    }

    /// Counts how a sign-in ended that came to nothing, and says what the provider said.
    pub(super) fn denied(&self, source: &SourceName, denial: Denial) -> Denial {
        self.inner.observer.sign_in(source, denial.outcome());
        denial
    }

    /// What a provider's error means for whoever signs in; a fault is told to the log.
    pub(super) fn of_identity(&self, source: &SourceName, error: IdentityError) -> Denial {
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
