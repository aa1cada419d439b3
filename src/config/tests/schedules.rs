//! Schedules, in the file and as the rules have them for the API.

use super::*;
use crate::model::{FinalSync, Schedule, ScheduleKind, Span, TimeOfDay};

const TIMES: [&str; 2] =
    ["event.summit: starts_at = 2026-06-01T09:00:00Z", "event.summit: ends_at = 2026-06-03T16:00:00Z"];

/// With `schedule` of the event, and its times.
fn with(schedule: &str) -> Vec<String> {
    let said = format!("event.summit: schedule = {schedule}");
    faults(&[TIMES[0], TIMES[1], &said])
}

#[test]
fn an_event_says_it_once_and_a_feed_otherwise() {
    let config = sound(&[
        TIMES[0],
        TIMES[1],
        "event.summit: schedule = { kind = \"phases\", live_at = 2026-05-01T08:00:00+02:00, at = 04:30:00 }",
        "event.summit: feed = [{ source = \"crm\", schedule = { kind = \"every\", every = \"90s\", jitter = \"0s\", \
         final_sync = \"1d after end\" } }]",
    ]);
    let event = config.events.values().next().expect("there is one event");
    let own = event.schedule.as_ref().expect("it has one");
    assert_eq!((own.kind, own.at), (ScheduleKind::Phases, TimeOfDay::parse("04:30").ok()));
    assert_eq!(own.live_at.map(|at| at.to_string()).as_deref(), Some("2026-05-01T06:00:00Z"));
    let feed = event.schedule_of(&event.feeds[0]).expect("it has one");
    let expected = Schedule {
        every: Span::parse("90s").ok(),
        jitter: Span::parse("0s").ok(),
        final_sync: FinalSync::parse("1d after end").ok(),
        ..Schedule::of(ScheduleKind::Every)
    };
    assert_eq!(*feed, expected);
    let config = sound(&[
        "event.summit: schedule = { kind = \"hourly\" }",
        "event.summit: feed = [{ source = \"crm\", schedule = { kind = \"off\" } }]",
    ]);
    let event = config.events.values().next().expect("there is one event");
    assert_eq!(event.schedule_of(&event.feeds[0]), None);
    assert_eq!(sound(&[]).events.values().next().and_then(|event| event.schedule.clone()), None);
}

#[test]
fn faults_of_schedules() {
    let no_use = "leave it out, or choose another kind";
    let at = "event.summit.schedule";
    for (said, expected) in [
        ("{ at = \"03:00\" }", vec![format!("{at}.kind: missing; write e.g. kind = \"hourly\"")]),
        (
            "\"hourly\"",
            vec![format!("{at}: must be a table (got a text); write its keys in braces or under a header in brackets")],
        ),
        (
            "{ kind = \"weekly\" }",
            vec![format!(
                "{at}.kind: must be one of \"off\", \"hourly\", \"daily\", \"every\", \"cron\", \
            \"phases\" (got \"weekly\"); choose one, e.g. \"off\""
            )],
        ),
        (
            "{ kind = \"daily\", at = \"3pm\" }",
            vec![format!(
                "{at}.at: is not right (got \"3pm\"); must be a time of day to the \
            minute, e.g. \"03:00\""
            )],
        ),
        ("{ kind = \"every\" }", vec![format!("{at}.every: missing; write e.g. every = \"15m\"")]),
        (
            "{ kind = \"every\", every = \"59s\" }",
            vec![format!(
                "{at}.every: must be from 1m to 31d (got \"59s\"); choose a value \
            within these bounds"
            )],
        ),
        ("{ kind = \"cron\" }", vec![format!("{at}.cron: missing; write e.g. cron = \"0 6 * * mon-fri\"")]),
        (
            "{ kind = \"cron\", cron = \"0 0 31 2 *\" }",
            vec![format!(
                "{at}.cron: never comes: no such month has such a day; \
            write e.g. cron = \"0 6 * * mon-fri\""
            )],
        ),
        (
            "{ kind = \"hourly\", every = \"15m\", at = \"03:00\" }",
            vec![
                format!("{at}.at: is of no use with kind = \"hourly\"; {no_use}"),
                format!("{at}.every: is of no use with kind = \"hourly\"; {no_use}"),
            ],
        ),
        (
            "{ kind = \"off\", final_sync = \"1d after end\" }",
            vec![format!("{at}.final_sync: is of no use with kind = \"off\"; {no_use}")],
        ),
        (
            "{ kind = \"hourly\", jitter = \"1h\" }",
            vec![format!(
                "{at}.jitter: must be less than the interval; leave it out: a \
            tenth of the interval will do"
            )],
        ),
        (
            "{ kind = \"daily\", final_sync = \"soon\" }",
            vec![format!(
                "{at}.final_sync: is not right (got \"soon\"); must be a time \
            with its zone, or a while after the event, e.g. \"1d after end\""
            )],
        ),
        (
            "{ kind = \"daily\", final_sync = \"366d after end\" }",
            vec![format!("{at}.final_sync: must be from 0s to 365d; choose a value within these bounds")],
        ),
        (
            "{ kind = \"phases\" }",
            vec![format!(
                "{at}.live_at: missing; write when syncs are to begin, e.g. live_at = \
            2026-05-01T08:00:00Z"
            )],
        ),
        (
            "{ kind = \"phases\", live_at = 2026-06-03T16:00:00Z }",
            vec![format!("{at}.live_at: must be before the event's end; write when syncs are to begin")],
        ),
    ] {
        assert_eq!(with(said), expected, "{said}");
    }
    let feed =
        "event.summit: feed = [{ source = \"crm\", schedule = { kind = \"daily\", final_sync = \"1d after end\" } }]";
    let phases = "event.summit: schedule = { kind = \"phases\", live_at = 2026-05-01T00:00:00Z }";
    check_faults(&[
        (
            &[feed],
            &[
                "event.summit.feed[0].schedule.final_sync: the event has no end; write the event's ends_at, or the time itself",
            ],
        ),
        (
            &[phases],
            &[
                "event.summit.schedule.kind: phases need to know when the event is; write the event's starts_at and ends_at",
            ],
        ),
        // A faulty end is told once.
        (
            &[feed, "event.summit: ends_at = \"late\""],
            &[
                "event.summit.ends_at: must be a time with its zone (got \"late\"); write e.g. 2026-06-01T09:00:00Z or 2026-06-01T09:00:00+02:00",
            ],
        ),
    ]);
}
