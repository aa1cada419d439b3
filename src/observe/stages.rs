//! Where the time of a run goes.

use std::time::Duration;

/// What each stage of one run took. Some go on at the same time on different threads, so together they may be more than
/// the whole run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stages {
    /// Nothing to work on: the source had not answered yet.
    pub fetch_wait: Duration,
    /// Checking pages, finding their records, telling which are as they were.
    pub split: Duration,
    pub map: Duration,
    /// Writing down what differs.
    pub spool: Duration,
    /// The whole of the planning, with reading the spool.
    pub plan: Duration,
    /// Writing the journal, while the planning goes on.
    pub journal: Duration,
    /// The whole of the commit.
    pub commit: Duration,
    /// Of the commit: waiting for the disk.
    pub sync: Duration,
}
