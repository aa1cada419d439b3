//! The description of the API (OpenAPI 3.1), made from the routes' own attributes and the table of routes.

use std::sync::LazyLock;

use axum::http::{Method, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::schema::{Object, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{ContentBuilder, HeaderBuilder, Ref, RefOr, ResponseBuilder};
use utoipa::{Modify, OpenApi};

use super::problem::{MEDIA_TYPE, ProblemView};
use super::router::{RouteSpec, routes};
use super::routes::{
    access, attendees, audiences, audit, badges, changes, decide, erasures, events, explain, export, follow, groups,
    health, hooks, invitations, keys, logins, mappings, pauses, preview, review, runs, sources, sync, tokens, users,
    writebacks,
};

/// The name of the security scheme.
const TOKEN: &str = "token";

#[derive(OpenApi)]
#[openapi(
    info(title = "Rollcall", description = "Keeps an event's attendees in step with the registration system they come \
        from.\n\nApart from what each route answers: 404 to a path that no route has; 405 to a method that the path \
        does not take, with `Allow`; and 400, 414 or 431, without a body and with the connection's end, to what is no \
        HTTP request or has too long a URI or too many headers."),
    paths(
        health::live, health::ready, document, health::metrics, health::status,
        events::list, events::get, events::put, events::delete, sync::start,
        pauses::pause, pauses::resume, preview::preview,
        review::list, explain::explain, explain::live,
        attendees::list, attendees::get, attendees::put, attendees::delete,
        access::check, access::put_access, access::put_account, audiences::list, audiences::size, badges::check,
        invitations::bounced, invitations::get, invitations::put, invitations::preview, invitations::hold,
        invitations::release, mappings::get, mappings::put, writebacks::get, writebacks::send, writebacks::pass, writebacks::rotate, invitations::outbox, invitations::resend,
        users::list, users::get, users::edit, users::protect, users::look_up, erasures::erase, export::export,
        groups::list, groups::get, groups::put, groups::delete,
        groups::members, groups::put_member, groups::delete_member,
        runs::list, runs::get, changes::list, runs::log, follow::follow, runs::cancel,
        decide::approve, decide::reject, decide::undo,
        sources::list, sources::get, hooks::signed, hooks::by_path,
        logins::begin, logins::end, logins::exchange, logins::sign_in, logins::get, logins::sign_out, logins::refresh,
        keys::rotate,
        erasures::list, erasures::tombstones, erasures::lift, erasures::compact, audit::list,
        tokens::list, tokens::create, tokens::delete,
    ),
    components(schemas(ProblemView)),
    modifiers(&FromTable),
)]
struct Description;

/// The table's part of the description: scopes, and what every problem looks like.
struct FromTable;

impl Modify for FromTable {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("A token of this server."));
        let components = openapi.components.get_or_insert_default();
        components.add_security_scheme(TOKEN, SecurityScheme::Http(scheme.build()));
        for route in routes() {
            let item = openapi.paths.paths.get_mut(route.path);
            if let Some(operation) = item.and_then(|item| operation_of(item, &route)) {
                describe(operation, &route);
            }
        }
    }
}

fn operation_of<'a>(item: &'a mut PathItem, route: &RouteSpec) -> Option<&'a mut Operation> {
    match route.method.as_str() {
        "GET" => item.get.as_mut(),
        "PUT" => item.put.as_mut(),
        "POST" => item.post.as_mut(),
        "DELETE" => item.delete.as_mut(),
        "PATCH" => item.patch.as_mut(),
        _ => None,
    }
}

fn describe(operation: &mut Operation, route: &RouteSpec) {
    let resource = route.path.trim_start_matches("/v1/").trim_start_matches('/').split('/').next();
    operation.tags = resource.map(|resource| vec![resource.to_owned()]);
    // An empty list says that no token is needed; roles stand where OAuth has its scopes (OpenAPI 3.1, §4.8.30).
    operation.security = Some(match route.scope {
        Some(scope) => vec![SecurityRequirement::new(TOKEN, [scope.as_str()])],
        None => Vec::new(),
    });
    let takes_json = operation.request_body.is_some();
    let responses = &mut operation.responses.responses;
    for (status, words) in answers_of_every(route, takes_json) {
        let problem = ResponseBuilder::new().description(words).content(MEDIA_TYPE, problem_content());
        responses.entry(status.to_owned()).or_insert_with(|| RefOr::T(problem.build()));
    }
    for (status, response) in responses.iter_mut() {
        let RefOr::T(response) = response else { continue };
        if response.description.is_empty() {
            response.description = "What was asked for".to_owned();
        }
        // A response that says what it holds is no problem document.
        if status.starts_with(['4', '5']) && response.content.is_empty() {
            response.content.insert(MEDIA_TYPE.to_owned(), problem_content());
        }
        if matches!(status.as_str(), "401" | "403") {
            let challenge = HeaderBuilder::new().schema(Object::with_type(Type::String));
            let challenge = challenge.description(Some("The challenge (RFC 6750 §3)"));
            response.headers.insert(header::WWW_AUTHENTICATE.as_str().to_owned(), challenge.build());
        }
    }
}

/// What a route answers because of what it is, whatever it does: status and words.
fn answers_of_every(route: &RouteSpec, takes_json: bool) -> Vec<(&'static str, &'static str)> {
    let mut answers = vec![("413", "The body is too large")];
    if route.scope.is_some() {
        answers.extend([
            ("400", "The path, the query or the body's JSON is malformed"),
            ("401", "No token of this server was sent"),
            ("403", "The token does not have the scope"),
            ("500", "The server failed"),
            ("503", "The server is stopping, or opens its store again"),
        ]);
    }
    // A route that takes no settings still takes an empty object.
    if matches!(route.method, Method::POST | Method::PUT | Method::PATCH) {
        answers.extend([("408", "The body came too slowly"), ("422", "The body is not what this route takes")]);
    }
    if takes_json {
        answers.push(("415", "The body's type is not JSON"));
    }
    answers
}

fn problem_content() -> utoipa::openapi::Content {
    ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build()
}

static DOCUMENT: LazyLock<Bytes> = LazyLock::new(|| {
    // Plain structures with string keys always serialise.
    Description::openapi().to_json().unwrap_or_default().into()
});

/// This description.
#[utoipa::path(get, path = "/openapi.json", operation_id = "openapi",
    responses((status = 200, body = Value, description = "OpenAPI 3.1")))]
pub async fn document() -> Response {
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "max-age=3600")];
    (headers, DOCUMENT.clone()).into_response()
}
