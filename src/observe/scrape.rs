//! What holds at the moment of a scrape, asked of whoever knows it. A gauge of the recorder would stay for ever: that of a
//! deleted event, of a quota, or of a time that there no longer is.

use std::fmt::{Display, Write as _};

use jiff::Timestamp;

use super::catalogue as c;
use super::observer::seconds;
use super::process::Process;
use crate::model::{EventName, FeedId, FeedState, ReceiptState, SignInStanding, SourceName};

/// What the appliance is like now.
#[derive(Debug)]
pub struct Facts {
    pub now: Timestamp,
    pub feeds: Vec<FeedFacts>,
    pub events: Vec<EventFacts>,
    pub budgets: Vec<BudgetFacts>,
    pub sign_ins: Vec<SignInFacts>,
    pub receipts: Vec<ReceiptFacts>,
    pub users: u64,
    pub groups: u64,
    pub tombstones: u64,
    pub runs_held: u64,
    /// `None` where it could not be measured.
    pub store_bytes: Option<u64>,
    pub free_bytes: Option<u64>,
}

/// How a feed stands, and what its schedule says.
#[derive(Debug)]
pub struct FeedFacts {
    pub feed: FeedId,
    pub state: FeedState,
    /// Does a run of it go on?
    pub is_running: bool,
    /// Why the last run deserves a look though nothing held it: so many reasons.
    pub degraded: usize,
    /// Is it to be synced by itself?
    pub enabled: bool,
    pub next_run: Option<Timestamp>,
    pub fresh_until: Option<Timestamp>,
}

/// People with a place in an event.
#[derive(Debug)]
pub struct EventFacts {
    pub event: EventName,
    pub active: u64,
    pub inactive: u64,
}

/// Requests that are left in a window of a source's budget.
#[derive(Debug)]
pub struct BudgetFacts {
    pub source: SourceName,
    pub window: String,
    pub left: u32,
}

/// People who signed in with a source, and how they stand.
#[derive(Debug)]
pub struct SignInFacts {
    pub source: SourceName,
    pub standing: SignInStanding,
    pub people: usize,
}

/// Receipts of what goes back of an event, by state.
#[derive(Debug)]
pub struct ReceiptFacts {
    pub event: EventName,
    pub state: ReceiptState,
    pub receipts: u64,
}

/// Prometheus' text format 0.0.4. The values of all labels are made of characters that need no escapes.
#[derive(Default)]
pub(super) struct Exposition(String);

impl Exposition {
    /// One metric with all its series; nothing where there is none.
    fn metric<L: Display, V: Display>(&mut self, name: &str, series: impl Iterator<Item = (L, V)>) {
        let mut series = series.peekable();
        if series.peek().is_none() {
            return;
        }
        let metric = c::CATALOGUE.iter().find(|metric| metric.name == name);
        let (help, kind) = metric.map_or(("", "untyped"), |metric| (metric.help, metric.kind.word()));
        // Writing to a text cannot fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for (labels, value) in series {
            let _ = writeln!(self.0, "{name}{labels} {value}");
        }
        self.0.push('\n');
    }

    /// A metric without labels, where there is a value.
    fn single(&mut self, name: &str, value: Option<impl Display>) {
        self.metric(name, value.map(|value| ("", value)).into_iter());
    }

    fn feeds<V: Display>(&mut self, name: &str, facts: &Facts, value: impl Fn(&FeedFacts) -> Option<V>) {
        let labelled = |FeedId { event, source }: &FeedId| format!("{{event=\"{event}\",source=\"{source}\"}}");
        let of = |feed: &FeedFacts| Some((labelled(&feed.feed), value(feed)?));
        self.metric(name, facts.feeds.iter().filter_map(of));
    }

    pub fn facts(&mut self, facts: &Facts) {
        self.feeds(c::FEED_SYNC_ENABLED, facts, |feed| Some(u8::from(feed.enabled)));
        self.feeds(c::FEED_LAST_SUCCESS, facts, |feed| Some(seconds(feed.state.last_success)));
        self.feeds(c::FEED_LAST_ATTEMPT, facts, |feed| Some(seconds(feed.state.last_attempt)));
        self.feeds(c::FEED_NEXT_RUN, facts, |feed| feed.next_run.map(|at| seconds(Some(at))));
        self.feeds(c::FEED_FRESH_UNTIL, facts, |feed| feed.fresh_until.map(|at| seconds(Some(at))));
        self.feeds(c::FEED_FAILURES, facts, |feed| Some(feed.state.consecutive_failures));
        self.feeds(c::FEED_DEGRADED, facts, |feed| Some(feed.degraded));
        self.feeds(c::SYNC_IN_PROGRESS, facts, |feed| Some(u8::from(feed.is_running)));
        let of_state = |EventFacts { event, active, inactive }: &EventFacts| {
            let labels = |state: &str| format!("{{event=\"{event}\",state=\"{state}\"}}");
            [(labels("active"), *active), (labels("inactive"), *inactive)]
        };
        self.metric(c::EVENT_ATTENDEES, facts.events.iter().flat_map(of_state));
        self.single(c::USERS, Some(facts.users));
        self.single(c::GROUPS, Some(facts.groups));
        self.single(c::TOMBSTONES, Some(facts.tombstones));
        self.single(c::RUNS_HELD, Some(facts.runs_held));
        let of_window = |BudgetFacts { source, window, left }: &BudgetFacts| {
            (format!("{{source=\"{source}\",window=\"{window}\"}}"), *left)
        };
        self.metric(c::SOURCE_BUDGET_REMAINING, facts.budgets.iter().map(of_window));
        let standing = |SignInFacts { source, standing, people }: &SignInFacts| {
            (format!("{{source=\"{source}\",standing=\"{}\"}}", standing.as_str()), *people)
        };
        self.metric(c::SIGNED_IN, facts.sign_ins.iter().map(standing));
        let receipts = |ReceiptFacts { event, state, receipts }: &ReceiptFacts| {
            (format!(r#"{{event="{event}",state="{}"}}"#, state.as_str()), *receipts)
        };
        self.metric(c::WRITEBACK_RECEIPTS, facts.receipts.iter().map(receipts));
        self.single(c::STORE_SIZE, facts.store_bytes);
        self.single(c::STORE_FREE, facts.free_bytes);
        self.single(c::CLOCK, Some(seconds(Some(facts.now))));
    }

    pub fn process(&mut self, process: &Process, started_at: Option<Timestamp>) {
        self.single(c::PROCESS_CPU, Some(process.cpu.as_secs_f64()));
        self.single(c::PROCESS_RESIDENT, process.resident_bytes);
        self.single(c::PROCESS_VIRTUAL, process.virtual_bytes);
        self.single(c::PROCESS_OPEN_FDS, process.open_fds);
        self.single(c::PROCESS_MAX_FDS, process.max_fds);
        self.single(c::PROCESS_THREADS, process.threads);
        self.single(c::PROCESS_START, started_at.map(|at| seconds(Some(at))));
    }

    pub fn into_text(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(event: &str) -> FeedFacts {
        FeedFacts {
            feed: FeedId { event: event.to_owned().try_into().unwrap(), source: "crm".to_owned().try_into().unwrap() },
            state: FeedState::default(),
            is_running: false,
            degraded: 0,
            enabled: false,
            next_run: None,
            fresh_until: None,
        }
    }

    fn facts(feeds: Vec<FeedFacts>) -> Facts {
        let event = EventFacts { event: "gala".to_owned().try_into().unwrap(), active: 7, inactive: 1 };
        let budget = BudgetFacts { source: "crm".to_owned().try_into().unwrap(), window: "day".into(), left: u32::MAX };
        Facts {
            now: Timestamp::from_second(1_800_000_000).unwrap(),
            feeds,
            events: vec![event],
            sign_ins: Vec::new(),
            receipts: Vec::new(),
            budgets: vec![budget],
            users: 8,
            groups: 2,
            tombstones: 0,
            runs_held: 1,
            store_bytes: Some(4096),
            free_bytes: None,
        }
    }

    fn text(facts: &Facts) -> String {
        let mut exposition = Exposition::default();
        exposition.facts(facts);
        exposition.into_text()
    }

    #[test]
    fn a_time_is_there_only_where_there_is_one() {
        let at = Timestamp::from_millisecond(1_800_000_000_500).ok();
        let hourly = FeedFacts { enabled: true, is_running: true, degraded: 2, next_run: at, ..feed("summit") };
        let text = text(&facts(vec![feed("gala"), hourly]));
        for line in [
            "# TYPE rollcall_feed_sync_enabled gauge\n",
            "rollcall_feed_sync_enabled{event=\"gala\",source=\"crm\"} 0\n",
            "rollcall_feed_sync_enabled{event=\"summit\",source=\"crm\"} 1\n",
            "rollcall_feed_last_success_timestamp_seconds{event=\"summit\",source=\"crm\"} 0\n",
            "rollcall_feed_next_run_timestamp_seconds{event=\"summit\",source=\"crm\"} 1800000000.5\n",
            "rollcall_feed_degraded{event=\"summit\",source=\"crm\"} 2\n",
            "rollcall_sync_in_progress{event=\"summit\",source=\"crm\"} 1\n",
            "rollcall_event_attendees{event=\"gala\",state=\"active\"} 7\n",
            "rollcall_source_budget_remaining{source=\"crm\",window=\"day\"} 4294967295\n",
            "\nrollcall_users 8\n",
            "rollcall_clock_timestamp_seconds 1800000000\n",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
        assert!(!text.contains("next_run_timestamp_seconds{event=\"gala\"") && !text.contains("fresh"), "{text}");
        assert!(text.contains("store_size") && !text.contains("store_free"), "what is not known is not told: {text}");
    }

    #[test]
    fn whatever_is_told_is_in_the_catalogue() {
        let at = Timestamp::from_second(1).ok();
        let all = FeedFacts { next_run: at, fresh_until: at, ..feed("summit") };
        let mut exposition = Exposition::default();
        exposition.facts(&Facts { free_bytes: Some(1), ..facts(vec![all]) });
        exposition.process(&Process::now(), at);
        let text = exposition.into_text();
        assert!(!text.contains("untyped"), "{text}");
        assert_eq!(text.lines().filter(|line| line.starts_with("# TYPE")).count(), 24, "{text}");
    }
}
