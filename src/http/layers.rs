//! What happens to every request, whatever its route.

use std::time::Instant;

use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::api::Shared;
use super::extract::too_large;
use crate::limits::API_BODY_BYTES_MAX;

/// Refuses what is too large, answers, hardens the answer and tells the observer.
///
/// One layer for all of it: each would copy what is behind it for every request.
pub async fn around(State(api): State<Shared>, mut request: Request, next: Next) -> Response {
    let began = Instant::now();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let method = method_label(request.method());
    let mut response = if announces_too_much(request.headers()) {
        too_large().into_response()
    } else {
        DefaultBodyLimit::max(API_BODY_BYTES_MAX).apply(&mut request);
        next.run(request).await
    };
    harden(response.headers_mut());
    // A path that no route has is told as `unmatched`, so that a scan does not make series.
    let route = route.as_ref().map_or("unmatched", MatchedPath::as_str);
    api.app.observer.http_request(route, method, response.status().as_u16(), began.elapsed());
    response
}

/// Methods are any word a client likes; labels are these.
fn method_label(method: &Method) -> &'static str {
    const KNOWN: [(Method, &str); 7] = [
        (Method::GET, "GET"),
        (Method::HEAD, "HEAD"),
        (Method::POST, "POST"),
        (Method::PUT, "PUT"),
        (Method::PATCH, "PATCH"),
        (Method::DELETE, "DELETE"),
        (Method::OPTIONS, "OPTIONS"),
    ];
    KNOWN.iter().find(|(known, _)| known == method).map_or("other", |(_, label)| label)
}

/// A body is refused by its announced length before a byte of it is read.
fn announces_too_much(headers: &HeaderMap) -> bool {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    length.is_some_and(|length: u64| length > API_BODY_BYTES_MAX as u64)
}

/// Answers are what they say they are, and nobody keeps them: nearly all hold personal data.
fn harden(headers: &mut HeaderMap) {
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}
