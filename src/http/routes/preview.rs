//! The first page of a source as it is, and what the mapping makes of it.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use tokio::time::timeout;
use utoipa::IntoParams;

use super::events::EventPath;
use super::sync::feeds;
use crate::http::api::Shared;
use crate::http::extract::{EmptyBody, Path, Query};
use crate::http::problem::{Kind, Problem};
use crate::http::shapes::Name;
use crate::http::view::{PreviewRecordView, PreviewView};
use crate::limits::{API_WAIT_MAX, PREVIEW_RECORDS_MAX};
use crate::model::{RunError, SourceName};

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PreviewQuery {
    /// One of the event's sources; needed if there are several.
    #[param(value_type = Option<Name>, inline)]
    source: Option<SourceName>,
}

/// Reads the first page of a feed's source within its allowance. Changes nobody and enters no history.
#[utoipa::path(post, path = "/v1/events/{event}/preview", operation_id = "preview_event",
    params(EventPath, PreviewQuery),
    responses(
        (status = 200, body = PreviewView),
        (status = 400, description = "The event has several sources and none was named"),
        (status = 404, description = "No such event, or no feed of this source"),
        (status = 409, description = "The event has no feed, or its source is no longer configured"),
        (status = 502, description = "The source failed; `reason` and `hint` say more"),
        (status = 504, description = "The source, or the wait for its allowance, takes too long"),
    ))]
pub async fn preview(
    State(api): State<Shared>,
    Path(path): Path<EventPath>,
    Query(query): Query<PreviewQuery>,
    _: EmptyBody,
) -> Result<Json<PreviewView>, Problem> {
    let mut feeds = feeds(&api, &path.event, query.source.as_ref())?;
    let Some(feed) = feeds.pop().filter(|_| feeds.is_empty()) else {
        let detail = "the event has several sources: name one";
        return Err(Problem::at(Kind::BadRequest, "source", detail));
    };
    let reading = timeout(API_WAIT_MAX, feed.entry.preview(&feed.params)).await;
    let preview = reading.map_err(|_| too_slow())?.map_err(failed)?;
    let page_records = preview.records.len();
    let shown = preview.records.into_iter().take(PREVIEW_RECORDS_MAX);
    Ok(Json(PreviewView {
        event: feed.id.event.to_string(),
        source: feed.id.source.to_string(),
        page_records,
        records: shown.map(PreviewRecordView::of).collect(),
    }))
}

fn failed(RunError { reason, message, hint }: RunError) -> Problem {
    Problem::new(Kind::SourceFailed, message).reason(reason.as_str()).hint(hint)
}

fn too_slow() -> Problem {
    Problem::new(Kind::SourceTimeout, format!("no page came within {} s", API_WAIT_MAX.as_secs()))
        .hint("look at the source's budget and time-outs")
}
