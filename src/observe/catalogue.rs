//! Every metric there is: name, kind, help. Registered at start, so that nothing appears only once it goes wrong.

/// What a metric counts like.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    Counter,
    Gauge,
    /// With the upper bounds of its buckets, in seconds.
    Histogram(&'static [f64]),
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Metric {
    pub name: &'static str,
    pub kind: Kind,
    pub help: &'static str,
}

const SYNC_BUCKETS: &[f64] = &[0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0];
const REQUEST_BUCKETS: &[f64] = &[0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
const WAIT_BUCKETS: &[f64] = &[0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0];
const API_BUCKETS: &[f64] = &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];

pub const BUILD: &str = "rollcall_build_info";
pub const FEED_LAST_SUCCESS: &str = "rollcall_feed_last_success_timestamp_seconds";
pub const FEED_LAST_ATTEMPT: &str = "rollcall_feed_last_attempt_timestamp_seconds";
pub const FEED_FAILURES: &str = "rollcall_feed_consecutive_failures";
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
pub const STORE_ERRORS: &str = "rollcall_store_errors_total";

const fn metric(name: &'static str, kind: Kind, help: &'static str) -> Metric {
    Metric { name, kind, help }
}

/// There only where there is such a time, so that no recorder keeps them; see [`super::times`].
pub const FEED_SYNC_ENABLED: Metric = metric(
    "rollcall_feed_sync_enabled",
    Kind::Gauge,
    "1 where the feed is to be synced by itself, 0 where by hand: without a schedule, paused, or after the final sync.",
);
pub const FEED_NEXT_RUN: Metric =
    metric("rollcall_feed_next_run_timestamp_seconds", Kind::Gauge, "When the feed is synced next by itself.");
pub const FEED_FRESH_UNTIL: Metric = metric(
    "rollcall_feed_fresh_until_timestamp_seconds",
    Kind::Gauge,
    "When the feed is overdue: the second time of its schedule after its last success, and 15 minutes.",
);

/// All metrics, in the order of OBSERVABILITY's table.
pub const CATALOGUE: &[Metric] = &[
    metric(BUILD, Kind::Gauge, "Always 1; the labels tell the build."),
    FEED_SYNC_ENABLED,
    metric(FEED_LAST_SUCCESS, Kind::Gauge, "When the feed was last synced whole; 0 if never."),
    metric(FEED_LAST_ATTEMPT, Kind::Gauge, "When a sync of the feed last ended, however; 0 if never."),
    FEED_NEXT_RUN,
    FEED_FRESH_UNTIL,
    metric(FEED_FAILURES, Kind::Gauge, "Failed syncs of the feed since its last success."),
    metric(EVENT_ATTENDEES, Kind::Gauge, "People with a place in the event, by state (active, inactive)."),
    metric(USERS, Kind::Gauge, "Users of the community."),
    metric(GROUPS, Kind::Gauge, "Groups of the community."),
    metric(
        SYNC_RUNS,
        Kind::Counter,
        "Runs ended, by trigger and outcome; a held run counts again when it is decided, dry runs never.",
    ),
    metric(SYNC_ERRORS, Kind::Counter, "Failed runs by reason."),
    metric(SYNC_DURATION, Kind::Histogram(SYNC_BUCKETS), "How long runs take."),
    metric(SYNC_IN_PROGRESS, Kind::Gauge, "1 while a run of the feed goes on."),
    metric(SYNC_CHANGES, Kind::Counter, "What runs changed: people, and unchanged, skipped or rejected records."),
    metric(SYNC_PAGES, Kind::Counter, "Pages read."),
    metric(SYNC_BYTES, Kind::Counter, "Bytes read, decompressed."),
    metric(RUNS_HELD, Kind::Gauge, "Runs that wait for somebody to approve or reject them."),
    metric(SOURCE_REQUESTS, Kind::Counter, "Requests to the source by answer (2xx, 3xx, 4xx, 429, 5xx, error)."),
    metric(SOURCE_REQUEST_DURATION, Kind::Histogram(REQUEST_BUCKETS), "How long the source takes to answer."),
    metric(SOURCE_BUDGET_WAIT, Kind::Histogram(WAIT_BUCKETS), "How long requests wait for the source's budget."),
    metric(SOURCE_BUDGET_REMAINING, Kind::Gauge, "Requests left in each window of the budget."),
    metric(
        CREDENTIAL_EXPIRY,
        Kind::Gauge,
        "When the token of a source that logs in expires, once one with an end is held.",
    ),
    metric(
        HOOKS,
        Kind::Counter,
        "Hooks of the source by outcome (accepted, repeated, unmatched, malformed, refused, shut), where it sends any.",
    ),
    metric(HTTP_REQUESTS, Kind::Counter, "Requests to this API by route template, method and status."),
    metric(HTTP_REQUEST_DURATION, Kind::Histogram(API_BUCKETS), "How long this API takes to answer."),
    metric(HTTP_AUTH_FAILURES, Kind::Counter, "Refused requests by reason (missing, unknown, scope)."),
    metric(MAIL_MESSAGES, Kind::Counter, "Attempts to send a mail by outcome (sent, deferred, failed)."),
    metric(OUTBOX_MESSAGES, Kind::Gauge, "Mails that wait to be sent, but for those of events that are held."),
    metric(OUTBOX_OLDEST, Kind::Gauge, "When the mail was queued that waits longest; 0 if none does."),
    metric(TOMBSTONES, Kind::Gauge, "People who were erased and are kept out."),
    metric(ERASURES, Kind::Counter, "People erased by hand."),
    metric(COMPACTIONS, Kind::Counter, "Rewritings of the store by outcome (done, failed)."),
    metric(STORE_SIZE, Kind::Gauge, "Bytes of the store on disk."),
    metric(STORE_ERRORS, Kind::Counter, "Failures of the store by operation (read, write)."),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_conventions() {
        for Metric { name, kind, help } in CATALOGUE {
            assert!(name.starts_with("rollcall_"), "{name}");
            assert_eq!(name.ends_with("_total"), *kind == Kind::Counter, "{name}: _total marks counters");
            assert!(help.ends_with('.'), "{name}");
            assert_eq!(CATALOGUE.iter().filter(|other| other.name == *name).count(), 1, "{name}");
        }
    }
}
