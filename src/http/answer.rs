//! The answers about one person, written in one go, and those about many, a piece at a time.

use std::io;

use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::{BufMut as _, Bytes, BytesMut};
use futures_util::Stream;
use serde::Serialize;

use super::problem::{Kind, Problem};
use crate::limits::API_ANSWER_ROOM_BYTES;

/// A JSON answer for which room is made before it is written. Growing bit by bit costs as much as writing it.
pub struct Answer<T>(pub T);

impl<T: Serialize> IntoResponse for Answer<T> {
    fn into_response(self) -> Response {
        let mut body = BytesMut::with_capacity(API_ANSWER_ROOM_BYTES).writer();
        if serde_json::to_writer(&mut body, &self.0).is_err() {
            return Problem::new(Kind::Internal, "the answer cannot be written").into_response();
        }
        let kind = (header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        ([kind], body.into_inner().freeze()).into_response()
    }
}

/// Lines of JSON (NDJSON), made as fast as they are taken, as they are now: nobody is to keep them.
pub fn lines(pieces: impl Stream<Item = io::Result<Bytes>> + Send + 'static) -> Response {
    let kind = HeaderValue::from_static("application/x-ndjson");
    let headers = [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    (headers, Body::from_stream(pieces)).into_response()
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn an_answer_is_its_json_however_long() {
        for text in [String::new(), "ä\"".repeat(API_ANSWER_ROOM_BYTES)] {
            let response = Answer(&text).into_response();
            assert_eq!(response.headers()[header::CONTENT_TYPE], "application/json");
            let body = response.into_body().collect().await.unwrap().to_bytes();
            assert_eq!(serde_json::from_slice::<String>(&body).unwrap(), text);
        }
    }
}
