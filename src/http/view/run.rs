//! Runs: history, progress, log.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::{DecisionView, DoubtView};
use crate::model::{Counts, Level, LogLine, Run, RunError, Traffic};
use crate::sync::{Phase, Progress};

/// One execution of a feed's sync.
#[derive(Serialize, ToSchema)]
#[schema(as = Run)]
pub struct RunView {
    id: u64,
    event: String,
    source: String,
    /// `cli`, `api`, `hook`, `hint` or `undo`.
    trigger: &'static str,
    /// Planned and written down, never committed.
    dry_run: bool,
    /// Every record was mapped anew.
    full: bool,
    #[schema(value_type = String, format = DateTime)]
    started_at: Timestamp,
    /// Null while the run goes on.
    #[schema(value_type = Option<String>, format = DateTime)]
    ended_at: Option<Timestamp>,
    /// `done`, `failed`, `cancelled`, `held`, `rejected`, `superseded` or `expired`; null while the run goes on.
    outcome: Option<&'static str>,
    /// Why the guard held it; of a dry run, why it would.
    held: Vec<DoubtView>,
    /// Until when it waits, if it is held.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
    /// The decision on a run that was held, or to undo one.
    decision: Option<DecisionView>,
    /// Why it deserves a look though nothing held it.
    degraded: Vec<DoubtView>,
    error: Option<RunErrorView>,
    /// Every page was read and the count reconciles.
    complete: bool,
    counts: CountsView,
    traffic: TrafficView,
    /// The run that this one undoes.
    undoes: Option<u64>,
    /// The run that undid this one.
    undone_by: Option<u64>,
    /// Entries of the plan; null until it is whole.
    planned: Option<u64>,
    /// Entries of the plan that are committed.
    applied: u64,
    /// How far it is; null when it has ended.
    progress: Option<ProgressView>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = RunError)]
pub struct RunErrorView {
    /// One of a fixed list, e.g. `connect`, `auth`, `decode`.
    reason: &'static str,
    /// What happened, where.
    message: String,
    /// What to do about it.
    hint: String,
}

/// What a run counted: `records = unchanged + changed + skip + reject`.
#[derive(Serialize, ToSchema)]
#[schema(as = Counts)]
pub struct CountsView {
    records: u64,
    /// Records equal to the last time.
    unchanged: u64,
    /// People new to the community or to the event.
    create: u64,
    /// People of whom something visible changed.
    update: u64,
    /// People no longer in the event.
    remove: u64,
    /// People deleted permanently.
    delete: u64,
    /// Records that change nobody.
    skip: u64,
    /// Records that cannot be used.
    reject: u64,
    /// Of `skip`: records that lost to another with the same external id.
    duplicates: u64,
    /// Registrations that a complete read did not find.
    missing: u64,
    /// People whose registrations bear differing names under one email.
    shared_email: u64,
}

/// What a run asked of its source.
#[derive(Serialize, ToSchema)]
#[schema(as = Traffic)]
pub struct TrafficView {
    pages: u64,
    /// Decompressed.
    bytes: u64,
    requests: u64,
    retries: u64,
    /// Time spent waiting for the source's allowance, in milliseconds.
    wait_ms: u64,
}

/// How far a run is.
#[derive(Serialize, ToSchema)]
#[schema(as = Progress)]
pub struct ProgressView {
    phase: PhaseView,
    /// Pages and records read.
    pages: u64,
    records: u64,
    /// Entries planned and committed.
    planned: u64,
    applied: u64,
    /// The source's allowance holds the run for this long, in milliseconds.
    waiting_ms: u64,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Phase)]
#[serde(rename_all = "snake_case")]
enum PhaseView {
    Reading,
    Planning,
    Committing,
    Ended,
}

#[derive(Serialize, ToSchema)]
#[schema(as = LogLine)]
pub struct LogLineView {
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    level: LevelView,
    text: String,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Level)]
#[serde(rename_all = "snake_case")]
enum LevelView {
    Info,
    Warn,
    Error,
}

/// A run that was started, or that goes on already.
#[derive(Serialize, ToSchema)]
#[schema(as = Started)]
pub struct StartedView {
    pub run: u64,
    pub event: String,
    pub source: String,
    pub already_running: bool,
}

/// One run for each feed.
#[derive(Serialize, ToSchema)]
#[schema(as = Sync)]
pub struct SyncView {
    pub runs: Vec<StartedView>,
}

/// The same when every run has ended.
#[derive(Serialize, ToSchema)]
#[schema(as = SyncEnded)]
pub struct EndedView {
    pub runs: Vec<RunView>,
}

impl RunView {
    pub fn of(run: &Run, progress: Option<Progress>) -> Self {
        Self {
            id: run.id.0,
            event: run.feed.event.to_string(),
            source: run.feed.source.to_string(),
            trigger: run.trigger.as_str(),
            dry_run: run.dry_run,
            full: run.full,
            started_at: run.started_at,
            ended_at: run.ended_at,
            outcome: run.outcome.map(|outcome| outcome.as_str()),
            held: run.held.iter().map(DoubtView::from).collect(),
            expires_at: run.expires_at,
            decision: run.decision.as_ref().map(DecisionView::from),
            degraded: run.degraded.iter().map(DoubtView::from).collect(),
            error: run.error.as_ref().map(RunErrorView::from),
            complete: run.complete,
            counts: run.counts.into(),
            traffic: run.traffic.into(),
            undoes: run.undoes.map(|run| run.0),
            undone_by: run.undone_by.map(|run| run.0),
            planned: run.planned,
            applied: run.applied,
            progress: progress.map(ProgressView::from),
        }
    }
}

impl From<&RunError> for RunErrorView {
    fn from(RunError { reason, message, hint }: &RunError) -> Self {
        Self { reason: reason.as_str(), message: message.clone(), hint: hint.clone() }
    }
}

impl From<Counts> for CountsView {
    fn from(counts: Counts) -> Self {
        let Counts {
            records,
            unchanged,
            create,
            update,
            remove,
            delete,
            skip,
            reject,
            duplicates,
            missing,
            shared_email,
        } = counts;
        Self { records, unchanged, create, update, remove, delete, skip, reject, duplicates, missing, shared_email }
    }
}

impl From<Traffic> for TrafficView {
    fn from(Traffic { pages, bytes, requests, retries, wait_ms }: Traffic) -> Self {
        Self { pages, bytes, requests, retries, wait_ms }
    }
}

impl From<Progress> for ProgressView {
    fn from(Progress { phase, pages, records, planned, applied, waiting_ms }: Progress) -> Self {
        let phase = match phase {
            Phase::Reading => PhaseView::Reading,
            Phase::Planning => PhaseView::Planning,
            Phase::Committing => PhaseView::Committing,
            Phase::Ended => PhaseView::Ended,
        };
        Self { phase, pages, records, planned, applied, waiting_ms }
    }
}

impl From<&LogLine> for LogLineView {
    fn from(LogLine { at, level, text }: &LogLine) -> Self {
        let level = match level {
            Level::Info => LevelView::Info,
            Level::Warn => LevelView::Warn,
            Level::Error => LevelView::Error,
        };
        Self { at: *at, level, text: text.clone() }
    }
}
