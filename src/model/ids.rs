//! Identifiers. Names are allow-listed so that they are safe in paths, labels and URLs.

use std::fmt;
use std::sync::{Arc, LazyLock};

use compact_str::CompactString;
use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize, Serializer};
use sha2::Sha256;

use super::EmailKey;

/// Why a string is not an event or source name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a name is 1 to 64 characters of a-z, 0-9, '-' and '_'")]
pub struct NameError;

fn check_name(name: &str) -> Result<(), NameError> {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    if (1..=64).contains(&name.len()) && name.bytes().all(allowed) { Ok(()) } else { Err(NameError) }
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $type(Arc<str>);

        impl $type {
            /// Accepts 1 to 64 characters of `[a-z0-9_-]`.
            pub fn parse(name: &str) -> Result<Self, NameError> {
                check_name(name).map(|()| Self(name.into()))
            }

            /// A name that was accepted before, as stored.
            pub fn from_stored(name: Arc<str>) -> Self {
                Self(name)
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $type {
            type Error = NameError;
            fn try_from(name: String) -> Result<Self, NameError> {
                Self::parse(&name)
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> String {
                name.0.as_ref().to_owned()
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
    };
}

name! {
    /// The name of an event: `[a-z0-9_-]{1,64}`.
    EventName
}
/// Stands where an event's name would for what belongs to no event. No event can bear it.
const COMMUNITY: &str = "@community";

impl EventName {
    /// What people who sign in belong to, which is no event.
    pub fn community() -> Self {
        static NAME: LazyLock<EventName> = LazyLock::new(|| EventName(COMMUNITY.into()));
        NAME.clone()
    }

    pub fn is_community(&self) -> bool {
        self.as_str() == COMMUNITY
    }

    /// An event's name, or what stands for none.
    pub fn or_community(name: &str) -> Result<Self, NameError> {
        if name == COMMUNITY { Ok(Self::community()) } else { Self::parse(name) }
    }
}

name! {
    /// The name of a source: `[a-z0-9_-]{1,64}`.
    SourceName
}

name! {
    /// The name of a page of an event: `[a-z0-9_-]{1,64}`.
    PageName
}

name! {
    /// The name of what goes back to a source: `[a-z0-9_-]{1,64}`.
    PushName
}

/// One source feeding one event.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FeedId {
    pub event: EventName,
    pub source: SourceName,
}

impl FeedId {
    /// Of whom signs in with a source.
    pub fn of_logins(source: SourceName) -> Self {
        Self { event: EventName::community(), source }
    }

    pub fn is_of_logins(&self) -> bool {
        self.event.is_community()
    }
}

impl fmt::Display for FeedId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.event, self.source)
    }
}

/// The source's own key of a record, unique within a feed. Never empty.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ExternalId(CompactString);

impl ExternalId {
    /// `None` when the text is empty after trimming.
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        (!text.is_empty()).then(|| Self(text.into()))
    }

    /// An id that was accepted before, as stored.
    pub fn from_stored(text: CompactString) -> Self {
        Self(text)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ExternalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The number of a run, counted from 1 and never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(pub u64);

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An API token as it is shown: the first bytes of its SHA-256, written as 12 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenId(pub [u8; 6]);

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A user's internal number: dense, from 0, never reused, never shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserNo(pub u32);

/// The secret from which user ids are made: 32 random bytes, one per community. Cannot be printed.
#[derive(Clone)]
pub struct CommunityKey([u8; 32]);

impl CommunityKey {
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// A key for one purpose, from which neither this key nor that of another purpose can be told.
    pub fn child(&self, purpose: &str) -> ChildKey {
        ChildKey(hmac(&self.0, &[purpose.as_bytes()]))
    }
}

impl fmt::Debug for CommunityKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CommunityKey(***)")
    }
}

/// A secret made from the community key for one purpose. Cannot be printed.
#[derive(Clone)]
pub struct ChildKey([u8; 32]);

impl ChildKey {
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// A keyed digest of these parts: other parts, or parts divided elsewhere, give another.
    pub fn digest<'p>(&self, parts: impl IntoIterator<Item = &'p [u8]>) -> [u8; 32] {
        let lengths_and_parts: Vec<_> =
            parts.into_iter().map(|part| ((part.len() as u64).to_be_bytes(), part)).collect();
        let pieces: Vec<&[u8]> = lengths_and_parts.iter().flat_map(|(length, part)| [&length[..], part]).collect();
        hmac(&self.0, &pieces)
    }
}

impl fmt::Debug for ChildKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChildKey(***)")
    }
}

fn hmac(key: &[u8; 32], pieces: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes any key length");
    pieces.iter().for_each(|piece| mac.update(piece));
    mac.finalize().into_bytes().into()
}

/// A user's public id: a UUID (version 8, RFC 9562) made from the community key, the email key at
/// creation and a number, so that it does not depend on the order of pages and cannot be guessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UserId(uuid::Uuid);

impl UserId {
    /// The `n`th id of an email key; `n` is the lowest that no other user holds, usually 0.
    pub fn mint(key: &CommunityKey, email: &EmailKey, n: u32) -> Self {
        // HMAC accepts keys of any length, so this cannot fail.
        let mut mac = Hmac::<Sha256>::new_from_slice(key.bytes()).expect("HMAC takes any key length");
        mac.update(b"rollcall user id\0");
        mac.update(email.as_str().as_bytes());
        mac.update(&[0]);
        mac.update(&n.to_be_bytes());
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&mac.finalize().into_bytes()[..16]);
        Self(uuid::Builder::from_custom_bytes(bytes).into_uuid())
    }

    pub fn parse(text: &str) -> Option<Self> {
        uuid::Uuid::try_parse(text).ok().map(Self)
    }

    pub const fn from_u128(bits: u128) -> Self {
        Self(uuid::Uuid::from_u128(bits))
    }

    pub const fn as_u128(self) -> u128 {
        self.0.as_u128()
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Email;

    #[test]
    fn names_are_allow_listed() {
        for good in ["a", "summit-2026", "a_b", &"x".repeat(64)] {
            assert!(EventName::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "A", "a b", "../etc", "a/b", "ä", "a\0", &"x".repeat(65)] {
            assert!(EventName::parse(bad).is_err(), "{bad}");
            assert!(EventName::or_community(bad).is_err(), "{bad}");
        }
        let community = EventName::community();
        assert!(EventName::parse(community.as_str()).is_err(), "no event is called so");
        assert_eq!(EventName::or_community(community.as_str()), Ok(community));
    }

    #[test]
    fn user_ids_depend_on_key_email_and_number_only() {
        let (k1, k2) = (CommunityKey::new([1; 32]), CommunityKey::new([2; 32]));
        let ada = Email::parse("Ada@Example.org").unwrap().key();
        let same = Email::parse(" ada@example.ORG ").unwrap().key();
        assert_eq!(UserId::mint(&k1, &ada, 0), UserId::mint(&k1, &same, 0));
        assert_ne!(UserId::mint(&k1, &ada, 0), UserId::mint(&k1, &ada, 1));
        assert_ne!(UserId::mint(&k1, &ada, 0), UserId::mint(&k2, &ada, 0));
    }

    #[test]
    fn the_community_key_does_not_print() {
        let key = CommunityKey::new([7; 32]);
        assert_eq!(format!("{key:?} {:?}", key.child("a")), "CommunityKey(***) ChildKey(***)");
    }

    #[test]
    fn child_keys_and_their_digests_differ_with_all_they_are_made_of() {
        let key = |byte, purpose| CommunityKey::new([byte; 32]).child(purpose);
        assert_eq!(key(1, "a").bytes(), key(1, "a").bytes());
        assert_ne!(key(1, "a").bytes(), key(2, "a").bytes());
        assert_ne!(key(1, "a").bytes(), key(1, "b").bytes());
        let digest = |key: ChildKey, parts: &[&str]| key.digest(parts.iter().map(|part| part.as_bytes()));
        assert_eq!(digest(key(1, "a"), &["ab", "c"]), digest(key(1, "a"), &["ab", "c"]));
        assert_ne!(digest(key(1, "a"), &["ab", "c"]), digest(key(1, "a"), &["a", "bc"]));
        assert_ne!(digest(key(1, "a"), &["ab", "c"]), digest(key(2, "a"), &["ab", "c"]));
    }
}
