//! Every metric there is: name, kind, help. Registered at start, so that nothing appears only once it goes wrong.

/// What a metric counts like.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    Counter,
    Gauge,
    /// With the upper bounds of its buckets, in seconds.
    Histogram(&'static [f64]),
}

impl Kind {
    /// As Prometheus' text format calls it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram(_) => "histogram",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Metric {
    pub name: &'static str,
    pub labels: &'static [&'static str],
    pub kind: Kind,
    pub help: &'static str,
}

// Few, for each is a series for each source: a scrape of 100 sources stays below a megabyte.
const SYNC_BUCKETS: &[f64] = &[0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 180.0, 600.0, 1800.0];
const REQUEST_BUCKETS: &[f64] = &[0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0];
const WAIT_BUCKETS: &[f64] = &[0.01, 0.1, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0];
const FLUSH_BUCKETS: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];
const API_BUCKETS: &[f64] = &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];

pub const BUILD: &str = "rollcall_build_info";
pub const FEED_SYNC_ENABLED: &str = "rollcall_feed_sync_enabled";
pub const FEED_LAST_SUCCESS: &str = "rollcall_feed_last_success_timestamp_seconds";
pub const FEED_LAST_ATTEMPT: &str = "rollcall_feed_last_attempt_timestamp_seconds";
pub const FEED_NEXT_RUN: &str = "rollcall_feed_next_run_timestamp_seconds";
pub const FEED_FRESH_UNTIL: &str = "rollcall_feed_fresh_until_timestamp_seconds";
pub const FEED_FAILURES: &str = "rollcall_feed_consecutive_failures";
pub const FEED_DEGRADED: &str = "rollcall_feed_degraded";
pub const EVENT_ATTENDEES: &str = "rollcall_event_attendees";
pub const USERS: &str = "rollcall_users";
pub const GROUPS: &str = "rollcall_groups";
pub const SYNC_RUNS: &str = "rollcall_sync_runs_total";
pub const SYNC_ERRORS: &str = "rollcall_sync_errors_total";
pub const SYNC_DURATION: &str = "rollcall_sync_duration_seconds";
pub const SYNC_IN_PROGRESS: &str = "rollcall_sync_in_progress";
pub const SYNC_CHANGES: &str = "rollcall_sync_changes_total";
pub const SYNC_PAGES: &str = "rollcall_sync_pages_total";
pub const SYNC_BYTES: &str = "rollcall_sync_bytes_total";
pub const RUNS_HELD: &str = "rollcall_runs_held";
pub const SOURCE_REQUESTS: &str = "rollcall_source_requests_total";
pub const SOURCE_REQUEST_DURATION: &str = "rollcall_source_request_duration_seconds";
pub const SOURCE_BUDGET_WAIT: &str = "rollcall_source_budget_wait_seconds";
pub const SOURCE_BUDGET_REMAINING: &str = "rollcall_source_budget_remaining";
pub const CREDENTIAL_EXPIRY: &str = "rollcall_source_credential_expiry_timestamp_seconds";
pub const HOOKS: &str = "rollcall_hooks_total";
pub const SIGN_INS: &str = "rollcall_sign_ins_total";
pub const PROFILE_REFRESHES: &str = "rollcall_profile_refreshes_total";
pub const SIGNED_IN: &str = "rollcall_signed_in_people";
/// [`ReceiptState`](crate::model::ReceiptState)
pub const WRITEBACK_RECEIPTS: &str = "rollcall_writeback_receipts";
pub const HTTP_REQUESTS: &str = "rollcall_http_requests_total";
pub const HTTP_REQUEST_DURATION: &str = "rollcall_http_request_duration_seconds";
pub const HTTP_AUTH_FAILURES: &str = "rollcall_http_auth_failures_total";
pub const MAIL_MESSAGES: &str = "rollcall_mail_messages_total";
pub const OUTBOX_MESSAGES: &str = "rollcall_outbox_messages";
pub const OUTBOX_OLDEST: &str = "rollcall_outbox_oldest_timestamp_seconds";
pub const TOMBSTONES: &str = "rollcall_tombstones";
pub const ERASURES: &str = "rollcall_erasures_total";
pub const COMPACTIONS: &str = "rollcall_compactions_total";
pub const STORE_SIZE: &str = "rollcall_store_size_bytes";
pub const STORE_FREE: &str = "rollcall_store_free_bytes";
pub const STORE_FLUSH: &str = "rollcall_store_flush_duration_seconds";
pub const STORE_ERRORS: &str = "rollcall_store_errors_total";

pub const CLOCK: &str = "rollcall_clock_timestamp_seconds";
pub const PROCESS_CPU: &str = "process_cpu_seconds_total";
pub const PROCESS_RESIDENT: &str = "process_resident_memory_bytes";
pub const PROCESS_VIRTUAL: &str = "process_virtual_memory_bytes";
pub const PROCESS_OPEN_FDS: &str = "process_open_fds";
pub const PROCESS_MAX_FDS: &str = "process_max_fds";
pub const PROCESS_THREADS: &str = "process_threads";
pub const PROCESS_START: &str = "process_start_time_seconds";

const fn metric(name: &'static str, labels: &'static [&'static str], kind: Kind, help: &'static str) -> Metric {
    Metric { name, labels, kind, help }
}

/// All metrics, in the order of OBSERVABILITY's table.
pub const CATALOGUE: &[Metric] = &[
    metric(BUILD, &["version", "revision"], Kind::Gauge, "Always 1; the labels tell the build."),
    metric(
        FEED_SYNC_ENABLED,
        &["event", "source"],
        Kind::Gauge,
        "1 where the feed is to be synced by itself, 0 where by hand: without a schedule, paused, or after the final sync.",
    ),
    metric(FEED_LAST_SUCCESS, &["event", "source"], Kind::Gauge, "When the feed was last synced whole; 0 if never."),
    metric(
        FEED_LAST_ATTEMPT,
        &["event", "source"],
        Kind::Gauge,
        "When a sync of the feed last ended, however; 0 if never.",
    ),
    metric(FEED_NEXT_RUN, &["event", "source"], Kind::Gauge, "When the feed is synced next by itself, where it is."),
    metric(
        FEED_FRESH_UNTIL,
        &["event", "source"],
        Kind::Gauge,
        "When the feed is overdue: the second time of its schedule after its last success, and 15 minutes.",
    ),
    metric(FEED_FAILURES, &["event", "source"], Kind::Gauge, "Failed syncs of the feed since its last success."),
    metric(
        FEED_DEGRADED,
        &["event", "source"],
        Kind::Gauge,
        "For how many reasons the feed's last run deserves a look though nothing held it.",
    ),
    metric(
        EVENT_ATTENDEES,
        &["event", "state"],
        Kind::Gauge,
        "People with a place in the event, by state (active, inactive).",
    ),
    metric(USERS, &[], Kind::Gauge, "Users of the community."),
    metric(GROUPS, &[], Kind::Gauge, "Groups of the community."),
    metric(
        SYNC_RUNS,
        &["event", "source", "trigger", "outcome"],
        Kind::Counter,
        "Runs ended, by trigger and outcome; a held run counts again when it is decided, dry runs never.",
    ),
    metric(SYNC_ERRORS, &["source", "reason"], Kind::Counter, "Failed runs by reason."),
    metric(SYNC_DURATION, &["source"], Kind::Histogram(SYNC_BUCKETS), "How long runs take."),
    metric(SYNC_IN_PROGRESS, &["event", "source"], Kind::Gauge, "1 while a run of the feed goes on."),
    metric(
        SYNC_CHANGES,
        &["event", "source", "action"],
        Kind::Counter,
        "What runs changed: people, and unchanged, skipped or rejected records.",
    ),
    metric(SYNC_PAGES, &["source"], Kind::Counter, "Pages read."),
    metric(SYNC_BYTES, &["source"], Kind::Counter, "Bytes read, decompressed."),
    metric(RUNS_HELD, &[], Kind::Gauge, "Runs that wait for somebody to approve or reject them."),
    metric(
        SOURCE_REQUESTS,
        &["source", "code"],
        Kind::Counter,
        "Requests to the source by answer (2xx, 3xx, 4xx, 429, 5xx, error).",
    ),
    metric(
        SOURCE_REQUEST_DURATION,
        &["source"],
        Kind::Histogram(REQUEST_BUCKETS),
        "How long the source takes to answer.",
    ),
    metric(
        SOURCE_BUDGET_WAIT,
        &["source"],
        Kind::Histogram(WAIT_BUCKETS),
        "How long requests wait for the source's budget.",
    ),
    metric(SOURCE_BUDGET_REMAINING, &["source", "window"], Kind::Gauge, "Requests left in each window of the budget."),
    metric(
        CREDENTIAL_EXPIRY,
        &["source"],
        Kind::Gauge,
        "When the token of a source that logs in expires, once one with an end is held.",
    ),
    metric(
        HOOKS,
        &["source", "outcome"],
        Kind::Counter,
        "Hooks of the source by outcome (accepted, repeated, unmatched, malformed, refused, shut), where it sends any.",
    ),
    metric(
        SIGN_INS,
        &["source", "outcome"],
        Kind::Counter,
        "Sign-ins with the source by outcome: done, failed, or why they were refused; docs/login.md has the words.",
    ),
    metric(
        PROFILE_REFRESHES,
        &["source", "outcome"],
        Kind::Counter,
        "Profiles asked for anew by outcome (done, unchanged, sign_in_again, rejected, gone, failed).",
    ),
    metric(
        SIGNED_IN,
        &["source", "standing"],
        Kind::Gauge,
        "People who signed in with the source, by whether their tokens are good still (signed_in, sign_in_again).",
    ),
    metric(
        WRITEBACK_RECEIPTS,
        &["event", "state"],
        Kind::Gauge,
        "Receipts of what goes back to the event's sources (pending, sent, confirmed, failed), where anything does.",
    ),
    metric(
        HTTP_REQUESTS,
        &["route", "method", "code"],
        Kind::Counter,
        "Requests to this API by route template, method and status.",
    ),
    metric(
        HTTP_REQUEST_DURATION,
        &["route", "method"],
        Kind::Histogram(API_BUCKETS),
        "How long this API takes to answer.",
    ),
    metric(HTTP_AUTH_FAILURES, &["reason"], Kind::Counter, "Refused requests by reason (missing, unknown, scope)."),
    metric(MAIL_MESSAGES, &["outcome"], Kind::Counter, "Attempts to send a mail by outcome (sent, deferred, failed)."),
    metric(OUTBOX_MESSAGES, &[], Kind::Gauge, "Mails that wait to be sent, but for those of events that are held."),
    metric(OUTBOX_OLDEST, &[], Kind::Gauge, "When the mail was queued that waits longest; 0 if none does."),
    metric(TOMBSTONES, &[], Kind::Gauge, "People who were erased and are kept out."),
    metric(ERASURES, &[], Kind::Counter, "People erased by hand."),
    metric(COMPACTIONS, &["outcome"], Kind::Counter, "Rewritings of the store by outcome (done, failed)."),
    metric(STORE_SIZE, &[], Kind::Gauge, "Bytes of the store on disk."),
    metric(STORE_FREE, &[], Kind::Gauge, "Bytes that are free on the disk of the store, for whoever is not root."),
    metric(STORE_FLUSH, &[], Kind::Histogram(FLUSH_BUCKETS), "How long commits wait for the disk."),
    metric(STORE_ERRORS, &["op"], Kind::Counter, "Failures of the store by operation (read, write)."),
    metric(CLOCK, &[], Kind::Gauge, "What this process takes for now."),
    metric(PROCESS_CPU, &[], Kind::Counter, "CPU time used, user and system, in seconds."),
    metric(PROCESS_RESIDENT, &[], Kind::Gauge, "Resident memory."),
    metric(PROCESS_VIRTUAL, &[], Kind::Gauge, "Virtual memory."),
    metric(PROCESS_OPEN_FDS, &[], Kind::Gauge, "Open file descriptors."),
    metric(PROCESS_MAX_FDS, &[], Kind::Gauge, "The limit of open file descriptors."),
    metric(PROCESS_THREADS, &[], Kind::Gauge, "Threads."),
    metric(PROCESS_START, &[], Kind::Gauge, "When the process started."),
];

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;
    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    fn names_follow_the_conventions() {
        for Metric { name, kind, help, .. } in CATALOGUE {
            assert!(name.starts_with("rollcall_") || name.starts_with("process_"), "{name}");
            assert_eq!(name.ends_with("_total"), *kind == Kind::Counter, "{name}: _total marks counters");
            assert!(help.ends_with('.'), "{name}");
            assert_eq!(CATALOGUE.iter().filter(|other| other.name == *name).count(), 1, "{name}");
        }
    }

    fn table() -> String {
        let mut text = "| metric | kind | labels | what it tells |\n| --- | --- | --- | --- |\n".to_owned();
        for Metric { name, labels, kind, help } in CATALOGUE {
            let labels: Vec<_> = labels.iter().map(|label| format!("`{label}`")).collect();
            let _ = writeln!(text, "| `{name}` | {} | {} | {help} |", kind.word(), labels.join(", "));
        }
        text
    }

    /// `UPDATE_CASES=1` writes the table anew.
    #[test]
    fn the_documentation_has_every_metric() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md");
        let page = fs::read_to_string(&path).unwrap();
        let (before, rest) = page.split_once("<!-- catalogue -->\n").unwrap();
        let (written, after) = rest.split_once("<!-- /catalogue -->\n").unwrap();
        if std::env::var_os("UPDATE_CASES").is_some() {
            let page = format!("{before}<!-- catalogue -->\n{}<!-- /catalogue -->\n{after}", table());
            return fs::write(path, page).unwrap();
        }
        assert_eq!(written, table(), "UPDATE_CASES=1 writes the table of docs/metrics.md anew");
    }
}
