//! What every route works with.

use std::sync::Arc;
use std::time::{Duration, Instant};

use secrecy::ExposeSecret;
use sha2::{Digest as _, Sha256};
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::auth::Caller;
use super::problem::{Kind, Problem};
use crate::app::App;
use crate::journal::JournalError;
use crate::limits::API_WAITS_MAX;
use crate::model::{Actor, AuditAction, AuditEntry, Event, EventName};
use crate::store::StoreError;

pub type Shared = Arc<Api>;

pub struct Api {
    pub app: App,
    /// SHA-256 of the token that lets this machine's command line in.
    pub local_token: [u8; 32],
    /// One permit for each request that may wait for runs or follow one.
    waits: Arc<Semaphore>,
    /// When the store was last asked whether it can be written to, and its answer.
    pub readiness: Mutex<Option<(Instant, Result<(), &'static str>)>>,
}

impl Api {
    pub fn new(app: &App) -> Shared {
        Arc::new(Self {
            app: app.clone(),
            local_token: Sha256::digest(app.local_token.expose_secret()).into(),
            waits: Arc::new(Semaphore::new(API_WAITS_MAX)),
            readiness: Mutex::default(),
        })
    }

    pub fn event(&self, name: &EventName) -> Result<Arc<Event>, Problem> {
        self.app.runner.event(name).ok_or_else(|| Problem::not_found(format!("there is no event '{name}'")))
    }

    /// Who is calling.
    pub fn actor(&self, caller: Caller) -> Actor {
        match caller {
            Caller::Local => Actor::CommandLine,
            Caller::Token(id) => {
                let view = self.app.store.view();
                let token = view.tokens().iter().find(|token| token.id() == id);
                Actor::Token { id, name: token.map(|token| token.name.clone()).unwrap_or_default() }
            }
        }
    }

    /// An entry for the audit log.
    pub fn audit(&self, caller: Caller, action: AuditAction, subject: impl ToString, note: String) -> AuditEntry {
        let actor = self.actor(caller);
        AuditEntry { at: self.app.clock.now(), actor, action, subject: subject.to_string(), note }
    }

    /// What the client is told when the store fails; the log is told the rest. `operation` begins with `read` or
    /// `write`.
    pub fn store_failed(&self, operation: &'static str) -> impl FnOnce(StoreError) -> Problem + '_ {
        move |error| {
            if matches!(error, StoreError::Stopped) {
                return Problem::stopping();
            }
            self.app.observer.store_failed(operation, &error.to_string());
            if error.is_disk_full() {
                let detail = "the disk of the data directory is full";
                return Problem::new(Kind::DiskFull, detail).hint("free some space; work resumes by itself");
            }
            if matches!(error, StoreError::Closed { .. }) {
                let detail = "the store is closed after a write that failed";
                return Problem::new(Kind::StoreClosed, detail).hint("it is opened again by itself: ask again soon");
            }
            let hint = error.way_out().unwrap_or("look at the disk and the server's log");
            Problem::new(Kind::Internal, "the store failed").hint(hint)
        }
    }

    /// The same for a run's journal.
    pub fn journal_failed(&self, error: &JournalError) -> Problem {
        self.app.observer.store_failed("read a journal", &error.to_string());
        Problem::new(Kind::Internal, "the run's journal cannot be read").hint("look at the disk and the server's log")
    }

    /// A place among the requests that wait for runs, if there is one left.
    pub fn place_to_wait(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.waits).try_acquire_owned().ok()
    }

    /// Waits for something of the runs, at most this long. `None` when it took longer, or when too many requests wait
    /// already.
    pub async fn waiting<T>(&self, longest: Duration, ended: impl Future<Output = T>) -> Option<T> {
        let _place = self.place_to_wait()?;
        timeout(longest, ended).await.ok()
    }

    /// Does work that may take long on a thread that may block.
    pub async fn blocking<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let api = Arc::clone(self);
        match tokio::task::spawn_blocking(move || work(&api)).await {
            Ok(result) => result,
            // A fault of ours ends this connection as if the work had been done on its own task.
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => Err(Problem::stopping()),
            },
        }
    }
}
