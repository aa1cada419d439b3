//! What a run changed, or would change: its journal, entry by entry.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use super::runs::{RunPath, find};
use crate::http::api::{Api, Shared};
use crate::http::extract::{Path, Query};
use crate::http::paging::{Cursor, Limit, Page};
use crate::http::problem::Problem;
use crate::http::view::{ChangeAction, ChangeView};
use crate::journal::{JournalError, JournalReader, journal_path};
use crate::model::Run;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ChangesQuery {
    /// Only entries of this kind; without it, all but `touch`.
    #[param(inline)]
    action: Option<ChangeAction>,
    /// The `next_cursor` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<Cursor>,
    /// Items a page.
    #[serde(default)]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000, default = 100)]
    limit: Limit,
}

impl ChangesQuery {
    fn picks(&self, action: ChangeAction) -> bool {
        self.action.map_or(action != ChangeAction::Touch, |wanted| action == wanted)
    }
}

/// Lists what a run changed, or would have changed, in the order of its plan.
#[utoipa::path(get, path = "/v1/runs/{run}/changes", operation_id = "list_run_changes", params(RunPath, ChangesQuery),
    responses(
        (status = 200, body = Page<ChangeView>),
        (status = 404, description = "No such run, or it has no plan: not yet, never, or no longer"),
    ))]
pub async fn list(
    State(api): State<Shared>,
    Path(path): Path<RunPath>,
    Query(query): Query<ChangesQuery>,
) -> Result<Json<Page<ChangeView>>, Problem> {
    let after = query.cursor.as_ref().map(|cursor| cursor.read("change", |key| key.parse().ok())).transpose()?;
    let page = api.blocking(move |api| {
        let run = find(api, path.run)?;
        read(api, &run, after.unwrap_or(0), &query).map_err(|error| journal_problem(api, &run, &error))
    });
    Ok(Json(page.await?))
}

fn read(api: &Api, run: &Run, after: u64, query: &ChangesQuery) -> Result<Page<ChangeView>, JournalError> {
    let journal = JournalReader::open(&journal_path(&api.app.store.runs_folder(), run.id))?;
    let mut found = Vec::new();
    for (number, entry) in (1..).zip(journal) {
        let entry = entry?;
        if number > after && query.picks(ChangeAction::of(&entry)) {
            found.push(ChangeView::of(number, entry, &api.app.runner));
            if found.len() == query.limit.and_one() {
                break;
            }
        }
    }
    Ok(Page::cut(found, query.limit, |change| Cursor::after("change", change.entry)))
}

fn journal_problem(api: &Api, run: &Run, error: &JournalError) -> Problem {
    if !error.is_missing() {
        return api.journal_failed(error);
    }
    let id = run.id;
    match (run.ended_at, run.planned) {
        (None, _) => Problem::not_found(format!("run {id} has no plan yet")).hint("ask again when it has ended"),
        (Some(_), None) => Problem::not_found(format!("run {id} ended before it had a plan")),
        (Some(_), Some(_)) => {
            let days = api.app.config.store.journal_days;
            Problem::not_found(format!("the plan of run {id} is no longer kept"))
                .hint(format!("plans are kept for {days} days (store.journal_days)"))
        }
    }
}
