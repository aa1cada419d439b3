//! `missing`, `missing_runs` and `[…guard]`, of a source and of a feed; and their bounds, which feeds of the API share.

use std::ops::RangeInclusive;

use crate::config::read::Section;
use crate::limits::{HELD_DAYS_MAX, MISSING_RUNS_MAX};
use crate::model::{GuardSettings, Missing, SafetySettings};

const PERCENT: RangeInclusive<u32> = 0..=100;
const MISSING_RUNS: RangeInclusive<u32> = 1..=MISSING_RUNS_MAX;
const HELD_DAYS: RangeInclusive<u32> = 1..=HELD_DAYS_MAX;
const COUNT: RangeInclusive<u32> = 0..=u32::MAX;

pub(super) fn read_safety(section: &mut Section<'_>) -> Option<SafetySettings> {
    let words = [("keep", Missing::Keep), ("remove", Missing::Remove)];
    section.accept_words("missing", &words);
    let missing = match section.optional("missing") {
        Some(item) => item.choice(&words).map(Some),
        None => Some(None),
    };
    let missing_runs = number(section, "missing_runs", MISSING_RUNS);
    let mut guard = section.section("guard");
    let enabled = match guard.optional("enabled") {
        Some(item) => item.boolean().map(Some),
        None => Some(None),
    };
    let max_removed = number(&mut guard, "max_removed", PERCENT);
    let max_deleted = number(&mut guard, "max_deleted", COUNT);
    let min_expected = number(&mut guard, "min_expected", COUNT);
    let max_rejected = number(&mut guard, "max_rejected", PERCENT);
    let held_days = number(&mut guard, "held_days", HELD_DAYS);
    guard.finish();
    let guard = GuardSettings {
        enabled: enabled?,
        max_removed: max_removed?,
        max_deleted: max_deleted?,
        min_expected: min_expected?,
        max_rejected: max_rejected?,
        held_days: held_days?,
    };
    Some(SafetySettings { missing: missing?, missing_runs: missing_runs?, guard })
}

/// `None` where there is a fault.
fn number(section: &mut Section<'_>, key: &'static str, range: RangeInclusive<u32>) -> Option<Option<u32>> {
    match section.optional(key) {
        Some(item) => item.integer(range).map(Some),
        None => Some(None),
    }
}

/// What is out of its bounds: the key, what is wrong, what to write.
pub(super) fn safety_objections(safety: &SafetySettings) -> Vec<(&'static str, String, String)> {
    let guard = &safety.guard;
    let bounded = [
        ("missing_runs", safety.missing_runs, MISSING_RUNS),
        ("guard.max_removed", guard.max_removed, PERCENT),
        ("guard.max_rejected", guard.max_rejected, PERCENT),
        ("guard.held_days", guard.held_days, HELD_DAYS),
    ];
    let outside = bounded.into_iter().filter(|(_, value, range)| value.is_some_and(|value| !range.contains(&value)));
    let objection = |(key, _, range): (&'static str, Option<u32>, RangeInclusive<u32>)| {
        let (low, high) = (range.start(), range.end());
        (key, format!("must be from {low} to {high}"), "choose a value within these bounds".to_owned())
    };
    outside.map(objection).collect()
}
