//! A page and the raw records in it.

use std::fmt;
use std::sync::OnceLock;

use bytes::Bytes;
use jaq_json::Val;

use super::error::{DecodeError, Fault, What};
use super::list::List;
use super::outline::Outline;
use super::walk::{Found, elements};
use super::{Charset, Format, charset, csv, grammar, ndjson, parse_value};

/// RFC 8259 forbids it and allows to ignore it; some systems send it.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The body of a response, checked: UTF-8 and one JSON value, or made into one.
pub struct Document {
    bytes: Bytes,
    outline: Outline,
    /// Built when an expression needs the whole page as a value, then kept for the others.
    value: OnceLock<Val>,
}

impl Document {
    /// Checks a body that is JSON. A byte order mark before it is passed over.
    pub fn parse(body: Bytes) -> Result<Self, DecodeError> {
        let mark = mark_bytes(&body);
        let bytes = body.slice(mark..);
        let outline = outline(&bytes);
        let outline =
            outline.map_err(|fault| DecodeError::new(&Format::Json, &body, Fault { at: fault.at + mark, ..fault }))?;
        Ok(Self { bytes, outline, value: OnceLock::new() })
    }

    /// Decodes a body of any format. `declared` is the encoding that its `Content-Type` names, which counts for CSV
    /// where the format names none. What is made of a table has at most `bytes_max` bytes.
    pub fn decode(
        body: Bytes,
        format: &Format,
        declared: Option<Charset>,
        bytes_max: u64,
    ) -> Result<Self, DecodeError> {
        match format {
            Format::Json => Self::parse(body),
            Format::Ndjson => {
                let mark = mark_bytes(&body);
                let list = by_lines(&body[mark..]);
                let placed = |fault: Fault| Fault { at: fault.at + mark, ..fault };
                list.map(Self::of_list).map_err(|fault| DecodeError::new(format, &body, placed(fault)))
            }
            Format::Csv(table) => {
                let text = charset::to_utf8(&body, table.charset.or(declared));
                let text = text.map_err(|fault| DecodeError::new(format, &body, fault))?;
                let list = csv::read(&text, table, usize::try_from(bytes_max).unwrap_or(usize::MAX));
                list.map(Self::of_list).map_err(|fault| DecodeError::new(format, &text, fault))
            }
        }
    }

    fn of_list(List { bytes, items }: List) -> Self {
        let outline = Outline::of_list(bytes.len(), items);
        Self { bytes: bytes.into(), outline, value: OnceLock::new() }
    }

    /// The JSON text, without a byte order mark: the body, or what was made of it.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The value at a path of keys. Of equal keys the last counts, as in jq.
    pub(crate) fn look_up(&self, path: &[Box<str>]) -> Found<'_> {
        self.outline.look_up(&self.bytes, path)
    }

    /// The items of the list at a path; what else is there if it is no list.
    pub(crate) fn items(&self, path: &[Box<str>]) -> Result<Vec<RawRecord>, Found<'_>> {
        if let Some(items) = self.outline.items(&self.bytes, path) {
            return Ok(items.iter().map(|item| RawRecord::of_page(self.bytes.slice(item.clone()))).collect());
        }
        match self.look_up(path) {
            Found::Value(list) if list.starts_with(b"[") => {
                Ok(elements(list).map(|item| RawRecord::of_page(self.bytes.slice_ref(item))).collect())
            }
            other => Err(other),
        }
    }

    /// The page as a value of jaq.
    pub(crate) fn value(&self) -> &Val {
        // The grammar that checked the body also builds the value, so `None` cannot be.
        self.value.get_or_init(|| parse_value(&self.bytes).unwrap_or(Val::Null))
    }
}

fn mark_bytes(body: &[u8]) -> usize {
    if body.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 }
}

fn by_lines(text: &[u8]) -> Result<List, Fault> {
    check_utf8(text)?;
    ndjson::read(text).map_err(|fault| match text.trim_ascii_start().first() {
        Some(b'<') => Fault { what: What::LooksLikeHtml, ..fault },
        _ => fault,
    })
}

fn check_utf8(bytes: &[u8]) -> Result<(), Fault> {
    std::str::from_utf8(bytes).map(drop).map_err(|error| Fault { at: error.valid_up_to(), what: What::NotUtf8 })
}

fn outline(bytes: &[u8]) -> Result<Outline, Fault> {
    check_utf8(bytes)?;
    Outline::read(bytes).map_err(|fault| match bytes.trim_ascii_start().first() {
        None => Fault { what: What::Empty, ..fault },
        Some(b'<') => Fault { what: What::LooksLikeHtml, ..fault },
        Some(_) => fault,
    })
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Document({} bytes)", self.bytes.len())
    }
}

/// The JSON text of one item of a list. Cloning shares it.
#[derive(Clone)]
pub struct RawRecord {
    bytes: Bytes,
    /// A part of a page that was checked.
    checked: bool,
}

impl RawRecord {
    /// Any bytes; those that are no JSON object are rejected when mapped.
    pub fn new(json: Bytes) -> Self {
        Self { bytes: json, checked: false }
    }

    /// The text of one value of a [`Document`], which need not be checked again.
    fn of_page(json: Bytes) -> Self {
        Self { bytes: json, checked: true }
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// As a page of its own, for expressions that are evaluated on pages.
    pub fn document(&self) -> Result<Document, DecodeError> {
        Document::parse(self.bytes.clone())
    }

    /// The same object with one more member, `json`, which is JSON; of one of that name it takes the place. What is
    /// no object stays as it is.
    #[must_use]
    pub fn with_member(&self, name: &str, json: &str) -> Self {
        let text = self.bytes.trim_ascii();
        let Some(open) = text.strip_suffix(b"}").filter(|_| text.starts_with(b"{")) else { return self.clone() };
        let comma = if open[1..].trim_ascii().is_empty() { "" } else { "," };
        let member = format!("{comma}{}:{json}}}", serde_json::Value::from(name));
        Self { bytes: [open, member.as_bytes()].concat().into(), checked: self.checked }
    }

    /// Is it an object, in JSON without a fault?
    pub(crate) fn is_object(&self) -> bool {
        let object = self.bytes.trim_ascii_start().first() == Some(&b'{');
        object && (self.checked || self.check().is_ok())
    }

    fn check(&self) -> Result<(), Fault> {
        check_utf8(&self.bytes)?;
        grammar::read(&self.bytes, &grammar::Check)
    }

    /// `None` if it is no JSON.
    pub(crate) fn value(&self) -> Option<Val> {
        if !self.checked {
            std::str::from_utf8(&self.bytes).ok()?;
        }
        parse_value(&self.bytes)
    }
}

impl PartialEq for RawRecord {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for RawRecord {}

impl fmt::Debug for RawRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RawRecord({} bytes)", self.bytes.len())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn error(body: &[u8]) -> String {
        Document::parse(Bytes::copy_from_slice(body)).unwrap_err().to_string()
    }

    #[test]
    fn faults_name_the_place_and_mask_the_content() {
        let page = b"{\"results\":[\n  {\"email\":\"ada@example.org\",\"age\":36 \"name\":\"Ada\"}\n]}";
        for (body, expected) in [
            (
                &page[..],
                "invalid JSON at byte 51 (line 2, column 39): expected ',' or '}' near `x@xxxxxxx.xxx\",\"xxx\":00 \"xxxx\":\"`",
            ),
            (b"", "invalid JSON: the body is empty"),
            (b" \n ", "invalid JSON: the body is empty"),
            (b"<!DOCTYPE html>\n<title>Sign in</title>", "invalid JSON: the body looks like HTML or XML"),
            (b"\xef\xbb\xbf[1", "invalid JSON at byte 5 (line 1, column 6): the body ends too early near `xxx[0`"),
            (b"[\"a\xff\"]", "invalid JSON at byte 3 (line 1, column 4): invalid UTF-8 near `[\"xx\"]`"),
            (
                b"{\"a\":1}{",
                "invalid JSON at byte 7 (line 1, column 8): more text after the end of the value near `{\"x\":0}{`",
            ),
            (b"not `json`", "invalid JSON at byte 0 (line 1, column 1): expected a value near `xxx  xxx`"),
        ] {
            assert_eq!(error(body), expected);
        }
    }

    #[test]
    fn every_fault_has_a_hint() {
        for (body, word) in
            [(&b""[..], "success"), (b"<p>", "address"), (b"[1", "cut off"), (b"\xff", "UTF-8"), (b"x", "curl")]
        {
            let hint = Document::parse(Bytes::copy_from_slice(body)).unwrap_err().hint();
            assert!(hint.contains(word), "{hint}");
        }
    }

    #[test]
    fn a_byte_order_mark_is_passed_over() {
        let document = Document::parse(Bytes::from_static(b"\xef\xbb\xbf[1]")).unwrap();
        assert_eq!(document.bytes(), &Bytes::from_static(b"[1]"));
    }

    #[test]
    fn nothing_of_the_content_prints() {
        let document = Document::parse(Bytes::from_static(b"[\"ada\"]")).unwrap();
        assert_eq!(format!("{document:?}"), "Document(7 bytes)");
        assert_eq!(format!("{:?}", RawRecord::new(document.bytes().clone())), "RawRecord(7 bytes)");
    }

    proptest! {
        /// What we accept, an independent parser accepts; what we refuse, it refuses, but for lone surrogates
        /// (refused there) and depth and size of numbers (bounded differently).
        #[test]
        fn agrees_with_another_parser(text in r#"[\[\]{},:"\\utrefalsn0-9.eE+\- ]{0,12}"#) {
            let ours = Document::parse(Bytes::from(text.clone())).is_ok();
            let theirs = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
            prop_assert_eq!(ours, theirs, "{}", text);
        }

        #[test]
        fn garbage_never_panics(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Err(error) = Document::parse(Bytes::from(body)) {
                let _ = (error.to_string(), error.hint());
            }
        }
    }
}
