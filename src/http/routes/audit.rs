//! Who did what by hand.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::http::api::Shared;
use crate::http::extract::Query;
use crate::http::paging::{Cursor, Limit, Page};
use crate::http::problem::Problem;
use crate::http::view::{AuditActionView, AuditEntryView};
use crate::model::{AuditEntry, AuditId};

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AuditQuery {
    /// Of this kind only.
    #[param(inline)]
    action: Option<AuditActionView>,
    /// Of this subject only: an event's name, a run's number, a group's key, a user's or a token's id.
    subject: Option<String>,
    /// The `next_cursor` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<Cursor>,
    /// Items a page.
    #[serde(default)]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000, default = 100)]
    limit: Limit,
}

impl AuditQuery {
    fn picks(&self, entry: &AuditEntry) -> bool {
        self.action.is_none_or(|action| action == entry.action.into())
            && self.subject.as_ref().is_none_or(|subject| entry.subject == *subject)
    }
}

/// Lists what was done by hand, newest first, for as long as the log is kept.
#[utoipa::path(get, path = "/v1/audit", operation_id = "list_audit", params(AuditQuery),
    responses((status = 200, body = Page<AuditEntryView>)))]
pub async fn list(
    State(api): State<Shared>,
    Query(query): Query<AuditQuery>,
) -> Result<Json<Page<AuditEntryView>>, Problem> {
    let before = query.cursor.as_ref().map(|cursor| cursor.read("audit", |key| key.parse().ok().map(AuditId)));
    let before = before.transpose()?;
    let limit = query.limit;
    let found = api.blocking(move |api| {
        let found = api.app.store.audit(before, limit.and_one(), |entry| query.picks(entry));
        found.map_err(api.store_failed("read the audit log"))
    });
    let page = Page::cut(found.await?, limit, |(id, _)| Cursor::after("audit", id.0));
    Ok(Json(page.map(|(id, entry)| AuditEntryView::of(id, &entry))))
}
