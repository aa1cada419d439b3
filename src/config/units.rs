//! Durations and sizes as people write them: `1h30m`, `500ms`, `64MiB`. Pure.

use std::time::Duration;

const DURATION_UNITS_MS: [(&str, u64); 5] =
    [("d", 24 * 60 * 60 * 1000), ("h", 60 * 60 * 1000), ("m", 60 * 1000), ("s", 1000), ("ms", 1)];

const SIZE_UNITS_BYTES: [(&str, u64); 7] = [
    ("B", 1),
    ("KB", 1000),
    ("MB", 1000 * 1000),
    ("GB", 1000 * 1000 * 1000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
];

/// Whole numbers with units, one after another: `90s`, `1h30m`. `None` for anything else.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut total_ms: u64 = 0;
    while !rest.is_empty() {
        let (number, after) = split_number(rest)?;
        let end = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        let (_, unit_ms) = DURATION_UNITS_MS.iter().find(|(name, _)| *name == unit)?;
        total_ms = total_ms.checked_add(number.checked_mul(*unit_ms)?)?;
        rest = after;
    }
    (!text.is_empty()).then_some(Duration::from_millis(total_ms))
}

/// A whole number with a unit, decimal (`MB`) or binary (`MiB`), in bytes. `None` for anything else.
pub(super) fn parse_size(text: &str) -> Option<u64> {
    let (number, unit) = split_number(text)?;
    let (_, unit_bytes) = SIZE_UNITS_BYTES.iter().find(|(name, _)| *name == unit.trim_start())?;
    number.checked_mul(*unit_bytes)
}

/// A duration as [`parse_duration`] reads it; fractions of milliseconds are dropped.
pub(super) fn spell_duration(duration: Duration) -> String {
    let mut rest = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let mut text = String::new();
    for (unit, unit_ms) in DURATION_UNITS_MS {
        if rest >= unit_ms {
            text.push_str(&format!("{}{unit}", rest / unit_ms));
            rest %= unit_ms;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// A size as [`parse_size`] reads it, in the largest binary unit that divides it.
pub(super) fn spell_size(bytes: u64) -> String {
    let binary = SIZE_UNITS_BYTES.iter().filter(|(name, _)| name.ends_with("iB"));
    match binary.rev().find(|(_, unit)| bytes >= *unit && bytes.is_multiple_of(*unit)) {
        Some((name, unit)) => format!("{}{name}", bytes / unit),
        None => format!("{bytes}B"),
    }
}

fn split_number(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    Some((digits.parse().ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, ms) in [("10s", 10_000), ("1h30m", 5_400_000), ("250ms", 250), ("2d", 172_800_000), ("0s", 0)] {
            let duration = Duration::from_millis(ms);
            assert_eq!(parse_duration(text), Some(duration), "{text}");
            assert_eq!(spell_duration(duration), text);
        }
        for bad in
            ["", "10", "s", "-1s", "1.5s", "10 s", "1y", "10S", "1h30", "99999999999999999999s", "9999999999999999d"]
        {
            assert_eq!(parse_duration(bad), None, "{bad}");
        }
    }

    #[test]
    fn sizes() {
        for (text, bytes, spelled) in [
            ("64MiB", 64 << 20, "64MiB"),
            ("1 GiB", 1 << 30, "1GiB"),
            ("10MB", 10_000_000, "10000000B"),
            ("512B", 512, "512B"),
            ("1KB", 1000, "1000B"),
            ("0B", 0, "0B"),
        ] {
            assert_eq!(parse_size(text), Some(bytes), "{text}");
            assert_eq!(spell_size(bytes), spelled);
        }
        for bad in ["", "64", "MiB", "-1B", "1.5MB", "1mib", "1 MiB x", "99999999999GiB"] {
            assert_eq!(parse_size(bad), None, "{bad}");
        }
    }
}
