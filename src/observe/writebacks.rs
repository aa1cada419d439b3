//! What is told of what goes back to sources.

use super::observer::Observer;
use crate::model::{EventName, PushName, ReceiptReason, SourceName};

impl Observer {
    /// A request of what goes back came to nothing.
    pub fn push_failed(
        &self,
        event: &EventName,
        source: &SourceName,
        push: &PushName,
        reason: ReceiptReason,
        status: Option<u16>,
        is_final: bool,
    ) {
        let (reason, again) = (reason.as_str(), !is_final);
        tracing::warn!(%event, %source, %push, reason, status, again, "the source did not take what goes back");
    }
}
