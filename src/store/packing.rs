//! People on their way into blocks: encoded, held against what a reader accepts.

use super::{StoreError, keys};
use crate::codec::{Block, CodecError, Glance, Kind, Symbols, decode_person, encode_person};
use crate::limits::STORED_VALUE_BYTES_MAX;
use crate::model::{Person, UserId, UserNo};

/// A person of more bytes is read back before being written.
pub const READ_BACK_BYTES: usize = 256 * 1024;

/// Puts an encoded person into a block.
pub fn put(block: &mut Block, user: UserNo, id: UserId, person: Vec<u8>) -> Result<(), StoreError> {
    block.set(keys::slot_of(user), person);
    // Well below what a reader accepts.
    if block.bytes() > STORED_VALUE_BYTES_MAX / 2 { Err(StoreError::TooLarge(id)) } else { Ok(()) }
}

/// Looks at a new user, who must be the one they are said to be, with names that are known.
pub fn glance_at<'n>(symbols: &Symbols, id: UserId, person: &'n [u8]) -> Result<Glance<'n>, CodecError> {
    let glance = Glance::at(person)?;
    if glance.id() != id {
        return Err(CodecError::Malformed { kind: Kind::Block, what: "it bears another id".into() });
    }
    glance.check_names(symbols)?;
    Ok(glance)
}

pub fn unreadable(id: UserId, source: CodecError) -> StoreError {
    StoreError::Codec { what: format!("the new user {id}"), source }
}

/// Decoding is bounded; what it would refuse must never be written, or the store would not open again. Only what is
/// large can be refused, so only that is read back.
pub fn encode_checked(symbols: &mut Symbols, person: &Person) -> Result<Vec<u8>, StoreError> {
    let encoded = encode_person(symbols, person);
    if encoded.len() > READ_BACK_BYTES && decode_person(symbols, &encoded).is_err() {
        return Err(StoreError::TooLarge(person.id));
    }
    Ok(encoded)
}
