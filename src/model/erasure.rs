//! People who were erased: what is remembered of it, what keeps them out, and how what is left of them is known again.
//! Nothing in it is personal.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::Arc;

use hmac::{Hmac, Mac};
use jiff::Timestamp;
use sha2::Sha256;

use super::{
    Actor, CommunityKey, Email, EmailKey, Entry, ExternalId, MappedRecord, Person, PersonChange, Position, RecordNote,
    RecordState, Registration, RunId, SkipReason, SourceName, UserId, Verdict,
};

/// What something of a person is known by without it: 128 bits of an HMAC-SHA256 under a secret key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mark(pub u128);

/// Makes marks. Cannot be printed.
#[derive(Clone)]
pub struct Marker(Hmac<Sha256>);

impl fmt::Debug for Marker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Marker(***)")
    }
}

impl Marker {
    pub fn new(key: &CommunityKey) -> Self {
        let key = key.child("rollcall tombstone key");
        Self(Hmac::new_from_slice(key.bytes()).expect("HMAC takes any key length"))
    }

    pub fn email(&self, email: &EmailKey) -> Mark {
        self.mark([b"email", email.as_str().as_bytes()])
    }

    /// Of a record in whatever event.
    pub fn registration(&self, source: &SourceName, external_id: &ExternalId) -> Mark {
        self.mark([b"registration", source.as_str().as_bytes(), external_id.as_str().as_bytes()])
    }

    /// Of the person's address and of each of their records, each once, the address first.
    pub fn person(&self, person: &Person) -> Vec<Mark> {
        let mut marks = vec![self.email(&person.email.key())];
        for Registration { feed, external_id, .. } in &person.registrations {
            let mark = self.registration(&feed.source, external_id);
            if !marks.contains(&mark) {
                marks.push(mark);
            }
        }
        marks
    }

    fn mark<'p>(&self, parts: impl IntoIterator<Item = &'p [u8]>) -> Mark {
        // Taking up the key is half of the work, so it is done once.
        let mut mac = self.0.clone();
        for part in parts {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        let mut half = [0; 16];
        half.copy_from_slice(&mac.finalize().into_bytes()[..16]);
        Mark(u128::from_be_bytes(half))
    }
}

/// A tombstone as it is shown: 16 hexadecimal digits, the beginning of its first mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TombstoneId(pub u64);

impl TombstoneId {
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.len() == 16 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        u64::from_str_radix(text, 16).ok().filter(|_| digits).map(Self)
    }
}

impl fmt::Display for TombstoneId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Keeps one erased person out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tombstone {
    /// When the person was erased.
    pub at: Timestamp,
    /// Who they were.
    pub user: UserId,
    /// Of the address, then of the records; never empty. Each of them keeps out.
    pub marks: Vec<Mark>,
}

impl Tombstone {
    pub fn id(&self) -> TombstoneId {
        // The high half is meant.
        TombstoneId(self.marks.first().map_or(0, |Mark(mark)| (mark >> 64) as u64))
    }
}

/// Every tombstone of the community.
#[derive(Debug, Clone)]
pub struct Tombstones {
    marker: Marker,
    by_id: BTreeMap<TombstoneId, Tombstone>,
    marks: HashSet<Mark>,
}

impl Tombstones {
    pub fn new(key: &CommunityKey) -> Self {
        Self { marker: Marker::new(key), by_id: BTreeMap::new(), marks: HashSet::new() }
    }

    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// All of them, ascending by id.
    pub fn iter(&self) -> impl Iterator<Item = (TombstoneId, &Tombstone)> {
        self.by_id.iter().map(|(id, tombstone)| (*id, tombstone))
    }

    pub fn get(&self, id: TombstoneId) -> Option<&Tombstone> {
        self.by_id.get(&id)
    }

    /// Puts one. Where there is one for the same address, what it keeps out stays out.
    pub fn put(&mut self, mut tombstone: Tombstone) {
        if let Some(known) = self.by_id.get(&tombstone.id()) {
            let more = known.marks.iter().filter(|mark| !tombstone.marks.contains(mark)).copied();
            tombstone.marks.extend(more.collect::<Vec<_>>());
        }
        self.marks.extend(&tombstone.marks);
        self.by_id.insert(tombstone.id(), tombstone);
    }

    pub fn lift(&mut self, id: TombstoneId) {
        if self.by_id.remove(&id).is_some() {
            self.marks = self.by_id.values().flat_map(|tombstone| &tombstone.marks).copied().collect();
        }
    }

    /// Would the record bring somebody back? One that asks to delete brings nobody.
    pub fn keep_out(&self, source: &SourceName, record: &MappedRecord) -> bool {
        if self.is_empty() || record.state == RecordState::Deleted {
            return false;
        }
        let email = |email: &Email| self.marks.contains(&self.marker.email(&email.key()));
        self.marks.contains(&self.marker.registration(source, &record.external_id))
            || record.email.as_ref().is_some_and(email)
    }
}

/// Which erasure. A later one has a higher number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ErasureId(pub u64);

/// Why somebody was erased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ErasedBy {
    /// Somebody said so.
    Hand(Actor),
    /// The source did, by its delete flag.
    Run(RunId),
}

/// That people were erased, and how far what was kept of them is gone. The report on it, too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erasure {
    pub at: Timestamp,
    pub by: ErasedBy,
    pub users: Vec<UserId>,
    pub registrations: u64,
    /// How many tombstones it left.
    pub tombstones: u64,
    /// Runs from this number on began after it.
    pub next_run: RunId,
    /// What the runs' files are still to be cleaned of; empty once they are.
    pub marks: Vec<Mark>,
    /// What that came to so far.
    pub cleaned: Cleaned,
    /// When the runs' files were clean.
    pub cleaned_at: Option<Timestamp>,
    /// When the store had been rewritten without them.
    pub compacted_at: Option<Timestamp>,
}

impl Erasure {
    /// Is nothing left to do for it?
    pub const fn is_over(&self) -> bool {
        self.cleaned_at.is_some() && self.compacted_at.is_some()
    }
}

/// What a cleaning of the runs' files came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cleaned {
    /// Journals written anew.
    pub journals: u64,
    /// Their entries that are no more.
    pub entries: u64,
    /// Interrupted reads that were dropped.
    pub reads: u64,
}

impl std::ops::AddAssign for Cleaned {
    fn add_assign(&mut self, other: Self) {
        self.journals += other.journals;
        self.entries += other.entries;
        self.reads += other.reads;
    }
}

/// What people who were erased are known by in the runs' files.
pub struct Traces {
    marker: Marker,
    users: HashSet<UserId>,
    marks: HashSet<Mark>,
}

impl Traces {
    pub fn new(key: &CommunityKey) -> Self {
        Self { marker: Marker::new(key), users: HashSet::new(), marks: HashSet::new() }
    }

    /// Of one person.
    pub fn of(key: &CommunityKey, person: &Person) -> Self {
        let mut traces = Self::new(key);
        traces.users.insert(person.id);
        traces.marks.extend(traces.marker.person(person));
        traces
    }

    pub fn add(&mut self, erasure: &Erasure) {
        self.users.extend(&erasure.users);
        self.marks.extend(&erasure.marks);
    }

    fn has_email(&self, email: &Email) -> bool {
        self.marks.contains(&self.marker.email(&email.key()))
    }

    fn has_registration(&self, source: &SourceName, external_id: &ExternalId) -> bool {
        self.marks.contains(&self.marker.registration(source, external_id))
    }

    /// Does anything of the person's belong to one of them?
    fn are_in_person(&self, person: &Person) -> bool {
        let of_registration = |r: &Registration| {
            let other_spelling = r.email != person.email;
            self.has_registration(&r.feed.source, &r.external_id) || (other_spelling && self.has_email(&r.email))
        };
        self.has_email(&person.email) || person.registrations.iter().any(of_registration)
    }

    /// Is the record of a source one of theirs?
    pub fn are_in_record(&self, source: &SourceName, record: &MappedRecord) -> bool {
        self.has_registration(source, &record.external_id)
            || record.email.as_ref().is_some_and(|email| self.has_email(email))
    }

    pub fn are_in_note(&self, source: &SourceName, note: &RecordNote) -> bool {
        note.external_id.as_ref().is_some_and(|external_id| self.has_registration(source, external_id))
    }

    /// Does an entry of a plan tell of them?
    pub fn are_in(&self, source: &SourceName, entry: &Entry) -> bool {
        match entry {
            // Without images it is a deletion, and holds nothing of anybody.
            Entry::Person(change) => {
                let PersonChange { id, before, after, .. } = &**change;
                let is_bare = before.is_none() && after.is_none();
                let mut people = before.iter().chain(after);
                !is_bare && (self.users.contains(id) || people.any(|person| self.are_in_person(person)))
            }
            Entry::Record(note) => self.are_in_note(source, note),
            Entry::NotUndone(left) => self.users.contains(&left.id),
            Entry::Group(_) | Entry::GroupGone(_) => false,
        }
    }

    /// What stands in a plan in the place of an entry that tells of them: something that changes nobody, so that entries
    /// keep their numbers and what is still to be committed is not.
    pub fn cleaned(entry: Entry) -> Entry {
        let note = match entry {
            Entry::Record(note) => RecordNote { external_id: None, ..note },
            Entry::Person(_) | Entry::NotUndone(_) | Entry::Group(_) | Entry::GroupGone(_) => RecordNote {
                position: Position { page: 0, index: 0 },
                external_id: None,
                verdict: Verdict::Skip(SkipReason::Erased),
            },
        };
        Entry::Record(note)
    }
}

/// Tombstones as everybody shares them; another set is another value.
pub type SharedTombstones = Arc<Tombstones>;

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> CommunityKey {
        CommunityKey::new([7; 32])
    }

    fn record(external_id: &str, email: Option<&str>, state: RecordState) -> MappedRecord {
        MappedRecord {
            external_id: ExternalId::new(external_id).unwrap(),
            state,
            email: email.map(|email| Email::parse(email).unwrap()),
            updated_at: None,
            fields: Vec::new(),
            event_fields: Vec::new(),
            groups: Vec::new(),
        }
    }

    fn tombstone(email: &str, registrations: &[&str]) -> Tombstone {
        let (marker, crm) = (Marker::new(&key()), SourceName::parse("crm").unwrap());
        let mut marks = vec![marker.email(&EmailKey::of(email))];
        marks.extend(registrations.iter().map(|id| marker.registration(&crm, &ExternalId::new(id).unwrap())));
        Tombstone { at: Timestamp::UNIX_EPOCH, user: UserId::from_u128(1), marks }
    }

    #[test]
    fn an_address_and_each_record_keep_out_until_they_are_lifted() {
        let mut tombstones = Tombstones::new(&key());
        let (crm, other) = (SourceName::parse("crm").unwrap(), SourceName::parse("other").unwrap());
        let attends = |id, email| record(id, email, RecordState::Attending);
        assert!(!tombstones.keep_out(&crm, &attends("1", Some("ada@x.org"))), "there is none");
        tombstones.put(tombstone("ada@x.org", &["1", "2"]));
        tombstones.put(tombstone("bob@x.org", &["3"]));
        assert!(tombstones.keep_out(&crm, &attends("9", Some(" ADA@x.org"))), "the address, in another spelling");
        assert!(tombstones.keep_out(&other, &attends("9", Some("ada@x.org"))), "from another source");
        assert!(tombstones.keep_out(&crm, &attends("2", Some("new@x.org"))), "the record, under another address");
        assert!(tombstones.keep_out(&crm, &attends("2", None)), "the record without one");
        assert!(!tombstones.keep_out(&other, &attends("2", Some("new@x.org"))), "another source's record");
        assert!(!tombstones.keep_out(&crm, &record("2", None, RecordState::Deleted)), "it brings nobody");
        let id = tombstones.iter().find(|(_, t)| t.marks.len() == 3).unwrap().0;
        assert_eq!(TombstoneId::parse(&id.to_string()), Some(id));
        tombstones.lift(id);
        assert!(!tombstones.keep_out(&crm, &attends("2", Some("ada@x.org"))));
        assert!(tombstones.keep_out(&crm, &attends("3", None)), "the other one's stays");
    }

    #[test]
    fn a_second_tombstone_on_an_address_adds_to_the_first() {
        let mut tombstones = Tombstones::new(&key());
        tombstones.put(tombstone("ada@x.org", &["1"]));
        tombstones.put(tombstone("ada@x.org", &["2"]));
        assert_eq!((tombstones.len(), tombstones.iter().next().unwrap().1.marks.len()), (1, 3));
    }

    #[test]
    fn other_keys_make_other_marks_and_ids_are_strict() {
        let other = Marker::new(&CommunityKey::new([8; 32]));
        let mark = other.email(&EmailKey::of("a@x.org"));
        assert_ne!(Marker::new(&key()).email(&EmailKey::of("a@x.org")), mark);
        let digest = CommunityKey::new([8; 32]).child("rollcall tombstone key").digest([&b"email"[..], b"a@x.org"]);
        assert_eq!(mark.0.to_be_bytes(), digest[..16], "what is stored stays what it is");
        assert_eq!(format!("{other:?}"), "Marker(***)");
        for bad in ["", "1", "000000000000000G", "+00000000000000f", "00000000000000000"] {
            assert_eq!(TombstoneId::parse(bad), None, "{bad}");
        }
    }
}
