//! A configured source: its connections, its credential, its allowance.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;

use super::auth::{Authenticator, Credential};
use super::budget::Budget;
use super::client::{Client, SourceError};
use super::keep::Keep;
use super::login::Login;
use super::read::Read;
use super::retry::Pauses;
use crate::config::{SourceSpec, WindowSpec};
use crate::observe::Observer;

/// A source as the configuration declares it. Cloning shares connections and budget, so there is one per source.
#[derive(Clone)]
pub struct Source {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) spec: Arc<SourceSpec>,
    pub(super) client: Client,
    pub(super) budget: Budget,
    pub(super) pauses: Pauses,
    pub(super) observer: Observer,
    pub(super) auth: Authenticator,
}

impl Source {
    /// Sets up the HTTP client. Nothing is sent.
    ///
    /// # Errors
    /// The credential cannot be carried by a header, or an `https` source finds no CA certificates.
    pub fn new(spec: Arc<SourceSpec>, observer: Observer, keep: Arc<dyn Keep>) -> Result<Self, SourceError> {
        Self::with_pauses(spec, observer, keep, Pauses::default())
    }

    pub(super) fn with_pauses(
        spec: Arc<SourceSpec>,
        observer: Observer,
        keep: Arc<dyn Keep>,
        pauses: Pauses,
    ) -> Result<Self, SourceError> {
        let (client, budget) = (Client::new(&spec)?, Budget::new(&spec.budget));
        let auth = match Login::new(&spec, &client, &budget, pauses, &observer, keep)? {
            Some(login) => Authenticator::Login(Arc::new(login)),
            None => Authenticator::Fixed(Credential::fixed(&spec.auth).map_err(|error| error.of(&spec.name))?),
        };
        Ok(Self { inner: Arc::new(Inner { spec, client, budget, pauses, observer, auth }) })
    }

    pub fn spec(&self) -> &SourceSpec {
        &self.inner.spec
    }

    /// Begins to read the list. `params` fill in the `{param.x}` placeholders, by their bare names.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn read(&self, params: &BTreeMap<String, String>) -> Read {
        Read::start(Arc::clone(&self.inner), params.clone())
    }

    /// When the token that a login gave expires, where one with an end is held.
    pub fn credential_expires_at(&self) -> Option<Timestamp> {
        self.inner.auth.expires_at()
    }

    /// How many requests each window of the budget still admits now, in the order of the configuration.
    pub fn budget_left(&self) -> Vec<(WindowSpec, u32)> {
        self.inner.budget.left()
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("name", &self.inner.spec.name).finish_non_exhaustive()
    }
}
