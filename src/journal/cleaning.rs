//! A journal without what it told of people who were erased, and whether an interrupted read tells of them.

use std::fs;
use std::path::Path;

use super::spool::any_item;
use super::{JournalError, JournalReader, JournalWriter};
use crate::codec::Item;
use crate::faults::Faults;
use crate::model::{Entry, MappedRecord, SourceName, Traces};

/// Writes a journal anew without the entries of which `tells` says, given the source of the run, that they tell of
/// somebody erased; one without any stays as it is. Entries keep their numbers, the file its time. Returns how many
/// entries are no more.
pub fn clean_journal(
    path: &Path,
    tells: impl Fn(&SourceName, &Entry) -> bool,
    faults: &Faults,
) -> Result<u64, JournalError> {
    let journal = JournalReader::open(path)?;
    let source = journal.header().feed.source.clone();
    let tells = |entry: &Entry| tells(&source, entry);
    let mut found = 0;
    for entry in journal {
        found += u64::from(tells(&entry?));
    }
    if found > 0 {
        rewrite(path, tells, faults)?;
    }
    Ok(found)
}

fn rewrite(path: &Path, tells: impl Fn(&Entry) -> bool, faults: &Faults) -> Result<(), JournalError> {
    let modified = fs::metadata(path).and_then(|file| file.modified()).map_err(JournalError::io("read", path))?;
    let journal = JournalReader::open(path)?;
    let mut clean = JournalWriter::create(path, journal.header(), faults)?.dated(modified);
    for entry in journal {
        let entry = entry?;
        let entry = if tells(&entry) { Traces::cleaned(entry) } else { entry };
        clean.write(&entry)?;
    }
    clean.finish().map(drop)
}

/// Does what an interrupted read of a source left behind tell of them? Of a file that cannot be read nobody knows, so it
/// does.
pub fn read_tells_of(path: &Path, source: &SourceName, traces: &Traces) -> Result<bool, JournalError> {
    any_item(path, |item| match item {
        Item::Record(spooled) => traces.are_in_record(source, &spooled.record),
        Item::Note(note) => traces.are_in_note(source, note),
        Item::Opening(_) | Item::Checkpoint(_) => false,
    })
}

/// The records of theirs in what an interrupted read left behind, as far as it can be read.
pub fn records_told(path: &Path, source: &SourceName, traces: &Traces) -> Result<Vec<MappedRecord>, JournalError> {
    let mut told = Vec::new();
    any_item(path, |item| {
        if let Item::Record(spooled) = item
            && traces.are_in_record(source, &spooled.record)
        {
            told.push(spooled.record.clone());
        }
        false
    })?;
    Ok(told)
}
