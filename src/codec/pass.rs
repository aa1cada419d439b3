//! Passes and withdrawals: JSON, which may grow without a version of its own.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use serde::{Deserialize, Serialize};

use super::convert::millis;
use super::seal::{self, CodecError, Kind};
use crate::model::{EventName, Pass, Receipt, UserId, Withdrawal};

#[derive(Serialize, Deserialize)]
struct Stored {
    event: EventName,
    user: UserId,
    edition: u32,
    /// In milliseconds since 1970.
    made_at: i64,
    /// In base64.
    sealed: String,
    #[serde(default)]
    receipts: Vec<Receipt>,
}

pub fn encode_pass(pass: &Pass) -> Vec<u8> {
    let Pass { event, id, edition, made_at, sealed, receipts } = pass;
    let stored = Stored {
        event: event.clone(),
        user: *id,
        edition: *edition,
        made_at: made_at.as_millisecond(),
        sealed: BASE64_STANDARD_NO_PAD.encode(sealed),
        receipts: receipts.clone(),
    };
    seal::seal(Kind::Pass, &serde_json::to_vec(&stored).expect("texts and numbers make JSON"))
}

pub fn decode_pass(sealed: &[u8]) -> Result<Pass, CodecError> {
    let malformed = |what: &str| CodecError::malformed(Kind::Pass, what);
    let payload = seal::open(Kind::Pass, sealed)?;
    // The error's own text may hold a value.
    let stored: Stored = serde_json::from_slice(payload).map_err(|_| malformed("no pass"))?;
    let Stored { event, user, edition, made_at, sealed, receipts } = stored;
    let sealed = BASE64_STANDARD_NO_PAD.decode(sealed).map_err(|_| malformed("no base64"))?;
    Ok(Pass { event, id: user, edition, made_at: millis(Kind::Pass, made_at)?, sealed, receipts })
}

pub fn encode_withdrawal(withdrawal: &Withdrawal) -> Vec<u8> {
    seal::seal(Kind::Withdrawal, &serde_json::to_vec(withdrawal).expect("texts and numbers make JSON"))
}

pub fn decode_withdrawal(sealed: &[u8]) -> Result<Withdrawal, CodecError> {
    let payload = seal::open(Kind::Withdrawal, sealed)?;
    serde_json::from_slice(payload).map_err(|_| CodecError::malformed(Kind::Withdrawal, "no withdrawal"))
}
