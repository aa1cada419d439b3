//! The users of the community.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use crate::http::answer::Answer;
use crate::http::api::{Api, Shared};
use crate::http::extract::{Body, Nothing, Path, Query};
use crate::http::paging::{Cursor, ListQuery, Page};
use crate::http::problem::{Kind, Problem};
use crate::http::shapes::Name;
use crate::http::view::UserView;
use crate::model::{EmailKey, EventName, ExternalId, FeedId, Person, SourceName, UserId, UserNo};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct UserPath {
    /// The user's id.
    #[param(value_type = String, format = "uuid")]
    user: UserId,
}

/// Whom to look up: by `email`, or by `event`, `source` and `external_id`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Lookup {
    /// In any spelling.
    email: Option<String>,
    #[schema(value_type = Option<Name>, inline)]
    event: Option<EventName>,
    #[schema(value_type = Option<Name>, inline)]
    source: Option<SourceName>,
    /// The source's own id of a record.
    external_id: Option<String>,
}

/// Reads the key of a cursor over users.
pub fn by_number(key: &str) -> Option<UserNo> {
    key.parse().ok().map(UserNo)
}

/// One user, whole.
pub fn find(api: &Api, id: UserId) -> Result<Person, Problem> {
    let unknown = || Problem::not_found(format!("there is no user {id}"));
    let user = api.app.store.user_by_id(id).ok_or_else(unknown)?;
    let person = api.app.store.person(user).map_err(api.store_failed("read a person"))?;
    person.ok_or_else(unknown)
}

/// A page of users, of whom one more was found than the page holds.
pub fn page(api: &Api, found: Vec<UserNo>, query: &ListQuery) -> Result<Page<UserView>, Problem> {
    let page = Page::cut(found, query.limit, |UserNo(user)| Cursor::after("user", user));
    page.try_filter_map(|user| {
        let person = api.app.store.person(user).map_err(api.store_failed("read a person"))?;
        Ok(person.map(|person| UserView::of(person, &api.app.runner)))
    })
}

/// Lists the users of the community.
#[utoipa::path(get, path = "/v1/users", operation_id = "list_users", params(ListQuery),
    responses((status = 200, body = Page<UserView>)))]
pub async fn list(State(api): State<Shared>, Query(query): Query<ListQuery>) -> Result<Json<Page<UserView>>, Problem> {
    let after = query.after("user", by_number)?;
    let users = move |api: &Api| page(api, api.app.store.users(after, query.limit.and_one()), &query);
    Ok(Json(api.blocking(users).await?))
}

/// One user.
#[utoipa::path(get, path = "/v1/users/{user}", operation_id = "get_user", params(UserPath),
    responses((status = 200, body = UserView), (status = 404, description = "No such user")))]
pub async fn get(
    State(api): State<Shared>,
    Path(path): Path<UserPath>,
    _: Query<Nothing>,
) -> Result<Answer<UserView>, Problem> {
    Ok(Answer(UserView::of(find(&api, path.user)?, &api.app.runner)))
}

/// Finds a user. The body holds what is looked for, for URLs stand in the logs of proxies.
#[utoipa::path(post, path = "/v1/users/lookup", operation_id = "look_up_user", request_body = Lookup,
    responses(
        (status = 200, body = UserView),
        (status = 404, description = "Nobody is known by that"),
        (status = 422, description = "Neither `email` alone nor `event`, `source` and `external_id`"),
    ))]
pub async fn look_up(
    State(api): State<Shared>,
    _: Query<Nothing>,
    Body(body): Body<Lookup>,
) -> Result<Answer<UserView>, Problem> {
    let store = &api.app.store;
    let user = match body {
        Lookup { email: Some(email), event: None, source: None, external_id: None } => {
            store.user_by_email(&EmailKey::of(&email))
        }
        Lookup { email: None, event: Some(event), source: Some(source), external_id: Some(external_id) } => {
            let external_id = ExternalId::new(&external_id);
            external_id.and_then(|id| store.user_by_registration(&FeedId { event, source }, &id))
        }
        _ => {
            let detail = "give either email alone, or event, source and external_id";
            return Err(Problem::new(Kind::Invalid, detail));
        }
    };
    let person = user.map(|user| store.person(user)).transpose().map_err(api.store_failed("read a person"))?;
    let unknown = || Problem::not_found("nobody is known by that");
    let person = person.flatten().ok_or_else(unknown)?;
    Ok(Answer(UserView::of(person, &api.app.runner)))
}
