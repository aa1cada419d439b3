//! Is it alive, is it ready, how does it fare?

use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::http::api::{Api, Shared};
use crate::http::extract::{Nothing, Query};
use crate::http::problem::{Problem, ProblemView};
use crate::http::view::{EventPauseView, EventStatusView, RunView, StatusView};
use crate::limits::{API_READY_EVERY, FEEDS_LABELLED_MAX};
use crate::model::{Event, FeedId, FeedSettings, ReceiptState, RunId};
use crate::observe::{BudgetFacts, EventFacts, Facts, FeedFacts, ReceiptFacts};
use crate::schedule::{Idle, Next};
use crate::sync::Timing;

#[derive(Serialize, ToSchema)]
pub struct Health {
    /// `ok`, or why it is not ready.
    status: &'static str,
}

/// Tells that the process answers.
#[utoipa::path(get, path = "/healthz", operation_id = "live", responses((status = 200, body = Health)))]
pub async fn live() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// Tells whether the store can be written to.
#[utoipa::path(get, path = "/readyz", operation_id = "ready",
    responses(
        (status = 200, body = Health),
        (status = 503, description = "Not ready; reads go on. A problem while the server stops", content(
            (Health = "application/json"), (ProblemView = "application/problem+json"),
        )),
    ))]
pub async fn ready(State(api): State<Shared>) -> Result<(StatusCode, Json<Health>), Problem> {
    Ok(match readiness(&api).await? {
        Ok(()) => (StatusCode::OK, Json(Health { status: "ok" })),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, Json(Health { status: why })),
    })
}

/// Asks the store at most every [`API_READY_EVERY`]: anybody may ask us, as often as they like.
async fn readiness(api: &Shared) -> Result<Result<(), &'static str>, Problem> {
    let mut known = api.readiness.lock().await;
    if let Some((_, answer)) = known.filter(|(asked, _)| asked.elapsed() < API_READY_EVERY) {
        return Ok(answer);
    }
    let answer = api.blocking(|api| Ok(ask_store(api))).await?;
    *known = Some((Instant::now(), answer));
    Ok(answer)
}

fn ask_store(api: &Api) -> Result<(), &'static str> {
    let answer = api.app.store.check_writable();
    answer.map_err(|error| {
        api.app.observer.store_failed("write what shows that there is room", &error.to_string());
        if error.is_disk_full() { "the disk is full" } else { "the store cannot be written to" }
    })
}

/// Everything for Prometheus, in its text format 0.0.4.
#[utoipa::path(get, path = "/metrics", operation_id = "metrics",
    responses((status = 200, body = String, content_type = "text/plain; version=0.0.4")))]
pub async fn metrics(State(api): State<Shared>, _: Query<Nothing>) -> Result<Response, Problem> {
    let text = api.blocking(|api| Ok(api.app.observer.render_with(&facts(api)))).await?;
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response())
}

/// What the store, the schedules and the budgets say now. What the disk does not tell is left out: a scrape must not fail
/// when it is needed most.
fn facts(api: &Api) -> Facts {
    let App { store, runner, .. } = &api.app;
    let events = runner.events();
    let feeds = events.iter().flat_map(|event| event.feeds.iter().map(move |feed| (event, feed)));
    let of_event = |event: &Arc<Event>| {
        let (active, inactive) = store.attendee_counts(&event.name);
        EventFacts { event: event.name.clone(), active, inactive }
    };
    let windows = runner.sources().iter().flat_map(|(source, entry)| {
        let windows = entry.source.allowance().windows.into_iter();
        windows.map(|left| BudgetFacts { source: source.clone(), window: left.window.per.to_string(), left: left.left })
    });
    let store_bytes = store.bytes_on_disk().map_err(api.store_failed("read the store's size"));
    let free_bytes = store.bytes_free().map_err(api.store_failed("read what is free on the disk"));
    Facts {
        now: api.app.clock.now(),
        feeds: feeds.take(FEEDS_LABELLED_MAX).map(|(event, feed)| feed_facts(api, event, feed)).collect(),
        events: events.iter().take(FEEDS_LABELLED_MAX).map(of_event).collect(),
        budgets: windows.collect(),
        sign_ins: api.app.logins.standings(),
        receipts: events.iter().take(FEEDS_LABELLED_MAX).flat_map(|event| receipts(api, event)).collect(),
        users: store.user_count(),
        groups: store.group_count() as u64,
        tombstones: store.tombstones().len() as u64,
        runs_held: runner.held_runs() as u64,
        store_bytes: store_bytes.ok(),
        // Some file systems do not tell.
        free_bytes: free_bytes.ok().filter(|free| *free < u64::MAX),
    }
}

/// None of an event without links: nothing of it goes back.
fn receipts(api: &Api, event: &Event) -> Vec<ReceiptFacts> {
    if event.links.is_none() {
        return Vec::new();
    }
    let counts = api.app.writebacks.counts(&event.name);
    let of_state = |(at, state): (usize, &ReceiptState)| ReceiptFacts {
        event: event.name.clone(),
        state: *state,
        receipts: counts.iter().map(|(_, _, counts)| counts[at]).sum(),
    };
    ReceiptState::TOLD.iter().enumerate().map(of_state).collect()
}

fn feed_facts(api: &Api, event: &Event, settings: &FeedSettings) -> FeedFacts {
    let Timing { next, fresh_until, .. } = api.app.runner.timing(event, settings);
    let feed = feed_id(event, &settings.source);
    let state = api.app.store.feed_state(&feed);
    FeedFacts {
        is_running: api.app.runner.running(&feed).is_some(),
        degraded: state.last_run.map_or(0, |run| api.app.runner.doubts_of(run)),
        enabled: next.at().is_some() || next == Next::None(Idle::FinalHeld),
        next_run: next.at(),
        fresh_until,
        feed,
        state,
    }
}

fn feed_id(event: &Event, source: &crate::model::SourceName) -> FeedId {
    FeedId { event: event.name.clone(), source: source.clone() }
}

/// Counts of people and the newest run of every event.
#[utoipa::path(get, path = "/v1/status", operation_id = "status", responses((status = 200, body = StatusView)))]
pub async fn status(State(api): State<Shared>, _: Query<Nothing>) -> Result<Json<StatusView>, Problem> {
    let mut events = Vec::new();
    for event in api.app.runner.events() {
        events.push(EventStatusView {
            event: event.name.to_string(),
            title: event.title.clone(),
            attendees: api.app.store.attendee_counts(&event.name).0,
            held: event.feeds.iter().filter_map(|feed| held_run(&api, &event, &feed.source)).collect(),
            last_run: newest_run(&api, &event).await?,
            goes_on_at: event.feeds.iter().filter_map(|feed| goes_on_at(&api, &event, &feed.source)).min(),
            next_run: event.feeds.iter().filter_map(|feed| api.app.runner.timing(&event, feed).next.at()).min(),
            paused: api.app.runner.pause_of(&event.name).map(EventPauseView::from),
        });
    }
    events.sort_by(|a, b| a.event.cmp(&b.event));
    let store = &api.app.store;
    Ok(Json(StatusView { users: store.user_count(), groups: store.group_count() as u64, events }))
}

fn held_run(api: &Api, event: &Event, source: &crate::model::SourceName) -> Option<u64> {
    api.app.runner.held_run(&feed_id(event, source)).map(|RunId(run)| run)
}

fn goes_on_at(api: &Api, event: &Event, source: &crate::model::SourceName) -> Option<jiff::Timestamp> {
    api.app.store.feed_state(&feed_id(event, source)).goes_on_at
}

async fn newest_run(api: &Api, event: &Event) -> Result<Option<RunView>, Problem> {
    let mut newest: Option<RunId> = None;
    for settings in &event.feeds {
        let feed = feed_id(event, &settings.source);
        let going = api.app.runner.running(&feed);
        newest = newest.max(going).max(api.app.store.feed_state(&feed).last_run);
    }
    let Some(id) = newest else { return Ok(None) };
    let progress = api.app.runner.going(id);
    let run = api.app.runner.run(id).map_err(api.store_failed("read a run"))?;
    Ok(run.map(|run| RunView::of(&run, progress)))
}
