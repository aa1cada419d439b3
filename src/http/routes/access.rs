//! The door of an event.

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

use super::attendees::AttendeePath;
use super::events::EventPath;
use super::users::UserPath;
use crate::http::answer::Answer;
use crate::http::api::{Api, Shared};
use crate::http::auth::Caller;
use crate::http::extract::{Body, EmptyBody, Nothing, Path, Query};
use crate::http::problem::{Kind, Problem};
use crate::http::shapes::Name;
use crate::http::view::AccessView;
use crate::model::{Access, EmailKey, Page, PageName, UserId};
use crate::plan;
use crate::store::Who;
use crate::sync::Arrival;

/// Who stands at the door: by `email` or by `user`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AccessQuestion {
    /// In any spelling.
    email: Option<String>,
    /// The user's id.
    #[schema(value_type = Option<String>, format = "uuid")]
    user: Option<UserId>,
    /// The page that is to be opened; without it the question is about the event.
    #[schema(value_type = Option<Name>, inline)]
    page: Option<PageName>,
    /// Whoever may enter is there now: the first time is kept, and lists of attendees can be asked for it. It is written
    /// after the answer.
    #[serde(default)]
    record: bool,
}

/// Answers whether somebody may enter an event, or open one of its pages, and why. The body says who: emails in URLs
/// would stand in the logs of proxies.
#[utoipa::path(post, path = "/v1/events/{event}/access", operation_id = "check_access", params(EventPath),
    request_body = AccessQuestion,
    responses(
        (status = 200, body = AccessView),
        (status = 404, description = "No such event, or the event's settings name no such page"),
        (status = 422, description = "Neither `email` nor `user`, or both"),
    ))]
pub async fn check(
    State(api): State<Shared>,
    Path(EventPath { event }): Path<EventPath>,
    _: Query<Nothing>,
    Body(question): Body<AccessQuestion>,
) -> Result<Answer<AccessView>, Problem> {
    let settings = api.event(&event)?;
    let who = match (question.email, question.user) {
        (Some(email), None) => Who::Email(EmailKey::of(&email)),
        (None, Some(user)) => Who::User(user),
        _ => return Err(Problem::at(Kind::Invalid, "email", "give either email or user")),
    };
    let page = question.page.map(|name| page(&settings.access, &name)).transpose()?;
    let standing = api.app.store.standing(&event, &who);
    let reason = plan::access(&settings.access, page, &standing);
    if let Some(user) = standing.user.filter(|_| question.record && reason.allows() && !standing.came) {
        api.app.runner.note_arrival(Arrival { user, event: Some(event) });
    }
    Ok(Answer(AccessView { allowed: reason.allows(), reason, user: standing.user, groups: standing.groups }))
}

/// A page that the settings do not name is nobody's: a misspelt one must not be open.
fn page<'a>(access: &'a Access, name: &PageName) -> Result<&'a Page, Problem> {
    let unknown = || {
        Problem::not_found(format!("the event has no page '{name}'"))
            .hint("name it in the access settings of the event; without groups it is for everybody who may enter")
    };
    access.pages.get(name).ok_or_else(unknown)
}

/// Keeps that somebody has an account in the app, and since when. The first time counts.
#[utoipa::path(put, path = "/v1/users/{user}/account", operation_id = "put_account", params(UserPath),
    responses(
        (status = 204, description = "It is known"),
        (status = 404, description = "No such user"),
        (status = 507, description = "The disk is full"),
    ))]
pub async fn put_account(
    State(api): State<Shared>,
    Extension(caller): Extension<Caller>,
    Path(UserPath { user }): Path<UserPath>,
    _: Query<Nothing>,
    _: EmptyBody,
) -> Result<StatusCode, Problem> {
    arrive(&api, caller, Arrival { user, event: None }).await
}

/// Keeps that somebody opened the event in the app, and when first.
#[utoipa::path(put, path = "/v1/events/{event}/attendees/{user}/access", operation_id = "put_access",
    params(AttendeePath),
    responses(
        (status = 204, description = "It is known"),
        (status = 404, description = "No such event or user"),
        (status = 507, description = "The disk is full"),
    ))]
pub async fn put_access(
    State(api): State<Shared>,
    Extension(caller): Extension<Caller>,
    Path(AttendeePath { event, user }): Path<AttendeePath>,
    _: Query<Nothing>,
    _: EmptyBody,
) -> Result<StatusCode, Problem> {
    api.event(&event)?;
    arrive(&api, caller, Arrival { user, event: Some(event) }).await
}

async fn arrive(api: &Api, caller: Caller, arrival: Arrival) -> Result<StatusCode, Problem> {
    let done = api.app.runner.by_hand(api.actor(caller), move |desk| desk.note_arrival(arrival)).await;
    done.map_err(api.refused("write who came"))?;
    Ok(StatusCode::NO_CONTENT)
}
