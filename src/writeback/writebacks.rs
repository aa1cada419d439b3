//! Sends what goes back, by itself and when asked.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use tokio::task::JoinSet;

use super::round::{Round, opened};
use crate::clock::Clock;
use crate::limits::{PASSES_RECONSIDERED_AT_ONCE, PUSH_TICK};
use crate::model::{
    AuditEntry, Event, EventName, Links, Pass, PushName, Receipt, ReceiptState, SourceName, UserId, UserNo,
};
use crate::observe::Observer;
use crate::plan::ReceiptChange;
use crate::source::PushedValues;
use crate::store::{
    ChangeSet, PassChange, PassWrite, ReceiptKey, Store, StoreError, WithdrawalChange, WithdrawalWrite,
};
use crate::sync::Runner;

/// Sends what goes back. Cloning shares it.
#[derive(Clone)]
pub struct Writebacks {
    inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub runner: Runner,
    pub store: Store,
    pub clock: Clock,
    pub observer: Observer,
    /// To a source only one sends at a time: what another has begun to send is not to be sent again.
    sending: Mutex<HashMap<SourceName, Arc<tokio::sync::Mutex<()>>>>,
    /// When each push was last looked at.
    looked: Mutex<HashMap<(EventName, SourceName, PushName), Timestamp>>,
    /// Events whose passes are to be looked at, whoever changes.
    unsettled: Mutex<BTreeSet<EventName>>,
}

/// A receipt and whose it is.
pub struct ReceiptRow {
    /// `None` of who is no more.
    pub user: Option<UserId>,
    pub receipt: Receipt,
}

impl Writebacks {
    pub fn new(runner: Runner, store: Store, clock: Clock, observer: Observer) -> Self {
        let (sending, looked, unsettled) = Default::default();
        Self { inner: Arc::new(Inner { runner, store, clock, observer, sending, looked, unsettled }) }
    }

    /// An event's links, or what wants them, may be other than before: its passes are looked at in a moment.
    pub fn unsettle(&self, event: EventName) {
        self.inner.unsettled.lock().insert(event);
    }

    /// Sends what is due, until the process is to end. A source that is slow keeps no other waiting.
    pub async fn keep_going(&self) {
        let mut rounds = JoinSet::new();
        while !self.inner.runner.is_stopping() {
            tokio::time::sleep(PUSH_TICK).await;
            while rounds.try_join_next().is_some() {}
            let unsettled = self.inner.unsettled.lock().clone();
            for event in unsettled {
                let settled = self.settle(&event).await;
                self.told("write passes", settled);
            }
            for event in self.inner.runner.events() {
                if self.inner.runner.pause_of(&event.name).is_none() {
                    let due = self.rounds(&event).into_iter().filter(|round| self.is_time(round));
                    due.for_each(|round| drop(rounds.spawn(self.clone().take_turn(round))));
                }
            }
        }
        rounds.join_all().await;
    }

    /// Nothing is sent where another sends to the source: the next look comes soon.
    async fn take_turn(self, round: Round) {
        let place = self.place(round.source_name());
        if let Ok(_alone) = place.try_lock() {
            self.told("write what became of what goes back", round.run().await);
        }
    }

    fn told(&self, what: &'static str, done: Result<(), StoreError>) {
        if let Err(error) = done {
            self.inner.observer.store_failed(what, &error.to_string());
        }
    }

    /// Sends at once what is due of an event. `retry`: also what failed, and what waits to be tried again.
    pub async fn send(&self, event: &Event, retry: bool) -> Result<(), StoreError> {
        self.settle(&event.name).await?;
        if retry {
            self.retry(&event.name).await?;
        }
        for round in self.rounds(event) {
            let place = self.place(round.source_name());
            let _alone = place.lock().await;
            round.run().await?;
        }
        Ok(())
    }

    /// One for each push of an event's sources; none where nothing is to go back.
    fn rounds(&self, event: &Event) -> Vec<Round> {
        let (store, sources) = (&self.inner.store, self.inner.runner.sources());
        let has_open = store.passes_of(&event.name, |passes| !passes.open.is_empty());
        let Some(links) = event.links.as_ref().filter(|_| has_open || !store.withdrawals(&event.name).is_empty())
        else {
            return Vec::new();
        };
        let mut rounds = Vec::new();
        for settings in &event.feeds {
            let Some(entry) = sources.get(&settings.source) else { continue };
            let params: BTreeMap<_, _> = entry.source.spec().pre_set().chain(settings.params.clone()).collect();
            rounds.extend(entry.source.spec().pushes.iter().map(|push| Round {
                inner: Arc::clone(&self.inner),
                event: event.name.clone(),
                source: entry.source.clone(),
                push: Arc::clone(push),
                params: params.clone(),
                links: links.clone(),
            }));
        }
        rounds
    }

    fn place(&self, source: &SourceName) -> Arc<tokio::sync::Mutex<()>> {
        Arc::clone(self.inner.sending.lock().entry(source.clone()).or_default())
    }

    /// Has it waited long enough for more to come?
    fn is_time(&self, round: &Round) -> bool {
        let now = self.inner.clock.now();
        let every = SignedDuration::try_from(round.push.every).unwrap_or(SignedDuration::MAX);
        let mut looked = self.inner.looked.lock();
        let last = looked.entry((round.event.clone(), round.source_name().clone(), round.push.name.clone()));
        let last = last.or_insert(Timestamp::UNIX_EPOCH);
        // A clock that was set back keeps nothing waiting.
        let is_time = now < *last || now.duration_since(*last) >= every;
        if is_time {
            *last = now;
        }
        is_time
    }

    /// Gives every attendee of an event a pass, and every pass the receipts that it should have.
    /// Nothing is done where that is so already; what the disk refused is done at the next look.
    async fn settle(&self, event: &EventName) -> Result<(), StoreError> {
        if !self.inner.unsettled.lock().remove(event) {
            return Ok(());
        }
        let settled = self.reconsider(event).await;
        if settled.is_err() {
            self.unsettle(event.clone());
        }
        settled
    }

    async fn reconsider(&self, event: &EventName) -> Result<(), StoreError> {
        let store = &self.inner.store;
        if store.issuing(event).is_none() {
            return Ok(());
        }
        let (users, at): (Vec<u32>, _) = (store.users_to_reconsider(event).iter().collect(), self.inner.clock.now());
        for some in users.chunks(PASSES_RECONSIDERED_AT_ONCE) {
            let write = |user: &u32| PassWrite {
                event: event.clone(),
                user: UserNo(*user),
                change: PassChange::Reconsider { at },
            };
            let passes = some.iter().map(write).collect();
            store.commit_async(ChangeSet { passes, ..ChangeSet::default() }).await?;
        }
        Ok(())
    }

    async fn retry(&self, event: &EventName) -> Result<(), StoreError> {
        let (store, at) = (&self.inner.store, self.inner.clock.now());
        let mut set = ChangeSet::default();
        let waits = |receipt: &&Receipt| matches!(receipt.state, ReceiptState::Pending | ReceiptState::Failed);
        let holders = store.passes_of(event, |passes| passes.holders.clone());
        for user in holders.iter().map(UserNo) {
            let Some(pass) = store.pass(event, user)? else { continue };
            for receipt in pass.receipts.iter().filter(waits) {
                let (of, change) = (ReceiptKey::of(receipt), ReceiptChange::Retry);
                let change = PassChange::Receipt { of, change, at };
                set.passes.push(PassWrite { event: event.clone(), user, change });
            }
            if set.passes.len() >= PASSES_RECONSIDERED_AT_ONCE {
                store.commit_async(std::mem::take(&mut set)).await?;
            }
        }
        for (id, _) in store.withdrawals(event) {
            let change = WithdrawalChange::Receipt { change: ReceiptChange::Retry, at };
            set.withdrawals.push(WithdrawalWrite { id, change });
        }
        store.commit_async(set).await.map(drop)
    }

    /// Makes another token and another password for somebody. `None`: they have no pass.
    pub async fn rotate(&self, event: &Event, user: UserNo, audit: AuditEntry) -> Result<Option<Pass>, StoreError> {
        let change = PassChange::Rotate { at: self.inner.clock.now() };
        let passes = vec![PassWrite { event: event.name.clone(), user, change }];
        let audit = vec![audit];
        self.inner.store.commit_async(ChangeSet { passes, audit, ..ChangeSet::default() }).await?;
        self.inner.store.pass(&event.name, user)
    }

    /// The link and the password of a pass. `None`: it does not open.
    pub fn opened(&self, links: &Links, pass: &Pass) -> Option<PushedValues> {
        opened(&self.inner.store, links, pass)
    }

    /// Receipts of an event after a user, in the order of users; those of who is no more come first. At most about `limit`.
    pub fn receipts(
        &self,
        event: &EventName,
        after: Option<UserNo>,
        limit: usize,
        wanted: impl Fn(&Receipt) -> bool,
    ) -> Result<(Vec<ReceiptRow>, Option<UserNo>), StoreError> {
        let store = &self.inner.store;
        let mut rows = Vec::new();
        if after.is_none() {
            let gone = store.withdrawals(event).into_iter().map(|(_, withdrawal)| withdrawal.receipt);
            rows.extend(gone.filter(&wanted).map(|receipt| ReceiptRow { user: None, receipt }));
        }
        let holders = store.passes_of(event, |passes| passes.holders.clone());
        let rest = holders.iter().skip_while(|user| after.is_some_and(|UserNo(after)| *user <= after));
        for user in rest.map(UserNo) {
            if rows.len() >= limit {
                let UserNo(number) = user;
                return Ok((rows, Some(UserNo(number.saturating_sub(1)))));
            }
            let Some(pass) = store.pass(event, user)? else { continue };
            let id = Some(pass.id);
            rows.extend(pass.receipts.into_iter().filter(&wanted).map(|receipt| ReceiptRow { user: id, receipt }));
        }
        Ok((rows, None))
    }

    /// Every receipt of a user, event by event.
    pub fn receipts_of(&self, id: UserId) -> Result<Vec<ReceiptRow>, StoreError> {
        let store = &self.inner.store;
        let Some(user) = store.user_by_id(id) else { return Ok(Vec::new()) };
        let mut rows = Vec::new();
        for event in self.inner.runner.events() {
            let pass = store.pass(&event.name, user)?;
            let receipts = pass.into_iter().flat_map(|pass| pass.receipts);
            rows.extend(receipts.map(|receipt| ReceiptRow { user: Some(id), receipt }));
        }
        Ok(rows)
    }

    /// How many receipts of an event are in which state, push by push.
    pub fn counts(&self, event: &EventName) -> Vec<(SourceName, PushName, [u64; ReceiptState::TOLD.len()])> {
        self.inner.store.passes_of(event, |passes| {
            let counts = passes.counts.iter();
            counts.map(|((source, push), counts)| (source.clone(), push.clone(), *counts)).collect()
        })
    }
}
