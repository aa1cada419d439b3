//! The request allowance of a source, shared by everything that calls it.
//!
//! Two parts work together. *Pacers* (one token bucket a window) let half of a window's allowance go at once and
//! then spread requests evenly; alone they would admit more than a window's limit. The *ledger* enforces: it knows
//! when each request of the longest window was made and admits none that would be one too many. A request counts
//! from its admission until a window's length after its answer began, because only that long is it certain that
//! the source, too, counts it in an older window whatever the network did to it.
//!
//! Invariant: waiting is fair, first come first served. Time is tokio's, so that tests can stop it.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::clock::Clock as GovernorClock;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::read::WaitReason;
use crate::config::WindowSpec;

/// A source's allowance. Cloning shares it.
#[derive(Clone)]
pub(super) struct Budget {
    shared: Arc<Shared>,
}

struct Shared {
    pacers: Vec<Pacer>,
    ledger: Mutex<Ledger>,
    /// Held by the one caller whose turn it is; tokio's mutex is first come, first served.
    turn: tokio::sync::Mutex<()>,
    /// A request in flight was answered.
    answered: Notify,
}

/// Leave to make one request. Drop it when the answer has begun or the request has failed.
pub(super) struct Permit {
    shared: Arc<Shared>,
}

/// The wait would outlast the caller's deadline.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct OutOfTime {
    pub(super) why: WaitReason,
    /// How long the source is closed from now on, as far as is known.
    pub(super) pause: Duration,
}

impl Budget {
    /// No windows: no limit but the pauses the source asks for.
    pub(super) fn new(windows: &[WindowSpec]) -> Self {
        let shared = Shared {
            pacers: windows.iter().filter_map(pacer).collect(),
            ledger: Mutex::new(Ledger::new(windows)),
            turn: tokio::sync::Mutex::new(()),
            answered: Notify::new(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Waits for leave to make one request. `announce` is told of each wait before it begins,
    /// as far as is known then.
    pub(super) async fn admit(
        &self,
        deadline: Instant,
        announce: &mut (dyn FnMut(Duration, WaitReason) + Send),
    ) -> Result<Permit, OutOfTime> {
        let shared = &self.shared;
        let mut told = Instant::now();
        let mut tell = |until: Instant, why| {
            if until > told {
                told = until;
                announce(until.saturating_duration_since(Instant::now()), why);
            }
        };
        // Whoever queues behind others learns at once why.
        let opening = shared.ledger.lock().opening(Instant::now());
        if let Opening::At(until, why) = opening {
            tell(until, why);
        }
        let queued = timeout_at(deadline, shared.turn.lock()).await;
        let _turn = queued.map_err(|_| OutOfTime { why: WaitReason::Budget, pause: Duration::ZERO })?;
        let mut paced = 0;
        loop {
            let (until, why) = match shared.opening(&mut paced) {
                Opening::Now => break,
                Opening::At(until, why) => (until, why),
                Opening::WhenAnswered => (deadline, WaitReason::Budget),
            };
            let pause = until.saturating_duration_since(Instant::now());
            if until > deadline {
                return Err(OutOfTime { why, pause });
            }
            if until < deadline {
                tell(until, why);
            }
            tokio::select! {
                () = sleep_until(until) => {}
                () = shared.answered.notified() => {}
            }
            if Instant::now() >= deadline {
                return Err(OutOfTime { why, pause: Duration::ZERO });
            }
        }
        shared.ledger.lock().in_flight += 1;
        Ok(Permit { shared: Arc::clone(shared) })
    }

    /// Closes the source to every caller for `pause`, as it asked. A longer pause already set stays.
    pub(super) fn pause(&self, pause: Duration) {
        let until = Instant::now() + pause;
        let mut ledger = self.shared.ledger.lock();
        ledger.paused_until = ledger.paused_until.max(Some(until));
    }

    /// How many requests each window still admits now.
    pub(super) fn left(&self) -> Vec<(WindowSpec, u32)> {
        let now = Instant::now();
        let ledger = self.shared.ledger.lock();
        ledger.windows.iter().map(|w| (*w, w.requests.saturating_sub(ledger.used(w, now)))).collect()
    }
}

impl Shared {
    /// When may the caller whose turn it is go? `paced` counts the pacers that have let it pass.
    fn opening(&self, paced: &mut usize) -> Opening {
        let now = Instant::now();
        let opening = self.ledger.lock().opening(now);
        if !matches!(opening, Opening::Now) {
            return opening;
        }
        while let Some(pacer) = self.pacers.get(*paced) {
            if let Err(not_until) = pacer.check() {
                let wait = not_until.wait_time_from(pacer.clock().now());
                return Opening::At(now + wait, WaitReason::Budget);
            }
            *paced += 1;
        }
        Opening::Now
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.shared.ledger.lock().answered(Instant::now());
        self.shared.answered.notify_one();
    }
}

/// When the source is open for one more request.
#[derive(Debug, PartialEq, Eq)]
enum Opening {
    Now,
    At(Instant, WaitReason),
    /// Requests in flight fill a window; it opens some time after one of them is answered.
    WhenAnswered,
}

/// The exact log of requests.
struct Ledger {
    windows: Vec<WindowSpec>,
    paused_until: Option<Instant>,
    in_flight: u32,
    /// When answers began, ascending; as far back as the longest window.
    answered: VecDeque<Instant>,
}

impl Ledger {
    fn new(windows: &[WindowSpec]) -> Self {
        Self { windows: windows.to_vec(), paused_until: None, in_flight: 0, answered: VecDeque::new() }
    }

    fn opening(&self, now: Instant) -> Opening {
        let mut latest = match self.paused_until {
            Some(until) if until > now => Opening::At(until, WaitReason::RetryAfter),
            _ => Opening::Now,
        };
        for window in &self.windows {
            match (self.window_opening(window, now), &latest) {
                (Opening::Now, _) => {}
                (Opening::WhenAnswered, _) => return Opening::WhenAnswered,
                (Opening::At(until, _), Opening::At(other, _)) if until <= *other => {}
                (later, _) => latest = later,
            }
        }
        latest
    }

    fn window_opening(&self, window: &WindowSpec, now: Instant) -> Opening {
        let used = self.used(window, now);
        if used < window.requests {
            return Opening::Now;
        }
        // So many of the answered ones must leave the window before there is room.
        let leave = (used - window.requests) as usize;
        match self.answered.get(self.first_in(window, now) + leave) {
            Some(answered) => Opening::At(*answered + window.per.duration(), WaitReason::Budget),
            None => Opening::WhenAnswered,
        }
    }

    /// Requests that count in the window which ends now.
    fn used(&self, window: &WindowSpec, now: Instant) -> u32 {
        let answered = self.answered.len() - self.first_in(window, now);
        u32::try_from(answered).unwrap_or(u32::MAX).saturating_add(self.in_flight)
    }

    fn first_in(&self, window: &WindowSpec, now: Instant) -> usize {
        self.answered.partition_point(|at| *at + window.per.duration() <= now)
    }

    fn answered(&mut self, now: Instant) {
        self.in_flight = self.in_flight.saturating_sub(1);
        let Some(longest) = self.windows.iter().map(|w| w.per.duration()).max() else { return };
        while self.answered.front().is_some_and(|at| *at + longest <= now) {
            self.answered.pop_front();
        }
        self.answered.push_back(now);
    }
}

type Pacer = RateLimiter<NotKeyed, InMemoryState, PacerClock, NoOpMiddleware<Duration>>;

/// A bucket that holds half of the window's allowance and fills at the window's rate. `None` where the rate is
/// beyond any clock.
fn pacer(window: &WindowSpec) -> Option<Pacer> {
    let burst = NonZeroU32::new(window.requests.div_ceil(2))?;
    let quota = Quota::with_period(window.per.duration() / window.requests)?.allow_burst(burst);
    Some(RateLimiter::direct_with_clock(quota, PacerClock { start: Instant::now() }))
}

/// tokio's time for governor, as the time since the budget was made.
#[derive(Debug, Clone, Copy)]
struct PacerClock {
    start: Instant,
}

impl GovernorClock for PacerClock {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.start.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Per;

    const fn window(requests: u32, per: Per) -> WindowSpec {
        WindowSpec { requests, per }
    }

    fn quiet() -> impl FnMut(Duration, WaitReason) + Send {
        |_, _| {}
    }

    fn far() -> Instant {
        Instant::now() + Duration::from_secs(100_000)
    }

    /// Admits and answers at once, `count` times; the instants, from the first call on.
    async fn admissions(budget: &Budget, count: usize) -> Vec<Duration> {
        let start = Instant::now();
        let mut at = Vec::new();
        for _ in 0..count {
            drop(budget.admit(far(), &mut quiet()).await);
            at.push(start.elapsed());
        }
        at
    }

    #[tokio::test(start_paused = true)]
    async fn no_window_ever_holds_more_than_its_limit() {
        for windows in [
            vec![window(1, Per::Second)],
            vec![window(7, Per::Second)],
            vec![window(5, Per::Second), window(12, Per::Minute)],
            vec![window(60, Per::Minute), window(4, Per::Second)],
        ] {
            let at = admissions(&Budget::new(&windows), 130).await;
            for w in &windows {
                for pair in at.windows(w.requests as usize + 1) {
                    let span = pair[pair.len() - 1] - pair[0];
                    assert!(span >= w.per.duration(), "{windows:?}: {} requests in {span:?}", pair.len());
                }
            }
            // And the allowance is used: the scarcest window decides how long it takes.
            let rate = |w: &WindowSpec| f64::from(w.requests) / w.per.duration().as_secs_f64();
            let slowest = windows.iter().map(rate).fold(f64::INFINITY, f64::min);
            let took = at[129].as_secs_f64();
            assert!(took <= 130.0 / slowest * 1.1 + 1.0, "{windows:?} took {took} s");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn half_goes_at_once_and_the_rest_is_spread() {
        let at = admissions(&Budget::new(&[window(60, Per::Minute)]), 40).await;
        assert!(at[29] < Duration::from_millis(10), "{:?}", at[29]);
        for pair in at[30..].windows(2) {
            let gap = (pair[1] - pair[0]).as_secs_f64();
            assert!((0.9..1.1).contains(&gap), "{gap}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_counts_until_a_window_after_its_answer() {
        let budget = Budget::new(&[window(1, Per::Second)]);
        let permit = budget.admit(far(), &mut quiet()).await.unwrap();
        let start = Instant::now();
        let answer = tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(5)).await;
            drop(permit);
        });
        drop(budget.admit(far(), &mut quiet()).await.unwrap());
        assert!(start.elapsed() >= Duration::from_secs(6), "{:?}", start.elapsed());
        answer.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_is_first_come_first_served() {
        let budget = Budget::new(&[window(2, Per::Second)]);
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = Vec::new();
        for n in 0..10 {
            let (budget, order) = (budget.clone(), Arc::clone(&order));
            tasks.push(tokio::spawn(async move {
                let permit = budget.admit(far(), &mut quiet()).await;
                order.lock().push(n);
                drop(permit);
            }));
            tokio::task::yield_now().await;
        }
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(*order.lock(), (0..10).collect::<Vec<_>>());
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_holds_every_caller_and_is_announced() {
        let budget = Budget::new(&[]);
        budget.pause(Duration::from_secs(30));
        budget.pause(Duration::from_secs(2));
        let start = Instant::now();
        let told = Arc::new(Mutex::new(Vec::new()));
        let callers = (0..3).map(|_| {
            let (budget, told) = (budget.clone(), Arc::clone(&told));
            async move {
                drop(budget.admit(far(), &mut |pause, why| told.lock().push((pause, why))).await.unwrap());
                start.elapsed()
            }
        });
        for waited in futures_util::future::join_all(callers).await {
            assert!(waited >= Duration::from_secs(30), "{waited:?}");
        }
        let told = told.lock();
        assert_eq!(told.len(), 3, "each caller is told once");
        assert!(told.iter().all(|t| *t == (Duration::from_secs(30), WaitReason::RetryAfter)), "{told:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_set_during_a_wait_is_obeyed() {
        let budget = Budget::new(&[window(1, Per::Second)]);
        let _ = admissions(&budget, 1).await;
        let start = Instant::now();
        let (waiting, other) = (budget.clone(), budget.clone());
        let caller = tokio::spawn(async move { waiting.admit(far(), &mut quiet()).await.map(drop) });
        tokio::time::sleep(Duration::from_millis(500)).await;
        other.pause(Duration::from_secs(10));
        caller.await.unwrap().unwrap();
        assert!(start.elapsed() >= Duration::from_millis(10_500), "{:?}", start.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_beyond_the_deadline_fails_at_once() {
        let budget = Budget::new(&[]);
        budget.pause(Duration::from_secs(3_600));
        let start = Instant::now();
        let refused = budget.admit(start + Duration::from_secs(60), &mut quiet()).await.map(drop);
        assert_eq!(refused, Err(OutOfTime { why: WaitReason::RetryAfter, pause: Duration::from_secs(3_600) }));
        assert_eq!(start.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_window_of_unanswered_requests_waits_to_the_deadline() {
        let budget = Budget::new(&[window(1, Per::Second)]);
        let _unanswered = budget.admit(far(), &mut quiet()).await.unwrap();
        let start = Instant::now();
        let refused = budget.admit(start + Duration::from_secs(9), &mut quiet()).await.map(drop);
        assert!(matches!(refused, Err(OutOfTime { why: WaitReason::Budget, .. })), "{refused:?}");
        assert_eq!(start.elapsed(), Duration::from_secs(9));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_left_is_known() {
        let budget = Budget::new(&[window(3, Per::Second), window(10, Per::Minute)]);
        let left = |b: &Budget| b.left().iter().map(|(_, left)| *left).collect::<Vec<_>>();
        assert_eq!(left(&budget), [3, 10]);
        let permit = budget.admit(far(), &mut quiet()).await.unwrap();
        assert_eq!(left(&budget), [2, 9]);
        drop(permit);
        assert_eq!(left(&budget), [2, 9]);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(left(&budget), [3, 9]);
        tokio::time::sleep(Duration::from_secs(59)).await;
        assert_eq!(left(&budget), [3, 10]);
    }
}
