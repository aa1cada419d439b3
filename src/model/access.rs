//! Who may enter an event, and which of its pages.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{GroupKey, PageName, UserId};

/// What an organiser says of the door of an event.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Access {
    pub admission: Admission,
    /// The pages that an app may ask about.
    pub pages: BTreeMap<PageName, Page>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Admission {
    /// Anybody may enter, also who is not known here, but for those whom an organiser excluded.
    #[default]
    Open,
    /// Only who attends may enter.
    Restricted,
}

/// A part of an event that not everybody may see who may enter.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Page {
    /// One of them opens it; `None`: it is for everybody who may enter.
    pub groups: Option<BTreeSet<GroupKey>>,
}

/// What is known of somebody at the door of one event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// `None`: nobody knows them.
    pub user: Option<UserId>,
    pub attends: bool,
    /// An organiser excluded them.
    pub excluded: bool,
    /// Their groups as far as this event is concerned, ascending, each once.
    pub groups: Vec<GroupKey>,
    /// They were here before, as the app said.
    pub came: bool,
}

/// Why somebody may enter, or may not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccessReason {
    /// The event is open.
    Open,
    /// They attend.
    Attendee,
    /// They are in a group that opens the page.
    Group,
    /// Nobody knows them, and only those who are known may enter.
    UnknownPerson,
    /// They do not attend, or no longer.
    NotAttending,
    /// An organiser excluded them from the event.
    Excluded,
    /// They may enter the event, but no group of theirs opens the page.
    NoGroup,
}

impl AccessReason {
    pub const fn allows(self) -> bool {
        matches!(self, Self::Open | Self::Attendee | Self::Group)
    }
}
