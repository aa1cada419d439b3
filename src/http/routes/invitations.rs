//! Invitations: the template, what it becomes for somebody, and the mails that wait or failed.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use roaring::RoaringBitmap;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::attendees::AttendeePath;
use super::events::{EventPath, invalid, refuse_provisioned};
use super::users::find;
use crate::config::{custom_fields, validate_invitations};
use crate::http::api::{Api, Shared};
use crate::http::auth::Caller;
use crate::http::extract::{Body, Nothing, OptionalBody, Path, Query, name};
use crate::http::paging::{Cursor, ListQuery, Page};
use crate::http::problem::{FieldError, Kind, Problem};
use crate::http::view::{
    EventInvitationView, ExistingView, InvitationCounts, LetterView, OutboxItemView, TemplateView, template_of,
};
use crate::letter;
use crate::limits::MAX_INVITES_MAX;
use crate::model::{Event, EventName, InvitationState, Invitations, UserId, UserNo};
use crate::sync::Desk;

/// An event's invitations.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InvitationSettings {
    /// Whoever becomes an attendee is invited, once for ever. Needs a template.
    enabled: bool,
    /// What becomes of those who attend already; must be said whenever `enabled` goes from off to on.
    #[serde(default)]
    #[schema(inline)]
    existing: Option<ExistingView>,
    /// A run that would invite more is held; 500 if absent.
    #[serde(default)]
    #[schema(maximum = 10_000_000)]
    max_invites: Option<u32>,
    #[serde(default)]
    template: Option<TemplateView>,
}

impl From<InvitationSettings> for Invitations {
    fn from(InvitationSettings { enabled, existing, max_invites, template }: InvitationSettings) -> Self {
        Self { enabled, existing: existing.map(Into::into), max_invites, template: template.map(template_of) }
    }
}

/// The invitations of an event.
#[utoipa::path(get, path = "/v1/events/{event}/invitation", operation_id = "get_invitation", params(EventPath),
    responses((status = 200, body = EventInvitationView), (status = 404, description = "No such event")))]
pub async fn get(
    State(api): State<Shared>,
    Path(path): Path<EventPath>,
    _: Query<Nothing>,
) -> Result<Json<EventInvitationView>, Problem> {
    let event = api.event(&path.event)?;
    Ok(Json(view(&api, &event)))
}

fn view(api: &Api, event: &Event) -> EventInvitationView {
    let standing = api.app.store.inviting(&event.name);
    let provisioned = api.app.runner.is_provisioned(&event.name);
    let can_send = api.app.config.mail.is_some();
    let waiting = api.app.runner.waiting(&event.name).len();
    let in_state = |state| in_state(api, &event.name, state).len();
    let counts = InvitationCounts {
        waiting,
        sent: in_state(InvitationState::Sent),
        failed: in_state(InvitationState::Failed),
        bounced: in_state(InvitationState::Bounced),
        skipped: in_state(InvitationState::Skipped),
    };
    EventInvitationView::of(event.name.clone(), &event.invitations, standing, provisioned, can_send, counts)
}

fn in_state(api: &Api, event: &EventName, state: InvitationState) -> RoaringBitmap {
    let view = api.app.store.view();
    view.index().places().invited(view.symbols(), event, state).cloned().unwrap_or_default()
}

/// Sets the invitations of an event. Whoever attends already is invited or skipped when they are switched on, as `existing`
/// says; whoever was ever invited is not invited again.
#[utoipa::path(put, path = "/v1/events/{event}/invitation", operation_id = "put_invitation", params(EventPath),
    request_body = InvitationSettings,
    responses(
        (status = 200, body = EventInvitationView),
        (status = 404, description = "No such event"),
        (status = 409, description = "The configuration file declares the event, or there is no template to enable them with"),
        (status = 422, description = "The settings are not valid; `errors` lists every fault"),
        (status = 507, description = "The disk is full"),
    ))]
pub async fn put(
    State(api): State<Shared>,
    Extension(caller): Extension<Caller>,
    Path(path): Path<EventPath>,
    _: Query<Nothing>,
    Body(body): Body<InvitationSettings>,
) -> Result<Json<EventInvitationView>, Problem> {
    refuse_provisioned(&api, &path.event)?;
    let event = api.event(&path.event)?;
    let invitations = Invitations::from(body);
    // What is missing is told by whoever would enable them.
    if let Some(template) = &invitations.template {
        let probe = Invitations { enabled: false, template: Some(Arc::clone(template)), ..invitations.clone() };
        check(&api, &event, probe)?;
    }
    if invitations.max_invites.is_some_and(|most| most > MAX_INVITES_MAX) {
        return Err(Problem::at(Kind::Invalid, "max_invites", format!("must be at most {MAX_INVITES_MAX}")));
    }
    let name = path.event;
    let work = move |desk: &Desk<'_>| desk.set_invitations(&name, invitations);
    let saved = api.app.runner.by_hand(api.actor(caller), work).await;
    let event = saved.map_err(api.refused("write the invitations of an event"))?;
    Ok(Json(view(&api, &event)))
}

fn check(api: &Api, event: &Event, invitations: Invitations) -> Result<(), Problem> {
    let event = Event { invitations, ..event.clone() };
    validate_invitations(&event, &customs(api)).map_err(|faults| invalid(&faults))
}

/// The custom fields that sources map, or that somebody has.
fn customs(api: &Api) -> BTreeSet<Arc<str>> {
    let mut customs = custom_fields(api.app.config.sources.values());
    customs.extend(api.app.store.custom_fields());
    customs
}

/// For whom a mail is shown, and a template that is not saved.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LetterSettings {
    /// A user's id; somebody made up if absent.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = "uuid")]
    user: Option<UserId>,
    /// In the place of the saved one. It is not kept.
    #[serde(default)]
    template: Option<TemplateView>,
}

/// Fills the template in for somebody. Nothing is sent.
#[utoipa::path(post, path = "/v1/events/{event}/invitation/preview", operation_id = "preview_invitation",
    params(EventPath), request_body = Option<LetterSettings>,
    responses(
        (status = 200, body = LetterView),
        (status = 404, description = "No such event or user"),
        (status = 409, description = "There is no template"),
        (status = 422, description = "The template is not valid; `errors` lists every fault"),
    ))]
pub async fn preview(
    State(api): State<Shared>,
    Path(path): Path<EventPath>,
    _: Query<Nothing>,
    OptionalBody(body): OptionalBody<LetterSettings>,
) -> Result<Json<LetterView>, Problem> {
    let event = api.event(&path.event)?;
    let template = body.template.map(template_of).or_else(|| event.invitations.template.clone());
    let template = template.ok_or_else(|| {
        Problem::conflict("the event has no template").hint("send one along, or save one with PUT …/invitation")
    })?;
    check(&api, &event, Invitations { template: Some(Arc::clone(&template)), ..Invitations::default() })?;
    let person = match body.user {
        Some(user) => find(&api, user)?,
        None => letter::sample(&event.name, &customs(&api)),
    };
    let letter = letter::render(&template, &person, &event);
    let fault = |fault: letter::LetterFault| {
        let field = format!("template.{}", fault.part);
        Problem::of(Kind::Invalid, vec![FieldError { field, detail: fault.problem }])
    };
    Ok(Json(letter.map_err(fault)?.into()))
}

/// Keeps every invitation of the event in the queue until they are released.
#[utoipa::path(post, path = "/v1/events/{event}/invitation/hold", operation_id = "hold_invitations",
    params(EventPath),
    responses(
        (status = 200, body = EventInvitationView),
        (status = 404, description = "No such event"),
        (status = 507, description = "The disk is full"),
    ))]
pub async fn hold(
    State(api): State<Shared>,
    Extension(caller): Extension<Caller>,
    Path(path): Path<EventPath>,
    _: Query<Nothing>,
) -> Result<Json<EventInvitationView>, Problem> {
    set_held(&api, caller, path.event, true).await
}

/// Lets the event's invitations go that were held.
#[utoipa::path(post, path = "/v1/events/{event}/invitation/release", operation_id = "release_invitations",
    params(EventPath),
    responses(
        (status = 200, body = EventInvitationView),
        (status = 404, description = "No such event"),
        (status = 507, description = "The disk is full"),
    ))]
pub async fn release(
    State(api): State<Shared>,
    Extension(caller): Extension<Caller>,
    Path(path): Path<EventPath>,
    _: Query<Nothing>,
) -> Result<Json<EventInvitationView>, Problem> {
    set_held(&api, caller, path.event, false).await
}

async fn set_held(
    api: &Api,
    caller: Caller,
    event: EventName,
    held: bool,
) -> Result<Json<EventInvitationView>, Problem> {
    let known = api.event(&event)?;
    let work = move |desk: &Desk<'_>| desk.hold_invitations(&event, held);
    let done = api.app.runner.by_hand(api.actor(caller), work).await;
    done.map_err(api.refused("write that invitations are held"))?;
    Ok(Json(view(api, &known)))
}

/// An invitation in the outbox: `<event>:<user>`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct OutboxId {
    event: EventName,
    user: UserId,
}

impl TryFrom<String> for OutboxId {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let parts = text.split_once(':').and_then(|(event, user)| Some((EventName::parse(event).ok()?, user)));
        let parts = parts.and_then(|(event, user)| Some(Self { event, user: UserId::parse(user)? }));
        parts.ok_or("must be an id of the outbox, <event>:<user>")
    }
}

impl fmt::Display for OutboxId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.event, self.user)
    }
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct OutboxPath {
    /// The `id` of an item of the outbox.
    #[param(value_type = String)]
    #[serde(deserialize_with = "name")]
    id: OutboxId,
}

/// Invitations that wait, that failed for good, and that came back; by event. Nobody's address is in it.
#[utoipa::path(get, path = "/v1/outbox", operation_id = "list_outbox", params(ListQuery),
    responses((status = 200, body = Page<OutboxItemView>)))]
pub async fn outbox(
    State(api): State<Shared>,
    Query(query): Query<ListQuery>,
) -> Result<Json<Page<OutboxItemView>>, Problem> {
    let after = query.after("outbox", |key| {
        let (event, user) = key.split_once(':')?;
        Some((EventName::parse(event).ok()?, user.parse::<u32>().ok()?))
    })?;
    let page = api.blocking(move |api| {
        let found = unsent(api, after.as_ref(), query.limit.and_one());
        let page = Page::cut(found, query.limit, |(event, user)| Cursor::after("outbox", format!("{event}:{user}")));
        page.try_filter_map(|(event, user)| {
            let person = api.app.store.person(UserNo(user)).map_err(api.store_failed("read a person"))?;
            Ok(person.and_then(|person| {
                let invitation = person.invitation(&event)?;
                Some(OutboxItemView::of(event.clone(), person.id, invitation, person.attends(&event)))
            }))
        })
    });
    Ok(Json(page.await?))
}

fn unsent(api: &Api, after: Option<&(EventName, u32)>, limit: usize) -> Vec<(EventName, u32)> {
    let mut found = Vec::new();
    for event in api.app.store.all_inviting().into_keys() {
        let from = match after {
            Some((last, _)) if event < *last => continue,
            Some((last, user)) if event == *last => user.saturating_add(1),
            _ => 0,
        };
        let states = InvitationState::ALL.into_iter().filter(|state| is_unsent(*state));
        let users = states.fold(RoaringBitmap::new(), |all, state| all | in_state(api, &event, state));
        let room = limit - found.len();
        found.extend(users.range(from..).take(room).map(|user| (event.clone(), user)));
        if found.len() == limit {
            break;
        }
    }
    found
}

const fn is_unsent(state: InvitationState) -> bool {
    !matches!(state, InvitationState::Sent | InvitationState::Skipped)
}

/// Queues an invitation again, whatever became of it; one that is to be tried later is tried at once. The mail bears another
/// id than the ones before.
#[utoipa::path(post, path = "/v1/outbox/{id}/resend", operation_id = "resend_invitation", params(OutboxPath),
    responses(
        (status = 204, description = "Queued"),
        (status = 404, description = "No such user, or never invited"),
        (status = 409, description = "It is being sent, or the user no longer attends"),
        (status = 507, description = "The disk is full"),
    ))]
pub async fn resend(
    State(api): State<Shared>,
    Extension(caller): Extension<Caller>,
    Path(OutboxPath { id }): Path<OutboxPath>,
    _: Query<Nothing>,
) -> Result<StatusCode, Problem> {
    api.event(&id.event)?;
    let work = move |desk: &Desk<'_>| desk.resend_invitation(id.user, &id.event);
    let done = api.app.runner.by_hand(api.actor(caller), work).await;
    done.map_err(api.refused("write that an invitation is sent again"))?;
    Ok(StatusCode::NO_CONTENT)
}

/// Notes that an invitation that was sent came back.
#[utoipa::path(post, path = "/v1/events/{event}/attendees/{user}/invitation/bounced",
    operation_id = "bounce_invitation", params(AttendeePath),
    responses(
        (status = 204, description = "Noted"),
        (status = 404, description = "No such event or user, or never invited"),
        (status = 409, description = "It was not sent"),
        (status = 507, description = "The disk is full"),
    ))]
pub async fn bounced(
    State(api): State<Shared>,
    Extension(caller): Extension<Caller>,
    Path(AttendeePath { event, user }): Path<AttendeePath>,
    _: Query<Nothing>,
) -> Result<StatusCode, Problem> {
    api.event(&event)?;
    let work = move |desk: &Desk<'_>| desk.bounce_invitation(user, &event);
    let done = api.app.runner.by_hand(api.actor(caller), work).await;
    done.map_err(api.refused("write that an invitation came back"))?;
    Ok(StatusCode::NO_CONTENT)
}
