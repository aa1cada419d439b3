//! A block: the people of 16 consecutive user numbers in one value. Each person is encoded apart, so that
//! changing one copies the others as they are.

use super::person::{person_from_v1, person_to_v1};
use super::seal::{self, CodecError, Kind};
use super::symbols::Symbols;
use super::v1;
use crate::limits::BLOCK_USERS;
use crate::model::Person;

const SLOTS: usize = BLOCK_USERS as usize;

/// The encoded people of one block; an empty slot is nobody.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Block {
    slots: [Vec<u8>; SLOTS],
}

impl Block {
    /// Opens a sealed block.
    pub fn open(sealed: &[u8]) -> Result<Self, CodecError> {
        let slots: [&[u8]; SLOTS] = seal::read(Kind::Block, sealed)?;
        Ok(Self { slots: slots.map(<[u8]>::to_vec) })
    }

    /// The encoded person of one slot of a sealed block, or `None` for nobody. Copies nothing.
    pub fn slot_of(sealed: &[u8], slot: usize) -> Result<Option<&[u8]>, CodecError> {
        let slots: [&[u8]; SLOTS] = seal::read(Kind::Block, sealed)?;
        Ok(slots.get(slot).copied().filter(|person| !person.is_empty()))
    }

    /// All encoded people of a sealed block with their slots.
    pub fn slots_of(sealed: &[u8]) -> Result<impl Iterator<Item = (usize, &[u8])>, CodecError> {
        let slots: [&[u8]; SLOTS] = seal::read(Kind::Block, sealed)?;
        Ok(slots.into_iter().enumerate().filter(|(_, person)| !person.is_empty()))
    }

    pub fn person(&self, slot: usize) -> Option<&[u8]> {
        self.slots.get(slot).map(Vec::as_slice).filter(|person| !person.is_empty())
    }

    /// Puts an encoded person into a slot below 16; empty bytes mean nobody.
    pub fn set(&mut self, slot: usize, person: Vec<u8>) {
        if let Some(place) = self.slots.get_mut(slot) {
            *place = person;
        }
    }

    /// The bytes of all encoded people.
    pub fn bytes(&self) -> usize {
        self.slots.iter().map(Vec::len).sum()
    }

    /// How many people are in it.
    pub fn count(&self) -> u64 {
        self.slots.iter().filter(|person| !person.is_empty()).count() as u64
    }

    pub fn is_empty(&self) -> bool {
        self.slots.iter().all(Vec::is_empty)
    }

    pub fn seal(&self) -> Vec<u8> {
        seal::write(Kind::Block, &self.slots)
    }
}

/// Encodes one person for a slot; the names used are interned in `symbols`.
pub fn encode_person(symbols: &mut Symbols, person: &Person) -> Vec<u8> {
    seal::payload(&person_to_v1(symbols, person))
}

/// Decodes one slot.
pub fn decode_person(symbols: &Symbols, slot: &[u8]) -> Result<Person, CodecError> {
    person_from_v1(symbols, &seal::read_payload::<v1::Person<'_>>(Kind::Block, slot)?)
}
