//! What a login gave, as it lies in the store: sealed with XChaCha20-Poly1305, bound to its source and to the
//! configuration that it was come by with.
//!
//! Invariant: nothing leaves unsealed, and what does not open is as if it were not there.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use crate::model::{ChildKey, SourceName};

const NONCE_BYTES: usize = 24;
/// Of what is sealed; another one is not understood.
const VERSION: u32 = 1;

/// Seals the keepsake of one source.
pub(super) struct Vault {
    cipher: XChaCha20Poly1305,
    /// The associated data: a keepsake cannot be passed off as another source's.
    bound_to: String,
    /// Of everything that makes a token what it is.
    made_by: String,
    /// Of what a refresh token belongs to: it outlives a changed scope.
    refresh_of: String,
}

/// What a process hands on to the next.
#[derive(Default)]
pub(super) struct Held {
    pub(super) token: Option<(SecretString, Option<Timestamp>)>,
    pub(super) refresh: Option<SecretString>,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    v: u32,
    made_by: String,
    refresh_of: String,
    token: Option<String>,
    /// In milliseconds since 1970.
    expires_at: Option<i64>,
    refresh: Option<String>,
}

/// The keepsake was sealed with another key or for another source, or is damaged.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unreadable;

impl Vault {
    /// `made_by` and `refresh_of` are the parts of the configuration that a token and a refresh token hang on.
    pub(super) fn new(key: &ChildKey, source: &SourceName, made_by: &[&[u8]], refresh_of: &[&[u8]]) -> Self {
        let mark = |parts: &[&[u8]]| BASE64_STANDARD_NO_PAD.encode(key.digest(parts.iter().copied()));
        Self {
            cipher: XChaCha20Poly1305::new(key.bytes().into()),
            bound_to: format!("rollcall credential\0{source}"),
            made_by: mark(made_by),
            refresh_of: mark(refresh_of),
        }
    }

    /// # Errors
    /// The system gives no random bytes, says the text.
    pub(super) fn seal(&self, held: &Held) -> Result<Vec<u8>, String> {
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(|error| format!("the system gives no random bytes: {error}"))?;
        let text = |secret: &SecretString| secret.expose_secret().to_owned();
        let stored = Stored {
            v: VERSION,
            made_by: self.made_by.clone(),
            refresh_of: self.refresh_of.clone(),
            token: held.token.as_ref().map(|(token, _)| text(token)),
            expires_at: held.token.as_ref().and_then(|(_, at)| at.map(Timestamp::as_millisecond)),
            refresh: held.refresh.as_ref().map(text),
        };
        let plain = serde_json::to_vec(&stored).expect("texts and numbers make JSON");
        let payload = Payload { msg: &plain, aad: self.bound_to.as_bytes() };
        let sealed = self.cipher.encrypt(XNonce::from_slice(&nonce), payload).expect("it is far below 256 GiB");
        Ok([nonce.as_slice(), &sealed].concat())
    }

    /// What was sealed here, as far as it still fits the configuration.
    pub(super) fn open(&self, sealed: &[u8]) -> Result<Held, Unreadable> {
        let (nonce, sealed) = sealed.split_at_checked(NONCE_BYTES).ok_or(Unreadable)?;
        let payload = Payload { msg: sealed, aad: self.bound_to.as_bytes() };
        let plain = self.cipher.decrypt(XNonce::from_slice(nonce), payload).map_err(|_| Unreadable)?;
        let stored: Stored = serde_json::from_slice(&plain).map_err(|_| Unreadable)?;
        if stored.v != VERSION {
            return Err(Unreadable);
        }
        let expires_at = stored.expires_at.and_then(|at| Timestamp::from_millisecond(at).ok());
        let token = stored.token.filter(|_| stored.made_by == self.made_by);
        let refresh = stored.refresh.filter(|_| stored.refresh_of == self.refresh_of);
        Ok(Held { token: token.map(|token| (token.into(), expires_at)), refresh: refresh.map(SecretString::from) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::CommunityKey;

    fn vault(key: u8, source: &str, made_by: &str, refresh_of: &str) -> Vault {
        let key = CommunityKey::new([key; 32]).child("test");
        Vault::new(&key, &SourceName::parse(source).unwrap(), &[made_by.as_bytes()], &[refresh_of.as_bytes()])
    }

    fn held() -> Held {
        let at = Timestamp::from_millisecond(1_800_000_000_123).unwrap();
        Held { token: Some(("s3cret".into(), Some(at))), refresh: Some("r3fresh".into()) }
    }

    fn texts(held: &Held) -> (Option<(&str, Option<i64>)>, Option<&str>) {
        let token = held.token.as_ref();
        let token = token.map(|(token, at)| (token.expose_secret(), at.map(Timestamp::as_millisecond)));
        (token, held.refresh.as_ref().map(ExposeSecret::expose_secret))
    }

    #[test]
    fn what_is_sealed_opens_again_and_never_shows() {
        let vault = vault(1, "crm", "a", "b");
        let sealed = vault.seal(&held()).unwrap();
        for plain in ["s3cret", "r3fresh", "token"] {
            assert!(!sealed.windows(plain.len()).any(|window| window == plain.as_bytes()));
        }
        assert_eq!(texts(&vault.open(&sealed).unwrap()), texts(&held()));
        assert_ne!(sealed, vault.seal(&held()).unwrap(), "the nonce is new each time");
    }

    #[test]
    fn another_key_another_source_or_a_flipped_bit_do_not_open() {
        let mine = vault(1, "crm", "a", "b");
        let sealed = mine.seal(&held()).unwrap();
        assert_eq!(vault(2, "crm", "a", "b").open(&sealed).err(), Some(Unreadable));
        assert_eq!(vault(1, "erp", "a", "b").open(&sealed).err(), Some(Unreadable));
        for at in 0..sealed.len() {
            let mut flipped = sealed.clone();
            flipped[at] ^= 1;
            assert_eq!(mine.open(&flipped).err(), Some(Unreadable), "byte {at}");
            assert_eq!(mine.open(&sealed[..at]).err(), Some(Unreadable), "cut at {at}");
        }
    }

    #[test]
    fn a_changed_configuration_forgets_what_hangs_on_it() {
        let sealed = vault(1, "crm", "a", "b").seal(&held()).unwrap();
        let opened = |made_by, refresh_of| vault(1, "crm", made_by, refresh_of).open(&sealed).unwrap();
        assert_eq!(texts(&opened("x", "b")), (None, Some("r3fresh")));
        assert_eq!(texts(&opened("a", "x")).1, None);
        assert_eq!(texts(&opened("x", "x")), (None, None));
    }
}
