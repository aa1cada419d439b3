//! The one table of routes.

use std::sync::Arc;

use axum::Router;
use axum::handler::Handler;
use axum::http::Method;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodFilter, MethodRouter, on};

use super::api::{Api, Shared};
use super::auth::{Guarded, Scope};
use super::layers::around;
use super::openapi;
use super::problem::{Kind, Problem};
use super::routes::{
    access, attendees, audiences, audit, badges, changes, decide, erasures, events, explain, export, follow, groups,
    health, hooks, invitations, keys, logins, mappings, pauses, preview, review, runs, sources, sync, tokens, users,
    writebacks,
};
use crate::app::App;

const GET: Method = Method::GET;
const PUT: Method = Method::PUT;
const POST: Method = Method::POST;
const PATCH: Method = Method::PATCH;
const DELETE: Method = Method::DELETE;

const ANYBODY: Option<Scope> = None;
const READ: Option<Scope> = Some(Scope::Read);
const SYNC: Option<Scope> = Some(Scope::Sync);
const ADMIN: Option<Scope> = Some(Scope::Admin);
const APP: Option<Scope> = Some(Scope::App);
const METRICS: Option<Scope> = Some(Scope::Metrics);

/// Every route, with the scope its token needs.
fn table() -> Vec<Route> {
    vec![
        route(GET, "/healthz", ANYBODY, health::live),
        route(GET, "/readyz", ANYBODY, health::ready),
        route(GET, "/openapi.json", ANYBODY, openapi::document),
        route(GET, "/metrics", METRICS, health::metrics),
        route(GET, "/v1/status", READ, health::status),
        route(GET, "/v1/events", READ, events::list),
        route(GET, "/v1/events/{event}", READ, events::get),
        route(PUT, "/v1/events/{event}", ADMIN, events::put),
        route(DELETE, "/v1/events/{event}", ADMIN, events::delete),
        route(GET, "/v1/events/{event}/mapping/{source}", READ, mappings::get),
        route(PUT, "/v1/events/{event}/mapping/{source}", ADMIN, mappings::put),
        route(POST, "/v1/events/{event}/sync", SYNC, sync::start),
        route(POST, "/v1/events/{event}/pause", ADMIN, pauses::pause),
        route(POST, "/v1/events/{event}/resume", ADMIN, pauses::resume),
        route(POST, "/v1/events/{event}/preview", ADMIN, preview::preview),
        route(POST, "/v1/events/{event}/explain", READ, explain::explain),
        route(POST, "/v1/events/{event}/explain/live", SYNC, explain::live),
        route(GET, "/v1/events/{event}/review", READ, review::list),
        route(GET, "/v1/events/{event}/attendees", READ, attendees::list),
        route(GET, "/v1/events/{event}/attendees/{user}", READ, attendees::get),
        route(PUT, "/v1/events/{event}/attendees/{user}", ADMIN, attendees::put),
        route(DELETE, "/v1/events/{event}/attendees/{user}", ADMIN, attendees::delete),
        route(GET, "/v1/events/{event}/attendees/{user}/pass", APP, writebacks::pass),
        route(POST, "/v1/events/{event}/attendees/{user}/pass/rotate", APP, writebacks::rotate),
        route(GET, "/v1/events/{event}/writeback", READ, writebacks::get),
        route(POST, "/v1/events/{event}/writeback", SYNC, writebacks::send),
        route(POST, "/v1/events/{event}/access", APP, access::check),
        route(PUT, "/v1/events/{event}/attendees/{user}/access", APP, access::put_access),
        route(PUT, "/v1/users/{user}/account", APP, access::put_account),
        route(POST, "/v1/events/{event}/badges/check", SYNC, badges::check),
        route(POST, "/v1/audiences", READ, audiences::list),
        route(POST, "/v1/audiences/size", READ, audiences::size),
        route(POST, "/v1/events/{event}/attendees/{user}/invitation/bounced", ADMIN, invitations::bounced),
        route(GET, "/v1/events/{event}/invitation", READ, invitations::get),
        route(PUT, "/v1/events/{event}/invitation", ADMIN, invitations::put),
        route(POST, "/v1/events/{event}/invitation/preview", ADMIN, invitations::preview),
        route(POST, "/v1/events/{event}/invitation/hold", ADMIN, invitations::hold),
        route(POST, "/v1/events/{event}/invitation/release", ADMIN, invitations::release),
        route(GET, "/v1/outbox", READ, invitations::outbox),
        route(POST, "/v1/outbox/{id}/resend", ADMIN, invitations::resend),
        route(GET, "/v1/users", READ, users::list),
        route(GET, "/v1/users/{user}", READ, users::get),
        route(PATCH, "/v1/users/{user}", ADMIN, users::edit),
        route(PUT, "/v1/users/{user}/protected", ADMIN, users::protect),
        route(POST, "/v1/users/lookup", READ, users::look_up),
        route(DELETE, "/v1/users/{user}", ADMIN, erasures::erase),
        route(GET, "/v1/users/{user}/export", ADMIN, export::export),
        route(GET, "/v1/groups", READ, groups::list),
        route(GET, "/v1/groups/{group}", READ, groups::get),
        route(PUT, "/v1/groups/{group}", ADMIN, groups::put),
        route(DELETE, "/v1/groups/{group}", ADMIN, groups::delete),
        route(GET, "/v1/groups/{group}/members", READ, groups::members),
        route(PUT, "/v1/groups/{group}/members/{user}", ADMIN, groups::put_member),
        route(DELETE, "/v1/groups/{group}/members/{user}", ADMIN, groups::delete_member),
        route(GET, "/v1/runs", READ, runs::list),
        route(GET, "/v1/runs/{run}", READ, runs::get),
        route(GET, "/v1/runs/{run}/changes", READ, changes::list),
        route(GET, "/v1/runs/{run}/log", READ, runs::log),
        route(GET, "/v1/runs/{run}/events", READ, follow::follow),
        route(POST, "/v1/runs/{run}/cancel", SYNC, runs::cancel),
        route(POST, "/v1/runs/{run}/approve", ADMIN, decide::approve),
        route(POST, "/v1/runs/{run}/reject", ADMIN, decide::reject),
        route(POST, "/v1/runs/{run}/undo", ADMIN, decide::undo),
        route(GET, "/v1/sources", READ, sources::list),
        route(GET, "/v1/sources/{source}", READ, sources::get),
        route(POST, "/v1/sources/{source}/hook", ANYBODY, hooks::signed),
        route(POST, "/v1/sources/{source}/hook/{secret}", ANYBODY, hooks::by_path),
        route(GET, "/v1/login/{source}", ANYBODY, logins::begin),
        route(GET, "/v1/login/{source}/callback", ANYBODY, logins::end),
        route(POST, "/v1/login/exchange", APP, logins::exchange),
        route(POST, "/v1/profiles/{source}", APP, logins::sign_in),
        route(GET, "/v1/profiles/{source}/{user}", APP, logins::get),
        route(DELETE, "/v1/profiles/{source}/{user}", APP, logins::sign_out),
        route(POST, "/v1/users/{user}/refresh", APP, logins::refresh),
        route(POST, "/v1/keys/rotate", ADMIN, keys::rotate),
        route(GET, "/v1/erasures", ADMIN, erasures::list),
        route(GET, "/v1/tombstones", ADMIN, erasures::tombstones),
        route(DELETE, "/v1/tombstones/{id}", ADMIN, erasures::lift),
        route(POST, "/v1/compact", ADMIN, erasures::compact),
        route(GET, "/v1/audit", ADMIN, audit::list),
        route(GET, "/v1/tokens", ADMIN, tokens::list),
        route(POST, "/v1/tokens", ADMIN, tokens::create),
        route(DELETE, "/v1/tokens/{id}", ADMIN, tokens::delete),
    ]
}

/// A route as the outside sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteSpec {
    pub method: Method,
    /// With `{names}` for its parts.
    pub path: &'static str,
    /// `None`: for anybody.
    pub scope: Option<Scope>,
}

struct Route {
    spec: RouteSpec,
    endpoint: MethodRouter<Shared>,
}

fn route<H: Handler<T, Shared>, T: 'static>(
    method: Method,
    path: &'static str,
    scope: Option<Scope>,
    handler: H,
) -> Route {
    let filter = MethodFilter::try_from(method.clone()).expect("the table uses methods that routes can have");
    let endpoint = match scope {
        Some(scope) => on(filter, Guarded { scope, handler }),
        None => on(filter, handler),
    };
    Route { spec: RouteSpec { method, path, scope }, endpoint }
}

/// Every route there is.
pub fn routes() -> Vec<RouteSpec> {
    table().into_iter().map(|route| route.spec).collect()
}

/// The API of an appliance. Cheap enough to be made for one request.
pub fn router(app: &App) -> Router {
    let api = Api::new(app);
    let mut router = Router::new();
    for Route { spec, endpoint } in table() {
        router = router.route(spec.path, endpoint);
    }
    router
        .fallback(|| async { Problem::not_found("there is no such path; /openapi.json lists them") })
        .method_not_allowed_fallback(|| async {
            Problem::new(Kind::MethodNotAllowed, "the Allow header names the methods of this path")
        })
        .layer(from_fn_with_state(Arc::clone(&api), around))
        .with_state(api)
}
