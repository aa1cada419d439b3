//! How far a run is, for the progress bar and the API; and the wish to end it early.

use serde::Serialize;
use tokio::sync::watch;

use super::failure::Failure;
use super::stopping::Stopping;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    Reading,
    Planning,
    Committing,
    Ended,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Progress {
    pub phase: Phase,
    /// Pages and records read.
    pub pages: u64,
    pub records: u64,
    /// Journal entries planned and committed.
    pub planned: u64,
    pub applied: u64,
    /// The source's budget or `Retry-After` holds the run for this long; 0 otherwise.
    pub waiting_ms: u64,
}

impl Progress {
    pub const START: Self = Self { phase: Phase::Reading, pages: 0, records: 0, planned: 0, applied: 0, waiting_ms: 0 };
}

/// A run's lines to the rest: progress out, the wishes to stop in.
#[derive(Clone)]
pub struct Lines {
    pub progress: watch::Sender<Progress>,
    /// Somebody cancelled this run.
    pub cancelled: watch::Receiver<bool>,
    /// The process is ending.
    pub stopping: Stopping,
}

impl Lines {
    pub fn tell(&self, change: impl FnOnce(&mut Progress)) {
        self.progress.send_modify(change);
    }

    /// Is the run wanted still? One that was cancelled stays so when the process ends as well: it must not be
    /// taken for one that was cut short.
    pub fn check(&self) -> Result<(), Failure> {
        if *self.cancelled.borrow() {
            return Err(Failure::Cancelled);
        }
        if self.stopping.is_said() { Err(Failure::Stopped) } else { Ok(()) }
    }

    /// Waits for the wish to stop; never ends without one.
    pub async fn stopped(&mut self) -> Failure {
        tokio::select! {
            biased;
            Ok(_) = self.cancelled.wait_for(|cancelled| *cancelled) => Failure::Cancelled,
            () = self.stopping.heard() => Failure::Stopped,
        }
    }
}
