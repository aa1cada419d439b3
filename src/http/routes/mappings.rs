//! How a source is mapped in an event: what the source says, what the event says otherwise, and what it may not.

use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::events::{invalid, refuse_provisioned, write};
use super::preview::refuse_unusable;
use crate::config::validate_event;
use crate::http::api::{Api, Shared};
use crate::http::auth::Caller;
use crate::http::extract::{Body, Flag, Nothing, Path, Query, name};
use crate::http::problem::Problem;
use crate::http::shapes::Name;
use crate::http::view::MappingView;
use crate::mapping::Overrides;
use crate::model::{Event, EventName, SourceName};
use crate::sync::SourceEntry;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct MappingPath {
    /// 1 to 64 characters of `a-z`, `0-9`, `-` and `_`.
    #[param(value_type = Name, inline)]
    #[serde(deserialize_with = "name")]
    pub event: EventName,
    /// One of the event's sources.
    #[param(value_type = Name, inline)]
    #[serde(deserialize_with = "name")]
    pub source: SourceName,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct MappingQuery {
    /// Say what would be, save nothing.
    #[serde(default)]
    #[param(value_type = Option<bool>)]
    dry_run: Flag,
}

/// How an event is to map a source.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MappingBody {
    /// Expressions by what they are for; an empty one: it is not mapped. What is not named is as the source says.
    #[schema(value_type = BTreeMap<String, String>)]
    mapping: Overrides,
}

/// How an event maps a source.
#[utoipa::path(get, path = "/v1/events/{event}/mapping/{source}", operation_id = "get_mapping", params(MappingPath),
    responses(
        (status = 200, body = MappingView),
        (status = 404, description = "No such event, or no feed of this source"),
    ))]
pub async fn get(
    State(api): State<Shared>,
    Path(path): Path<MappingPath>,
    _: Query<Nothing>,
) -> Result<Json<MappingView>, Problem> {
    let (event, entry) = feed(&api, &path)?;
    Ok(Json(view(&api, &event, &path.source, &entry)))
}

/// Sets how an event maps a source. Everybody is planned anew at the next sync; a preview and a dry run show that beforehand.
#[utoipa::path(put, path = "/v1/events/{event}/mapping/{source}", operation_id = "put_mapping",
    params(MappingPath, MappingQuery),
    request_body = MappingBody,
    responses(
        (status = 200, body = MappingView, description = "How it is mapped now, or would be"),
        (status = 404, description = "No such event, or no feed of this source"),
        (status = 409, description = "The configuration file declares the event"),
        (status = 422, description = "The mapping is not valid, or the source locks what it would change; `errors` \
            says which"),
        (status = 507, description = "The disk is full"),
    ))]
pub async fn put(
    State(api): State<Shared>,
    Extension(caller): Extension<Caller>,
    Path(path): Path<MappingPath>,
    Query(query): Query<MappingQuery>,
    Body(body): Body<MappingBody>,
) -> Result<Json<MappingView>, Problem> {
    let (event, entry) = feed(&api, &path)?;
    let overrides = entry.source.spec().mapping.overrides_to(&body.mapping);
    refuse_unusable(&entry, &overrides)?;
    let keys: Vec<_> = overrides.keys().map(ToString::to_string).collect();
    let mut changed = Event::clone(&event);
    if let Some(feed) = changed.feeds.iter_mut().find(|feed| feed.source == path.source) {
        feed.mapping = overrides;
    }
    if query.dry_run.0 {
        return Ok(Json(view(&api, &changed, &path.source, &entry)));
    }
    refuse_provisioned(&api, &path.event)?;
    let (event, _) = validate_event(changed, &api.app.config.sources).map_err(|faults| invalid(&faults))?;
    let said = if keys.is_empty() { "its own".to_owned() } else { keys.join(", ") };
    write(&api, caller, &event, format!("mapping of {}: {said}", path.source)).await?;
    Ok(Json(view(&api, &event, &path.source, &entry)))
}

/// The event, and its source as it is without what the event says.
fn feed(api: &Api, path: &MappingPath) -> Result<(Arc<Event>, SourceEntry), Problem> {
    let event = api.event(&path.event)?;
    let entry = event.feed(&path.source).and_then(|_| api.app.runner.sources().get(&path.source));
    let none = || Problem::not_found(format!("event '{}' has no feed of source '{}'", path.event, path.source));
    Ok((event, entry.ok_or_else(none)?.clone()))
}

fn view(api: &Api, event: &Event, source: &SourceName, entry: &SourceEntry) -> MappingView {
    let overrides = event.feed(source).map(|feed| feed.mapping.clone()).unwrap_or_default();
    let provisioned = api.app.runner.is_provisioned(&event.name);
    MappingView::of(&event.name, source, provisioned, &entry.source.spec().mapping, &overrides)
}
