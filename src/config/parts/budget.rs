//! `[[source.<name>.budget]]` and `[source.<name>.budget_headers]`: what a source allows, and where it tells.

use jiff::civil::Time;
use jiff::tz::TimeZone;

use super::text::{check_header_name, read_zone};
use crate::config::read::{Item, Section, shown};
use crate::config::units::parse_duration;
use crate::config::{BudgetHeaders, DailyReset, Per, ResetHeader, ResetUnit, WindowSpec};
use crate::limits;

const LENGTHS: [(&str, Per); 4] =
    [("second", Per::Second), ("minute", Per::Minute), ("hour", Per::Hour), ("day", Per::Day)];

const RESET_UNITS: [(&str, ResetUnit); 5] = [
    ("seconds", ResetUnit::Seconds),
    ("milliseconds", ResetUnit::Milliseconds),
    ("epoch_seconds", ResetUnit::EpochSeconds),
    ("epoch_milliseconds", ResetUnit::EpochMilliseconds),
    ("http_date", ResetUnit::HttpDate),
];

/// The windows of a source's budget; at most one of each length, for of two only the stricter would count. `weight`
/// is what a request takes of each (`None` where it is faulty).
pub(super) fn read_budget(windows: Vec<Section<'_>>, weight: Option<u32>) -> Option<Vec<WindowSpec>> {
    let mut seen = Vec::new();
    // Collected before `?`, so that every faulty window is reported.
    let windows: Vec<_> = windows.into_iter().map(|window| read_window(window, weight, &mut seen)).collect();
    windows.into_iter().collect()
}

fn read_window(mut section: Section<'_>, weight: Option<u32>, seen: &mut Vec<Per>) -> Option<WindowSpec> {
    let requests = section
        .required("requests", "write how many requests the source allows, e.g. requests = 10")
        .and_then(|item| read_requests(&item, weight));
    section.accept_words("per", &LENGTHS);
    let per = section.required("per", r#"write e.g. per = "second" or per = "10m""#).and_then(|item| read_per(&item));
    let resets = read_reset(&mut section, per);
    if let Some(per) = per {
        if seen.contains(&per) {
            let problem = format!("a second budget per {per}");
            section.findings().fault(section.place(), problem, "keep the stricter one");
        }
        seen.push(per);
    }
    section.finish();
    Some(WindowSpec { requests: requests?, per: per?, resets: resets? })
}

fn read_requests(item: &Item<'_>, weight: Option<u32>) -> Option<u32> {
    let requests = item.integer(1..=limits::WINDOW_REQUESTS_MAX)?;
    if let Some(weight) = weight.filter(|weight| *weight > requests) {
        let problem = format!("allows no request at all, for each weighs {weight} (got {requests})");
        item.fault(problem, "raise it, or lower weight in [source.<name>.request]");
        return None;
    }
    Some(requests)
}

fn read_per(item: &Item<'_>) -> Option<Per> {
    let text = item.text()?;
    if let Some((_, per)) = LENGTHS.iter().find(|(word, _)| *word == text) {
        return Some(*per);
    }
    if parse_duration(text).is_none() {
        let problem = format!(r#"must be "second", "minute", "hour", "day" or a duration (got {})"#, shown(text));
        item.fault(problem, r#"write e.g. per = "minute" or per = "10m""#);
        return None;
    }
    item.duration(limits::WINDOW_LENGTH_MIN..=limits::WINDOW_LENGTH_MAX).map(Per::new)
}

/// `Some(None)`: the window slides. `None`: what is said is faulty.
fn read_reset(section: &mut Section<'_>, per: Option<Per>) -> Option<Option<DailyReset>> {
    let at = section.optional("resets_at");
    let zone = match section.optional("zone") {
        Some(item) => {
            if at.is_none() {
                item.fault("is of no use without resets_at", r#"write e.g. resets_at = "00:00""#);
            }
            read_zone(&item)
        }
        None => Some(TimeZone::UTC),
    };
    let Some(item) = at else { return zone.map(|_| None) };
    if per.is_some_and(|per| per != Per::Day) {
        item.fault("only a day's allowance begins anew at a time of day", r#"write per = "day", or leave it out"#);
        return None;
    }
    Some(Some(DailyReset { at: read_time_of_day(&item)?, zone: zone? }))
}

fn read_time_of_day(item: &Item<'_>) -> Option<Time> {
    let text = item.time_text()?;
    let time = text.parse::<Time>().ok().filter(|_| text.contains(':'));
    if time.is_none() {
        item.fault(format!("must be a time of day (got {})", shown(&text)), r#"write e.g. resets_at = "00:00""#);
    }
    time
}

pub(super) fn read_budget_headers(mut section: Section<'_>) -> Option<BudgetHeaders> {
    let remaining = section.optional("remaining");
    let reset = read_reset_header(&mut section);
    if let (Some(item), Some(None)) = (&remaining, &reset) {
        item.fault("does not tell when there is more", r#"name the header that does: reset = "…""#);
    }
    let remaining = read_header_name(remaining);
    let retry_after = read_header_name(section.optional("retry_after"));
    section.finish();
    Some(BudgetHeaders { remaining: remaining?, reset: reset?, retry_after: retry_after? })
}

/// The unit is never guessed from a value: one that was read wrongly looks right for a while.
fn read_reset_header(section: &mut Section<'_>) -> Option<Option<ResetHeader>> {
    let Some(name) = section.optional("reset") else {
        if let Some(unit) = section.optional("reset_unit") {
            unit.fault("is of no use without reset", r#"name the header: reset = "X-RateLimit-Reset""#);
        }
        return Some(None);
    };
    let mend = "write what the header counts, as the source's documentation says";
    let unit = section.required_choice("reset_unit", &RESET_UNITS, mend);
    let name = read_header_name(Some(name))?;
    Some(Some(ResetHeader { name: name?, unit: unit? }))
}

/// `Some(None)` where there is none, `None` where it is faulty.
fn read_header_name(item: Option<Item<'_>>) -> Option<Option<String>> {
    let Some(item) = item else { return Some(None) };
    let name = item.text()?;
    check_header_name(&item, name)?;
    Some(Some(name.to_owned()))
}
