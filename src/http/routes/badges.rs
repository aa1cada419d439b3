//! Are the badges of an event's attendees where their URLs say?

use std::io;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream::unfold;

use super::events::EventPath;
use crate::http::answer::lines;
use crate::http::api::{Api, Shared};
use crate::http::extract::{Nothing, Path, Query};
use crate::http::problem::{Kind, Problem};
use crate::http::view::BadgeView;
use crate::model::BadgeLook;

/// Asks the URL of every active attendee's badge whether there is one, by `HEAD`, within the budget of the source that
/// brought it, and tells what was found as lines of JSON (NDJSON). Nothing of it is kept. An answer that breaks off is not whole.
#[utoipa::path(post, path = "/v1/events/{event}/badges/check", operation_id = "check_badges",
    params(EventPath),
    responses(
        (status = 200, body = BadgeView, content_type = "application/x-ndjson", description = "One line a badge"),
        (status = 404, description = "No such event"),
    ))]
pub async fn check(
    State(api): State<Shared>,
    Path(EventPath { event }): Path<EventPath>,
    _: Query<Nothing>,
) -> Result<Response, Problem> {
    api.event(&event)?;
    // It reads the CA certificates.
    let begin = move |api: &Api| {
        let looks = api.app.runner.look_at_badges(&event);
        looks.map_err(|error| Problem::new(Kind::Internal, error.to_string()))
    };
    let looks = api.blocking(begin).await?;
    let pieces = unfold(Some(looks), move |looks| {
        let api = Arc::clone(&api);
        async move {
            let mut looks = looks?;
            match looks.next().await? {
                Ok(found) => Some((Ok(written(&found)), Some(looks))),
                Err(error) => {
                    api.app.observer.store_failed("read people", &error.to_string());
                    Some((Err(io::Error::other("the store failed")), None))
                }
            }
        }
    });
    Ok(lines(pieces))
}

fn written(found: &[BadgeLook]) -> Bytes {
    let mut lines = Vec::new();
    for look in found {
        // Ids, words and numbers can be written, and memory takes them.
        let _ = serde_json::to_writer(&mut lines, &BadgeView::from(look));
        lines.push(b'\n');
    }
    lines.into()
}
