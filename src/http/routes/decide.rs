//! Deciding on runs that the guard holds, and undoing those that went through.

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::Deserialize;
use utoipa::IntoParams;

use super::runs::{RunPath, find};
use super::sync::start_problem;
use crate::http::api::{Api, Shared};
use crate::http::auth::Caller;
use crate::http::extract::{EmptyBody, Flag, Nothing, Path, Query};
use crate::http::problem::{Kind, Problem};
use crate::http::view::RunView;
use crate::model::{ErrorReason, Run};
use crate::sync::{DecideError, UndoError};

/// Approves a held run: what it planned is committed, and nothing else. People who have changed meanwhile stay as they are
/// where the plan does not touch them; where it does, nothing is written and the sync has to be planned anew.
#[utoipa::path(post, path = "/v1/runs/{run}/approve", operation_id = "approve_run", params(RunPath),
    responses(
        (status = 202, body = RunView, description = "It is approved, and is being committed"),
        (status = 404, description = "No such run"),
        (status = 409, description = "It is not held, a run of its feed goes on, or its people have changed"),
        (status = 507, description = "The disk is full"),
    ))]
pub async fn approve(
    State(api): State<Shared>,
    Extension(caller): Extension<Caller>,
    Path(path): Path<RunPath>,
    _: Query<Nothing>,
    _: EmptyBody,
) -> Result<(StatusCode, Json<RunView>), Problem> {
    api.app.runner.approve(path.run, api.actor(caller)).await.map_err(|error| problem(&api, error))?;
    let progress = api.app.runner.going(path.run);
    let run = find(&api, path.run)?;
    let progress = progress.filter(|_| run.ended_at.is_none());
    Ok((StatusCode::ACCEPTED, Json(RunView::of(&run, progress))))
}

/// Rejects a held run: its plan is discarded, and nobody is changed.
#[utoipa::path(post, path = "/v1/runs/{run}/reject", operation_id = "reject_run", params(RunPath),
    responses(
        (status = 200, body = RunView, description = "It is rejected"),
        (status = 404, description = "No such run"),
        (status = 409, description = "It is not held, or a run of its feed goes on"),
        (status = 507, description = "The disk is full"),
    ))]
pub async fn reject(
    State(api): State<Shared>,
    Extension(caller): Extension<Caller>,
    Path(path): Path<RunPath>,
    _: Query<Nothing>,
    _: EmptyBody,
) -> Result<Json<RunView>, Problem> {
    let run = api.app.runner.reject(path.run, api.actor(caller)).await.map_err(|error| problem(&api, error))?;
    Ok(Json(RunView::of(&run, None)))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct UndoQuery {
    /// Plan and write down, change nobody.
    #[serde(default)]
    #[param(value_type = Option<bool>)]
    dry_run: Flag,
}

/// Undoes a run: starts one whose plan is the other's changes backwards. Nothing of the source is read. Who is no longer as
/// the run left them is changed as far as both fit, else stays and is listed among the changes as skipped. Whom the run
/// deleted permanently stays deleted. The next sync reads the source anew, and brings what it says.
#[utoipa::path(post, path = "/v1/runs/{run}/undo", operation_id = "undo_run", params(RunPath, UndoQuery),
    responses(
        (status = 202, body = RunView, description = "The run that undoes it goes on"),
        (status = 404, description = "No such run"),
        (status = 409, description = "It goes on, changed nobody or was undone, its changes are no longer known, or a run of its feed goes on"),
        (status = 507, description = "The disk is full"),
    ))]
pub async fn undo(
    State(api): State<Shared>,
    Extension(caller): Extension<Caller>,
    Path(path): Path<RunPath>,
    Query(query): Query<UndoQuery>,
    _: EmptyBody,
) -> Result<(StatusCode, Json<RunView>), Problem> {
    let undo = api.app.runner.undo(path.run, query.dry_run.0, api.actor(caller)).await;
    let undo = undo.map_err(|error| undo_problem(&api, error))?;
    let progress = api.app.runner.going(undo);
    let run = find(&api, undo)?;
    let progress = progress.filter(|_| run.ended_at.is_none());
    Ok((StatusCode::ACCEPTED, Json(RunView::of(&run, progress))))
}

fn undo_problem(api: &Api, error: UndoError) -> Problem {
    let said = error.to_string();
    match error {
        UndoError::UnknownRun(_) => Problem::not_found(said),
        UndoError::GoesOn(_) | UndoError::Busy(_) => Problem::conflict(said).hint("wait for it, or cancel it"),
        UndoError::ChangedNobody { .. } => Problem::conflict(said),
        UndoError::Undone { by, .. } => {
            Problem::conflict(said).hint(format!("to bring back what it did, undo run {by}"))
        }
        UndoError::Expired { .. } => Problem::conflict(said).hint("mend the source, and sync"),
        UndoError::Feed(error) => start_problem(api, error),
        UndoError::Store(error) => api.store_failed("write that a run begins")(error),
        UndoError::Stopping => Problem::stopping(),
    }
}

fn problem(api: &Api, error: DecideError) -> Problem {
    match error {
        DecideError::UnknownRun(run) => Problem::not_found(format!("there is no run {run}")),
        DecideError::NotHeld(run) => not_held(&run),
        DecideError::Busy(run) => Problem::conflict(format!("run {run} of the same feed goes on"))
            .hint("wait for it, or cancel it; if it gets as far as a plan, that takes the place of the held one"),
        DecideError::Outdated(run, conflicts) => {
            let (event, source) = (&run.feed.event, &run.feed.source);
            Problem::conflict(format!("run {} was not approved: {conflicts}; nothing was written", run.id))
                .hint(format!("plan anew: rollcall sync {event} --source {source}"))
        }
        DecideError::Feed(error) => start_problem(api, error),
        DecideError::Store(error) => api.store_failed("write a decision on a run")(error),
        DecideError::Failed(error) => {
            api.app.observer.store_failed("write a decision on a run", &error.message);
            let kind = if error.reason == ErrorReason::DiskFull { Kind::DiskFull } else { Kind::Internal };
            Problem::new(kind, "the run's plan could not be made ready").hint(error.hint)
        }
        DecideError::Stopping => Problem::stopping(),
    }
}

fn not_held(run: &Run) -> Problem {
    let became = match (run.outcome, run.decision.as_ref()) {
        (None, Some(decision)) => format!("run {} was approved by {} and goes on", run.id, decision.by),
        (None, None) => format!("run {} goes on", run.id),
        (Some(outcome), Some(decision)) => {
            format!("run {} is not held: {} decided on it, and it is {}", run.id, decision.by, outcome.as_str())
        }
        (Some(outcome), None) => format!("run {} is not held: it is {}", run.id, outcome.as_str()),
    };
    Problem::conflict(became)
}
