//! The users of the community.

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::State;
use axum::{Extension, Json};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use crate::http::answer::Answer;
use crate::http::api::{Api, Shared};
use crate::http::auth::Caller;
use crate::http::extract::{Body, Nothing, Path, Query};
use crate::http::paging::{Cursor, ListQuery, Page};
use crate::http::problem::{FieldError, Kind, Problem};
use crate::http::shapes::{self, Name};
use crate::http::view::UserView;
use crate::limits::PROTECTED_FIELDS_MAX;
use crate::model::{
    Email, EmailKey, EventName, ExternalId, FeedId, Field, Person, Protected, SourceName, UserId, UserNo,
};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct UserPath {
    /// The user's id.
    #[param(value_type = String, format = "uuid")]
    pub user: UserId,
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

/// The profile fields to set, by name, and the email.
struct UserEdit {
    email: Option<Email>,
    fields: BTreeMap<Field, serde_json::Value>,
}

impl UserEdit {
    fn of(body: BTreeMap<String, serde_json::Value>) -> Result<Self, Problem> {
        let mut edit = Self { email: None, fields: BTreeMap::new() };
        let mut faults = Vec::new();
        for (name, value) in body {
            let fault = |detail: String| FieldError { field: name.clone(), detail };
            if name == "email" {
                match value.as_str().map(Email::parse) {
                    Some(Ok(email)) => edit.email = Some(email),
                    Some(Err(error)) => faults.push(fault(error.to_string())),
                    None => faults.push(fault("must be a text: nobody is without one".to_owned())),
                }
            } else if let Ok(field) = Field::parse(&name) {
                edit.fields.insert(field, value);
            } else {
                faults.push(fault("no such field; a field of your own is custom.<name>".to_owned()));
            }
        }
        if faults.is_empty() { Ok(edit) } else { Err(Problem::of(Kind::Invalid, faults)) }
    }
}

/// Edits a user: a JSON merge patch (RFC 7396) of profile fields and the email. What a source sets cannot be edited here.
#[utoipa::path(patch, path = "/v1/users/{user}", operation_id = "edit_user", params(UserPath),
    request_body = shapes::UserEdit,
    responses(
        (status = 200, body = UserView),
        (status = 404, description = "No such user"),
        (status = 409, description = "A source sets the field: `locked` says which, `edit_url` where to edit it there. \
            Or the email is another user's"),
        (status = 422, description = "No such field, or not a value for it; `errors` lists every fault"),
        (status = 507, description = "The disk is full"),
    ))]
pub async fn edit(
    State(api): State<Shared>,
    Extension(caller): Extension<Caller>,
    Path(path): Path<UserPath>,
    _: Query<Nothing>,
    Body(body): Body<BTreeMap<String, serde_json::Value>>,
) -> Result<Answer<UserView>, Problem> {
    let UserEdit { email, fields } = UserEdit::of(body)?;
    let edited = api.app.runner.by_hand(api.actor(caller), move |desk| desk.edit(path.user, email, fields)).await;
    Ok(Answer(UserView::of(edited.map_err(api.refused("write a person"))?, &api.app.runner)))
}

/// Which profile fields are kept from the sources: some, or all of them.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Protection {
    /// Names of fields; none gives all back to their sources.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    fields: Option<Vec<String>>,
    #[serde(default)]
    all: bool,
}

impl Protection {
    fn read(self) -> Result<Protected, Problem> {
        let fields = match (self.fields, self.all) {
            (None, true) => return Ok(Protected::All),
            (Some(fields), false) => fields,
            _ => return Err(Problem::at(Kind::Invalid, "fields", "give either fields or all: true")),
        };
        let mut protected = BTreeSet::new();
        for (at, name) in fields.iter().enumerate() {
            let unknown = |_| Problem::at(Kind::Invalid, format!("fields[{at}]"), "no such profile field");
            protected.insert(Field::parse(name).map_err(unknown)?);
        }
        if protected.len() > PROTECTED_FIELDS_MAX {
            let detail = format!("at most {PROTECTED_FIELDS_MAX}; for more there is all: true");
            return Err(Problem::at(Kind::Invalid, "fields", detail));
        }
        Ok(Protected::Fields(protected.into_iter().collect()))
    }
}

/// Protects profile fields of one user from the sources: their values stay and can be edited here. Those that were
/// protected and are not named any more are given back: the next sync that reads the user's record sets them.
#[utoipa::path(put, path = "/v1/users/{user}/protected", operation_id = "protect_user", params(UserPath),
    request_body = Protection,
    responses(
        (status = 200, body = UserView),
        (status = 404, description = "No such user"),
        (status = 507, description = "The disk is full"),
    ))]
pub async fn protect(
    State(api): State<Shared>,
    Extension(caller): Extension<Caller>,
    Path(path): Path<UserPath>,
    _: Query<Nothing>,
    Body(body): Body<Protection>,
) -> Result<Answer<UserView>, Problem> {
    let protected = body.read()?;
    let done = api.app.runner.by_hand(api.actor(caller), move |desk| desk.protect(path.user, protected)).await;
    Ok(Answer(UserView::of(done.map_err(api.refused("write a person"))?, &api.app.runner)))
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
