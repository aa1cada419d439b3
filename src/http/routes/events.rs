//! Events: which there are, and making, changing and removing those that the configuration file does not declare.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use crate::config::{Fault, Warning, validate_event};
use crate::http::api::{Api, Shared};
use crate::http::auth::Caller;
use crate::http::extract::{Body, Nothing, Path, Query, name, zone};
use crate::http::paging::{Cursor, ListQuery, Page};
use crate::http::problem::{FieldError, Kind, Problem};
use crate::http::shapes::Name;
use crate::http::view::{
    AccessSettings, AttendeeCounts, EventSavedView, EventView, FeedView, GuardView, LinksView, MissingView,
    ScheduleView,
};
use crate::mapping::Overrides;
use crate::model::{
    AuditAction, Event, EventName, FeedId, FeedSettings, GuardSettings, Invitations, Links, Missing, SafetySettings,
    Schedule, SourceName,
};
use crate::store::{ChangeSet, EventWrite};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct EventPath {
    /// 1 to 64 characters of `a-z`, `0-9`, `-` and `_`.
    #[param(value_type = Name, inline)]
    #[serde(deserialize_with = "name")]
    pub event: EventName,
}

/// The settings of an event.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EventSettings {
    /// What people call it; at most 256 bytes on one line.
    #[schema(min_length = 1, max_length = 256)]
    title: String,
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    starts_at: Option<Timestamp>,
    /// After `starts_at`.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    ends_at: Option<Timestamp>,
    /// Where it takes place; a name of the IANA database.
    #[serde(default = "utc", deserialize_with = "zone")]
    #[schema(value_type = String, default = "UTC", example = "Europe/Berlin")]
    zone: TimeZone,
    /// When its feeds are synced by themselves, but for those that say it otherwise; by hand only if absent.
    #[serde(default)]
    schedule: Option<ScheduleView>,
    #[serde(default)]
    feeds: Vec<FeedBody>,
    /// Who may enter, and which pages.
    #[serde(default)]
    access: AccessSettings,
    /// How attendees get in without an account; by no link if absent.
    #[serde(default)]
    links: Option<LinksView>,
}

const fn utc() -> TimeZone {
    TimeZone::UTC
}

impl EventSettings {
    /// Invitations have a route of their own.
    fn of(self, name: EventName, invitations: Invitations) -> Event {
        let Self { title, starts_at, ends_at, zone, schedule, feeds, access, links } = self;
        let links = links.map(Links::from);
        let feeds = feeds.into_iter().map(FeedSettings::from).collect();
        let (schedule, access) = (schedule.map(Schedule::from), access.into());
        Event { name, title, starts_at, ends_at, zone, schedule, feeds, access, invitations, links }
    }
}

/// A source that feeds the event; at most one feed for each source.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FeedBody {
    #[schema(value_type = Name, inline)]
    source: SourceName,
    /// Values for the source's `{param.x}` placeholders.
    #[serde(default)]
    params: BTreeMap<String, String>,
    /// What becomes of people who are no longer in the list; what the source says if absent.
    #[serde(default)]
    missing: Option<MissingView>,
    /// After how many complete reads in a row they are removed.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 100)]
    missing_runs: Option<u32>,
    /// The limits that hold a run; where it is silent, what the source says.
    #[serde(default)]
    guard: Option<GuardView>,
    /// When it is synced by itself, instead of what the event says.
    #[serde(default)]
    schedule: Option<ScheduleView>,
    /// Expressions in the place of those of the source's mapping; an empty one: it is not mapped.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, String>)]
    mapping: Overrides,
}

impl From<FeedBody> for FeedSettings {
    fn from(FeedBody { source, params, missing, missing_runs, guard, schedule, mapping }: FeedBody) -> Self {
        let missing = missing.map(Missing::from);
        let safety =
            SafetySettings { missing, missing_runs, guard: guard.map(GuardSettings::from).unwrap_or_default() };
        Self { source, params, safety, schedule: schedule.map(Schedule::from), mapping }
    }
}

/// Lists the events by name.
#[utoipa::path(get, path = "/v1/events", operation_id = "list_events", params(ListQuery),
    responses((status = 200, body = Page<EventView>)))]
pub async fn list(State(api): State<Shared>, Query(query): Query<ListQuery>) -> Result<Json<Page<EventView>>, Problem> {
    let after = query.after("event", |name| EventName::parse(name).ok())?;
    let mut events = api.app.runner.events();
    events.retain(|event| after.as_ref().is_none_or(|after| event.name > *after));
    events.sort_by(|a, b| a.name.cmp(&b.name));
    events.truncate(query.limit.and_one());
    let page = Page::cut(events, query.limit, |event| Cursor::after("event", &event.name));
    let mut items = Vec::with_capacity(page.items.len());
    for event in &page.items {
        items.push(view(&api, event).await);
    }
    Ok(Json(Page { items, next_cursor: page.next_cursor }))
}

/// One event.
#[utoipa::path(get, path = "/v1/events/{event}", operation_id = "get_event", params(EventPath),
    responses((status = 200, body = EventView), (status = 404, description = "No such event")))]
pub async fn get(
    State(api): State<Shared>,
    Path(path): Path<EventPath>,
    _: Query<Nothing>,
) -> Result<Json<EventView>, Problem> {
    let event = api.event(&path.event)?;
    Ok(Json(view(&api, &event).await))
}

pub(super) async fn view(api: &Api, event: &Event) -> EventView {
    let mut feeds = Vec::with_capacity(event.feeds.len());
    for settings in &event.feeds {
        let feed = FeedId { event: event.name.clone(), source: settings.source.clone() };
        let running = api.app.runner.running(&feed);
        let held = api.app.runner.held_run(&feed);
        let timing = api.app.runner.timing(event, settings);
        feeds.push(FeedView::of(settings, &api.app.store.feed_state(&feed), timing, running, held));
    }
    let (active, inactive) = api.app.store.attendee_counts(&event.name);
    let provisioned = api.app.runner.is_provisioned(&event.name);
    let paused = api.app.runner.pause_of(&event.name);
    EventView::of(event, provisioned, AttendeeCounts { active, inactive }, paused, feeds)
}

/// Makes an event, or sets all its settings anew. People stay as they are until the next sync.
#[utoipa::path(put, path = "/v1/events/{event}", operation_id = "put_event", params(EventPath),
    request_body = EventSettings,
    responses(
        (status = 200, body = EventSavedView, description = "Changed"),
        (status = 201, body = EventSavedView, description = "Made"),
        (status = 409, description = "The configuration file declares the event"),
        (status = 422, description = "The settings are not valid; `errors` lists every fault"),
        (status = 507, description = "The disk is full"),
    ))]
pub async fn put(
    State(api): State<Shared>,
    Extension(caller): Extension<Caller>,
    Path(path): Path<EventPath>,
    _: Query<Nothing>,
    Body(body): Body<EventSettings>,
) -> Result<(StatusCode, Json<EventSavedView>), Problem> {
    refuse_provisioned(&api, &path.event)?;
    let invitations = api.app.store.event(&path.event).map(|event| event.invitations).unwrap_or_default();
    let checked = validate_event(body.of(path.event, invitations), &api.app.config.sources);
    let (event, warnings) = checked.map_err(|faults| invalid(&faults))?;
    let status = if api.app.runner.event(&event.name).is_some() { StatusCode::OK } else { StatusCode::CREATED };
    let saved = save(&api, caller, event, &warnings).await?;
    Ok((status, Json(saved)))
}

async fn save(api: &Api, caller: Caller, event: Event, warnings: &[Warning]) -> Result<EventSavedView, Problem> {
    let feeds: Vec<_> = event.feeds.iter().map(|feed| feed.source.as_str()).collect();
    write(api, caller, &event, format!("feeds: {}", feeds.join(", "))).await?;
    api.app.runner.schedules_changed();
    api.app.event_saved(&event.name);
    for feed in &event.feeds {
        let id = FeedId { event: event.name.clone(), source: feed.source.clone() };
        api.app.observer.feed_known(&id, event.usual_trigger(feed));
    }
    Ok(view(api, &event).await.saved(warnings))
}

/// Writes an event, with what of it the audit log notes.
pub(super) async fn write(api: &Api, caller: Caller, event: &Event, note: String) -> Result<(), Problem> {
    let audit = vec![api.audit(caller, AuditAction::EventSaved, &event.name, note)];
    let set = ChangeSet { event: Some(EventWrite::Put(Box::new(event.clone()))), audit, ..ChangeSet::default() };
    api.app.store.commit_async(set).await.map_err(api.store_failed("write an event")).map(drop)
}

/// Every fault of settings.
pub fn invalid(faults: &[Fault]) -> Problem {
    let error = |fault: &Fault| FieldError {
        field: fault.path.clone(),
        detail: if fault.mend.is_empty() {
            fault.problem.clone()
        } else {
            format!("{}; {}", fault.problem, fault.mend)
        },
    };
    Problem::of(Kind::Invalid, faults.iter().map(error).collect())
}

/// Removes an event that nobody has, or ever had, a place or a registration in: what a sync brought, only a sync or
/// an erasure takes away. History keeps the event's runs.
#[utoipa::path(delete, path = "/v1/events/{event}", operation_id = "delete_event", params(EventPath),
    responses(
        (status = 204, description = "Removed"),
        (status = 404, description = "No such event"),
        (status = 409, description = "The configuration file declares it, it has people, or a run goes on"),
        (status = 507, description = "The disk is full"),
    ))]
pub async fn delete(
    State(api): State<Shared>,
    Extension(caller): Extension<Caller>,
    Path(path): Path<EventPath>,
    _: Query<Nothing>,
) -> Result<StatusCode, Problem> {
    refuse_provisioned(&api, &path.event)?;
    let event = api.event(&path.event)?;
    refuse_in_use(&api, &event).await?;
    let audit = vec![api.audit(caller, AuditAction::EventRemoved, &path.event, String::new())];
    let (pause, inviting) = (Some((path.event.clone(), None)), Some((path.event.clone(), None)));
    let event = Some(EventWrite::Delete(path.event));
    let set = ChangeSet { event, pause, inviting, audit, ..ChangeSet::default() };
    api.app.store.commit_async(set).await.map_err(api.store_failed("write that an event is removed"))?;
    Ok(StatusCode::NO_CONTENT)
}

pub fn refuse_provisioned(api: &Api, event: &EventName) -> Result<(), Problem> {
    if !api.app.runner.is_provisioned(event) {
        return Ok(());
    }
    let file = api.app.config.path.display();
    Err(Problem::conflict(format!("event '{event}' is declared in {file} and read-only here"))
        .hint(format!("change [event.{event}] in that file and restart the server")))
}

async fn refuse_in_use(api: &Api, event: &Event) -> Result<(), Problem> {
    for settings in &event.feeds {
        let feed = FeedId { event: event.name.clone(), source: settings.source.clone() };
        if let Some(run) = api.app.runner.running_or_beginning(&feed).await {
            return Err(Problem::conflict(format!("run {run} of this event goes on")).hint("cancel it or wait for it"));
        }
    }
    let (active, inactive) = api.app.store.attendee_counts(&event.name);
    if active + inactive > 0 || api.app.store.has_registrations(&event.name) {
        let detail = format!("event '{}' has people: {active} attend and {inactive} no longer do", event.name);
        return Err(Problem::conflict(detail).hint("only an event that nobody was ever synced into can be removed"));
    }
    Ok(())
}
