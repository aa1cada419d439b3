//! Hooks: what sources say by themselves.
//!
//! No token is asked for: a hook is proved by its signature, or by the secret in its path.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use tokio::time::Instant;
use utoipa::IntoParams;

use super::sources::SourcePath;
use crate::config::HookSpec;
use crate::http::api::{Api, Shared};
use crate::http::auth::unauthenticated;
use crate::http::extract::{Path, name, read_body};
use crate::http::problem::{Kind, Problem};
use crate::http::shapes::Name;
use crate::http::signature::{Hook, check};
use crate::model::SourceName;
use crate::observe::HookOutcome;
use crate::sync::{HookError, Unreadable};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct SecretPath {
    /// 1 to 64 characters of `a-z`, `0-9`, `-` and `_`.
    #[param(value_type = Name, inline)]
    #[serde(deserialize_with = "name")]
    source: SourceName,
    /// The `path_secret` of the source's `hook`.
    secret: String,
}

/// Takes a signed hook of a source. The body is JSON as the source sends it, whatever its type is said to be. It is a hint: the
/// records that it names are read, or everything is.
#[utoipa::path(post, path = "/v1/sources/{source}/hook", operation_id = "take_hook", params(SourcePath),
    responses(
        (status = 202, description = "Taken, or taken before"),
        (status = 400, description = "The name of the source is malformed, or the body is not JSON"),
        (status = 401, description = "It is not signed as the source's `hook` says, or more than 5 minutes old"),
        (status = 404, description = "No such source, or it has no hooks"),
        (status = 422, description = "`ids` or `event` of the source's `hook` do not fit the body"),
        (status = 503, description = "The server is stopping"),
    ))]
pub async fn signed(
    State(api): State<Shared>,
    Path(SourcePath { source }): Path<SourcePath>,
    request: Request,
) -> Result<Response, Problem> {
    take(api, source, None, request).await
}

/// Takes a hook of a source that does not sign: the secret in the path proves it.
#[utoipa::path(post, path = "/v1/sources/{source}/hook/{secret}", operation_id = "take_secret_hook", params(SecretPath),
    responses(
        (status = 202, description = "Taken, or taken before"),
        (status = 400, description = "The path is malformed, or the body is not JSON"),
        (status = 401, description = "The secret is not the source's"),
        (status = 404, description = "No such source, or it has no hooks"),
        (status = 422, description = "`ids` or `event` of the source's `hook` do not fit the body"),
        (status = 503, description = "The server is stopping"),
    ))]
pub async fn by_path(
    State(api): State<Shared>,
    Path(SecretPath { source, secret }): Path<SecretPath>,
    request: Request,
) -> Result<Response, Problem> {
    take(api, source, Some(secret), request).await
}

async fn take(api: Shared, source: SourceName, secret: Option<String>, request: Request) -> Result<Response, Problem> {
    let came = Instant::now();
    let spec = hook_of(&api, &source).ok_or_else(|| Problem::not_found("no hooks are taken here"))?;
    let headers = request.headers().clone();
    let body = read_body(request, &api).await?;
    let hook = Hook { headers: &headers, body: &body, path_secret: secret.as_deref() };
    let digest = match check(&spec.proof, &hook, api.app.clock.now()) {
        Ok(digest) => digest,
        Err(refusal) => {
            api.app.observer.hook(&source, HookOutcome::Refused);
            return Ok(unauthenticated(&api, refusal, came).await);
        }
    };
    let taken = api.blocking(move |api| api.app.hooks.take(&source, &spec, digest, body).map_err(problem));
    taken.await?;
    Ok(StatusCode::ACCEPTED.into_response())
}

fn hook_of(api: &Api, source: &SourceName) -> Option<Arc<HookSpec>> {
    api.app.config.sources.get(source)?.hook.clone()
}

fn problem(error: HookError) -> Problem {
    let text = error.to_string();
    match error {
        HookError::Stopping => Problem::stopping(),
        HookError::Unreadable(Unreadable::NotJson) => Problem::new(Kind::BadRequest, text),
        HookError::Unreadable(Unreadable::Expression { .. }) => {
            Problem::new(Kind::Invalid, text).hint("try the expression on the body with jq")
        }
    }
}
