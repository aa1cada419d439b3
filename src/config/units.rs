//! Sizes as people write them: `64MiB`. Durations are in the model. Pure.

pub use crate::model::{parse_duration, spell_duration};

const SIZE_UNITS_BYTES: [(&str, u64); 7] = [
    ("B", 1),
    ("KB", 1000),
    ("MB", 1000 * 1000),
    ("GB", 1000 * 1000 * 1000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
];

/// A whole number with a unit, decimal (`MB`) or binary (`MiB`), in bytes. `None` for anything else.
pub(super) fn parse_size(text: &str) -> Option<u64> {
    let (number, unit) = split_number(text)?;
    let (_, unit_bytes) = SIZE_UNITS_BYTES.iter().find(|(name, _)| *name == unit.trim_start())?;
    number.checked_mul(*unit_bytes)
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
