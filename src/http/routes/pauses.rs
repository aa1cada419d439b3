//! Pausing what begins by itself of an event, and lifting the pause.

use axum::extract::State;
use axum::{Extension, Json};

use super::events::{EventPath, view};
use crate::http::api::Shared;
use crate::http::auth::Caller;
use crate::http::extract::{EmptyBody, Nothing, Path, Query};
use crate::http::problem::Problem;
use crate::http::view::EventView;

/// Pauses an event: nothing of it is synced by itself, neither by a schedule nor by a hook, until it is resumed. Syncs by hand go
/// on. One that is paused stays as it is.
#[utoipa::path(post, path = "/v1/events/{event}/pause", operation_id = "pause_event", params(EventPath),
    responses(
        (status = 200, body = EventView, description = "It is paused"),
        (status = 404, description = "No such event"),
        (status = 507, description = "The disk is full"),
    ))]
pub async fn pause(
    State(api): State<Shared>,
    Extension(caller): Extension<Caller>,
    Path(path): Path<EventPath>,
    _: Query<Nothing>,
    _: EmptyBody,
) -> Result<Json<EventView>, Problem> {
    let event = api.event(&path.event)?;
    let paused = api.app.runner.pause(&event.name, api.actor(caller)).await;
    paused.map_err(api.store_failed("write the pause of an event"))?;
    Ok(Json(view(&api, &event).await))
}

/// Resumes an event: its schedule and its hooks count again. Where a time passed meanwhile, a sync begins at once.
#[utoipa::path(post, path = "/v1/events/{event}/resume", operation_id = "resume_event", params(EventPath),
    responses(
        (status = 200, body = EventView, description = "It is not paused"),
        (status = 404, description = "No such event"),
        (status = 507, description = "The disk is full"),
    ))]
pub async fn resume(
    State(api): State<Shared>,
    Extension(caller): Extension<Caller>,
    Path(path): Path<EventPath>,
    _: Query<Nothing>,
    _: EmptyBody,
) -> Result<Json<EventView>, Problem> {
    let event = api.event(&path.event)?;
    let resumed = api.app.runner.resume(&event.name, api.actor(caller)).await;
    resumed.map_err(api.store_failed("write that a pause is lifted"))?;
    Ok(Json(view(&api, &event).await))
}
