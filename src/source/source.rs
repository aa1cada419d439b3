//! A configured source: its connections, its credential, its allowance.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;

use super::auth::{Authenticator, Credential};
use super::budget::{Allowance, Budget, Terms};
use super::client::{Client, SourceError, answer_max};
use super::identity;
use super::keep::Keep;
use super::list::List;
use super::login::Login;
use super::page::Understanding;
use super::read::{Read, Start};
use super::retry::Pauses;
use crate::clock::Clock;
use crate::config::{PaginationSpec, ParentList, PartitionSpec, SourceSpec};
use crate::observe::Observer;

/// A source as the configuration declares it. Cloning shares connections and budget, so there is one per source.
#[derive(Clone)]
pub struct Source {
    pub(super) inner: Arc<Inner>,
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
    pub(super) auth: Authenticator,
    pub(super) clock: Clock,
    /// With whom people sign in, if they do.
    pub(super) identity: Option<identity::State>,
}

/// One level of parents, ready to be read.
pub(super) enum Level {
    Fixed(Vec<BTreeMap<String, String>>),
    List { spec: Box<ParentList>, how: Box<Understanding> },
}

impl Inner {
    /// Can one answer to one request be the whole list? Then it can be asked for on condition.
    pub(super) fn is_one_answer(&self) -> bool {
        let SourceSpec { pagination, partitions, incremental, .. } = &*self.spec;
        matches!(pagination, PaginationSpec::None) && partitions.is_empty() && incremental.is_none()
    }
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
        let budget = budget(&spec, &observer, &keep, &clock);
        Self::assembled(spec, Common { observer, clock, pauses, budget }, keep, None)
    }

    /// The same system under other settings. On the same origin it shares the allowance, as it was configured here;
    /// whatever else is to be kept of it goes to `keep`. `shares_login`: it shows the same credential.
    ///
    /// # Errors
    /// As for [`Self::new`].
    pub fn with(&self, spec: Arc<SourceSpec>, keep: Arc<dyn Keep>, shares_login: bool) -> Result<Self, SourceError> {
        let Inner { observer, clock, pauses, budget: shared, auth, .. } = &*self.inner;
        let is_same = self.spec().request.base_url.origin() == spec.request.base_url.origin();
        let budget = if is_same { shared.clone() } else { budget(&spec, observer, &keep, clock) };
        let common = Common { observer: observer.clone(), clock: clock.clone(), pauses: *pauses, budget };
        Self::assembled(spec, common, keep, shares_login.then(|| auth.clone()))
    }

    fn assembled(
        spec: Arc<SourceSpec>,
        common: Common,
        keep: Arc<dyn Keep>,
        auth: Option<Authenticator>,
    ) -> Result<Self, SourceError> {
        let Common { observer, clock, pauses, budget } = common;
        let client = Client::new(&spec)?;
        let how = Understanding {
            list: Arc::new(List::of_source(&spec)),
            page_bytes_max: spec.limits.page_bytes_max,
            incremental: spec.incremental.clone(),
            parent: None,
        };
        let levels = spec.partitions.iter().map(|level| Level::of(level, spec.limits.page_bytes_max)).collect();
        let auth = match auth {
            Some(auth) => auth,
            None => match Login::new(&spec, &client, &budget, pauses, &observer, keep)? {
                Some(login) => Authenticator::Login(Arc::new(login)),
                None => Authenticator::Fixed(Credential::fixed(&spec.auth).map_err(|error| error.of(&spec.name))?),
            },
        };
        let identity = spec.sign_in.clone().map(identity::State::new);
        let inner = Inner { spec, how, levels, client, budget, pauses, observer, auth, clock, identity };
        Ok(Self { inner: Arc::new(inner) })
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

    /// When the token that a login gave expires, where one with an end is held.
    pub fn credential_expires_at(&self) -> Option<Timestamp> {
        self.inner.auth.expires_at()
    }

    /// What is left of the budget now.
    pub fn allowance(&self) -> Allowance {
        self.inner.budget.allowance()
    }
}

/// What does not hang on the request.
struct Common {
    observer: Observer,
    clock: Clock,
    pauses: Pauses,
    budget: Budget,
}

fn budget(spec: &SourceSpec, observer: &Observer, keep: &Arc<dyn Keep>, clock: &Clock) -> Budget {
    Budget::open(Terms {
        source: spec.name.clone(),
        windows: spec.budget.clone(),
        weight: spec.weight_max(),
        answer_max: answer_max(&spec.limits),
        keep: Arc::clone(keep),
        clock: clock.clone(),
        observer: observer.clone(),
    })
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("name", &self.inner.spec.name).finish_non_exhaustive()
    }
}
