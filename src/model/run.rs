//! A run: one execution of a feed's sync, as history keeps it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Decision, Doubt, FeedId, RunId};

/// One execution of a feed's sync.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    pub id: RunId,
    pub feed: FeedId,
    pub trigger: Trigger,
    /// Planned and written down, never committed.
    pub dry_run: bool,
    /// Every record was mapped anew, whatever its digest.
    pub full: bool,
    pub started_at: Timestamp,
    /// `None` while the run goes on.
    pub ended_at: Option<Timestamp>,
    pub outcome: Option<RunOutcome>,
    /// Why the guard held it, or would have held the dry run.
    pub held: Vec<Doubt>,
    /// Until when a held run waits for a decision.
    pub expires_at: Option<Timestamp>,
    /// The decision on a held run, or to undo one.
    pub decision: Option<Decision>,
    /// Why it deserves a look though nothing held it.
    pub degraded: Vec<Doubt>,
    pub error: Option<RunError>,
    /// Every page was read and the count reconciles, so that absence means something.
    pub complete: bool,
    pub counts: Counts,
    pub traffic: Traffic,
    /// The run that this one undoes.
    pub undoes: Option<RunId>,
    /// The run that undid this one, wholly.
    pub undone_by: Option<RunId>,
    /// Journal entries committed so far.
    pub applied: u64,
    /// Journal entries planned; `None` until the journal is complete.
    pub planned: Option<u64>,
    /// What went on, oldest first; bounded.
    pub log: Vec<LogLine>,
}

impl Run {
    /// One that begins; history gives it its number.
    pub fn new(feed: FeedId, trigger: Trigger, started_at: Timestamp) -> Self {
        Self {
            id: RunId(0),
            feed,
            trigger,
            dry_run: false,
            full: false,
            started_at,
            ended_at: None,
            outcome: None,
            held: Vec::new(),
            expires_at: None,
            decision: None,
            degraded: Vec::new(),
            error: None,
            complete: false,
            counts: Counts::default(),
            traffic: Traffic::default(),
            undoes: None,
            undone_by: None,
            applied: 0,
            planned: None,
            log: Vec::new(),
        }
    }

    /// Does it wait for a decision?
    pub fn is_held(&self) -> bool {
        self.outcome == Some(RunOutcome::Held)
    }

    /// Did somebody approve it, or have it undo another, so that it is to be committed whatever comes between?
    pub fn is_approved(&self) -> bool {
        self.decision.is_some() && !self.is_held() && self.outcome != Some(RunOutcome::Rejected)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// `rollcall sync`
    Cli,
    /// `POST …/sync`
    Api,
    /// A source's hook had everything read.
    Hook,
    /// A source's hook named records, and only these were read.
    Hint,
    /// Somebody had a run undone.
    Undo,
    /// Its time had come.
    Schedule,
    /// People signed in, and their profiles came.
    SignIn,
    /// Profiles of people who had signed in were asked for anew.
    Refresh,
}

impl Trigger {
    pub const ALL: [Self; 8] =
        [Self::Cli, Self::Api, Self::Hook, Self::Hint, Self::Undo, Self::Schedule, Self::SignIn, Self::Refresh];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cli => "cli",
            Self::Api => "api",
            Self::Hook => "hook",
            Self::Hint => "hint",
            Self::Undo => "undo",
            Self::Schedule => "schedule",
            Self::SignIn => "sign_in",
            Self::Refresh => "refresh",
        }
    }

    /// Was only some of the feed looked at? Such a run changes people and nothing else: what is known of the feed (how far
    /// it was read, when it last succeeded, what it waits for) is of its syncs.
    pub const fn is_partial(self) -> bool {
        matches!(self, Self::Hint) || self.is_of_logins()
    }

    /// Is it about people who signed in?
    pub const fn is_of_logins(self) -> bool {
        matches!(self, Self::SignIn | Self::Refresh)
    }

    /// Does such a run read the list of its source, so that it says how the feed stands?
    pub const fn is_sync(self) -> bool {
        !self.is_partial() && !matches!(self, Self::Undo)
    }
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunOutcome {
    Done,
    Failed,
    Cancelled,
    /// Nothing is written until somebody approves the plan.
    Held,
    /// Held, and discarded by somebody.
    Rejected,
    /// Held, and a newer run of the feed has a plan.
    Superseded,
    /// Held, and nobody decided in time.
    Expired,
}

impl RunOutcome {
    pub const ALL: [Self; 7] =
        [Self::Done, Self::Failed, Self::Cancelled, Self::Held, Self::Rejected, Self::Superseded, Self::Expired];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Held => "held",
            Self::Rejected => "rejected",
            Self::Superseded => "superseded",
            Self::Expired => "expired",
        }
    }
}

/// Why a run failed: a word for metrics and a sentence for people. Neither holds personal data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunError {
    pub reason: ErrorReason,
    /// What happened, where.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

/// The fixed list of reasons (a short one, for they are metric labels).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorReason {
    /// Refused, DNS, reset.
    Connect,
    Tls,
    /// Connect, idle or run time-out.
    Timeout,
    /// 401 or 403.
    Auth,
    /// Another status that is no success.
    Status,
    /// 429 until the tries were used up.
    RateLimited,
    /// Truncated or invalid answer.
    Decode,
    /// The body is fine but `select` finds no list in it.
    Select,
    TooLarge,
    PagingLoop,
    Redirect,
    /// The request cannot be built from the config and the event's params.
    Config,
    DiskFull,
    Store,
    /// The process ended before the run did.
    Interrupted,
    Internal,
    /// The allowance for the day (or another long window) is used up.
    Quota,
}

impl ErrorReason {
    pub const ALL: [Self; 17] = [
        Self::Connect,
        Self::Tls,
        Self::Timeout,
        Self::Auth,
        Self::Status,
        Self::RateLimited,
        Self::Decode,
        Self::Select,
        Self::TooLarge,
        Self::PagingLoop,
        Self::Redirect,
        Self::Config,
        Self::DiskFull,
        Self::Store,
        Self::Interrupted,
        Self::Internal,
        Self::Quota,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Timeout => "timeout",
            Self::Auth => "auth",
            Self::Status => "status",
            Self::RateLimited => "rate_limited",
            Self::Decode => "decode",
            Self::Select => "select",
            Self::TooLarge => "too_large",
            Self::PagingLoop => "paging_loop",
            Self::Redirect => "redirect",
            Self::Config => "config",
            Self::DiskFull => "disk_full",
            Self::Store => "store",
            Self::Interrupted => "interrupted",
            Self::Internal => "internal",
            Self::Quota => "quota",
        }
    }
}

/// What a run counted. Records: `records = unchanged + changed + skip + reject`, where changed records
/// become the people counted in the other four.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    pub records: u64,
    /// Records equal to the last time.
    pub unchanged: u64,
    /// People.
    pub create: u64,
    pub update: u64,
    pub remove: u64,
    pub delete: u64,
    /// Records.
    pub skip: u64,
    pub reject: u64,
    /// Of `skip`: records that lost to another with the same external id.
    pub duplicates: u64,
    /// Registrations of the feed that this complete read did not find.
    pub missing: u64,
    /// People whose registrations in this feed bear differing names under one email.
    pub shared_email: u64,
}

/// What a run asked of its source.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Traffic {
    pub pages: u64,
    /// Decompressed.
    pub bytes: u64,
    pub requests: u64,
    pub retries: u64,
    /// Time spent waiting for the source's budget or its `Retry-After`, in milliseconds.
    pub wait_ms: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    pub at: Timestamp,
    pub level: Level,
    pub text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    Info,
    Warn,
    Error,
}
