//! Schedules as they are said, and what follows from them.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::model::{Cron, FinalSync, Pause, Schedule, ScheduleKind, Span, TimeOfDay};
use crate::schedule::{FinalState, Next};
use crate::sync::Timing;

/// When a feed is synced by itself.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[schema(as = ScheduleKind)]
#[serde(rename_all = "snake_case")]
pub enum ScheduleKindView {
    /// By hand only.
    Off,
    Hourly,
    /// At a time of day, in the event's zone.
    Daily,
    /// At an interval.
    Every,
    /// As cron has it, in the event's zone.
    Cron,
    /// By hand until `live_at`, then daily, hourly while the event takes place, and a final time after it.
    Phases,
}

/// When a feed is synced by itself; which of the keys count depends on `kind`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(as = Schedule)]
#[serde(deny_unknown_fields)]
pub struct ScheduleView {
    kind: ScheduleKindView,
    /// A time of day; of `daily`, and of `phases` until the event begins.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "03:00")]
    at: Option<TimeOfDay>,
    /// Of `every`: 1 minute to 31 days.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "15m")]
    every: Option<Span>,
    /// Of `cron`: minute, hour, day of the month, month, day of the week.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "0 6 * * mon-fri")]
    cron: Option<Cron>,
    /// Of `phases`: when syncs begin.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    live_at: Option<Timestamp>,
    /// After which a success is the last sync that happens by itself: a time, or e.g. `1d after end`.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "1d after end")]
    final_sync: Option<FinalSync>,
    /// Over how long feeds of the same time begin.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "5m")]
    jitter: Option<Span>,
}

/// What became of the final sync.
#[derive(Serialize, ToSchema)]
#[schema(as = FinalSync)]
pub struct FinalSyncView {
    /// A sync that begins then or later and succeeds is the last.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// `pending`, `done` or `given_up`.
    state: &'static str,
}

/// Nothing of the event is synced by itself.
#[derive(Serialize, ToSchema)]
#[schema(as = EventPause)]
pub struct EventPauseView {
    /// The API token by its name, or the command line of the server's machine.
    by: String,
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// `by hand`, or the run that was undone.
    why: String,
}

/// When a feed is synced next.
#[derive(Serialize, ToSchema)]
#[schema(as = FeedTiming)]
pub struct TimingView {
    /// When the next sync begins by itself while the server runs; a time that is over means as soon as it can.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub next_run: Option<Timestamp>,
    /// Why then: `first`, `time`, `retry`, `final`, `final_retry`. Or why none: `off`, `paused`, `over`, `final_held`,
    /// `final_done`, `final_given_up`.
    next_run_why: &'static str,
    /// Until when what is known is as fresh as the schedule promises.
    #[schema(value_type = Option<String>, format = DateTime)]
    fresh_until: Option<Timestamp>,
    final_sync: Option<FinalSyncView>,
}

impl From<Timing> for TimingView {
    fn from(Timing { next, fresh_until, final_sync }: Timing) -> Self {
        Self {
            next_run: next.at(),
            next_run_why: Next::as_str(next),
            fresh_until,
            final_sync: final_sync.map(|(at, state)| FinalSyncView { at, state: FinalState::as_str(state) }),
        }
    }
}

impl From<Pause> for EventPauseView {
    fn from(Pause { by, at, why }: Pause) -> Self {
        Self { by, at, why: why.to_string() }
    }
}

impl From<ScheduleView> for Schedule {
    fn from(view: ScheduleView) -> Self {
        let ScheduleView { kind, at, every, cron, live_at, final_sync, jitter } = view;
        let kind = match kind {
            ScheduleKindView::Off => ScheduleKind::Off,
            ScheduleKindView::Hourly => ScheduleKind::Hourly,
            ScheduleKindView::Daily => ScheduleKind::Daily,
            ScheduleKindView::Every => ScheduleKind::Every,
            ScheduleKindView::Cron => ScheduleKind::Cron,
            ScheduleKindView::Phases => ScheduleKind::Phases,
        };
        Self { kind, at, every, cron, live_at, final_sync, jitter }
    }
}

impl From<Schedule> for ScheduleView {
    fn from(schedule: Schedule) -> Self {
        let Schedule { kind, at, every, cron, live_at, final_sync, jitter } = schedule;
        let kind = match kind {
            ScheduleKind::Off => ScheduleKindView::Off,
            ScheduleKind::Hourly => ScheduleKindView::Hourly,
            ScheduleKind::Daily => ScheduleKindView::Daily,
            ScheduleKind::Every => ScheduleKindView::Every,
            ScheduleKind::Cron => ScheduleKindView::Cron,
            ScheduleKind::Phases => ScheduleKindView::Phases,
        };
        Self { kind, at, every, cron, live_at, final_sync, jitter }
    }
}
