//! A disk that fails: the answer to a commit is the truth, and the store goes on by itself.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{change, open, person};
use crate::faults::{Faults, Side, Step};
use crate::model::UserNo;
use crate::store::{Store, StoreError};

const ENGINE_STEPS: [Step; 4] = [Step::Batch, Step::Flush, Step::Sync, Step::Anchor];

/// A store whose disk fails at one step while the switch is on; `once` turns it off.
fn failing(path: &Path, at: (Step, Side), kind: io::ErrorKind, once: bool) -> (Store, Arc<AtomicBool>) {
    let fails = Arc::new(AtomicBool::new(false));
    let switch = Arc::clone(&fails);
    let hook = move |step, side| {
        let hit = (step, side) == at && switch.fetch_and(!once, Ordering::SeqCst);
        if hit { Err(kind.into()) } else { Ok(()) }
    };
    (Store::open_with(path, Faults::with(hook)).unwrap(), fails)
}

#[test]
fn what_is_answered_is_what_is_on_disk_and_the_next_commit_works() {
    for step in ENGINE_STEPS {
        for side in [Side::Before, Side::After] {
            for kind in [io::ErrorKind::StorageFull, io::ErrorKind::Other] {
                for once in [true, false] {
                    fails_and_goes_on((step, side), kind, once);
                }
            }
        }
    }
}

fn fails_and_goes_on(at: (Step, Side), kind: io::ErrorKind, once: bool) {
    let what = format!("{at:?}, {kind}, {}", if once { "once" } else { "until mended" });
    let folder = tempfile::tempdir().unwrap();
    let (store, fails) = failing(folder.path(), at, kind, once);
    let [ada, grace, edsger] = ["ada", "grace", "edsger"].map(|name| person(&store, name, name));
    store.commit(change(None, None, Some(ada.clone()))).unwrap();
    let epoch = store.epoch();
    fails.store(true, Ordering::SeqCst);
    let answer = store.commit(change(None, None, Some(grace.clone())));
    assert_eq!(store.person(UserNo(0)).unwrap(), Some(ada), "{what}: reads go on");
    assert!(store.epoch() > epoch, "{what}: the engine was opened anew");
    fails.store(false, Ordering::SeqCst);
    let is_there = store.user_by_id(grace.id).is_some();
    match answer {
        Ok(_) => assert!(is_there, "{what}: acknowledged and not there"),
        Err(error) => {
            assert!(!is_there || !once, "{what}: there and not acknowledged, though the disk was well again");
            assert_eq!(error.is_disk_full(), kind == io::ErrorKind::StorageFull, "{what}: {error}");
        }
    }
    store.commit(change(None, None, Some(edsger.clone()))).unwrap();
    let check = |store: Store| {
        assert_eq!(store.user_count(), 2 + u64::from(is_there), "{what}");
        assert_eq!(store.user_by_id(grace.id).is_some(), is_there, "{what}");
        assert!(store.user_by_id(edsger.id).is_some(), "{what}");
    };
    check(store);
    check(open(&folder));
}

#[test]
fn a_disk_that_stays_broken_closes_the_store_until_it_is_mended() {
    let folder = tempfile::tempdir().unwrap();
    let (store, fails) = failing(folder.path(), (Step::Flush, Side::Before), io::ErrorKind::Other, false);
    let [ada, grace] = ["ada", "grace"].map(|name| person(&store, name, name));
    store.commit(change(None, None, Some(ada.clone()))).unwrap();
    fails.store(true, Ordering::SeqCst);
    // What the engine needs to open is gone too.
    let (db, away) = (folder.path().join("db"), folder.path().join("away"));
    std::fs::rename(&db, &away).unwrap();
    std::fs::write(&db, "no folder").unwrap();
    store.commit(change(None, None, Some(grace.clone()))).unwrap_err();
    assert!(matches!(store.person(UserNo(0)), Err(StoreError::Closed { .. })), "blocks cannot be read");
    assert_eq!(store.user_by_id(ada.id), Some(UserNo(0)), "what is in memory goes on");
    assert!(store.check_writable().is_err());
    std::fs::remove_file(&db).unwrap();
    std::fs::rename(&away, &db).unwrap();
    fails.store(false, Ordering::SeqCst);
    while store.check_writable().is_err() {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    // The commit that failed may have reached the files before they were gone.
    if store.user_by_id(grace.id).is_none() {
        store.commit(change(None, None, Some(grace.clone()))).unwrap();
    }
    assert_eq!(store.user_count(), 2);
    assert_eq!(store.person(UserNo(0)).unwrap(), Some(ada));
}

#[test]
fn a_panic_in_the_engine_does_not_take_the_writer_away() {
    let folder = tempfile::tempdir().unwrap();
    let panics = Arc::new(AtomicBool::new(false));
    let switch = Arc::clone(&panics);
    let hook = move |step, _| {
        assert!(step != Step::Flush || !switch.swap(false, Ordering::SeqCst), "a fault in the engine, on purpose");
        Ok(())
    };
    let store = Store::open_with(folder.path(), Faults::with(hook)).unwrap();
    let [ada, grace] = ["ada", "grace"].map(|name| person(&store, name, name));
    panics.store(true, Ordering::SeqCst);
    let answer = store.commit(change(None, None, Some(ada.clone())));
    assert_eq!(answer.is_ok(), store.user_by_id(ada.id).is_some(), "{answer:?}");
    store.commit(change(None, None, Some(grace.clone()))).unwrap();
    assert!(store.user_by_id(grace.id).is_some());
}
