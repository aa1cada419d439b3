//! The vault's keys.

use axum::extract::State;
use axum::{Extension, Json};
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::api::{Api, Shared};
use crate::http::auth::Caller;
use crate::http::extract::{EmptyBody, Nothing, Query};
use crate::http::problem::Problem;
use crate::model::AuditAction;
use crate::store::{ChangeSet, Resealed};

/// What came of changing the vault's key.
#[derive(Serialize, ToSchema)]
pub struct KeyRotation {
    /// The number of the key that seals from now on.
    key: u32,
    /// Values that were sealed anew.
    sealed: u64,
    /// Values that do not open. They stay as they are, and the former keys with them.
    unreadable: u64,
}

/// Makes a new key for people's tokens and seals them anew. The former keys go.
#[utoipa::path(post, path = "/v1/keys/rotate", operation_id = "rotate_key",
    responses((status = 200, body = KeyRotation)))]
pub async fn rotate(
    State(api): State<Shared>,
    Extension(caller): Extension<Caller>,
    _: Query<Nothing>,
    _: EmptyBody,
) -> Result<Json<KeyRotation>, Problem> {
    let rotated = api.blocking(move |api: &Api| {
        let store = &api.app.store;
        let rotated = store.rotate_vault_key().map_err(api.store_failed("write a new key of the vault"))?;
        let Resealed { key, sealed, unreadable } = rotated;
        api.app.observer.vault_sealed_anew(key, sealed, unreadable);
        let note = format!("{sealed} values sealed anew, {unreadable} unreadable");
        let audit = vec![api.audit(caller, AuditAction::KeyRotated, key, note)];
        let written = store.commit(ChangeSet { audit, ..ChangeSet::default() });
        written.map_err(api.store_failed("write the audit log"))?;
        Ok(KeyRotation { key, sealed, unreadable })
    });
    Ok(Json(rotated.await?))
}
