//! `[event.<name>.schedule]` and a feed's own, and the rules that those of the API share.

use std::time::Duration;

use super::event::read_time;
use crate::config::read::{Item, Section, shown};
use crate::limits::{FINAL_AFTER_END_MAX, JITTER_SETTING_MAX, SCHEDULE_EVERY_MAX, SCHEDULE_EVERY_MIN};
use crate::model::{
    Cron, Event, FinalSync, Schedule, ScheduleKind, ScheduleTextError, Span, TimeOfDay, spell_duration,
};

const KINDS: [(&str, ScheduleKind); 6] = [
    ("off", ScheduleKind::Off),
    ("hourly", ScheduleKind::Hourly),
    ("daily", ScheduleKind::Daily),
    ("every", ScheduleKind::Every),
    ("cron", ScheduleKind::Cron),
    ("phases", ScheduleKind::Phases),
];

/// The schedule of a table that may have one; `None` where it is faulty.
pub(super) fn read_schedule(section: &mut Section<'_>) -> Option<Option<Schedule>> {
    let Some(item) = section.optional("schedule") else { return Some(None) };
    // One description serves the event's and a feed's.
    let mut section = item.section_as("event.<name>.schedule");
    let kind = section.required("kind", r#"write e.g. kind = "hourly""#).and_then(|item| item.choice(&KINDS));
    let at = read(&mut section, "at", |item| text(item, TimeOfDay::parse));
    let every = read(&mut section, "every", |item| item.duration(SCHEDULE_EVERY_MIN..=SCHEDULE_EVERY_MAX).map(Span));
    let cron = read(&mut section, "cron", read_cron);
    let live_at = read(&mut section, "live_at", read_time);
    let final_sync = read(&mut section, "final_sync", |item| text(item, FinalSync::parse));
    let jitter = read(&mut section, "jitter", |item| item.duration(Duration::ZERO..=JITTER_SETTING_MAX).map(Span));
    section.finish();
    Some(Some(Schedule {
        kind: kind?,
        at: at?,
        every: every?,
        cron: cron?,
        live_at: live_at?,
        final_sync: final_sync?,
        jitter: jitter?,
    }))
}

/// `None` where there is a fault.
fn read<T>(section: &mut Section<'_>, key: &'static str, read: impl Fn(&Item<'_>) -> Option<T>) -> Option<Option<T>> {
    match section.optional(key) {
        Some(item) => read(&item).map(Some),
        None => Some(None),
    }
}

fn text<T>(item: &Item<'_>, parse: fn(&str) -> Result<T, ScheduleTextError>) -> Option<T> {
    let text = item.time_text()?;
    let parsed = parse(&text);
    if let Err(error) = &parsed {
        item.fault(format!("is not right (got {})", shown(&text)), error.to_string());
    }
    parsed.ok()
}

fn read_cron(item: &Item<'_>) -> Option<Cron> {
    let cron = Cron::parse(item.text()?);
    if let Err(error) = &cron {
        item.fault(error.to_string(), r#"write e.g. cron = "0 6 * * mon-fri""#);
    }
    cron.ok()
}

/// A key of a schedule, what is wrong with it, and how to mend it.
type Objection = (&'static str, String, String);

/// The rules.
pub(super) fn schedule_objections(schedule: &Schedule, event: &Event) -> Vec<Objection> {
    let mut found = keys_of_no_use(schedule);
    let mut object = |key, problem: &str, mend: &str| found.push((key, problem.to_owned(), mend.to_owned()));
    let Schedule { kind, every, cron, live_at, final_sync, jitter, .. } = schedule;
    match kind {
        ScheduleKind::Every if every.is_none() => object("every", "missing", r#"write e.g. every = "15m""#),
        ScheduleKind::Cron if cron.is_none() => object("cron", "missing", r#"write e.g. cron = "0 6 * * mon-fri""#),
        ScheduleKind::Phases => phases_objections(*live_at, event, &mut object),
        _ => {}
    }
    if matches!(final_sync, Some(FinalSync::AfterEnd(_))) && event.ends_at.is_none() {
        object("final_sync", "the event has no end", "write the event's ends_at, or the time itself");
    }
    let mut bounded = |key, span: Option<Duration>, low: Duration, high: Duration| {
        if span.is_some_and(|span| span < low || span > high) {
            let problem = format!("must be from {} to {}", spell_duration(low), spell_duration(high));
            object(key, &problem, "choose a value within these bounds");
        }
    };
    bounded("every", every.map(|every| every.0), SCHEDULE_EVERY_MIN, SCHEDULE_EVERY_MAX);
    bounded("jitter", jitter.map(|jitter| jitter.0), Duration::ZERO, JITTER_SETTING_MAX);
    if let Some(FinalSync::AfterEnd(after)) = final_sync {
        bounded("final_sync", Some(*after), Duration::ZERO, FINAL_AFTER_END_MAX);
    }
    let interval = match kind {
        ScheduleKind::Hourly => Some(Duration::from_secs(60 * 60)),
        ScheduleKind::Every => every.map(|every| every.0),
        _ => None,
    };
    if interval.zip(*jitter).is_some_and(|(interval, jitter)| jitter.0 >= interval) {
        object("jitter", "must be less than the interval", "leave it out: a tenth of the interval will do");
    }
    found
}

fn phases_objections(
    live_at: Option<jiff::Timestamp>,
    event: &Event,
    object: &mut impl FnMut(&'static str, &str, &str),
) {
    if event.starts_at.is_none() || event.ends_at.is_none() {
        object("kind", "phases need to know when the event is", "write the event's starts_at and ends_at");
    }
    match live_at {
        None => object("live_at", "missing", "write when syncs are to begin, e.g. live_at = 2026-05-01T08:00:00Z"),
        Some(live_at) if event.ends_at.is_some_and(|end| live_at >= end) => {
            object("live_at", "must be before the event's end", "write when syncs are to begin");
        }
        Some(_) => {}
    }
}

/// What the kind makes nothing of is not meant as it is written.
fn keys_of_no_use(schedule: &Schedule) -> Vec<Objection> {
    let Schedule { kind, at, every, cron, live_at, final_sync, jitter } = schedule;
    let is_on = schedule.is_on();
    let keys = [
        ("at", at.is_some(), matches!(kind, ScheduleKind::Daily | ScheduleKind::Phases)),
        ("every", every.is_some(), *kind == ScheduleKind::Every),
        ("cron", cron.is_some(), *kind == ScheduleKind::Cron),
        ("live_at", live_at.is_some(), *kind == ScheduleKind::Phases),
        ("final_sync", final_sync.is_some(), is_on),
        ("jitter", jitter.is_some(), is_on),
    ];
    let of_no_use = keys.into_iter().filter(|(_, is_said, is_of_use)| *is_said && !is_of_use);
    let problem = format!("is of no use with kind = {:?}", kind.as_str());
    of_no_use.map(|(key, ..)| (key, problem.clone(), "leave it out, or choose another kind".to_owned())).collect()
}
