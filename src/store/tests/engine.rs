//! The engine by itself: what a batch is, and when it is seen.

use std::fs;
use std::path::{Path, PathBuf};

use super::super::engine::{Batch, Engine, Place};
use crate::faults::Faults;
use crate::model::CommunityKey;

fn open(path: &Path) -> Engine {
    let (anchor, index) = (path.with_extension("anchor"), path.with_extension("index"));
    let tombstones = path.with_extension("tombstones");
    let place = Place { folder: path.to_owned(), anchor, index, tombstones };
    Engine::open(&place, &CommunityKey::new([7; 32]), &Faults::none()).unwrap()
}

fn files_in(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

/// sled's log may reach the disk before the entries of `blobs/` do, and then passes over what it does not find.
#[test]
fn a_batch_with_large_values_is_not_kept_by_half_when_new_files_are_lost() {
    let folder = tempfile::tempdir().unwrap();
    let (path, blobs) = (folder.path().join("db"), folder.path().join("db/blobs"));
    let engine = open(&path);
    let put = |version: u8| {
        let mut batch = Batch::default();
        batch.put(b"large".to_vec(), vec![version; 1 << 20]);
        batch.put(b"small".to_vec(), vec![version]);
        engine.apply(batch).unwrap();
        engine.sync().unwrap();
    };
    put(1);
    let safe = files_in(&blobs);
    put(2);
    drop(engine);
    files_in(&blobs).iter().filter(|file| !safe.contains(file)).for_each(|file| fs::remove_file(file).unwrap());
    let engine = open(&path);
    let version = |key: &[u8]| engine.get(key).unwrap().map(|value| value[0]);
    assert_eq!(version(b"large"), version(b"small"));
}

#[test]
fn values_of_every_size_are_read_as_written_and_leave_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    let mut engine = open(&path);
    let sizes = [10, 200_000, 4_000, 30_000, 2_000_000, 100];
    for round in 0..sizes.len() {
        let mut batch = Batch::default();
        for key in 0..60 {
            let value = vec![b'a' + key; sizes[(round + usize::from(key)) % sizes.len()]];
            batch.put(vec![b'k', key], value);
        }
        engine.apply(batch).unwrap();
        engine.sync().unwrap();
        assert!(files_in(&path.join("blobs")).is_empty(), "round {round}");
        drop(engine);
        engine = open(&path);
        let found: Vec<_> = engine.scan(b"k").map(Result::unwrap).collect();
        assert_eq!(found.len(), 60);
        for (key, value) in found {
            let size = sizes[(round + usize::from(key[1])) % sizes.len()];
            assert!(value.len() == size && value.iter().all(|byte| *byte == b'a' + key[1]), "{key:?}");
            assert_eq!(engine.get(&key).unwrap(), Some(value));
        }
    }
    let mut batch = Batch::default();
    (0..60).for_each(|key| batch.remove(vec![b'k', key]));
    engine.apply(batch).unwrap();
    engine.sync().unwrap();
    assert_eq!(engine.scan(b"").count(), 1, "pieces without their value");
}

#[test]
fn a_batch_is_seen_when_it_is_on_disk_and_not_before() {
    let folder = tempfile::tempdir().unwrap();
    let engine = open(&folder.path().join("db"));
    let seen = |key: &[u8]| engine.get(key).unwrap().map(|value| value.to_vec());
    let put = |value: &[u8]| {
        let mut batch = Batch::default();
        batch.put(b"a".to_vec(), value.to_vec());
        engine.apply(batch).unwrap();
    };
    put(b"1");
    assert_eq!(seen(b"a"), None);
    engine.sync().unwrap();
    assert_eq!(seen(b"a"), Some(b"1".to_vec()));
    put(b"2");
    assert_eq!(seen(b"a"), Some(b"1".to_vec()));
    let mut batch = Batch::default();
    batch.remove(b"a".to_vec());
    engine.apply(batch).unwrap();
    assert_eq!(seen(b"a"), Some(b"1".to_vec()), "the oldest of two that are not on disk");
    engine.sync().unwrap();
    assert_eq!(seen(b"a"), None);
}

#[test]
fn reading_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let engine = open(&folder.path().join("db"));
    for round in 0..20_u8 {
        let mut batch = Batch::default();
        for key in (0..400_u16).filter(|key| key % 7 != u16::from(round) % 7) {
            batch.put((key * (1 + u16::from(round) % 3)).to_be_bytes().to_vec(), vec![round; 3_000]);
        }
        (0..100_u16).for_each(|key| batch.remove((key * u16::from(round)).to_be_bytes().to_vec()));
        engine.apply(batch).unwrap();
        engine.sync().unwrap();
        assert_eq!(engine.unflushed(), 0, "round {round}: right after the sync");
        (0..1200_u16).for_each(|key| drop(engine.get(&key.to_be_bytes()).unwrap()));
        assert_eq!(engine.unflushed(), 0, "round {round}: after gets");
        engine.scan(b"").for_each(|row| drop(row.unwrap()));
        assert_eq!(engine.unflushed(), 0, "round {round}");
    }
}
