//! The ledger as it is written down: JSON, times in milliseconds since 1970.
//!
//! Invariant: no clock; the caller gives `now`. However wrong the clock was or is, what is read lies in the past or
//! within the bounds that held when it was written, so that nobody is shut out for longer than that.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::budget::Pause;
use super::ledger::{Entry, Moment, Now};
use super::read::WaitReason;

const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    version: u32,
    /// What was used: when at the latest, how many units.
    used: Vec<(i64, u32)>,
    /// What may have been used since: until when, how many units.
    lent: (i64, u32),
    paused: Option<StoredPause>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredPause {
    until: i64,
    why: WaitReason,
}

/// What the last process left.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Remembered {
    /// Ascending.
    pub(super) entries: Vec<Entry>,
    pub(super) pause: Option<Pause>,
}

/// `lent` is what may be used, or was and is not answered yet; and until when.
pub(super) fn written(entries: &[Entry], lent: Entry, pause: Option<Pause>, now: Now) -> Vec<u8> {
    let paused = pause.filter(|pause| pause.until > now.moment);
    let stored = Stored {
        version: VERSION,
        used: entries.iter().map(|entry| dated(*entry, now)).collect(),
        lent: dated(lent, now),
        paused: paused.map(|Pause { until, why }| StoredPause { until: millis(until, now), why }),
    };
    serde_json::to_vec(&stored).expect("numbers and words are always JSON")
}

/// Reads what was written, as seen at `now`: what lies in the future has just been used. No pause lasts longer than
/// `pause_max`.
pub(super) fn read(bytes: &[u8], now: Now, pause_max: Duration) -> Result<Remembered, String> {
    let version = serde_json::from_slice::<Versioned>(bytes).map_err(|error| error.to_string())?.version;
    if version != VERSION {
        return Err(format!("its version is {version}, and {VERSION} is the one known here"));
    }
    let stored: Stored = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    let entry =
        |(at, units)| Some(Entry { at: past(at, now)?, units: u64::from(units) }).filter(|entry| entry.units > 0);
    let mut entries: Vec<Entry> = stored.used.into_iter().chain([stored.lent]).filter_map(entry).collect();
    entries.sort_by_key(|entry| entry.at);
    let pause = stored.paused.map(|StoredPause { until, why }| {
        let length = Duration::from_millis(u64::try_from(until.saturating_sub(now.wall.as_millisecond())).unwrap_or(0));
        Pause { until: now.moment + length.min(pause_max), why }
    });
    Ok(Remembered { entries, pause: pause.filter(|pause| pause.until > now.moment) })
}

/// The version alone, whatever else a later one holds.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

fn dated(entry: Entry, now: Now) -> (i64, u32) {
    // Windows hold far less than that.
    (millis(entry.at, now), u32::try_from(entry.units).unwrap_or(u32::MAX))
}

/// Upwards: a later time is the politer one.
fn millis(at: Moment, now: Now) -> i64 {
    let wall = now.wall.as_millisecond();
    let ago = now.moment.saturating_sub(at).as_millis();
    let ahead = at.saturating_sub(now.moment).as_nanos().div_ceil(1_000_000);
    let ahead = i64::try_from(ahead).unwrap_or(i64::MAX);
    // A millisecond more, for the clock tells them rounded down.
    wall.saturating_sub(i64::try_from(ago).unwrap_or(i64::MAX)).saturating_add(ahead).saturating_add(1)
}

/// `None`: before the ledger's zero, and so of no account any more.
fn past(at: i64, now: Now) -> Option<Moment> {
    let age = now.wall.as_millisecond().saturating_sub(at);
    now.moment.checked_sub(Duration::from_millis(u64::try_from(age).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(60 * 60);

    fn now() -> Now {
        Now { moment: 40 * 24 * HOUR, wall: "2026-06-01T12:00:00Z".parse().unwrap() }
    }

    fn later(by: Duration) -> Now {
        Now { wall: now().wall + by, ..now() }
    }

    fn earlier(by: Duration) -> Now {
        Now { wall: now().wall - by, ..now() }
    }

    fn sample() -> Vec<u8> {
        let moment = now().moment;
        let entries = [Entry { at: moment - 3 * HOUR, units: 7 }, Entry { at: moment - HOUR, units: 1 }];
        let lent = Entry { at: moment + Duration::from_secs(90), units: 5 };
        let pause = Pause { until: moment + HOUR, why: WaitReason::RetryAfter };
        written(&entries, lent, Some(pause), now())
    }

    /// Ages in seconds, rounded, and units.
    fn ages(remembered: &Remembered, now: Now) -> Vec<(u64, u64)> {
        let age = |entry: &Entry| ((now.moment - entry.at + Duration::from_millis(2)).as_secs(), entry.units);
        remembered.entries.iter().map(age).collect()
    }

    #[test]
    fn what_was_written_is_read_as_seen_from_then() {
        let at_once = read(&sample(), now(), HOUR).unwrap();
        assert_eq!(ages(&at_once, now()), [(10_800, 7), (3_600, 1), (0, 5)], "what is lent has just been used");
        assert_eq!(at_once.pause.unwrap().why, WaitReason::RetryAfter);
        let hour_later = read(&sample(), later(2 * HOUR), HOUR).unwrap();
        assert_eq!(ages(&hour_later, now()), [(18_000, 7), (10_800, 1), (7_110, 5)]);
        assert_eq!(hour_later.pause, None);
        assert_eq!(read(&sample(), later(1_000 * HOUR), HOUR).unwrap(), Remembered::default());
    }

    #[test]
    fn a_clock_that_went_back_makes_it_the_present() {
        let remembered = read(&sample(), earlier(10_000 * HOUR), 2 * HOUR).unwrap();
        assert_eq!(ages(&remembered, now()), [(0, 7), (0, 1), (0, 5)]);
        assert_eq!(remembered.pause.unwrap().until, now().moment + 2 * HOUR);
    }

    #[test]
    fn a_later_version_is_named() {
        let error = read(br#"{"version":2,"spans":[]}"#, now(), HOUR).unwrap_err();
        assert_eq!(error, "its version is 2, and 1 is the one known here");
    }
}
