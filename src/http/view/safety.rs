//! The guard: its limits, what it found, who decided.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::model::{Decision, Doubt, GuardSettings, Missing};

/// What becomes of people who are no longer in the list.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[schema(as = Missing)]
#[serde(rename_all = "snake_case")]
pub enum MissingView {
    /// They stay.
    Keep,
    /// They are removed from the event, after `missing_runs` complete reads.
    Remove,
}

/// The limits that hold a run, as far as they are set.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, ToSchema)]
#[schema(as = Guard)]
#[serde(default, deny_unknown_fields)]
pub struct GuardView {
    /// `false`: nothing is held.
    enabled: Option<bool>,
    /// Of the feed's active registrations, in percent.
    #[schema(maximum = 100)]
    max_removed: Option<u32>,
    /// Permanent deletions.
    max_deleted: Option<u32>,
    /// Records of a whole list.
    min_expected: Option<u32>,
    /// Of the records read, in percent.
    #[schema(maximum = 100)]
    max_rejected: Option<u32>,
    /// For how many days a held run waits.
    #[schema(minimum = 1, maximum = 365)]
    held_days: Option<u32>,
}

/// A doubt about a plan.
#[derive(Serialize, ToSchema)]
#[schema(as = Doubt)]
pub struct DoubtView {
    /// One of a fixed list, e.g. `removed`, `deleted`, `empty`.
    reason: &'static str,
    /// The same with its figures.
    text: String,
}

/// Who decided on a held run, and when.
#[derive(Serialize, ToSchema)]
#[schema(as = RunDecision)]
pub struct DecisionView {
    /// The name of the API token, or the command line of the server's machine.
    by: String,
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
}

impl From<Missing> for MissingView {
    fn from(missing: Missing) -> Self {
        match missing {
            Missing::Keep => Self::Keep,
            Missing::Remove => Self::Remove,
        }
    }
}

impl From<MissingView> for Missing {
    fn from(missing: MissingView) -> Self {
        match missing {
            MissingView::Keep => Self::Keep,
            MissingView::Remove => Self::Remove,
        }
    }
}

impl From<GuardSettings> for GuardView {
    fn from(guard: GuardSettings) -> Self {
        let GuardSettings { enabled, max_removed, max_deleted, min_expected, max_rejected, held_days } = guard;
        Self { enabled, max_removed, max_deleted, min_expected, max_rejected, held_days }
    }
}

impl From<GuardView> for GuardSettings {
    fn from(guard: GuardView) -> Self {
        let GuardView { enabled, max_removed, max_deleted, min_expected, max_rejected, held_days } = guard;
        Self { enabled, max_removed, max_deleted, min_expected, max_rejected, held_days }
    }
}

impl From<&Doubt> for DoubtView {
    fn from(Doubt { kind, text }: &Doubt) -> Self {
        Self { reason: kind.as_str(), text: text.clone() }
    }
}

impl From<&Decision> for DecisionView {
    fn from(Decision { by, at }: &Decision) -> Self {
        Self { by: by.to_string(), at: *at }
    }
}
