//! How an event's invitations stand: JSON, which may grow without a version of its own.

use super::seal::{self, CodecError, Kind};
use crate::model::Inviting;

pub fn encode_inviting(inviting: &Inviting) -> Vec<u8> {
    seal::seal(Kind::Inviting, &serde_json::to_vec(inviting).expect("numbers, words and true or false"))
}

pub fn decode_inviting(sealed: &[u8]) -> Result<Inviting, CodecError> {
    let payload = seal::open(Kind::Inviting, sealed)?;
    serde_json::from_slice(payload).map_err(|error| CodecError::malformed(Kind::Inviting, error))
}
