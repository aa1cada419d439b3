//! Erasing people, what keeps them out, and rewriting the store without them.

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::Deserialize;
use utoipa::IntoParams;

use super::users::UserPath;
use crate::http::api::{Api, Shared};
use crate::http::auth::Caller;
use crate::http::extract::{EmptyBody, Nothing, Path, Query};
use crate::http::paging::{Cursor, ListQuery, Page};
use crate::http::problem::{Kind, Problem};
use crate::http::view::{CompactionView, ErasureView, TombstoneView};
use crate::model::{AuditAction, Erasure, ErasureId, TombstoneId};
use crate::store::ChangeSet;
use crate::sync::{EraseError, Failure};

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct EraseQuery {
    /// Keep the person out: neither their address nor one of their records brings them back, until the tombstone is lifted.
    #[serde(default = "yes")]
    #[param(default = true)]
    keep_out: bool,
}

const fn yes() -> bool {
    true
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct TombstonePath {
    /// 16 hexadecimal digits.
    id: String,
}

fn view(api: &Api, id: ErasureId, erasure: Erasure) -> ErasureView {
    let due = api.app.runner.compaction_due(erasure.at);
    ErasureView::of(id, erasure, due)
}

/// Erases a user for good: from every event and group, and from what the runs keep. The store's files keep the bytes
/// until they are rewritten.
#[utoipa::path(delete, path = "/v1/users/{user}", operation_id = "erase_user", params(UserPath, EraseQuery),
    responses(
        (status = 200, body = ErasureView),
        (status = 404, description = "No such user"),
        (status = 507, description = "The disk is full"),
    ))]
pub async fn erase(
    State(api): State<Shared>,
    Extension(caller): Extension<Caller>,
    Path(path): Path<UserPath>,
    Query(query): Query<EraseQuery>,
) -> Result<Json<ErasureView>, Problem> {
    let user = path.user;
    let note = if query.keep_out { "kept out" } else { "not kept out" };
    let entry = api.audit(caller, AuditAction::PersonErased, user, note.into());
    let erased = api.blocking(move |api| {
        let erased = api.app.runner.erase(user, query.keep_out, entry);
        let (id, erasure) = erased.map_err(|error| match error {
            EraseError::Unknown => Problem::not_found(format!("there is no user {user}")),
            EraseError::Busy => {
                Problem::new(Kind::Busy, "a sync is planning or committing").hint("ask again when it has ended")
            }
            EraseError::Unfinished(Failure::Stopped) => Problem::stopping(),
            EraseError::Unfinished(Failure::Store(error)) | EraseError::Store(error) => {
                api.store_failed("write an erasure")(error)
            }
            EraseError::Unfinished(_) => {
                Problem::new(Kind::Internal, "a commit that stopped half-way cannot be finished")
                    .hint("look at the disk and the server's log")
            }
        })?;
        Ok(view(api, id, erasure))
    });
    Ok(Json(erased.await?))
}

/// Lists erasures, newest first.
#[utoipa::path(get, path = "/v1/erasures", operation_id = "list_erasures", params(ListQuery),
    responses((status = 200, body = Page<ErasureView>)))]
pub async fn list(
    State(api): State<Shared>,
    Query(query): Query<ListQuery>,
) -> Result<Json<Page<ErasureView>>, Problem> {
    let before = query.after("erasure", |key| key.parse().ok().map(ErasureId))?;
    let found = api.blocking(move |api| {
        let found = api.app.store.erasures(before, query.limit.and_one());
        let found = found.map_err(api.store_failed("read erasures"))?;
        let page = Page::cut(found, query.limit, |(id, _)| Cursor::after("erasure", id.0));
        Ok(page.map(|(id, erasure)| view(api, id, erasure)))
    });
    Ok(Json(found.await?))
}

/// Lists who is kept out, by id.
#[utoipa::path(get, path = "/v1/tombstones", operation_id = "list_tombstones", params(ListQuery),
    responses((status = 200, body = Page<TombstoneView>)))]
pub async fn tombstones(
    State(api): State<Shared>,
    Query(query): Query<ListQuery>,
) -> Result<Json<Page<TombstoneView>>, Problem> {
    let after = query.after("tombstone", TombstoneId::parse)?;
    let tombstones = api.app.store.tombstones();
    let rest = tombstones.iter().filter(|(id, _)| after.is_none_or(|after| *id > after));
    let found = rest.take(query.limit.and_one()).map(|(_, tombstone)| TombstoneView::from(tombstone)).collect();
    Ok(Json(Page::cut(found, query.limit, |tombstone: &TombstoneView| Cursor::after("tombstone", &tombstone.id))))
}

/// Lifts a tombstone: the next sync that finds the person brings them back.
#[utoipa::path(delete, path = "/v1/tombstones/{id}", operation_id = "lift_tombstone", params(TombstonePath),
    responses(
        (status = 204, description = "Lifted"),
        (status = 404, description = "No such tombstone"),
        (status = 507, description = "The disk is full"),
    ))]
pub async fn lift(
    State(api): State<Shared>,
    Extension(caller): Extension<Caller>,
    Path(path): Path<TombstonePath>,
    _: Query<Nothing>,
) -> Result<StatusCode, Problem> {
    let tombstones = api.app.store.tombstones();
    let id = TombstoneId::parse(&path.id).filter(|id| tombstones.get(*id).is_some());
    let id = id.ok_or_else(|| Problem::not_found("there is no tombstone with this id"))?;
    let audit = vec![api.audit(caller, AuditAction::TombstoneLifted, id, String::new())];
    let set = ChangeSet { lift: Some(id), audit, ..ChangeSet::default() };
    api.app.store.commit_async(set).await.map_err(api.store_failed("write a tombstone"))?;
    Ok(StatusCode::NO_CONTENT)
}

/// Rewrites the store's files without what was deleted from them. Reads go on meanwhile; whatever writes waits.
#[utoipa::path(post, path = "/v1/compact", operation_id = "compact",
    responses(
        (status = 200, body = CompactionView),
        (status = 507, description = "The disk has no room for both"),
    ))]
pub async fn compact(
    State(api): State<Shared>,
    Extension(caller): Extension<Caller>,
    _: Query<Nothing>,
    _: EmptyBody,
) -> Result<Json<CompactionView>, Problem> {
    let audit = vec![api.audit(caller, AuditAction::StoreCompacted, "store", String::new())];
    let compacted = api.blocking(move |api| {
        let compaction = api.app.runner.compact().map_err(api.store_failed("write the store anew"))?;
        let audited = api.app.store.commit(ChangeSet { audit, ..ChangeSet::default() });
        audited.map_err(api.store_failed("write the audit log"))?;
        Ok(compaction.into())
    });
    Ok(Json(compacted.await?))
}
