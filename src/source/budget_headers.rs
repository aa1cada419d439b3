//! What a source's answers tell of its allowance: what is left, and when there is more.
//!
//! Invariant: reads no clock; the caller gives `now`. The unit of a time is the configured one, never guessed.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};

use super::header::text;
use super::retry::{http_date, retry_after};
use crate::config::{BudgetHeaders, ResetHeader, ResetUnit};

/// The pause that a refusal asks for: by the configured name of `Retry-After`, by its own, or else until the
/// allowance's reset. `None` where it names none that can be read.
pub(super) fn asked_pause(spec: &BudgetHeaders, headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let asked = retry_after_text(spec, headers).and_then(|value| retry_after(value, text(headers, DATE), now));
    asked.or_else(|| until_reset(spec.reset.as_ref()?, headers, now))
}

/// Does a refusal ask for a pause?
pub(super) fn asks_for_pause(spec: &BudgetHeaders, headers: &HeaderMap) -> bool {
    retry_after_text(spec, headers).is_some()
}

/// Where the answer says that less is left than a request weighs: how long until there is more, as far as it can be
/// read. `Some(None)`: it cannot.
pub(super) fn used_up(
    spec: &BudgetHeaders,
    headers: &HeaderMap,
    weight: u32,
    now: Timestamp,
) -> Option<Option<Duration>> {
    let remaining = number(text(headers, spec.remaining.as_deref()?)?)?;
    let reset = spec.reset.as_ref().and_then(|reset| until_reset(reset, headers, now));
    (remaining < f64::from(weight)).then_some(reset)
}

fn until_reset(reset: &ResetHeader, headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let value = text(headers, &reset.name)?;
    // The source's own date, where it tells one, so that a wrong clock on either side does not matter.
    let now = text(headers, DATE).and_then(http_date).unwrap_or(now);
    let since_epoch = |seconds: f64| Some((seconds - now.as_duration().as_secs_f64()).max(0.0));
    let seconds = match reset.unit {
        ResetUnit::Seconds => number(value),
        ResetUnit::Milliseconds => number(value).map(|millis| millis / 1000.0),
        ResetUnit::EpochSeconds => number(value).and_then(since_epoch),
        ResetUnit::EpochMilliseconds => number(value).and_then(|millis| since_epoch(millis / 1000.0)),
        ResetUnit::HttpDate => http_date(value).map(|date| date.duration_since(now).as_secs_f64().max(0.0)),
    };
    // What no duration holds is longer than any pause.
    seconds.map(|seconds| Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
}

/// A plain decimal number. What else floats may be spelled like (`inf`, `1e9`, `-1`) is none that a header means.
fn number(text: &str) -> Option<f64> {
    let text = text.trim();
    if !text.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return None;
    }
    text.parse().ok()
}

fn retry_after_text<'h>(spec: &BudgetHeaders, headers: &'h HeaderMap) -> Option<&'h str> {
    let configured = spec.retry_after.as_deref().and_then(|name| text(headers, name));
    configured.or_else(|| text(headers, RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderName, HeaderValue};

    use super::*;

    const DATED: (&str, &str) = ("date", "Sun, 06 Nov 1994 08:49:37 GMT");

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&str, &str)| {
            (HeaderName::try_from(*name).unwrap(), HeaderValue::from_str(value).unwrap())
        };
        pairs.iter().map(pair).collect()
    }

    fn spec(unit: ResetUnit) -> BudgetHeaders {
        BudgetHeaders {
            remaining: Some("X-Remaining".into()),
            reset: Some(ResetHeader { name: "X-Reset".into(), unit }),
            retry_after: Some("X-Retry-After".into()),
        }
    }

    fn now() -> Timestamp {
        "2026-01-01T00:00:00Z".parse().unwrap()
    }

    #[test]
    fn a_reset_is_read_in_its_unit_and_no_other() {
        let date: Timestamp = "1994-11-06T08:49:37Z".parse().unwrap();
        let (in_30, ms_in_30) = ((date.as_second() + 30).to_string(), (date.as_millisecond() + 30_000).to_string());
        let late = "Sun, 06 Nov 1994 08:50:07 GMT";
        let secs = |s| Some(Duration::from_secs(s));
        for (unit, value, expected) in [
            (ResetUnit::Seconds, "30", secs(30)),
            (ResetUnit::Seconds, " 0.5 ", Some(Duration::from_millis(500))),
            (ResetUnit::Milliseconds, "30000", secs(30)),
            (ResetUnit::EpochSeconds, &in_30, secs(30)),
            (ResetUnit::EpochMilliseconds, &ms_in_30, secs(30)),
            (ResetUnit::HttpDate, late, secs(30)),
            // Past.
            (ResetUnit::EpochSeconds, "1", secs(0)),
            (ResetUnit::HttpDate, "Sun, 06 Nov 1994 08:00:00 GMT", secs(0)),
            // In another unit than the configured one: taken as it is configured, whatever it looks like.
            (ResetUnit::Seconds, &in_30, secs(784_111_807)),
            (ResetUnit::EpochSeconds, "30", secs(0)),
            (ResetUnit::Milliseconds, "30", Some(Duration::from_millis(30))),
            (ResetUnit::EpochMilliseconds, &in_30, secs(0)),
            // Unreadable.
            (ResetUnit::Seconds, late, None),
            (ResetUnit::HttpDate, "30", None),
            (ResetUnit::Seconds, "inf", None),
            (ResetUnit::Seconds, "1e9", None),
            (ResetUnit::Seconds, "-1", None),
            (ResetUnit::Seconds, "", None),
            (ResetUnit::Seconds, "1.2.3", None),
            // Beyond any duration.
            (ResetUnit::Seconds, "99999999999999999999999", Some(Duration::MAX)),
        ] {
            let headers = headers(&[DATED, ("x-reset", value), ("x-remaining", "0")]);
            let read = used_up(&spec(unit), &headers, 1, now()).unwrap();
            assert_eq!(read, expected, "{value:?} as {unit:?}");
        }
    }

    #[test]
    fn without_a_date_our_clock_serves() {
        let in_30 = (now().as_second() + 30).to_string();
        let headers = headers(&[("x-reset", &in_30), ("x-remaining", "0")]);
        let read = used_up(&spec(ResetUnit::EpochSeconds), &headers, 1, now());
        assert_eq!(read, Some(Some(Duration::from_secs(30))));
    }

    #[test]
    fn less_than_a_request_weighs_is_used_up() {
        for (remaining, weight, expected) in
            [("0", 1, true), ("1", 1, false), ("9", 10, true), ("10", 10, false), ("9.5", 10, true), ("none", 1, false)]
        {
            let headers = headers(&[("x-remaining", remaining), ("x-reset", "5")]);
            let read = used_up(&spec(ResetUnit::Seconds), &headers, weight, now());
            assert_eq!(read.is_some(), expected, "{remaining} left for {weight}");
        }
        assert_eq!(used_up(&spec(ResetUnit::Seconds), &headers(&[]), 1, now()), None);
        let unread = headers(&[("x-remaining", "0")]);
        assert_eq!(used_up(&spec(ResetUnit::Seconds), &unread, 1, now()), Some(None));
        assert_eq!(used_up(&BudgetHeaders::default(), &headers(&[("x-remaining", "0")]), 1, now()), None);
    }

    #[test]
    fn a_pause_is_asked_for_by_the_first_header_that_tells_one() {
        let secs = |s| Some(Duration::from_secs(s));
        for (pairs, expected) in [
            (&[("x-retry-after", "3"), ("retry-after", "4"), ("x-reset", "5")][..], secs(3)),
            (&[("retry-after", "4"), ("x-reset", "5")], secs(4)),
            (&[("retry-after", "soon"), ("x-reset", "5")], secs(5)),
            (&[("x-reset", "5")], secs(5)),
            (&[], None),
        ] {
            let headers = headers(pairs);
            assert_eq!(asked_pause(&spec(ResetUnit::Seconds), &headers, now()), expected, "{pairs:?}");
        }
        assert!(asks_for_pause(&spec(ResetUnit::Seconds), &headers(&[("x-retry-after", "3")])));
        assert!(!asks_for_pause(&BudgetHeaders::default(), &headers(&[("x-retry-after", "3")])));
    }
}
