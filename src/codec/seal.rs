//! The envelope of every stored value: kind, schema version, checksum, payload.
//!
//! Layout: `kind: u8`, `version: u8`, `xxh3_64(kind, version, payload): u64` little-endian, payload.

use bincode::config::{Configuration, Limit, LittleEndian, Varint};
use bincode::enc::write::Writer;
use bincode::error::EncodeError;
use bincode::{BorrowDecode, Encode};
use xxhash_rust::xxh3::Xxh3;

use crate::limits::STORED_VALUE_BYTES_MAX;

const HEADER_BYTES: usize = 10;

/// What a sealed value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    Meta = 1,
    Block = 2,
    Symbol = 3,
    Run = 4,
    Feed = 5,
    Event = 6,
    Group = 7,
    Token = 8,
    JournalHeader = 9,
    JournalEntry = 10,
    JournalTrailer = 11,
    SpoolItem = 12,
    Integrity = 13,
    /// The head of a snapshot of the indexes.
    IndexHead = 14,
    /// What a source keeps beyond the process.
    Keepsake = 15,
    Audit = 16,
    Tombstone = 24,
    /// All of them, in a file of their own.
    Tombstones = 25,
    Erasure = 26,
    /// How an event's invitations stand.
    Inviting = 27,
    /// Of an event's syncs.
    Pause = 28,
    /// What is kept of somebody who signed in.
    SignIn = 29,
    /// How an attendee gets in without an account.
    Pass = 30,
    /// What is to be taken back of somebody who is no more.
    Withdrawal = 31,
}

impl Kind {
    /// The newest schema version this build writes and reads.
    const fn version(self) -> u8 {
        match self {
            // From version 2 on it says how far the source was read.
            Self::JournalHeader => 2,
            // From version 2 on it says how far the source was read, from 3 on when its syncs began.
            Self::Feed => 3,
            // From version 2 on it says why it was held.
            Self::Run => 2,
            // From version 2 on a feed says what is its guard's; from 3 on they are JSON.
            Self::Event => 3,
            // From version 2 on a read can be taken up from it. It outlives no version.
            Self::SpoolItem => 2,
            // From version 2 on its people are packed, from 3 on what was decided by hand may follow one, and from 4 on
            // how far they came.
            Self::Block => 4,
            // In version 2 what was decided by hand may follow, in 3 how far somebody came, too. What has nothing of it is
            // written as version 1.
            Self::JournalEntry => 3,
            // From version 2 on the columns say who was invited, has an account, came, was added or excluded by hand, and
            // through which event somebody is in a group.
            Self::IndexHead => 2,
            // From version 2 on it says the sum of the blocks, too.
            Self::Integrity => 2,
            _ => 1,
        }
    }
}

/// Why stored bytes are not what they should be. Never holds a stored value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    #[error("a {0:?} value is cut short")]
    Short(Kind),
    #[error("a {expected:?} value was expected, found kind {found}")]
    WrongKind { expected: Kind, found: u8 },
    #[error(
        "a {kind:?} value has schema version {found}, this build knows up to {known}: it was written by a newer rollcall"
    )]
    Newer { kind: Kind, found: u8, known: u8 },
    #[error("a {0:?} value does not match its checksum: the bytes on disk were damaged")]
    Checksum(Kind),
    #[error("a {kind:?} value does not decode: {what}")]
    Malformed { kind: Kind, what: String },
    #[error("a {kind:?} value refers to symbol {number}, which is not stored")]
    UnknownSymbol { kind: Kind, number: u32 },
}

impl CodecError {
    pub(super) fn malformed(kind: Kind, what: impl ToString) -> Self {
        Self::Malformed { kind, what: what.to_string() }
    }
}

type Bincode = Configuration<LittleEndian, Varint, Limit<STORED_VALUE_BYTES_MAX>>;

const fn bincode_config() -> Bincode {
    bincode::config::standard().with_limit::<STORED_VALUE_BYTES_MAX>()
}

fn checksum(kind: u8, version: u8, payload: &[u8]) -> u64 {
    let mut hash = Xxh3::new();
    hash.update(&[kind, version]);
    hash.update(payload);
    hash.digest()
}

/// Wraps a payload.
pub fn seal(kind: Kind, payload: &[u8]) -> Vec<u8> {
    let mut sealed = Vec::with_capacity(HEADER_BYTES + payload.len());
    sealed.extend_from_slice(&[kind as u8, kind.version()]);
    sealed.extend_from_slice(&checksum(kind as u8, kind.version(), payload).to_le_bytes());
    sealed.extend_from_slice(payload);
    sealed
}

/// Unwraps a payload after checking kind, version and checksum.
pub fn open(kind: Kind, sealed: &[u8]) -> Result<&[u8], CodecError> {
    open_version(kind, sealed).map(|(_, payload)| payload)
}

/// As [`open`]; `None` also of what an older build wrote.
pub fn open_newest(kind: Kind, sealed: &[u8]) -> Option<&[u8]> {
    let (version, payload) = open_version(kind, sealed).ok()?;
    (version == kind.version()).then_some(payload)
}

/// As [`open`]; also says the payload's version, which is one that this build knows.
pub(super) fn open_version(kind: Kind, sealed: &[u8]) -> Result<(u8, &[u8]), CodecError> {
    let (header, payload) = sealed.split_at_checked(HEADER_BYTES).ok_or(CodecError::Short(kind))?;
    let (found, version) = (header[0], header[1]);
    if found != kind as u8 {
        return Err(CodecError::WrongKind { expected: kind, found });
    }
    // The checksum covers the version byte, so a damaged one is not taken for a newer store.
    if header[2..] != checksum(found, version, payload).to_le_bytes() {
        return Err(CodecError::Checksum(kind));
    }
    if version > kind.version() {
        return Err(CodecError::Newer { kind, found: version, known: kind.version() });
    }
    Ok((version, payload))
}

/// The checksum that a sealed value bears; `None` of what is too short to bear one.
pub fn checksum_of(sealed: &[u8]) -> Option<u64> {
    sealed.get(2..HEADER_BYTES)?.try_into().ok().map(u64::from_le_bytes)
}

/// Encodes and seals.
pub(super) fn write<T: Encode>(kind: Kind, value: &T) -> Vec<u8> {
    write_with(kind, kind.version(), |sealed| append(sealed, value))
}

/// Seals what `fill` appends, as of a version that may be older than the newest.
pub(super) fn write_with(kind: Kind, version: u8, fill: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut sealed = Vec::with_capacity(USUAL_BYTES);
    sealed.extend_from_slice(&[0; HEADER_BYTES]);
    fill(&mut sealed);
    let sum = checksum(kind as u8, version, &sealed[HEADER_BYTES..]);
    sealed[..2].copy_from_slice(&[kind as u8, version]);
    sealed[2..HEADER_BYTES].copy_from_slice(&sum.to_le_bytes());
    sealed
}

/// Encodes without sealing.
pub(super) fn payload<T: Encode>(value: &T) -> Vec<u8> {
    let mut payload = Vec::with_capacity(USUAL_BYTES);
    append(&mut payload, value);
    payload
}

/// Most people and journal entries take less, so that their encoding is never moved while it grows.
const USUAL_BYTES: usize = 768;

pub(super) fn append<T: Encode>(bytes: &mut Vec<u8>, value: &T) {
    // The frozen structs hold nothing that bincode cannot encode, and a Vec takes any size.
    bincode::encode_into_writer(value, Appending(bytes), bincode_config()).expect("frozen structs always encode");
}

struct Appending<'a>(&'a mut Vec<u8>);

impl Writer for Appending<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}

/// Opens and decodes, consuming every byte.
pub(super) fn read<'a, T: BorrowDecode<'a, ()>>(kind: Kind, sealed: &'a [u8]) -> Result<T, CodecError> {
    read_payload(kind, open(kind, sealed)?)
}

/// Decodes a payload, consuming every byte.
pub(super) fn read_payload<'a, T: BorrowDecode<'a, ()>>(kind: Kind, payload: &'a [u8]) -> Result<T, CodecError> {
    match split_payload(kind, payload)? {
        (value, []) => Ok(value),
        (_, rest) => Err(CodecError::malformed(kind, format!("{} bytes left over", rest.len()))),
    }
}

/// Decodes what a payload must begin with. Returns the rest, too.
pub(super) fn split_payload<'a, T: BorrowDecode<'a, ()>>(
    kind: Kind,
    payload: &'a [u8],
) -> Result<(T, &'a [u8]), CodecError> {
    let (value, used) = bincode::borrow_decode_from_slice(payload, bincode_config())
        .map_err(|error| CodecError::malformed(kind, error))?;
    Ok((value, &payload[used..]))
}

/// Decodes what a payload begins with. Returns how many bytes that was; `None` where it begins with something else.
pub(super) fn read_beginning<'a, T: BorrowDecode<'a, ()>>(payload: &'a [u8]) -> Option<(T, usize)> {
    bincode::borrow_decode_from_slice(payload, bincode_config()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_what_it_sealed_and_nothing_else() {
        let sealed = seal(Kind::Run, b"payload");
        assert_eq!(open(Kind::Run, &sealed), Ok(&b"payload"[..]));
        assert_eq!(open(Kind::Feed, &sealed), Err(CodecError::WrongKind { expected: Kind::Feed, found: 4 }));
        assert_eq!(open(Kind::Run, &sealed[..9]), Err(CodecError::Short(Kind::Run)));
        for bit in 0..sealed.len() * 8 {
            let mut damaged = sealed.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(open(Kind::Run, &damaged).is_err(), "bit {bit} flipped unnoticed");
        }
    }

    #[test]
    fn refuses_a_newer_version_by_name() {
        let mut newer = seal(Kind::Run, b"x");
        newer[1] = 3;
        let sum = checksum(newer[0], 3, b"x");
        newer[2..10].copy_from_slice(&sum.to_le_bytes());
        assert_eq!(open(Kind::Run, &newer), Err(CodecError::Newer { kind: Kind::Run, found: 3, known: 2 }));
    }

    #[test]
    fn every_byte_must_be_consumed() {
        let mut bytes = payload(&7u32);
        bytes.push(0);
        assert!(matches!(read_payload::<u32>(Kind::Run, &bytes), Err(CodecError::Malformed { .. })));
    }
}
