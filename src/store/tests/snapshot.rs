//! The snapshot of the index: when it is believed, when not, and that nothing depends on it but time.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use proptest::prelude::*;
use tempfile::TempDir;

use super::super::engine::{Batch, Engine};
use super::super::files::Folder;
use super::super::index::Known;
use super::super::integrity::Record;
use super::super::keys;
use super::super::snapshot::Snapshot;
use super::histories::Answers;
use super::{change, open, person, refusal, run};
use crate::codec::{Kind, Meta, Symbols, seal};
use crate::faults::{Faults, Side, Step};
use crate::model::{CommunityKey, Person, RunId, UserNo};
use crate::store::{ChangeSet, Store, StoreError};

fn add(store: &Store, name: &str) -> Person {
    let new = person(store, name, "vip");
    store.commit(change(None, None, Some(new.clone()))).unwrap();
    new
}

/// A store of some people, closed with its index kept.
fn kept(names: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    names.iter().for_each(|name| drop(add(&store, name)));
    store.keep_index().unwrap();
    folder
}

fn index(folder: &TempDir) -> PathBuf {
    folder.path().join("index")
}

#[test]
fn a_store_that_was_closed_well_opens_without_a_scan() {
    let folder = kept(&["ada", "grace"]);
    assert_eq!(fs::metadata(index(&folder)).unwrap().permissions().mode() & 0o777, 0o600);
    let store = open(&folder);
    assert!(!store.was_scanned());
    assert_eq!(store.users(None, 9), [UserNo(0), UserNo(1)]);
    // It goes on as any store does.
    add(&store, "edsger");
    drop(store);
    let store = open(&folder);
    assert!(store.was_scanned(), "a batch came after the snapshot");
    assert_eq!(store.user_count(), 3);
}

#[test]
fn a_process_that_died_after_a_batch_left_a_snapshot_that_is_not_believed() {
    let folder = kept(&["ada"]);
    let store = open(&folder);
    // No person is changed by it: the columns are as they were, and still the store is scanned after a kill.
    store.commit(ChangeSet { new_run: Some(run()), ..ChangeSet::default() }).unwrap();
    drop(store);
    let store = open(&folder);
    assert!(store.was_scanned());
    assert_eq!(store.run(RunId(1)).unwrap().unwrap().feed, super::feed());
}

#[test]
fn what_the_file_bears_already_is_not_written_again() {
    let folder = kept(&["ada"]);
    let before = fs::read(index(&folder)).unwrap();
    let store = open(&folder);
    store.keep_index().unwrap();
    assert_eq!(fs::read(index(&folder)).unwrap(), before, "nothing happened");
    store.commit(ChangeSet { new_run: Some(run()), ..ChangeSet::default() }).unwrap();
    // Its columns hold, so only its head is told of the batch.
    let file = fs::File::open(index(&folder)).unwrap();
    store.keep_index().unwrap();
    let after = fs::read(index(&folder)).unwrap();
    assert_eq!((after.len(), &after[82..]), (before.len(), &before[82..]));
    assert_ne!(after[..82], before[..82]);
    let mut same = Vec::new();
    io::Read::read_to_end(&mut &file, &mut same).unwrap();
    assert_eq!(same, after, "the file was renewed in place");
    drop(store);
    assert!(!open(&folder).was_scanned());
    // Somebody removed it: it is written whole.
    let store = open(&folder);
    fs::remove_file(index(&folder)).unwrap();
    store.commit(ChangeSet { new_run: Some(run()), ..ChangeSet::default() }).unwrap();
    store.keep_index().unwrap();
    drop(store);
    assert!(!open(&folder).was_scanned());
}

#[test]
fn the_snapshot_of_another_store_is_not_believed() {
    let (one, two) = (kept(&["ada"]), kept(&["grace"]));
    let own = fs::read(index(&one)).unwrap();
    fs::copy(index(&two), index(&one)).unwrap();
    let store = open(&one);
    assert!(store.was_scanned(), "of another community");
    drop(store);
    // Of the same community after as many batches, but of other people.
    let three = tempfile::tempdir().unwrap();
    fs::copy(one.path().join("community.key"), three.path().join("community.key")).unwrap();
    let store = open(&three);
    add(&store, "edsger");
    drop(store);
    fs::write(index(&three), own).unwrap();
    let store = open(&three);
    assert!(store.was_scanned() && store.user_count() == 1);
}

#[test]
fn a_snapshot_that_knows_of_a_later_batch_tells_that_the_store_went_back() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    add(&store, "ada");
    drop(store);
    let (db, older) = (folder.path().join("db"), folder.path().join("older"));
    super::damage::copy(&db, &older);
    let store = open(&folder);
    add(&store, "grace");
    // More batches than a rebuild takes.
    for _ in 0..20 {
        store.commit(ChangeSet::default()).unwrap();
    }
    store.keep_index().unwrap();
    drop(store);
    fs::remove_dir_all(&db).unwrap();
    fs::rename(&older, &db).unwrap();
    fs::remove_file(folder.path().join("anchor")).unwrap();
    let error = refusal(folder.path());
    assert!(matches!(error, StoreError::WentBack { found: 1, anchored: 22 }), "{error}");
    assert_eq!(Store::rebuild(folder.path()).unwrap().users, 1);
    assert_eq!(open(&folder).user_count(), 1, "the rebuilt store is not judged by the old one's snapshot");
}

/// The engine below a closed store.
fn engine(folder: &TempDir) -> Engine {
    let data = Folder::open(folder.path()).unwrap();
    let key = data.community_key().unwrap();
    Engine::open_unchecked(&data.engine(), &key, &Faults::none()).unwrap().0
}

#[test]
fn somebody_whose_block_is_gone_is_damage_and_not_nobody() {
    let names: Vec<String> = (0..20).map(|n| format!("p{n}")).collect();
    let folder = kept(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let mut batch = Batch::default();
    batch.remove(keys::block(1));
    engine(&folder).apply_raw(batch);
    let store = open(&folder);
    assert!(!store.was_scanned());
    let here = store.person(UserNo(3)).unwrap().unwrap();
    assert!(matches!(store.person(UserNo(17)), Err(StoreError::Incomplete)));
    assert_eq!(store.person(UserNo(40)).unwrap(), None, "who never was is nobody");
    let new = person(&store, "new", "vip");
    let result = store.commit(change(None, None, Some(new)));
    assert!(matches!(result, Err(StoreError::Incomplete)), "the block would be written over: {result:?}");
    store.commit(change(Some(UserNo(3)), Some(here), None)).unwrap();
    assert_eq!(store.person(UserNo(3)).unwrap(), None, "who was deleted is nobody");
    drop(store);
    assert!(matches!(refusal(folder.path()), StoreError::Incomplete), "the scan tells, too");
}

#[test]
fn everything_that_is_no_block_is_still_summed_when_the_store_opens() {
    for damage in [keys::RUNS, keys::SYMBOLS] {
        let folder = kept(&["ada"]);
        let store = open(&folder);
        store.commit(ChangeSet { new_run: Some(run()), ..ChangeSet::default() }).unwrap();
        store.keep_index().unwrap();
        drop(store);
        let engine = engine(&folder);
        let (key, _) = engine.scan(damage).next_back().unwrap().unwrap();
        let mut batch = Batch::default();
        batch.remove(key.to_vec());
        engine.apply_raw(batch);
        drop(engine);
        assert!(refusal(folder.path()).is_damage());
    }
}

#[test]
fn a_store_whose_record_knows_nothing_of_blocks_is_scanned_once() {
    let folder = kept(&["ada"]);
    let engine = engine(&folder);
    let mut record = engine.get(keys::INTEGRITY).unwrap().unwrap().to_vec();
    // As version 1 wrote it: it ends before the sum of the blocks.
    record.truncate(42);
    let first = seal(Kind::Integrity, &record[10..]);
    engine.put_raw(keys::INTEGRITY, first);
    drop(engine);
    let store = open(&folder);
    assert!(store.was_scanned());
    store.keep_index().unwrap();
    drop(store);
    assert!(open(&folder).was_scanned(), "the store's own record is what counts, and no batch renewed it");
    let store = open(&folder);
    add(&store, "grace");
    store.keep_index().unwrap();
    drop(store);
    assert!(!open(&folder).was_scanned());
}

/// A store whose disk fails at one step while the switch is on.
fn failing(path: &Path, at: (Step, Side)) -> (Store, Arc<AtomicBool>) {
    let fails = Arc::new(AtomicBool::new(false));
    let switch = Arc::clone(&fails);
    let hook = move |step, side| {
        let hit = (step, side) == at && switch.load(Ordering::SeqCst);
        if hit { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    };
    (Store::open_with(path, Faults::with(hook)).unwrap(), fails)
}

#[test]
fn a_full_disk_costs_the_next_opening_time_and_nothing_else() {
    for step in [Step::IndexWrite, Step::IndexRename] {
        for side in [Side::Before, Side::After] {
            for changed in [true, false] {
                let folder = kept(&["ada"]);
                let (store, fails) = failing(folder.path(), (step, side));
                if changed {
                    add(&store, "grace");
                } else {
                    store.commit(ChangeSet { new_run: Some(run()), ..ChangeSet::default() }).unwrap();
                }
                fails.store(true, Ordering::SeqCst);
                let answer = store.keep_index();
                let touched = changed || step == Step::IndexWrite;
                assert_eq!(
                    answer.as_ref().is_err_and(StoreError::is_disk_full),
                    touched,
                    "{step:?} {side:?}: {answer:?}"
                );
                assert!(!folder.path().join("index.tmp").exists(), "{step:?} {side:?}: room is given back");
                add(&store, "edsger");
                assert!(store.person(UserNo(0)).unwrap().is_some());
                drop(store);
                let store = open(&folder);
                assert!(store.was_scanned());
                assert_eq!(store.user_count(), 2 + u64::from(changed));
                store.keep_index().unwrap();
                drop(store);
                assert!(!open(&folder).was_scanned(), "{step:?} {side:?}");
            }
        }
    }
}

#[test]
fn what_could_not_be_synced_is_not_kept() {
    let folder = kept(&["ada"]);
    let before = fs::read(index(&folder)).unwrap();
    let (store, fails) = failing(folder.path(), (Step::Flush, Side::Before));
    let grace = person(&store, "grace", "vip");
    fails.store(true, Ordering::SeqCst);
    store.commit(change(None, None, Some(grace))).unwrap_err();
    // The batch may be in the files, and a power cut may still take it: the snapshot must not know of it.
    store.keep_index().unwrap_err();
    assert_eq!(fs::read(index(&folder)).unwrap(), before);
    fails.store(false, Ordering::SeqCst);
    store.keep_index().unwrap();
    drop(store);
    assert!(!open(&folder).was_scanned());
}

/// A snapshot and what is needed to read it.
struct Bench {
    _folder: TempDir,
    snapshot: Snapshot,
    path: PathBuf,
    bytes: Vec<u8>,
    record: Record,
    known: Known,
    key: CommunityKey,
}

impl Bench {
    fn new() -> Self {
        let names: Vec<String> = (0..40).map(|n| format!("p{n}")).collect();
        let folder = kept(&names.iter().map(String::as_str).collect::<Vec<_>>());
        let store = open(&folder);
        let before = store.person(UserNo(7)).unwrap();
        let known = Known::of(&Meta { generation: 0, next_user: 40, next_run: 1 }, store.view().symbols());
        store.commit(change(Some(UserNo(7)), before, None)).unwrap();
        store.keep_index().unwrap();
        let key = store.community_key().clone();
        drop(store);
        let path = index(&folder);
        let bytes = fs::read(&path).unwrap();
        let place = Folder::open(folder.path()).unwrap().engine();
        let record = Engine::open(&place, &key, &Faults::none()).unwrap().record();
        let snapshot = Snapshot::new(path.clone(), Faults::none());
        Self { _folder: folder, snapshot, path, bytes, record, known, key }
    }

    /// Is there an index in these bytes? Asks it everything that it indexes by.
    fn reads(&self, bytes: &[u8]) -> bool {
        fs::write(&self.path, bytes).unwrap();
        let Some(mut index) = self.snapshot.read(&self.record, &self.known, &self.key).unwrap() else { return false };
        for number in &index.present(&super::feed()) {
            let user = index.registration_user(number);
            assert!(index.email_hash_of(user).is_some());
        }
        let users: Vec<u32> = index.users().iter().collect();
        for user in users {
            let hash = index.email_hash_of(UserNo(user)).unwrap();
            assert!(index.user_by_email_hash(hash).is_some());
            index.apply(&Symbols::default(), UserNo(user), None, None);
        }
        true
    }

    /// The same bytes under a head that fits them.
    fn with_head(&self, body: &[u8]) -> Vec<u8> {
        let mut hash = xxhash_rust::xxh3::Xxh3::new();
        hash.update(body);
        let mut payload = self.bytes[10..82].to_vec();
        let at = payload.len() - 24;
        payload[at..at + 8].copy_from_slice(&(body.len() as u64).to_le_bytes());
        payload[at + 8..].copy_from_slice(&hash.digest128().to_le_bytes());
        [seal(Kind::IndexHead, &payload), body.to_vec()].concat()
    }
}

thread_local! {
    static BENCH: Bench = Bench::new();
}

#[test]
fn what_is_mutated_is_sound() {
    BENCH.with(|bench| {
        assert!(bench.reads(&bench.bytes));
        assert_eq!(bench.with_head(&bench.bytes[82..]), bench.bytes);
    });
}

/// One way to damage bytes.
#[derive(Debug, Clone)]
enum Damage {
    Flip(prop::sample::Index, u8),
    Cut(prop::sample::Index),
    Insert(prop::sample::Index, Vec<u8>),
    Remove(prop::sample::Index, usize),
    Number(prop::sample::Index, u32),
}

fn damage() -> impl Strategy<Value = Damage> {
    let at = any::<prop::sample::Index>;
    let number = prop_oneof![any::<u32>(), 0..100u32, Just(u32::MAX)];
    prop_oneof![
        (at(), 0..8u8).prop_map(|(at, bit)| Damage::Flip(at, bit)),
        at().prop_map(Damage::Cut),
        (at(), proptest::collection::vec(any::<u8>(), 1..40)).prop_map(|(at, bytes)| Damage::Insert(at, bytes)),
        (at(), 1..80usize).prop_map(|(at, count)| Damage::Remove(at, count)),
        (at(), number).prop_map(|(at, number)| Damage::Number(at, number)),
    ]
}

fn damaged(bytes: &[u8], damage: &[Damage]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for damage in damage {
        let length = bytes.len().max(1);
        bytes.resize(length, 0);
        match damage {
            Damage::Flip(at, bit) => bytes[at.index(length)] ^= 1 << bit,
            Damage::Cut(at) => bytes.truncate(at.index(length)),
            Damage::Insert(at, more) => drop(bytes.splice(at.index(length)..at.index(length), more.iter().copied())),
            Damage::Remove(at, count) => {
                let at = at.index(length);
                drop(bytes.drain(at..length.min(at + count)));
            }
            Damage::Number(at, number) => {
                let at = at.index(length);
                bytes.iter_mut().skip(at).zip(number.to_le_bytes()).for_each(|(byte, new)| *byte = new);
            }
        }
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_damaged_snapshot_is_not_believed(damage in proptest::collection::vec(damage(), 1..4)) {
        BENCH.with(|bench| {
            let damaged = damaged(&bench.bytes, &damage);
            prop_assert!(damaged == bench.bytes || !bench.reads(&damaged));
            Ok(())
        })?;
    }

    #[test]
    fn random_bytes_are_no_snapshot(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        BENCH.with(|bench| {
            prop_assert!(!bench.reads(&bytes));
            prop_assert!(!bench.reads(&bench.with_head(&bytes)), "not even under a head that fits them");
            Ok(())
        })?;
    }

    /// Even under a head that fits, columns that make no index are refused, and others are one that can be asked.
    #[test]
    fn damaged_columns_never_panic(damage in proptest::collection::vec(damage(), 1..4)) {
        BENCH.with(|bench| {
            bench.reads(&bench.with_head(&damaged(&bench.bytes[82..], &damage)));
        });
    }
}

#[test]
fn a_damaged_snapshot_is_written_anew() {
    let folder = kept(&["ada", "grace"]);
    let store = open(&folder);
    let answers = Answers::of(&store);
    drop(store);
    let mut bytes = fs::read(index(&folder)).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(index(&folder), bytes).unwrap();
    let store = open(&folder);
    assert!(store.was_scanned());
    assert_eq!(Answers::of(&store), answers);
    store.keep_index().unwrap();
    drop(store);
    assert!(!open(&folder).was_scanned());
}
