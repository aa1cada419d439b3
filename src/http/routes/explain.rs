//! Why somebody is, or is not, in an event.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::events::EventPath;
use super::sync::{feeds, start_problem};
use crate::http::api::Shared;
use crate::http::extract::{Body, Path, Query};
use crate::http::problem::{Kind, Problem};
use crate::http::shapes::Name;
use crate::http::view::{ExplainedView, FeedExplanationView, LookView};
use crate::model::{EmailKey, ExternalId, SourceName, UserId};
use crate::sync::{ExplainError, Subject};

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ExplainQuery {
    /// In this source only.
    #[param(value_type = Option<Name>, inline)]
    source: Option<SourceName>,
}

/// Who is asked about: exactly one of these. In the body, for URLs stand in the logs of proxies.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ExplainSubject)]
pub struct Asked {
    /// In any spelling.
    email: Option<String>,
    /// The source's own id of a record.
    external_id: Option<String>,
    /// The user's id.
    #[schema(value_type = Option<String>, format = "uuid")]
    user: Option<UserId>,
}

impl Asked {
    fn subject(self) -> Result<Subject, Problem> {
        match self {
            Self { email: Some(email), external_id: None, user: None } => Ok(Subject::Email(EmailKey::of(&email))),
            Self { email: None, external_id: Some(id), user: None } => {
                let id = ExternalId::new(&id).ok_or_else(|| Problem::at(Kind::Invalid, "external_id", "is no id"))?;
                Ok(Subject::ExternalId(id))
            }
            Self { email: None, external_id: None, user: Some(user) } => Ok(Subject::User(user)),
            _ => Err(Problem::new(Kind::Invalid, "give exactly one of email, external_id and user")),
        }
    }
}

/// Explains why a person, or a record, is or is not in the event, feed by feed: was the source read, did its list have the
/// record, was it filtered out, could it be used, whose is it, what was decided, do they attend. From what is here and
/// what the runs wrote down; the source is not asked.
#[utoipa::path(post, path = "/v1/events/{event}/explain", operation_id = "explain", params(EventPath, ExplainQuery),
    request_body = Asked,
    responses(
        (status = 200, body = ExplainedView),
        (status = 404, description = "No such event, or no feed of this source"),
        (status = 409, description = "The event has no feed, or its source is no longer configured"),
        (status = 422, description = "Not exactly one of `email`, `external_id` and `user`"),
    ))]
pub async fn explain(
    State(api): State<Shared>,
    Path(path): Path<EventPath>,
    Query(query): Query<ExplainQuery>,
    Body(asked): Body<Asked>,
) -> Result<Json<ExplainedView>, Problem> {
    let subject = asked.subject()?;
    let explained = api.blocking(move |api| {
        let mut explained = Vec::new();
        for feed in feeds(api, &path.event, query.source.as_ref())? {
            let explanation = api.app.runner.explain(&feed.id, &subject).map_err(|error| match error {
                ExplainError::Store(error) => api.store_failed("read what explains a person")(error),
                ExplainError::Journal(error) => api.journal_failed(&error),
            })?;
            explained.push(FeedExplanationView::of(explanation, &api.app.runner));
        }
        Ok(ExplainedView { feeds: explained })
    });
    Ok(Json(explained.await?))
}

/// Looks for a person's records in the source's list as it is now, within its allowance, and tells what the mapping makes of
/// each and what a sync would do. Changes nobody and enters no history.
#[utoipa::path(post, path = "/v1/events/{event}/explain/live", operation_id = "explain_live",
    params(EventPath, ExplainQuery), request_body = Asked,
    responses(
        (status = 200, body = [LookView], description = "What was found; `failure` says why it is not the whole list"),
        (status = 404, description = "No such event, or no feed of this source"),
        (status = 409, description = "The event has no feed, or its source is no longer configured"),
        (status = 422, description = "Not exactly one of `email`, `external_id` and `user`"),
    ))]
pub async fn live(
    State(api): State<Shared>,
    Path(path): Path<EventPath>,
    Query(query): Query<ExplainQuery>,
    Body(asked): Body<Asked>,
) -> Result<Json<Vec<LookView>>, Problem> {
    let subject = asked.subject()?;
    let mut looks = Vec::new();
    for feed in feeds(&api, &path.event, query.source.as_ref())? {
        let (source, skip_when) = (feed.id.source.clone(), feed.entry.mapping.spec().skip_when.clone());
        let looked = api.app.runner.explain_live(feed, &subject).await;
        let (look, pages) = looked.map_err(|error| start_problem(&api, error))?;
        looks.push(LookView::of(&source, look, pages, skip_when.as_ref().map(|rule| rule.source())));
    }
    Ok(Json(looks))
}
