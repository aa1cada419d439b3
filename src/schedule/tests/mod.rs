//! The times of schedules against tables, and a year of them against a model.

mod table;
mod year;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::Times;
use crate::model::{Event, EventName, FeedSettings, SafetySettings, Schedule, SourceName};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn schedule(json: &str) -> Schedule {
    serde_json::from_str(json).unwrap()
}

/// An event from the first to the third of June 2026, with one feed.
fn event(name: &str, zone: &str, schedule: Schedule) -> Event {
    let source = SourceName::parse("crm").unwrap();
    let feed = FeedSettings {
        source,
        params: Default::default(),
        safety: SafetySettings::default(),
        schedule: None,
        mapping: Default::default(),
    };
    Event {
        name: EventName::parse(name).unwrap(),
        title: name.to_owned(),
        starts_at: Some(at("2026-06-01T09:00:00Z")),
        ends_at: Some(at("2026-06-03T16:00:00Z")),
        zone: TimeZone::get(zone).unwrap(),
        schedule: Some(schedule),
        feeds: vec![feed],
        access: Default::default(),
        invitations: Default::default(),
        links: None,
    }
}

fn times(event: &Event) -> Times<'_> {
    let feed = &event.feeds[0];
    Times::of(event, feed, event.schedule_of(feed).unwrap()).unwrap()
}
