//! Finding values in JSON text that was checked before, without parsing what is passed over.
//!
//! The text must have passed [`super::Document::parse`]. On any other text the functions still end and never
//! panic, but what they find means nothing.

use std::borrow::Cow;

use super::grammar::{plain_end, unescape};

/// What stands at a path of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found<'a> {
    /// The value as spelled, without white space around it; never `null`.
    Value(&'a [u8]),
    /// `null`, or nothing where jq would say `null`.
    Null,
    /// A key was asked of something that has no keys, where jq would fail.
    NoKeys,
}

/// The value at one key, as [`look_up`] finds it.
pub(crate) fn look_up_key<'a>(text: &'a [u8], key: &str) -> Found<'a> {
    step(trim(text), key)
}

/// The value at `path`. Of equal keys the last counts, as in jq.
pub(super) fn look_up<'a>(text: &'a [u8], path: &[Box<str>]) -> Found<'a> {
    let mut value = trim(text);
    for key in path {
        match step(value, key) {
            Found::Value(below) => value = below,
            other => return other,
        }
    }
    if value.first() == Some(&b'n') { Found::Null } else { Found::Value(value) }
}

fn step<'a>(value: &'a [u8], key: &str) -> Found<'a> {
    match value.first() {
        Some(b'{') => {}
        Some(b'n') => return Found::Null,
        _ => return Found::NoKeys,
    }
    match entries(value).filter(|(other, _)| other.as_ref() == key.as_bytes()).last() {
        Some((_, below)) if below.first() != Some(&b'n') => Found::Value(below),
        _ => Found::Null,
    }
}

/// The items of an array, as spelled; none if `text` is no array.
pub(crate) fn elements(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut walker = Walker::inside(text, b'[');
    std::iter::from_fn(move || walker.next_value())
}

/// The keys of an object; none if `text` is no object.
pub(crate) fn keys(text: &[u8]) -> impl Iterator<Item = Cow<'_, [u8]>> {
    entries(trim(text)).map(|(key, _)| key)
}

fn entries(text: &[u8]) -> impl Iterator<Item = (Cow<'_, [u8]>, &[u8])> {
    let mut walker = Walker::inside(text, b'{');
    std::iter::from_fn(move || {
        let quoted = walker.next_value()?;
        let value = walker.next_value()?;
        let raw = quoted.get(1..quoted.len().checked_sub(1)?)?;
        let key = if raw.contains(&b'\\') { Cow::Owned(unescape(raw)) } else { Cow::Borrowed(raw) };
        Some((key, value))
    })
}

fn trim(text: &[u8]) -> &[u8] {
    text.trim_ascii()
}

/// Steps over the values of one array or object; keys count as values, and `,` and `:` as white space.
struct Walker<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Walker<'a> {
    fn inside(text: &'a [u8], bracket: u8) -> Self {
        let at = if text.first() == Some(&bracket) { 1 } else { text.len() };
        Self { text, at }
    }

    fn next_value(&mut self) -> Option<&'a [u8]> {
        while matches!(self.text.get(self.at)?, b' ' | b'\n' | b'\r' | b'\t' | b',' | b':') {
            self.at += 1;
        }
        let start = self.at;
        if matches!(self.text[start], b'}' | b']') {
            self.at = self.text.len();
            return None;
        }
        self.at = value_end(self.text, start);
        Some(&self.text[start..self.at])
    }
}

/// After the value that begins at `start`; never beyond the text.
#[inline]
pub(super) fn value_end(text: &[u8], start: usize) -> usize {
    match text.get(start) {
        Some(b'"') => skip_text(text, start).0,
        Some(b'{' | b'[') => container_end(text, start),
        Some(_) => scalar_end(text, start),
        None => text.len(),
    }
}

/// After the closing quote of the string that opens at `start`, and whether an escape was passed.
#[inline]
pub(super) fn skip_text(text: &[u8], start: usize) -> (usize, bool) {
    let mut at = start + 1;
    let mut escaped = false;
    loop {
        at = plain_end(text, at);
        match text.get(at) {
            Some(b'"') => return (at + 1, escaped),
            Some(b'\\') => {
                escaped = true;
                at = text.len().min(at + 2);
            }
            Some(_) => at += 1,
            None => return (text.len(), escaped),
        }
    }
}

/// After the bracket that closes the one at `start`.
fn container_end(text: &[u8], start: usize) -> usize {
    let mut depth = 0_usize;
    let mut at = start;
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => {
                at = skip_text(text, at).0;
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth <= 1 => return at + 1,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        at += 1;
    }
    text.len()
}

fn scalar_end(text: &[u8], start: usize) -> usize {
    let ends = |byte: &u8| matches!(byte, b',' | b'}' | b']' | b' ' | b'\n' | b'\r' | b'\t');
    text[start..].iter().position(ends).map_or(text.len(), |offset| start + offset.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at<'a>(text: &'a str, path: &[&str]) -> Found<'a> {
        let path: Vec<Box<str>> = path.iter().map(|key| Box::from(*key)).collect();
        look_up(text.as_bytes(), &path)
    }

    #[test]
    fn looks_up() {
        let text = r#" { "a" : {"b\"":[1, "]}" ], "c":null}, "d": 1.5e3 ,"a\u0062":true,"e":"x","e":"y"} "#;
        for (path, expected) in [
            (&["a", "b\""][..], Found::Value(br#"[1, "]}" ]"#)),
            (&["a", "c"], Found::Null),
            (&["a", "c", "deeper"], Found::Null),
            (&["a", "x"], Found::Null),
            (&["d"], Found::Value(b"1.5e3")),
            (&["d", "x"], Found::NoKeys),
            (&["ab"], Found::Value(b"true")),
            (&["e"], Found::Value(br#""y""#)),
            (&[], Found::Value(text.trim().as_bytes())),
        ] {
            assert_eq!(at(text, path), expected, "{path:?}");
        }
        assert_eq!(at(" null ", &[]), Found::Null);
        assert_eq!(at("[]", &["a"]), Found::NoKeys);
    }

    #[test]
    fn walks_arrays() {
        let items = |text: &str| -> Vec<String> {
            elements(text.as_bytes()).map(|item| String::from_utf8_lossy(item).into_owned()).collect()
        };
        assert_eq!(
            items(r#"[1, "a,]\"" ,{"b":[2,{}]},null,[[]]]"#),
            ["1", r#""a,]\"""#, r#"{"b":[2,{}]}"#, "null", "[[]]"]
        );
        assert!(items("[ ]").is_empty());
        assert!(items("{}").is_empty());
        assert_eq!(keys(br#" {"a":1,"b":{"c":2}}"#).collect::<Vec<_>>(), [&b"a"[..], b"b"]);
    }
}
