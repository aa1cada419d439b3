//! Times over clocks that are set, leap days and zones; and what comes next after every kind of past.

use super::super::*;
use super::{at, event, schedule, times};
use crate::limits::{JITTER_MAX, SCHEDULED_RUNS_MAX, SCHEDULED_RUNS_PER_SOURCE_MAX};
use crate::model::{FeedId, SourceName};
use jiff::Timestamp;

/// The first times after a moment.
fn first(zone: &str, json: &str, from: &str, count: usize) -> Vec<String> {
    let event = event("e", zone, schedule(json));
    let times = times(&event);
    let next = |moment: &Timestamp| times.after(*moment);
    std::iter::successors(times.after(at(from)), next).take(count).map(|at| at.to_string()).collect()
}

#[test]
fn times_over_clocks_that_are_set_leap_days_and_zones() {
    let half_past_two = r#"{"kind": "daily", "at": "02:30", "jitter": "0s"}"#;
    for (zone, json, from, expected) in [
        // In spring 02:30 is skipped: the first moment after. In autumn it is there twice: the first.
        (
            "Europe/Berlin",
            half_past_two,
            "2026-03-28T00:00:00Z",
            &["2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"][..],
        ),
        (
            "Europe/Berlin",
            half_past_two,
            "2026-10-24T00:00:00Z",
            &["2026-10-24T00:30:00Z", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"],
        ),
        ("UTC", half_past_two, "2028-02-28T03:00:00Z", &["2028-02-29T02:30:00Z", "2028-03-01T02:30:00Z"]),
        // Midnight itself is skipped.
        (
            "America/Santiago",
            r#"{"kind": "daily", "at": "00:30", "jitter": "0s"}"#,
            "2026-09-05T12:00:00Z",
            &["2026-09-06T04:00:00Z", "2026-09-07T03:30:00Z"],
        ),
        // Samoa skipped the 30th of December.
        (
            "Pacific/Apia",
            r#"{"kind": "daily", "jitter": "0s"}"#,
            "2011-12-29T00:00:00Z",
            &["2011-12-29T13:00:00Z", "2011-12-30T10:00:00Z", "2011-12-30T13:00:00Z", "2011-12-31T13:00:00Z"],
        ),
        // All that is skipped comes once, and so does what is there twice.
        (
            "Europe/Berlin",
            r#"{"kind": "cron", "cron": "15,45 2,3 * * *", "jitter": "0s"}"#,
            "2026-03-29T00:00:00Z",
            &["2026-03-29T01:00:00Z", "2026-03-29T01:15:00Z", "2026-03-29T01:45:00Z", "2026-03-30T00:15:00Z"],
        ),
        (
            "Europe/Berlin",
            r#"{"kind": "cron", "cron": "15,45 2,3 * * *", "jitter": "0s"}"#,
            "2026-10-25T00:00:00Z",
            &["2026-10-25T00:15:00Z", "2026-10-25T00:45:00Z", "2026-10-25T02:15:00Z", "2026-10-25T02:45:00Z"],
        ),
        // What goes on hour by hour goes on.
        (
            "Europe/Berlin",
            r#"{"kind": "cron", "cron": "0 * * * *", "jitter": "0s"}"#,
            "2026-03-29T00:30:00Z",
            &["2026-03-29T01:00:00Z", "2026-03-29T02:00:00Z"],
        ),
        (
            "Europe/Berlin",
            r#"{"kind": "cron", "cron": "0 * * * *", "jitter": "0s"}"#,
            "2026-10-24T23:30:00Z",
            &["2026-10-25T00:00:00Z", "2026-10-25T01:00:00Z", "2026-10-25T02:00:00Z"],
        ),
        // Lord Howe's clocks are set by half an hour.
        (
            "Australia/Lord_Howe",
            r#"{"kind": "cron", "cron": "45 * 4-5 4 *", "jitter": "0s"}"#,
            "2026-04-04T14:00:00Z",
            &["2026-04-04T14:45:00Z", "2026-04-04T15:15:00Z", "2026-04-04T16:15:00Z"],
        ),
        (
            "UTC",
            r#"{"kind": "cron", "cron": "0 12 29 2 *", "jitter": "0s"}"#,
            "2096-03-01T00:00:00Z",
            &["2104-02-29T12:00:00Z"],
        ),
        (
            "Asia/Kathmandu",
            r#"{"kind": "cron", "cron": "0 6 * * mon-fri", "jitter": "0s"}"#,
            "2026-06-05T00:00:00Z",
            &["2026-06-05T00:15:00Z", "2026-06-08T00:15:00Z"],
        ),
        ("Asia/Kathmandu", r#"{"kind": "hourly", "jitter": "0s"}"#, "2026-06-05T00:30:00Z", &["2026-06-05T01:00:00Z"]),
        (
            "UTC",
            r#"{"kind": "every", "every": "90m", "jitter": "0s"}"#,
            "2026-06-05T00:00:00Z",
            &["2026-06-05T01:30:00Z", "2026-06-05T03:00:00Z"],
        ),
        // Nothing regular is left from the final sync on.
        (
            "UTC",
            r#"{"kind": "daily", "jitter": "0s", "final_sync": "1d after end"}"#,
            "2026-06-03T00:00:00Z",
            &["2026-06-03T03:00:00Z", "2026-06-04T03:00:00Z"],
        ),
        (
            "UTC",
            r#"{"kind": "hourly", "jitter": "0s", "final_sync": "2026-06-05T02:00:00Z"}"#,
            "2026-06-05T00:00:00Z",
            &["2026-06-05T01:00:00Z"],
        ),
    ] {
        // One more, where that is all there is.
        let found = first(zone, json, from, expected.len() + 1);
        assert_eq!(found[..expected.len()], *expected, "{zone} {json}");
        if json.contains("final") {
            assert_eq!(found.len(), expected.len());
        }
    }
}

#[test]
fn phases_follow_each_other() {
    let json = r#"{"kind": "phases", "live_at": "2026-05-30T03:00:00Z", "jitter": "0s"}"#;
    let found = first("UTC", json, "2026-01-01T00:00:00Z", 100);
    assert_eq!(
        found[..4],
        ["2026-05-30T03:00:00Z", "2026-05-31T03:00:00Z", "2026-06-01T03:00:00Z", "2026-06-01T09:00:00Z"]
    );
    assert_eq!((found.len(), found.last().map(String::as_str)), (3 + 24 * 2 + 7, Some("2026-06-03T15:00:00Z")));
    let event = event("e", "UTC", schedule(json));
    assert_eq!(times(&event).final_sync(), Some(at("2026-06-04T16:00:00Z")), "a day after, unless it says otherwise");
}

/// The offset is the same for ever, differs from feed to feed, and stays within its bounds.
#[test]
fn feeds_of_the_same_time_are_spread() {
    for (json, plain, most) in [
        (r#"{"kind": "daily", "at": "03:00"}"#, "2026-01-01T03:00:00Z", JITTER_MAX.as_secs()),
        (r#"{"kind": "hourly"}"#, "2026-01-01T03:00:00Z", 300),
        (r#"{"kind": "every", "every": "10m"}"#, "2026-01-01T03:00:00Z", 60),
        (r#"{"kind": "daily", "at": "03:00", "jitter": "30m"}"#, "2026-01-01T03:00:00Z", 1800),
    ] {
        let mut found = std::collections::BTreeSet::new();
        for n in 0..200 {
            let event = event(&format!("e{n}"), "UTC", schedule(json));
            let by = times(&event).after(at("2026-01-01T02:59:59Z")).unwrap().duration_since(at(plain)).as_secs();
            assert!((0..=i64::try_from(most).unwrap()).contains(&by), "{json}: {by}");
            found.insert(by);
        }
        assert!(found.len() > 40, "{json}: {found:?}");
    }
    let event = event("e", "UTC", schedule(r#"{"kind": "daily", "at": "03:00"}"#));
    let again = event.clone();
    let from = at("2026-01-01T00:00:00Z");
    assert_eq!(times(&event).after(from), times(&again).after(from));
}

const DAILY: &str = r#"{"kind": "daily", "at": "03:00", "jitter": "0s"}"#;
const HOURLY: &str = r#"{"kind": "hourly", "jitter": "0s"}"#;
const FINAL: &str = r#"{"kind": "hourly", "jitter": "0s", "final_sync": "1d after end"}"#;
const PHASES: &str = r#"{"kind": "phases", "live_at": "2026-05-30T03:00:00Z", "jitter": "0s"}"#;

/// Synced well from then until a minute later.
fn synced(began: &str) -> History {
    let began = Some(at(began));
    let ended = began.map(|began| began + jiff::SignedDuration::from_mins(1));
    History { last_began: began, last_attempt: ended, last_success_began: began, ..History::default() }
}

/// The same, but since then it failed so often, the last time a minute before.
fn failed(often: u32, last: &str) -> History {
    let (began, ended) = (at(last) - jiff::SignedDuration::from_mins(1), Some(at(last)));
    History {
        last_began: Some(began),
        last_attempt: ended,
        failing_since: Some(began),
        consecutive_failures: often,
        ..History::default()
    }
}

#[test]
fn what_comes_next_and_why() {
    let held = |history| History { is_held: true, ..history };
    let paused = |history| History { is_paused: true, ..history };
    let waits = |until, history| History { goes_on_at: Some(at(until)), ..history };
    for (line, json, now, history, expected, word) in [
        (line!(), DAILY, "2026-01-05T12:00:00Z", History::default(), "2026-01-05T12:00:00Z", "first"),
        (line!(), DAILY, "2026-01-05T12:00:00Z", synced("2026-01-05T03:00:00Z"), "2026-01-06T03:00:00Z", "time"),
        // Missed for four days: once, and it is late.
        (line!(), DAILY, "2026-01-05T12:00:00Z", synced("2026-01-01T03:00:00Z"), "2026-01-02T03:00:00Z", "time"),
        (line!(), DAILY, "2026-01-05T12:00:00Z", synced("2026-01-05T11:58:00Z"), "2026-01-06T03:00:00Z", "time"),
        // A time at which a sync went on is that sync's.
        (line!(), HOURLY, "2026-01-05T12:00:30Z", synced("2026-01-05T11:59:30Z"), "2026-01-05T13:00:00Z", "time"),
        (line!(), DAILY, "2026-01-05T12:00:00Z", paused(synced("2026-01-01T03:00:00Z")), "", "paused"),
        (line!(), DAILY, "2026-01-05T12:00:00Z", failed(1, "2026-01-05T11:59:40Z"), "2026-01-05T12:00:40Z", "retry"),
        (line!(), DAILY, "2026-01-05T12:00:00Z", failed(4, "2026-01-05T11:59:40Z"), "2026-01-05T12:07:40Z", "retry"),
        // The pause doubles, but the regular time comes anyway.
        (line!(), HOURLY, "2026-01-05T12:00:00Z", failed(9, "2026-01-05T11:59:40Z"), "2026-01-05T12:00:00Z", "time"),
        (line!(), DAILY, "2026-01-05T12:00:00Z", failed(99, "2026-01-05T11:59:40Z"), "2026-01-06T03:00:00Z", "time"),
        // A held run waits for a person; the schedule goes on, no faster.
        (
            line!(),
            HOURLY,
            "2026-01-05T12:10:00Z",
            held(failed(1, "2026-01-05T12:05:00Z")),
            "2026-01-05T13:00:00Z",
            "time",
        ),
        // Before the quota opens, nothing is asked.
        (
            line!(),
            HOURLY,
            "2026-01-05T12:10:00Z",
            waits("2026-01-06T00:00:00Z", failed(1, "2026-01-05T12:05:00Z")),
            "2026-01-06T00:00:00Z",
            "retry",
        ),
        // Phases: by hand, daily, hourly, the final one.
        (line!(), PHASES, "2026-05-01T00:00:00Z", History::default(), "2026-05-30T03:00:00Z", "first"),
        (line!(), PHASES, "2026-05-01T00:00:00Z", failed(1, "2026-04-30T23:59:30Z"), "2026-05-30T03:00:00Z", "time"),
        (line!(), PHASES, "2026-05-30T12:00:00Z", synced("2026-05-30T03:00:00Z"), "2026-05-31T03:00:00Z", "time"),
        (line!(), PHASES, "2026-06-02T12:10:00Z", synced("2026-06-02T12:00:00Z"), "2026-06-02T13:00:00Z", "time"),
        (line!(), PHASES, "2026-06-03T16:00:00Z", synced("2026-06-03T15:00:00Z"), "2026-06-04T16:00:00Z", "final"),
        (line!(), PHASES, "2026-06-03T16:30:00Z", failed(1, "2026-06-03T16:29:30Z"), "2026-06-04T16:00:00Z", "final"),
        // A success at the final time or later is the last one; who syncs by hand then has done it.
        (line!(), FINAL, "2026-06-04T16:00:00Z", synced("2026-06-04T15:59:59Z"), "2026-06-04T16:00:00Z", "final"),
        (line!(), FINAL, "2026-06-04T16:05:00Z", synced("2026-06-04T16:00:00Z"), "", "final_done"),
        (
            line!(),
            FINAL,
            "2026-06-04T16:05:00Z",
            failed(1, "2026-06-04T16:04:30Z"),
            "2026-06-04T16:05:30Z",
            "final_retry",
        ),
        (
            line!(),
            FINAL,
            "2026-06-05T12:00:00Z",
            failed(20, "2026-06-05T11:59:00Z"),
            "2026-06-05T12:59:00Z",
            "final_retry",
        ),
        (line!(), FINAL, "2026-06-04T17:00:00Z", held(synced("2026-06-04T15:00:00Z")), "2026-06-04T16:00:00Z", "final"),
        // A stop over the final time: it runs once late, and the day of tries begins then.
        (line!(), FINAL, "2026-06-20T12:00:00Z", synced("2026-06-02T12:00:00Z"), "2026-06-02T13:00:00Z", "time"),
        (
            line!(),
            FINAL,
            "2026-06-20T12:30:00Z",
            failed(1, "2026-06-20T12:01:00Z"),
            "2026-06-20T12:02:00Z",
            "final_retry",
        ),
    ] {
        let event = event("e", "UTC", schedule(json));
        let next = next(at(now), Some(&times(&event)), &history, at("2026-01-01T00:00:00Z"));
        let found = (next.at().map(|at| at.to_string()).unwrap_or_default(), next.as_str());
        assert_eq!(found, (expected.to_owned(), word), "line {line}");
    }
    assert_eq!(next(at("2026-01-01T00:00:00Z"), None, &History::default(), Timestamp::MIN), Next::None(Idle::Off));
}

#[test]
fn a_final_sync_is_given_up_after_a_day_and_whoever_decides_is_left_alone() {
    let event = event("e", "UTC", schedule(FINAL));
    let times = times(&event);
    let known = |now: &str, history: &History| {
        let state = final_state(at(now), &times, history).unwrap();
        (state, next(at(now), Some(&times), history, Timestamp::MIN).as_str())
    };
    let failing = History { failing_since: Some(at("2026-06-04T16:00:00Z")), ..failed(20, "2026-06-05T15:30:00Z") };
    assert_eq!(known("2026-06-05T15:59:59Z", &failing), (FinalState::Pending, "final_retry"));
    assert_eq!(known("2026-06-05T16:00:00Z", &failing), (FinalState::GivenUp, "final_given_up"));
    let by_hand = History { failing_since: None, consecutive_failures: 0, ..synced("2026-06-09T09:00:00Z") };
    assert_eq!(known("2026-06-09T10:00:00Z", &by_hand), (FinalState::Done, "final_done"));
    // It failed since long before: the day is that of the final sync.
    let long = History { failing_since: Some(at("2026-06-01T00:00:00Z")), ..failing.clone() };
    assert_eq!(known("2026-06-05T15:59:59Z", &long), (FinalState::Pending, "final_retry"));
    let held =
        History { is_held: true, last_began: Some(at("2026-06-04T16:00:00Z")), ..synced("2026-06-04T15:00:00Z") };
    assert_eq!(known("2026-06-04T18:00:00Z", &held), (FinalState::Pending, "final_held"));
    let rejected = History { is_held: false, last_attempt: held.last_began, ..held.clone() };
    assert_eq!(known("2026-06-04T16:30:00Z", &rejected), (FinalState::Pending, "final_retry"));
    assert_eq!(
        next(at("2026-06-04T16:30:00Z"), Some(&times), &rejected, Timestamp::MIN).at(),
        Some(at("2026-06-04T17:00:00Z"))
    );
}

#[test]
fn a_clock_that_is_set_neither_doubles_nor_skips() {
    for (line, json, ran, now, steady_since, expected) in [
        // Back by minutes, over a time that was taken.
        (
            line!(),
            DAILY,
            "2026-01-05T03:00:00Z",
            "2026-01-05T02:50:00Z",
            "2026-01-05T02:50:00Z",
            "2026-01-06T03:00:00Z",
        ),
        (
            line!(),
            HOURLY,
            "2026-01-05T03:00:00Z",
            "2026-01-05T02:50:00Z",
            "2026-01-05T02:50:00Z",
            "2026-01-05T04:00:00Z",
        ),
        // Back by hours, as if it had been in another zone.
        (
            line!(),
            DAILY,
            "2026-01-05T03:00:00Z",
            "2026-01-04T19:00:00Z",
            "2026-01-04T19:00:00Z",
            "2026-01-06T03:00:00Z",
        ),
        // It had been a day, or a year, ahead: the time comes, however often it is looked at.
        (
            line!(),
            DAILY,
            "2026-01-05T03:00:00Z",
            "2026-01-04T02:00:00Z",
            "2026-01-04T02:00:00Z",
            "2026-01-04T03:00:00Z",
        ),
        (
            line!(),
            DAILY,
            "2027-01-05T03:00:00Z",
            "2026-01-05T02:00:00Z",
            "2026-01-05T01:00:00Z",
            "2026-01-05T03:00:00Z",
        ),
        (
            line!(),
            DAILY,
            "2027-01-05T03:00:00Z",
            "2026-01-05T03:00:00Z",
            "2026-01-05T01:00:00Z",
            "2026-01-05T03:00:00Z",
        ),
        (
            line!(),
            DAILY,
            "2027-01-05T03:00:00Z",
            "2026-01-05T03:00:20Z",
            "2026-01-05T01:00:00Z",
            "2026-01-05T03:00:00Z",
        ),
        // Back by a little, unnoticed, long after the start.
        (
            line!(),
            HOURLY,
            "2026-01-05T03:00:00Z",
            "2026-01-05T03:00:50Z",
            "2026-01-01T00:00:00Z",
            "2026-01-05T04:00:00Z",
        ),
        // Forth by days: what was missed comes once.
        (
            line!(),
            DAILY,
            "2026-01-05T03:00:00Z",
            "2026-01-09T12:00:00Z",
            "2026-01-01T00:00:00Z",
            "2026-01-06T03:00:00Z",
        ),
    ] {
        let event = event("e", "UTC", schedule(json));
        let next = next(at(now), Some(&times(&event)), &synced(ran), at(steady_since));
        assert_eq!(next, Next::At(at(expected), Why::Time), "line {line}");
    }
}

#[test]
fn freshness_is_what_the_schedule_promises() {
    let paused = History { is_paused: true, ..synced("2026-06-04T15:00:00Z") };
    for (line, json, now, history, expected) in [
        (line!(), HOURLY, "2026-01-05T12:10:00Z", synced("2026-01-05T12:00:00Z"), Some("2026-01-05T14:15:00Z")),
        (line!(), DAILY, "2026-01-05T12:10:00Z", failed(3, "2026-01-05T12:00:00Z"), Some("2026-01-07T03:15:00Z")),
        (line!(), DAILY, "2026-01-05T12:10:00Z", History::default(), None),
        (line!(), HOURLY, "2026-06-04T15:30:00Z", paused, None),
        // The final sync is the last time there is.
        (line!(), FINAL, "2026-06-04T14:30:00Z", synced("2026-06-04T14:00:00Z"), Some("2026-06-04T16:15:00Z")),
        (line!(), FINAL, "2026-06-04T15:30:00Z", synced("2026-06-04T15:00:00Z"), Some("2026-06-04T16:15:00Z")),
        (line!(), FINAL, "2026-06-09T15:30:00Z", synced("2026-06-04T15:00:00Z"), Some("2026-06-04T16:15:00Z")),
        (line!(), FINAL, "2026-06-04T16:30:00Z", synced("2026-06-04T16:00:00Z"), None),
        (line!(), PHASES, "2026-05-01T00:00:00Z", synced("2026-04-01T00:00:00Z"), Some("2026-05-31T03:15:00Z")),
    ] {
        let event = event("e", "UTC", schedule(json));
        let found = fresh_until(at(now), Some(&times(&event)), &history);
        assert_eq!(found, expected.map(at), "line {line}");
    }
    assert_eq!(fresh_until(Timestamp::UNIX_EPOCH, None, &History::default()), None);
}

#[test]
fn many_that_are_due_begin_a_few_at_a_time() {
    let feed = |n: usize, source: &str| FeedId {
        event: format!("e{n:03}").try_into().unwrap(),
        source: SourceName::parse(source).unwrap(),
    };
    let now = at("2026-01-05T12:00:00Z");
    let ago = |seconds| now - jiff::SignedDuration::from_secs(seconds);
    let mut candidates: Vec<_> =
        (0..100).map(|n| Candidate { at: ago(60), feed: feed(n, &format!("s{}", n % 10)) }).collect();
    candidates.push(Candidate { at: ago(90), feed: feed(500, "late") });
    candidates.push(Candidate { at: ago(-30), feed: feed(501, "s1") });
    candidates.push(Candidate { at: ago(-20), feed: feed(502, "s1") });
    let begun = round(now, candidates.clone(), &[]);
    assert_eq!((begun.begin.len(), begun.wake_at), (SCHEDULED_RUNS_MAX, Some(ago(-20))));
    assert_eq!(
        (&begun.begin[0], &begun.begin[1]),
        (&feed(500, "late"), &feed(0, "s0")),
        "by their times, then by name"
    );
    candidates.retain(|candidate| candidate.feed.source.as_str() == "s1");
    let going = vec![SourceName::parse("s1").unwrap(); 1];
    assert_eq!(round(now, candidates.clone(), &going).begin.len(), SCHEDULED_RUNS_PER_SOURCE_MAX - 1);
    assert_eq!(round(now, candidates, &vec![SourceName::parse("x").unwrap(); SCHEDULED_RUNS_MAX]).begin, []);
    assert_eq!(round(now, Vec::new(), &[]), Round::default());
}
