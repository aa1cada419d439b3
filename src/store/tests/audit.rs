//! The audit log in the store.

use jiff::{Timestamp, ToSpan};

use crate::model::{Actor, AuditAction, AuditEntry, AuditId, TokenId};
use crate::store::{ChangeSet, Store};

fn entry(day: i64) -> AuditEntry {
    let actor = match day % 2 {
        0 => Actor::CommandLine,
        _ => Actor::Token { id: TokenId([1, 2, 3, 4, 5, 255]), name: "laptop".into() },
    };
    let at = Timestamp::UNIX_EPOCH + (24 * day).hours();
    AuditEntry { at, actor, action: AuditAction::EventSaved, subject: day.to_string(), note: "feeds: crm".into() }
}

fn put(store: &Store, days: impl IntoIterator<Item = i64>) {
    let audit = days.into_iter().map(entry).collect();
    store.commit(ChangeSet { audit, ..ChangeSet::default() }).unwrap();
}

fn days(store: &Store) -> Vec<AuditEntry> {
    let found = store.audit(None, 100, |_| true).unwrap();
    assert!(found.is_sorted_by(|(a, _), (b, _)| a > b), "numbers fall from the newest on");
    found.into_iter().map(|(_, entry)| entry).collect()
}

#[test]
fn it_outlives_openings_and_rebuilds_newest_first() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    assert_eq!(days(&store), []);
    put(&store, [1, 2, 3]);
    put(&store, [4]);
    let expected = [4, 3, 2, 1].map(entry);
    assert_eq!(days(&store), expected);
    drop(store);
    assert_eq!(days(&Store::open(folder.path()).unwrap()), expected);
    Store::rebuild(folder.path()).unwrap();
    assert_eq!(days(&Store::open(folder.path()).unwrap()), expected);
}

#[test]
fn it_is_read_in_pages_and_by_choice() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    put(&store, 1..=3);
    put(&store, 4..=6);
    let mut before: Option<AuditId> = None;
    let mut found = Vec::new();
    loop {
        let page = store.audit(before, 2, |entry| entry.subject != "4").unwrap();
        let Some((last, _)) = page.last() else { break };
        before = Some(*last);
        found.extend(page.into_iter().map(|(_, entry)| entry.subject));
    }
    assert_eq!(found, ["6", "5", "3", "2", "1"]);
}

#[test]
fn what_is_old_is_forgotten_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    put(&store, 1..=3);
    put(&store, [4]);
    for (oldest, left) in [(1, vec![4, 3, 2, 1]), (3, vec![4, 3]), (3, vec![4, 3]), (9, vec![])] {
        store.forget_audit_before(entry(oldest).at).unwrap();
        let left: Vec<_> = left.into_iter().map(entry).collect();
        assert_eq!(days(&store), left, "before day {oldest}");
    }
    drop(store);
    assert_eq!(days(&Store::open(folder.path()).unwrap()), []);
}
