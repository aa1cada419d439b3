//! Passes: a value beside the person for each attendee of an event with login links, and, of who is no more, what is still to be
//! taken back. Which there are and how far they went is held in memory; tokens and passwords stay on disk, sealed.
//!
//! Invariant: a pass is made in the batch that makes its attendee, and its receipts change in the batch that changes what they
//! hang on. It goes with its person.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use parking_lot::RwLock;
use roaring::RoaringBitmap;
use sled::IVec;

use super::engine::Batch;
use super::sign_ins::Resealed;
use super::state::{State, unreadable};
use super::vault::{Vault, key_of};
use super::writer::ChangeSet;
use super::{Store, StoreError, keys};
use crate::codec::{decode_pass, encode_pass, encode_withdrawal};
use crate::limits::RESEALED_PER_BATCH;
use crate::model::{
    EventName, ExternalId, FeedId, Issuing, Pass, Person, PushName, Receipt, ReceiptState, SourceName, UserId, UserNo,
    Withdrawal,
};
use crate::plan::{ReceiptChange, receipt_after, receipts};

/// What is to become of a pass; one that no longer fits what is there has no effect.
#[derive(Debug)]
pub struct PassWrite {
    pub event: EventName,
    pub user: UserNo,
    pub change: PassChange,
}

#[derive(Debug)]
pub enum PassChange {
    /// The attendee has one, and the receipts that there should be.
    Reconsider { at: Timestamp },
    /// Another token and another password.
    Rotate { at: Timestamp },
    /// Something happened to the receipt of these values.
    Receipt { of: ReceiptKey, change: ReceiptChange, at: Timestamp },
    /// The same token and password, sealed by another key.
    Sealed { before: Vec<u8>, sealed: Vec<u8> },
    /// As another store had it.
    Put(Box<Pass>),
}

/// Which receipt of a pass is meant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReceiptKey {
    pub source: SourceName,
    pub push: PushName,
    pub external_id: ExternalId,
    pub wanted: Option<u64>,
}

impl ReceiptKey {
    pub fn of(receipt: &Receipt) -> Self {
        let Receipt { source, push, external_id, wanted, .. } = receipt.clone();
        Self { source, push, external_id, wanted }
    }
}

/// What became of something that is to be taken back.
#[derive(Debug)]
pub struct WithdrawalWrite {
    pub id: u128,
    pub change: WithdrawalChange,
}

#[derive(Debug)]
pub enum WithdrawalChange {
    Receipt {
        change: ReceiptChange,
        at: Timestamp,
    },
    /// As another store had it.
    Put(Box<Withdrawal>),
}

/// The passes of an event, as far as they are held in memory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventPasses {
    pub holders: RoaringBitmap,
    /// Who has a receipt that is pending.
    pub open: RoaringBitmap,
    /// Who has one that was sent and was not read back yet.
    pub sent: RoaringBitmap,
    /// How many receipts there are in which state.
    pub counts: BTreeMap<(SourceName, PushName), [u64; ReceiptState::TOLD.len()]>,
}

/// Every event's, and what is to be taken back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Passes {
    pub events: BTreeMap<EventName, EventPasses>,
    pub withdrawals: BTreeMap<u128, Withdrawal>,
}

impl Passes {
    pub fn take(&mut self, user: UserNo, pass: &Pass) {
        self.events.entry(pass.event.clone()).or_default().enter(user, pass);
    }
}

impl EventPasses {
    fn enter(&mut self, UserNo(user): UserNo, pass: &Pass) {
        self.holders.insert(user);
        for receipt in &pass.receipts {
            self.count(receipt, |count| *count += 1);
        }
        if pass.receipts.iter().any(|receipt| receipt.state.is_open()) {
            self.open.insert(user);
        }
        if pass.receipts.iter().any(|receipt| receipt.state == ReceiptState::Sent) {
            self.sent.insert(user);
        }
    }

    fn leave(&mut self, UserNo(user): UserNo, pass: &Pass) {
        for receipt in &pass.receipts {
            self.count(receipt, |count| *count = count.saturating_sub(1));
        }
        for bitmap in [&mut self.holders, &mut self.open, &mut self.sent] {
            bitmap.remove(user);
        }
    }

    fn count(&mut self, receipt: &Receipt, how: impl FnOnce(&mut u64)) {
        let counts = self.counts.entry((receipt.source.clone(), receipt.push.clone())).or_default();
        let at = ReceiptState::TOLD.iter().position(|state| state.as_str() == receipt.state.as_str());
        if let Some(at) = at {
            how(&mut counts[at]);
        }
    }
}

/// The events that have login links, as the writer sees them.
pub type SharedIssuing = Arc<RwLock<BTreeMap<EventName, Issuing>>>;

/// What the writer makes passes with.
pub struct Issuer {
    pub vault: Vault,
    pub events: SharedIssuing,
}

/// What becomes of passes once a batch is on disk.
#[derive(Default)]
pub struct Becoming {
    passes: BTreeMap<(EventName, UserNo), Change>,
    withdrawals: BTreeMap<u128, Option<Withdrawal>>,
}

struct Change {
    before: Option<Pass>,
    after: Option<Pass>,
}

/// Somebody whom a batch changes, as they are after it.
pub struct Touched<'p> {
    pub user: UserNo,
    pub id: UserId,
    pub person: Option<&'p Person>,
}

/// What passes are made on.
pub struct Ground<'a, V> {
    pub state: &'a State,
    pub vault: &'a Vault,
    pub issuing: &'a BTreeMap<EventName, Issuing>,
    /// What is stored.
    pub value: V,
}

impl<V: Fn(&[u8]) -> Result<Option<IVec>, StoreError>> Ground<'_, V> {
    /// Puts into a batch what becomes of passes. `touched`: whom the batch changes, and whose passes are to be looked at.
    pub fn put(
        &self,
        batch: &mut Batch,
        touched: &[Touched<'_>],
        writes: &[PassWrite],
        withdrawals: &[WithdrawalWrite],
    ) -> Result<Becoming, StoreError> {
        let mut becoming = Becoming::default();
        for one in touched {
            self.reconsider(&mut becoming, one)?;
        }
        for PassWrite { event, user, change } in writes {
            self.write(&mut becoming, event, *user, change, touched)?;
        }
        for WithdrawalWrite { id, change } in withdrawals {
            self.withdraw(&mut becoming, *id, change);
        }
        for ((event, user), Change { before, after }) in &becoming.passes {
            match after {
                Some(pass) if after != before => batch.put(keys::pass(event, *user), encode_pass(pass)),
                None if before.is_some() => batch.remove(keys::pass(event, *user)),
                _ => {}
            }
        }
        for (id, withdrawal) in &becoming.withdrawals {
            match withdrawal {
                Some(withdrawal) => batch.put(keys::withdrawal(*id), encode_withdrawal(withdrawal)),
                None => batch.remove(keys::withdrawal(*id)),
            }
        }
        Ok(becoming)
    }

    /// The passes of somebody in every event in which they have one, or should.
    fn reconsider(&self, becoming: &mut Becoming, one: &Touched<'_>) -> Result<(), StoreError> {
        let held = self.state.passes.events.iter().filter(|(_, passes)| passes.holders.contains(one.user.0));
        let attended = one.person.into_iter().flat_map(|person| &person.attendances).filter(|a| a.active);
        let mut events: Vec<EventName> = held.map(|(event, _)| event.clone()).collect();
        events.extend(attended.map(|a| a.event.clone()).filter(|event| self.issuing.contains_key(event)));
        events.sort();
        events.dedup();
        for event in events {
            let change = self.change(becoming, &event, one.user)?;
            let before = change.after.take();
            let at =
                one.person.and_then(|person| person.attendance(&event)).map_or(Timestamp::UNIX_EPOCH, |a| a.changed_at);
            change.after = self.renewed(before.clone(), &event, one, at)?;
            let gone = before.filter(|_| change.after.is_none());
            self.settle(becoming, &event, one, gone.as_ref(), at);
        }
        Ok(())
    }

    /// The pass as it should be. `None`: there is none.
    fn renewed(
        &self,
        before: Option<Pass>,
        event: &EventName,
        one: &Touched<'_>,
        at: Timestamp,
    ) -> Result<Option<Pass>, StoreError> {
        let Some(person) = one.person else { return Ok(None) };
        let Some(issuing) = self.issuing.get(event) else { return Ok(before) };
        let mut pass = match before {
            Some(pass) => pass,
            None if person.attends(event) => self.made(event, one.id, 1, issuing, at)?,
            None => return Ok(None),
        };
        pass.receipts = receipts(&pass.receipts, Some(person), event, issuing, pass.edition, at);
        Ok(Some(pass))
    }

    fn made(
        &self,
        event: &EventName,
        id: UserId,
        edition: u32,
        issuing: &Issuing,
        at: Timestamp,
    ) -> Result<Pass, StoreError> {
        let random = |error: String| StoreError::Random(error);
        let secret = Secret::random(issuing.password_length).map_err(random)?;
        let sealed = self.vault.seal(&bound_to(event, id), &secret.to_bytes());
        let sealed = sealed.map_err(|error| random(error.to_string()))?;
        Ok(Pass { event: event.clone(), id, edition, made_at: at, sealed, receipts: Vec::new() })
    }

    /// What is to be taken back of a pass that goes, and what need not be of somebody who has come back.
    fn settle(
        &self,
        becoming: &mut Becoming,
        event: &EventName,
        one: &Touched<'_>,
        gone: Option<&Pass>,
        at: Timestamp,
    ) {
        if let (Some(pass), Some(issuing)) = (gone, self.issuing.get(event)) {
            for receipt in receipts(&pass.receipts, None, event, issuing, pass.edition, at) {
                let withdrawal = Withdrawal { event: event.clone(), receipt };
                becoming.withdrawals.insert(self.id_of(&withdrawal), Some(withdrawal));
            }
        }
        let back = becoming.passes.get(&(event.clone(), one.user)).and_then(|change| change.after.as_ref());
        let of_back = back.map_or(&[][..], |pass| &pass.receipts).iter();
        let ids: Vec<_> = of_back
            .map(|receipt| self.id_of(&Withdrawal { event: event.clone(), receipt: receipt.clone() }))
            .filter(|id| self.state.passes.withdrawals.contains_key(id))
            .collect();
        becoming.withdrawals.extend(ids.into_iter().map(|id| (id, None)));
    }

    fn write(
        &self,
        becoming: &mut Becoming,
        event: &EventName,
        user: UserNo,
        change: &PassChange,
        touched: &[Touched<'_>],
    ) -> Result<(), StoreError> {
        let user = match change {
            PassChange::Put(pass) => match self.state.index.user_by_id(pass.id) {
                Some(user) => user,
                None => return Ok(()),
            },
            _ => user,
        };
        let person = touched.iter().find(|one| one.user == user).and_then(|one| one.person);
        let becoming = self.change(becoming, event, user)?;
        match change {
            PassChange::Reconsider { .. } => {}
            PassChange::Put(pass) => becoming.after = Some(Pass::clone(pass)),
            PassChange::Rotate { at } => {
                let (Some(pass), Some(issuing)) = (&becoming.after, self.issuing.get(event)) else { return Ok(()) };
                let made = self.made(event, pass.id, pass.edition.saturating_add(1), issuing, *at)?;
                let receipts = receipts(&pass.receipts, person, event, issuing, made.edition, *at);
                becoming.after = Some(Pass { receipts, ..made });
            }
            PassChange::Receipt { of, change, at } => {
                let Some(pass) = &mut becoming.after else { return Ok(()) };
                let found = pass.receipts.iter().position(|receipt| ReceiptKey::of(receipt) == *of);
                if let Some(found) = found {
                    match receipt_after(&pass.receipts[found], *change, *at) {
                        Some(receipt) => pass.receipts[found] = receipt,
                        None => drop(pass.receipts.remove(found)),
                    }
                }
            }
            PassChange::Sealed { before, sealed } => {
                if let Some(pass) = becoming.after.as_mut().filter(|pass| pass.sealed == *before) {
                    pass.sealed.clone_from(sealed);
                }
            }
        }
        Ok(())
    }

    fn withdraw(&self, becoming: &mut Becoming, id: u128, change: &WithdrawalChange) {
        let known = || self.state.passes.withdrawals.get(&id).cloned();
        let now = becoming.withdrawals.get(&id).cloned().unwrap_or_else(known);
        let after = match (change, now) {
            (WithdrawalChange::Put(withdrawal), _) => Some(Withdrawal::clone(withdrawal)),
            (WithdrawalChange::Receipt { .. }, None) => return,
            (WithdrawalChange::Receipt { change, at }, Some(Withdrawal { event, receipt })) => {
                receipt_after(&receipt, *change, *at).map(|receipt| Withdrawal { event, receipt })
            }
        };
        becoming.withdrawals.insert(id, after);
    }

    /// What becomes of a pass, so far.
    fn change<'b>(
        &self,
        becoming: &'b mut Becoming,
        event: &EventName,
        user: UserNo,
    ) -> Result<&'b mut Change, StoreError> {
        let key = (event.clone(), user);
        if !becoming.passes.contains_key(&key) {
            let is_held = self.state.passes.events.get(event).is_some_and(|passes| passes.holders.contains(user.0));
            let stored = if is_held { (self.value)(&keys::pass(event, user))? } else { None };
            let before = stored.map(|sealed| decode_pass(&sealed)).transpose().map_err(unreadable("a pass"))?;
            becoming.passes.insert(key.clone(), Change { after: before.clone(), before });
        }
        Ok(becoming.passes.get_mut(&key).expect("it was just entered"))
    }

    fn id_of(&self, Withdrawal { event, receipt }: &Withdrawal) -> u128 {
        let feed = FeedId { event: event.clone(), source: receipt.source.clone() };
        let push = crate::model::Digest::seed(&[receipt.push.as_str().as_bytes()]);
        self.state.index.registration_hash(&feed, &receipt.external_id) ^ u128::from(push)
    }
}

/// Takes up what became of passes.
pub fn publish(passes: &mut Passes, becoming: Becoming) {
    for ((event, user), Change { before, after }) in becoming.passes {
        let of_event = passes.events.entry(event).or_default();
        if let Some(before) = &before {
            of_event.leave(user, before);
        }
        if let Some(after) = &after {
            of_event.enter(user, after);
        }
    }
    for (id, withdrawal) in becoming.withdrawals {
        match withdrawal {
            Some(withdrawal) => drop(passes.withdrawals.insert(id, withdrawal)),
            None => drop(passes.withdrawals.remove(&id)),
        }
    }
}

/// What a pass is sealed for: it cannot be passed off as another's.
pub fn bound_to(event: &EventName, id: UserId) -> String {
    format!("rollcall pass\0{event}\0{id}")
}

/// The letters and digits of passwords: none that is taken for another.
const READABLE: &[u8; 31] = b"abcdefghjkmnpqrstuvwxyz23456789";

/// A token and a password in clear. It does not print.
pub struct Secret {
    /// 128 random bits in base64url (RFC 4648 §5), without padding.
    pub token: String,
    pub password: String,
}

impl Secret {
    fn random(password_length: u8) -> Result<Self, String> {
        use base64::Engine as _;
        let fill = |bytes: &mut [u8]| getrandom::fill(bytes).map_err(|error| error.to_string());
        let mut token = [0; 16];
        fill(&mut token)?;
        let mut password = String::new();
        while password.len() < usize::from(password_length) {
            let mut byte = [0];
            fill(&mut byte)?;
            // 248 is the largest multiple of 31 in a byte: every letter is as likely as another.
            if byte[0] < 248 {
                password.push(char::from(READABLE[usize::from(byte[0]) % READABLE.len()]));
            }
        }
        Ok(Self { token: base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(token), password })
    }

    fn to_bytes(&self) -> Vec<u8> {
        [self.token.as_bytes(), b" ", self.password.as_bytes()].concat()
    }

    fn from_bytes(bytes: Vec<u8>) -> Option<Self> {
        let text = String::from_utf8(bytes).ok()?;
        let (token, password) = text.split_once(' ')?;
        Some(Self { token: token.to_owned(), password: password.to_owned() })
    }
}

impl Store {
    /// Says which events have login links and passwords, and what wants them.
    pub fn set_issuing(&self, issuing: BTreeMap<EventName, Issuing>) {
        *self.shared.issuing.write() = issuing;
    }

    pub fn issuing(&self, event: &EventName) -> Option<Issuing> {
        self.shared.issuing.read().get(event).cloned()
    }

    pub fn pass(&self, event: &EventName, user: UserNo) -> Result<Option<Pass>, StoreError> {
        let Some(sealed) = self.value(&keys::pass(event, user))? else { return Ok(None) };
        decode_pass(&sealed).map(Some).map_err(unreadable("a pass"))
    }

    /// A pass's token and password. `None`: they do not open.
    pub fn secret_of(&self, pass: &Pass) -> Option<Secret> {
        Secret::from_bytes(self.vault().open(&bound_to(&pass.event, pass.id), &pass.sealed).ok()?)
    }

    /// How the passes of an event stand.
    pub fn passes_of<T>(&self, event: &EventName, look: impl FnOnce(&EventPasses) -> T) -> T {
        let view = self.view();
        match view.passes().events.get(event) {
            Some(passes) => look(passes),
            None => look(&EventPasses::default()),
        }
    }

    /// What is to be taken back of an event's people who are no more.
    pub fn withdrawals(&self, event: &EventName) -> Vec<(u128, Withdrawal)> {
        let view = self.view();
        let of_event = view.passes().withdrawals.iter().filter(|(_, withdrawal)| withdrawal.event == *event);
        of_event.map(|(id, withdrawal)| (*id, withdrawal.clone())).collect()
    }

    /// The part of [`Self::seal_anew`] that is about passes.
    pub(super) fn seal_passes_anew(&self, resealed: &mut Resealed) -> Result<(), StoreError> {
        let events = self.view().passes().events.clone();
        for (event, EventPasses { holders, .. }) in events {
            let mut passes = Vec::new();
            for user in holders.iter().map(UserNo) {
                let Some(pass) = self.pass(&event, user)?.filter(|pass| key_of(&pass.sealed) != Some(resealed.key))
                else {
                    continue;
                };
                let bound_to = bound_to(&event, pass.id);
                let plain = self.vault().open(&bound_to, &pass.sealed).ok();
                let Some(sealed) = plain.and_then(|plain| self.vault().seal(&bound_to, &plain).ok()) else {
                    resealed.unreadable += 1;
                    continue;
                };
                let change = PassChange::Sealed { before: pass.sealed, sealed };
                passes.push(PassWrite { event: event.clone(), user, change });
                resealed.sealed += 1;
                if passes.len() >= RESEALED_PER_BATCH {
                    self.commit(ChangeSet { passes: std::mem::take(&mut passes), ..ChangeSet::default() })?;
                }
            }
            self.commit(ChangeSet { passes, ..ChangeSet::default() })?;
        }
        Ok(())
    }

    /// Attendees of an event without a pass, and holders.
    pub fn users_to_reconsider(&self, event: &EventName) -> RoaringBitmap {
        let view = self.view();
        let attending = view.index().attendees(view.symbols(), event, true).cloned().unwrap_or_default();
        let holders = view.passes().events.get(event).map(|passes| passes.holders.clone()).unwrap_or_default();
        attending | holders
    }
}
