//! Login links and event passwords: of one attendee, and how far they went back to the sources.

use axum::extract::State;
use axum::{Extension, Json};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::attendees::AttendeePath;
use super::events::EventPath;
use crate::http::api::{Api, Shared};
use crate::http::auth::Caller;
use crate::http::extract::{EmptyBody, Nothing, OptionalBody, Path, Query};
use crate::http::paging::{Cursor, Limit};
use crate::http::problem::{Kind, Problem};
use crate::http::shapes::Name;
use crate::http::view::{PassView, ReceiptStateView, ReceiptView, WritebackView};
use crate::model::{AuditAction, Event, Pass, Receipt, SourceName, UserNo};

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct WritebackQuery {
    /// Only receipts in this state.
    state: Option<ReceiptStateView>,
    /// Only those of this source.
    #[param(value_type = Option<Name>, inline)]
    source: Option<SourceName>,
    /// The `next_cursor` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<Cursor>,
    /// Receipts a page, or a few more: those of one person stay together.
    #[serde(default)]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000, default = 100)]
    limit: Limit,
}

/// What is to be sent.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WritebackBody {
    /// Also what failed, and what waits to be tried again.
    #[serde(default)]
    retry: bool,
}

/// How far the links and passwords of an event went back: counts, and receipts.
#[utoipa::path(get, path = "/v1/events/{event}/writeback", operation_id = "get_writeback",
    params(EventPath, WritebackQuery),
    responses((status = 200, body = WritebackView), (status = 404, description = "No such event")))]
pub async fn get(
    State(api): State<Shared>,
    Path(path): Path<EventPath>,
    Query(query): Query<WritebackQuery>,
) -> Result<Json<WritebackView>, Problem> {
    api.event(&path.event)?;
    let after = match &query.cursor {
        Some(cursor) => Some(cursor.read("receipt", |text| text.parse().ok().map(UserNo))?),
        None => None,
    };
    let WritebackQuery { state, source, limit, .. } = query;
    let answer = api.blocking(move |api| {
        let is_wanted = |receipt: &Receipt| {
            state.is_none_or(|state| state == receipt.state.into())
                && source.as_ref().is_none_or(|source| *source == receipt.source)
        };
        let found = api.app.writebacks.receipts(&path.event, after, limit.items(), is_wanted);
        let (rows, next) = found.map_err(api.store_failed("read receipts"))?;
        let next = next.map(|UserNo(user)| Cursor::after("receipt", user));
        Ok(view(api, &path.event, rows.into_iter().map(ReceiptView::from).collect(), next))
    });
    answer.await.map(Json)
}

/// Sends now what is to go back, and answers when it was tried.
#[utoipa::path(post, path = "/v1/events/{event}/writeback", operation_id = "send_writeback", params(EventPath),
    request_body = Option<WritebackBody>,
    responses(
        (status = 200, body = WritebackView, description = "How it stands now; `receipts` is empty"),
        (status = 404, description = "No such event"),
        (status = 409, description = "The event has no links"),
        (status = 507, description = "The disk is full"),
    ))]
pub async fn send(
    State(api): State<Shared>,
    Path(path): Path<EventPath>,
    _: Query<Nothing>,
    OptionalBody(body): OptionalBody<WritebackBody>,
) -> Result<Json<WritebackView>, Problem> {
    let event = api.event(&path.event)?;
    links(&event)?;
    // A caller that goes away ends nothing half-way.
    let (writebacks, retry) = (api.app.writebacks.clone(), body.retry);
    let sent = tokio::spawn(async move { writebacks.send(&event, retry).await }).await;
    if let Ok(Err(error)) = sent {
        return Err(api.store_failed("write what became of what goes back")(error));
    }
    Ok(Json(view(&api, &path.event, Vec::new(), None)))
}

/// The login link and the password of an attendee.
#[utoipa::path(get, path = "/v1/events/{event}/attendees/{user}/pass", operation_id = "get_pass", params(AttendeePath),
    responses(
        (status = 200, body = PassView),
        (status = 404, description = "No such event, or nobody there with a pass"),
        (status = 409, description = "The event has no links"),
    ))]
pub async fn pass(
    State(api): State<Shared>,
    Path(path): Path<AttendeePath>,
    _: Query<Nothing>,
) -> Result<Json<PassView>, Problem> {
    let event = api.event(&path.event)?;
    let user = holder(&api, &path)?;
    let pass = api.app.store.pass(&path.event, user).map_err(api.store_failed("read a pass"))?;
    opened(&api, &event, pass.ok_or_else(|| none(&path))?)
}

/// Makes another link and another password for an attendee; the former let nobody in any more, and the sources are told.
#[utoipa::path(post, path = "/v1/events/{event}/attendees/{user}/pass/rotate", operation_id = "rotate_pass",
    params(AttendeePath),
    responses(
        (status = 200, body = PassView),
        (status = 404, description = "No such event, or nobody there with a pass"),
        (status = 409, description = "The event has no links"),
        (status = 507, description = "The disk is full"),
    ))]
pub async fn rotate(
    State(api): State<Shared>,
    Extension(caller): Extension<Caller>,
    Path(path): Path<AttendeePath>,
    _: Query<Nothing>,
    _: EmptyBody,
) -> Result<Json<PassView>, Problem> {
    let event = api.event(&path.event)?;
    links(&event)?;
    let user = holder(&api, &path)?;
    let audit = api.audit(caller, AuditAction::PassRotated, path.user, format!("event {}", path.event));
    let rotated = api.app.writebacks.rotate(&event, user, audit).await;
    let pass = rotated.map_err(api.store_failed("write a pass"))?;
    opened(&api, &event, pass.ok_or_else(|| none(&path))?)
}

fn links(event: &Event) -> Result<&crate::model::Links, Problem> {
    let none = || {
        Problem::conflict(format!("event '{}' has no login links", event.name)).hint("set `links` of the event first")
    };
    event.links.as_ref().ok_or_else(none)
}

fn none(path: &AttendeePath) -> Problem {
    Problem::not_found(format!("user {} has no pass of event '{}'", path.user, path.event))
}

fn holder(api: &Api, path: &AttendeePath) -> Result<UserNo, Problem> {
    let user = api.app.store.user_by_id(path.user).ok_or_else(|| none(path))?;
    let holds = api.app.store.passes_of(&path.event, |passes| passes.holders.contains(user.0));
    if holds { Ok(user) } else { Err(none(path)) }
}

fn opened(api: &Api, event: &Event, pass: Pass) -> Result<Json<PassView>, Problem> {
    let Some(values) = api.app.writebacks.opened(links(event)?, &pass) else {
        return Err(Problem::new(Kind::Internal, "the pass does not open; rotate it, or restore the vault.key"));
    };
    Ok(Json(PassView::of(pass, values.webapp_link, values.event_password)))
}

fn view(api: &Api, event: &crate::model::EventName, receipts: Vec<ReceiptView>, next: Option<String>) -> WritebackView {
    WritebackView::of(api.app.writebacks.counts(event), receipts, next)
}
