//! What is kept of somebody who signed in: JSON, which may grow without a version of its own.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::convert::millis;
use super::seal::{self, CodecError, Kind};
use crate::model::{ExternalId, SignIn, SignInStanding, SourceName};

#[derive(Serialize, Deserialize)]
struct Stored {
    source: SourceName,
    external_id: ExternalId,
    standing: SignInStanding,
    /// In milliseconds since 1970.
    signed_in_at: i64,
    refreshed_at: i64,
    /// In base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tokens: Option<String>,
}

pub fn encode_sign_in(sign_in: &SignIn) -> Vec<u8> {
    let SignIn { source, external_id, standing, signed_in_at, refreshed_at, tokens } = sign_in;
    let stored = Stored {
        source: source.clone(),
        external_id: external_id.clone(),
        standing: *standing,
        signed_in_at: signed_in_at.as_millisecond(),
        refreshed_at: refreshed_at.as_millisecond(),
        tokens: tokens.as_ref().map(|sealed| BASE64_STANDARD_NO_PAD.encode(sealed)),
    };
    seal::seal(Kind::SignIn, &serde_json::to_vec(&stored).expect("texts and numbers make JSON"))
}

pub fn decode_sign_in(sealed: &[u8]) -> Result<SignIn, CodecError> {
    let malformed = |what: String| CodecError::malformed(Kind::SignIn, what);
    let payload = seal::open(Kind::SignIn, sealed)?;
    // The error's own text may hold a value.
    let stored: Stored = serde_json::from_slice(payload).map_err(|_| malformed("no sign-in".into()))?;
    let Stored { source, external_id, standing, signed_in_at, refreshed_at, tokens } = stored;
    let time = |at: i64| -> Result<Timestamp, CodecError> { millis(Kind::SignIn, at) };
    let tokens = tokens.map(|text| BASE64_STANDARD_NO_PAD.decode(text)).transpose();
    Ok(SignIn {
        source,
        external_id,
        standing,
        signed_in_at: time(signed_in_at)?,
        refreshed_at: time(refreshed_at)?,
        tokens: tokens.map_err(|_| malformed("no base64".into()))?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_comes_back_as_it_was() {
        let at = |ms| Timestamp::from_millisecond(ms).unwrap();
        for tokens in [None, Some(vec![0, 255, 7])] {
            let sign_in = SignIn {
                source: SourceName::parse("id").unwrap(),
                external_id: ExternalId::new("sub|1").unwrap(),
                standing: SignInStanding::SignInAgain,
                signed_in_at: at(1_800_000_000_123),
                refreshed_at: at(1_800_000_000_456),
                tokens,
            };
            assert_eq!(decode_sign_in(&encode_sign_in(&sign_in)), Ok(sign_in));
        }
    }
}
