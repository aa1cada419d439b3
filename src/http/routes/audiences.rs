//! Audiences: parts of the community by what people are, for messages to them.

use std::io;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream::unfold;
use serde::Deserialize;
use utoipa::ToSchema;

use super::attendees::AttendeeState;
use crate::http::answer::lines;
use crate::http::api::{Api, Shared};
use crate::http::extract::{Body, Nothing, Query};
use crate::http::problem::{Kind, Problem};
use crate::http::shapes::{AudienceLine, Name};
use crate::http::view::{AudienceMemberView, AudienceSizeView, GroupText, InvitedView};
use crate::limits::{AUDIENCE_CONDITIONS_MAX, AUDIENCE_PEOPLE_PER_PIECE};
use crate::model::{Audience, Condition, EventName, Folded, Place, UserNo};

/// Whoever meets all of `all`, one of `any` where it has any, and none of `none`: at most 100 conditions, and at least
/// one.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AudienceQuery {
    #[serde(default)]
    all: Vec<ConditionBody>,
    #[serde(default)]
    any: Vec<ConditionBody>,
    #[serde(default)]
    none: Vec<ConditionBody>,
}

/// One of: `group`, with `event` as far as that is concerned; `event`, with `state`, `registration_type`, `invitation` and
/// `access` of the place there; `country`; `account`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AudienceCondition)]
pub struct ConditionBody {
    /// Any spelling of its name.
    #[schema(value_type = Option<String>)]
    group: Option<GroupText>,
    #[schema(value_type = Option<Name>, inline)]
    event: Option<EventName>,
    /// Attendees, those who no longer are, or both; `active` if absent.
    #[schema(inline)]
    state: Option<AttendeeState>,
    /// In any case of letters.
    registration_type: Option<String>,
    /// How far the invitation to the event came.
    #[schema(inline)]
    invitation: Option<InvitedView>,
    /// Whether the app said that they opened the event.
    access: Option<bool>,
    /// As the profile has it, in any case of letters.
    country: Option<String>,
    /// Whether the app said that they have an account.
    account: Option<bool>,
}

impl AudienceQuery {
    fn read(self, api: &Api) -> Result<Audience, Problem> {
        let part = |name: &str, conditions: Vec<ConditionBody>| {
            let read = |(n, body): (usize, ConditionBody)| body.read(api, &format!("{name}[{n}]"));
            conditions.into_iter().enumerate().map(read).collect::<Result<Vec<_>, _>>()
        };
        let audience =
            Audience { all: part("all", self.all)?, any: part("any", self.any)?, none: part("none", self.none)? };
        if audience.is_empty() || audience.len() > AUDIENCE_CONDITIONS_MAX {
            let detail = format!("1 to {AUDIENCE_CONDITIONS_MAX} conditions in all, any and none together");
            return Err(Problem::at(Kind::Invalid, "all", detail));
        }
        Ok(audience)
    }
}

impl ConditionBody {
    fn read(self, api: &Api, at: &str) -> Result<Condition, Problem> {
        let wrong = |field: &str, detail: &str| Problem::at(Kind::Invalid, format!("{at}{field}"), detail);
        if let Some(event) = self.event.as_ref().filter(|event| api.app.runner.event(event).is_none()) {
            return Err(wrong(".event", &format!("there is no event '{event}'")));
        }
        let folded = |field: &str, text: String| {
            let folded = Folded::of(&text);
            if folded.is_empty() { Err(wrong(field, "must not be blank")) } else { Ok(folded) }
        };
        let Self { group, event, state, registration_type, invitation, access, country, account } = self;
        let of_place = state.is_some() || registration_type.is_some() || invitation.is_some() || access.is_some();
        match (group, event, country, account) {
            (Some(GroupText(group)), event, None, None) if !of_place => Ok(Condition::Group { group, event }),
            (None, Some(event), None, None) => Ok(Condition::Place(Place {
                event,
                active: state.unwrap_or_default().active(),
                invitation: invitation.map(Into::into),
                accessed: access,
                registration_type: registration_type.map(|text| folded(".registration_type", text)).transpose()?,
            })),
            (None, None, Some(country), None) if !of_place => folded(".country", country).map(Condition::Country),
            (None, None, None, Some(account)) if !of_place => Ok(Condition::Account(account)),
            _ => {
                let detail = "one of: group, perhaps with event; event, perhaps with state, registration_type, \
                              invitation and access; country; account";
                Err(wrong("", detail))
            }
        }
    }
}

/// How many people are in an audience.
#[utoipa::path(post, path = "/v1/audiences/size", operation_id = "size_audience", request_body = AudienceQuery,
    responses(
        (status = 200, body = AudienceSizeView),
        (status = 422, description = "No condition, one that asks for no one thing, or an event that there is not"),
    ))]
pub async fn size(
    State(api): State<Shared>,
    _: Query<Nothing>,
    Body(query): Body<AudienceQuery>,
) -> Result<Json<AudienceSizeView>, Problem> {
    let audience = query.read(&api)?;
    let count = move |api: &Api| api.app.store.count(&audience).map_err(api.store_failed("read people"));
    Ok(Json(AudienceSizeView { people: api.blocking(count).await? }))
}

/// Everybody in an audience, as lines of JSON (NDJSON) with the ids and emails of users, as fast as they are taken.
/// Whoever comes or goes meanwhile may be in it or not. An answer that breaks off is not whole: it ends without its last
/// chunk (RFC 9112 §7.1).
#[utoipa::path(post, path = "/v1/audiences", operation_id = "list_audience", request_body = AudienceQuery,
    responses(
        (status = 200, body = AudienceLine, content_type = "application/x-ndjson", description = "One line a person"),
        (status = 422, description = "No condition, one that asks for no one thing, or an event that there is not"),
    ))]
pub async fn list(
    State(api): State<Shared>,
    _: Query<Nothing>,
    Body(query): Body<AudienceQuery>,
) -> Result<Response, Problem> {
    let audience = Arc::new(query.read(&api)?);
    // Nothing is held between two pieces but this, so that a reader who stalls keeps nobody waiting.
    let pieces = unfold(Some(None), move |stage: Option<Option<UserNo>>| {
        let (api, audience) = (Arc::clone(&api), Arc::clone(&audience));
        async move {
            let after = stage?;
            match api.blocking(move |api| piece(api, &audience, after)).await {
                Ok((lines, next)) => Some((Ok(lines), next.map(Some))),
                Err(_) => Some((Err(io::Error::other("the store failed")), None)),
            }
        }
    });
    Ok(lines(pieces))
}

/// The lines of the people after one, and where to go on.
fn piece(api: &Api, audience: &Audience, after: Option<UserNo>) -> Result<(Bytes, Option<UserNo>), Problem> {
    let most = AUDIENCE_PEOPLE_PER_PIECE;
    let found = api.app.store.find(audience, after, most, most).map_err(api.store_failed("read people"))?;
    let mut lines = Vec::new();
    for (_, person) in &found.people {
        let line = AudienceMemberView { user: person.id, email: person.email.as_str() };
        let written = serde_json::to_writer(&mut lines, &line);
        written.map_err(|_| Problem::new(Kind::Internal, "the answer cannot be written"))?;
        lines.push(b'\n');
    }
    Ok((lines.into(), found.next))
}
