//! Which sync starts again by itself when the server is back.
//!
//! So does, when its time has come, a sync that found its source's quota used up.
//!
//! A sync that the end of the process cut short while it was reading or planning changed nobody, and whoever asked for
//! it may be gone. So it starts again, once for each time it is cut short. Should the sync itself be what ends the
//! process, that must not go on for ever: after [`CUT_SHORT_MAX`] times in a row nobody but a person starts it.

use jiff::Timestamp;

use crate::limits::CUT_SHORT_MAX;
use crate::model::{ErrorReason, FeedId, Level, LogLine, Run};
use crate::store::{Store, StoreError};

/// The newest run of a feed, if it was cut short and its sync is to start again.
pub fn cut_short(store: &Store, feed: &FeedId) -> Result<Option<Run>, StoreError> {
    let Some(last) = store.feed_state(feed).last_run else { return Ok(None) };
    // Most feeds' last run was not cut short, and then history is not searched.
    if !store.run(last)?.is_some_and(|run| was_cut_short(&run)) {
        return Ok(None);
    }
    let newest = store.runs(None, CUT_SHORT_MAX, |run| is_sync_of(run, feed))?;
    Ok(if may_start_again(&newest) { newest.into_iter().next() } else { None })
}

/// A dry run is none, nor is a hint, which nobody misses once there was a sync, nor an undo.
fn is_sync_of(run: &Run, feed: &FeedId) -> bool {
    run.feed == *feed && !run.dry_run && run.trigger.is_sync()
}

/// Given a feed's runs, newest first.
fn may_start_again(newest: &[Run]) -> bool {
    let in_a_row = newest.iter().take_while(|run| was_cut_short(run)).count();
    (1..CUT_SHORT_MAX).contains(&in_a_row)
}

fn was_cut_short(run: &Run) -> bool {
    run.error.as_ref().is_some_and(|error| error.reason == ErrorReason::Interrupted) && !run.dry_run
}

/// The newest run of a feed, if it found its source's quota used up at the time that is over now, and its sync is to go
/// on. One whose places do not last begins anew each time: that must not use up every day's quota for nothing.
pub fn out_of_quota(store: &Store, feed: &FeedId, over: Timestamp, stable: bool) -> Result<Option<Run>, StoreError> {
    let state = store.feed_state(feed);
    if state.goes_on_at != Some(over) {
        return Ok(None);
    }
    let newest = store.runs(None, CUT_SHORT_MAX, |run| is_sync_of(run, feed))?;
    let was_out = |run: &Run| run.error.as_ref().is_some_and(|error| error.reason == ErrorReason::Quota);
    let in_a_row = newest.iter().take_while(|run| was_out(run)).count();
    let may = if stable { in_a_row > 0 } else { (1..CUT_SHORT_MAX).contains(&in_a_row) };
    Ok(newest.into_iter().next().filter(|_| may))
}

/// A new run like the one that was cut short, or ran out of quota.
pub fn again(cut_short: &Run, now: Timestamp) -> Run {
    let text = format!("starts again what run {} could not finish", cut_short.id);
    let Run { feed, trigger, dry_run, full, .. } = cut_short.clone();
    let log = vec![LogLine { at: now, level: Level::Info, text }];
    Run { dry_run, full, log, ..Run::new(feed, trigger, now) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Counts, EventName, RunError, RunId, RunOutcome, SourceName, Traffic, Trigger};

    fn run(reason: Option<ErrorReason>) -> Run {
        let at = Timestamp::UNIX_EPOCH;
        let error = reason.map(|reason| RunError { reason, message: String::new(), hint: String::new() });
        let feed = FeedId { event: EventName::parse("e").unwrap(), source: SourceName::parse("s").unwrap() };
        Run {
            id: RunId(7),
            full: true,
            ended_at: Some(at),
            outcome: Some(error.as_ref().map_or(RunOutcome::Done, |_| RunOutcome::Failed)),
            error,
            counts: Counts { records: 3, ..Counts::default() },
            traffic: Traffic { pages: 1, ..Traffic::default() },
            planned: Some(3),
            ..Run::new(feed, Trigger::Api, at)
        }
    }

    #[test]
    fn only_what_was_cut_short_starts_again_and_not_for_ever() {
        let (done, failed, cut) = (None, Some(ErrorReason::Connect), Some(ErrorReason::Interrupted));
        for (newest_first, again) in [
            (&[][..], false),
            (&[done], false),
            (&[failed], false),
            (&[done, cut], false),
            (&[failed, cut], false),
            (&[cut], true),
            (&[cut, done], true),
            (&[cut, failed, cut], true),
            (&[cut, cut, done], true),
            (&[cut, cut, cut], false),
        ] {
            let runs: Vec<Run> = newest_first.iter().map(|reason| run(*reason)).collect();
            assert_eq!(may_start_again(&runs), again, "{newest_first:?}");
        }
    }

    #[test]
    fn a_dry_run_does_not_start_again() {
        assert!(!may_start_again(&[Run { dry_run: true, ..run(Some(ErrorReason::Interrupted)) }]));
    }

    #[test]
    fn it_starts_as_it_was_asked_for_and_says_why() {
        let cut_short = run(Some(ErrorReason::Interrupted));
        let again = again(&cut_short, Timestamp::MAX);
        assert_eq!((again.trigger, again.full, again.dry_run), (Trigger::Api, true, false));
        assert_eq!((again.outcome, again.ended_at, again.planned), (None, None, None));
        assert_eq!((again.counts, again.traffic), (Counts::default(), Traffic::default()));
        assert_eq!(again.log[0].text, "starts again what run 7 could not finish");
    }
}
