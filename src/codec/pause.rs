//! The pause of an event's syncs: JSON, which may grow without a version of its own.

use super::seal::{self, CodecError, Kind};
use crate::model::Pause;

pub fn encode_pause(pause: &Pause) -> Vec<u8> {
    let text = serde_json::to_vec(pause).expect("a pause is texts and numbers");
    seal::seal(Kind::Pause, &text)
}

pub fn decode_pause(sealed: &[u8]) -> Result<Pause, CodecError> {
    let text = seal::open(Kind::Pause, sealed)?;
    serde_json::from_slice(text).map_err(|error| CodecError::malformed(Kind::Pause, error))
}
