//! Starting the runs of an event.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Deserialize;
use utoipa::IntoParams;

use super::events::EventPath;
use crate::http::api::{Api, Shared};
use crate::http::auth::Caller;
use crate::http::extract::{EmptyBody, Flag, Path, Query, Wait};
use crate::http::problem::Problem;
use crate::http::shapes::{self, Name};
use crate::http::view::{EndedView, RunView, StartedView, SyncView};
use crate::model::{EventName, Run, RunId, SourceName};
use crate::sync::{Feed, Request, StartError};

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SyncQuery {
    /// Only the feed of this source.
    #[param(value_type = Option<Name>, inline)]
    source: Option<SourceName>,
    /// Plan and write down, commit nothing.
    #[serde(default)]
    #[param(value_type = Option<bool>)]
    dry_run: Flag,
    /// Map every record anew, whatever its digest.
    #[serde(default)]
    #[param(value_type = Option<bool>)]
    full: Flag,
    /// Answer when the runs have ended, at the latest after this long, e.g. `30s`; at most 5 minutes.
    #[param(value_type = Option<shapes::Duration>, inline)]
    wait: Option<Wait>,
}

/// Starts a run of each feed of the event. A feed whose run goes on already gets no second one.
#[utoipa::path(post, path = "/v1/events/{event}/sync", operation_id = "sync_event", params(EventPath, SyncQuery),
    responses(
        (status = 200, body = EndedView, description = "Every run ended within `wait`"),
        (status = 202, body = SyncView, description = "The runs go on"),
        (status = 404, description = "No such event, or no feed of this source"),
        (status = 409, description = "The event has no feed, or its source is no longer configured"),
        (status = 507, description = "The disk is full"),
    ))]
pub async fn start(
    State(api): State<Shared>,
    Extension(caller): Extension<Caller>,
    Path(path): Path<EventPath>,
    Query(query): Query<SyncQuery>,
    _: EmptyBody,
) -> Result<Response, Problem> {
    let feeds = feeds(&api, &path.event, query.source.as_ref())?;
    let request = Request { trigger: caller.trigger(), dry_run: query.dry_run.0, full: query.full.0 };
    let mut runs = Vec::with_capacity(feeds.len());
    for feed in feeds {
        runs.push(start_one(&api, feed, request).await?);
    }
    let ended = match query.wait {
        Some(Wait(wait)) => wait_for_all(&api, &runs, wait).await?,
        None => None,
    };
    Ok(match ended {
        Some(runs) => Json(EndedView { runs }).into_response(),
        None => (StatusCode::ACCEPTED, Json(SyncView { runs })).into_response(),
    })
}

/// The feeds of an event, or the one of `source`.
pub fn feeds(api: &Api, event: &EventName, source: Option<&SourceName>) -> Result<Vec<Feed>, Problem> {
    api.app.runner.feeds(event, source).map_err(|error| start_problem(api, error))
}

/// Why a feed cannot be run.
pub fn start_problem(api: &Api, error: StartError) -> Problem {
    match error {
        StartError::UnknownEvent(_) | StartError::UnknownFeed { .. } => Problem::not_found(error.to_string()),
        StartError::NoFeed(_) => Problem::conflict(error.to_string()).hint("give the event a feed"),
        StartError::UnknownSource(_) => {
            Problem::conflict(error.to_string()).hint("declare the source in the configuration file")
        }
        StartError::Stopping => Problem::stopping(),
        StartError::Store(error) => api.store_failed("write that a run begins")(error),
    }
}

async fn start_one(api: &Api, feed: Feed, request: Request) -> Result<StartedView, Problem> {
    let (event, source) = (feed.id.event.to_string(), feed.id.source.to_string());
    let started = api.app.runner.start(feed, request).await.map_err(|error| start_problem(api, error))?;
    Ok(StartedView { run: started.run.0, event, source, already_running: started.already_running })
}

/// The runs as they ended; `None` when one goes on, or when too many requests wait already.
async fn wait_for_all(api: &Api, runs: &[StartedView], wait: Duration) -> Result<Option<Vec<RunView>>, Problem> {
    let all = async {
        let mut ended = Vec::with_capacity(runs.len());
        for started in runs {
            ended.push(api.app.runner.wait(RunId(started.run)).await?);
        }
        Ok(ended)
    };
    let Some(ended) = api.waiting(wait, all).await else { return Ok(None) };
    let ended: Vec<Option<Run>> = ended.map_err(api.store_failed("read a run"))?;
    let ended = ended.into_iter().flatten().filter(|run| run.ended_at.is_some());
    let ended: Vec<_> = ended.map(|run| RunView::of(&run, None)).collect();
    Ok((ended.len() == runs.len()).then_some(ended))
}
