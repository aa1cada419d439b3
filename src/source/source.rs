//! A configured source: its connections, its credential, its allowance.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::budget::{Allowance, Budget, Terms};
use super::client::{Client, SourceError, answer_max};
use super::keep::Keep;
use super::read::Read;
use super::retry::Pauses;
use crate::clock::Clock;
use crate::config::SourceSpec;
use crate::observe::Observer;

/// A source as the configuration declares it. Cloning shares connections and budget, so there is one per source.
#[derive(Clone)]
pub struct Source {
    inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) spec: Arc<SourceSpec>,
    pub(super) client: Client,
    pub(super) budget: Budget,
    pub(super) pauses: Pauses,
    pub(super) observer: Observer,
    pub(super) clock: Clock,
}

impl Source {
    /// Sets up the HTTP client. Nothing is sent.
    ///
    /// # Errors
    /// The credential cannot be carried by a header, or an `https` source finds no CA certificates.
    pub fn new(
        spec: Arc<SourceSpec>,
        observer: Observer,
        keep: Arc<dyn Keep>,
        clock: Clock,
    ) -> Result<Self, SourceError> {
        Self::with_pauses(spec, observer, keep, clock, Pauses::default())
    }

    pub(super) fn with_pauses(
        spec: Arc<SourceSpec>,
        observer: Observer,
        keep: Arc<dyn Keep>,
        clock: Clock,
        pauses: Pauses,
    ) -> Result<Self, SourceError> {
        let client = Client::new(&spec)?;
        let budget = Budget::open(Terms {
            source: spec.name.clone(),
            windows: spec.budget.clone(),
            weight: spec.request.weight,
            answer_max: answer_max(&spec.limits),
            keep,
            clock: clock.clone(),
            observer: observer.clone(),
        });
        Ok(Self { inner: Arc::new(Inner { spec, client, budget, pauses, observer, clock }) })
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

    /// What is left of the budget now.
    pub fn allowance(&self) -> Allowance {
        self.inner.budget.allowance()
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("name", &self.inner.spec.name).finish_non_exhaustive()
    }
}
