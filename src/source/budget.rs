//! The request allowance of a source, shared by everything that calls it.
//!
//! Two parts work together. *Pacers* (one token bucket a window) let half of a window's allowance go at once and
//! then spread requests evenly; alone they would admit more than a window's limit. The *ledger* enforces: it knows
//! what was used of each window and admits nothing that would be too much.
//!
//! The ledger outlives the process, a kill included: what is to be used next is *lent* first, which is to say that it is
//! on disk as used. One write lends a small part of each window, so there is not one a request.
//!
//! Invariant: waiting is fair, first come first served. Time is tokio's, so that tests can stop it; the time of day is
//! only for what is written down and for allowances that begin anew at some hour.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::clock::Clock as GovernorClock;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::keep::{Keep, KeepError};
use super::ledger::{Entry, Ledger, Moment, Now, Room};
use super::ledger_form::{self, Remembered};
use super::read::WaitReason;
use crate::clock::Clock;
use crate::config::WindowSpec;
use crate::limits;
use crate::model::{Keepsake, SourceName};
use crate::observe::Observer;

/// The ledger's zero lies so long before the budget was made; no window remembers longer.
const ORIGIN: Moment = Duration::from_secs(limits::WINDOW_LENGTH_MAX.as_secs() + 24 * 60 * 60);

/// A source's allowance. Cloning shares it.
#[derive(Clone)]
pub(super) struct Budget {
    shared: Arc<Shared>,
}

/// What a budget is made of.
pub(super) struct Terms {
    pub(super) source: SourceName,
    /// None: no limit but the pauses the source asks for.
    pub(super) windows: Vec<WindowSpec>,
    /// Of a request of the source's.
    pub(super) weight: u32,
    /// A request is answered or has failed after this long.
    pub(super) answer_max: Duration,
    pub(super) keep: Arc<dyn Keep>,
    pub(super) clock: Clock,
    pub(super) observer: Observer,
}

struct Shared {
    terms: Terms,
    pacers: Vec<Pacer>,
    state: Mutex<State>,
    /// Held by the one caller whose turn it is; tokio's mutex is first come, first served.
    turn: tokio::sync::Mutex<()>,
    /// Held from taking down what is to be written until it is on disk, so that nothing older is written later.
    writing: tokio::sync::Mutex<()>,
    /// A request in flight was answered.
    answered: Notify,
    start: Instant,
}

struct State {
    ledger: Ledger,
    pause: Option<Pause>,
    /// The pause is not on disk yet.
    pause_unkept: bool,
    lent: Lent,
    /// Waits up to then are in the log.
    logged_until: Moment,
}

/// The source is shut to everybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pause {
    pub(super) until: Moment,
    /// It asked for it, or its allowance is used up.
    pub(super) why: WaitReason,
}

/// Units that are on disk as used and are not yet.
#[derive(Debug, Clone, Copy, Default)]
struct Lent {
    units: u64,
    until: Moment,
}

/// Leave to make one request. Drop it when the answer has begun or the request has failed.
pub(super) struct Permit {
    shared: Arc<Shared>,
    weight: u32,
}

/// Why there is no leave.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    OutOfTime(OutOfTime),
    /// What would be used cannot be written down.
    Unkept(KeepError),
}

/// The wait would outlast the caller's deadline.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct OutOfTime {
    pub(super) why: WaitReason,
    /// A long window, or what the source itself calls its allowance, is used up.
    pub(super) is_quota: bool,
    /// How long the source stays shut from now on; `None` where requests on their way decide.
    pub(super) opens_in: Option<Duration>,
}

/// What is left of a source's allowance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowance {
    /// In the order of the configuration.
    pub windows: Vec<WindowLeft>,
    /// Until when the source is shut to everybody, and why.
    pub paused: Option<(Timestamp, WaitReason)>,
}

/// What is left of one window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowLeft {
    pub window: WindowSpec,
    /// In units of the window.
    pub left: u32,
    /// Where it does not suffice for a request: when it will, as far as is known.
    pub opens_at: Option<Timestamp>,
}

impl Budget {
    /// Takes up what the last process left.
    pub(super) fn open(terms: Terms) -> Self {
        let pacers = terms.windows.iter().filter_map(|window| pacer(window, terms.weight)).collect();
        let now = Now { moment: ORIGIN, wall: terms.clock.now() };
        let shared = Shared {
            pacers,
            state: Mutex::new(State::open(&terms, now)),
            turn: tokio::sync::Mutex::new(()),
            writing: tokio::sync::Mutex::new(()),
            answered: Notify::new(),
            start: Instant::now(),
            terms,
        };
        Self { shared: Arc::new(shared) }
    }

    /// Waits for leave to make one request of this weight. `announce` is told of each wait before it begins, as far as
    /// is known then.
    pub(super) async fn admit(
        &self,
        weight: u32,
        deadline: Instant,
        announce: &mut (dyn FnMut(Duration, WaitReason) + Send),
    ) -> Result<Permit, Refusal> {
        let shared = &self.shared;
        let mut told = Instant::now();
        let mut tell = |wait: &Wait| {
            if wait.until > told {
                told = wait.until;
                let pause = wait.until.saturating_duration_since(Instant::now());
                shared.log_wait(pause, wait.why);
                announce(pause, wait.why);
            }
        };
        // Whoever queues behind others learns at once why, and whoever would queue in vain does not.
        if let Opening::At(wait) = shared.ledger_opening(weight) {
            wait.check(deadline)?;
            tell(&wait);
        }
        let queued = timeout_at(deadline, shared.turn.lock()).await;
        let _turn = queued.map_err(|_| Wait::for_answers(deadline).out_of_time(None))?;
        let mut paced = 0;
        loop {
            let wait = match shared.opening(weight, &mut paced) {
                Opening::Now if shared.take(weight) => break,
                Opening::Now => {
                    shared.write(Some(weight)).await.map_err(Refusal::Unkept)?;
                    continue;
                }
                Opening::At(wait) => wait,
                Opening::WhenAnswered => Wait::for_answers(deadline),
            };
            wait.check(deadline)?;
            if wait.until < deadline {
                tell(&wait);
            }
            tokio::select! {
                () = sleep_until(wait.until) => {}
                () = shared.answered.notified() => {}
            }
            if Instant::now() >= deadline {
                return Err(wait.out_of_time(None));
            }
        }
        Ok(Permit { shared: Arc::clone(shared), weight })
    }

    /// Closes the source to every caller for `length`, as it asked. A longer pause already set stays.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub(super) fn pause(&self, length: Duration) {
        self.shut(length, WaitReason::RetryAfter);
    }

    /// The same, where the source said that its allowance is used up.
    pub(super) fn pause_used_up(&self, length: Duration) {
        self.shut(length, WaitReason::Budget);
    }

    fn shut(&self, length: Duration, why: WaitReason) {
        let pause = Pause { until: self.shared.now().moment + length, why };
        {
            let mut state = self.shared.state.lock();
            if state.pause.is_some_and(|set| set.until >= pause.until) {
                return;
            }
            state.pause = Some(pause);
            state.pause_unkept = true;
        }
        let shared = Arc::clone(&self.shared);
        tokio::spawn(async move { shared.keep_pause().await });
    }

    /// The length of the longest window.
    pub(super) fn longest(&self) -> Option<Duration> {
        self.shared.state.lock().ledger.longest()
    }

    pub(super) fn allowance(&self) -> Allowance {
        let shared = &self.shared;
        let now = shared.now();
        let at = |moment: Moment| now.wall.saturating_add(moment.saturating_sub(now.moment)).unwrap_or(now.wall);
        let mut state = shared.state.lock();
        let windows = state.ledger.left(shared.terms.weight, now);
        let window =
            |(window, left, opens): (_, _, Option<Moment>)| WindowLeft { window, left, opens_at: opens.map(at) };
        let paused = state.pause.filter(|pause| pause.until > now.moment);
        Allowance {
            windows: windows.into_iter().map(window).collect(),
            paused: paused.map(|pause| (at(pause.until), pause.why)),
        }
    }
}

impl State {
    fn open(terms: &Terms, now: Now) -> Self {
        let mut ledger = Ledger::new(&terms.windows);
        let longest = ledger.longest();
        let pause_max = longest.unwrap_or_default().max(limits::RETRY_AFTER_MAX);
        let stored = terms.keep.load(Keepsake::Ledger);
        let remembered = stored.map(|bytes| ledger_form::read(&bytes, now, pause_max)).transpose();
        let remembered = remembered.unwrap_or_else(|problem| {
            terms.observer.ledger_lost(&terms.source, &problem);
            let pause = longest.map(|longest| longest.min(limits::LEDGER_LOST_PAUSE_MAX));
            let pause = pause.map(|length| Pause { until: now.moment + length, why: WaitReason::Budget });
            Some(Remembered { entries: Vec::new(), pause })
        });
        let Remembered { entries, pause } = remembered.unwrap_or_default();
        for entry in entries {
            ledger.enter(entry, now.moment);
        }
        Self { ledger, pause, pause_unkept: false, lent: Lent::default(), logged_until: Moment::ZERO }
    }

    /// May units go that are on disk as used?
    fn take(&mut self, weight: u32, now: Moment) -> bool {
        let units = u64::from(weight);
        if self.ledger.lendable(weight) > 0 {
            if self.lent.units < units || self.lent.until <= now {
                return false;
            }
            self.lent.units -= units;
        }
        self.ledger.admit(weight);
        true
    }
}

impl Shared {
    fn now(&self) -> Now {
        Now { moment: ORIGIN + self.start.elapsed(), wall: self.terms.clock.now() }
    }

    fn instant(&self, moment: Moment) -> Instant {
        self.start + moment.saturating_sub(ORIGIN)
    }

    /// When may the caller whose turn it is go? `paced` counts the pacers that have let it pass.
    fn opening(&self, weight: u32, paced: &mut usize) -> Opening {
        let opening = self.ledger_opening(weight);
        if !matches!(opening, Opening::Now) {
            return opening;
        }
        // A request weighs at least 1.
        let cells = NonZeroU32::new(weight).unwrap_or(NonZeroU32::MIN);
        while let Some(pacer) = self.pacers.get(*paced) {
            // What is heavier than the whole bucket is left to the ledger.
            if let Ok(Err(not_until)) = pacer.check_n(cells) {
                let until = Instant::now() + not_until.wait_time_from(pacer.clock().now());
                return Opening::At(Wait { until, why: WaitReason::Budget, is_quota: false });
            }
            *paced += 1;
        }
        Opening::Now
    }

    /// When do pauses and windows let a request of this weight go?
    fn ledger_opening(&self, weight: u32) -> Opening {
        let now = self.now();
        let mut state = self.state.lock();
        let paused = state.pause.filter(|pause| pause.until > now.moment);
        let shut = paused.map(|Pause { until, why }| (until, why, why == WaitReason::Budget));
        let full = match state.ledger.room(weight, now) {
            Room::WhenAnswered => return Opening::WhenAnswered,
            Room::Now => None,
            Room::At(until, length) => Some((until, WaitReason::Budget, length >= limits::QUOTA_WINDOW_MIN)),
        };
        let latest = shut.into_iter().chain(full).max_by_key(|(until, ..)| *until);
        let wait = latest.map(|(until, why, is_quota)| Wait { until: self.instant(until), why, is_quota });
        wait.map_or(Opening::Now, Opening::At)
    }

    fn take(&self, weight: u32) -> bool {
        self.state.lock().take(weight, self.now().moment)
    }

    /// Writes down what was used, and with it, for a request of the weight `lend`, what is to be used next.
    async fn write(&self, lend: Option<u32>) -> Result<(), KeepError> {
        let _writing = self.writing.lock().await;
        let (value, lent) = self.taken_down(lend);
        self.terms.keep.keep(Keepsake::Ledger, value).await?;
        self.state.lock().lent = lent;
        Ok(())
    }

    fn taken_down(&self, lend: Option<u32>) -> (Vec<u8>, Lent) {
        let now = self.now();
        let mut state = self.state.lock();
        let lent = match lend {
            Some(weight) => Lent { units: state.ledger.lendable(weight), until: now.moment + limits::LENT_TERM },
            None => state.lent,
        };
        // Requests that are in flight now, or are admitted as long as the term lasts, may be counted until they are answered.
        let lent_at = lent.until.max(now.moment) + self.terms.answer_max;
        let used = Entry { at: lent_at, units: state.ledger.in_flight() + lent.units };
        state.pause_unkept = false;
        (ledger_form::written(&state.ledger.entries(), used, state.pause, now), lent)
    }

    /// Writes the pause down, where nobody did since. If that fails, so does the next request, which says why.
    async fn keep_pause(&self) {
        let _writing = self.writing.lock().await;
        if self.state.lock().pause_unkept {
            let (value, _) = self.taken_down(None);
            let kept = self.terms.keep.keep(Keepsake::Ledger, value).await;
            self.state.lock().pause_unkept |= kept.is_err();
        }
    }

    fn log_wait(&self, pause: Duration, why: WaitReason) {
        let Some(pause) = worth_telling(pause) else { return };
        let now = self.now().moment;
        {
            let mut state = self.state.lock();
            if now + pause <= state.logged_until {
                return;
            }
            state.logged_until = now + pause.max(limits::WAIT_LOGGED_EVERY);
        }
        self.terms.observer.source_waits(&self.terms.source, pause, why.as_str());
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let now = self.shared.now().moment;
        self.shared.state.lock().ledger.answered(self.weight, now);
        self.shared.answered.notify_one();
    }
}

/// A wait as people are told of it, to the tenth of a second, upwards: a pause of 1 s of which some microseconds have
/// gone is still told as such. `None` where it is too short to be told.
pub(super) fn worth_telling(pause: Duration) -> Option<Duration> {
    let tenths = u64::try_from(pause.as_millis().div_ceil(100)).unwrap_or(u64::MAX);
    Some(Duration::from_millis(tenths.saturating_mul(100))).filter(|pause| *pause >= limits::WAIT_TOLD_MIN)
}

/// When the source is open for one more request.
#[derive(Debug)]
enum Opening {
    Now,
    At(Wait),
    /// Requests in flight fill a window; it opens some time after one of them is answered.
    WhenAnswered,
}

#[derive(Debug)]
struct Wait {
    until: Instant,
    why: WaitReason,
    is_quota: bool,
}

impl Wait {
    /// For requests on their way, or callers before us: nobody knows how long.
    const fn for_answers(deadline: Instant) -> Self {
        Self { until: deadline, why: WaitReason::Budget, is_quota: false }
    }

    /// Does the wait end in time?
    fn check(&self, deadline: Instant) -> Result<(), Refusal> {
        if self.until > deadline {
            return Err(self.out_of_time(Some(self.until.saturating_duration_since(Instant::now()))));
        }
        Ok(())
    }

    const fn out_of_time(&self, opens_in: Option<Duration>) -> Refusal {
        Refusal::OutOfTime(OutOfTime { why: self.why, is_quota: self.is_quota, opens_in })
    }
}

type Pacer = RateLimiter<NotKeyed, InMemoryState, PacerClock, NoOpMiddleware<Duration>>;

/// A bucket that holds half of the window's allowance, or one request's weight, and fills at the window's rate. `None`
/// for a window so long that its allowance is to be used as the work needs it, and where the rate is beyond any clock.
fn pacer(window: &WindowSpec, weight: u32) -> Option<Pacer> {
    let length = window.per.duration();
    if length >= limits::QUOTA_WINDOW_MIN {
        return None;
    }
    let burst = NonZeroU32::new(window.requests.div_ceil(2).max(weight))?;
    let quota = Quota::with_period(length / window.requests)?.allow_burst(burst);
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
    use crate::source::tests::Memory;

    const fn window(requests: u32, per: Per) -> WindowSpec {
        WindowSpec { requests, per, resets: None }
    }

    impl Budget {
        fn new(windows: &[WindowSpec]) -> Self {
            Self::open(Terms {
                source: SourceName::parse("crm").unwrap(),
                windows: windows.to_vec(),
                weight: 1,
                answer_max: Duration::from_secs(30),
                keep: Memory::new(),
                clock: Clock::System,
                observer: Observer::default(),
            })
        }
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
            drop(budget.admit(1, far(), &mut quiet()).await);
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
        let permit = budget.admit(1, far(), &mut quiet()).await.unwrap();
        let start = Instant::now();
        let answer = tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(5)).await;
            drop(permit);
        });
        drop(budget.admit(1, far(), &mut quiet()).await.unwrap());
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
                let permit = budget.admit(1, far(), &mut quiet()).await;
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
                drop(budget.admit(1, far(), &mut |pause, why| told.lock().push((pause, why))).await.unwrap());
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
        let caller = tokio::spawn(async move { waiting.admit(1, far(), &mut quiet()).await.map(drop) });
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
        let refused = budget.admit(1, start + Duration::from_secs(60), &mut quiet()).await.map(drop);
        let opens_in = Some(Duration::from_secs(3_600));
        let out_of_time = OutOfTime { why: WaitReason::RetryAfter, is_quota: false, opens_in };
        assert_eq!(refused, Err(Refusal::OutOfTime(out_of_time)));
        assert_eq!(start.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_window_of_unanswered_requests_waits_to_the_deadline() {
        let budget = Budget::new(&[window(1, Per::Second)]);
        let _unanswered = budget.admit(1, far(), &mut quiet()).await.unwrap();
        let start = Instant::now();
        let refused = budget.admit(1, start + Duration::from_secs(9), &mut quiet()).await.map(drop);
        let out_of_time = OutOfTime { why: WaitReason::Budget, is_quota: false, opens_in: None };
        assert_eq!(refused, Err(Refusal::OutOfTime(out_of_time)));
        assert_eq!(start.elapsed(), Duration::from_secs(9));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_left_is_known() {
        let budget = Budget::new(&[window(3, Per::Second), window(10, Per::Minute)]);
        let left = |b: &Budget| b.allowance().windows.iter().map(|window| window.left).collect::<Vec<_>>();
        assert_eq!(left(&budget), [3, 10]);
        let permit = budget.admit(1, far(), &mut quiet()).await.unwrap();
        assert_eq!(left(&budget), [2, 9]);
        drop(permit);
        assert_eq!(left(&budget), [2, 9]);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(left(&budget), [3, 9]);
        tokio::time::sleep(Duration::from_secs(59)).await;
        assert_eq!(left(&budget), [3, 10]);
    }
}
