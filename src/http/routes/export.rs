//! Everything that is stored about one person, for whoever has a right to it.

use axum::Json;
use axum::extract::State;

use super::users::{UserPath, find};
use crate::http::api::{Api, Shared};
use crate::http::extract::{Nothing, Path, Query};
use crate::http::problem::Problem;
use crate::http::view::{
    AuditEntryView, ChangeView, ExportView, ExportedChangeView, ExportedRegistrationView, ReceiptView, SignInView,
    UserView, WaitingRecordView,
};
use crate::journal::{JournalError, JournalReader, RunFile, records_told, run_files};
use crate::limits::LIST_LIMIT_MAX;
use crate::model::{FeedId, Traces, UserId};

/// Everything that is stored about one user.
#[utoipa::path(get, path = "/v1/users/{user}/export", operation_id = "export_user", params(UserPath),
    responses((status = 200, body = ExportView), (status = 404, description = "No such user")))]
pub async fn export(
    State(api): State<Shared>,
    Path(path): Path<UserPath>,
    _: Query<Nothing>,
) -> Result<Json<ExportView>, Problem> {
    Ok(Json(api.blocking(move |api| whole(api, path.user)).await?))
}

fn whole(api: &Api, id: UserId) -> Result<ExportView, Problem> {
    let person = find(api, id)?;
    let traces = Traces::of(api.app.store.community_key(), &person);
    let (changes, waiting_records) = told(api, &traces).map_err(|error| api.journal_failed(&error))?;
    let subject = id.to_string();
    let audit = api.app.store.audit(None, LIST_LIMIT_MAX, |entry| entry.subject == subject);
    let audit = audit.map_err(api.store_failed("read the audit log"))?;
    let sign_ins = api.app.logins.all_sign_ins_of(&person).map_err(api.store_failed("read a sign-in"))?;
    let receipts = api.app.writebacks.receipts_of(id).map_err(api.store_failed("read a pass"))?;
    let registrations = person.registrations.iter().cloned().map(ExportedRegistrationView::from).collect();
    Ok(ExportView {
        exported_at: api.app.clock.now(),
        id,
        registrations,
        user: UserView::of(person, &api.app.runner),
        sign_ins: sign_ins.into_iter().map(SignInView::from).collect(),
        receipts: receipts.into_iter().map(ReceiptView::from).collect(),
        changes,
        waiting_records,
        audit: audit.iter().map(|(id, entry)| AuditEntryView::of(*id, entry)).collect(),
    })
}

type Told = (Vec<ExportedChangeView>, Vec<WaitingRecordView>);

/// What the runs' files tell.
fn told(api: &Api, traces: &Traces) -> Result<Told, JournalError> {
    let (mut changes, mut records) = (Vec::new(), Vec::new());
    for (path, file) in run_files(&api.app.store.runs_folder())? {
        let read = match file {
            RunFile::Journal(_) => {
                JournalReader::open(&path).and_then(|journal| changes_in(api, journal, traces, &mut changes))
            }
            RunFile::Read(feed) => records_told(&path, &feed.source, traces)
                .map(|told| records.extend(told.into_iter().map(|record| WaitingRecordView::of(feed.clone(), record)))),
        };
        match read {
            // Its days are over by now, or it was taken up.
            Err(error) if error.is_missing() => {}
            read => read?,
        }
    }
    Ok((changes, records))
}

fn changes_in(
    api: &Api,
    journal: JournalReader,
    traces: &Traces,
    changes: &mut Vec<ExportedChangeView>,
) -> Result<(), JournalError> {
    let (run, planned_at, feed) = (journal.header().run, journal.header().planned_at, journal.header().feed.clone());
    for (number, entry) in (1..).zip(journal) {
        let entry = entry?;
        if traces.are_in(&feed.source, &entry) {
            let FeedId { event, source } = feed.clone();
            let change = ChangeView::of(number, entry, &api.app.runner);
            changes.push(ExportedChangeView { run, event, source, planned_at, change });
        }
    }
    Ok(())
}
