//! How far a run is, for the progress bar and the API; and the wish to end it early.

use serde::Serialize;
use tokio::sync::watch;

use super::failure::Failure;

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

/// Asked to end early?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    No,
    /// This run is cancelled.
    Cancel,
    /// The process is ending.
    Shutdown,
}

/// A run's two lines to the rest: progress out, the wish to stop in.
#[derive(Clone)]
pub struct Lines {
    pub progress: watch::Sender<Progress>,
    pub stop: watch::Receiver<Stop>,
}

impl Lines {
    pub fn tell(&self, change: impl FnOnce(&mut Progress)) {
        self.progress.send_modify(change);
    }

    /// Is the run wanted still?
    pub fn check(&self) -> Result<(), Failure> {
        match *self.stop.borrow() {
            Stop::No => Ok(()),
            Stop::Cancel => Err(Failure::Cancelled),
            Stop::Shutdown => Err(Failure::Stopped),
        }
    }

    /// Waits for the wish to stop; never ends without one.
    pub async fn stopped(&mut self) -> Failure {
        loop {
            if let Err(failure) = self.check() {
                return failure;
            }
            if self.stop.changed().await.is_err() {
                return Failure::Stopped;
            }
        }
    }
}
