//! Somebody new on the way from the journal into a block: the bytes stay bytes. Making a person of them, only to encode
//! it again, is most of the cost of a first sync.

use bincode::BorrowDecode;

use super::seal::{self, CodecError, Kind};
use super::symbols::{SymbolKind, Symbols};
use super::v1;
use crate::model::UserId;

/// A journal entry that makes a new user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Newcomer {
    pub id: UserId,
    /// As [`super::encode_person`] does it, under the journal's symbols.
    pub person: Vec<u8>,
}

/// What a [`v1::JournalEntry`] of a newcomer begins with; its person follows.
#[derive(BorrowDecode)]
pub(super) struct Head<'a> {
    pub symbols: Vec<(u8, &'a str)>,
    entry: u32,
    _action: v1::Action,
    user: Option<u32>,
    id: [u8; 16],
    before: u8,
    after: u8,
}

/// The number of [`v1::Entry::Person`], and the marks of `None` and `Some`.
const PERSON: u32 = 0;
const NONE: u8 = 0;
const SOME: u8 = 1;

impl<'a> Head<'a> {
    /// The head and the newcomer behind it; `None` for any other entry.
    pub fn of(payload: &'a [u8]) -> Option<(Self, Newcomer)> {
        // Of another entry this makes nothing, or something that is none of the below.
        let (head, used) = seal::read_beginning::<Self>(payload)?;
        let Self { entry: PERSON, user: None, id, before: NONE, after: SOME, .. } = head else { return None };
        let id = UserId::from_u128(u128::from_le_bytes(id));
        let person = payload.get(used..)?.to_vec();
        Some((head, Newcomer { id, person }))
    }
}

/// Gives encoded people the numbers that names have elsewhere.
pub struct Recoding {
    /// By kind and old number.
    numbers: [Vec<u32>; 4],
    is_same: bool,
}

impl Recoding {
    /// From one table to another, which gets the names that it lacks.
    pub fn new(from: &Symbols, to: &mut Symbols) -> Self {
        let mut numbers: [Vec<u32>; 4] = Default::default();
        for (kind, _, name) in from.since([0; 4]) {
            numbers[kind as usize].push(to.intern(kind, name));
        }
        let is_same = numbers.iter().flat_map(|of_kind| (0u32..).zip(of_kind)).all(|(old, new)| old == *new);
        Self { numbers, is_same }
    }

    /// The same person under the other table's numbers.
    pub fn recode(&self, person: Vec<u8>) -> Result<Vec<u8>, CodecError> {
        if self.is_same {
            return Ok(person);
        }
        let mut stored: v1::Person<'_> = seal::read_payload(Kind::JournalEntry, &person)?;
        for owner in &mut stored.owners {
            self.renumber(SymbolKind::Source, &mut owner.source)?;
        }
        for field in &mut stored.profile {
            self.renumber_field(&mut field.field)?;
        }
        for attendance in &mut stored.attendances {
            self.renumber(SymbolKind::Event, &mut attendance.event)?;
        }
        for registration in &mut stored.registrations {
            self.renumber(SymbolKind::Event, &mut registration.event)?;
            self.renumber(SymbolKind::Source, &mut registration.source)?;
            registration.fields.iter_mut().try_for_each(|(field, _)| self.renumber_field(field))?;
            registration.groups.iter_mut().try_for_each(|group| self.renumber(SymbolKind::Group, group))?;
        }
        Ok(seal::payload(&stored))
    }

    fn renumber_field(&self, field: &mut v1::Field) -> Result<(), CodecError> {
        match field {
            v1::Field::Custom(number) => self.renumber(SymbolKind::CustomField, number),
            _ => Ok(()),
        }
    }

    fn renumber(&self, kind: SymbolKind, number: &mut u32) -> Result<(), CodecError> {
        let new = self.numbers[kind as usize].get(*number as usize);
        *number = *new.ok_or(CodecError::UnknownSymbol { kind: Kind::JournalEntry, number: *number })?;
        Ok(())
    }
}
