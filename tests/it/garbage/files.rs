//! A run's files and the store's small ones, damaged in every way.

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use rollcall::app::{App, Beacon};
use rollcall::clock::Clock;
use rollcall::codec::{Item, JournalTrailer};
use rollcall::config::{Config, Environment};
use rollcall::demo::FakeOptions;
use rollcall::faults::Faults;
use rollcall::journal::{JournalError, JournalReader, SpoolWriter, journal_path};
use rollcall::model::{Entry, Position, RecordNote, RunId, SkipReason, Verdict};
use xxhash_rust::xxh3::xxh3_64;

use super::mutation::{mutated, mutations};
use crate::api::fixture::Fixture;

/// The journals of two syncs: one made everybody, one changed some.
static JOURNALS: LazyLock<[Vec<u8>; 2]> = LazyLock::new(|| {
    let reading = std::thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let fixture = Fixture::with(FakeOptions { count: 40, churn_percent: 50.0, ..FakeOptions::default() }).await;
            fixture.sync("").await;
            fixture.sync("").await;
            let folder = fixture.app.store.runs_folder();
            [RunId(1), RunId(2)].map(|run| fs::read(journal_path(&folder, run)).unwrap())
        })
    });
    reading.join().unwrap()
});

fn read(bytes: &[u8]) -> Result<Vec<Entry>, JournalError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("1.journal");
    fs::write(&path, bytes).unwrap();
    let entries: Result<Vec<_>, _> = JournalReader::open(&path)?.collect();
    entries
}

/// A journal's frames, each with its length before it; the last is the trailer.
fn frames(journal: &[u8]) -> Vec<Vec<u8>> {
    let (mut rest, mut frames) = (journal, Vec::new());
    while let Some(prefix) = rest.first_chunk::<4>() {
        let (frame, after) = rest.split_at(4 + u32::from_le_bytes(*prefix) as usize);
        frames.push(frame.to_vec());
        rest = after;
    }
    frames
}

/// The same frames with a trailer that fits them.
fn with_trailer(frames: &[Vec<u8>]) -> Vec<u8> {
    let bare: Vec<u8> = frames.iter().flat_map(|frame| frame[4..].to_vec()).collect();
    let trailer = JournalTrailer { entries: frames.len() as u64 - 1, checksum: xxh3_64(&bare) }.encode();
    let length = u32::try_from(trailer.len()).unwrap().to_le_bytes();
    [frames.concat(), length.to_vec(), trailer].concat()
}

#[test]
fn what_is_mutated_is_sound() {
    for journal in JOURNALS.iter() {
        assert!(read(journal).unwrap().len() > 10);
        let frames = frames(journal);
        assert_eq!(with_trailer(&frames[..frames.len() - 1]), *journal, "trailers are made as journals make them");
    }
}

proptest! {
    #[test]
    fn a_mutated_journal_is_no_plan(which in 0..2usize, mutations in mutations()) {
        let damaged = mutated(&JOURNALS[which], &mutations);
        prop_assert!(read(&damaged).is_err() || damaged == JOURNALS[which]);
    }

    #[test]
    fn random_bytes_are_no_plan(bytes in vec(any::<u8>(), 0..300)) {
        prop_assert!(read(&bytes).is_err());
    }

    /// Frames that are each whole, of one journal or the other, in any order.
    #[test]
    fn spliced_journals_are_no_plan(at in vec((0..2usize, any::<Index>()), 0..12)) {
        let journals = JOURNALS.each_ref().map(|journal| frames(journal));
        let spliced: Vec<Vec<u8>> = at.iter().map(|(which, at)| at.get(&journals[*which]).clone()).collect();
        let spliced = spliced.concat();
        prop_assert!(read(&spliced).is_err() || JOURNALS.contains(&spliced));
    }

    #[test]
    fn a_journal_in_another_order_is_no_plan(which in 0..2usize, a in any::<Index>(), b in any::<Index>()) {
        let mut frames = frames(&JOURNALS[which]);
        let entries = frames.len() - 2;
        frames.swap(1 + a.index(entries), 1 + b.index(entries));
        let damaged = frames.concat();
        prop_assert!(read(&damaged).is_err() || damaged == JOURNALS[which]);
    }

    /// Even a trailer that fits makes them no more than entries or an error.
    #[test]
    fn spliced_journals_with_a_trailer_end(which in 0..2usize, at in vec((0..2usize, any::<Index>()), 0..12)) {
        let journals = JOURNALS.each_ref().map(|journal| frames(journal));
        let spliced = at.iter().map(|(which, at)| at.get(&journals[*which]).clone());
        let whole: Vec<_> = std::iter::once(journals[which][0].clone()).chain(spliced).collect();
        if let Ok(entries) = read(&with_trailer(&whole)) {
            prop_assert_eq!(entries.len(), whole.len() - 1);
        }
    }

    #[test]
    fn a_mutated_spool_gives_what_was_written_or_an_error(mutations in mutations()) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("1.spool");
        let mut spool = SpoolWriter::create(&path, &Faults::none()).unwrap();
        let notes = [SkipReason::Filtered, SkipReason::Duplicate, SkipReason::UnknownDeleted].map(|reason| RecordNote {
            position: Position { page: 70_000, index: 300 },
            external_id: None,
            verdict: Verdict::Skip(reason),
        });
        let places = notes.each_ref().map(|note| spool.write(&Item::Note(note.clone())).unwrap());
        let mut spool = spool.into_reader().unwrap();
        fs::write(&path, mutated(&fs::read(&path).unwrap(), &mutations)).unwrap();
        for (place, note) in places.into_iter().zip(&notes) {
            prop_assert!(spool.record(place).is_err());
            if let Ok(read) = spool.note(place) {
                prop_assert_eq!(&read, note);
            }
        }
    }
}

fn open(folder: &Path) -> Result<(), String> {
    let text = "[store]\npath = \"data\"\n";
    let (config, _) =
        Config::parse(text, &folder.join("rollcall.toml"), &Environment::default()).map_err(|e| e.to_string())?;
    App::open(config, Clock::System).map(drop).map_err(|error| error.to_string())
}

const GARBAGE: [&[u8]; 12] = [
    b"",
    b"\n",
    b"\0",
    b"0",
    b"-1",
    b"1.0",
    b"99999999999999999999",
    b"\xff\xfe",
    b"{}",
    b"1\n1\n",
    b"zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz",
    "ééééééééééééééééééééééééééééééééééééééééé".as_bytes(),
];

/// Neither is guessed or made anew: people's ids hang on the one, the meaning of everything on the other.
#[test]
fn garbage_in_schema_or_key_is_told_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    open(folder.path()).unwrap();
    for name in ["schema", "community.key"] {
        let path = folder.path().join("data").join(name);
        let sound = fs::read(&path).unwrap();
        for garbage in GARBAGE {
            fs::write(&path, garbage).unwrap();
            let refusal = open(folder.path()).unwrap_err();
            assert!(refusal.contains(name), "{refusal}");
            assert_eq!(fs::read(&path).unwrap(), garbage);
        }
        fs::write(&path, vec![b'a'; 1024 * 1024]).unwrap();
        assert!(open(folder.path()).is_err());
        fs::write(&path, sound).unwrap();
        open(folder.path()).unwrap();
    }
}

#[test]
fn garbage_in_the_lock_locks_nobody_out() {
    let folder = tempfile::tempdir().unwrap();
    open(folder.path()).unwrap();
    for garbage in GARBAGE {
        fs::write(folder.path().join("data/lock"), garbage).unwrap();
        open(folder.path()).unwrap();
    }
}

#[test]
fn garbage_in_the_beacon_is_no_server() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("server.json");
    let sound = r#"{"address":"127.0.0.1:7070","token":"rc_secret"}"#;
    fs::write(&path, sound).unwrap();
    assert!(Beacon::read(folder.path()).is_some());
    for garbage in GARBAGE {
        fs::write(&path, garbage).unwrap();
        assert!(Beacon::read(folder.path()).is_none());
    }
    for garbage in
        [&sound[..20], r#"{"address":"here","token":"x"}"#, r#"{"address":"127.0.0.1:7070"}"#, &"[".repeat(100_000)]
    {
        fs::write(&path, garbage).unwrap();
        assert!(Beacon::read(folder.path()).is_none(), "{garbage}");
    }
}
