//! Runs, events, groups, tokens and the store's own counters.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::convert::{millis, named_feed};
use super::seal::{self, CodecError, Kind};
use super::{v1, v2, v3};
use crate::model::{
    Access, Counts, Decision, Doubt, DoubtKind, ErrorReason, Event, EventName, FeedSettings, Group, GroupKey,
    GuardSettings, Invitations, Level, LogLine, Missing, NameError, Run, RunError, RunId, RunOutcome, SafetySettings,
    SourceName, TokenId, Traffic, Trigger,
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
    let settings = serde_json::to_string(event).expect("settings are texts, numbers and lists of them");
    seal::write(Kind::Event, &v3::Event { settings: &settings })
}

fn safety_from_v2(stored: &v2::Safety) -> SafetySettings {
    let v2::Safety { missing, missing_runs, enabled, max_removed, max_deleted, min_expected, max_rejected, held_days } =
        *stored;
    let missing = missing.map(|missing| match missing {
        v2::Missing::Keep => Missing::Keep,
        v2::Missing::Remove => Missing::Remove,
    });
    let guard = GuardSettings { enabled, max_removed, max_deleted, min_expected, max_rejected, held_days };
    SafetySettings { missing, missing_runs, guard }
}

pub fn decode_event(sealed: &[u8]) -> Result<Event, CodecError> {
    let malformed = |error: NameError| CodecError::malformed(Kind::Event, error);
    let stored: v2::Event<'_> = match seal::open_version(Kind::Event, sealed)? {
        (1, payload) => {
            let v1::Event { name, title, starts_at_ms, feeds } = seal::read_payload(Kind::Event, payload)?;
            let feed = |v1::Feed { source, params }| v2::Feed { source, params, safety: v2::Safety::default() };
            v2::Event { name, title, starts_at_ms, feeds: feeds.into_iter().map(feed).collect() }
        }
        (2, payload) => seal::read_payload(Kind::Event, payload)?,
        (_, payload) => {
            let v3::Event { settings } = seal::read_payload(Kind::Event, payload)?;
            return serde_json::from_str(settings).map_err(|error| CodecError::malformed(Kind::Event, error));
        }
    };
    let mut feeds = Vec::with_capacity(stored.feeds.len());
    for feed in stored.feeds {
        let source = SourceName::parse(feed.source).map_err(malformed)?;
        let params: BTreeMap<_, _> = feed.params.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        feeds.push(FeedSettings {
            source,
            params,
            safety: safety_from_v2(&feed.safety),
            schedule: None,
            mapping: BTreeMap::new(),
        });
    }
    Ok(Event {
        name: EventName::parse(stored.name).map_err(malformed)?,
        title: stored.title.to_owned(),
        starts_at: stored.starts_at_ms.map(|at| millis(Kind::Event, at)).transpose()?,
        ends_at: None,
        zone: TimeZone::UTC,
        schedule: None,
        feeds,
        access: Access::default(),
        invitations: Invitations::default(),
        links: None,
    })
}

pub fn encode_run(run: &Run) -> Vec<u8> {
    let Counts { records, unchanged, create, update, remove, delete, skip, reject, duplicates, missing, shared_email } =
        run.counts;
    let Traffic { pages, bytes, requests, retries, wait_ms } = run.traffic;
    let stored = v2::Run {
        id: run.id.0,
        event: run.feed.event.as_str(),
        source: run.feed.source.as_str(),
        trigger: match run.trigger {
            Trigger::Cli => v1::Trigger::Cli,
            Trigger::Api => v1::Trigger::Api,
            Trigger::Hook => v1::Trigger::Hook,
            Trigger::Hint => v1::Trigger::Hint,
            Trigger::Undo => v1::Trigger::Undo,
            Trigger::Schedule => v1::Trigger::Schedule,
            Trigger::SignIn => v1::Trigger::SignIn,
            Trigger::Refresh => v1::Trigger::Refresh,
        },
        dry_run: run.dry_run,
        full: run.full,
        started_at_ms: run.started_at.as_millisecond(),
        ended_at_ms: run.ended_at.map(Timestamp::as_millisecond),
        outcome: run.outcome.map(RunOutcome::as_str),
        held: run.held.iter().map(stored_doubt).collect(),
        expires_at_ms: run.expires_at.map(Timestamp::as_millisecond),
        decision: run.decision.as_ref().map(|Decision { by, at }| v2::Decision { by, at_ms: at.as_millisecond() }),
        degraded: run.degraded.iter().map(stored_doubt).collect(),
        error: run.error.as_ref().map(|error| v1::RunError {
            reason: error.reason.as_str(),
            message: &error.message,
            hint: &error.hint,
        }),
        complete: run.complete,
        counts: [records, unchanged, create, update, remove, delete, skip, reject, duplicates, missing, shared_email],
        traffic: [pages, bytes, requests, retries, wait_ms],
        undoes: run.undoes.map(|RunId(id)| id),
        undone_by: run.undone_by.map(|RunId(id)| id),
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

fn stored_doubt(Doubt { kind, text }: &Doubt) -> v2::Doubt<'_> {
    v2::Doubt { kind: kind.as_str(), text }
}

/// A run of before the guard.
fn run_of_v1(stored: v1::Run<'_>) -> v2::Run<'_> {
    let outcome = stored.outcome.map(|outcome| match outcome {
        v1::RunOutcome::Done => RunOutcome::Done.as_str(),
        v1::RunOutcome::Failed => RunOutcome::Failed.as_str(),
        v1::RunOutcome::Cancelled => RunOutcome::Cancelled.as_str(),
    });
    v2::Run {
        id: stored.id,
        event: stored.event,
        source: stored.source,
        trigger: stored.trigger,
        dry_run: stored.dry_run,
        full: stored.full,
        started_at_ms: stored.started_at_ms,
        ended_at_ms: stored.ended_at_ms,
        outcome,
        held: Vec::new(),
        expires_at_ms: None,
        decision: None,
        degraded: Vec::new(),
        error: stored.error,
        complete: stored.complete,
        counts: stored.counts,
        traffic: stored.traffic,
        undoes: None,
        undone_by: None,
        applied: stored.applied,
        planned: stored.planned,
        log: stored.log,
    }
}

pub fn decode_run(sealed: &[u8]) -> Result<Run, CodecError> {
    let (version, payload) = seal::open_version(Kind::Run, sealed)?;
    let stored: v2::Run<'_> = if version == 1 {
        run_of_v1(seal::read_payload(Kind::Run, payload)?)
    } else {
        seal::read_payload(Kind::Run, payload)?
    };
    let time = |at: i64| millis(Kind::Run, at);
    let [records, unchanged, create, update, remove, delete, skip, reject, duplicates, missing, shared_email] =
        stored.counts;
    let [pages, bytes, requests, retries, wait_ms] = stored.traffic;
    let outcome = |word: &str| {
        let outcome = RunOutcome::ALL.into_iter().find(|outcome| outcome.as_str() == word);
        outcome.ok_or_else(|| CodecError::malformed(Kind::Run, "an unknown outcome"))
    };
    Ok(Run {
        id: RunId(stored.id),
        feed: named_feed(Kind::Run, stored.event, stored.source)?,
        trigger: match stored.trigger {
            v1::Trigger::Cli => Trigger::Cli,
            v1::Trigger::Api => Trigger::Api,
            v1::Trigger::Hook => Trigger::Hook,
            v1::Trigger::Hint => Trigger::Hint,
            v1::Trigger::Undo => Trigger::Undo,
            v1::Trigger::Schedule => Trigger::Schedule,
            v1::Trigger::SignIn => Trigger::SignIn,
            v1::Trigger::Refresh => Trigger::Refresh,
        },
        dry_run: stored.dry_run,
        full: stored.full,
        started_at: time(stored.started_at_ms)?,
        ended_at: stored.ended_at_ms.map(time).transpose()?,
        outcome: stored.outcome.map(outcome).transpose()?,
        held: stored.held.iter().map(doubt).collect::<Result<_, _>>()?,
        expires_at: stored.expires_at_ms.map(time).transpose()?,
        decision: stored
            .decision
            .map(|v2::Decision { by, at_ms }| Ok(Decision { by: by.into(), at: time(at_ms)? }))
            .transpose()?,
        degraded: stored.degraded.iter().map(doubt).collect::<Result<_, _>>()?,
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
        undoes: stored.undoes.map(RunId),
        undone_by: stored.undone_by.map(RunId),
        applied: stored.applied,
        planned: stored.planned,
        log: stored.log.iter().map(log_line).collect::<Result<_, _>>()?,
    })
}

fn doubt(stored: &v2::Doubt<'_>) -> Result<Doubt, CodecError> {
    let kind = DoubtKind::ALL.into_iter().find(|kind| kind.as_str() == stored.kind);
    let kind = kind.ok_or_else(|| CodecError::malformed(Kind::Run, "an unknown doubt"))?;
    Ok(Doubt { kind, text: stored.text.to_owned() })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::seal::append;

    /// As version 2 wrote it; version 1 is in the fixtures.
    #[test]
    fn an_event_of_an_older_version_opens() {
        let safety = v2::Safety { max_removed: Some(7), missing: Some(v2::Missing::Remove), ..v2::Safety::default() };
        let feed = v2::Feed { source: "crm", params: vec![("event", "4711")], safety };
        let stored = v2::Event { name: "gala", title: "Gala", starts_at_ms: Some(1_000), feeds: vec![feed] };
        let sealed = seal::write_with(Kind::Event, 2, |bytes| append(bytes, &stored));
        let event = decode_event(&sealed).unwrap();
        assert_eq!((event.name.as_str(), event.title.as_str(), event.ends_at), ("gala", "Gala", None));
        assert_eq!((event.starts_at, event.zone.clone()), (Timestamp::from_second(1).ok(), TimeZone::UTC));
        let [feed] = &event.feeds[..] else { panic!("{event:?}") };
        assert_eq!((feed.source.as_str(), feed.params["event"].as_str()), ("crm", "4711"));
        assert_eq!((feed.safety.missing, feed.safety.guard.max_removed), (Some(Missing::Remove), Some(7)));
        assert_eq!(decode_event(&encode_event(&event)), Ok(event));
    }
}
