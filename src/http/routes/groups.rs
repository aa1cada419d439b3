//! The groups of the community and their members.

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::users;
use crate::http::answer::Answer;
use crate::http::api::{Api, Shared};
use crate::http::auth::Caller;
use crate::http::extract::{Nothing, OptionalBody, Path, Query};
use crate::http::paging::{Cursor, ListQuery, Page};
use crate::http::problem::{Kind, Problem};
use crate::http::shapes::Name;
use crate::http::view::{Choice, GroupView, UserView};
use crate::limits::GROUP_NAME_BYTES_MAX;
use crate::model::{EventName, GroupKey, GroupName, Override, Person, UserId};
use crate::store::GroupCount;
use crate::sync::Desk;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct GroupPath {
    /// Any spelling of the group's name, percent-encoded.
    #[param(min_length = 1)]
    group: String,
}

fn find(api: &Api, path: &GroupPath) -> Result<GroupCount, Problem> {
    let group = GroupKey::of(&path.group).and_then(|key| api.app.store.group(&key));
    group.ok_or_else(|| Problem::not_found("there is no such group"))
}

fn view(api: &Api, found: GroupCount) -> GroupView {
    GroupView::of(found, &api.app.runner, api.app.clock.now())
}

/// Lists the groups of all events, past and current, by key.
#[utoipa::path(get, path = "/v1/groups", operation_id = "list_groups", params(ListQuery),
    responses((status = 200, body = Page<GroupView>)))]
pub async fn list(State(api): State<Shared>, Query(query): Query<ListQuery>) -> Result<Json<Page<GroupView>>, Problem> {
    let after = query.after("group", GroupKey::of)?;
    let groups = api.app.store.groups(after.as_ref(), query.limit.and_one());
    let page = Page::cut(groups, query.limit, |found| Cursor::after("group", &found.group.key));
    Ok(Json(page.map(|found| view(&api, found))))
}

/// One group.
#[utoipa::path(get, path = "/v1/groups/{group}", operation_id = "get_group", params(GroupPath),
    responses((status = 200, body = GroupView), (status = 404, description = "No such group")))]
pub async fn get(
    State(api): State<Shared>,
    Path(path): Path<GroupPath>,
    _: Query<Nothing>,
) -> Result<Json<GroupView>, Problem> {
    Ok(Json(view(&api, find(&api, &path)?)))
}

/// Lists the users who are in a group.
#[utoipa::path(get, path = "/v1/groups/{group}/members", operation_id = "list_members", params(GroupPath, ListQuery),
    responses((status = 200, body = Page<UserView>), (status = 404, description = "No such group")))]
pub async fn members(
    State(api): State<Shared>,
    Path(path): Path<GroupPath>,
    Query(query): Query<ListQuery>,
) -> Result<Json<Page<UserView>>, Problem> {
    let key = find(&api, &path)?.group.key;
    let after = query.after("user", users::by_number)?;
    let members = move |api: &Api| users::page(api, api.app.store.members(&key, after, query.limit.and_one()), &query);
    Ok(Json(api.blocking(members).await?))
}

/// A group's name.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GroupBody {
    /// Another spelling of the name in the path; at most 256 bytes.
    #[schema(min_length = 1, max_length = 256)]
    name: Option<String>,
}

impl GroupBody {
    fn group(self, path: &GroupPath) -> Result<GroupName, Problem> {
        let (field, name) = self.name.as_ref().map_or(("group", &path.group), |name| ("name", name));
        let kind = if field == "group" { Kind::BadRequest } else { Kind::Invalid };
        let group = GroupName::new(name).filter(|_| !name.contains(char::is_control));
        let group = group.ok_or_else(|| Problem::at(kind, field, "must be a name on one line"))?;
        if name.len() > GROUP_NAME_BYTES_MAX {
            return Err(Problem::at(kind, field, format!("at most {GROUP_NAME_BYTES_MAX} bytes")));
        }
        if GroupKey::of(&path.group).as_ref() != Some(&group.key) {
            let detail = "another name is another group: only the spelling of this one can change";
            return Err(Problem::at(kind, field, detail));
        }
        Ok(group)
    }
}

/// Makes a group, or changes how its name is spelled. Upper and lower case are the same group.
#[utoipa::path(put, path = "/v1/groups/{group}", operation_id = "put_group", params(GroupPath),
    request_body(content = Option<GroupBody>),
    responses(
        (status = 200, body = GroupView, description = "Changed"),
        (status = 201, body = GroupView, description = "Made"),
        (status = 507, description = "The disk is full"),
    ))]
pub async fn put(
    State(api): State<Shared>,
    Extension(caller): Extension<Caller>,
    Path(path): Path<GroupPath>,
    _: Query<Nothing>,
    OptionalBody(body): OptionalBody<GroupBody>,
) -> Result<(StatusCode, Json<GroupView>), Problem> {
    let group = body.group(&path)?;
    let made = api.app.runner.by_hand(api.actor(caller), move |desk| desk.put_group(group)).await;
    let made = made.map_err(api.refused("write a group"))?;
    let status = if made { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(view(&api, find(&api, &path)?))))
}

/// Deletes a group and the memberships that were made in it by hand. A group that a source has people in stays.
#[utoipa::path(delete, path = "/v1/groups/{group}", operation_id = "delete_group", params(GroupPath),
    responses(
        (status = 204, description = "Deleted"),
        (status = 404, description = "No such group"),
        (status = 409, description = "A source has people in it"),
        (status = 507, description = "The disk is full"),
    ))]
pub async fn delete(
    State(api): State<Shared>,
    Extension(caller): Extension<Caller>,
    Path(path): Path<GroupPath>,
    _: Query<Nothing>,
) -> Result<StatusCode, Problem> {
    let key = find(&api, &path)?.group.key;
    let done = api.app.runner.by_hand(api.actor(caller), move |desk| desk.delete_group(&key)).await;
    done.map_err(api.refused("write that a group is deleted"))?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct MemberPath {
    /// Any spelling of the group's name, percent-encoded.
    #[param(min_length = 1)]
    group: String,
    /// The user's id.
    #[param(value_type = String, format = "uuid")]
    user: UserId,
}

/// What is decided about a membership.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MembershipBody {
    #[serde(default)]
    #[schema(inline)]
    membership: Choice,
    /// The event that it is for, if it is for one.
    #[schema(value_type = Option<Name>, inline)]
    event: Option<EventName>,
}

/// Decides by hand who is in a group, whatever the sources say, until it is lifted with `synced`.
#[utoipa::path(put, path = "/v1/groups/{group}/members/{user}", operation_id = "put_member",
    params(MemberPath), request_body(content = Option<MembershipBody>),
    responses(
        (status = 200, body = UserView),
        (status = 404, description = "No such group or user"),
        (status = 409, description = "The user has as many memberships by hand as there may be"),
        (status = 507, description = "The disk is full"),
    ))]
pub async fn put_member(
    State(api): State<Shared>,
    Extension(caller): Extension<Caller>,
    Path(path): Path<MemberPath>,
    _: Query<Nothing>,
    OptionalBody(body): OptionalBody<MembershipBody>,
) -> Result<Answer<UserView>, Problem> {
    if let Some(event) = body.event.as_ref().filter(|event| api.app.runner.event(event).is_none()) {
        return Err(Problem::at(Kind::Invalid, "event", format!("there is no event '{event}'")));
    }
    let person = set(&api, caller, path, body.membership.into(), body.event).await?;
    Ok(Answer(UserView::of(person, &api.app.runner)))
}

/// Excludes somebody from a group, until that is lifted with `PUT` and `synced`.
#[utoipa::path(delete, path = "/v1/groups/{group}/members/{user}", operation_id = "exclude_member",
    params(MemberPath),
    responses(
        (status = 204, description = "Excluded"),
        (status = 404, description = "No such group or user"),
        (status = 409, description = "The user has as many memberships by hand as there may be"),
        (status = 507, description = "The disk is full"),
    ))]
pub async fn delete_member(
    State(api): State<Shared>,
    Extension(caller): Extension<Caller>,
    Path(path): Path<MemberPath>,
    _: Query<Nothing>,
) -> Result<StatusCode, Problem> {
    set(&api, caller, path, Some(Override::Excluded), None).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn set(
    api: &Api,
    caller: Caller,
    MemberPath { group, user }: MemberPath,
    choice: Option<Override>,
    event: Option<EventName>,
) -> Result<Person, Problem> {
    let key = GroupKey::of(&group).ok_or_else(|| Problem::not_found("there is no such group"))?;
    let work = move |desk: &Desk<'_>| desk.set_membership(user, &key, choice, event);
    api.app.runner.by_hand(api.actor(caller), work).await.map_err(api.refused("write a person"))
}
