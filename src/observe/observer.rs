//! Where facts are told.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusRecorder};
use parking_lot::Mutex;

use super::answers::Answers;
use super::catalogue::{self as c, CATALOGUE, Kind};
use super::outcomes::{HookOutcome, MailOutcome, ResponseCode};
use super::process::Process;
use super::scrape::{Exposition, Facts};
use super::stages::Stages;
use crate::limits::FEEDS_LABELLED_MAX;
use crate::model::{Counts, Doubt, ErrorReason, EventName, FeedId, Run, RunError, RunOutcome, SourceName, Trigger};

/// Tells facts to the log and to Prometheus. Cloning shares it. Each has a recorder of its own, none is global.
#[derive(Clone)]
pub struct Observer {
    recorder: Arc<PrometheusRecorder>,
    answers: Arc<Answers>,
    /// Those that have series of their own.
    feeds: Arc<Mutex<HashSet<FeedId>>>,
    started_at: Option<Timestamp>,
}

impl Default for Observer {
    fn default() -> Self {
        Self::of_process(None)
    }
}

pub(super) fn seconds(at: Option<Timestamp>) -> f64 {
    at.map_or(0.0, |at| at.as_duration().as_secs_f64())
}

/// As a number that the JSON log writes as one; 128 bits would come out as text.
fn millis(took: Duration) -> u64 {
    u64::try_from(took.as_millis()).unwrap_or(u64::MAX)
}

fn micros(took: Duration) -> u64 {
    u64::try_from(took.as_micros()).unwrap_or(u64::MAX)
}

/// Counters and gauges are floats in Prometheus; 2^53 is far beyond what is counted here.
#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
const fn float(count: u64) -> f64 {
    count as f64
}

impl Observer {
    /// `started_at`: when this process began.
    pub fn of_process(started_at: Option<Timestamp>) -> Self {
        let mut builder = PrometheusBuilder::new();
        for metric in CATALOGUE {
            if let Kind::Histogram(buckets) = metric.kind {
                let matcher = Matcher::Full(metric.name.to_owned());
                builder =
                    builder.set_buckets_for_metric(matcher, buckets).expect("the catalogue's buckets are not empty");
            }
        }
        let observer = Self {
            recorder: Arc::new(builder.build_recorder()),
            answers: Arc::default(),
            feeds: Arc::default(),
            started_at,
        };
        observer.record(|| {
            for metric in CATALOGUE {
                match metric.kind {
                    Kind::Counter => describe_counter!(metric.name, metric.help),
                    Kind::Gauge => describe_gauge!(metric.name, metric.help),
                    Kind::Histogram(_) => describe_histogram!(metric.name, metric.help),
                }
            }
            let revision = option_env!("ROLLCALL_REVISION").unwrap_or("unknown");
            gauge!(c::BUILD, "version" => env!("CARGO_PKG_VERSION"), "revision" => revision).set(1.0);
            for reason in ["missing", "unknown", "scope"] {
                counter!(c::HTTP_AUTH_FAILURES, "reason" => reason).absolute(0);
            }
            counter!(c::ERASURES).absolute(0);
            for outcome in ["done", "failed"] {
                counter!(c::COMPACTIONS, "outcome" => outcome).absolute(0);
            }
            for operation in ["read", "write"] {
                counter!(c::STORE_ERRORS, "op" => operation).absolute(0);
            }
        });
        observer
    }

    pub(super) fn record(&self, tell: impl FnOnce()) {
        metrics::with_local_recorder(&*self.recorder, tell);
    }

    /// The exposition for Prometheus, `text/plain; version=0.0.4`.
    pub fn render(&self) -> String {
        self.recorder.handle().render()
    }

    /// The same with what holds now.
    pub fn render_with(&self, facts: &Facts) -> String {
        let mut exposition = Exposition::default();
        exposition.facts(facts);
        exposition.process(&Process::now(), self.started_at);
        self.render() + &exposition.into_text()
    }

    /// Must be called every few seconds, or histograms keep every sample.
    pub fn upkeep(&self) {
        self.recorder.handle().run_upkeep();
    }

    /// Registers a source's series at zero.
    pub fn source_known(&self, source: &SourceName) {
        self.record(|| {
            for code in ResponseCode::ALL {
                counter!(c::SOURCE_REQUESTS, "source" => source.to_string(), "code" => code).absolute(0);
            }
            for reason in ErrorReason::ALL {
                counter!(c::SYNC_ERRORS, "source" => source.to_string(), "reason" => reason.as_str()).absolute(0);
            }
            counter!(c::SYNC_PAGES, "source" => source.to_string()).absolute(0);
            counter!(c::SYNC_BYTES, "source" => source.to_string()).absolute(0);
        });
    }

    /// Registers the series of a source that sends hooks at zero.
    pub fn hooks_known(&self, source: &SourceName) {
        self.record(|| {
            for outcome in HookOutcome::ALL {
                hooks_total(source, outcome).absolute(0);
            }
        });
    }

    /// Registers the series of mails at zero.
    pub fn mail_known(&self) {
        self.record(|| {
            for outcome in MailOutcome::ALL {
                counter!(c::MAIL_MESSAGES, "outcome" => outcome.label()).absolute(0);
            }
        });
        self.outbox(0, None);
    }

    /// A mail was given to the mail server, or could not be. `why` is empty where it was taken.
    pub fn mailed(&self, event: &EventName, outcome: MailOutcome, why: &str) {
        match outcome {
            MailOutcome::Sent => tracing::debug!(%event, "a mail was sent"),
            MailOutcome::Deferred => tracing::warn!(%event, why, "a mail was not sent and is tried again"),
            MailOutcome::Failed => tracing::error!(%event, why, "a mail was refused"),
        }
        self.record(|| counter!(c::MAIL_MESSAGES, "outcome" => outcome.label()).increment(1));
    }

    /// How many mails wait, and since when the first.
    pub fn outbox(&self, messages: usize, oldest: Option<Timestamp>) {
        self.record(|| {
            gauge!(c::OUTBOX_MESSAGES).set(float(messages as u64));
            gauge!(c::OUTBOX_OLDEST).set(seconds(oldest));
        });
    }

    /// Registers a feed's series at zero: how runs may end that begin as most of it do. To register every trigger would
    /// make a scrape of many feeds too large. Feeds beyond the first [`FEEDS_LABELLED_MAX`] have none.
    pub fn feed_known(&self, feed: &FeedId, trigger: Trigger) {
        let mut feeds = self.feeds.lock();
        if feeds.len() == FEEDS_LABELLED_MAX && !feeds.contains(feed) {
            return;
        }
        feeds.insert(feed.clone());
        drop(feeds);
        self.record(|| {
            for outcome in RunOutcome::ALL {
                runs_total(feed, trigger, outcome).absolute(0);
            }
            for (action, _) in actions(&Counts::default()) {
                changes_total(feed, action).absolute(0);
            }
        });
    }

    fn has_series(&self, feed: &FeedId) -> bool {
        self.feeds.lock().contains(feed)
    }

    pub fn run_started(&self, run: &Run) {
        tracing::info!(run = run.id.0, event = %run.feed.event, source = %run.feed.source,
            trigger = run.trigger.as_str(), dry_run = run.dry_run, full = run.full, "sync started");
    }

    /// A run has ended, however.
    pub fn run_ended(&self, run: &Run) {
        log_end(run);
        self.record(|| {
            let source = run.feed.source.to_string();
            // What a held run read was counted when it was held.
            let was_held = run.decision.is_some();
            if was_held {
                self.count_end(run);
                return;
            }
            counter!(c::SYNC_PAGES, "source" => source.clone()).increment(run.traffic.pages);
            counter!(c::SYNC_BYTES, "source" => source.clone()).increment(run.traffic.bytes);
            if run.dry_run {
                return;
            }
            let took = run.ended_at.map(|ended| ended.duration_since(run.started_at).as_secs_f64());
            histogram!(c::SYNC_DURATION, "source" => source.clone()).record(took.unwrap_or_default().max(0.0));
            self.count_end(run);
        });
    }

    /// A held run is to be committed.
    pub fn run_approved(&self, run: &Run) {
        let by = run.decision.as_ref().map(|decision| decision.by.as_str());
        tracing::info!(run = run.id.0, event = %run.feed.event, source = %run.feed.source, by, "held run approved");
    }

    /// A held run will not be committed.
    pub fn run_decided(&self, run: &Run) {
        let outcome = run.outcome.map_or("unknown", RunOutcome::as_str);
        let by = run.decision.as_ref().map(|decision| decision.by.as_str());
        tracing::info!(run = run.id.0, event = %run.feed.event, source = %run.feed.source, outcome, by, "held run ended");
        self.record(|| self.count_end(run));
    }

    /// Where the time of a run went, for whoever asks with the filter `rollcall::stages=debug`.
    pub fn run_stages(&self, run: &Run, stages: &Stages) {
        let Stages { fetch_wait, split, map, spool, plan, journal, commit, sync } = stages;
        tracing::debug!(target: "rollcall::stages", run = run.id.0, fetch_wait_us = micros(*fetch_wait),
            split_us = micros(*split), map_us = micros(*map), spool_us = micros(*spool), plan_us = micros(*plan),
            journal_us = micros(*journal), commit_us = micros(*commit), sync_us = micros(*sync), "stages");
    }

    /// The store is open; with or without what was kept of its indexes.
    pub fn store_opened(&self, took: Duration, from_snapshot: bool) {
        tracing::debug!(target: "rollcall::stages", took_us = micros(took), from_snapshot, "store opened");
    }

    /// A sync could not even be entered into history.
    pub fn run_refused(&self, run: &Run, error: &RunError) {
        let reason = error.reason.as_str();
        tracing::error!(event = %run.feed.event, source = %run.feed.source, reason, error = error.message,
            hint = error.hint, "a sync could not begin");
        if run.dry_run {
            return;
        }
        self.record(|| {
            counter!(c::SYNC_ERRORS, "source" => run.feed.source.to_string(), "reason" => reason).increment(1);
            if self.has_series(&run.feed) {
                runs_total(&run.feed, run.trigger, RunOutcome::Failed).increment(1);
            }
        });
    }

    /// The process ends amid a commit; the run goes on at the next start.
    pub fn run_paused(&self, run: &Run) {
        tracing::info!(run = run.id.0, event = %run.feed.event, source = %run.feed.source, applied = run.applied,
            planned = run.planned, "sync paused; it goes on at the next start");
    }

    /// The feed of a run that was cut short by the end of the process is synced again.
    pub fn run_starts_again(&self, run: &Run) {
        tracing::info!(run = run.id.0, event = %run.feed.event, source = %run.feed.source,
            "the run was cut short; its sync starts again");
    }

    /// A run's thread panicked; the server goes on. Where is told on standard error.
    pub fn run_panicked(&self, run: &Run) {
        tracing::error!(run = run.id.0, event = %run.feed.event, source = %run.feed.source, "a run panicked");
    }

    /// The store failed outside a run's own error.
    pub fn store_failed(&self, operation: &'static str, message: &str) {
        tracing::error!(operation, message, "the store failed");
        let op = if operation.starts_with("read") { "read" } else { "write" };
        self.record(|| counter!(c::STORE_ERRORS, "op" => op).increment(1));
    }

    /// A commit waited for the disk.
    pub fn store_flushed(&self, took: Duration) {
        self.record(|| histogram!(c::STORE_FLUSH).record(took.as_secs_f64()));
    }

    /// Somebody erased people by hand.
    pub fn erased(&self, people: usize) {
        tracing::info!(people, "erased");
        self.record(|| counter!(c::ERASURES).increment(people as u64));
    }

    /// The store was written anew; its files' bytes before and after.
    pub fn compacted(&self, before: u64, after: u64) {
        tracing::info!(before, after, "the store was compacted");
        self.record(|| counter!(c::COMPACTIONS, "outcome" => "done").increment(1));
    }

    /// It was not, and goes on as it was.
    pub fn compaction_failed(&self, message: &str) {
        tracing::error!(message, "the store could not be compacted and goes on as it was");
        self.record(|| counter!(c::COMPACTIONS, "outcome" => "failed").increment(1));
    }

    /// A request to a source was answered or failed; `took` excludes the wait for the budget.
    pub fn source_request(&self, source: &SourceName, code: ResponseCode, took: Duration) {
        tracing::debug!(%source, code = code.label(), ms = millis(took), "source request");
        self.record(|| {
            counter!(c::SOURCE_REQUESTS, "source" => source.to_string(), "code" => code.label()).increment(1);
            histogram!(c::SOURCE_REQUEST_DURATION, "source" => source.to_string()).record(took.as_secs_f64());
        });
    }

    /// A source gave a token, or one was found in the store. `expires_at` is `None` where no end is known.
    pub fn credential_held(&self, source: &SourceName, expires_at: Option<Timestamp>, from_store: bool) {
        let until = expires_at.map(tracing::field::display);
        tracing::debug!(%source, expires_at = until, from_store, "credential held");
        if let Some(at) = expires_at {
            self.record(|| gauge!(c::CREDENTIAL_EXPIRY, "source" => source.to_string()).set(seconds(Some(at))));
        }
    }

    /// The store holds a token that this community's key does not open, or not as this source's.
    pub fn credential_unreadable(&self, source: &SourceName) {
        tracing::warn!(%source, "the stored credential was sealed with another key or is damaged; the source is logged in to anew");
    }

    /// A token could not be stored. It serves this process; the next one logs in anew.
    pub fn credential_unkept(&self, source: &SourceName, message: &str) {
        tracing::warn!(%source, message, "the credential could not be stored");
    }

    /// A source will not be asked for a while: `why` is `budget`, `retry_after` or `back_off`.
    pub fn source_waits(&self, source: &SourceName, pause: Duration, why: &'static str) {
        tracing::info!(%source, pause_s = pause.as_secs_f64(), why, "waiting for a source");
    }

    /// A hook came for a source that has hooks.
    pub fn hook(&self, source: &SourceName, outcome: HookOutcome) {
        tracing::debug!(%source, outcome = outcome.label(), "hook");
        if outcome == HookOutcome::Malformed {
            tracing::warn!(%source, "a hook could not be read; its answer says why");
        }
        self.record(|| hooks_total(source, outcome).increment(1));
    }

    /// A hook for a feed in which nothing begins by itself.
    pub fn hook_without_effect(&self, feed: &FeedId, why: &'static str) {
        tracing::info!(event = %feed.event, source = %feed.source, why, "a hook has no effect");
    }

    /// The clock shows an earlier time than before.
    pub fn clock_set_back(&self, before: Timestamp, now: Timestamp) {
        tracing::warn!(%before, %now, "the clock was set back; schedules go on from now");
    }

    /// The final sync of a feed succeeded, or was given up: nothing of it is synced by itself any more.
    pub fn final_sync_ended(&self, feed: &FeedId, done: bool) {
        let FeedId { event, source } = feed;
        if done {
            tracing::info!(%event, %source, "the final sync is done; from now on the feed is synced by hand");
        } else {
            tracing::error!(%event, %source, "the final sync was tried for a day and is given up; sync by hand");
        }
    }

    /// What hooks asked for is not read: so many records, or everything. The next sync brings it.
    pub fn hints_dropped(&self, feed: &FeedId, records: usize, everything: bool) {
        tracing::info!(event = %feed.event, source = %feed.source, records, everything, "hints dropped");
    }

    /// What was written down of a source's budget cannot be read.
    pub fn ledger_lost(&self, source: &SourceName, problem: &str) {
        tracing::warn!(%source, problem, "what was used of the source's budget cannot be read; asking it again only \
            when its longest window, or an hour, is over");
    }

    /// A request waited for the source's budget or its `Retry-After`.
    pub fn source_budget_wait(&self, source: &SourceName, waited: Duration) {
        self.record(|| {
            histogram!(c::SOURCE_BUDGET_WAIT, "source" => source.to_string()).record(waited.as_secs_f64());
        });
    }

    /// A request to this API was answered. `route` is the template, never the path.
    pub fn http_request(&self, route: &str, method: &'static str, status: u16, took: Duration) {
        tracing::debug!(route, method, status, ms = millis(took), "request");
        self.answers.record(&self.recorder, route, method, status, took);
    }

    /// A request was refused: its token `missing`, `unknown`, or without the `scope`.
    pub fn auth_failed(&self, reason: &'static str) {
        tracing::warn!(reason, "request refused");
        self.record(|| counter!(c::HTTP_AUTH_FAILURES, "reason" => reason).increment(1));
    }

    pub fn listening(&self, address: &str) {
        tracing::info!(address, version = env!("CARGO_PKG_VERSION"), "listening");
    }

    pub fn stopping(&self, why: &'static str) {
        tracing::info!(why, "stopping");
    }

    /// Counts how a run ended.
    fn count_end(&self, run: &Run) {
        if let Some(error) = &run.error {
            let source = run.feed.source.to_string();
            counter!(c::SYNC_ERRORS, "source" => source, "reason" => error.reason.as_str()).increment(1);
        }
        let Some(outcome) = run.outcome.filter(|_| self.has_series(&run.feed)) else { return };
        runs_total(&run.feed, run.trigger, outcome).increment(1);
        if outcome == RunOutcome::Done {
            for (action, count) in actions(&run.counts) {
                changes_total(&run.feed, action).increment(count);
            }
        }
    }
}

fn runs_total(feed: &FeedId, trigger: Trigger, outcome: RunOutcome) -> metrics::Counter {
    counter!(c::SYNC_RUNS, "event" => feed.event.to_string(), "source" => feed.source.to_string(),
        "trigger" => trigger.as_str(), "outcome" => outcome.as_str())
}

fn hooks_total(source: &SourceName, outcome: HookOutcome) -> metrics::Counter {
    counter!(c::HOOKS, "source" => source.to_string(), "outcome" => outcome.label())
}

fn changes_total(feed: &FeedId, action: &'static str) -> metrics::Counter {
    counter!(c::SYNC_CHANGES, "event" => feed.event.to_string(), "source" => feed.source.to_string(), "action" => action)
}

fn actions(counts: &Counts) -> [(&'static str, u64); 7] {
    [
        ("create", counts.create),
        ("update", counts.update),
        ("unchanged", counts.unchanged),
        ("remove", counts.remove),
        ("delete", counts.delete),
        ("skip", counts.skip),
        ("reject", counts.reject),
    ]
}

/// One line per run with all its counts.
fn log_end(run: &Run) {
    let outcome = run.outcome.map_or("unknown", RunOutcome::as_str);
    let counts = &run.counts;
    let took_ms = run.ended_at.map_or(0, |ended| ended.as_millisecond() - run.started_at.as_millisecond());
    macro_rules! line {
        ($level:ident, $($more:tt)*) => {
            tracing::$level!(
                run = run.id.0, event = %run.feed.event, source = %run.feed.source, outcome, took_ms,
                dry_run = run.dry_run, complete = run.complete, records = counts.records,
                create = counts.create, update = counts.update, unchanged = counts.unchanged,
                remove = counts.remove, delete = counts.delete, skip = counts.skip, reject = counts.reject,
                missing = counts.missing, pages = run.traffic.pages, bytes = run.traffic.bytes,
                requests = run.traffic.requests, retries = run.traffic.retries, wait_ms = run.traffic.wait_ms,
                $($more)*
            )
        };
    }
    match &run.error {
        None if run.is_held() || !run.degraded.is_empty() => {
            let words =
                |doubts: &[Doubt]| doubts.iter().map(|doubt| doubt.text.as_str()).collect::<Vec<_>>().join("; ");
            line!(warn, held = words(&run.held), degraded = words(&run.degraded), "sync ended");
        }
        None => line!(info, "sync ended"),
        Some(error) => {
            line!(error, reason = error.reason.as_str(), error = error.message, hint = error.hint, "sync ended");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_is_described_once_used() {
        let observer = Observer::default();
        let (event, source) = (EventName::parse("summit").unwrap(), SourceName::parse("crm").unwrap());
        observer.source_known(&source);
        observer.feed_known(&FeedId { event, source }, Trigger::Api);
        let text = observer.render();
        for line in [
            "# TYPE rollcall_sync_runs_total counter",
            r#"rollcall_source_requests_total{source="crm",code="429"} 0"#,
            r#"rollcall_sync_changes_total{event="summit",source="crm",action="delete"} 0"#,
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn feeds_beyond_the_first_two_hundred_have_no_series() {
        let feed = |n: usize| FeedId {
            event: EventName::parse(&format!("e{n}")).unwrap(),
            source: SourceName::parse("crm").unwrap(),
        };
        let observer = Observer::default();
        let ended = |n: usize| {
            let run = Run::new(feed(n), Trigger::Api, Timestamp::UNIX_EPOCH);
            observer.run_ended(&Run { outcome: Some(RunOutcome::Done), ended_at: Some(run.started_at), ..run });
        };
        for n in 0..=FEEDS_LABELLED_MAX {
            observer.feed_known(&feed(n), Trigger::Schedule);
            ended(n);
        }
        let text = observer.render();
        let last = FEEDS_LABELLED_MAX - 1;
        let line = |n, trigger, outcome, value| {
            let labels = format!(r#"event="e{n}",source="crm",trigger="{trigger}",outcome="{outcome}""#);
            text.contains(&format!("rollcall_sync_runs_total{{{labels}}} {value}"))
        };
        assert!(line(last, "schedule", "held", 0) && line(last, "api", "done", 1), "{text}");
        assert!(!text.contains(&format!(r#"event="e{FEEDS_LABELLED_MAX}""#)), "{text}");
        let count = format!(r#"rollcall_sync_duration_seconds_count{{source="crm"}} {}"#, FEEDS_LABELLED_MAX + 1);
        assert!(text.contains(&count), "what is told of their source is of all feeds: {text}");
    }

    #[test]
    fn histograms_have_buckets() {
        let observer = Observer::default();
        observer.source_request(
            &SourceName::parse("crm").unwrap(),
            ResponseCode::Status(200),
            Duration::from_millis(20),
        );
        assert!(
            observer.render().contains(r#"rollcall_source_request_duration_seconds_bucket{source="crm",le="0.05"} 1"#)
        );
    }

    #[test]
    fn the_end_of_a_credential_is_told_once_there_is_one() {
        let (observer, source) = (Observer::default(), SourceName::parse("crm").unwrap());
        observer.credential_held(&source, None, false);
        assert!(!observer.render().contains("rollcall_source_credential_expiry_timestamp_seconds{"));
        observer.credential_held(&source, Some(Timestamp::from_second(1_800_000_000).unwrap()), true);
        let line = r#"rollcall_source_credential_expiry_timestamp_seconds{source="crm"} 1800000000"#;
        assert!(observer.render().contains(line), "{}", observer.render());
    }
}
