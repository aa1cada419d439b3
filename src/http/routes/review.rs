//! What of an event a person should look at.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use super::events::EventPath;
use super::sync::feeds;
use crate::http::api::{Api, Shared};
use crate::http::extract::{Path, Query};
use crate::http::paging::{Cursor, Limit, Page};
use crate::http::problem::Problem;
use crate::http::shapes::Name;
use crate::http::view::ReviewItemView;
use crate::model::SourceName;
use crate::sync::{Feed, ReviewError};

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ReviewQuery {
    /// Of this source only.
    #[param(value_type = Option<Name>, inline)]
    source: Option<SourceName>,
    /// The `next_cursor` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<Cursor>,
    /// Items a page.
    #[serde(default)]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000, default = 100)]
    limit: Limit,
}

/// Lists what of an event a person should look at, with what to do: records that could not be used, external ids that
/// several records bear, and emails that registrations with differing names bear. It is what the syncs found since their
/// last complete read, as far as their plans are kept; what a sync finds mended is gone from it.
#[utoipa::path(get, path = "/v1/events/{event}/review", operation_id = "list_review", params(EventPath, ReviewQuery),
    responses(
        (status = 200, body = Page<ReviewItemView>),
        (status = 404, description = "No such event, or no feed of this source"),
        (status = 409, description = "The event has no feed, or its source is no longer configured"),
    ))]
pub async fn list(
    State(api): State<Shared>,
    Path(path): Path<EventPath>,
    Query(query): Query<ReviewQuery>,
) -> Result<Json<Page<ReviewItemView>>, Problem> {
    let after = query.cursor.as_ref().map(|cursor| cursor.read("review", |key| key.parse().ok())).transpose()?;
    let found = api.blocking(move |api| {
        let feeds = feeds(api, &path.event, query.source.as_ref())?;
        page(api, &feeds, after.unwrap_or(0), query.limit)
    });
    Ok(Json(found.await?))
}

/// `after`: how many items were shown. They are found anew for each page, so one that comes or goes meanwhile shifts those
/// behind it: nothing here stays unseen for longer than until the next look.
fn page(api: &Api, feeds: &[Feed], after: usize, limit: Limit) -> Result<Page<ReviewItemView>, Problem> {
    let mut items = Vec::new();
    for feed in feeds {
        let found = api.app.runner.review(&feed.id).map_err(|error| match error {
            ReviewError::Store(error) => api.store_failed("read what there is to review")(error),
            ReviewError::Journal(error) => api.journal_failed(&error),
        })?;
        items.extend(found.into_iter().map(|item| ReviewItemView::of(&feed.id.source, item)));
    }
    let shown: Vec<_> = (1..).zip(items).skip(after).take(limit.and_one()).collect();
    Ok(Page::cut(shown, limit, |(number, _)| Cursor::after("review", number)).map(|(_, item)| item))
}
