//! Journal entries. A journal brings its own symbols, each written before its first use.

use compact_str::CompactString;
use jiff::Timestamp;

use super::by_hand::{by_hand_from_v2, by_hand_to_v2};
use super::convert::{millis, named_feed, new_symbols, note_from_v1, note_to_v1, take_symbols};
use super::feed::{position_from_v2, position_to_v2};
use super::journey::{journey_from_v3, journey_to_v3};
use super::newcomer::{Head, Newcomer};
use super::person::{person_from_v1, person_to_v1};
use super::seal::{self, CodecError, Kind};
use super::symbols::Symbols;
use super::{v1, v2, v3};
use crate::model::{
    Action, Entry, FeedId, FeedPosition, GroupKey, GroupName, NotUndone, Person, PersonChange, RunId, UserId, UserNo,
};

/// The first frame of a journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalHeader {
    pub run: RunId,
    pub feed: FeedId,
    pub dry_run: bool,
    pub planned_at: Timestamp,
    /// How far the source was read for this plan; `None` where that is as it was.
    pub position: Option<FeedPosition>,
}

impl JournalHeader {
    pub fn encode(&self) -> Vec<u8> {
        let header = v2::JournalHeader {
            run: self.run.0,
            event: self.feed.event.as_str(),
            source: self.feed.source.as_str(),
            dry_run: self.dry_run,
            planned_at_ms: self.planned_at.as_millisecond(),
            position: self.position.as_ref().map(position_to_v2),
        };
        seal::write(Kind::JournalHeader, &header)
    }

    pub fn decode(sealed: &[u8]) -> Result<Self, CodecError> {
        const KIND: Kind = Kind::JournalHeader;
        let (version, payload) = seal::open_version(KIND, sealed)?;
        let header = if version == 1 {
            let v1::JournalHeader { run, event, source, dry_run, planned_at_ms } = seal::read_payload(KIND, payload)?;
            v2::JournalHeader { run, event, source, dry_run, planned_at_ms, position: None }
        } else {
            seal::read_payload(KIND, payload)?
        };
        Ok(Self {
            run: RunId(header.run),
            feed: named_feed(KIND, header.event, header.source)?,
            dry_run: header.dry_run,
            planned_at: millis(KIND, header.planned_at_ms)?,
            position: header.position.as_ref().map(|position| position_from_v2(KIND, position)).transpose()?,
        })
    }
}

/// The last frame of a journal: without it the plan is not complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JournalTrailer {
    pub entries: u64,
    /// XXH3-64 of every byte before the trailer.
    pub checksum: u64,
}

impl JournalTrailer {
    pub fn encode(self) -> Vec<u8> {
        let Self { entries, checksum } = self;
        seal::write(Kind::JournalTrailer, &v1::JournalTrailer { entries, checksum })
    }

    pub fn decode(sealed: &[u8]) -> Result<Self, CodecError> {
        let v1::JournalTrailer { entries, checksum } = seal::read(Kind::JournalTrailer, sealed)?;
        Ok(Self { entries, checksum })
    }
}

/// The version of an entry of people of whom nothing was decided by hand and nothing is known of how far they came, the
/// one in which the first may follow, and the one in which both do.
const PLAIN: u8 = 1;
const BY_HAND: u8 = 2;
const JOURNEY: u8 = 3;

/// Encodes the entries of one journal, in order.
#[derive(Debug, Default)]
pub struct EntryEncoder {
    symbols: Symbols,
}

impl EntryEncoder {
    pub fn encode(&mut self, entry: &Entry) -> Vec<u8> {
        let seen = self.symbols.counts();
        let by_hand = entry_by_hand_to_v2(&mut self.symbols, entry);
        let journey = entry_journey_to_v3(&mut self.symbols, entry);
        let entry = entry_to_v1(&mut self.symbols, entry);
        let new = new_symbols(&self.symbols, seen);
        let symbols = new.iter().map(|(kind, name)| (*kind, &**name)).collect();
        let version = match (&journey, &by_hand) {
            (Some(_), _) => JOURNEY,
            (None, Some(_)) => BY_HAND,
            (None, None) => PLAIN,
        };
        seal::write_with(Kind::JournalEntry, version, |sealed| {
            seal::append(sealed, &v1::JournalEntry { symbols, entry });
            if version != PLAIN {
                seal::append(sealed, &by_hand.unwrap_or_default());
            }
            if let Some(journey) = &journey {
                seal::append(sealed, journey);
            }
        })
    }
}

/// Decodes the entries of one journal; they must be given in order, from the first.
#[derive(Debug, Default)]
pub struct EntryDecoder {
    symbols: Symbols,
}

/// An entry of a journal as the commit needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Planned {
    /// Somebody new, still encoded.
    Newcomer(Newcomer),
    Other(Entry),
}

impl EntryDecoder {
    /// The names in the entries so far.
    pub const fn symbols(&self) -> &Symbols {
        &self.symbols
    }

    /// As [`Self::decode`], but leaves somebody new encoded.
    pub fn decode_planned(&mut self, sealed: &[u8]) -> Result<Planned, CodecError> {
        let (version, payload) = seal::open_version(Kind::JournalEntry, sealed)?;
        if let Some((head, newcomer)) = Head::of(payload).filter(|_| version == PLAIN) {
            take_symbols(&mut self.symbols, Kind::JournalEntry, &head.symbols)?;
            return Ok(Planned::Newcomer(newcomer));
        }
        self.decode_payload(version, payload).map(Planned::Other)
    }

    pub fn decode(&mut self, sealed: &[u8]) -> Result<Entry, CodecError> {
        let (version, payload) = seal::open_version(Kind::JournalEntry, sealed)?;
        self.decode_payload(version, payload)
    }

    fn decode_payload(&mut self, version: u8, payload: &[u8]) -> Result<Entry, CodecError> {
        const KIND: Kind = Kind::JournalEntry;
        let (stored, rest) = match version {
            PLAIN => (seal::read_payload::<v1::JournalEntry<'_>>(KIND, payload)?, &[][..]),
            _ => seal::split_payload(KIND, payload)?,
        };
        let (mut by_hand, mut journey) = (None, None);
        if !rest.is_empty() {
            let (stored, rest) = seal::split_payload::<v2::EntryByHand<'_>>(KIND, rest)?;
            by_hand = Some(stored);
            journey = (!rest.is_empty()).then(|| seal::read_payload::<v3::EntryJourney<'_>>(KIND, rest)).transpose()?;
        }
        take_symbols(&mut self.symbols, KIND, &stored.symbols)?;
        let mut entry = entry_from_v1(&self.symbols, stored.entry)?;
        if let (Entry::Person(change), Some(by_hand)) = (&mut entry, by_hand) {
            self.put_by_hand(change.before.as_mut(), by_hand.before.as_ref())?;
            self.put_by_hand(change.after.as_mut(), by_hand.after.as_ref())?;
        }
        if let (Entry::Person(change), Some(journey)) = (&mut entry, journey) {
            self.put_journey(change.before.as_mut(), journey.before.as_ref())?;
            self.put_journey(change.after.as_mut(), journey.after.as_ref())?;
        }
        Ok(entry)
    }

    fn put_by_hand(&self, person: Option<&mut Person>, stored: Option<&v2::ByHand<'_>>) -> Result<(), CodecError> {
        if let (Some(person), Some(stored)) = (person, stored) {
            person.by_hand = Some(Box::new(by_hand_from_v2(&self.symbols, stored)?));
        }
        Ok(())
    }

    fn put_journey(&self, person: Option<&mut Person>, stored: Option<&v3::Journey<'_>>) -> Result<(), CodecError> {
        if let (Some(person), Some(stored)) = (person, stored) {
            person.journey = Some(Box::new(journey_from_v3(&self.symbols, stored)?));
        }
        Ok(())
    }
}

/// `None` of an entry of which nothing is known of how far anybody came.
fn entry_journey_to_v3<'a>(symbols: &mut Symbols, entry: &'a Entry) -> Option<v3::EntryJourney<'a>> {
    let Entry::Person(change) = entry else { return None };
    let before = change.before.as_ref().and_then(|person| journey_to_v3(symbols, person));
    let after = change.after.as_ref().and_then(|person| journey_to_v3(symbols, person));
    (before.is_some() || after.is_some()).then_some(v3::EntryJourney { before, after })
}

/// `None` of an entry in which nothing was decided by hand.
fn entry_by_hand_to_v2<'a>(symbols: &mut Symbols, entry: &'a Entry) -> Option<v2::EntryByHand<'a>> {
    let Entry::Person(change) = entry else { return None };
    let before = change.before.as_ref().and_then(|person| by_hand_to_v2(symbols, person));
    let after = change.after.as_ref().and_then(|person| by_hand_to_v2(symbols, person));
    (before.is_some() || after.is_some()).then_some(v2::EntryByHand { before, after })
}

fn entry_to_v1<'a>(symbols: &mut Symbols, entry: &'a Entry) -> v1::Entry<'a> {
    match entry {
        Entry::Person(change) => v1::Entry::Person {
            action: action_to_v1(change.action),
            user: change.user.map(|UserNo(number)| number),
            id: change.id.as_u128().to_le_bytes(),
            before: change.before.as_ref().map(|person| person_to_v1(symbols, person)),
            after: change.after.as_ref().map(|person| person_to_v1(symbols, person)),
        },
        Entry::Record(note) => v1::Entry::Record(note_to_v1(note)),
        Entry::Group(group) => v1::Entry::Group { key: group.key.as_str(), name: &group.name },
        Entry::GroupGone(group) => v1::Entry::GroupGone { key: group.key.as_str(), name: &group.name },
        Entry::NotUndone(NotUndone { id, parts }) => v1::Entry::NotUndone {
            id: id.as_u128().to_le_bytes(),
            parts: parts.iter().map(CompactString::as_str).collect(),
        },
    }
}

fn entry_from_v1(symbols: &Symbols, entry: v1::Entry<'_>) -> Result<Entry, CodecError> {
    Ok(match entry {
        v1::Entry::Person { action, user, id, before, after } => Entry::Person(Box::new(PersonChange {
            action: action_from_v1(&action),
            user: user.map(UserNo),
            id: UserId::from_u128(u128::from_le_bytes(id)),
            before: before.map(|person| person_from_v1(symbols, &person)).transpose()?,
            after: after.map(|person| person_from_v1(symbols, &person)).transpose()?,
        })),
        v1::Entry::Record(note) => Entry::Record(note_from_v1(&note)),
        v1::Entry::Group { key, name } => Entry::Group(group_from_v1(key, name)),
        v1::Entry::GroupGone { key, name } => Entry::GroupGone(group_from_v1(key, name)),
        v1::Entry::NotUndone { id, parts } => Entry::NotUndone(NotUndone {
            id: UserId::from_u128(u128::from_le_bytes(id)),
            parts: parts.into_iter().map(CompactString::from).collect(),
        }),
    })
}

fn group_from_v1(key: &str, name: &str) -> GroupName {
    GroupName { key: GroupKey::from_stored(key.into()), name: name.into() }
}

fn action_to_v1(action: Action) -> v1::Action {
    match action {
        Action::Create => v1::Action::Create,
        Action::Update => v1::Action::Update,
        Action::Remove => v1::Action::Remove,
        Action::Delete => v1::Action::Delete,
        Action::Touch => v1::Action::Touch,
    }
}

fn action_from_v1(action: &v1::Action) -> Action {
    match action {
        v1::Action::Create => Action::Create,
        v1::Action::Update => Action::Update,
        v1::Action::Remove => Action::Remove,
        v1::Action::Delete => Action::Delete,
        v1::Action::Touch => Action::Touch,
    }
}
