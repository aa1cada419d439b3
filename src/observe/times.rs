//! The times of feeds, as gauges that are there only where there is such a time. A gauge of the recorder would stay for ever.

use std::fmt::Write as _;

use jiff::Timestamp;

use super::catalogue::{FEED_FRESH_UNTIL, FEED_NEXT_RUN, FEED_SYNC_ENABLED, Metric};
use crate::model::FeedId;

/// What a feed's schedule says now.
#[derive(Debug)]
pub struct FeedTimes {
    pub feed: FeedId,
    /// Is it to be synced by itself?
    pub enabled: bool,
    pub next_run: Option<Timestamp>,
    pub fresh_until: Option<Timestamp>,
}

/// In Prometheus' text format 0.0.4. Names of events and sources need no escapes.
pub(super) fn render(feeds: &[FeedTimes]) -> String {
    let mut text = String::new();
    let seconds = |at: Option<Timestamp>| at.map(|at| at.as_duration().as_secs_f64());
    write_gauge(&mut text, &FEED_SYNC_ENABLED, feeds, |feed| Some(f64::from(u8::from(feed.enabled))));
    write_gauge(&mut text, &FEED_NEXT_RUN, feeds, |feed| seconds(feed.next_run));
    write_gauge(&mut text, &FEED_FRESH_UNTIL, feeds, |feed| seconds(feed.fresh_until));
    text
}

fn write_gauge(text: &mut String, metric: &Metric, feeds: &[FeedTimes], value: impl Fn(&FeedTimes) -> Option<f64>) {
    let Metric { name, help, .. } = metric;
    let mut found = feeds.iter().filter_map(|feed| Some((&feed.feed, value(feed)?))).peekable();
    if found.peek().is_none() {
        return;
    }
    // Writing to a text cannot fail.
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge");
    for (FeedId { event, source }, value) in found {
        let _ = writeln!(text, "{name}{{event=\"{event}\",source=\"{source}\"}} {value}");
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_there_only_where_there_is_one() {
        let feed = |event: &str| FeedId {
            event: event.to_owned().try_into().unwrap(),
            source: "crm".to_owned().try_into().unwrap(),
        };
        let at = Timestamp::from_millisecond(1_800_000_000_500).ok();
        let by_hand = FeedTimes { feed: feed("gala"), enabled: false, next_run: None, fresh_until: None };
        let hourly = FeedTimes { feed: feed("summit"), enabled: true, next_run: at, fresh_until: None };
        let text = render(&[by_hand, hourly]);
        for line in [
            "# TYPE rollcall_feed_sync_enabled gauge\n",
            "rollcall_feed_sync_enabled{event=\"gala\",source=\"crm\"} 0\n",
            "rollcall_feed_sync_enabled{event=\"summit\",source=\"crm\"} 1\n",
            "rollcall_feed_next_run_timestamp_seconds{event=\"summit\",source=\"crm\"} 1800000000.5\n",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
        assert!(!text.contains("next_run_timestamp_seconds{event=\"gala\"") && !text.contains("fresh"), "{text}");
    }
}
