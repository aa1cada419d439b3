//! The groups of the community and their members.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use super::users;
use crate::http::api::{Api, Shared};
use crate::http::extract::{Nothing, Path, Query};
use crate::http::paging::{Cursor, ListQuery, Page};
use crate::http::problem::Problem;
use crate::http::view::{GroupView, UserView};
use crate::model::GroupKey;
use crate::store::GroupCount;

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

/// Lists the groups by key.
#[utoipa::path(get, path = "/v1/groups", operation_id = "list_groups", params(ListQuery),
    responses((status = 200, body = Page<GroupView>)))]
pub async fn list(State(api): State<Shared>, Query(query): Query<ListQuery>) -> Result<Json<Page<GroupView>>, Problem> {
    let after = query.after("group", GroupKey::of)?;
    let mut groups = api.app.store.groups();
    groups.retain(|found| after.as_ref().is_none_or(|after| found.group.key > *after));
    groups.truncate(query.limit.and_one());
    let page = Page::cut(groups, query.limit, |found| Cursor::after("group", &found.group.key));
    Ok(Json(page.map(GroupView::from)))
}

/// One group.
#[utoipa::path(get, path = "/v1/groups/{group}", operation_id = "get_group", params(GroupPath),
    responses((status = 200, body = GroupView), (status = 404, description = "No such group")))]
pub async fn get(
    State(api): State<Shared>,
    Path(path): Path<GroupPath>,
    _: Query<Nothing>,
) -> Result<Json<GroupView>, Problem> {
    Ok(Json(find(&api, &path)?.into()))
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
