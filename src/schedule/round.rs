//! Which feeds' syncs begin now, and when to look again.

use std::collections::HashMap;

use jiff::Timestamp;

use crate::limits::{SCHEDULED_RUNS_MAX, SCHEDULED_RUNS_PER_SOURCE_MAX};
use crate::model::{FeedId, SourceName};

/// A feed of which no run goes on, and when its next one is to begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    pub at: Timestamp,
    pub feed: FeedId,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Round {
    /// In the order of their times.
    pub begin: Vec<FeedId>,
    /// The first time that is to come.
    pub wake_at: Option<Timestamp>,
}

/// After a stop many may be due at once. No more than so many runs go on together, and of one source: who has to wait begins
/// when one of them ends. `going`: the sources of the runs that go on.
pub fn round(now: Timestamp, mut candidates: Vec<Candidate>, going: &[SourceName]) -> Round {
    candidates.sort_by(|a, b| a.at.cmp(&b.at).then_with(|| a.feed.cmp(&b.feed)));
    let mut all = going.len();
    let mut of_source: HashMap<SourceName, usize> = HashMap::new();
    for source in going {
        *of_source.entry(source.clone()).or_default() += 1;
    }
    let mut round = Round::default();
    for Candidate { at, feed } in candidates {
        if at > now {
            round.wake_at = Some(at);
            break;
        }
        let of_source = of_source.entry(feed.source.clone()).or_default();
        if all < SCHEDULED_RUNS_MAX && *of_source < SCHEDULED_RUNS_PER_SOURCE_MAX {
            all += 1;
            *of_source += 1;
            round.begin.push(feed);
        }
    }
    round
}
