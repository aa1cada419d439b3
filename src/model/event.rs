//! Events, their feeds, and how far each feed has come.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::{
    Access, Digest, EventName, Invitations, Links, MappingKey, RunId, SafetySettings, Schedule, SourceName, Trigger,
};

/// An event of the community and the feeds that fill it. Stored as the JSON that serde makes of it: what is added later
/// needs a default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    pub name: EventName,
    /// What people call it.
    pub title: String,
    pub starts_at: Option<Timestamp>,
    /// After `starts_at`.
    pub ends_at: Option<Timestamp>,
    /// Where it takes place; of the IANA database.
    #[serde(with = "jiff::fmt::serde::tz::required")]
    pub zone: TimeZone,
    /// Of the feeds that say nothing of their own; `None`: they are synced by hand.
    #[serde(default)]
    pub schedule: Option<Schedule>,
    pub feeds: Vec<FeedSettings>,
    #[serde(default)]
    pub access: Access,
    #[serde(default)]
    pub invitations: Invitations,
    /// `None`: nobody gets in by a link of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub links: Option<Links>,
}

/// One source feeding an event. At most one feed per source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedSettings {
    pub source: SourceName,
    /// Values for the source's `{param.x}` placeholders.
    pub params: BTreeMap<String, String>,
    /// Instead of what the source says.
    pub safety: SafetySettings,
    /// Instead of what the event says, as a whole.
    #[serde(default)]
    pub schedule: Option<Schedule>,
    /// Expressions in the place of those of the source's mapping; an empty one: it is not mapped.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub mapping: BTreeMap<MappingKey, String>,
}

impl Event {
    pub fn feed(&self, source: &SourceName) -> Option<&FeedSettings> {
        self.feeds.iter().find(|f| f.source == *source)
    }

    /// When a feed of this event is synced by itself, where it is.
    pub fn schedule_of<'a>(&'a self, feed: &'a FeedSettings) -> Option<&'a Schedule> {
        feed.schedule.as_ref().or(self.schedule.as_ref()).filter(|schedule| schedule.is_on())
    }

    /// What begins most runs of a feed.
    pub fn usual_trigger(&self, feed: &FeedSettings) -> Trigger {
        if self.schedule_of(feed).is_some() { Trigger::Schedule } else { Trigger::Api }
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
    /// When the last sync began, and the last that succeeded.
    pub last_began: Option<Timestamp>,
    pub last_success_began: Option<Timestamp>,
    /// When the first of the failed syncs since the last success began.
    pub failing_since: Option<Timestamp>,
    pub consecutive_failures: u32,
    /// How far the source was read; `None` where the next read has to be of everything.
    pub position: Option<FeedPosition>,
    /// When a read that had to stop goes on by itself.
    pub goes_on_at: Option<Timestamp>,
}

/// How far a feed was read, as its source tells. Committed with what was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FeedPosition {
    /// Of the settings under which it means something.
    pub seed: u64,
    /// When the last read of the whole list began.
    pub read_whole_at: Option<Timestamp>,
    /// From when on changes are to be asked for, list by list; see [`Validators`] for a list without.
    pub watermarks: BTreeMap<Digest, Timestamp>,
    pub validators: Validators,
}

/// What a source said its list is known by (RFC 9110 §8.8).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Validators {
    pub etag: Option<String>,
    pub last_modified: Option<String>,
}

impl Validators {
    pub const fn is_empty(&self) -> bool {
        self.etag.is_none() && self.last_modified.is_none()
    }
}
