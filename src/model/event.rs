//! Events, their feeds, and how far each feed has come.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{EventName, RunId, SourceName};

/// An event of the community and the feeds that fill it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    pub name: EventName,
    /// What people call it.
    pub title: String,
    pub starts_at: Option<Timestamp>,
    pub feeds: Vec<FeedSettings>,
}

/// One source feeding an event. At most one feed per source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeedSettings {
    pub source: SourceName,
    /// Values for the source's `{param.x}` placeholders.
    #[serde(default)]
    pub params: BTreeMap<String, String>,
}

impl Event {
    pub fn feed(&self, source: &SourceName) -> Option<&FeedSettings> {
        self.feeds.iter().find(|f| f.source == *source)
    }
}

/// What is remembered of a feed between runs. Written with a run's last batch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FeedState {
    /// How many complete reads were committed.
    pub complete_reads: u32,
    pub last_run: Option<RunId>,
    pub last_attempt: Option<Timestamp>,
    pub last_success: Option<Timestamp>,
    pub consecutive_failures: u32,
}
