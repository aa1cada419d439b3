//! The grammar of JSON (RFC 8259), once, for every use: checking a page and building a value from a record.
//!
//! It exists because sonic-rs's checked skipping recurses without a limit (a page of `[[[[…` would end the
//! process) and lets `"\uZZZZ"` pass. It is strict but for one kindness: a lone surrogate (`\ud83d`), which
//! systems produce when they cut a text inside an emoji, is accepted and read as U+FFFD, as jq does.

use std::borrow::Cow;

use crate::limits::JSON_DEPTH_MAX;

use super::error::{Fault, What};

/// What is made of the parts of a JSON text. Texts and numbers arrive as spelled, texts without their quotes.
pub(super) trait Build {
    type Value;
    type Array: Default;
    type Object: Default;

    fn null(&self) -> Self::Value;
    fn bool(&self, value: bool) -> Self::Value;
    fn number(&self, spelled: &[u8]) -> Self::Value;
    fn text(&self, text: Text<'_>) -> Self::Value;
    fn push(&self, array: &mut Self::Array, item: Self::Value);
    fn insert(&self, object: &mut Self::Object, key: Text<'_>, value: Self::Value);
    fn array(&self, array: Self::Array) -> Self::Value;
    fn object(&self, object: Self::Object) -> Self::Value;
}

/// Builds nothing: checks.
pub(super) struct Check;

impl Build for Check {
    type Value = ();
    type Array = ();
    type Object = ();

    fn null(&self) {}
    fn bool(&self, _: bool) {}
    fn number(&self, _: &[u8]) {}
    fn text(&self, _: Text<'_>) {}
    fn push(&self, (): &mut (), (): ()) {}
    fn insert(&self, (): &mut (), _: Text<'_>, (): ()) {}
    fn array(&self, (): ()) {}
    fn object(&self, (): ()) {}
}

/// A JSON string without its quotes.
#[derive(Clone, Copy)]
pub(super) struct Text<'a> {
    pub raw: &'a [u8],
    /// Where `raw` begins.
    pub start: usize,
    /// Holds at least one escape, so that `raw` is not yet the text.
    pub escaped: bool,
}

/// Reads one JSON text, with nothing but white space around it. The bytes must be UTF-8.
pub(super) fn read<B: Build>(bytes: &[u8], build: &B) -> Result<B::Value, Fault> {
    let mut reader = Reader::new(bytes);
    let value = reader.value(build, JSON_DEPTH_MAX)?;
    reader.end()?;
    Ok(value)
}

/// Reads part by part, for those who want to know where a part stands.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// How many bytes were read.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// Nothing but white space may be left.
    pub(super) fn end(&mut self) -> Result<(), Fault> {
        match self.next_token() {
            None => Ok(()),
            Some(_) => Err(self.fault(What::TrailingText)),
        }
    }

    fn fault(&self, what: What) -> Fault {
        let what = if self.at >= self.bytes.len() { What::EndsTooEarly } else { what };
        Fault { at: self.at, what }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// The next byte that is not white space, without passing it.
    pub(super) fn next_token(&mut self) -> Option<u8> {
        while let Some(byte) = self.peek() {
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(byte);
            }
            self.at += 1;
        }
        None
    }

    /// `depth` is how many more levels may be opened.
    pub(super) fn value<B: Build>(&mut self, build: &B, depth: usize) -> Result<B::Value, Fault> {
        match self.next_token() {
            Some(b'"') => Ok(build.text(self.text()?)),
            Some(b'{') => self.object(build, depth),
            Some(b'[') => self.array(build, depth),
            Some(b'-' | b'0'..=b'9') => Ok(build.number(self.number()?)),
            Some(b't') => self.literal(b"true").map(|()| build.bool(true)),
            Some(b'f') => self.literal(b"false").map(|()| build.bool(false)),
            Some(b'n') => self.literal(b"null").map(|()| build.null()),
            _ => Err(self.fault(What::NoValue)),
        }
    }

    fn object<B: Build>(&mut self, build: &B, depth: usize) -> Result<B::Value, Fault> {
        let depth = self.open(depth)?;
        let mut object = B::Object::default();
        if self.is_empty(b'}') {
            return Ok(build.object(object));
        }
        loop {
            let key = self.key()?;
            let value = self.value(build, depth)?;
            build.insert(&mut object, key, value);
            if !self.another(b'}', What::NoObjectEnd)? {
                return Ok(build.object(object));
            }
        }
    }

    fn array<B: Build>(&mut self, build: &B, depth: usize) -> Result<B::Value, Fault> {
        let depth = self.open(depth)?;
        let mut array = B::Array::default();
        if self.is_empty(b']') {
            return Ok(build.array(array));
        }
        loop {
            let item = self.value(build, depth)?;
            build.push(&mut array, item);
            if !self.another(b']', What::NoArrayEnd)? {
                return Ok(build.array(array));
            }
        }
    }

    /// Passes the end of a container that was just opened, if it is empty.
    pub(super) fn is_empty(&mut self, end: u8) -> bool {
        let empty = self.next_token() == Some(end);
        self.at += usize::from(empty);
        empty
    }

    /// A key and the colon behind it.
    pub(super) fn key(&mut self) -> Result<Text<'a>, Fault> {
        if self.next_token() != Some(b'"') {
            return Err(self.fault(What::NoKey));
        }
        let key = self.text()?;
        if self.next_token() != Some(b':') {
            return Err(self.fault(What::NoColon));
        }
        self.at += 1;
        Ok(key)
    }

    pub(super) fn open(&mut self, depth: usize) -> Result<usize, Fault> {
        let depth = depth.checked_sub(1).ok_or_else(|| self.fault(What::TooDeep))?;
        self.at += 1;
        Ok(depth)
    }

    /// Passes `,` (true) or `end` (false).
    pub(super) fn another(&mut self, end: u8, otherwise: What) -> Result<bool, Fault> {
        let more = match self.next_token() {
            Some(b',') => true,
            Some(byte) if byte == end => false,
            _ => return Err(self.fault(otherwise)),
        };
        self.at += 1;
        Ok(more)
    }

    fn literal(&mut self, literal: &[u8]) -> Result<(), Fault> {
        if self.bytes[self.at..].starts_with(literal) {
            self.at += literal.len();
            return Ok(());
        }
        if literal.starts_with(&self.bytes[self.at..]) {
            self.at = self.bytes.len();
        }
        Err(self.fault(What::NoValue))
    }

    fn text(&mut self) -> Result<Text<'a>, Fault> {
        let start = self.at + 1;
        let mut escaped = false;
        self.at = start;
        loop {
            self.at = plain_end(self.bytes, self.at);
            match self.peek() {
                Some(b'"') => {
                    let raw = &self.bytes[start..self.at];
                    self.at += 1;
                    return Ok(Text { raw, start, escaped });
                }
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                _ => return Err(self.fault(What::ControlCharacter)),
            }
        }
    }

    fn escape(&mut self) -> Result<(), Fault> {
        self.at += 1;
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 1;
                Ok(())
            }
            Some(b'u') => {
                self.at += 1;
                for _ in 0..4 {
                    if !self.peek().is_some_and(|byte| byte.is_ascii_hexdigit()) {
                        return Err(self.fault(What::BadEscape));
                    }
                    self.at += 1;
                }
                Ok(())
            }
            _ => Err(self.fault(What::BadEscape)),
        }
    }

    fn number(&mut self) -> Result<&'a [u8], Fault> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
            if self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
                return Err(self.fault(What::BadNumber));
            }
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(&self.bytes[start..self.at])
    }

    /// One digit or more.
    fn digits(&mut self) -> Result<(), Fault> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at > start { Ok(()) } else { Err(self.fault(What::BadNumber)) }
    }
}

/// Where, from `at` on, the first quote, backslash or control character stands; the length when none does.
///
/// Sixteen bytes at a time: most keys and texts end within the first, so that the processor need not guess how
/// long they are.
#[inline]
pub(super) fn plain_end(bytes: &[u8], mut at: usize) -> usize {
    while let Some(&[low, high]) = bytes.get(at..).and_then(|rest| rest.as_chunks::<8>().0.first_chunk::<2>()) {
        let (low, high) = (special(u64::from_le_bytes(low)), special(u64::from_le_bytes(high)));
        if low | high != 0 {
            let bits = if low != 0 { low.trailing_zeros() } else { u64::BITS + high.trailing_zeros() };
            return at + bits as usize / 8;
        }
        at += 16;
    }
    let special = |byte: &u8| *byte < 0x20 || matches!(byte, b'"' | b'\\');
    bytes[at..].iter().position(special).map_or(bytes.len(), |offset| at + offset)
}

/// The top bits of those bytes that are a quote, a backslash or below 0x20.
///
/// A subtraction raises the top bit of a byte smaller than what is subtracted. Its borrow can raise bits above
/// the lowest true one, never below it, so the lowest is right.
fn special(word: u64) -> u64 {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    // A quote is 0x22: with its second bit turned it follows the control characters, which stay among themselves.
    let turned = word ^ (ONES * 0x02);
    let control_or_quote = turned.wrapping_sub(ONES * 0x21) & !turned;
    let other = word ^ (ONES * u64::from(b'\\'));
    let backslash = other.wrapping_sub(ONES) & !other;
    (control_or_quote | backslash) & (ONES << 7)
}

/// Is it a number and nothing else?
pub(crate) fn is_number(text: &[u8]) -> bool {
    let ends = (text.first(), text.last());
    // What begins so and is JSON is a number; white space may follow it.
    matches!(ends, (Some(b'-' | b'0'..=b'9'), Some(b'0'..=b'9'))) && read(text, &Check).is_ok()
}

/// The text of a checked string, without its quotes.
pub(crate) fn unescaped(raw: &[u8]) -> Cow<'_, [u8]> {
    if raw.contains(&b'\\') { Cow::Owned(unescape(raw)) } else { Cow::Borrowed(raw) }
}

/// The text behind its escapes. The escapes must have been checked.
pub(super) fn unescape(raw: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = rest.iter().position(|byte| *byte == b'\\') {
        text.extend_from_slice(&rest[..at]);
        let (decoded, length) = decode_escape(&rest[at..]);
        text.extend_from_slice(decoded.encode_utf8(&mut [0; 4]).as_bytes());
        rest = &rest[at + length..];
    }
    text.extend_from_slice(rest);
    text
}

/// The character of the escape at the start of `rest`, and the escape's length. Two escapes that form a
/// surrogate pair count as one.
fn decode_escape(rest: &[u8]) -> (char, usize) {
    let simple = match rest.get(1) {
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(b'u') => return decode_unicode(rest),
        Some(other) => char::from(*other),
        None => return (char::REPLACEMENT_CHARACTER, rest.len()),
    };
    (simple, 2)
}

fn decode_unicode(rest: &[u8]) -> (char, usize) {
    let Some(first) = code_unit(rest) else { return (char::REPLACEMENT_CHARACTER, rest.len().min(6)) };
    if let Some(character) = char::from_u32(first) {
        return (character, 6);
    }
    let pair = code_unit(&rest[6..])
        .filter(|second| (0xD800..0xDC00).contains(&first) && (0xDC00..0xE000).contains(second))
        .and_then(|second| char::from_u32(0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00)));
    pair.map_or((char::REPLACEMENT_CHARACTER, 6), |character| (character, 12))
}

/// The four digits of `\uXXXX`.
fn code_unit(escape: &[u8]) -> Option<u32> {
    let digits = escape.strip_prefix(b"\\u")?.get(..4)?;
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Result<(), (usize, What)> {
        read(text.as_bytes(), &Check).map_err(|fault| (fault.at, fault.what))
    }

    #[test]
    fn accepts_json() {
        let deep = format!("{}{}", "[".repeat(JSON_DEPTH_MAX), "]".repeat(JSON_DEPTH_MAX));
        for good in [
            "null",
            " true\n",
            "-0",
            "0.5e-3",
            "1E+9",
            "12345678901234567890",
            r#""""#,
            r#""\"\\\/\b\f\n\r\t\u00e9\ud83d""#,
            "[ ]",
            "{ }",
            r#"[1, {"a" : [ ] , "a":{}}]"#,
            &deep,
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
    }

    #[test]
    fn refuses_the_rest_and_says_where() {
        let deep = "[".repeat(100_000);
        for (bad, at, what) in [
            ("", 0, What::EndsTooEarly),
            ("[1,", 3, What::EndsTooEarly),
            ("tru", 3, What::EndsTooEarly),
            (r#"{"a":1"#, 6, What::EndsTooEarly),
            (r#""abc"#, 4, What::EndsTooEarly),
            ("truth", 0, What::NoValue),
            ("[,]", 1, What::NoValue),
            ("[1,]", 3, What::NoValue),
            ("NaN", 0, What::NoValue),
            ("{a:1}", 1, What::NoKey),
            (r#"{"a":1,}"#, 7, What::NoKey),
            (r#"{"a" 1}"#, 5, What::NoColon),
            (r#"{"a":1 "b":2}"#, 7, What::NoObjectEnd),
            ("[1 2]", 3, What::NoArrayEnd),
            ("[1}", 2, What::NoArrayEnd),
            ("01", 1, What::BadNumber),
            ("-a", 1, What::BadNumber),
            ("1.x", 2, What::BadNumber),
            ("1e ", 2, What::BadNumber),
            (r#""\x41""#, 2, What::BadEscape),
            (r#""\u12G4""#, 5, What::BadEscape),
            ("\"a\u{1}b\"", 2, What::ControlCharacter),
            ("\"0123456789\nabcdefgh\"", 11, What::ControlCharacter),
            ("1 2", 2, What::TrailingText),
            ("# comment\n1", 0, What::NoValue),
            (&deep, JSON_DEPTH_MAX, What::TooDeep),
        ] {
            assert_eq!(check(bad), Err((at, what)), "{bad:.40}");
        }
    }

    #[test]
    fn finds_the_end_of_plain_text_at_any_offset() {
        for special in [b'"', b'\\', 0, 0x1f, b'\n'] {
            for length in 0..40 {
                let mut text = vec![0x20; length];
                text.extend("é\u{7f}\u{80}".as_bytes());
                let plain = text.len();
                text.push(special);
                text.extend_from_slice(b"\"\"\\0123456789");
                for start in 0..=plain {
                    assert_eq!(plain_end(&text, start), plain, "{special} after {length}, from {start}");
                }
            }
        }
        assert_eq!(plain_end(b"plain text only", 0), 15);
    }

    #[test]
    fn unescapes() {
        for (raw, text) in [
            ("plain", "plain"),
            (r#"a\"b\\c\/d"#, "a\"b\\c/d"),
            (r"\b\f\n\r\t", "\u{8}\u{c}\n\r\t"),
            (r"caf\u00e9\u0000", "café\0"),
            (r"\ud83d\ude00!", "😀!"),
            (r"cut \ud83d", "cut \u{fffd}"),
            (r"\ud83d\ud83d\ude00", "\u{fffd}😀"),
            (r"\ude00\n", "\u{fffd}\n"),
            (r"\ud83dx", "\u{fffd}x"),
        ] {
            assert_eq!(String::from_utf8(unescape(raw.as_bytes())).as_deref(), Ok(text), "{raw}");
        }
    }
}
