//! Why a run ends early.

use std::time::Duration;

use crate::journal::JournalError;
use crate::model::{ErrorReason, RunError, RunOutcome};
use crate::store::StoreError;

#[derive(Debug)]
pub enum Failure {
    /// The source; and after how long it can be asked again, where that is known.
    Source(RunError, Option<Duration>),
    Store(StoreError),
    Journal(JournalError),
    /// Somebody asked for it.
    Cancelled,
    /// The process is ending, or has ended.
    Stopped,
    /// A fault of ours, kept from taking the server down.
    Panicked,
}

impl Failure {
    pub fn outcome(&self) -> RunOutcome {
        match self {
            Self::Cancelled => RunOutcome::Cancelled,
            _ => RunOutcome::Failed,
        }
    }

    /// Will the same work when the disk is well again?
    pub fn is_of_the_disk(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_of_the_disk())
    }

    /// The allowance of a day, or longer, is used up; it opens after so long.
    pub fn quota_opens_in(&self) -> Option<Duration> {
        match self {
            Self::Source(error, retry_in) if error.reason == ErrorReason::Quota => *retry_in,
            _ => None,
        }
    }

    /// May a read that ended so go on later from where it was? Not where what was read is in doubt.
    pub fn may_go_on(&self) -> bool {
        match self {
            Self::Source(error, _) => !matches!(
                error.reason,
                ErrorReason::PagingLoop
                    | ErrorReason::Select
                    | ErrorReason::Config
                    | ErrorReason::Redirect
                    | ErrorReason::Internal
            ),
            Self::Stopped => true,
            Self::Store(_) | Self::Journal(_) | Self::Cancelled | Self::Panicked => false,
        }
    }

    /// Did the source not even answer, or refuse whatever was asked? Then it says nothing of the place asked for.
    pub fn is_no_answer(&self) -> bool {
        match self {
            Self::Source(error, _) => matches!(
                error.reason,
                ErrorReason::Connect
                    | ErrorReason::Tls
                    | ErrorReason::Timeout
                    | ErrorReason::Auth
                    | ErrorReason::RateLimited
                    | ErrorReason::Quota
            ),
            Self::Stopped => true,
            Self::Store(_) | Self::Journal(_) | Self::Cancelled | Self::Panicked => false,
        }
    }

    /// What history keeps; a cancelled run has no error.
    pub fn to_run_error(&self) -> Option<RunError> {
        match self {
            Self::Source(error, _) => Some(error.clone()),
            Self::Store(error) => Some(error.to_run_error()),
            Self::Journal(error) => Some(error.to_run_error()),
            Self::Cancelled => None,
            Self::Stopped => Some(RunError {
                reason: ErrorReason::Interrupted,
                message: "the process was stopped during the run".into(),
                hint: "start the sync again".into(),
            }),
            Self::Panicked => Some(RunError {
                reason: ErrorReason::Internal,
                message: "the run ended by a fault in rollcall".into(),
                hint: "report it with the server's log; the next sync starts again".into(),
            }),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<JournalError> for Failure {
    fn from(error: JournalError) -> Self {
        Self::Journal(error)
    }
}
