//! From any character encoding of the web to UTF-8, or not at all: what cannot be decoded is a fault.

use std::fmt;

use bytes::Bytes;
use encoding_rs::{DecoderResult, Encoding, UTF_8};

use super::error::{Fault, What};

/// A character encoding of the WHATWG's standard.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Charset(&'static Encoding);

impl Charset {
    /// By any label of the standard, e.g. `latin1`. `None` also for those which the standard replaces for safety.
    pub fn of_label(label: &str) -> Option<Self> {
        Encoding::for_label_no_replacement(label.as_bytes()).map(Self)
    }

    /// The `charset` of a `Content-Type`, where it is known.
    pub fn of_content_type(value: &str) -> Option<Self> {
        let parameters = value.split(';').skip(1).filter_map(|parameter| parameter.split_once('='));
        let mut charsets = parameters.filter(|(name, _)| name.trim().eq_ignore_ascii_case("charset"));
        charsets.next().and_then(|(_, label)| Self::of_label(label.trim().trim_matches('"')))
    }

    pub fn name(self) -> &'static str {
        self.0.name()
    }
}

impl fmt::Debug for Charset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Charset({})", self.name())
    }
}

/// A body as UTF-8, without a byte order mark. The mark tells the encoding, else `charset`, else it is UTF-8.
///
/// The place of a fault is one of the body.
pub(super) fn to_utf8(body: &Bytes, charset: Option<Charset>) -> Result<Bytes, Fault> {
    let (encoding, mark) = Encoding::for_bom(body).unwrap_or((charset.map_or(UTF_8, |charset| charset.0), 0));
    let bytes = body.slice(mark..);
    let undecodable = |at: usize| Fault { at: mark + at, what: What::Undecodable(encoding.name()) };
    if encoding == UTF_8 {
        std::str::from_utf8(&bytes).map_err(|error| undecodable(error.valid_up_to()))?;
        return Ok(bytes);
    }
    let mut decoder = encoding.new_decoder_without_bom_handling();
    let room = decoder.max_utf8_buffer_length_without_replacement(bytes.len());
    let mut text = String::with_capacity(room.unwrap_or(0));
    match decoder.decode_to_string_without_replacement(&bytes, &mut text, true) {
        (DecoderResult::InputEmpty, _) => Ok(Bytes::from(text)),
        // So many bytes are no character, and so many were read behind them.
        (DecoderResult::Malformed(wrong, behind), read) => {
            Err(undecodable(read.saturating_sub(usize::from(wrong) + usize::from(behind))))
        }
        // The room was made for the longest text that so many bytes can give; without it nothing was read.
        (DecoderResult::OutputFull, read) => Err(undecodable(read)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(body: &[u8], label: Option<&str>) -> Result<String, (usize, What)> {
        let charset = label.map(|label| Charset::of_label(label).unwrap());
        let text = to_utf8(&Bytes::copy_from_slice(body), charset).map_err(|fault| (fault.at, fault.what))?;
        Ok(String::from_utf8(text.to_vec()).unwrap())
    }

    #[test]
    fn labels_and_marks_tell_the_encoding() {
        let utf16: Vec<u8> = "Zoë\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let with_mark = [b"\xff\xfe", utf16.as_slice()].concat();
        for (body, label, expected) in [
            (&b"Zo\xc3\xab"[..], None, "Zoë"),
            (b"Zo\xeb \x80", Some("windows-1252"), "Zoë €"),
            (b"Zo\xeb", Some("latin1"), "Zoë"),
            (b"\x93\xfa\x96{", Some("shift_jis"), "日本"),
            (&utf16, Some("utf-16le"), "Zoë\n"),
            (&with_mark, None, "Zoë\n"),
            (&with_mark, Some("utf-8"), "Zoë\n"),
            (b"\xef\xbb\xbfZo\xc3\xab", Some("windows-1252"), "Zoë"),
            (b"\xfe\xff\0Z", Some("utf-16le"), "Z"),
            (b"", Some("utf-16le"), ""),
        ] {
            assert_eq!(decoded(body, label).as_deref(), Ok(expected), "{body:?} as {label:?}");
        }
    }

    #[test]
    fn what_cannot_be_decoded_is_a_fault_with_its_place() {
        for (body, label, at, name) in [
            (&b"Zo\xeb,"[..], None, 2, "UTF-8"),
            (b"\xef\xbb\xbfab\xc3", Some("latin1"), 5, "UTF-8"),
            (b"ab\x81", Some("shift_jis"), 2, "Shift_JIS"),
            (b"ab\x81\x20cd", Some("shift_jis"), 2, "Shift_JIS"),
            (b"a\0\x00\xd8b\0", Some("utf-16le"), 2, "UTF-16LE"),
            (b"a\0b", Some("utf-16le"), 2, "UTF-16LE"),
        ] {
            assert_eq!(decoded(body, label), Err((at, What::Undecodable(name))), "{body:?} as {label:?}");
        }
    }

    #[test]
    fn charsets_of_content_types() {
        for (value, expected) in [
            ("text/csv; charset=iso-8859-1", Some("windows-1252")),
            ("text/csv;header=present; Charset=\"UTF-16LE\" ; x=y", Some("UTF-16LE")),
            ("text/csv", None),
            ("text/csv; charset=klingon", None),
            ("charset=utf-8", None),
            ("", None),
        ] {
            assert_eq!(Charset::of_content_type(value).map(Charset::name), expected, "{value}");
        }
        assert_eq!(Charset::of_label("iso-2022-kr"), None, "replaced for safety");
    }
}
