//! API tokens: making, listing, revoking.
//!
//! Invariant: a token's value is in the answer that makes it, and nowhere else; the store has its digest.

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use secrecy::ExposeSecret;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use utoipa::{IntoParams, ToSchema};

use crate::app::random_token;
use crate::http::api::{Api, Shared};
use crate::http::auth::{Caller, Scope};
use crate::http::extract::{Body, Nothing, Path, Query};
use crate::http::paging::{Cursor, ListQuery, Page};
use crate::http::problem::{FieldError, Kind, Problem};
use crate::http::view::{NewTokenView, TokenView};
use crate::limits::{API_TOKEN_NAME_BYTES_MAX, API_TOKENS_MAX};
use crate::model::{AuditAction, AuditEntry};
use crate::store::{ChangeSet, StoredToken, TokenWrite};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct TokenPath {
    /// The token's id: 12 hexadecimal digits.
    #[param(pattern = "^[0-9a-f]{12}$")]
    id: String,
}

/// A token to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TokenSettings)]
pub struct NewToken {
    /// Whose it is; 1 to 64 bytes on one line.
    #[schema(min_length = 1, max_length = 64)]
    name: String,
    /// What it allows; at least one.
    #[schema(min_items = 1)]
    scopes: Vec<Scope>,
}

impl NewToken {
    fn check(&self) -> Result<(), Problem> {
        let mut errors = Vec::new();
        let name = self.name.trim();
        if name.is_empty() || name.len() > API_TOKEN_NAME_BYTES_MAX || name.contains(char::is_control) {
            let detail = format!("must be 1 to {API_TOKEN_NAME_BYTES_MAX} bytes on one line");
            errors.push(FieldError { field: "name".into(), detail });
        }
        if self.scopes.is_empty() {
            let words = Scope::ALL.map(Scope::as_str).join(", ");
            errors.push(FieldError { field: "scopes".into(), detail: format!("give at least one of {words}") });
        }
        if errors.is_empty() { Ok(()) } else { Err(Problem::of(Kind::Invalid, errors)) }
    }

    fn scope_words(&self) -> Vec<String> {
        let held = Scope::ALL.into_iter().filter(|scope| self.scopes.contains(scope));
        held.map(|scope| scope.as_str().to_owned()).collect()
    }
}

/// Lists the tokens by id, without their values.
#[utoipa::path(get, path = "/v1/tokens", operation_id = "list_tokens", params(ListQuery),
    responses((status = 200, body = Page<TokenView>)))]
pub async fn list(State(api): State<Shared>, Query(query): Query<ListQuery>) -> Result<Json<Page<TokenView>>, Problem> {
    let after = query.after("token", |id| Some(id.to_owned()))?;
    let mut tokens: Vec<_> = api.app.store.view().tokens().iter().map(TokenView::from).collect();
    tokens.retain(|token| after.as_ref().is_none_or(|after| token.id > *after));
    tokens.sort_by(|a, b| a.id.cmp(&b.id));
    tokens.truncate(query.limit.and_one());
    Ok(Json(Page::cut(tokens, query.limit, |token| Cursor::after("token", &token.id))))
}

/// Makes a token. Its value is shown this once.
#[utoipa::path(post, path = "/v1/tokens", operation_id = "make_token", request_body = NewToken,
    responses(
        (status = 201, body = NewTokenView),
        (status = 409, description = "There are as many tokens as there may be"),
        (status = 422, description = "The name or the scopes are not valid"),
        (status = 507, description = "The disk is full"),
    ))]
pub async fn create(
    State(api): State<Shared>,
    Extension(caller): Extension<Caller>,
    _: Query<Nothing>,
    Body(new): Body<NewToken>,
) -> Result<(StatusCode, Json<NewTokenView>), Problem> {
    new.check()?;
    if api.app.store.view().tokens().len() >= API_TOKENS_MAX {
        let detail = format!("there are {API_TOKENS_MAX} tokens, as many as there may be");
        return Err(Problem::conflict(detail).hint("revoke those that nobody uses"));
    }
    let token = random_token().map_err(|_| Problem::new(Kind::Internal, "the system gives no random bytes"))?;
    let stored = StoredToken {
        name: new.name.trim().to_owned(),
        sha256: Sha256::digest(token.expose_secret()).into(),
        scopes: new.scope_words(),
        created_at: api.app.clock.now(),
    };
    let made = TokenView::from(&stored);
    let note = format!("{}: {}", stored.name, stored.scopes.join(", "));
    let entry = api.audit(caller, AuditAction::TokenMade, stored.id(), note);
    write(&api, TokenWrite::Put(stored), entry).await?;
    Ok((StatusCode::CREATED, Json(NewTokenView { made, token: token.expose_secret().to_owned() })))
}

/// Revokes a token, at once.
#[utoipa::path(delete, path = "/v1/tokens/{id}", operation_id = "revoke_token", params(TokenPath),
    responses(
        (status = 204, description = "Revoked"),
        (status = 404, description = "No such token"),
        (status = 507, description = "The disk is full"),
    ))]
pub async fn delete(
    State(api): State<Shared>,
    Extension(caller): Extension<Caller>,
    Path(path): Path<TokenPath>,
    _: Query<Nothing>,
) -> Result<StatusCode, Problem> {
    let found = api.app.store.view().tokens().iter().find(|token| token.id().to_string() == path.id).cloned();
    let token = found.ok_or_else(|| Problem::not_found("there is no token with this id"))?;
    let entry = api.audit(caller, AuditAction::TokenRevoked, token.id(), token.name.clone());
    write(&api, TokenWrite::Delete(token), entry).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn write(api: &Api, token: TokenWrite, entry: AuditEntry) -> Result<(), Problem> {
    let set = ChangeSet { token: Some(token), audit: vec![entry], ..ChangeSet::default() };
    api.app.store.commit_async(set).await.map(drop).map_err(api.store_failed("write a token"))
}
