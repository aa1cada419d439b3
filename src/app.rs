//! The composition root: the only place that builds real clients and opens the real store.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use base64::Engine as _;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use crate::clock::Clock;
use crate::config::{Config, SourceSpec, Unsaved};
use crate::faults::Faults;
use crate::invite::SmtpError;
use crate::login::Logins;
use crate::model::{ChildKey, EventName, FeedId, Keepsake, RunError, SourceName};
use crate::observe::Observer;
use crate::source::{Keep, KeepError, Source, SourceError};
use crate::store::{ChangeSet, Resealed, Store, StoreError};
use crate::sync::{Hooks, Kept, Mailing, Runner, SourceEntry, Stopping};
use crate::writeback::{Writebacks, issuing};

/// Everything that runs, wired.
#[derive(Clone)]
pub struct App {
    pub config: Arc<Config>,
    pub store: Store,
    pub runner: Runner,
    pub hooks: Hooks,
    pub logins: Logins,
    pub writebacks: Writebacks,
    pub observer: Observer,
    pub clock: Clock,
    /// Lets this machine's command line in; new with every process, never stored but in [`Beacon`].
    pub local_token: SecretString,
}

#[derive(Debug, thiserror::Error)]
pub enum AppError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    Mail(#[from] SmtpError),
    #[error("the system gives no random bytes: {0}")]
    Random(String),
}

impl App {
    /// Opens the store, ends what the last process left open, builds the sources. Blocks.
    pub fn open(config: Config, clock: Clock) -> Result<Self, AppError> {
        Self::open_with(config, clock, Stopping::default(), Faults::none())
    }

    /// The same, but once `stopping` is said, what was left open stays so and no run begins; and the disk may fail.
    pub fn open_with(config: Config, clock: Clock, stopping: Stopping, faults: Faults) -> Result<Self, AppError> {
        let observer = Observer::of_process(Some(clock.now()));
        let began = Instant::now();
        let store = Store::open_with(&config.store.path, faults)?;
        observer.store_opened(began.elapsed(), !store.was_scanned());
        if store.vault().has_former_keys() {
            // A kill interrupted it.
            let Resealed { key, sealed, unreadable } = store.seal_anew()?;
            observer.vault_sealed_anew(key, sealed, unreadable);
        }
        let flushed = observer.clone();
        store.on_flush(move |took| flushed.store_flushed(took));
        // Before anything is committed: an interrupted run goes on in a moment.
        store.set_issuing(issuing(config.events.values().map(Arc::as_ref).chain(&store.events()), &config.sources));
        let sources = sources(&config, &observer, &store, &clock)?;
        let runner = Runner::new(
            store.clone(),
            sources,
            config.events.clone(),
            Kept {
                journals: config.store.journal_days,
                audit: config.store.audit_days,
                erased: config.store.compact_after,
            },
            clock.clone(),
            observer.clone(),
            stopping,
        )?;
        let hooks = Hooks::new(runner.clone(), clock.clone(), observer.clone());
        let logins = Logins::new(runner.clone(), store.clone(), clock.clone(), observer.clone());
        let writebacks = Writebacks::new(runner.clone(), store.clone(), clock.clone(), observer.clone());
        let config = Arc::new(config);
        runner.catch_up();
        let app =
            Self { config, store, runner, hooks, logins, writebacks, observer, clock, local_token: random_token()? };
        app.register();
        // What the file says of links may be other than before.
        app.runner.events().iter().for_each(|event| app.writebacks.unsettle(event.name.clone()));
        Ok(app)
    }

    /// Who sends the mails, where a mail server is configured.
    ///
    /// # Errors
    /// Where there is nothing to verify the mail server with.
    pub fn mailing(&self) -> Result<Option<Mailing>, AppError> {
        let mailing = self.config.mail.as_ref().map(|spec| Mailing::new(self.runner.clone(), Arc::clone(spec)));
        Ok(mailing.transpose()?)
    }

    /// A source under settings that are not saved. It keeps nothing of its own; see [`Source::with`] for what it shares.
    ///
    /// # Errors
    /// As for [`Source::new`].
    pub fn unsaved_source(&self, Unsaved { spec, shares_login }: Unsaved) -> Result<SourceEntry, SourceError> {
        let keep = Arc::new(Nowhere(InStore { store: self.store.clone(), source: spec.name.clone() }));
        let source = match self.runner.sources().get(&spec.name) {
            Some(saved) => saved.source.with(spec, keep, shares_login)?,
            None => Source::new(spec, self.observer.clone(), keep, self.clock.clone())?,
        };
        Ok(SourceEntry::new(source))
    }

    /// Takes up what an event that was saved says of links.
    pub fn event_saved(&self, event: &EventName) {
        let events = self.runner.events();
        self.store.set_issuing(issuing(events.iter().map(Arc::as_ref), &self.config.sources));
        self.writebacks.unsettle(event.clone());
    }

    /// Registers every series that may come, at zero.
    fn register(&self) {
        for (source, entry) in self.runner.sources() {
            self.observer.source_known(source);
            if entry.source.spec().sign_in.is_some() {
                self.observer.sign_ins_known(source);
            }
            if entry.source.spec().hook.is_some() {
                self.observer.hooks_known(source);
            }
        }
        if self.config.mail.is_some() {
            self.observer.mail_known();
        }
        for event in self.runner.events() {
            for feed in &event.feeds {
                let id = FeedId { event: event.name.clone(), source: feed.source.clone() };
                self.observer.feed_known(&id, event.usual_trigger(feed));
            }
        }
    }
}

fn sources(
    config: &Config,
    observer: &Observer,
    store: &Store,
    clock: &Clock,
) -> Result<BTreeMap<SourceName, SourceEntry>, SourceError> {
    let entry = |spec: &Arc<SourceSpec>| {
        let keep = Arc::new(InStore { store: store.clone(), source: spec.name.clone() });
        let source = Source::new(Arc::clone(spec), observer.clone(), keep, clock.clone())?;
        Ok(SourceEntry::new(source))
    };
    config.sources.iter().map(|(name, spec)| Ok((name.clone(), entry(spec)?))).collect()
}

/// A source's keepsakes lie in the store.
struct InStore {
    store: Store,
    source: SourceName,
}

impl Keep for InStore {
    fn key(&self) -> ChildKey {
        self.store.community_key().child("rollcall credential key")
    }

    fn load(&self, what: Keepsake) -> Option<Vec<u8>> {
        self.store.keepsake(&self.source, what)
    }

    fn keep(&self, what: Keepsake, value: Vec<u8>) -> BoxFuture<'_, Result<(), KeepError>> {
        let keepsakes = vec![(self.source.clone(), what, value)];
        let commit = self.store.commit_async(ChangeSet { keepsakes, ..ChangeSet::default() });
        let failed = |error: StoreError| {
            let RunError { reason, message, .. } = error.to_run_error();
            KeepError { reason, problem: message }
        };
        commit.map(move |ack| ack.map(drop).map_err(failed)).boxed()
    }
}

/// What is only tried leaves nothing behind.
struct Nowhere(InStore);

impl Keep for Nowhere {
    fn key(&self) -> ChildKey {
        self.0.key()
    }

    fn load(&self, _: Keepsake) -> Option<Vec<u8>> {
        None
    }

    fn keep(&self, _: Keepsake, _: Vec<u8>) -> BoxFuture<'_, Result<(), KeepError>> {
        std::future::ready(Ok(())).boxed()
    }
}

/// 256 random bits with the prefix by which leaked tokens are found.
pub fn random_token() -> Result<SecretString, AppError> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| AppError::Random(error.to_string()))?;
    Ok(format!("rc_{}", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)).into())
}

/// How this machine's command line finds a running server: a private file in the data directory.
#[derive(Serialize, Deserialize)]
pub struct Beacon {
    pub address: SocketAddr,
    token: String,
}

impl Beacon {
    fn path(folder: &Path) -> PathBuf {
        folder.join("server.json")
    }

    /// The server that runs on this data directory, as far as the file tells; it may be stale.
    pub fn read(folder: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(Self::path(folder)).ok()?).ok()
    }

    pub fn token(&self) -> SecretString {
        self.token.clone().into()
    }
}

/// The file is there as long as this lives.
pub struct LitBeacon(PathBuf);

impl LitBeacon {
    /// Writes the file, readable by its owner only.
    pub fn light(app: &App, address: SocketAddr) -> std::io::Result<Self> {
        use std::io::Write;
        use std::os::unix::fs::OpenOptionsExt;
        let path = Beacon::path(app.store.folder());
        let beacon = Beacon { address, token: app.local_token.expose_secret().to_owned() };
        // Removed first, so that the mode holds for a file that an earlier process left behind.
        let _ = std::fs::remove_file(&path);
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        file.write_all(&serde_json::to_vec(&beacon)?)?;
        Ok(Self(path))
    }
}

impl Drop for LitBeacon {
    fn drop(&mut self) {
        // A stale file is noticed by whoever reads it: nobody answers at its address.
        let _ = std::fs::remove_file(&self.0);
    }
}
