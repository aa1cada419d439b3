//! Numbers by their spelling, as far as jaq's judgement on them is plain.

use std::borrow::Cow;
use std::cmp::Ordering;

use crate::decode::is_number;

/// Integers of so many digits are exact as `f64`, as jaq counts with them when a fraction is near.
const EXACT_DIGITS_MAX: usize = 15;
/// Longer spellings are left to jaq.
const SPELLED_BYTES_MAX: usize = 32;

/// A number of a checked JSON text as jaq would write it.
pub(super) fn spelled(json: &[u8]) -> Cow<'_, str> {
    // To jaq an integer has no negative zero.
    if json == b"-0" { Cow::Borrowed("0") } else { String::from_utf8_lossy(json) }
}

/// The number a text holds for `tonumber`, if it is plain.
pub(super) fn from_text(text: &[u8]) -> Option<Cow<'_, str>> {
    let plain = text.len() <= SPELLED_BYTES_MAX && is_number(text);
    plain.then(|| spelled(text))
}

/// An integer small enough that sums of two are exact.
pub(super) fn small_integer(spelled: &str) -> Option<i64> {
    let digits = spelled.strip_prefix('-').unwrap_or(spelled);
    let small = digits.len() <= EXACT_DIGITS_MAX && digits.bytes().all(|byte| byte.is_ascii_digit());
    if small { spelled.parse().ok() } else { None }
}

/// jaq compares numbers that are not both integers as `f64`; small integers compare the same that way.
pub(super) fn compare(left: &str, right: &str) -> Option<Ordering> {
    float(left)?.partial_cmp(&float(right)?)
}

fn float(spelled: &str) -> Option<f64> {
    let fraction = || spelled.bytes().any(|byte| matches!(byte, b'.' | b'e' | b'E'));
    let plain = small_integer(spelled).is_some() || (spelled.len() <= SPELLED_BYTES_MAX && fraction());
    if plain { spelled.parse().ok() } else { None }
}
