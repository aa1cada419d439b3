//! A store is written anew without what was deleted from it, and goes on as if nothing had been.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine as _;

use super::{change, open, person};
use crate::faults::{Faults, Side, Step};
use crate::model::{Digest, Person, UserNo};
use crate::store::{ChangeSet, Store};

const PEOPLE: u32 = 300;

fn somebody(store: &Store, n: u32) -> Person {
    let mut person = person(store, &format!("p{n}"), "choir");
    // Some blocks are so large that they lie in several pieces.
    let text = if n.is_multiple_of(7) { (0..40).map(|k| word(n + 1_000 * (k + 1))).collect() } else { String::new() };
    person.profile[0].value = crate::model::Value::Text(format!("{} {text}", word(n)).into());
    person
}

/// A text that only one person bears and that cannot be packed, so that it stands in a file as it is.
fn word(n: u32) -> String {
    let halves = [0, 1].map(|half| Digest::of(half, &n.to_le_bytes()).0.to_le_bytes());
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(halves.concat())
}

/// A store of many, of whom every third is deleted.
fn fill(store: &Store) -> Vec<Person> {
    let people: Vec<Person> = (0..PEOPLE).map(|n| somebody(store, n)).collect();
    for some in people.chunks(16) {
        let mut set = ChangeSet::default();
        for person in some {
            set.people.extend(change(None, None, Some(person.clone())).people);
        }
        store.commit(set).unwrap();
    }
    for n in (0..PEOPLE).step_by(3) {
        store.commit(change(Some(UserNo(n)), Some(people[n as usize].clone()), None)).unwrap();
    }
    people
}

fn is_deleted(n: u32) -> bool {
    n.is_multiple_of(3)
}

fn check(store: &Store, people: &[Person], what: &str) {
    for (n, person) in (0..).zip(people) {
        let expected = (!is_deleted(n)).then(|| person.clone());
        assert_eq!(store.person(UserNo(n)).unwrap(), expected, "{what}: user {n}");
    }
    assert_eq!(store.user_count(), u64::from(PEOPLE - PEOPLE.div_ceil(3)), "{what}");
}

fn raw_finds(folder: &Path, word: &str) -> bool {
    std::fs::read_dir(folder.join("db"))
        .unwrap()
        .flatten()
        .any(|file| std::fs::read(file.path()).is_ok_and(|bytes| String::from_utf8_lossy(&bytes).contains(word)))
}

#[test]
fn what_was_deleted_is_gone_from_the_files_and_everything_else_is_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let people = fill(&store);
    assert!(raw_finds(folder.path(), &word(3)) && raw_finds(folder.path(), &word(4)));
    let epoch = store.epoch();
    for round in ["once", "twice"] {
        let compaction = store.compact().unwrap();
        // Its files grow by whole segments.
        assert!(compaction.after < compaction.before + 4096, "{round}: {compaction:?}");
        check(&store, &people, round);
        assert!(!raw_finds(folder.path(), &word(3)) && raw_finds(folder.path(), &word(4)), "{round}");
        let renamed = Person {
            created_at: jiff::Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_secs(1),
            ..people[4].clone()
        };
        store.commit(change(Some(UserNo(4)), Some(people[4].clone()), Some(renamed.clone()))).unwrap();
        store.commit(change(Some(UserNo(4)), Some(renamed), Some(people[4].clone()))).unwrap();
    }
    assert_eq!(store.epoch(), epoch, "numbers taken from the index still hold");
    store.keep_index().unwrap();
    store.compact().unwrap();
    let left: BTreeSet<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(left.iter().all(|name| !name.contains("db.") && !name.contains("copy")), "{left:?}");
    drop(store);
    let store = open(&folder);
    assert!(!store.was_scanned(), "the snapshot of the indexes holds for the copy");
    check(&store, &people, "opened again");
    drop(store);
    std::fs::remove_file(folder.path().join("index")).unwrap();
    check(&open(&folder), &people, "and scanned");
}

#[test]
fn readers_go_on_while_the_store_is_compacted() {
    let folder = tempfile::tempdir().unwrap();
    let (copied, let_go) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (at, go) = (Arc::clone(&copied), Arc::clone(&let_go));
    let faults = Faults::with(move |step, side| {
        if step == Step::CompactMade && side == Side::Before {
            at.store(true, Ordering::SeqCst);
            while !go.load(Ordering::SeqCst) {
                std::thread::yield_now();
            }
        }
        Ok(())
    });
    let store = Store::open_with(folder.path(), faults).unwrap();
    let people = fill(&store);
    std::thread::scope(|scope| {
        let compacting = scope.spawn(|| store.compact().unwrap());
        while !copied.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
        check(&store, &people, "meanwhile");
        let waits = scope.spawn(|| store.commit(ChangeSet::default()).unwrap());
        let readers: Vec<_> = (0..4).map(|_| scope.spawn(|| check(&store, &people, "through the swap"))).collect();
        let_go.store(true, Ordering::SeqCst);
        for reader in readers {
            reader.join().unwrap();
        }
        compacting.join().unwrap();
        waits.join().unwrap();
    });
    check(&store, &people, "after");
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap();
        if path.is_dir() {
            copy(&path, &to.join(name));
        } else if name != "ballast" {
            // sled removes an older snapshot now and then.
            let _ = std::fs::copy(&path, to.join(name));
        }
    }
}

#[test]
fn killed_at_any_step_of_a_compaction_nothing_is_lost() {
    let (folder, album) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let on = Arc::new(AtomicBool::new(false));
    let images: Arc<Mutex<Vec<(Step, Side)>>> = Arc::default();
    let faults = {
        let (on, images) = (Arc::clone(&on), Arc::clone(&images));
        let (data, album) = (folder.path().to_owned(), album.path().to_owned());
        Faults::with(move |step, side| {
            if on.load(Ordering::SeqCst) {
                let mut images = images.lock().unwrap();
                copy(&data, &album.join(images.len().to_string()));
                images.push((step, side));
            }
            Ok(())
        })
    };
    let store = Store::open_with(folder.path(), faults).unwrap();
    let people = fill(&store);
    on.store(true, Ordering::SeqCst);
    store.compact().unwrap();
    on.store(false, Ordering::SeqCst);
    drop(store);
    let images = std::mem::take(&mut *images.lock().unwrap());
    let seen: BTreeSet<Step> = images.iter().map(|(step, _)| *step).collect();
    for step in [Step::Batch, Step::Sync, Step::CompactMade, Step::CompactAside, Step::CompactSwap, Step::CompactRemove]
    {
        assert!(seen.contains(&step), "never came by {step:?}");
    }
    for (number, (step, side)) in images.into_iter().enumerate() {
        let what = format!("killed {side:?} {step:?} (no. {number})");
        let image = album.path().join(number.to_string());
        let store = Store::open(&image).unwrap_or_else(|error| panic!("{what}: {error}"));
        check(&store, &people, &what);
        for left in ["db.copy", "anchor.copy", "db.copied", "db.old"] {
            assert!(!image.join(left).exists(), "{what}: {left} stays behind");
        }
        store.compact().unwrap();
        check(&store, &people, &what);
        assert!(!raw_finds(&image, &word(3)), "{what}");
    }
}

#[test]
fn a_disk_that_fails_at_any_step_of_a_compaction_leaves_the_store() {
    let mut failed = BTreeSet::new();
    for n in 0.. {
        let folder = tempfile::tempdir().unwrap();
        let (on, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let hit: Arc<Mutex<Option<(Step, Side)>>> = Arc::default();
        let (switch, steps, at) = (Arc::clone(&on), Arc::clone(&count), Arc::clone(&hit));
        let faults = Faults::with(move |step, side| {
            if switch.load(Ordering::SeqCst) && steps.fetch_add(1, Ordering::SeqCst) == n {
                *at.lock().unwrap() = Some((step, side));
                return Err(std::io::ErrorKind::StorageFull.into());
            }
            Ok(())
        });
        let store = Store::open_with(folder.path(), faults).unwrap();
        let people = fill(&store);
        on.store(true, Ordering::SeqCst);
        let compacted = store.compact();
        let Some(at) = *hit.lock().unwrap() else {
            compacted.unwrap();
            break;
        };
        let what = format!("the disk fails {at:?}");
        failed.insert(at.0);
        assert!(compacted.unwrap_err().is_disk_full(), "{what}");
        check(&store, &people, &what);
        store.commit(ChangeSet::default()).unwrap();
        store.compact().unwrap_or_else(|error| panic!("{what}, then: {error}"));
        check(&store, &people, &what);
        assert!(!raw_finds(folder.path(), &word(3)), "{what}");
        drop(store);
        check(&open(&folder), &people, &what);
    }
    assert!(failed.len() >= 8, "{failed:?}");
}
