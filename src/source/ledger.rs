//! The log of what was used of a source's allowance: it enforces the windows.
//!
//! A request counts from its admission until a window's length after its answer began, because only that long is it
//! certain that the source, too, counts it in an older window whatever the network did to it. Where an allowance begins
//! anew at a time of day, it counts in the day of its admission and in that of its answer.
//!
//! Invariant: reads no clock; the caller gives `now`. Every error (entries merged, clocks that differ or jump back) is
//! on the side of asking less.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;

use crate::config::{DailyReset, WindowSpec};
use crate::limits;

/// The time since the ledger's own zero, which lies so far back that every entry is after it.
pub(super) type Moment = Duration;

/// One instant on both clocks: the one that never jumps, and the one that knows the time of day.
#[derive(Debug, Clone, Copy)]
pub(super) struct Now {
    pub(super) moment: Moment,
    pub(super) wall: Timestamp,
}

/// When there is room for a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Room {
    Now,
    /// Not before, for the window of this length is full.
    At(Moment, Duration),
    /// Requests in flight fill a window; there is room some time after one of them is answered.
    WhenAnswered,
}

/// Units that were used, at the latest at `at`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) at: Moment,
    pub(super) units: u64,
}

/// What is used of each window.
pub(super) struct Ledger {
    windows: Vec<Window>,
    in_flight: u64,
}

impl Ledger {
    pub(super) fn new(windows: &[WindowSpec]) -> Self {
        Self { windows: windows.iter().map(|spec| Window::new(spec.clone())).collect(), in_flight: 0 }
    }

    /// When is there room for so many units, as far as is known now?
    pub(super) fn room(&mut self, units: u32, now: Now) -> Room {
        let mut latest = Room::Now;
        let in_flight = self.in_flight;
        for window in &mut self.windows {
            match (window.room(u64::from(units), in_flight, now), &latest) {
                (Room::Now, _) => {}
                (Room::WhenAnswered, _) => return Room::WhenAnswered,
                (Room::At(at, _), Room::At(other, _)) if at <= *other => {}
                (later, _) => latest = later,
            }
        }
        latest
    }

    pub(super) fn admit(&mut self, units: u32) {
        self.in_flight += u64::from(units);
    }

    /// The answer to a request of so many units has begun, or the request failed.
    pub(super) fn answered(&mut self, units: u32, now: Moment) {
        self.in_flight = self.in_flight.saturating_sub(u64::from(units));
        self.enter(Entry { at: now, units: u64::from(units) }, now);
    }

    /// Notes units that were used. Entries come in the order of their time.
    pub(super) fn enter(&mut self, entry: Entry, now: Moment) {
        for window in &mut self.windows {
            window.forget(now);
            window.enter(entry);
        }
    }

    pub(super) const fn in_flight(&self) -> u64 {
        self.in_flight
    }

    /// Each window, what it still admits, and when it has room for so many units where it has none.
    pub(super) fn left(&mut self, units: u32, now: Now) -> Vec<(WindowSpec, u32, Option<Moment>)> {
        let in_flight = self.in_flight;
        let left = |window: &mut Window| {
            let opens = match window.room(u64::from(units), in_flight, now) {
                Room::At(at, _) => Some(at),
                Room::Now | Room::WhenAnswered => None,
            };
            let left = u64::from(window.spec.requests).saturating_sub(window.used(in_flight, now));
            (window.spec.clone(), u32::try_from(left).unwrap_or(u32::MAX), opens)
        };
        self.windows.iter_mut().map(left).collect()
    }

    /// What the window that remembers longest remembers, in a bounded number of entries.
    pub(super) fn entries(&self) -> Vec<Entry> {
        let Some(window) = self.windows.iter().max_by_key(|window| window.memory()) else { return Vec::new() };
        let entries: Vec<Entry> = window.entries.iter().map(|merged| merged.entry).collect();
        let together = entries.len().div_ceil(limits::LEDGER_ENTRIES_MAX).max(1);
        entries.chunks(together).filter_map(merged).collect()
    }

    /// How many units may be lent before they are used: a small part of every window, or as much of a short one as can
    /// be used within the term. At least `units`, and none without windows.
    pub(super) fn lendable(&self, units: u32) -> u64 {
        let lendable = self.windows.iter().map(Window::lendable).min();
        lendable.map_or(0, |lendable| lendable.max(u64::from(units)))
    }

    /// The length of the longest window.
    pub(super) fn longest(&self) -> Option<Duration> {
        self.windows.iter().map(|window| window.spec.per.duration()).max()
    }
}

fn merged(entries: &[Entry]) -> Option<Entry> {
    let last = entries.last()?;
    Some(Entry { at: last.at, units: entries.iter().map(|entry| entry.units).sum() })
}

/// One window and what it remembers.
struct Window {
    spec: WindowSpec,
    /// Entries that come within so short a time become one; zero keeps each apart.
    grain: Duration,
    /// Ascending.
    entries: VecDeque<Merged>,
    /// Of all entries.
    units: u64,
}

struct Merged {
    first: Moment,
    /// The latest counts for all.
    entry: Entry,
}

impl Window {
    fn new(spec: WindowSpec) -> Self {
        let length = spec.per.duration();
        let exact = length < limits::LEDGER_MERGED_MIN || spec.requests as usize <= limits::LEDGER_ENTRIES_MAX;
        // The bound is far below what 32 bits hold.
        let grain = if exact { Duration::ZERO } else { length / limits::LEDGER_ENTRIES_MAX as u32 };
        Self { spec, grain, entries: VecDeque::new(), units: 0 }
    }

    /// For how long an entry matters. The longest day has 25 hours.
    fn memory(&self) -> Duration {
        let length = self.spec.per.duration();
        if self.spec.resets.is_some() {
            length + Duration::from_secs(60 * 60) + 2 * limits::RESET_MARGIN
        } else {
            length
        }
    }

    fn lendable(&self) -> u64 {
        let (requests, length) = (u64::from(self.spec.requests), self.spec.per.duration());
        if length >= limits::LENT_TERM {
            return (requests / u64::from(limits::LENT_PART)).max(1);
        }
        let windows = limits::LENT_TERM.as_millis().div_ceil(length.as_millis().max(1));
        requests.saturating_mul(u64::try_from(windows).unwrap_or(u64::MAX))
    }

    fn enter(&mut self, entry: Entry) {
        self.units += entry.units;
        if let Some(last) = self.entries.back_mut()
            && (last.entry.at >= entry.at || last.first + self.grain > entry.at)
        {
            last.entry.units += entry.units;
            last.entry.at = last.entry.at.max(entry.at);
            return;
        }
        self.entries.push_back(Merged { first: entry.at, entry });
    }

    fn forget(&mut self, now: Moment) {
        let memory = self.memory();
        while let Some(old) = self.entries.front().filter(|old| old.entry.at + memory <= now) {
            self.units -= old.entry.units;
            self.entries.pop_front();
        }
    }

    fn used(&mut self, in_flight: u64, now: Now) -> u64 {
        self.forget(now.moment);
        let Some(reset) = &self.spec.resets else { return self.units + in_flight };
        let (begun, _) = day(reset, now);
        let counted = self.entries.iter().rev().take_while(|old| old.entry.at >= begun);
        counted.map(|old| old.entry.units).sum::<u64>() + in_flight
    }

    fn room(&mut self, units: u64, in_flight: u64, now: Now) -> Room {
        let limit = u64::from(self.spec.requests);
        let wanted = self.used(in_flight, now) + units;
        if wanted <= limit {
            return Room::Now;
        }
        let length = self.spec.per.duration();
        if in_flight + units > limit {
            return Room::WhenAnswered;
        }
        if let Some(reset) = &self.spec.resets {
            return Room::At(day(reset, now).1, length);
        }
        // The oldest entries must leave the window until there is room.
        let mut surplus = wanted - limit;
        for old in &self.entries {
            if old.entry.units >= surplus {
                return Room::At(old.entry.at + length, length);
            }
            surplus -= old.entry.units;
        }
        Room::WhenAnswered
    }
}

/// The day that `now` is in, widened by the margin: from when on requests count, and when the next one has surely
/// begun.
fn day(reset: &DailyReset, now: Now) -> (Moment, Moment) {
    // Until the margin is over, the old day still holds.
    let wall = now.wall.saturating_sub(limits::RESET_MARGIN).unwrap_or(now.wall);
    let (begun, next) = boundaries(reset, wall);
    let since = Duration::try_from(wall.duration_since(begun)).unwrap_or_default();
    let until = Duration::try_from(next.duration_since(wall)).unwrap_or_default();
    (now.moment.saturating_sub(since + 2 * limits::RESET_MARGIN), now.moment + until)
}

/// The resets around an instant: the last one, at or before it, and the next. A time of day that a change of the clock
/// leaves out is made up for right after the change; of one that comes twice, the first counts.
fn boundaries(reset: &DailyReset, wall: Timestamp) -> (Timestamp, Timestamp) {
    let today = wall.to_zoned(reset.zone.clone()).date();
    let on = |date: Date| reset.zone.to_timestamp(date.to_datetime(reset.at)).unwrap_or(wall);
    let of_today = on(today);
    if of_today <= wall {
        (of_today, today.tomorrow().map_or(wall, on))
    } else {
        (today.yesterday().map_or(wall, on), of_today)
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;
    use crate::config::Per;

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    fn at(moment: Moment) -> Now {
        Now { moment, wall: Timestamp::UNIX_EPOCH + moment }
    }

    fn used(ledger: &mut Ledger, at: Moment, units: u32) {
        ledger.admit(units);
        ledger.answered(units, at);
    }

    fn daily(requests: u32, hour: i8, zone: &str) -> WindowSpec {
        let reset = DailyReset { at: jiff::civil::time(hour, 30, 0, 0), zone: TimeZone::get(zone).unwrap() };
        WindowSpec { requests, per: Per::Day, resets: Some(reset) }
    }

    #[test]
    fn a_large_window_is_remembered_in_few_entries_and_never_too_short() {
        let spec = WindowSpec { requests: 1_000_000, per: Per::Day, resets: None };
        let (mut ledger, step) = (Ledger::new(&[spec]), DAY / 1_000_000);
        for n in 0..1_000_000 {
            used(&mut ledger, DAY + step * n, 1);
        }
        assert!(ledger.windows[0].entries.len() <= limits::LEDGER_ENTRIES_MAX + 2);
        assert!(ledger.entries().len() <= limits::LEDGER_ENTRIES_MAX + 2);
        // The first request's place is free a day after it, and a step of the memory later at most.
        let Room::At(opens, DAY) = ledger.room(1, at(2 * DAY - step)) else { panic!("it is full") };
        let grain = DAY / 1_024;
        assert!(opens >= 2 * DAY && opens <= 2 * DAY + grain, "{opens:?}");
        assert_eq!(ledger.room(1, at(opens)), Room::Now);
    }

    #[test]
    fn short_windows_and_small_ones_are_remembered_exactly() {
        for (requests, per) in [(100_000, Per::Second), (1_024, Per::Day)] {
            let (mut ledger, length) = (Ledger::new(&[WindowSpec { requests, per, resets: None }]), per.duration());
            let step = length / (requests + 1);
            for n in 0..requests {
                used(&mut ledger, DAY + step * n, 1);
            }
            let opens = ledger.room(1, at(DAY + step * requests));
            assert_eq!(opens, Room::At(DAY + length, length), "{per}");
            assert!(ledger.entries().len() <= limits::LEDGER_ENTRIES_MAX, "what is written is bounded");
        }
    }

    #[test]
    fn a_days_allowance_begins_anew_at_its_time_whatever_the_clocks_do() {
        // Summer time ends on 25 October 2026 at 03:00: 02:30 comes twice. It began on 29 March: 02:30 never came.
        for (hour, wall, begun, next) in [
            (0, "2026-10-25T12:00:00Z", "2026-10-24T22:30:00Z", "2026-10-25T23:30:00Z"),
            (2, "2026-10-25T01:00:00Z", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"),
            (2, "2026-10-25T00:29:59Z", "2026-10-24T00:30:00Z", "2026-10-25T00:30:00Z"),
            (2, "2026-03-29T01:00:00Z", "2026-03-28T01:30:00Z", "2026-03-29T01:30:00Z"),
            (23, "2026-06-01T00:00:00Z", "2026-05-31T21:30:00Z", "2026-06-01T21:30:00Z"),
            (23, "2026-06-01T21:30:00Z", "2026-06-01T21:30:00Z", "2026-06-02T21:30:00Z"),
        ] {
            let reset = daily(1, hour, "Europe/Berlin").resets.unwrap();
            let expected: (Timestamp, Timestamp) = (begun.parse().unwrap(), next.parse().unwrap());
            assert_eq!(boundaries(&reset, wall.parse().unwrap()), expected, "{hour}:30 seen at {wall}");
        }
    }

    #[test]
    fn around_a_reset_requests_count_before_and_after_it() {
        let (midnight, second) = (10 * DAY + Duration::from_secs(30 * 60), Duration::from_secs(1));
        let mut ledger = Ledger::new(&[daily(2, 0, "UTC")]);
        used(&mut ledger, midnight - 6 * second, 1);
        used(&mut ledger, midnight - 4 * second, 1);
        assert_eq!(ledger.room(1, at(midnight)), Room::At(midnight + 5 * second, DAY));
        assert_eq!(ledger.room(1, at(midnight + 5 * second)), Room::Now);
        assert_eq!(ledger.room(2, at(midnight + 5 * second)), Room::At(midnight + DAY + 5 * second, DAY));
    }

    #[test]
    fn a_clock_that_jumps_back_shuts_nobody_out_for_longer_than_a_day() {
        let (zone, noon) = (daily(1, 0, "UTC"), 20 * DAY + DAY / 2);
        let mut ledger = Ledger::new(&[zone]);
        used(&mut ledger, noon, 1);
        for days_back in [0, 1, 19] {
            let now = Now { moment: noon, wall: (Timestamp::UNIX_EPOCH + noon) - days_back * DAY };
            let Room::At(opens, _) = ledger.room(1, now) else { panic!("it is full") };
            assert!(opens > noon && opens <= noon + DAY + limits::RESET_MARGIN, "{days_back}: {opens:?}");
        }
    }
}
