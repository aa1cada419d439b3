//! The sources and how they fare.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::http::api::{Api, Shared};
use crate::http::extract::{Nothing, Path, Query, name};
use crate::http::paging::{Cursor, ListQuery, Page};
use crate::http::problem::Problem;
use crate::http::shapes::Name;
use crate::http::view::{BudgetWindowView, PauseView, SourceErrorView, SourceFeedView, SourceView};
use crate::model::{Event, FeedId, RunId, SourceName};
use crate::sync::SourceEntry;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct SourcePath {
    /// 1 to 64 characters of `a-z`, `0-9`, `-` and `_`.
    #[param(value_type = Name, inline)]
    #[serde(deserialize_with = "name")]
    pub source: SourceName,
}

/// Lists the sources by name.
#[utoipa::path(get, path = "/v1/sources", operation_id = "list_sources", params(ListQuery),
    responses((status = 200, body = Page<SourceView>)))]
pub async fn list(
    State(api): State<Shared>,
    Query(query): Query<ListQuery>,
) -> Result<Json<Page<SourceView>>, Problem> {
    let after = query.after("source", |name| SourceName::parse(name).ok())?;
    let events = api.app.runner.events();
    let sources = api.app.runner.sources().iter();
    let sources = sources.filter(|(name, _)| after.as_ref().is_none_or(|after| *name > after));
    let views = sources.take(query.limit.and_one()).map(|(name, entry)| view(&api, name, entry, &events));
    let views = views.collect::<Result<Vec<_>, _>>()?;
    Ok(Json(Page::cut(views, query.limit, |source| Cursor::after("source", &source.name))))
}

/// One source.
#[utoipa::path(get, path = "/v1/sources/{source}", operation_id = "get_source", params(SourcePath),
    responses((status = 200, body = SourceView), (status = 404, description = "No such source")))]
pub async fn get(
    State(api): State<Shared>,
    Path(SourcePath { source }): Path<SourcePath>,
    _: Query<Nothing>,
) -> Result<Json<SourceView>, Problem> {
    let entry = api.app.runner.sources().get(&source);
    let entry = entry.ok_or_else(|| Problem::not_found(format!("there is no source '{source}'")))?;
    Ok(Json(view(&api, &source, entry, &api.app.runner.events())?))
}

fn view(api: &Api, name: &SourceName, entry: &SourceEntry, events: &[Arc<Event>]) -> Result<SourceView, Problem> {
    let mut feeds = Vec::new();
    let mut last_runs = Vec::new();
    for (event, feed) in events.iter().filter_map(|event| Some((event, event.feed(name)?))) {
        let state = api.app.store.feed_state(&FeedId { event: event.name.clone(), source: name.clone() });
        let next_run = api.app.runner.timing(event, feed).next.at();
        feeds.push(SourceFeedView::of(event.name.as_str(), &state, next_run));
        last_runs.extend(state.last_run);
    }
    let allowance = entry.source.allowance();
    let windows = allowance.windows.iter();
    let budget = windows.map(|window| BudgetWindowView::of(&window.window, window.left, window.opens_at)).collect();
    let paused = allowance.paused.map(|(until, why)| PauseView::of(until, why.as_str()));
    let expires_at = entry.source.credential_expires_at();
    let (last_hook, last_error) = (api.app.hooks.last(name), last_error(api, last_runs)?);
    Ok(SourceView::of(entry.source.spec(), expires_at, budget, paused, last_hook, feeds, last_error))
}

/// The newest failure among the last runs of the source's feeds.
fn last_error(api: &Api, mut runs: Vec<RunId>) -> Result<Option<SourceErrorView>, Problem> {
    runs.sort_unstable_by(|a, b| b.cmp(a));
    for id in runs {
        let run = api.app.runner.run(id).map_err(api.store_failed("read a run"))?;
        if let Some((run, error)) = run.as_ref().and_then(|run| Some((run, run.error.as_ref()?))) {
            return Ok(Some(SourceErrorView::of(run, error)));
        }
    }
    Ok(None)
}
