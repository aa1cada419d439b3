//! Runs: history, progress, log, and ending one early.

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::http::api::{Api, Shared};
use crate::http::auth::Caller;
use crate::http::extract::{EmptyBody, Nothing, Path, Query, Wait};
use crate::http::paging::{Cursor, Limit, Page};
use crate::http::problem::Problem;
use crate::http::shapes::{self, Name, OutcomeFilter};
use crate::http::view::{LogLineView, RunView};
use crate::model::{AuditAction, EventName, Run, RunId, RunOutcome, SourceName};
use crate::store::ChangeSet;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct RunPath {
    /// The run's number, from 1.
    #[param(value_type = u64)]
    pub run: RunId,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RunsQuery {
    /// Of this event only.
    #[param(value_type = Option<Name>, inline)]
    event: Option<EventName>,
    /// Of this source only.
    #[param(value_type = Option<Name>, inline)]
    source: Option<SourceName>,
    /// Ended so.
    #[param(value_type = Option<OutcomeFilter>, inline)]
    outcome: Option<RunOutcome>,
    /// The `next_cursor` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<Cursor>,
    /// Items a page.
    #[serde(default)]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000, default = 100)]
    limit: Limit,
}

impl RunsQuery {
    fn picks(&self, run: &Run) -> bool {
        self.event.as_ref().is_none_or(|event| run.feed.event == *event)
            && self.source.as_ref().is_none_or(|source| run.feed.source == *source)
            && self.outcome.is_none_or(|outcome| run.outcome == Some(outcome))
    }
}

/// A run by its number.
pub fn find(api: &Api, id: RunId) -> Result<Run, Problem> {
    let run = api.app.runner.run(id).map_err(api.store_failed("read a run"))?;
    run.ok_or_else(|| Problem::not_found(format!("there is no run {id}")))
}

/// Lists runs, newest first.
#[utoipa::path(get, path = "/v1/runs", operation_id = "list_runs", params(RunsQuery),
    responses((status = 200, body = Page<RunView>)))]
pub async fn list(State(api): State<Shared>, Query(query): Query<RunsQuery>) -> Result<Json<Page<RunView>>, Problem> {
    let before = query.cursor.as_ref().map(|cursor| cursor.read("run", |key| key.parse().ok().map(RunId)));
    let before = before.transpose()?;
    let limit = query.limit;
    let found = api.blocking(move |api| {
        let runs = api.app.runner.runs(before, limit.and_one(), |run| query.picks(run));
        runs.map_err(api.store_failed("read runs"))
    });
    let page = Page::cut(found.await?, limit, |run| Cursor::after("run", run.id));
    let mut items = Vec::with_capacity(page.items.len());
    for run in &page.items {
        items.push(view(&api, run).await);
    }
    Ok(Json(Page { items, next_cursor: page.next_cursor }))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RunQuery {
    /// Answer when the run has ended, at the latest after this long, e.g. `30s`; at most 5 minutes.
    #[param(value_type = Option<shapes::Duration>, inline)]
    wait: Option<Wait>,
}

/// One run; with its progress while it goes on.
#[utoipa::path(get, path = "/v1/runs/{run}", operation_id = "get_run", params(RunPath, RunQuery),
    responses((status = 200, body = RunView), (status = 404, description = "No such run")))]
pub async fn get(
    State(api): State<Shared>,
    Path(path): Path<RunPath>,
    Query(query): Query<RunQuery>,
) -> Result<Json<RunView>, Problem> {
    if let Some(Wait(wait)) = query.wait
        && let Some(Ok(Some(ended))) = api.waiting(wait, api.app.runner.wait(path.run)).await
    {
        return Ok(Json(view(&api, &ended).await));
    }
    Ok(Json(view(&api, &find(&api, path.run)?).await))
}

async fn view(api: &Api, run: &Run) -> RunView {
    let going = if run.ended_at.is_none() { api.app.runner.going(run.id) } else { None };
    RunView::of(run, going)
}

/// What went on in a run, oldest first. Written when the run ends.
#[utoipa::path(get, path = "/v1/runs/{run}/log", operation_id = "get_run_log", params(RunPath),
    responses((status = 200, body = Page<LogLineView>), (status = 404, description = "No such run")))]
pub async fn log(
    State(api): State<Shared>,
    Path(path): Path<RunPath>,
    _: Query<Nothing>,
) -> Result<Json<Page<LogLineView>>, Problem> {
    let run = find(&api, path.run)?;
    Ok(Json(Page::whole(run.log.iter().map(LogLineView::from).collect())))
}

/// Asks a run to end early. What it has begun to commit, it finishes.
#[utoipa::path(post, path = "/v1/runs/{run}/cancel", operation_id = "cancel_run", params(RunPath),
    responses(
        (status = 202, body = RunView, description = "It was asked to"),
        (status = 404, description = "No such run"),
        (status = 409, description = "It has ended"),
    ))]
pub async fn cancel(
    State(api): State<Shared>,
    Extension(caller): Extension<Caller>,
    Path(path): Path<RunPath>,
    _: Query<Nothing>,
    _: EmptyBody,
) -> Result<(StatusCode, Json<RunView>), Problem> {
    let run = find(&api, path.run)?;
    // For a moment after its end is stored, a run is still among those that go on.
    if run.ended_at.is_some() || !api.app.runner.cancel(run.id).await {
        return Err(Problem::conflict(format!("run {} has ended", run.id)));
    }
    let audit = vec![api.audit(caller, AuditAction::RunCancelled, run.id, String::new())];
    let set = ChangeSet { audit, ..ChangeSet::default() };
    // A full disk must not keep anybody from ending a run.
    if let Err(error) = api.app.store.commit_async(set).await {
        api.app.observer.store_failed("write the audit log", &error.to_string());
    }
    Ok((StatusCode::ACCEPTED, Json(view(&api, &run).await)))
}
