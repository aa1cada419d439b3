//! The vault: what seals people's tokens, by keys that can be changed.
//!
//! The keys lie in a file of their own, the newest last. It alone seals; a former one stays as long as something is sealed by it, so
//! that a change of keys can be interrupted anywhere and gone on with.
//!
//! Invariant: no key prints. What does not open says nothing but that.

use std::path::PathBuf;
use std::sync::Arc;

use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use parking_lot::RwLock;

use super::StoreError;
use super::files::{Folder, hex, unhex};
use crate::model::{ExternalId, SourceName};

const NUMBER_BYTES: usize = 4;
const NONCE_BYTES: usize = 24;

/// Seals and opens. Cloning shares it.
#[derive(Clone)]
pub struct Vault {
    ring: Arc<RwLock<Ring>>,
    path: Arc<PathBuf>,
}

/// A key under its number.
#[derive(Clone)]
struct Key {
    number: u32,
    cipher: XChaCha20Poly1305,
    bytes: [u8; 32],
}

/// Ascending by number; never empty.
#[derive(Clone)]
struct Ring(Vec<Key>);

/// The system gives no random bytes.
#[derive(Debug, thiserror::Error)]
#[error("the system gives no random bytes: {0}")]
pub struct Unsealed(String);

/// It was sealed by a key that is no more, or for something else, or is damaged.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("it cannot be opened")]
pub struct Unreadable;

/// What the tokens of one person are sealed for: they cannot be passed off as another's.
pub fn bound_to(source: &SourceName, external_id: &ExternalId) -> String {
    format!("rollcall sign-in\0{source}\0{external_id}")
}

impl Key {
    fn new(number: u32, bytes: [u8; 32]) -> Self {
        Self { number, cipher: XChaCha20Poly1305::new(&bytes.into()), bytes }
    }

    fn random(number: u32) -> Result<Self, StoreError> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(|source| StoreError::Random(source.to_string()))?;
        Ok(Self::new(number, bytes))
    }
}

impl Ring {
    /// One key a line: its number and 64 hexadecimal digits.
    fn parse(text: &str) -> Option<Self> {
        let key = |line: &str| {
            let (number, digits) = line.split_once(' ')?;
            Some(Key::new(number.parse().ok()?, unhex(digits.trim())?))
        };
        let keys: Vec<Key> = text.lines().map(key).collect::<Option<_>>()?;
        let ascends = keys.is_sorted_by(|a, b| a.number < b.number);
        (ascends && !keys.is_empty()).then_some(Self(keys))
    }

    fn text(&self) -> String {
        self.0.iter().map(|key| format!("{} {}\n", key.number, hex(&key.bytes))).collect()
    }

    fn newest(&self) -> &Key {
        self.0.last().expect("a ring has a key")
    }
}

impl Vault {
    /// Reads the keys, or makes the first.
    pub(super) fn open_in(folder: &Folder) -> Result<Self, StoreError> {
        let path = folder.path().join("vault.key");
        let first = Ring(vec![Key::random(1)?]);
        let text = folder.read_or_create(&path, || first.text())?;
        let what = "keys of the vault, each a number and 64 hexadecimal digits";
        let ring = Ring::parse(&text).ok_or(StoreError::Unreadable { path: path.clone(), what })?;
        Ok(Self { ring: Arc::new(RwLock::new(ring)), path: Arc::new(path) })
    }

    /// # Errors
    /// The system gives no random bytes.
    pub fn seal(&self, bound_to: &str, plain: &[u8]) -> Result<Vec<u8>, Unsealed> {
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(|error| Unsealed(error.to_string()))?;
        let ring = self.ring.read();
        let Key { number, cipher, .. } = ring.newest();
        let payload = Payload { msg: plain, aad: bound_to.as_bytes() };
        let sealed = cipher.encrypt(XNonce::from_slice(&nonce), payload).expect("it is far below 256 GiB");
        Ok([&number.to_be_bytes()[..], &nonce, &sealed].concat())
    }

    /// # Errors
    /// It was not sealed here for this, or by a key that is no more.
    pub fn open(&self, bound_to: &str, sealed: &[u8]) -> Result<Vec<u8>, Unreadable> {
        let number = key_of(sealed).ok_or(Unreadable)?;
        let (nonce, sealed) = sealed[NUMBER_BYTES..].split_at_checked(NONCE_BYTES).ok_or(Unreadable)?;
        let ring = self.ring.read();
        let key = ring.0.iter().find(|key| key.number == number).ok_or(Unreadable)?;
        let payload = Payload { msg: sealed, aad: bound_to.as_bytes() };
        key.cipher.decrypt(XNonce::from_slice(nonce), payload).map_err(|_| Unreadable)
    }

    /// The number of the key that seals now.
    pub fn current(&self) -> u32 {
        self.ring.read().newest().number
    }

    /// Does something wait to be sealed anew?
    pub fn has_former_keys(&self) -> bool {
        self.ring.read().0.len() > 1
    }

    pub(super) fn add_key(&self, folder: &Folder) -> Result<u32, StoreError> {
        let number = self.current().saturating_add(1);
        let mut ring = self.ring.read().clone();
        ring.0.push(Key::random(number)?);
        self.keep(folder, ring)?;
        Ok(number)
    }

    /// Nothing is sealed by them any more.
    pub(super) fn drop_former_keys(&self, folder: &Folder) -> Result<(), StoreError> {
        let ring = Ring(vec![self.ring.read().newest().clone()]);
        self.keep(folder, ring)
    }

    /// On disk first: what is sealed by a key that a kill forgets is lost.
    fn keep(&self, folder: &Folder, ring: Ring) -> Result<(), StoreError> {
        folder.replace(&self.path, &ring.text())?;
        *self.ring.write() = ring;
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn path(&self) -> &std::path::Path {
        &self.path
    }
}

/// The number of the key by which something is sealed.
pub fn key_of(sealed: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(sealed.get(..NUMBER_BYTES)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_is_sealed_opens_for_what_it_was_sealed_for() {
        let folder = tempfile::tempdir().unwrap();
        let folder = Folder::open(folder.path()).unwrap();
        let vault = Vault::open_in(&folder).unwrap();
        let sealed = vault.seal("a", b"s3cret").unwrap();
        assert!(!sealed.windows(6).any(|window| window == b"s3cret"));
        assert_eq!(vault.open("a", &sealed), Ok(b"s3cret".to_vec()));
        assert_eq!(vault.open("b", &sealed), Err(Unreadable), "for something else");
        for at in 0..sealed.len() {
            let mut flipped = sealed.clone();
            flipped[at] ^= 1;
            assert_eq!(vault.open("a", &flipped), Err(Unreadable), "byte {at}");
            assert_eq!(vault.open("a", &sealed[..at]), Err(Unreadable), "cut at {at}");
        }
        assert_ne!(sealed, vault.seal("a", b"s3cret").unwrap(), "the nonce is new each time");
        let mode = std::fs::metadata(vault.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "the keys are nobody else's to read");
        let again = Vault::open_in(&folder).unwrap();
        assert_eq!(again.open("a", &sealed), Ok(b"s3cret".to_vec()), "the next process has the same");
    }

    #[test]
    fn keys_change_and_the_former_go_when_they_may() {
        let folder = tempfile::tempdir().unwrap();
        let folder = Folder::open(folder.path()).unwrap();
        let vault = Vault::open_in(&folder).unwrap();
        let old = vault.seal("a", b"x").unwrap();
        assert_eq!((vault.add_key(&folder).unwrap(), vault.has_former_keys()), (2, true));
        let new = vault.seal("a", b"x").unwrap();
        assert_eq!((key_of(&old), key_of(&new)), (Some(1), Some(2)));
        let reopened = Vault::open_in(&folder).unwrap();
        assert!(reopened.open("a", &old).is_ok() && reopened.open("a", &new).is_ok());
        vault.drop_former_keys(&folder).unwrap();
        let reopened = Vault::open_in(&folder).unwrap();
        assert_eq!((reopened.open("a", &old), reopened.open("a", &new)), (Err(Unreadable), Ok(b"x".to_vec())));
        assert!(!reopened.has_former_keys());
        let mode = std::fs::metadata(vault.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_file_that_is_no_ring_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let folder = Folder::open(folder.path()).unwrap();
        let vault = Vault::open_in(&folder).unwrap();
        let good = std::fs::read_to_string(vault.path()).unwrap();
        for bad in ["", "1", "x y", &good[..20], &format!("{good}{good}"), &format!("2{}\n{good}", &good[1..])] {
            std::fs::write(vault.path(), bad).unwrap();
            assert!(matches!(Vault::open_in(&folder), Err(StoreError::Unreadable { .. })), "{bad}");
        }
    }
}
