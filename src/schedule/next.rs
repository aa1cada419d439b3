//! When a feed is synced next, and why; or why not.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::times::Times;
use crate::limits::{
    CLOCK_SLIP_MAX, FINAL_RETRIED_FOR, FINAL_RETRY_MAX, FRESH_GRACE, SCHEDULE_RETRY_BASE, SCHEDULE_RETRY_MAX,
};
use crate::model::FeedState;

/// What is known of a feed's syncs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    /// When its last sync began, and when it ended.
    pub last_began: Option<Timestamp>,
    pub last_attempt: Option<Timestamp>,
    pub last_success_began: Option<Timestamp>,
    pub failing_since: Option<Timestamp>,
    pub consecutive_failures: u32,
    /// When a sync goes on by itself that found its source's quota used up.
    pub goes_on_at: Option<Timestamp>,
    /// A run of it waits for a decision.
    pub is_held: bool,
    /// Nothing of its event happens by itself.
    pub is_paused: bool,
}

impl History {
    pub fn of(state: &FeedState, is_held: bool, is_paused: bool) -> Self {
        Self {
            last_began: state.last_began,
            last_attempt: state.last_attempt,
            last_success_began: state.last_success_began,
            failing_since: state.failing_since,
            consecutive_failures: state.consecutive_failures,
            goes_on_at: state.goes_on_at,
            is_held,
            is_paused,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Then a sync begins; a time that is over means at once.
    At(Timestamp, Why),
    None(Idle),
}

/// Why a sync begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// It was never synced.
    First,
    Time,
    /// The last sync failed.
    Retry,
    Final,
    /// The final sync failed.
    FinalRetry,
}

/// Why none begins by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Idle {
    /// It is synced by hand.
    Off,
    Paused,
    /// No time is left.
    Over,
    /// The final sync's plan waits for a decision.
    FinalHeld,
    FinalDone,
    FinalGivenUp,
}

impl Next {
    pub const fn at(self) -> Option<Timestamp> {
        match self {
            Self::At(at, _) => Some(at),
            Self::None(_) => None,
        }
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::At(_, Why::First) => "first",
            Self::At(_, Why::Time) => "time",
            Self::At(_, Why::Retry) => "retry",
            Self::At(_, Why::Final) => "final",
            Self::At(_, Why::FinalRetry) => "final_retry",
            Self::None(Idle::Off) => "off",
            Self::None(Idle::Paused) => "paused",
            Self::None(Idle::Over) => "over",
            Self::None(Idle::FinalHeld) => "final_held",
            Self::None(Idle::FinalDone) => "final_done",
            Self::None(Idle::FinalGivenUp) => "final_given_up",
        }
    }
}

/// What became of the final sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FinalState {
    Pending,
    /// A sync that began at its time or later succeeded.
    Done,
    /// None did for a day.
    GivenUp,
}

impl FinalState {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Done => "done",
            Self::GivenUp => "given_up",
        }
    }

    /// Does nothing happen by itself any more?
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Done | Self::GivenUp)
    }
}

/// `None` where there is no final sync.
pub fn final_state(now: Timestamp, times: &Times<'_>, history: &History) -> Option<FinalState> {
    let last = times.final_sync()?;
    let since = |time: Option<Timestamp>| time.is_some_and(|time| time >= last);
    if since(history.last_success_began) {
        return Some(FinalState::Done);
    }
    // Where nothing could be tried at its time, the day begins when it was first tried.
    let from = history.failing_since.unwrap_or(last).max(last);
    let is_over = from.checked_add(FINAL_RETRIED_FOR).is_ok_and(|until| now >= until);
    Some(if since(history.last_began) && is_over { FinalState::GivenUp } else { FinalState::Pending })
}

/// When the next sync begins. `steady_since`: from then on the clock has not been set back, as far as is known.
pub fn next(now: Timestamp, times: Option<&Times<'_>>, history: &History, steady_since: Timestamp) -> Next {
    let Some(times) = times else { return Next::None(Idle::Off) };
    match final_state(now, times, history) {
        Some(FinalState::Done) => return Next::None(Idle::FinalDone),
        Some(FinalState::GivenUp) => return Next::None(Idle::FinalGivenUp),
        Some(FinalState::Pending) | None => {}
    }
    if history.is_paused {
        return Next::None(Idle::Paused);
    }
    let next = match times.final_sync() {
        Some(last) if history.last_began.is_some_and(|began| began >= last) => final_again(times, history),
        _ => earliest(now, times, history, steady_since),
    };
    match next {
        // Before its quota opens, a sync would fail at once.
        Next::At(at, why) => Next::At(history.goes_on_at.map_or(at, |opens| at.max(opens)), why),
        Next::None(_) => next,
    }
}

fn earliest(now: Timestamp, times: &Times<'_>, history: &History, steady_since: Timestamp) -> Next {
    let done = history.last_began.max(history.last_attempt);
    let regular = match done {
        Some(done) => times.after(believable(done, now, times, steady_since)).map(|at| (at, Why::Time)),
        None => times.first(now).map(|at| (at, Why::First)),
    };
    let again = retry_at(now, times, history).map(|at| (at, Why::Retry));
    let last = times.final_begins().map(|at| (at, Why::Final));
    let earliest = [regular, again, last].into_iter().flatten().min_by_key(|(at, _)| *at);
    earliest.map_or(Next::None(Idle::Over), |(at, why)| Next::At(at, why))
}

/// Until when the times are done. A clock that was set back a little shows times again for which a sync was: these are not to
/// come twice. One that was set back far had been wrong, and what was done by it says nothing of the times to come.
fn believable(done: Timestamp, now: Timestamp, times: &Times<'_>, steady_since: Timestamp) -> Timestamp {
    let steady_since = steady_since.min(now);
    let half_a_gap = times.gap(steady_since) / 2;
    let is_within = |since: Timestamp, most| Duration::try_from(done.duration_since(since)).is_ok_and(|by| by < most);
    let is_believable =
        done <= now || is_within(steady_since, half_a_gap) || is_within(now, half_a_gap.min(CLOCK_SLIP_MAX));
    if is_believable { done } else { steady_since }
}

/// After a failure; the regular time comes anyway.
fn retry_at(now: Timestamp, times: &Times<'_>, history: &History) -> Option<Timestamp> {
    if history.consecutive_failures == 0 || history.is_held {
        return None;
    }
    let failed = history.last_attempt.filter(|failed| *failed <= now)?;
    let at = failed.checked_add(back_off(history.consecutive_failures)).ok()?;
    let is_wanted = times.is_live(at) && times.final_sync().is_none_or(|last| at < last);
    is_wanted.then_some(at)
}

fn back_off(failures: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    (SCHEDULE_RETRY_BASE * 2_u32.pow(doublings)).min(SCHEDULE_RETRY_MAX)
}

/// The final sync was tried. Whoever is to decide on its plan is not given a newer one again and again.
fn final_again(times: &Times<'_>, history: &History) -> Next {
    if history.is_held {
        return Next::None(Idle::FinalHeld);
    }
    let Some(tried) = history.last_began.max(history.last_attempt) else { return Next::None(Idle::Over) };
    let longest = times.gap(tried).min(FINAL_RETRY_MAX);
    let pause = match history.consecutive_failures {
        // Somebody cancelled it, or discarded its plan.
        0 => longest,
        failures => back_off(failures).min(longest),
    };
    tried.checked_add(pause).map_or(Next::None(Idle::Over), |at| Next::At(at, Why::FinalRetry))
}

/// Until when what is known of a feed is as fresh as its schedule promises: the second time after its last success, and a
/// little longer. `None` where it promises nothing.
pub fn fresh_until(now: Timestamp, times: Option<&Times<'_>>, history: &History) -> Option<Timestamp> {
    let times = times.filter(|_| !history.is_paused)?;
    if final_state(now, times, history) == Some(FinalState::Done) {
        return None;
    }
    let since = history.last_success_began.or(history.failing_since).or(history.last_began)?;
    let after = |moment: Timestamp| {
        let last = || times.final_begins().filter(|at| *at > moment);
        times.after(moment).or_else(last)
    };
    let first = after(since)?;
    after(first).unwrap_or(first).checked_add(SignedDuration::try_from(FRESH_GRACE).ok()?).ok()
}
