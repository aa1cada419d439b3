//! Tombstones, and what is remembered of erasures.

use super::convert::millis;
use super::seal::{self, CodecError, Kind};
use super::v1;
use crate::model::{Actor, Cleaned, ErasedBy, Erasure, Mark, RunId, TokenId, Tombstone, UserId};

fn marks_to_v1(marks: &[Mark]) -> Vec<[u8; 16]> {
    marks.iter().map(|Mark(mark)| mark.to_le_bytes()).collect()
}

fn marks_from_v1(marks: &[[u8; 16]]) -> Vec<Mark> {
    marks.iter().map(|mark| Mark(u128::from_le_bytes(*mark))).collect()
}

fn user_from_v1(id: [u8; 16]) -> UserId {
    UserId::from_u128(u128::from_le_bytes(id))
}

fn tombstone_to_v1(tombstone: &Tombstone) -> v1::Tombstone {
    v1::Tombstone {
        at_ms: tombstone.at.as_millisecond(),
        user: tombstone.user.as_u128().to_le_bytes(),
        marks: marks_to_v1(&tombstone.marks),
    }
}

fn tombstone_from_v1(kind: Kind, stored: &v1::Tombstone) -> Result<Tombstone, CodecError> {
    let v1::Tombstone { at_ms, user, marks } = stored;
    if marks.is_empty() {
        return Err(CodecError::malformed(kind, "it keeps nothing out"));
    }
    Ok(Tombstone { at: millis(kind, *at_ms)?, user: user_from_v1(*user), marks: marks_from_v1(marks) })
}

pub fn encode_tombstone(tombstone: &Tombstone) -> Vec<u8> {
    seal::write(Kind::Tombstone, &tombstone_to_v1(tombstone))
}

pub fn decode_tombstone(sealed: &[u8]) -> Result<Tombstone, CodecError> {
    tombstone_from_v1(Kind::Tombstone, &seal::read(Kind::Tombstone, sealed)?)
}

/// All tombstones as of a batch of the store, for a file of their own.
pub fn encode_tombstones<'t>(generation: u64, tombstones: impl Iterator<Item = &'t Tombstone>) -> Vec<u8> {
    let tombstones = tombstones.map(tombstone_to_v1).collect();
    seal::write(Kind::Tombstones, &v1::Tombstones { generation, tombstones })
}

pub fn decode_tombstones(sealed: &[u8]) -> Result<(u64, Vec<Tombstone>), CodecError> {
    let v1::Tombstones { generation, tombstones } = seal::read(Kind::Tombstones, sealed)?;
    let tombstones = tombstones.iter().map(|stored| tombstone_from_v1(Kind::Tombstones, stored));
    Ok((generation, tombstones.collect::<Result<_, _>>()?))
}

pub fn encode_erasure(erasure: &Erasure) -> Vec<u8> {
    let Cleaned { journals, entries, reads } = erasure.cleaned;
    let stored = v1::Erasure {
        at_ms: erasure.at.as_millisecond(),
        by: match &erasure.by {
            ErasedBy::Hand(Actor::CommandLine) => v1::ErasedBy::CommandLine,
            ErasedBy::Hand(Actor::Token { id: TokenId(id), name }) => v1::ErasedBy::Token(*id, name),
            ErasedBy::Run(RunId(run)) => v1::ErasedBy::Run(*run),
        },
        users: erasure.users.iter().map(|id| id.as_u128().to_le_bytes()).collect(),
        registrations: erasure.registrations,
        tombstones: erasure.tombstones,
        next_run: erasure.next_run.0,
        marks: marks_to_v1(&erasure.marks),
        cleaned: [journals, entries, reads],
        cleaned_at_ms: erasure.cleaned_at.map(|at| at.as_millisecond()),
        compacted_at_ms: erasure.compacted_at.map(|at| at.as_millisecond()),
    };
    seal::write(Kind::Erasure, &stored)
}

pub fn decode_erasure(sealed: &[u8]) -> Result<Erasure, CodecError> {
    let stored: v1::Erasure<'_> = seal::read(Kind::Erasure, sealed)?;
    let time = |at| millis(Kind::Erasure, at);
    let [journals, entries, reads] = stored.cleaned;
    Ok(Erasure {
        at: time(stored.at_ms)?,
        by: match stored.by {
            v1::ErasedBy::CommandLine => ErasedBy::Hand(Actor::CommandLine),
            v1::ErasedBy::Token(id, name) => ErasedBy::Hand(Actor::Token { id: TokenId(id), name: name.to_owned() }),
            v1::ErasedBy::Run(run) => ErasedBy::Run(RunId(run)),
        },
        users: stored.users.into_iter().map(user_from_v1).collect(),
        registrations: stored.registrations,
        tombstones: stored.tombstones,
        next_run: RunId(stored.next_run),
        marks: marks_from_v1(&stored.marks),
        cleaned: Cleaned { journals, entries, reads },
        cleaned_at: stored.cleaned_at_ms.map(time).transpose()?,
        compacted_at: stored.compacted_at_ms.map(time).transpose()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_is_read_as_written() {
        let at = jiff::Timestamp::from_millisecond(1_800_000_000_123).unwrap();
        let tombstone = Tombstone { at, user: UserId::from_u128(7), marks: vec![Mark(1), Mark(u128::MAX)] };
        assert_eq!(decode_tombstone(&encode_tombstone(&tombstone)), Ok(tombstone.clone()));
        let all = [tombstone.clone(), Tombstone { marks: vec![Mark(3)], ..tombstone }];
        assert_eq!(decode_tombstones(&encode_tombstones(9, all.iter())), Ok((9, all.to_vec())));
        let token = Actor::Token { id: TokenId([1; 6]), name: "desk".into() };
        for by in [ErasedBy::Hand(Actor::CommandLine), ErasedBy::Hand(token), ErasedBy::Run(RunId(4))] {
            let erasure = Erasure {
                at,
                by,
                users: vec![UserId::from_u128(7)],
                registrations: 2,
                tombstones: 1,
                next_run: RunId(5),
                marks: vec![Mark(8)],
                cleaned: Cleaned { journals: 1, entries: 2, reads: 3 },
                cleaned_at: Some(at),
                compacted_at: None,
            };
            assert_eq!(decode_erasure(&encode_erasure(&erasure)), Ok(erasure));
        }
    }
}
