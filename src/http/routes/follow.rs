//! A run's progress as server-sent events (WHATWG HTML §9.2).

use std::convert::Infallible;

use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::unfold;
use serde::Serialize;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::sleep;

use super::runs::{RunPath, find};
use crate::http::api::Shared;
use crate::http::extract::{Nothing, Path, Query};
use crate::http::problem::{Kind, Problem};
use crate::http::shapes::RunEvent;
use crate::http::view::{ProgressView, RunView};
use crate::limits::{API_EVENTS_EVERY, API_EVENTS_KEEP_ALIVE};
use crate::model::{Run, RunId};
use crate::sync::Active;

/// A run's progress while it goes on, as server-sent events: `progress`, with the run's progress, at once and whenever it
/// changes, at most four times a second; then `run`, with the run as it ended, and the stream's end. A run that has ended
/// already is one `run`. Where the server stops first, that `run` is still open.
#[utoipa::path(get, path = "/v1/runs/{run}/events", operation_id = "follow_run", params(RunPath),
    responses(
        (status = 200, body = RunEvent, content_type = "text/event-stream", description = "The events"),
        (status = 404, description = "No such run"),
        (status = 503, description = "Too many requests wait for runs already, or the server is stopping"),
    ))]
pub async fn follow(
    State(api): State<Shared>,
    Path(path): Path<RunPath>,
    _: Query<Nothing>,
) -> Result<Response, Problem> {
    let following = api.app.runner.follow(path.run).await;
    let run = find(&api, path.run)?;
    let place = api.place_to_wait().ok_or_else(too_many)?;
    let stage = match following {
        Some(following) => Stage::Begin(following),
        None => Stage::Ended(Box::new(run)),
    };
    let tale = Tale { api, run: path.run, _place: place };
    let events = unfold((stage, tale), |(stage, tale)| async move {
        let (event, next) = tale.next(stage).await?;
        Some((Ok::<_, Infallible>(event), (next, tale)))
    });
    // Nothing is sent in the long waits of a slow source, and what stands between would take the connection for dead.
    let events = Sse::new(events).keep_alive(KeepAlive::new().interval(API_EVENTS_KEEP_ALIVE));
    Ok(([(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))], events).into_response())
}

fn too_many() -> Problem {
    Problem::new(Kind::Busy, "too many requests wait for runs already").hint("ask GET /v1/runs/{run} now and then")
}

/// What is told of one run to one client.
struct Tale {
    api: Shared,
    run: RunId,
    /// Given back when the client goes away.
    _place: OwnedSemaphorePermit,
}

enum Stage {
    /// Nothing was told yet.
    Begin(Active),
    Going(Active),
    Ended(Box<Run>),
    Told,
}

impl Tale {
    /// The next event, once there is one; `None` after the last.
    async fn next(&self, stage: Stage) -> Option<(Event, Stage)> {
        match stage {
            Stage::Begin(following) => Some(progress(following)),
            Stage::Going(following) => self.wait(following).await,
            Stage::Ended(run) => Some((event("run", &RunView::of(&run, None)), Stage::Told)),
            Stage::Told => None,
        }
    }

    async fn wait(&self, mut following: Active) -> Option<(Event, Stage)> {
        let changed = async {
            sleep(API_EVENTS_EVERY).await;
            following.progress.changed().await
        };
        let ended = tokio::select! {
            biased;
            ended = following.ended.wait_for(Option::is_some) => Some(ended.ok().and_then(|run| run.clone())),
            Ok(()) = changed => None,
        };
        let Some(ended) = ended else { return Some(progress(following)) };
        // A run that left no word is looked up.
        let ended = ended.or_else(|| self.api.app.runner.run(self.run).ok().flatten())?;
        Some((event("run", &RunView::of(&ended, None)), Stage::Told))
    }
}

fn progress(mut following: Active) -> (Event, Stage) {
    let progress = *following.progress.borrow_and_update();
    (event("progress", &ProgressView::from(progress)), Stage::Going(following))
}

fn event(name: &str, told: &impl Serialize) -> Event {
    let event = Event::default().event(name);
    // Plain structures with string keys always serialise, and JSON has no line ends of its own.
    event.json_data(told).unwrap_or_default()
}
