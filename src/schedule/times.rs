//! The times of a schedule, one after another.
//!
//! Times of day are those of the event's zone. One that clocks skip when they are set forward comes once, at the first moment
//! after; one that they show twice comes once, the first time. Intervals go on whatever clocks show.

use std::time::Duration;

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp, ToSpan};
use xxhash_rust::xxh3::xxh3_64;

use crate::limits::{JITTER_MAX, JITTER_PARTS, PHASES_FINAL_AFTER_END};
use crate::model::{Cron, Event, FeedSettings, FinalSync, Schedule, ScheduleKind};

const HOUR: Duration = Duration::from_secs(60 * 60);
/// Days looked through for a date of a cron expression: between two 29ths of February there may be eight years.
const DAYS_SOUGHT: u32 = 9 * 366;
/// When a daily sync begins that does not say it.
const DAILY_AT: Time = Time::constant(3, 0, 0, 0);

/// The times of one feed.
#[derive(Debug, Clone)]
pub struct Times<'a> {
    rhythm: Rhythm<'a>,
    zone: &'a TimeZone,
    /// By how much this feed begins later than its times, so that not all begin at once.
    offset: SignedDuration,
    final_sync: Option<Timestamp>,
}

#[derive(Debug, Clone)]
enum Rhythm<'a> {
    Daily(Time),
    Every(Duration),
    Cron(&'a Cron),
    Phases { live_at: Timestamp, starts_at: Timestamp, ends_at: Timestamp, at: Time },
}

impl<'a> Times<'a> {
    /// `None` where nothing happens by itself. What a schedule needs and does not say, the configuration's rules find; here it
    /// means the same as no schedule.
    pub fn of(event: &'a Event, feed: &FeedSettings, schedule: &'a Schedule) -> Option<Self> {
        let at = schedule.at.map_or(DAILY_AT, |at| at.0);
        let rhythm = match schedule.kind {
            ScheduleKind::Off => return None,
            ScheduleKind::Hourly => Rhythm::Every(HOUR),
            ScheduleKind::Daily => Rhythm::Daily(at),
            ScheduleKind::Every => Rhythm::Every(schedule.every.filter(|span| !span.0.is_zero())?.0),
            ScheduleKind::Cron => Rhythm::Cron(schedule.cron.as_ref()?),
            ScheduleKind::Phases => {
                Rhythm::Phases { live_at: schedule.live_at?, starts_at: event.starts_at?, ends_at: event.ends_at?, at }
            }
        };
        let widest = match &rhythm {
            Rhythm::Every(every) => (*every / JITTER_PARTS).min(JITTER_MAX),
            Rhythm::Daily(_) | Rhythm::Cron(_) | Rhythm::Phases { .. } => JITTER_MAX,
        };
        let spread = schedule.jitter.map_or(widest, |jitter| jitter.0);
        let final_sync = match (schedule.final_sync, &rhythm) {
            (Some(FinalSync::At(at)), _) => Some(at),
            (Some(FinalSync::AfterEnd(after)), _) => after_end(event, after),
            (None, Rhythm::Phases { .. }) => after_end(event, PHASES_FINAL_AFTER_END),
            (None, _) => None,
        };
        let offset = offset(event.name.as_str(), feed.source.as_str(), spread);
        Some(Self { rhythm, zone: &event.zone, offset, final_sync })
    }

    /// The first regular time after this moment; none from the final sync on.
    pub fn after(&self, moment: Timestamp) -> Option<Timestamp> {
        self.unending_after(moment).filter(|at| self.final_sync.is_none_or(|last| *at < last))
    }

    /// The same as if there was no final sync.
    pub fn unending_after(&self, moment: Timestamp) -> Option<Timestamp> {
        let after = self.plain_after(moment.saturating_sub(self.offset).ok()?)?;
        after.checked_add(self.offset).ok()
    }

    /// Since when a success is the last one needed, where there is such a time.
    pub fn final_sync(&self) -> Option<Timestamp> {
        self.final_sync
    }

    /// When the final sync begins.
    pub fn final_begins(&self) -> Option<Timestamp> {
        self.final_sync.and_then(|at| at.checked_add(self.offset).ok())
    }

    /// The first time of a feed that was never synced: at once, or as soon as it may be.
    pub fn first(&self, now: Timestamp) -> Option<Timestamp> {
        match self.rhythm {
            Rhythm::Phases { live_at, .. } => self.after(just_before(live_at)),
            _ => Some(now).filter(|now| self.final_sync.is_none_or(|last| *now < last)),
        }
    }

    /// Does anything happen by itself at this moment?
    pub fn is_live(&self, moment: Timestamp) -> bool {
        match self.rhythm {
            Rhythm::Phases { live_at, ends_at, .. } => live_at <= moment && moment < ends_at,
            _ => true,
        }
    }

    /// How far two times are apart about then.
    pub fn gap(&self, moment: Timestamp) -> Duration {
        let first = self.unending_after(moment);
        let second = first.and_then(|first| self.unending_after(first));
        let gap = first.zip(second).and_then(|(first, second)| Duration::try_from(second.duration_since(first)).ok());
        gap.unwrap_or(HOUR)
    }

    fn plain_after(&self, moment: Timestamp) -> Option<Timestamp> {
        match self.rhythm {
            Rhythm::Every(every) => every_after(every, moment),
            Rhythm::Daily(at) => daily_after(self.zone, at, moment),
            Rhythm::Cron(cron) if cron.is_hourly() => hourly_cron_after(self.zone, cron, moment),
            Rhythm::Cron(cron) => cron_after(self.zone, cron, moment),
            Rhythm::Phases { live_at, starts_at, ends_at, at } => {
                let daily = daily_after(self.zone, at, moment.max(just_before(live_at)));
                let is_of_its_phase = |daily: &Timestamp| *daily < starts_at;
                let hourly = || every_after(HOUR, moment.max(just_before(starts_at))).filter(|hour| *hour < ends_at);
                daily.filter(is_of_its_phase).or_else(hourly)
            }
        }
    }
}

fn after_end(event: &Event, after: Duration) -> Option<Timestamp> {
    event.ends_at?.checked_add(after).ok()
}

/// Times are after a moment; this one lets the moment itself be one.
fn just_before(moment: Timestamp) -> Timestamp {
    moment.saturating_sub(SignedDuration::from_nanos(1)).unwrap_or(moment)
}

/// The same for a feed for ever, to the second, and for each feed another.
fn offset(event: &str, source: &str, spread: Duration) -> SignedDuration {
    let hash = xxh3_64(format!("{event}\0{source}").as_bytes());
    let seconds = hash % (spread.as_secs() + 1);
    SignedDuration::from_secs(i64::try_from(seconds).unwrap_or_default())
}

fn every_after(every: Duration, moment: Timestamp) -> Option<Timestamp> {
    let every = i64::try_from(every.as_millis()).ok().filter(|every| *every > 0)?;
    // Moments between two milliseconds belong to the earlier one.
    let begun = moment.as_nanosecond().div_euclid(1_000_000);
    let next = i64::try_from(begun).ok()?.div_euclid(every).checked_add(1)?.checked_mul(every)?;
    Timestamp::from_millisecond(next).ok()
}

fn daily_after(zone: &TimeZone, at: Time, moment: Timestamp) -> Option<Timestamp> {
    let today = zone.to_datetime(moment).date();
    // Today's may be over, and tomorrow's the same moment where a whole day is skipped.
    let mut dates = today.series(1.day()).take(4);
    dates.find_map(|date| instant(zone, date.to_datetime(at)).filter(|found| *found > moment))
}

fn cron_after(zone: &TimeZone, cron: &Cron, moment: Timestamp) -> Option<Timestamp> {
    let local = zone.to_datetime(moment);
    for date in dates(cron, local.date()) {
        let hour = if date == local.date() { local.hour() } else { 0 };
        for hour in cron.hours_from(hour) {
            for minute in cron.minutes_from(0) {
                let found = instant(zone, date.at(hour, minute, 0, 0))?;
                if found > moment {
                    return Some(found);
                }
            }
        }
    }
    None
}

/// Of one that goes on hour by hour, every moment counts at which the clock shows one of its minutes.
fn hourly_cron_after(zone: &TimeZone, cron: &Cron, moment: Timestamp) -> Option<Timestamp> {
    let mut at = every_after(Duration::from_secs(60), moment)?;
    loop {
        let local = zone.to_datetime(at);
        let date = dates(cron, local.date()).next()?;
        if date > local.date() {
            at = instant(zone, date.to_datetime(Time::midnight()))?;
            continue;
        }
        let on_this_hour = cron.minutes_from(local.minute()).next();
        // An offset of seconds, as some had once, would keep the clock from showing whole minutes.
        let minutes = i64::from(on_this_hour.unwrap_or(60) - local.minute());
        if minutes == 0 {
            return Some(at);
        }
        at = at.checked_add(SignedDuration::from_mins(minutes)).ok()?;
    }
}

fn dates(cron: &Cron, from: Date) -> impl Iterator<Item = Date> + '_ {
    let all = from.series(1.day()).take(usize::try_from(DAYS_SOUGHT).unwrap_or_default());
    all.filter(|date| cron.has_date(*date))
}

/// When clocks show this, the first time; or the first moment after, where they skip it.
fn instant(zone: &TimeZone, local: DateTime) -> Option<Timestamp> {
    let ambiguous = zone.to_ambiguous_timestamp(local);
    match ambiguous.offset() {
        AmbiguousOffset::Unambiguous { offset } | AmbiguousOffset::Fold { before: offset, .. } => {
            offset.to_timestamp(local).ok()
        }
        AmbiguousOffset::Gap { after, .. } => {
            // By the clock as it goes afterwards, it would be before it is set.
            let before_it_is_set = after.to_timestamp(local).ok()?;
            zone.following(just_before(before_it_is_set)).next().map(|transition| transition.timestamp())
        }
    }
}
