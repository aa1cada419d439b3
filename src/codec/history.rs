//! Runs, events, groups, tokens and the store's own counters.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::convert::{millis, named_feed};
use super::seal::{self, CodecError, Kind};
use super::v1;
use crate::model::{
    Counts, ErrorReason, Event, EventName, FeedSettings, Group, GroupKey, Level, LogLine, Run, RunError, RunId,
    RunOutcome, SourceName, TokenId, Traffic, Trigger,
};

/// The store's counters, in every batch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Meta {
    /// Counts batches.
    pub generation: u64,
    /// The next user number, never given twice.
    pub next_user: u32,
    /// The next run's id.
    pub next_run: u64,
}

pub fn encode_meta(meta: Meta) -> Vec<u8> {
    let Meta { generation, next_user, next_run } = meta;
    seal::write(Kind::Meta, &v1::Meta { generation, next_user, next_run })
}

pub fn decode_meta(sealed: &[u8]) -> Result<Meta, CodecError> {
    let v1::Meta { generation, next_user, next_run } = seal::read(Kind::Meta, sealed)?;
    Ok(Meta { generation, next_user, next_run })
}

/// An API token as stored: its digest, never itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredToken {
    pub name: String,
    pub sha256: [u8; 32],
    pub scopes: Vec<String>,
    pub created_at: Timestamp,
}

impl StoredToken {
    pub fn id(&self) -> TokenId {
        let [a, b, c, d, e, f, ..] = self.sha256;
        TokenId([a, b, c, d, e, f])
    }
}

pub fn encode_token(token: &StoredToken) -> Vec<u8> {
    let stored = v1::Token {
        name: &token.name,
        sha256: token.sha256,
        scopes: token.scopes.iter().map(String::as_str).collect(),
        created_at_ms: token.created_at.as_millisecond(),
    };
    seal::write(Kind::Token, &stored)
}

pub fn decode_token(sealed: &[u8]) -> Result<StoredToken, CodecError> {
    let stored: v1::Token<'_> = seal::read(Kind::Token, sealed)?;
    Ok(StoredToken {
        name: stored.name.to_owned(),
        sha256: stored.sha256,
        scopes: stored.scopes.into_iter().map(str::to_owned).collect(),
        created_at: millis(Kind::Token, stored.created_at_ms)?,
    })
}

pub fn encode_group(group: &Group) -> Vec<u8> {
    seal::write(Kind::Group, &v1::Group { key: group.key.as_str(), name: &group.name })
}

pub fn decode_group(sealed: &[u8]) -> Result<Group, CodecError> {
    let v1::Group { key, name } = seal::read(Kind::Group, sealed)?;
    Ok(Group { key: GroupKey::from_stored(key.into()), name: name.into() })
}

pub fn encode_event(event: &Event) -> Vec<u8> {
    let feeds = event.feeds.iter().map(|feed| v1::Feed {
        source: feed.source.as_str(),
        params: feed.params.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect(),
    });
    let stored = v1::Event {
        name: event.name.as_str(),
        title: &event.title,
        starts_at_ms: event.starts_at.map(Timestamp::as_millisecond),
        feeds: feeds.collect(),
    };
    seal::write(Kind::Event, &stored)
}

pub fn decode_event(sealed: &[u8]) -> Result<Event, CodecError> {
    let stored: v1::Event<'_> = seal::read(Kind::Event, sealed)?;
    let malformed = |error| CodecError::malformed(Kind::Event, error);
    let mut feeds = Vec::with_capacity(stored.feeds.len());
    for feed in stored.feeds {
        let source = SourceName::parse(feed.source).map_err(malformed)?;
        let params: BTreeMap<_, _> = feed.params.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        feeds.push(FeedSettings { source, params });
    }
    Ok(Event {
        name: EventName::parse(stored.name).map_err(malformed)?,
        title: stored.title.to_owned(),
        starts_at: stored.starts_at_ms.map(|at| millis(Kind::Event, at)).transpose()?,
        feeds,
    })
}

pub fn encode_run(run: &Run) -> Vec<u8> {
    let Counts { records, unchanged, create, update, remove, delete, skip, reject, duplicates, missing, shared_email } =
        run.counts;
    let Traffic { pages, bytes, requests, retries, wait_ms } = run.traffic;
    let stored = v1::Run {
        id: run.id.0,
        event: run.feed.event.as_str(),
        source: run.feed.source.as_str(),
        trigger: match run.trigger {
            Trigger::Cli => v1::Trigger::Cli,
            Trigger::Api => v1::Trigger::Api,
            Trigger::Hook => v1::Trigger::Hook,
            Trigger::Hint => v1::Trigger::Hint,
        },
        dry_run: run.dry_run,
        full: run.full,
        started_at_ms: run.started_at.as_millisecond(),
        ended_at_ms: run.ended_at.map(Timestamp::as_millisecond),
        outcome: run.outcome.map(|outcome| match outcome {
            RunOutcome::Done => v1::RunOutcome::Done,
            RunOutcome::Failed => v1::RunOutcome::Failed,
            RunOutcome::Cancelled => v1::RunOutcome::Cancelled,
        }),
        error: run.error.as_ref().map(|error| v1::RunError {
            reason: error.reason.as_str(),
            message: &error.message,
            hint: &error.hint,
        }),
        complete: run.complete,
        counts: [records, unchanged, create, update, remove, delete, skip, reject, duplicates, missing, shared_email],
        traffic: [pages, bytes, requests, retries, wait_ms],
        applied: run.applied,
        planned: run.planned,
        log: run
            .log
            .iter()
            .map(|line| v1::LogLine { at_ms: line.at.as_millisecond(), level: line.level as u8, text: &line.text })
            .collect(),
    };
    seal::write(Kind::Run, &stored)
}

pub fn decode_run(sealed: &[u8]) -> Result<Run, CodecError> {
    let stored: v1::Run<'_> = seal::read(Kind::Run, sealed)?;
    let time = |at: i64| millis(Kind::Run, at);
    let [records, unchanged, create, update, remove, delete, skip, reject, duplicates, missing, shared_email] =
        stored.counts;
    let [pages, bytes, requests, retries, wait_ms] = stored.traffic;
    Ok(Run {
        id: RunId(stored.id),
        feed: named_feed(Kind::Run, stored.event, stored.source)?,
        trigger: match stored.trigger {
            v1::Trigger::Cli => Trigger::Cli,
            v1::Trigger::Api => Trigger::Api,
            v1::Trigger::Hook => Trigger::Hook,
            v1::Trigger::Hint => Trigger::Hint,
        },
        dry_run: stored.dry_run,
        full: stored.full,
        started_at: time(stored.started_at_ms)?,
        ended_at: stored.ended_at_ms.map(time).transpose()?,
        outcome: stored.outcome.map(|outcome| match outcome {
            v1::RunOutcome::Done => RunOutcome::Done,
            v1::RunOutcome::Failed => RunOutcome::Failed,
            v1::RunOutcome::Cancelled => RunOutcome::Cancelled,
        }),
        error: stored.error.map(|error| run_error(&error)).transpose()?,
        complete: stored.complete,
        counts: Counts {
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
        },
        traffic: Traffic { pages, bytes, requests, retries, wait_ms },
        applied: stored.applied,
        planned: stored.planned,
        log: stored.log.iter().map(log_line).collect::<Result<_, _>>()?,
    })
}

fn run_error(stored: &v1::RunError<'_>) -> Result<RunError, CodecError> {
    let reason = ErrorReason::ALL.into_iter().find(|reason| reason.as_str() == stored.reason);
    Ok(RunError {
        reason: reason.ok_or_else(|| CodecError::malformed(Kind::Run, "an unknown reason"))?,
        message: stored.message.to_owned(),
        hint: stored.hint.to_owned(),
    })
}

fn log_line(stored: &v1::LogLine<'_>) -> Result<LogLine, CodecError> {
    let level = match stored.level {
        0 => Level::Info,
        1 => Level::Warn,
        2 => Level::Error,
        _ => return Err(CodecError::malformed(Kind::Run, "an unknown log level")),
    };
    Ok(LogLine { at: millis(Kind::Run, stored.at_ms)?, level, text: stored.text.to_owned() })
}
