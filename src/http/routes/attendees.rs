//! The attendees of an event.

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::events::EventPath;
use super::users::{by_number, find};
use crate::http::answer::Answer;
use crate::http::api::{Api, Shared};
use crate::http::auth::Caller;
use crate::http::extract::{Flag, Nothing, OptionalBody, Path, Query, name};
use crate::http::paging::{Cursor, Limit, Page};
use crate::http::problem::{Kind, Problem};
use crate::http::shapes::Name;
use crate::http::view::{AttendeeView, Choice, InvitedView};
use crate::limits::{ATTENDEES_READ_MAX, SEARCHED_WORDS_MAX};
use crate::model::{Audience, Condition, EventName, Folded, GroupKey, Override, Person, Place, UserId, UserNo};
use crate::store::Found;
use crate::sync::Desk;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AttendeesQuery {
    /// Those who attend, or no longer do, or both.
    #[serde(default)]
    #[param(inline)]
    state: AttendeeState,
    /// Members of this group only; any spelling of its name.
    #[param(min_length = 1)]
    group: Option<String>,
    /// How far their invitation came.
    #[param(inline)]
    invitation: Option<InvitedView>,
    /// Whether the app said that they have an account.
    #[param(value_type = Option<bool>)]
    account: Option<Flag>,
    /// Whether the app said that they opened the event.
    #[param(value_type = Option<bool>)]
    access: Option<Flag>,
    /// In any case of letters.
    #[param(min_length = 1)]
    registration_type: Option<String>,
    /// As the profile has it, in any case of letters.
    #[param(min_length = 1)]
    country: Option<String>,
    /// Words, each of which must be a part of their email, first or last name, job title or company.
    #[param(min_length = 1)]
    q: Option<String>,
    /// The `next_cursor` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<Cursor>,
    /// Items a page.
    #[serde(default)]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000, default = 100)]
    limit: Limit,
}

#[derive(Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AttendeeState {
    #[default]
    Active,
    Inactive,
    All,
}

impl AttendeeState {
    pub const fn active(self) -> Option<bool> {
        match self {
            Self::Active => Some(true),
            Self::Inactive => Some(false),
            Self::All => None,
        }
    }
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct AttendeePath {
    /// 1 to 64 characters of `a-z`, `0-9`, `-` and `_`.
    #[param(value_type = Name, inline)]
    #[serde(deserialize_with = "name")]
    pub event: EventName,
    /// The user's id.
    #[param(value_type = String, format = "uuid")]
    pub user: UserId,
}

impl AttendeesQuery {
    fn audience(&self, event: EventName) -> Result<Audience, Problem> {
        let mut all = vec![Condition::Place(Place {
            event,
            active: self.state.active(),
            invitation: self.invitation.map(Into::into),
            accessed: self.access.map(|Flag(access)| access),
            registration_type: folded("registration_type", self.registration_type.as_ref())?,
        })];
        if let Some(name) = &self.group {
            let group = GroupKey::of(name).ok_or_else(|| empty("group"))?;
            all.push(Condition::Group { group, event: None });
        }
        all.extend(self.account.map(|Flag(account)| Condition::Account(account)));
        all.extend(folded("country", self.country.as_ref())?.map(Condition::Country));
        if let Some(q) = &self.q {
            let words: Vec<_> = q.split_whitespace().map(Folded::of).collect();
            if words.is_empty() || words.len() > SEARCHED_WORDS_MAX {
                return Err(Problem::at(Kind::BadRequest, "q", format!("must be 1 to {SEARCHED_WORDS_MAX} words")));
            }
            all.push(Condition::Words(words));
        }
        Ok(Audience { all, ..Audience::default() })
    }
}

fn folded(parameter: &str, text: Option<&String>) -> Result<Option<Folded>, Problem> {
    let folded = text.map(|text| Folded::of(text));
    if folded.as_ref().is_some_and(Folded::is_empty) { Err(empty(parameter)) } else { Ok(folded) }
}

fn empty(parameter: &str) -> Problem {
    Problem::at(Kind::BadRequest, parameter, "must not be empty")
}

/// Lists the attendees of an event who pass every filter. A page is as long as `limit` says, or shorter: for one of them
/// at most 10,000 people are read. The last page has no `next_cursor`.
#[utoipa::path(get, path = "/v1/events/{event}/attendees", operation_id = "list_attendees",
    params(EventPath, AttendeesQuery),
    responses((status = 200, body = Page<AttendeeView>), (status = 404, description = "No such event")))]
pub async fn list(
    State(api): State<Shared>,
    Path(EventPath { event }): Path<EventPath>,
    Query(query): Query<AttendeesQuery>,
) -> Result<Json<Page<AttendeeView>>, Problem> {
    api.event(&event)?;
    let audience = query.audience(event.clone())?;
    let after = query.cursor.as_ref().map(|cursor| cursor.read("attendee", by_number)).transpose()?;
    let page = api.blocking(move |api| {
        let found = api.app.store.find(&audience, after, query.limit.items(), ATTENDEES_READ_MAX);
        let Found { people, next } = found.map_err(api.store_failed("read people"))?;
        let runner = &api.app.runner;
        let items = people.into_iter().filter_map(|(_, person)| AttendeeView::of(person, &event, runner)).collect();
        Ok(Page { items, next_cursor: next.map(|UserNo(user)| Cursor::after("attendee", user)) })
    });
    Ok(Json(page.await?))
}

/// One attendee of an event.
#[utoipa::path(get, path = "/v1/events/{event}/attendees/{user}", operation_id = "get_attendee",
    params(AttendeePath),
    responses((status = 200, body = AttendeeView), (status = 404, description = "No such event, user or attendee")))]
pub async fn get(
    State(api): State<Shared>,
    Path(AttendeePath { event, user }): Path<AttendeePath>,
    _: Query<Nothing>,
) -> Result<Answer<AttendeeView>, Problem> {
    api.event(&event)?;
    let attendee = AttendeeView::of(find(&api, user)?, &event, &api.app.runner);
    let absent = || Problem::not_found(format!("user {user} has no place in event '{event}'"));
    attendee.map(Answer).ok_or_else(absent)
}

/// What is decided about a place in the event.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AttendanceBody {
    #[serde(default)]
    #[schema(inline)]
    attendance: Choice,
}

/// Decides by hand who attends, whatever the sources say, until it is lifted with `synced`.
#[utoipa::path(put, path = "/v1/events/{event}/attendees/{user}", operation_id = "put_attendee",
    params(AttendeePath), request_body(content = Option<AttendanceBody>),
    responses(
        (status = 200, body = AttendeeView),
        (status = 404, description = "No such event or user"),
        (status = 507, description = "The disk is full"),
    ))]
pub async fn put(
    State(api): State<Shared>,
    Extension(caller): Extension<Caller>,
    Path(path): Path<AttendeePath>,
    _: Query<Nothing>,
    OptionalBody(body): OptionalBody<AttendanceBody>,
) -> Result<Answer<AttendeeView>, Problem> {
    let event = path.event.clone();
    let person = set(&api, caller, path, body.attendance.into()).await?;
    let absent = || Problem::not_found(format!("the user has no place in event '{event}'"));
    AttendeeView::of(person, &event, &api.app.runner).map(Answer).ok_or_else(absent)
}

/// Excludes somebody from the event, until that is lifted with `PUT` and `synced`.
#[utoipa::path(delete, path = "/v1/events/{event}/attendees/{user}", operation_id = "exclude_attendee",
    params(AttendeePath),
    responses(
        (status = 204, description = "Excluded"),
        (status = 404, description = "No such event or user"),
        (status = 507, description = "The disk is full"),
    ))]
pub async fn delete(
    State(api): State<Shared>,
    Extension(caller): Extension<Caller>,
    Path(path): Path<AttendeePath>,
    _: Query<Nothing>,
) -> Result<StatusCode, Problem> {
    set(&api, caller, path, Some(Override::Excluded)).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn set(
    api: &Api,
    caller: Caller,
    AttendeePath { event, user }: AttendeePath,
    choice: Option<Override>,
) -> Result<Person, Problem> {
    api.event(&event)?;
    let work = move |desk: &Desk<'_>| desk.set_attendance(user, &event, choice);
    api.app.runner.by_hand(api.actor(caller), work).await.map_err(api.refused("write a person"))
}
