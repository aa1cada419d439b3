//! People sign in with the organiser's identity system.
//!
//! The first two routes are for browsers and take no token: what a browser began is sealed into its own cookie.

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::sources::SourcePath;
use super::users::{UserPath, find};
use crate::http::answer::Answer;
use crate::http::api::{Api, Shared};
use crate::http::auth::Caller;
use crate::http::extract::{Body, EmptyBody, Nothing, Path, Query, name};
use crate::http::problem::{Kind, Problem};
use crate::http::shapes::Name;
use crate::http::view::{RefreshView, SignInView, SignedInView, SignedOutView, UserView};
use crate::limits::{ACCESS_TOKEN_LIFE_MAX, APP_STATE_BYTES_MAX, LOGIN_ATTEMPT_LIFE, TOKEN_BYTES_MAX};
use crate::login::{Begun, Brought, COOKIE_PREFIX, Denial, HandedOver, Landed};
use crate::model::{SourceName, UserId};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct ProfilePath {
    /// 1 to 64 characters of `a-z`, `0-9`, `-` and `_`.
    #[param(value_type = Name, inline)]
    #[serde(deserialize_with = "name")]
    source: SourceName,
    /// The user's id.
    #[param(value_type = String, format = "uuid")]
    user: UserId,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct BeginQuery {
    /// Where to go in the end: one of the source's `return_to`, to the letter; the first of them where it is left out.
    return_to: Option<String>,
    /// Goes back there as it is; at most 1 KiB.
    state: Option<String>,
}

/// What a provider adds to the address beyond this is its own matter.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct CallbackQuery {
    state: Option<String>,
    code: Option<String>,
    /// The provider's name for itself (RFC 9207).
    iss: Option<String>,
    error: Option<String>,
}

/// A one-time code, as a browser brought it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Exchange {
    code: String,
}

/// The tokens of somebody who signed in with the app itself.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProfileTokens {
    access_token: String,
    /// Without it, the profile stays as it is once the access token has ended.
    refresh_token: Option<String>,
    /// Proves that the tokens were made for this app.
    id_token: Option<String>,
    /// In how many seconds the access token ends, as its provider said.
    expires_in: Option<u64>,
    /// When it ends, where that is known instead.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
}

/// Sends a browser to the source's identity provider, to sign in there.
#[utoipa::path(get, path = "/v1/login/{source}", operation_id = "begin_login", params(SourcePath, BeginQuery),
    responses(
        (status = 303, description = "To the provider; a cookie tells this browser from others"),
        (status = 400, description = "The path or the query is malformed, or `return_to` is not allowed"),
        (status = 404, description = "No such source, or nobody signs in with it"),
        (status = 503, description = "The provider gives no useful answer, or the server is stopping"),
    ))]
pub async fn begin(
    State(api): State<Shared>,
    Path(SourcePath { source }): Path<SourcePath>,
    Query(BeginQuery { return_to, state }): Query<BeginQuery>,
) -> Result<Response, Problem> {
    if state.as_ref().is_some_and(|state| state.len() > APP_STATE_BYTES_MAX) {
        return Err(Problem::at(Kind::BadRequest, "state", format!("at most {APP_STATE_BYTES_MAX} bytes")));
    }
    let begun = api.app.logins.begin(&source, return_to.as_deref(), state).await;
    let Begun { url, cookie, sealed, path, is_secure } = begun.map_err(|denial| problem(&api, denial))?;
    let (secure, life) = (if is_secure { "; Secure" } else { "" }, LOGIN_ATTEMPT_LIFE.as_secs());
    let cookie = format!("{cookie}={sealed}; Path={path}; Max-Age={life}; HttpOnly; SameSite=Lax{secure}");
    Ok(sent_to(url.as_str(), &cookie))
}

/// Takes a browser back from the provider, and sends it on to the app: with `code`, good once and for a minute, or with `error`.
#[utoipa::path(get, path = "/v1/login/{source}/callback", operation_id = "end_login", params(SourcePath, CallbackQuery),
    responses(
        (status = 303, description = "To the app, with `code` or `error`, and its `state`"),
        (status = 400, description = "The path or the query is malformed, or this browser began no such sign-in"),
        (status = 404, description = "No such source, or nobody signs in with it"),
        (status = 503, description = "The server is stopping"),
    ))]
pub async fn end(
    State(api): State<Shared>,
    Path(SourcePath { source }): Path<SourcePath>,
    Query(CallbackQuery { state, code, iss, error }): Query<CallbackQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let brought = Brought { state: state.map(SecretString::from), code: code.map(SecretString::from), iss, error };
    let landed = api.app.logins.end(&source, brought, |name| cookie(&headers, name)).await;
    let Landed { url, cookie, path } = landed.map_err(|denial| problem(&api, denial))?;
    Ok(sent_to(url.as_str(), &format!("{cookie}=; Path={path}; Max-Age=0; HttpOnly; SameSite=Lax")))
}

/// Whom a one-time code stands for.
#[utoipa::path(post, path = "/v1/login/exchange", operation_id = "exchange_login_code", request_body = Exchange,
    responses(
        (status = 200, body = SignedInView),
        (status = 404, description = "No such code, or it was used, or it is more than a minute old"),
    ))]
pub async fn exchange(
    State(api): State<Shared>,
    _: Query<Nothing>,
    Body(Exchange { code }): Body<Exchange>,
) -> Result<Answer<SignedInView>, Problem> {
    let Some((source, user)) = api.app.logins.exchange(&code.into()) else {
        api.app.observer.auth_failed("code");
        return Err(Problem::not_found("no such code: it is good once, for a minute").hint("sign in again"));
    };
    let user = UserView::of(find(&api, user)?, &api.app.runner);
    Ok(Answer(SignedInView { source, user }))
}

/// Signs somebody in whose login the app ran itself: takes their profile and keeps their tokens.
#[utoipa::path(post, path = "/v1/profiles/{source}", operation_id = "sign_in", params(SourcePath),
    request_body = ProfileTokens,
    responses(
        (status = 200, body = SignedInView),
        (status = 404, description = "No such source, or nobody signs in with it"),
        (status = 409, description = "The email is another user's, or the person was erased and is to stay out"),
        (status = 422, description = "The tokens prove nothing, or the profile lacks what a user needs"),
    ))]
pub async fn sign_in(
    State(api): State<Shared>,
    Path(SourcePath { source }): Path<SourcePath>,
    _: Query<Nothing>,
    Body(tokens): Body<ProfileTokens>,
) -> Result<Answer<SignedInView>, Problem> {
    let handed = handed_over(tokens, api.app.clock.now())?;
    let user = api.app.logins.hand_over(&source, handed).await.map_err(|denial| problem(&api, denial))?;
    let user = UserView::of(find(&api, user)?, &api.app.runner);
    Ok(Answer(SignedInView { source, user }))
}

/// How a user's sign-in with a source stands.
#[utoipa::path(get, path = "/v1/profiles/{source}/{user}", operation_id = "get_sign_in", params(ProfilePath),
    responses(
        (status = 200, body = SignInView),
        (status = 404, description = "No such user, or they are not signed in with the source"),
    ))]
pub async fn get(
    State(api): State<Shared>,
    Path(ProfilePath { source, user }): Path<ProfilePath>,
    _: Query<Nothing>,
) -> Result<Json<SignInView>, Problem> {
    let person = find(&api, user)?;
    let signed_in = api.app.logins.sign_in_of(&source, &person).map_err(api.store_failed("read a sign-in"))?;
    signed_in.map(|sign_in| Json(SignInView::from(sign_in))).ok_or_else(not_signed_in)
}

/// Signs a user out of a source: their tokens are revoked, where the provider offers that, and forgotten. Their profile stays.
#[utoipa::path(delete, path = "/v1/profiles/{source}/{user}", operation_id = "sign_out", params(ProfilePath),
    responses(
        (status = 200, body = SignedOutView),
        (status = 404, description = "No such user, or they are not signed in with the source"),
    ))]
pub async fn sign_out(
    State(api): State<Shared>,
    Extension(caller): Extension<Caller>,
    Path(ProfilePath { source, user }): Path<ProfilePath>,
    _: Query<Nothing>,
    _: EmptyBody,
) -> Result<Json<SignedOutView>, Problem> {
    let person = find(&api, user)?;
    let done = api.app.logins.sign_out(&source, &person, api.actor(caller)).await;
    let done = done.map_err(|denial| problem(&api, denial))?.ok_or_else(not_signed_in)?;
    Ok(Json(SignedOutView { revoked: done.is_revoked }))
}

/// Has a user's profile asked for anew behind the answer, which is what is known of them now: for the app to call when somebody
/// opens the event or their profile. Nobody is asked about more often than the source's `min_interval`.
#[utoipa::path(post, path = "/v1/users/{user}/refresh", operation_id = "refresh_profile", params(UserPath),
    responses((status = 200, body = RefreshView), (status = 404, description = "No such user")))]
pub async fn refresh(
    State(api): State<Shared>,
    Path(path): Path<UserPath>,
    _: Query<Nothing>,
    _: EmptyBody,
) -> Result<Answer<RefreshView>, Problem> {
    let person = find(&api, path.user)?;
    let refresh = api.app.logins.refresh(&person).map_err(api.store_failed("read a sign-in"))?;
    Ok(Answer(RefreshView { refresh: refresh.into(), user: UserView::of(person, &api.app.runner) }))
}

fn handed_over(tokens: ProfileTokens, now: Timestamp) -> Result<HandedOver, Problem> {
    let ProfileTokens { access_token, refresh_token, id_token, expires_in, expires_at } = tokens;
    let all = [
        ("access_token", Some(&access_token)),
        ("refresh_token", refresh_token.as_ref()),
        ("id_token", id_token.as_ref()),
    ];
    for (field, token) in all {
        if token.is_some_and(|token| token.is_empty() || token.len() > TOKEN_BYTES_MAX || !token.is_ascii()) {
            let detail = format!("a token is 1 to {TOKEN_BYTES_MAX} ASCII characters");
            return Err(Problem::at(Kind::Invalid, field, detail));
        }
    }
    let life = expires_in.map(|seconds| seconds.min(ACCESS_TOKEN_LIFE_MAX.as_secs()));
    let ends = life.map(|seconds| now.saturating_add(SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(0))));
    Ok(HandedOver {
        access: access_token.into(),
        id_token: id_token.map(SecretString::from),
        refresh: refresh_token.map(SecretString::from),
        expires_at: ends.and_then(Result::ok).or(expires_at),
    })
}

fn not_signed_in() -> Problem {
    Problem::not_found("the user is not signed in with this source")
}

fn sent_to(url: &str, cookie: &str) -> Response {
    // Both are made of characters that headers carry: a URL, and base64 beside names of ours.
    let text = |text: &str| HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""));
    let headers = [
        (header::LOCATION, text(url)),
        (header::SET_COOKIE, text(cookie)),
        // The address that the browser comes from holds a code.
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    (StatusCode::SEE_OTHER, headers).into_response()
}

/// The cookie of that name, which is one of ours (RFC 6265 §4.2).
fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    debug_assert!(name.starts_with(COOKIE_PREFIX));
    let pairs = headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    let mut pairs = pairs.flat_map(|pairs| pairs.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(found, _)| *found == name).map(|(_, value)| value.to_owned())
}

/// What whoever asks is told of a denial. A browser that began nothing here learns nothing else.
fn problem(api: &Api, denial: Denial) -> Problem {
    let text = denial.to_string();
    let again = "sign in again from the app";
    match denial {
        Denial::UnknownSource => Problem::not_found(text),
        Denial::ReturnTo => Problem::at(Kind::BadRequest, "return_to", text),
        Denial::Session | Denial::State | Denial::Replayed => Problem::new(Kind::BadRequest, text).hint(again),
        Denial::Denied | Denial::Unknown | Denial::Unbelievable(_) => Problem::new(Kind::Invalid, text).hint(again),
        Denial::Rejected(_) => {
            Problem::new(Kind::Invalid, text).hint("look at the source's mapping, and at the profile in the provider")
        }
        Denial::EmailTaken => Problem::new(Kind::EmailTaken, text),
        Denial::Erased => Problem::conflict(text).hint("`rollcall tombstones` lists who is to stay out"),
        Denial::Unavailable => Problem::new(Kind::Unavailable, text).hint("the server's log says why; ask again soon"),
        Denial::Busy => Problem::new(Kind::Busy, text).hint("a sync plans or commits: ask again soon"),
        Denial::Stopping => Problem::stopping(),
        Denial::Store(error) => api.store_failed("write a sign-in")(error),
    }
}
