//! One round: what is due of one push goes out, request by request.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::writebacks::Inner;
use crate::config::{PassValue, PushSpec, Template, Vars, percent_encode};
use crate::limits::{PUSH_BACK_OFF, PUSH_BACK_OFF_MAX};
use crate::model::{EventName, FeedId, Links, Pass, Receipt, ReceiptReason, SourceName, UserNo, Withdrawal};
use crate::plan::ReceiptChange;
use crate::source::{PushFailure, PushItem, PushedValues, Source};
use crate::store::{
    ChangeSet, PassChange, PassWrite, ReceiptKey, Store, StoreError, WithdrawalChange, WithdrawalWrite,
};

/// One push of one event.
pub(super) struct Round {
    pub inner: Arc<Inner>,
    pub event: EventName,
    pub source: Source,
    pub push: Arc<PushSpec>,
    pub params: BTreeMap<String, String>,
    pub links: Links,
}

/// A receipt that is due, and where it is kept.
struct Due {
    place: DuePlace,
    receipt: Receipt,
}

enum DuePlace {
    Pass { user: UserNo, pass: Box<Pass> },
    Withdrawal { id: u128 },
}

impl Round {
    /// Sends what is due. Ends when nothing is, or when the source takes nothing.
    pub async fn run(&self) -> Result<(), StoreError> {
        let mut after = None;
        loop {
            let due = self.due(&mut after, self.push.batch as usize)?;
            if due.is_empty() {
                return Ok(());
            }
            if !self.send(due).await? || self.inner.runner.is_stopping() {
                return Ok(());
            }
        }
    }

    /// The next that are due, after a user: those that failed a moment ago are not met again in the same round.
    fn due(&self, after: &mut Option<u32>, limit: usize) -> Result<Vec<Due>, StoreError> {
        let (store, now) = (&self.inner.store, self.inner.clock.now());
        let is_due = |receipt: &&Receipt| {
            (&receipt.source, &receipt.push) == (self.source_name(), &self.push.name)
                && receipt.state.is_open()
                && receipt.not_before.is_none_or(|at| at <= now)
        };
        let mut due = Vec::new();
        if after.is_none() {
            let gone = store.withdrawals(&self.event);
            let gone = gone.into_iter().filter(|(_, withdrawal)| is_due(&&withdrawal.receipt)).take(limit);
            due.extend(
                gone.map(|(id, Withdrawal { receipt, .. })| Due { place: DuePlace::Withdrawal { id }, receipt }),
            );
            if due.len() >= limit {
                return Ok(due);
            }
        }
        let open = store.passes_of(&self.event, |passes| passes.open.clone());
        let from = after.map_or(0, |after| after.saturating_add(1));
        for user in open.iter().skip_while(|user| *user < from) {
            *after = Some(user);
            let Some(pass) = store.pass(&self.event, UserNo(user))? else { continue };
            for receipt in pass.receipts.iter().filter(is_due) {
                let place = DuePlace::Pass { user: UserNo(user), pass: Box::new(pass.clone()) };
                due.push(Due { place, receipt: receipt.clone() });
            }
            if due.len() >= limit {
                break;
            }
        }
        Ok(due)
    }

    pub fn source_name(&self) -> &SourceName {
        &self.source.spec().name
    }

    /// Sends some that are due, and keeps what came of it. False: the source takes nothing now.
    async fn send(&self, due: Vec<Due>) -> Result<bool, StoreError> {
        let (mut items, mut moot, mut unusable) = (Vec::new(), Vec::new(), Vec::new());
        for due in due {
            match self.item(&due) {
                _ if self.is_moot(&due) => moot.push(due),
                Some(item) => items.push((item, due)),
                None => unusable.push(due),
            }
        }
        self.end(&moot, ReceiptChange::Sent(0)).await?;
        self.end(&unusable, ReceiptChange::Failed(ReceiptReason::Unusable)).await?;
        for some in items.chunks(self.push.batch as usize) {
            if !self.request(some).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Ends receipts for which no request is made.
    async fn end(&self, due: &[Due], how: ReceiptChange) -> Result<(), StoreError> {
        self.keep(due.iter().map(|due| (due, ReceiptChange::Sending))).await?;
        self.keep(due.iter().map(|due| (due, how))).await
    }

    /// What is to be taken back of a registration that is somebody else's by now: their values take its place.
    fn is_moot(&self, Due { place, receipt }: &Due) -> bool {
        let feed = FeedId { event: self.event.clone(), source: receipt.source.clone() };
        let now = self.inner.store.user_by_registration(&feed, &receipt.external_id);
        let was = match place {
            DuePlace::Pass { user, .. } => Some(*user),
            DuePlace::Withdrawal { .. } => None,
        };
        receipt.wanted.is_none() && now.is_some() && now != was
    }

    /// Sends one request. One of several that the source refuses is sent again one by one, to find whom it means.
    async fn request(&self, items: &[(PushItem, Due)]) -> Result<bool, StoreError> {
        let Err(failure) = self.attempt(items).await? else { return Ok(true) };
        if !failure.is_final || items.len() == 1 {
            self.failed(items, &failure).await?;
            return Ok(failure.is_final);
        }
        for one in items.chunks(1) {
            if let Err(failure) = self.attempt(one).await? {
                self.failed(one, &failure).await?;
                if !failure.is_final {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// Says that the items are being sent, sends them, and says which were taken.
    async fn attempt(&self, items: &[(PushItem, Due)]) -> Result<Result<(), PushFailure>, StoreError> {
        self.keep(items.iter().map(|(_, due)| (due, ReceiptChange::Sending))).await?;
        let sent: Vec<_> = items.iter().map(|(item, _)| item).collect();
        let refused = match self.source.push(&self.push, &self.event, &self.params, &sent).await {
            Ok(refused) => refused,
            Err(failure) => return Ok(Err(failure)),
        };
        let became = |item: &PushItem| {
            if refused.contains(&item.external_id) {
                ReceiptChange::Failed(ReceiptReason::Refused)
            } else {
                ReceiptChange::Sent(self.digest(item))
            }
        };
        self.keep(items.iter().map(|(item, due)| (due, became(item)))).await?;
        Ok(Ok(()))
    }

    async fn failed(&self, items: &[(PushItem, Due)], failure: &PushFailure) -> Result<(), StoreError> {
        let PushFailure { reason, is_final, retry_in, status } = *failure;
        self.inner.observer.push_failed(&self.event, self.source_name(), &self.push.name, reason, status, is_final);
        let now = self.inner.clock.now();
        let became = |due: &Due| {
            if is_final {
                return ReceiptChange::Failed(reason);
            }
            let doubled = PUSH_BACK_OFF.saturating_mul(1 << due.receipt.attempts.min(10));
            let pause = doubled.min(PUSH_BACK_OFF_MAX).max(retry_in.unwrap_or_default());
            ReceiptChange::Later { not_before: after(now, pause), reason }
        };
        self.keep(items.iter().map(|(_, due)| (due, became(due)))).await
    }

    /// Writes what happened to receipts.
    async fn keep<'d>(&self, changes: impl Iterator<Item = (&'d Due, ReceiptChange)>) -> Result<(), StoreError> {
        let (mut set, at) = (ChangeSet::default(), self.inner.clock.now());
        for (Due { place, receipt }, change) in changes {
            match place {
                DuePlace::Pass { user, .. } => {
                    let change = PassChange::Receipt { of: ReceiptKey::of(receipt), change, at };
                    set.passes.push(PassWrite { event: self.event.clone(), user: *user, change });
                }
                DuePlace::Withdrawal { id } => {
                    set.withdrawals.push(WithdrawalWrite { id: *id, change: WithdrawalChange::Receipt { change, at } });
                }
            }
        }
        if set.passes.is_empty() && set.withdrawals.is_empty() {
            return Ok(());
        }
        self.inner.store.commit_async(set).await.map(drop)
    }

    /// `None`: the pass does not open, or its link cannot be made.
    fn item(&self, due: &Due) -> Option<PushItem> {
        let Due { place, receipt } = due;
        let (user, values) = match place {
            DuePlace::Withdrawal { .. } => (None, None),
            DuePlace::Pass { pass, .. } if receipt.wanted.is_none() => (Some(pass.id), None),
            DuePlace::Pass { pass, .. } => (Some(pass.id), Some(opened(&self.inner.store, &self.links, pass)?)),
        };
        let user = user.map(|user| user.to_string()).unwrap_or_default();
        Some(PushItem { external_id: receipt.external_id.clone(), user, key: self.key(receipt), values })
    }

    /// The same for the same values of the same registration, and nobody else's.
    fn key(&self, receipt: &Receipt) -> String {
        let feed = FeedId { event: self.event.clone(), source: receipt.source.clone() };
        let wanted = receipt.wanted.unwrap_or_default().to_le_bytes();
        let parts = [feed.to_string(), receipt.push.to_string(), receipt.external_id.to_string()];
        let parts = parts.iter().map(String::as_bytes).chain([&wanted[..]]);
        let digest = self.inner.store.community_key().child("rollcall write-back key").digest(parts);
        digest[..16].iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn digest(&self, item: &PushItem) -> u128 {
        let value = |value: PassValue| {
            let values = item.values.as_ref()?;
            match value {
                PassValue::WebappLink => Some(values.webapp_link.as_str()),
                PassValue::EventPassword => values.event_password.as_deref(),
            }
        };
        let shown = self.push.confirm.iter().map(|(what, _)| (*what, value(*what)));
        crate::sync::values_digest(&self.inner.store, shown)
    }
}

/// The link and the password of a pass. `None`: it does not open, or the link cannot be made.
pub(super) fn opened(store: &Store, links: &Links, pass: &Pass) -> Option<PushedValues> {
    let secret = store.secret_of(pass)?;
    let values = [("token", secret.token), ("event", pass.event.to_string()), ("user", pass.id.to_string())];
    let vars: Vars = values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let webapp_link = Template::parse(&links.link).ok()?.render(&vars, percent_encode).ok()?;
    Some(PushedValues { webapp_link, event_password: Some(secret.password).filter(|password| !password.is_empty()) })
}

fn after(now: Timestamp, pause: Duration) -> Timestamp {
    let pause = SignedDuration::try_from(pause).unwrap_or(SignedDuration::MAX);
    now.checked_add(pause).unwrap_or(Timestamp::MAX)
}
