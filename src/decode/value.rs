//! jaq's values: built from JSON text, and written back as JSON text.

use bytes::Bytes;
use jaq_json::{Map, Num, Rc, Val};

use super::error::Fault;
use super::grammar::{self, Build, Text};

/// Integers with more digits than this are kept as spelled and counted with as floating-point numbers: exact
/// arithmetic on a number of a million digits would take minutes.
const EXACT_DIGITS_MAX: usize = 64;

/// The value of a JSON text. Its texts share the memory of `bytes`, which must be UTF-8. Of equal keys the
/// last counts.
pub(crate) fn parse_value(bytes: &Bytes) -> Option<Val> {
    read_value(bytes).ok()
}

fn read_value(bytes: &Bytes) -> Result<Val, Fault> {
    grammar::read(bytes, &ToVal { source: bytes })
}

struct ToVal<'a> {
    source: &'a Bytes,
}

impl ToVal<'_> {
    fn share(&self, text: Text<'_>) -> Val {
        let bytes =
            if text.escaped { Bytes::from(grammar::unescape(text.raw)) } else { self.source.slice_ref(text.raw) };
        Val::utf8_str(bytes)
    }
}

impl Build for ToVal<'_> {
    type Value = Val;
    type Array = Vec<Val>;
    type Object = Map;

    fn null(&self) -> Val {
        Val::Null
    }

    fn bool(&self, value: bool) -> Val {
        Val::Bool(value)
    }

    fn number(&self, spelled: &[u8]) -> Val {
        Val::Num(number(&String::from_utf8_lossy(spelled)))
    }

    fn text(&self, text: Text<'_>) -> Val {
        self.share(text)
    }

    fn push(&self, array: &mut Vec<Val>, item: Val) {
        array.push(item);
    }

    fn insert(&self, object: &mut Map, key: Text<'_>, value: Val) {
        object.insert(self.share(key), value);
    }

    fn array(&self, array: Vec<Val>) -> Val {
        Val::Arr(Rc::new(array))
    }

    fn object(&self, object: Map) -> Val {
        Val::obj(object)
    }
}

fn number(spelled: &str) -> Num {
    let digits_only = spelled.strip_prefix('-').unwrap_or(spelled).bytes().all(|byte| byte.is_ascii_digit());
    let exact = || (spelled.len() <= EXACT_DIGITS_MAX).then(|| Num::from_str_radix(spelled, 10)).flatten();
    let integer = if digits_only { exact() } else { None };
    integer.unwrap_or_else(|| Num::Dec(Rc::new(spelled.to_owned())))
}

/// A number in JSON's spelling; `None` for those JSON has not (NaN, infinity). A number from the source keeps
/// its spelling; a calculated one without a fraction is spelled as an integer, as jq does.
pub(crate) fn spell_number(number: &Num) -> Option<String> {
    /// Below this every integral `f64` is exact.
    const EXACT_FLOAT_MAX: f64 = 9_007_199_254_740_992.0;
    match number {
        Num::Float(float) if !float.is_finite() => None,
        Num::Float(float) if float.fract() == 0.0 && float.abs() < EXACT_FLOAT_MAX => Some(format!("{float:.0}")),
        number => Some(number.to_string()),
    }
}

/// A value that JSON cannot express: an object with a key that is no text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotJson;

/// Appends a value as JSON text. NaN and the infinities become `null`, as in jq.
pub(crate) fn write_json(value: &Val, out: &mut Vec<u8>) -> Result<(), NotJson> {
    match value {
        Val::Null => out.extend_from_slice(b"null"),
        Val::Bool(true) => out.extend_from_slice(b"true"),
        Val::Bool(false) => out.extend_from_slice(b"false"),
        Val::Num(number) => match spell_number(number) {
            Some(spelled) => out.extend_from_slice(spelled.as_bytes()),
            None => out.extend_from_slice(b"null"),
        },
        Val::TStr(text) | Val::BStr(text) => write_text(text, out),
        Val::Arr(items) => {
            out.push(b'[');
            for (n, item) in items.iter().enumerate() {
                if n > 0 {
                    out.push(b',');
                }
                write_json(item, out)?;
            }
            out.push(b']');
        }
        Val::Obj(entries) => {
            out.push(b'{');
            for (n, (key, item)) in entries.iter().enumerate() {
                if n > 0 {
                    out.push(b',');
                }
                let Val::TStr(key) = key else { return Err(NotJson) };
                write_text(key, out);
                out.push(b':');
                write_json(item, out)?;
            }
            out.push(b'}');
        }
    }
    Ok(())
}

/// Appends a text as JSON.
pub(super) fn write_text(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for character in String::from_utf8_lossy(text).chars() {
        match character {
            '"' | '\\' => out.extend_from_slice(&[b'\\', character as u8]),
            '\u{0}'..='\u{1f}' => out.extend_from_slice(format!("\\u{:04x}", u32::from(character)).as_bytes()),
            other => out.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(text: &str) -> String {
        let value = parse_value(&Bytes::copy_from_slice(text.as_bytes())).unwrap();
        let mut out = Vec::new();
        write_json(&value, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn values_round_trip() {
        let long = "1".repeat(100_000);
        for (text, written) in [
            (r#"{"b":1,"a":[true,false,null,"x"]}"#, r#"{"b":1,"a":[true,false,null,"x"]}"#),
            (r#" [ 1.50 , 1e3, 12345678901234567890 ] "#, "[1.50,1e3,12345678901234567890]"),
            (r#"{"a":1,"b":2,"a":3}"#, r#"{"a":3,"b":2}"#),
            (r#""\u00e9\n\"\\\u0000\ud800""#, "\"é\\u000a\\\"\\\\\\u0000\u{fffd}\""),
            (&long, &long),
        ] {
            assert_eq!(round_trip(text), written, "{text:.60}");
        }
    }

    #[test]
    fn calculated_numbers_are_spelled_as_jq_spells_them() {
        for (float, spelled) in
            [(2.0, Some("2")), (0.5, Some("0.5")), (1e300, Some("1e300")), (f64::NAN, None), (f64::INFINITY, None)]
        {
            assert_eq!(spell_number(&Num::Float(float)).as_deref(), spelled);
        }
    }

    #[test]
    fn keys_must_be_texts() {
        let odd = Val::obj([(Val::Null, Val::Null)].into_iter().collect());
        assert_eq!(write_json(&odd, &mut Vec::new()), Err(NotJson));
    }
}
