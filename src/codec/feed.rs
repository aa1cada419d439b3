//! What is remembered of a feed between runs.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::convert::{digest, millis};
use super::seal::{self, CodecError, Kind};
use super::{v1, v2, v3};
use crate::model::{Digest, FeedPosition, FeedState, RunId, Validators};

pub fn encode_feed_state(state: &FeedState) -> Vec<u8> {
    let FeedState {
        complete_reads,
        last_run,
        last_attempt,
        last_success,
        consecutive_failures,
        position,
        goes_on_at,
        ..
    } = state;
    let before = v2::FeedState {
        complete_reads: *complete_reads,
        last_run: last_run.map(|RunId(id)| id),
        last_attempt_ms: last_attempt.map(Timestamp::as_millisecond),
        last_success_ms: last_success.map(Timestamp::as_millisecond),
        consecutive_failures: *consecutive_failures,
        position: position.as_ref().map(position_to_v2),
        goes_on_at_ms: goes_on_at.map(Timestamp::as_millisecond),
    };
    let stored = v3::FeedState {
        before,
        last_began_ms: state.last_began.map(Timestamp::as_millisecond),
        last_success_began_ms: state.last_success_began.map(Timestamp::as_millisecond),
        failing_since_ms: state.failing_since.map(Timestamp::as_millisecond),
    };
    seal::write(Kind::Feed, &stored)
}

pub(super) fn position_to_v2(position: &FeedPosition) -> v2::FeedPosition<'_> {
    v2::FeedPosition {
        seed: position.seed,
        read_whole_at_ms: position.read_whole_at.map(Timestamp::as_millisecond),
        watermarks: position.watermarks.iter().map(stored_watermark).collect(),
        etag: position.validators.etag.as_deref(),
        last_modified: position.validators.last_modified.as_deref(),
    }
}

fn stored_watermark((partition, at): (&Digest, &Timestamp)) -> ([u8; 16], i64, i32) {
    (partition.0.to_le_bytes(), at.as_second(), at.subsec_nanosecond())
}

pub fn decode_feed_state(sealed: &[u8]) -> Result<FeedState, CodecError> {
    match seal::open_version(Kind::Feed, sealed)? {
        (1, payload) => feed_state_of_v1(&seal::read_payload(Kind::Feed, payload)?),
        (2, payload) => feed_state_of_v2(&seal::read_payload(Kind::Feed, payload)?),
        (_, payload) => {
            let stored: v3::FeedState<'_> = seal::read_payload(Kind::Feed, payload)?;
            Ok(FeedState {
                last_began: feed_time(stored.last_began_ms)?,
                last_success_began: feed_time(stored.last_success_began_ms)?,
                failing_since: feed_time(stored.failing_since_ms)?,
                ..feed_state_of_v2(&stored.before)?
            })
        }
    }
}

fn feed_state_of_v2(stored: &v2::FeedState<'_>) -> Result<FeedState, CodecError> {
    let v1 = v1::FeedState {
        complete_reads: stored.complete_reads,
        last_run: stored.last_run,
        last_attempt_ms: stored.last_attempt_ms,
        last_success_ms: stored.last_success_ms,
        consecutive_failures: stored.consecutive_failures,
    };
    Ok(FeedState {
        position: stored.position.as_ref().map(|position| position_from_v2(Kind::Feed, position)).transpose()?,
        goes_on_at: feed_time(stored.goes_on_at_ms)?,
        ..feed_state_of_v1(&v1)?
    })
}

fn feed_state_of_v1(stored: &v1::FeedState) -> Result<FeedState, CodecError> {
    Ok(FeedState {
        complete_reads: stored.complete_reads,
        last_run: stored.last_run.map(RunId),
        last_attempt: feed_time(stored.last_attempt_ms)?,
        last_success: feed_time(stored.last_success_ms)?,
        consecutive_failures: stored.consecutive_failures,
        ..FeedState::default()
    })
}

fn feed_time(at: Option<i64>) -> Result<Option<Timestamp>, CodecError> {
    at.map(|at| millis(Kind::Feed, at)).transpose()
}

pub(super) fn position_from_v2(kind: Kind, stored: &v2::FeedPosition<'_>) -> Result<FeedPosition, CodecError> {
    let mut watermarks = BTreeMap::new();
    for (partition, seconds, nanos) in &stored.watermarks {
        let at = Timestamp::new(*seconds, *nanos).map_err(|error| CodecError::malformed(kind, error))?;
        watermarks.insert(digest(*partition), at);
    }
    Ok(FeedPosition {
        seed: stored.seed,
        read_whole_at: stored.read_whole_at_ms.map(|at| millis(kind, at)).transpose()?,
        watermarks,
        validators: Validators {
            etag: stored.etag.map(str::to_owned),
            last_modified: stored.last_modified.map(str::to_owned),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::seal::append;

    /// As version 2 wrote it; version 1 is in the fixtures.
    #[test]
    fn a_state_of_an_older_version_opens() {
        let stored = v2::FeedState {
            complete_reads: 3,
            last_run: Some(9),
            last_attempt_ms: Some(2_000),
            last_success_ms: Some(1_000),
            consecutive_failures: 1,
            position: None,
            goes_on_at_ms: Some(3_000),
        };
        let sealed = seal::write_with(Kind::Feed, 2, |bytes| append(bytes, &stored));
        let at = |second| Timestamp::from_second(second).ok();
        let expected = FeedState {
            complete_reads: 3,
            last_run: Some(RunId(9)),
            last_attempt: at(2),
            last_success: at(1),
            consecutive_failures: 1,
            goes_on_at: at(3),
            ..FeedState::default()
        };
        assert_eq!(decode_feed_state(&sealed), Ok(expected.clone()));
        let since = FeedState { last_began: at(4), last_success_began: at(5), failing_since: at(6), ..expected };
        assert_eq!(decode_feed_state(&encode_feed_state(&since)), Ok(since));
    }
}
