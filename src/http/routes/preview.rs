//! The first page of a source as it is, what the mapping makes of it, and what it would change.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::time::timeout;
use utoipa::{IntoParams, ToSchema};

use super::events::{EventPath, invalid};
use super::sync::{feeds, start_problem};
use crate::config::read_unsaved;
use crate::http::api::{Api, Shared};
use crate::http::extract::{OptionalBody, Path, Query};
use crate::http::problem::{FieldError, Kind, Problem};
use crate::http::shapes::Name;
use crate::http::view::PreviewView;
use crate::limits::API_WAIT_MAX;
use crate::mapping::{Overrides, Unusable};
use crate::model::{EventName, MappingKey, SourceName};
use crate::sync::{Feed, SourceEntry};

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PreviewQuery {
    /// One of the event's sources; needed if there are several. With settings in the body it may be any name.
    #[param(value_type = Option<Name>, inline)]
    source: Option<SourceName>,
}

/// Settings to try in the place of the saved ones. They are not kept.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PreviewSettings {
    /// The source's settings, as the table `[source.<name>]` of the configuration file. Secrets are written out: an
    /// `env`, `file` or `credential` of the server cannot be named. `{"kind": "saved"}` for `auth` takes the saved
    /// credential, if the origin of `base_url` is the saved one.
    #[schema(value_type = Option<Object>)]
    source: Option<Map<String, Value>>,
    /// The feed's params.
    params: Option<BTreeMap<String, String>>,
    /// What the event would say of the source's mapping otherwise.
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    mapping: Option<Overrides>,
}

/// Reads the first page of a feed's source within its allowance, and plans it. Of several lists it is the first one's.
/// Changes nobody and enters no history.
#[utoipa::path(post, path = "/v1/events/{event}/preview", operation_id = "preview_event",
    params(EventPath, PreviewQuery),
    request_body = Option<PreviewSettings>,
    responses(
        (status = 200, body = PreviewView, description = "What was asked, what came, and what it means; `failure` \
            says what is wrong where there is no page"),
        (status = 400, description = "The event has several sources and none was named"),
        (status = 404, description = "No such event, or no feed of this source"),
        (status = 409, description = "The event has no feed, or its source is no longer configured"),
        (status = 422, description = "The settings are not valid; `errors` lists every fault"),
        (status = 504, description = "The source, or the wait for its allowance, takes too long"),
    ))]
pub async fn preview(
    State(api): State<Shared>,
    Path(path): Path<EventPath>,
    Query(query): Query<PreviewQuery>,
    OptionalBody(settings): OptionalBody<PreviewSettings>,
) -> Result<Json<PreviewView>, Problem> {
    let feed = match settings {
        PreviewSettings { source: None, params: None, mapping: None } => {
            saved(&api, &path.event, query.source.as_ref())?
        }
        settings => unsaved(&api, &path.event, query.source, settings)?,
    };
    let (id, skip_when) = (feed.id.clone(), feed.entry.mapping.spec().skip_when.clone());
    let empty_hint = feed.spec().empty_hint.clone();
    let reading = timeout(API_WAIT_MAX, api.app.runner.preview(feed)).await;
    let preview = reading.map_err(|_| too_slow())?.map_err(|error| start_problem(&api, error))?;
    Ok(Json(PreviewView::of(&id, preview, skip_when.as_ref().map(|rule| rule.source()), empty_hint.as_deref())))
}

/// The one feed that is meant.
fn saved(api: &Api, event: &EventName, source: Option<&SourceName>) -> Result<Feed, Problem> {
    let mut feeds = feeds(api, event, source)?;
    feeds.pop().filter(|_| feeds.is_empty()).ok_or_else(|| {
        let detail = "the event has several sources: name one";
        Problem::at(Kind::BadRequest, "source", detail)
    })
}

fn unsaved(
    api: &Api,
    event: &EventName,
    source: Option<SourceName>,
    settings: PreviewSettings,
) -> Result<Feed, Problem> {
    api.event(event)?;
    let name = match source {
        Some(name) => name,
        None => saved(api, event, None)?.id.source,
    };
    let entry = match settings.source {
        Some(table) => {
            let known = api.app.runner.sources().get(&name).map(|entry| entry.source.spec());
            let unsaved = read_unsaved(&name, table, known).map_err(|faults| invalid(&faults))?;
            let cannot = |error: &dyn std::fmt::Display| Problem::at(Kind::Invalid, "source", error.to_string());
            api.app.unsaved_source(unsaved).map_err(|error| cannot(&error))?
        }
        None => {
            let saved = saved(api, event, Some(&name))?;
            api.app.runner.sources().get(&name).cloned().unwrap_or(saved.entry)
        }
    };
    if let Some(mapping) = &settings.mapping {
        refuse_unusable(&entry, mapping)?;
    }
    api.app.runner.feed_with(event, entry, settings.params, settings.mapping).map_err(|error| start_problem(api, error))
}

/// # Errors
/// What the source does not let an event say of its mapping.
pub(super) fn refuse_unusable(entry: &SourceEntry, mapping: &Overrides) -> Result<(), Problem> {
    let (_, unusable) = entry.source.spec().mapping.with(mapping);
    let error =
        |(key, why): (MappingKey, Unusable)| FieldError { field: format!("mapping.{key}"), detail: why.to_string() };
    let errors: Vec<_> = unusable.into_iter().map(error).collect();
    if errors.is_empty() { Ok(()) } else { Err(Problem::of(Kind::Invalid, errors)) }
}

fn too_slow() -> Problem {
    Problem::new(Kind::SourceTimeout, format!("no page came within {} s", API_WAIT_MAX.as_secs()))
        .hint("look at the source's budget and time-outs")
}
