//! A configured source: its connections, its credential, its allowance.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::budget::Budget;
use super::client::{Client, SourceError};
use super::keep::Keep;
use super::list::List;
use super::page::Understanding;
use super::read::{Read, Start};
use super::retry::Pauses;
use crate::config::{PaginationSpec, ParentList, PartitionSpec, SourceSpec, WindowSpec};
use crate::observe::Observer;

/// A source as the configuration declares it. Cloning shares connections and budget, so there is one per source.
#[derive(Clone)]
pub struct Source {
    inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) spec: Arc<SourceSpec>,
    pub(super) how: Understanding,
    /// Of its parents, outermost first.
    pub(super) levels: Vec<Level>,
    pub(super) client: Client,
    pub(super) budget: Budget,
    pub(super) pauses: Pauses,
    pub(super) observer: Observer,
    #[expect(dead_code, reason = "tokens and the ledger come to lie here")]
    pub(super) keep: Arc<dyn Keep>,
}

/// One level of parents, ready to be read.
pub(super) enum Level {
    Fixed(Vec<BTreeMap<String, String>>),
    List { spec: Box<ParentList>, how: Box<Understanding> },
}

impl Level {
    fn of(spec: &PartitionSpec, page_bytes_max: u64) -> Self {
        match spec {
            PartitionSpec::Fixed(rows) => Self::Fixed(rows.clone()),
            PartitionSpec::List(spec) => {
                let list = Arc::new(List::of_parents(spec));
                let how = Understanding { list, page_bytes_max, incremental: None, parent: None };
                Self::List { spec: spec.clone(), how: Box::new(how) }
            }
        }
    }
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
        let budget = Budget::new(&spec.budget);
        Self::assembled(spec, observer, keep, pauses, budget)
    }

    fn assembled(
        spec: Arc<SourceSpec>,
        observer: Observer,
        keep: Arc<dyn Keep>,
        pauses: Pauses,
        budget: Budget,
    ) -> Result<Self, SourceError> {
        let client = Client::new(&spec)?;
        let how = Understanding {
            list: Arc::new(List::of_source(&spec)),
            page_bytes_max: spec.limits.page_bytes_max,
            incremental: spec.incremental.clone(),
            parent: None,
        };
        let levels = spec.partitions.iter().map(|level| Level::of(level, spec.limits.page_bytes_max)).collect();
        Ok(Self { inner: Arc::new(Inner { spec, how, levels, client, budget, pauses, observer, keep }) })
    }

    /// The same system under other settings. On the same origin it shares the allowance, as it was configured; elsewhere
    /// it has its own.
    ///
    /// # Errors
    /// As for [`Self::new`].
    pub fn with(&self, spec: Arc<SourceSpec>, keep: Arc<dyn Keep>) -> Result<Self, SourceError> {
        let same = self.spec().request.base_url.origin() == spec.request.base_url.origin();
        let budget = if same { self.inner.budget.clone() } else { Budget::new(&spec.budget) };
        Self::assembled(spec, self.inner.observer.clone(), keep, self.inner.pauses, budget)
    }

    pub(super) fn inner(&self) -> &Inner {
        &self.inner
    }

    pub fn spec(&self) -> &SourceSpec {
        &self.inner.spec
    }

    /// Begins to read everything. `params` fill in the `{param.x}` placeholders, by their bare names.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn read(&self, params: &BTreeMap<String, String>) -> Read {
        self.read_from(Start { params: params.clone(), ..Start::default() })
    }

    /// Begins to read what `start` asks for.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn read_from(&self, start: Start) -> Read {
        Read::start(Arc::clone(&self.inner), start)
    }

    /// Can one answer to one request be the whole list? Then it can be asked for on condition.
    pub fn is_one_answer(&self) -> bool {
        let SourceSpec { pagination, partitions, incremental, .. } = self.spec();
        matches!(pagination, PaginationSpec::None) && partitions.is_empty() && incremental.is_none()
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
