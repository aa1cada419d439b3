//! Login links and event passwords, and how far they went back.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::model::{Pass, PushName, ReceiptState, SourceName};
use crate::writeback::ReceiptRow;

/// How far what goes back went.
#[derive(Serialize, ToSchema)]
#[schema(as = Writeback)]
pub struct WritebackView {
    counts: Vec<WritebackCounts>,
    receipts: Vec<ReceiptView>,
    /// Where the next receipts are; null where there are none.
    next_cursor: Option<String>,
}

/// Receipts of one push of one source, by state. What is to be taken back of who is no more is not counted.
#[derive(Serialize, ToSchema)]
pub struct WritebackCounts {
    source: String,
    push: String,
    pending: u64,
    sent: u64,
    confirmed: u64,
    failed: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ReceiptState)]
pub enum ReceiptStateView {
    /// It is to be sent.
    Pending,
    /// The source took it.
    Sent,
    /// A later read showed it.
    Confirmed,
    Failed,
}

/// How far the values of one registration went.
#[derive(Serialize, ToSchema)]
#[schema(as = Receipt)]
pub struct ReceiptView {
    /// The user's id; null of who is no more.
    user: Option<String>,
    source: String,
    push: String,
    external_id: String,
    state: ReceiptStateView,
    /// The values are to be taken back.
    withdraws: bool,
    /// Requests that were begun for these values.
    attempts: u32,
    /// The process ended while it was being sent: the source may have been sent the same twice, with the same key.
    in_doubt: bool,
    /// Why it is not there: `unavailable`, `auth`, `quota`, `refused`, `unusable`, `not_shown`, or `overwritten`.
    reason: Option<&'static str>,
    #[schema(value_type = String, format = DateTime)]
    changed_at: Timestamp,
    /// When it is tried next, where it waits.
    #[schema(value_type = Option<String>, format = DateTime)]
    not_before: Option<Timestamp>,
}

/// How an attendee gets in without an account.
#[derive(Serialize, ToSchema)]
#[schema(as = Pass)]
pub struct PassView {
    user: String,
    event: String,
    webapp_link: String,
    /// Null where the event has none.
    event_password: Option<String>,
    /// One more each time it is made anew.
    edition: u32,
    #[schema(value_type = String, format = DateTime)]
    made_at: Timestamp,
    receipts: Vec<ReceiptView>,
}

impl From<ReceiptState> for ReceiptStateView {
    fn from(state: ReceiptState) -> Self {
        match state {
            ReceiptState::Pending | ReceiptState::Sending => Self::Pending,
            ReceiptState::Sent => Self::Sent,
            ReceiptState::Confirmed => Self::Confirmed,
            ReceiptState::Failed => Self::Failed,
        }
    }
}

impl From<ReceiptRow> for ReceiptView {
    fn from(ReceiptRow { user, receipt }: ReceiptRow) -> Self {
        Self {
            user: user.map(|user| user.to_string()),
            source: receipt.source.to_string(),
            push: receipt.push.to_string(),
            external_id: receipt.external_id.to_string(),
            state: receipt.state.into(),
            withdraws: receipt.wanted.is_none(),
            attempts: receipt.attempts,
            in_doubt: receipt.in_doubt,
            reason: receipt.reason.map(|reason| reason.as_str()),
            changed_at: receipt.changed_at,
            not_before: receipt.not_before,
        }
    }
}

impl WritebackView {
    pub fn of(
        counts: Vec<(SourceName, PushName, [u64; 4])>,
        receipts: Vec<ReceiptView>,
        next_cursor: Option<String>,
    ) -> Self {
        let count = |(source, push, [pending, sent, confirmed, failed]): (SourceName, PushName, [u64; 4])| {
            WritebackCounts { source: source.to_string(), push: push.to_string(), pending, sent, confirmed, failed }
        };
        Self { counts: counts.into_iter().map(count).collect(), receipts, next_cursor }
    }
}

impl PassView {
    pub fn of(pass: Pass, webapp_link: String, event_password: Option<String>) -> Self {
        let Pass { event, id, edition, made_at, receipts, .. } = pass;
        let row = |receipt| ReceiptView::from(ReceiptRow { user: Some(id), receipt });
        let receipts = receipts.into_iter().map(row).collect();
        Self { user: id.to_string(), event: event.to_string(), webapp_link, event_password, edition, made_at, receipts }
    }
}
