//! A year of a thousand feeds, with stops at random times, runs of random length and failures, against a model that knows
//! nothing of how times are found: it goes through every minute of the year and looks at the clock on the wall.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use xxhash_rust::xxh3::xxh3_64;

use super::super::*;
use super::{at, event, schedule, times};
use crate::model::{Event, Schedule, ScheduleKind};

const FEEDS: u64 = 1_000;
const ZONES: [&str; 6] =
    ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Santiago", "Asia/Kathmandu", "UTC"];
const BEGIN: &str = "2026-01-01T00:00:00Z";
const END: &str = "2027-01-01T00:00:00Z";

fn minutes(minutes: i64) -> SignedDuration {
    SignedDuration::from_mins(minutes)
}

/// A number that looks random and is the same each time.
fn dice(what: &str, n: u64, sides: u64) -> u64 {
    xxh3_64(format!("{what} {n}").as_bytes()) % sides
}

/// What feed `n` says.
fn said(n: u64) -> Event {
    let zone = ZONES[usize::try_from(dice("zone", n, 6)).unwrap()];
    let hour = 1 + dice("hour", n, 3);
    let half = dice("half", n, 2) * 30;
    let last = r#""final_sync": "1d after end""#;
    let json = match n {
        0..2 => r#"{"kind": "every", "every": "15m"}"#.to_owned(),
        2..10 => r#"{"kind": "hourly"}"#.to_owned(),
        10..16 => format!(r#"{{"kind": "hourly", "jitter": "0s", {last}}}"#),
        16..60 => r#"{"kind": "every", "every": "6h"}"#.to_owned(),
        60..70 => r#"{"kind": "cron", "cron": "20 * * * mon"}"#.to_owned(),
        70..300 => format!(r#"{{"kind": "cron", "cron": "{half} {hour},18 * * mon-fri"}}"#),
        300..500 => r#"{"kind": "phases", "live_at": "2026-03-20T12:00:00Z"}"#.to_owned(),
        500..600 => format!(r#"{{"kind": "daily", "at": "{hour:02}:{half:02}", {last}}}"#),
        _ => format!(r#"{{"kind": "daily", "at": "{hour:02}:{half:02}"}}"#),
    };
    event(&format!("event-{n}"), zone, schedule(&json))
}

/// When the process was not there.
fn stops() -> Vec<(Timestamp, Timestamp)> {
    let day = |n: u64| at(BEGIN) + minutes(i64::try_from(n * 24 * 60 * 7 + dice("stop", n, 24 * 60 * 5)).unwrap());
    let mut stops: Vec<_> = (0..52)
        .map(|n| {
            let from = day(n);
            // Most are restarts; some take days.
            let most = if n % 7 == 0 { 2 * 24 * 60 } else { 30 };
            (from, from + minutes(1 + i64::try_from(dice("outage", n, most)).unwrap()))
        })
        .collect();
    // Over a night on which clocks are set.
    stops.push((at("2026-03-28T23:00:00Z"), at("2026-03-29T06:00:00Z")));
    stops.sort();
    stops.dedup_by(|b, a| b.0 <= a.1 + minutes(60));
    stops
}

struct Fate {
    event: String,
}

impl Fate {
    /// How long its run `n` takes, in seconds, and whether it fails.
    fn of(&self, n: u64) -> (SignedDuration, bool) {
        let seconds = if dice(&self.event, n, 40) == 0 { 3_000 } else { dice(&self.event, n, 240) };
        let fails = dice(&self.event, n, 50) == 1 || (100..103).contains(&n);
        (SignedDuration::from_secs(i64::try_from(seconds).unwrap()), fails)
    }
}

/// The runs of a feed as the schedule has them: the clock goes from one wake-up to the next.
fn scheduled(event: &Event, stops: &[(Timestamp, Timestamp)]) -> Vec<Timestamp> {
    let (times, fate) = (times(event), Fate { event: event.name.to_string() });
    let (mut history, mut now, mut steady_since, mut runs) = (History::default(), at(BEGIN), at(BEGIN), Vec::new());
    loop {
        let next = next(now, Some(&times), &history, steady_since);
        let Some(due) = next.at() else { break };
        let begins = due.max(now);
        if begins >= at(END) {
            break;
        }
        let stop = |until: Timestamp| stops.iter().find(|(from, to)| *from <= until && *to > now).copied();
        if let Some((_, up)) = stop(begins) {
            (now, steady_since) = (up, up);
            continue;
        }
        // Whoever looks in between finds the same.
        let between = now + begins.duration_since(now) / 2;
        if due > now && runs.len() % 16 == 0 {
            assert_eq!(
                super::super::next(between, Some(&times), &history, steady_since).at(),
                Some(due),
                "{}",
                event.name
            );
        }
        let (takes, fails) = fate.of(u64::try_from(runs.len()).unwrap());
        runs.push(begins);
        let mut ended = begins + takes;
        let cut_short = stop(ended).map(|(_, up)| up);
        if let Some(up) = cut_short {
            (ended, steady_since) = (up, up);
        }
        history.last_began = Some(begins);
        history.last_attempt = Some(ended);
        if fails || cut_short.is_some() {
            history.consecutive_failures += 1;
            history.failing_since = history.failing_since.or(Some(begins));
        } else {
            (history.last_success_began, history.failing_since) = (Some(begins), None);
            history.consecutive_failures = 0;
        }
        now = ended;
    }
    runs
}

/// What clocks on the wall show, every minute of the year: in minutes since 1970 as if they were never set.
#[derive(Default)]
struct Wall {
    shown: HashMap<String, Vec<i64>>,
    times: HashMap<String, Arc<Vec<Timestamp>>>,
}

impl Wall {
    /// The times of a rhythm, as somebody finds them who looks at the clock every minute.
    fn times(&mut self, event: &Event) -> Arc<Vec<Timestamp>> {
        let zone = event.zone.iana_name().unwrap().to_owned();
        // What else is said does not matter here.
        let plain = Schedule { final_sync: None, jitter: None, ..event.schedule.clone().unwrap() };
        let key = format!("{zone} {}", serde_json::to_string(&plain).unwrap());
        let shown = self.shown.entry(zone).or_insert_with(|| shown(&event.zone));
        let found = || Arc::new(looked_at(event, shown));
        Arc::clone(self.times.entry(key).or_insert_with(found))
    }
}

const A_DAY: i64 = 24 * 60;

/// From a day before the year on.
fn shown(zone: &TimeZone) -> Vec<i64> {
    let (first, last) = (at(BEGIN).as_second() / 60 - A_DAY, at(END).as_second() / 60);
    let offset = |minute: i64| zone.to_offset(Timestamp::from_second(minute * 60).unwrap()).seconds();
    (first..last).map(|minute| minute + i64::from(offset(minute)) / 60).collect()
}

/// From Monday, 0, on.
fn weekday(local: i64) -> i64 {
    (local.div_euclid(A_DAY) + 3).rem_euclid(7)
}

fn looked_at(event: &Event, shown: &[i64]) -> Vec<Timestamp> {
    let said = event.schedule.as_ref().unwrap();
    let daily = said.at.map_or(3 * 60, |at| i64::from(at.0.hour()) * 60 + i64::from(at.0.minute()));
    let cron = said.cron.as_ref().map(ToString::to_string).unwrap_or_default();
    let of_cron = |hours: &str| -> Vec<i64> {
        let minute: i64 = cron.split(' ').next().unwrap().parse().unwrap();
        hours.split(',').map(|hour| hour.parse::<i64>().unwrap() * 60 + minute).collect()
    };
    let is_hourly_cron = cron.starts_with("20 *");
    let workdays = said.kind == ScheduleKind::Cron;
    let of_day = match said.kind {
        ScheduleKind::Cron if !is_hourly_cron => of_cron(cron.split(' ').nth(1).unwrap()),
        _ => vec![daily],
    };
    let wanted = |local: i64| of_day.contains(&local.rem_euclid(A_DAY)) && (!workdays || weekday(local) < 5);
    let every = said.every.map_or(60, |every| i64::try_from(every.0.as_secs()).unwrap() / 60);
    let (live_at, starts_at, ends_at) =
        (said.live_at.map_or(0, |at| at.as_second() / 60), minute_of(event.starts_at), minute_of(event.ends_at));
    let (mut found, mut shown_most) = (Vec::new(), shown[0] - 1);
    let first = at(BEGIN).as_second() / 60 - A_DAY;
    for (minute, local) in (first..).zip(shown.iter().copied()) {
        // Where the clock skips some, all of them are passed at once; what it shows again, it showed before.
        let passes = (shown_most + 1..=local).any(wanted);
        shown_most = shown_most.max(local);
        let is_one = match said.kind {
            ScheduleKind::Hourly | ScheduleKind::Every => minute % every == 0,
            ScheduleKind::Cron if is_hourly_cron => local.rem_euclid(60) == 20 && weekday(local) == 0,
            ScheduleKind::Phases if minute < live_at => false,
            ScheduleKind::Phases if minute >= starts_at => minute % 60 == 0 && minute < ends_at,
            _ => passes,
        };
        found.extend(is_one.then(|| Timestamp::from_second(minute * 60).unwrap()));
    }
    found
}

fn minute_of(time: Option<Timestamp>) -> i64 {
    time.unwrap().as_second() / 60
}

/// By how much the feed begins later, said once more.
fn offset(event: &Event) -> SignedDuration {
    let said = event.schedule.as_ref().unwrap();
    let spread = match said.kind {
        _ if said.jitter.is_some() => 0,
        ScheduleKind::Every => (said.every.unwrap().0.as_secs() / 10).min(300),
        _ => 300,
    };
    let hash = xxh3_64(format!("{}\0crm", event.name).as_bytes());
    SignedDuration::from_secs(i64::try_from(hash % (spread + 1)).unwrap())
}

/// The runs of a feed as they should be: one at its beginning, then one for all the times that passed since the last run
/// ended, as soon as the process is there; and after failures sooner.
fn expected(event: &Event, wall: &[Timestamp], stops: &[(Timestamp, Timestamp)]) -> Vec<Timestamp> {
    let (offset, fate) = (offset(event), Fate { event: event.name.to_string() });
    let said = event.schedule.as_ref().unwrap();
    let has_phases = said.kind == ScheduleKind::Phases;
    let is_ending = said.final_sync.is_some() || has_phases;
    let last = if is_ending { event.ends_at.unwrap() + minutes(24 * 60) } else { at("2100-01-01T00:00:00Z") };
    let slots: Vec<_> = wall.iter().map(|slot| *slot + offset).filter(|slot| *slot < last).collect();
    let is_live = |moment| !has_phases || (said.live_at.unwrap()..event.ends_at.unwrap()).contains(&moment);
    let awake =
        |moment: Timestamp| stops.iter().find(|(from, to)| *from <= moment && moment < *to).map_or(moment, |s| s.1);
    let mut runs: Vec<Timestamp> = Vec::new();
    let (mut failures, mut free) = (0_u32, at(BEGIN));
    let mut begins = if has_phases { slots.first().copied() } else { Some(free) };
    while let Some(wanted) = begins {
        let began = awake(wanted.max(free));
        if began >= at(END) {
            break;
        }
        let (takes, fails) = fate.of(u64::try_from(runs.len()).unwrap());
        runs.push(began);
        let stopped = stops.iter().find(|(from, _)| began <= *from && *from <= began + takes);
        free = stopped.map_or(began + takes, |(_, up)| *up);
        let failed = fails || stopped.is_some();
        failures = if failed { failures + 1 } else { 0 };
        if began >= last && !failed {
            break;
        }
        let pause = minutes(1 << failures.saturating_sub(1));
        if began >= last {
            begins = Some(free + pause.min(minutes(60)));
            continue;
        }
        let slot = slots.get(slots.partition_point(|slot| *slot <= free)).copied();
        let again = Some(free + pause).filter(|again| failed && is_live(*again) && *again < last);
        let ending = is_ending.then_some(last + offset);
        begins = [slot, again, ending].into_iter().flatten().min();
    }
    runs
}

#[test]
fn a_year_of_a_thousand_feeds_has_exactly_the_runs_it_should() {
    let stops = stops();
    assert!(stops.len() > 40, "{stops:?}");
    let half = |half: u64| {
        let (mut wall, mut count) = (Wall::default(), 0);
        for n in (0..FEEDS).filter(|n| n % 2 == half) {
            let event = said(n);
            let slots = wall.times(&event);
            let (found, expected) = (scheduled(&event, &stops), expected(&event, &slots, &stops));
            let differs = found.iter().zip(&expected).find(|(found, expected)| found != expected);
            let said = serde_json::to_string(&event.schedule).unwrap();
            assert_eq!(differs, None, "{} in {:?}: {said}", event.name, event.zone.iana_name());
            assert_eq!(found.len(), expected.len(), "{} in {:?}: {said}", event.name, event.zone.iana_name());
            assert_eq!(found.iter().collect::<BTreeSet<_>>().len(), found.len(), "none is doubled");
            count += found.len();
        }
        count
    };
    let count: usize = std::thread::scope(|scope| {
        let halves = [0, 1].map(|n| scope.spawn(move || half(n)));
        halves.into_iter().map(|half| half.join().unwrap()).sum()
    });
    assert!(count > 400_000, "{count} runs");
    let zone = TimeZone::get("Europe/Berlin").unwrap();
    let set = [at("2026-03-29T01:00:00Z"), at("2026-10-25T01:00:00Z")].map(|set| zone.to_datetime(set).hour());
    assert_eq!(set, [3, 2], "clocks are set within the year");
}
