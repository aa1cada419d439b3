//! A block: the people of 16 consecutive user numbers in one value. Each person is encoded apart, so that
//! changing one copies the others as they are; together they are packed (LZ4), for they resemble each other: a third
//! of the bytes to write, to keep cached and to read.

use std::borrow::Cow;

use super::by_hand::{by_hand_from_v2, by_hand_to_v2};
use super::journey::{journey_from_v3, journey_to_v3};
use super::person::{person_from_v1, person_to_v1};
use super::seal::{self, CodecError, Kind};
use super::symbols::Symbols;
use super::{v1, v2, v3};
use crate::limits::{BLOCK_USERS, STORED_VALUE_BYTES_MAX};
use crate::model::Person;

const SLOTS: usize = BLOCK_USERS as usize;

/// The first version's payload is the list of the slots; since the second it is packed. Since the third what was decided
/// by hand may stand behind a person, since the fourth also how far they came.
const UNPACKED: u8 = 1;

/// LZ4 packs at most so well.
const PACKING_MAX: usize = 255;

/// The encoded people of one block; an empty slot is nobody.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Block {
    slots: [Vec<u8>; SLOTS],
}

/// What is in a sealed block, to be looked at.
pub struct Unpacked<'a>(Cow<'a, [u8]>);

impl<'a> Unpacked<'a> {
    /// Opens a sealed block.
    pub fn open(sealed: &'a [u8]) -> Result<Self, CodecError> {
        let (version, payload) = seal::open_version(Kind::Block, sealed)?;
        Ok(Self(if version == UNPACKED { payload.into() } else { unpack(payload)?.into() }))
    }

    fn slots(&self) -> Result<[&[u8]; SLOTS], CodecError> {
        seal::read_payload(Kind::Block, &self.0)
    }

    /// The encoded person of one slot, or `None` for nobody.
    pub fn person(&self, slot: usize) -> Result<Option<&[u8]>, CodecError> {
        Ok(self.slots()?.get(slot).copied().filter(|person| !person.is_empty()))
    }

    /// All encoded people with their slots.
    pub fn people(&self) -> Result<impl Iterator<Item = (usize, &[u8])>, CodecError> {
        Ok(self.slots()?.into_iter().enumerate().filter(|(_, person)| !person.is_empty()))
    }
}

fn unpack(packed: &[u8]) -> Result<Vec<u8>, CodecError> {
    let malformed = |error| CodecError::malformed(Kind::Block, error);
    let (bytes, packed) = lz4_flex::block::uncompressed_size(packed).map_err(malformed)?;
    if bytes > STORED_VALUE_BYTES_MAX.min(packed.len().saturating_mul(PACKING_MAX)) {
        return Err(CodecError::malformed(Kind::Block, format!("{} bytes packed into {}", bytes, packed.len())));
    }
    lz4_flex::block::decompress(packed, bytes).map_err(malformed)
}

impl Block {
    /// Opens a sealed block, to be changed.
    pub fn open(sealed: &[u8]) -> Result<Self, CodecError> {
        Ok(Self { slots: Unpacked::open(sealed)?.slots()?.map(<[u8]>::to_vec) })
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
        seal::seal(Kind::Block, &lz4_flex::block::compress_prepend_size(&seal::payload(&self.slots)))
    }
}

/// Encodes one person for a slot; the names used are interned in `symbols`. What was decided by hand follows, then how
/// far the person came.
pub fn encode_person(symbols: &mut Symbols, person: &Person) -> Vec<u8> {
    let mut slot = seal::payload(&person_to_v1(symbols, person));
    let (by_hand, journey) = (by_hand_to_v2(symbols, person), journey_to_v3(symbols, person));
    if by_hand.is_some() || journey.is_some() {
        seal::append(&mut slot, &by_hand.unwrap_or_default());
    }
    if let Some(journey) = &journey {
        seal::append(&mut slot, journey);
    }
    slot
}

/// What stands behind a person.
pub struct Behind<'a> {
    pub by_hand: Option<v2::ByHand<'a>>,
    pub journey: Option<v3::Journey<'a>>,
}

impl<'a> Behind<'a> {
    pub fn of(rest: &'a [u8]) -> Result<Self, CodecError> {
        if rest.is_empty() {
            return Ok(Self { by_hand: None, journey: None });
        }
        let (by_hand, rest) = seal::split_payload(Kind::Block, rest)?;
        let journey = (!rest.is_empty()).then(|| seal::read_payload(Kind::Block, rest)).transpose()?;
        Ok(Self { by_hand: Some(by_hand), journey })
    }

    fn put(&self, symbols: &Symbols, person: &mut Person) -> Result<(), CodecError> {
        if let Some(by_hand) = &self.by_hand {
            let by_hand = by_hand_from_v2(symbols, by_hand)?;
            person.by_hand = (!by_hand.is_empty()).then(|| Box::new(by_hand));
        }
        if let Some(journey) = &self.journey {
            person.journey = Some(Box::new(journey_from_v3(symbols, journey)?));
        }
        Ok(())
    }
}

/// Decodes one slot.
pub fn decode_person(symbols: &Symbols, slot: &[u8]) -> Result<Person, CodecError> {
    let (person, rest) = seal::split_payload::<v1::Person<'_>>(Kind::Block, slot)?;
    let mut person = person_from_v1(symbols, &person)?;
    Behind::of(rest)?.put(symbols, &mut person)?;
    Ok(person)
}
