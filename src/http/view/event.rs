//! Events and their feeds.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{AccessSettings, EventPauseView, GuardView, MissingView, RunView, ScheduleView, TimingView};
use crate::config::Warning;
use crate::limits::PASSWORD_LENGTH;
use crate::mapping::Overrides;
use crate::model::{Event, FeedSettings, FeedState, Links, Pause, RunId};
use crate::sync::Timing;

/// An event and the feeds that fill it.
#[derive(Serialize, ToSchema)]
#[schema(as = Event)]
pub struct EventView {
    name: String,
    title: String,
    #[schema(value_type = Option<String>, format = DateTime)]
    starts_at: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    ends_at: Option<Timestamp>,
    /// Where it takes place; a name of the IANA database.
    #[schema(example = "Europe/Berlin")]
    zone: String,
    /// Declared in the configuration file, hence read-only here.
    provisioned: bool,
    attendees: AttendeeCounts,
    /// When its feeds are synced by themselves, but for those that say it otherwise.
    schedule: Option<ScheduleView>,
    /// Set while nothing of it is synced by itself.
    paused: Option<EventPauseView>,
    feeds: Vec<FeedView>,
    /// Who may enter, and which pages.
    access: AccessSettings,
    /// How attendees get in without an account.
    links: Option<LinksView>,
}

/// Login links and event passwords.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Links)]
pub struct LinksView {
    /// An https address with `{token}`, and perhaps `{event}` and `{user}`, to be filled in for each attendee.
    #[schema(example = "https://app.example/enter?token={token}")]
    link: String,
    /// Characters of an event password, 8 to 64; 0: there is none.
    #[serde(default = "password_length")]
    #[schema(default = 10, maximum = 64)]
    password_length: u8,
}

const fn password_length() -> u8 {
    PASSWORD_LENGTH
}

impl From<LinksView> for Links {
    fn from(LinksView { link, password_length }: LinksView) -> Self {
        Self { link, password_length }
    }
}

impl From<Links> for LinksView {
    fn from(Links { link, password_length }: Links) -> Self {
        Self { link, password_length }
    }
}

#[derive(Serialize, ToSchema)]
pub struct AttendeeCounts {
    pub active: u64,
    /// No longer attending.
    pub inactive: u64,
}

/// A source feeding the event.
#[derive(Serialize, ToSchema)]
#[schema(as = Feed)]
pub struct FeedView {
    source: String,
    /// Values for the source's `{param.x}` placeholders.
    params: BTreeMap<String, String>,
    /// What becomes of people who are no longer in the list, where the feed says it.
    missing: Option<MissingView>,
    missing_runs: Option<u32>,
    /// The limits that hold a run, where the feed says them.
    guard: GuardView,
    /// When it is synced by itself, where the feed says it.
    schedule: Option<ScheduleView>,
    /// What it says of the source's mapping otherwise.
    #[schema(value_type = BTreeMap<String, String>)]
    mapping: Overrides,
    #[serde(flatten)]
    timing: TimingView,
    /// When it was last synced whole.
    #[schema(value_type = Option<String>, format = DateTime)]
    last_success: Option<Timestamp>,
    /// When a sync last ended, however.
    #[schema(value_type = Option<String>, format = DateTime)]
    last_attempt: Option<Timestamp>,
    /// Failed syncs since the last success.
    consecutive_failures: u32,
    /// The newest run that was not a dry run and has ended.
    last_run: Option<u64>,
    /// The run that goes on.
    running: Option<u64>,
    /// The run that waits to be approved or rejected.
    held: Option<u64>,
    /// When a sync that found the source's quota used up goes on by itself.
    #[schema(value_type = Option<String>, format = DateTime)]
    goes_on_at: Option<Timestamp>,
}

/// An event as saved.
#[derive(Serialize, ToSchema)]
#[schema(as = EventSaved)]
pub struct EventSavedView {
    #[serde(flatten)]
    event: EventView,
    /// What works but is probably not meant.
    warnings: Vec<String>,
}

/// The community at a glance.
#[derive(Serialize, ToSchema)]
#[schema(as = Status)]
pub struct StatusView {
    pub users: u64,
    pub groups: u64,
    pub events: Vec<EventStatusView>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = EventStatus)]
pub struct EventStatusView {
    pub event: String,
    pub title: String,
    /// Active attendees.
    pub attendees: u64,
    /// The runs of its feeds that wait to be approved or rejected.
    pub held: Vec<u64>,
    /// The newest run of the event's feeds, going or ended.
    pub last_run: Option<RunView>,
    /// When the first of its feeds goes on by itself, whose source's quota is used up.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub goes_on_at: Option<Timestamp>,
    /// When the next of its feeds is synced by itself while the server runs.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub next_run: Option<Timestamp>,
    /// Set while nothing of it is synced by itself.
    pub paused: Option<EventPauseView>,
}

impl EventView {
    pub fn of(
        event: &Event,
        provisioned: bool,
        attendees: AttendeeCounts,
        paused: Option<Pause>,
        feeds: Vec<FeedView>,
    ) -> Self {
        Self {
            name: event.name.to_string(),
            title: event.title.clone(),
            starts_at: event.starts_at,
            ends_at: event.ends_at,
            zone: event.zone.iana_name().unwrap_or("UTC").to_owned(),
            provisioned,
            attendees,
            schedule: event.schedule.clone().map(ScheduleView::from),
            paused: paused.map(EventPauseView::from),
            feeds,
            access: event.access.clone().into(),
            links: event.links.clone().map(LinksView::from),
        }
    }

    pub fn saved(self, warnings: &[Warning]) -> EventSavedView {
        EventSavedView { event: self, warnings: warnings.iter().map(ToString::to_string).collect() }
    }
}

impl FeedView {
    pub fn of(
        settings: &FeedSettings,
        state: &FeedState,
        timing: Timing,
        running: Option<RunId>,
        held: Option<RunId>,
    ) -> Self {
        Self {
            source: settings.source.to_string(),
            params: settings.params.clone(),
            missing: settings.safety.missing.map(MissingView::from),
            missing_runs: settings.safety.missing_runs,
            guard: settings.safety.guard.into(),
            schedule: settings.schedule.clone().map(ScheduleView::from),
            mapping: settings.mapping.clone(),
            timing: timing.into(),
            last_success: state.last_success,
            last_attempt: state.last_attempt,
            consecutive_failures: state.consecutive_failures,
            last_run: state.last_run.map(|RunId(run)| run),
            running: running.map(|RunId(run)| run),
            held: held.map(|RunId(run)| run),
            goes_on_at: state.goes_on_at,
        }
    }
}
