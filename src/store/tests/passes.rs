//! Passes: made with their attendees, kept with their people, and gone with them.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::*;
use crate::model::{Issuing, PushName, ReceiptState, Target};
use crate::plan::ReceiptChange;
use crate::store::{PassChange, PassWrite, ReceiptKey};

pub fn issue(store: &Store) {
    let target = Target { source: feed().source, push: PushName::parse("links").unwrap(), withdraw: true };
    let issuing = Issuing { link: 1, password_length: 10, targets: vec![target] };
    store.set_issuing(BTreeMap::from([(feed().event, issuing)]));
}

fn holders(store: &Store) -> Vec<u32> {
    store.passes_of(&feed().event, |passes| passes.holders.iter().collect())
}

fn pending(store: &Store) -> u64 {
    store.passes_of(&feed().event, |passes| passes.counts.values().map(|counts| counts[0]).sum())
}

#[test]
fn they_are_made_in_the_batch_that_makes_the_attendee_and_only_once() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let before = person(&store, "eve", "staff");
    store.commit(change(None, None, Some(before.clone()))).unwrap();
    assert!(holders(&store).is_empty(), "the event has no links yet");
    issue(&store);
    let ada = person(&store, "ada", "staff");
    store.commit(change(None, None, Some(ada.clone()))).unwrap();
    assert_eq!((holders(&store), pending(&store)), (vec![1], 1));
    let pass = store.pass(&feed().event, UserNo(1)).unwrap().unwrap();
    let secret = store.secret_of(&pass).unwrap();
    assert_eq!((secret.token.len(), secret.password.len()), (22, 10));

    // Any change later: the same pass.
    let mut named = ada.clone();
    named.registrations[0].groups.clear();
    store.commit(change(Some(UserNo(1)), Some(ada), Some(named.clone()))).unwrap();
    assert_eq!(store.pass(&feed().event, UserNo(1)).unwrap().unwrap(), pass);

    // Who was there before the event had links is looked at when somebody says so.
    let at = Timestamp::UNIX_EPOCH;
    let write = |user, change| PassWrite { event: feed().event, user: UserNo(user), change };
    let passes = vec![write(0, PassChange::Reconsider { at }), write(7, PassChange::Reconsider { at })];
    store.commit(ChangeSet { passes, ..ChangeSet::default() }).unwrap();
    assert_eq!((holders(&store), pending(&store)), (vec![0, 1], 2));
    drop(store);
    let store = open(&folder);
    assert_eq!((holders(&store), pending(&store)), (vec![0, 1], 2), "they are there after opening again");
    assert_eq!(store.pass(&feed().event, UserNo(1)).unwrap().unwrap(), pass);

    // Deleted: nothing was sent, so nothing is to be taken back.
    issue(&store);
    store.commit(change(Some(UserNo(1)), Some(named), None)).unwrap();
    assert_eq!((holders(&store), store.withdrawals(&feed().event).len()), (vec![0], 0));
    assert_eq!(store.pass(&feed().event, UserNo(1)).unwrap(), None);
}

#[test]
fn what_was_sent_of_somebody_who_is_deleted_is_taken_back_unless_they_return() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    issue(&store);
    let ada = person(&store, "ada", "staff");
    store.commit(change(None, None, Some(ada.clone()))).unwrap();
    let receipt = store.pass(&feed().event, UserNo(0)).unwrap().unwrap().receipts[0].clone();
    let at = Timestamp::UNIX_EPOCH;
    for change in [ReceiptChange::Sending, ReceiptChange::Sent(5)] {
        let change = PassChange::Receipt { of: ReceiptKey::of(&receipt), change, at };
        let passes = vec![PassWrite { event: feed().event, user: UserNo(0), change }];
        store.commit(ChangeSet { passes, ..ChangeSet::default() }).unwrap();
    }
    store.commit(change(Some(UserNo(0)), Some(ada.clone()), None)).unwrap();
    let open_again = || {
        let withdrawals = store.withdrawals(&feed().event);
        assert_eq!(withdrawals.len(), 1);
        withdrawals[0].1.receipt.clone()
    };
    let withdrawn = open_again();
    assert_eq!((withdrawn.wanted, withdrawn.state), (None, ReceiptState::Pending));
    assert_eq!(withdrawn.external_id, receipt.external_id);
    store.commit(change(None, None, Some(ada))).unwrap();
    assert_eq!((holders(&store), store.withdrawals(&feed().event).len()), (vec![1], 0), "they have a link again");
}

#[test]
fn they_survive_a_change_of_keys_a_compaction_and_a_rebuild() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    issue(&store);
    for name in ["ada", "eve"] {
        let person = person(&store, name, "staff");
        store.commit(change(None, None, Some(person))).unwrap();
    }
    let secret = |store: &Store, user| {
        let pass = store.pass(&feed().event, UserNo(user)).unwrap().unwrap();
        let secret = store.secret_of(&pass).unwrap();
        (pass.id, secret.token, secret.password)
    };
    let before = [secret(&store, 0), secret(&store, 1)];
    let resealed = store.rotate_vault_key().unwrap();
    assert_eq!((resealed.sealed, resealed.unreadable), (2, 0));
    assert!(!store.vault().has_former_keys());
    store.compact().unwrap();
    assert_eq!([secret(&store, 0), secret(&store, 1)], before);
    drop(store);
    let lost = Store::rebuild(folder.path()).unwrap().lost;
    assert!(lost.is_empty(), "{lost:?}");
    let store = open(&folder);
    let mut after = [secret(&store, 0), secret(&store, 1)];
    after.sort();
    let mut before = before;
    before.sort();
    assert_eq!(after, before);
}
