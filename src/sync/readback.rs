//! What went back is looked for in the records that come: a source that shows it has it.
//! Invariant: changes nobody. Only receipts change.

use std::sync::Arc;

use jiff::Timestamp;

use super::feed::Feed;
use crate::config::{PassValue, PushSpec};
use crate::decode::RawRecord;
use crate::model::{ExternalId, Outcome, Receipt, ReceiptState};
use crate::plan::{ReceiptChange, receipt_after};
use crate::source::Page;
use crate::store::{ChangeSet, PassChange, PassWrite, ReceiptKey, Store, StoreError};

/// Looks for what went back to the source of a feed.
pub struct ReadBack {
    pushes: Vec<Arc<PushSpec>>,
    /// Something was sent that no read has shown yet: records that are as they were are looked at, too.
    waits: bool,
    began: Timestamp,
}

/// Stands for values without telling them. `None`: there are none.
pub fn values_digest<'v>(store: &Store, shown: impl IntoIterator<Item = (PassValue, Option<&'v str>)>) -> u128 {
    let parts: Vec<_> =
        shown.into_iter().flat_map(|(what, value)| [what.as_str(), value.unwrap_or_default()]).collect();
    let digest = store.community_key().child("rollcall write-back values").digest(parts.into_iter().map(str::as_bytes));
    let (half, _) = digest.split_first_chunk().expect("a digest of 32 bytes has 16");
    u128::from_be_bytes(*half)
}

impl ReadBack {
    /// `None` where nothing can be read back. `began`: when the read did.
    pub fn of(store: &Store, feed: &Feed, began: Timestamp) -> Option<Self> {
        let pushes: Vec<_> = feed.spec().pushes.iter().filter(|push| !push.confirm.is_empty()).cloned().collect();
        let (has_any, waits) =
            store.passes_of(&feed.id.event, |passes| (!passes.holders.is_empty(), !passes.sent.is_empty()));
        (has_any && !pushes.is_empty()).then_some(Self { pushes, waits, began })
    }

    /// Looks through a page. `changed`: its records that are not as they were.
    pub fn look(&self, store: &Store, feed: &Feed, page: &Page, changed: &[&RawRecord]) -> Result<(), StoreError> {
        let mut passes = Vec::new();
        let records: Vec<&RawRecord> = if self.waits { page.records.iter().collect() } else { changed.to_vec() };
        for record in records {
            if let Outcome::Mapped(mapped) = feed.entry.mapping.map(record) {
                self.look_at(store, feed, record, &mapped.external_id, &mut passes)?;
            }
        }
        if passes.is_empty() { Ok(()) } else { store.commit(ChangeSet { passes, ..ChangeSet::default() }).map(drop) }
    }

    fn look_at(
        &self,
        store: &Store,
        feed: &Feed,
        record: &RawRecord,
        external_id: &ExternalId,
        passes: &mut Vec<PassWrite>,
    ) -> Result<(), StoreError> {
        let Some(user) = store.user_by_registration(&feed.id, external_id) else { return Ok(()) };
        let Some(pass) = store.pass(&feed.id.event, user)? else { return Ok(()) };
        for push in &self.pushes {
            let is_this = |r: &&Receipt| {
                (&r.source, &r.push, &r.external_id) == (&feed.id.source, &push.name, external_id)
                    && r.wanted.is_some()
                    && matches!(r.state, ReceiptState::Sent | ReceiptState::Confirmed | ReceiptState::Failed)
                    && r.changed_at < self.began
            };
            let Some(receipt) = pass.receipts.iter().find(is_this) else { continue };
            let change = ReceiptChange::Read(shown(store, push, record));
            if receipt_after(receipt, change, self.began).as_ref() != Some(receipt) {
                let change = PassChange::Receipt { of: ReceiptKey::of(receipt), change, at: self.began };
                passes.push(PassWrite { event: feed.id.event.clone(), user, change });
            }
        }
        Ok(())
    }
}

/// What a record shows; `None`: nothing.
fn shown(store: &Store, push: &PushSpec, record: &RawRecord) -> Option<u128> {
    let value = |(what, expression): &(PassValue, crate::mapping::Expression)| {
        (*what, expression.scalar_of_record(record).ok().flatten())
    };
    let values: Vec<_> = push.confirm.iter().map(value).collect();
    let is_there = values.iter().any(|(_, value)| value.is_some());
    is_there.then(|| values_digest(store, values.iter().map(|(what, value)| (*what, value.as_deref()))))
}
