use std::path::Path;

use jiff::Timestamp;

use super::{JournalError, JournalReader, JournalWriter, Place, SpoolReader, SpoolWriter};
use crate::codec::{Item, JournalHeader};
use crate::faults::Faults;
use crate::model::{
    Entry, EventName, ExternalId, FeedId, GroupName, Position, RecordNote, RejectReason, RunId, SkipReason, SourceName,
    Verdict,
};

fn header() -> JournalHeader {
    let feed = FeedId { event: EventName::parse("e").unwrap(), source: SourceName::parse("s").unwrap() };
    JournalHeader { run: RunId(7), feed, dry_run: false, planned_at: Timestamp::UNIX_EPOCH, position: None }
}

fn note(index: u32, verdict: Verdict) -> RecordNote {
    RecordNote { position: Position { page: 1, index }, external_id: ExternalId::new("4711"), verdict }
}

fn entries() -> Vec<Entry> {
    vec![
        Entry::Record(note(0, Verdict::Skip(SkipReason::Filtered))),
        Entry::Group(GroupName::new("VIP").unwrap()),
        Entry::Record(note(1, Verdict::Reject { reason: RejectReason::EmailTaken, field: "email".into() })),
    ]
}

fn write(path: &Path) {
    let mut journal = JournalWriter::create(path, &header(), &Faults::none()).unwrap();
    for entry in entries() {
        journal.write(&entry).unwrap();
    }
    assert_eq!(journal.finish().unwrap(), 3);
}

fn read(path: &Path) -> Result<Vec<Entry>, JournalError> {
    JournalReader::open(path)?.collect()
}

#[test]
fn what_was_written_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("7.journal");
    write(&path);
    assert_eq!(JournalReader::open(&path).unwrap().header(), &header());
    assert_eq!(read(&path).unwrap(), entries());
}

#[test]
fn a_journal_cut_short_or_lengthened_is_no_plan() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("7.journal");
    write(&path);
    let whole = std::fs::read(&path).unwrap();
    for length in 0..whole.len() {
        std::fs::write(&path, &whole[..length]).unwrap();
        assert!(read(&path).is_err(), "cut to {length} of {} bytes", whole.len());
    }
    std::fs::write(&path, [&whole[..], b"x"].concat()).unwrap();
    assert!(read(&path).is_err(), "a byte too many");
}

#[test]
fn no_flipped_bit_goes_unnoticed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("7.journal");
    write(&path);
    let whole = std::fs::read(&path).unwrap();
    for bit in 0..whole.len() * 8 {
        let mut damaged = whole.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        std::fs::write(&path, damaged).unwrap();
        assert!(read(&path).is_err(), "bit {bit} flipped unnoticed");
    }
}

#[test]
fn a_missing_entry_is_noticed_though_each_frame_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("7.journal");
    write(&path);
    let whole = std::fs::read(&path).unwrap();
    let length = |at: usize| 4 + u32::from_le_bytes(whole[at..at + 4].try_into().unwrap()) as usize;
    let first = length(0);
    let second = first + length(first);
    std::fs::write(&path, [&whole[..first], &whole[second..]].concat()).unwrap();
    let error = read(&path).unwrap_err();
    assert!(matches!(error, JournalError::Broken { what: "entries are missing", .. }), "{error}");
}

#[test]
fn an_unfinished_journal_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("7.journal");
    let mut journal = JournalWriter::create(&path, &header(), &Faults::none()).unwrap();
    journal.write(&entries()[0]).unwrap();
    drop(journal);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    assert!(read(&path).unwrap_err().is_missing());
}

/// A spool of two notes that take the same room.
fn spool_of_two(path: &Path) -> (SpoolReader, [RecordNote; 2], [Place; 2]) {
    let mut spool = SpoolWriter::create(path, &Faults::none()).unwrap();
    let notes = [SkipReason::Filtered, SkipReason::Duplicate].map(|reason| note(0, Verdict::Skip(reason)));
    let places = notes.each_ref().map(|note| spool.write(&Item::Note(note.clone())).unwrap());
    (spool.into_reader().unwrap(), notes, places)
}

/// The window that was read before must not answer for what is gone.
#[test]
fn a_spool_cut_short_gives_what_is_left_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("7.spool");
    let (mut spool, notes, places) = spool_of_two(&path);
    let whole = std::fs::metadata(&path).unwrap().len();
    std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(whole - 1).unwrap();
    assert_eq!(spool.note(places[0]).unwrap(), notes[0]);
    for _ in 0..2 {
        assert!(matches!(spool.note(places[1]), Err(JournalError::Io { .. })));
        assert_eq!(spool.note(places[0]).unwrap(), notes[0]);
    }
}

/// Each of them is sound, so that only their places tell.
#[test]
fn items_that_changed_places_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("7.spool");
    let (mut spool, _, places) = spool_of_two(&path);
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes.rotate_left(middle);
    std::fs::write(&path, bytes).unwrap();
    for place in places {
        assert!(matches!(spool.note(place), Err(JournalError::Broken { .. })));
    }
}

#[test]
fn a_spool_reads_items_in_any_order_and_then_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("7.spool");
    let mut spool = SpoolWriter::create(&path, &Faults::none()).unwrap();
    let items = [SkipReason::Filtered, SkipReason::Duplicate].map(|reason| Item::Note(note(0, Verdict::Skip(reason))));
    let places = items.each_ref().map(|item| spool.write(item).unwrap());
    let mut spool = spool.into_reader().unwrap();
    assert_eq!(Item::Note(spool.note(places[1]).unwrap()), items[1]);
    assert_eq!(Item::Note(spool.note(places[0]).unwrap()), items[0]);
    assert!(matches!(spool.record(places[0]), Err(JournalError::Broken { .. })), "a note is no record");
    drop(spool);
    assert!(!path.exists());
}
