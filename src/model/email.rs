//! Email addresses: the source's spelling for display and mail, a normalised key for identity.

use std::fmt;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};
use unicode_normalization::{UnicodeNormalization, is_nfc};

/// Longest address accepted, in bytes (RFC 5321 §4.5.3.1.3 allows a path of 256 octets with its brackets).
const EMAIL_BYTES_MAX: usize = 254;

/// Why a text is not an email address. Never holds the text itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an email address: needs one '@' between a name and a domain, no spaces, at most 254 bytes")]
pub struct EmailError;

/// An address as the source spells it, trimmed.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Email(CompactString);

/// The identity of an address: trimmed, Unicode NFC, lower case.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EmailKey(CompactString);

impl Email {
    /// Accepts what a mail server could plausibly take: `local@domain`, without blanks or controls.
    ///
    /// The rule is deliberately wider than RFC 5321 (any Unicode, RFC 6531): the registration system
    /// already mailed the person, and a stricter rule here would lose people.
    pub fn parse(text: &str) -> Result<Self, EmailError> {
        if is_plain(text) {
            return Ok(Self(text.into()));
        }
        let text = text.trim();
        if is_address(text) { Ok(Self(text.into())) } else { Err(EmailError) }
    }

    /// An address that was accepted before, as stored.
    pub fn from_stored(text: CompactString) -> Self {
        Self(text)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn key(&self) -> EmailKey {
        EmailKey::of(&self.0)
    }
}

impl EmailKey {
    /// Normalises any text; a text that is no address simply matches nobody.
    pub fn of(text: &str) -> Self {
        Self(fold(text))
    }

    /// Is this the key of that email? As making its key and comparing, without making it.
    pub fn is_of(&self, Email(email): &Email) -> bool {
        if email.is_ascii() { self.0.eq_ignore_ascii_case(email.trim()) } else { *self == Self::of(email) }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The rule, for a trimmed text.
fn is_address(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    let blank = |c: char| c.is_whitespace() || c.is_control();
    let domain_ok = !domain.is_empty()
        && domain.split('.').all(|label| !label.is_empty())
        && !domain.contains(['@', ',', ';', '<', '>', '(', ')', '"']);
    let local_ok = !local.is_empty() && (local.starts_with('"') || !local.contains(['@', ',', ';', '<', '>']));
    domain_ok && local_ok && text.len() <= EMAIL_BYTES_MAX && !text.contains(blank)
}

/// Is it an address of the usual kind, to be seen at one look? Only where [`is_address`] says so, too.
fn is_plain(text: &str) -> bool {
    let letter = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'+');
    let bytes = text.as_bytes();
    let Some(at) = bytes.iter().position(|byte| *byte == b'@') else { return false };
    let (local, domain) = (&bytes[..at], &bytes[at + 1..]);
    let local_ok = !local.is_empty() && local.iter().all(|byte| letter(byte) || *byte == b'.');
    let mut after_dot = true;
    let domain_ok = domain.iter().all(|byte| {
        let ok = letter(byte) || (*byte == b'.' && !after_dot);
        after_dot = *byte == b'.';
        ok
    });
    local_ok && domain_ok && !after_dot && bytes.len() <= EMAIL_BYTES_MAX
}

/// Trimmed, NFC, lower case. Lower-casing can denormalise, so NFC comes last.
pub(super) fn fold(text: &str) -> CompactString {
    let text = text.trim();
    if text.is_ascii() {
        let mut folded = CompactString::from(text);
        folded.make_ascii_lowercase();
        return folded;
    }
    let lower: String = text.nfc().collect::<String>().to_lowercase();
    if is_nfc(&lower) { lower.into() } else { lower.nfc().collect() }
}

impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Email(***)")
    }
}

impl fmt::Debug for EmailKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EmailKey(***)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::{prop_assert, prop_assert_eq, proptest};

    use super::*;

    proptest! {
        #[test]
        fn a_key_knows_its_emails(key in "[a-cA-CéÉ ]{1,3}", email in "[a-cA-CéÉ ]{1,3}") {
            let key = EmailKey::of(&key);
            prop_assert_eq!(key.is_of(&Email(email.as_str().into())), key == EmailKey::of(&email));
        }
    }

    #[test]
    fn keys_fold_case_blanks_and_composition() {
        for (a, b) in [
            (" Ada@Example.ORG ", "ada@example.org"),
            ("JOSE\u{301}@x.de", "jos\u{e9}@x.de"),
            ("ÅSA@x.se", "a\u{30a}sa@x.se"),
        ] {
            assert_eq!(Email::parse(a).unwrap().key(), Email::parse(b).unwrap().key(), "{a}");
        }
        let turkish = EmailKey::of("İ@x.tr");
        assert_eq!(EmailKey::of(turkish.as_str()), turkish, "folding twice changes nothing");
    }

    #[test]
    fn what_is_an_address() {
        for good in ["a@b", "a.b+c@d.example", "\"a@b\"@c.de", "jürgen@müller.de", "o'neil@x.ie"] {
            assert!(Email::parse(good).is_ok(), "{good}");
        }
        let long = format!("{}@x.de", "a".repeat(250));
        for bad in ["", "a", "@b", "a@", "a b@c", "a@b c", "a@b..c", "a@b@c", "a\0@b", "<a@b>", "a@b,c@d", &long] {
            assert_eq!(Email::parse(bad), Err(EmailError), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn plain_addresses_are_addresses(text in "[a.+@_ -]{0,4}@?[aB.@, é-]{0,6}", long in 0..300_usize) {
            prop_assert!(!is_plain(&text) || is_address(&text), "{}", text);
            let long = "a".repeat(long) + &text;
            prop_assert!(!is_plain(&long) || is_address(&long), "{}", long);
        }
    }

    #[test]
    fn the_usual_addresses_are_plain() {
        assert!(is_plain("ada.lovelace+vip@mail-1.example.org"));
        assert!(!is_plain("jürgen@müller.de") && !is_plain(" a@b"));
    }

    #[test]
    fn an_address_does_not_print_in_debug() {
        assert_eq!(format!("{:?}", Email::parse("ada@x.org").unwrap()), "Email(***)");
    }
}
