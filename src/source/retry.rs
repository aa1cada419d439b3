//! When to try again: exponential back-off with full jitter, and what `Retry-After` means (RFC 9110, 10.2.3).
//!
//! Invariant: reads no clock; the caller gives `now`.

use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::strtime;
use jiff::tz::TimeZone;

use crate::limits;

/// The pauses of a source. [`Default`] is what `limits` says; tests shorten them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pauses {
    /// The longest pause before the second try; doubled for each further one.
    pub(super) retry_base: Duration,
    pub(super) retry_max: Duration,
    pub(super) retry_after_min: Duration,
    pub(super) retry_after_max: Duration,
}

impl Default for Pauses {
    fn default() -> Self {
        Self {
            retry_base: limits::RETRY_BASE,
            retry_max: limits::RETRY_PAUSE_MAX,
            retry_after_min: limits::RETRY_AFTER_MIN,
            retry_after_max: limits::RETRY_AFTER_MAX,
        }
    }
}

impl Pauses {
    /// The pause after the `failed`th try (from 1): anything from nothing to the doubled base, by `random`, so that
    /// readers which failed together do not come back together.
    pub(super) fn back_off(&self, failed: u32, random: u64) -> Duration {
        let longest = doubled(self.retry_base, failed).min(self.retry_max);
        let nanos = u64::try_from(longest.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(random % nanos.saturating_add(1))
    }

    /// The pause until a source's allowance begins anew, as it says, but no longer than its longest window or what
    /// `Retry-After` may ask for.
    pub(super) fn until_reset(&self, reset: Option<Duration>, longest: Option<Duration>) -> Duration {
        let most = self.retry_after_max.max(longest.unwrap_or_default());
        reset.unwrap_or_default().clamp(self.retry_after_min, most)
    }

    /// The pause that a 429, or a 503 with `Retry-After`, asks for after the `failed`th try.
    ///
    /// A source that names none, names 0 or writes something unreadable gets the shortest one, doubled with each
    /// try, lest all tries be used up within a second or two.
    pub(super) fn asked(&self, asked: Option<Duration>, failed: u32) -> Duration {
        asked
            .filter(|pause| !pause.is_zero())
            .unwrap_or_else(|| doubled(self.retry_after_min, failed).min(self.retry_max))
            .clamp(self.retry_after_min, self.retry_after_max)
    }
}

fn doubled(base: Duration, failed: u32) -> Duration {
    base.saturating_mul(2_u32.saturating_pow(failed.saturating_sub(1)))
}

/// `Retry-After` as a pause: seconds, or a date less the response's own `date` (less `now` where it has none), so
/// that a wrong clock on either side does not matter. `None` when unreadable; zero for a date that has passed.
pub(super) fn retry_after(value: &str, date: Option<&str>, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) {
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let until = http_date(value)?;
    let from = date.and_then(http_date).unwrap_or(now);
    Some(Duration::try_from(until.duration_since(from)).unwrap_or(Duration::ZERO))
}

/// A date in one of the three forms that a recipient must accept (RFC 9110, 5.6.7).
pub(super) fn http_date(text: &str) -> Option<Timestamp> {
    const FORMS: [&str; 3] = ["%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"];
    FORMS.iter().find_map(|form| {
        let time = strtime::parse(form, text.trim()).ok()?.to_datetime().ok()?;
        time.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

    #[test]
    fn reads_every_form_of_a_date() {
        let expected: Timestamp = "1994-11-06T08:49:37Z".parse().unwrap();
        for form in [NOW, "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"] {
            assert_eq!(http_date(form), Some(expected), "{form}");
        }
        assert_eq!(http_date("1994-11-06"), None);
    }

    #[test]
    fn retry_after_forms() {
        let later = "Sun, 06 Nov 1994 08:50:07 GMT";
        // Our own clock is years ahead: it must not matter while the response has a date.
        let ours: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let secs = |s| Some(Duration::from_secs(s));
        for (value, date, expected) in [
            ("120", Some(NOW), secs(120)),
            (" 7 ", None, secs(7)),
            ("0", None, secs(0)),
            ("99999999999999999999999", None, secs(u64::MAX)),
            (later, Some(NOW), secs(30)),
            (NOW, Some(later), secs(0)),
            (later, None, secs(0)),
            ("", None, None),
            ("-5", None, None),
            ("soon", Some(NOW), None),
        ] {
            assert_eq!(retry_after(value, date, ours), expected, "{value:?} at {date:?}");
        }
        assert_eq!(retry_after(later, None, http_date(NOW).unwrap()), secs(30));
    }

    #[test]
    fn an_asked_pause_is_clamped_and_grows_when_not_named() {
        let pauses = Pauses::default();
        for (asked, failed, expected) in [
            (Some(5), 1, 5),
            (Some(5), 4, 5),
            (Some(86_400), 1, 3_600),
            (Some(u64::MAX), 1, 3_600),
            (Some(0), 1, 1),
            (Some(0), 3, 4),
            (None, 1, 1),
            (None, 2, 2),
            (None, 60, 30),
        ] {
            let pause = pauses.asked(asked.map(Duration::from_secs), failed);
            assert_eq!(pause, Duration::from_secs(expected), "{asked:?} after {failed}");
        }
    }

    #[test]
    fn back_off_doubles_is_jittered_and_capped() {
        let pauses = Pauses::default();
        let longest = |failed| {
            let nanos = u64::try_from(doubled(pauses.retry_base, failed).min(pauses.retry_max).as_nanos()).unwrap();
            pauses.back_off(failed, nanos)
        };
        assert_eq!(longest(1), Duration::from_millis(250));
        assert_eq!(longest(4), Duration::from_secs(2));
        assert_eq!(longest(40), Duration::from_secs(30));
        assert_eq!(pauses.back_off(3, 0), Duration::ZERO);
        assert!(pauses.back_off(3, u64::MAX) <= Duration::from_secs(1));
    }
}
