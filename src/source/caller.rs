//! A read, as its requests know it: how long they may take, what they took, and who is told of what they
//! wait for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use super::budget::{Budget, OutOfTime, Permit, Refusal, worth_telling};
use super::fault::Fault;
use super::keep::KeepError;
use super::read::{ReadEvent, WaitReason};
use super::retry::Pauses;
use super::source::Inner;
use crate::model::{SourceName, Traffic};
use crate::observe::{Observer, ResponseCode};

/// On whose behalf requests are made.
#[derive(Clone)]
pub(super) struct Caller {
    /// Reads of a source are counted from 1; a later one has the higher number.
    pub(super) read: u64,
    pub(super) deadline: Instant,
    run_timeout: Duration,
    source: SourceName,
    observer: Observer,
    events: mpsc::Sender<ReadEvent>,
    spent: Arc<Spent>,
}

/// What the requests of one read took, whichever of its lists, or login, they were for.
#[derive(Default)]
struct Spent {
    traffic: Mutex<Traffic>,
    /// The page that is asked for, and how often it was, for a read whose time is up.
    page: AtomicU32,
    tries: AtomicU32,
}

/// A request that was sent. It is told when dropped, so that one which the end of the run's time cuts short is, too.
pub(super) struct Sent<'c> {
    caller: &'c Caller,
    started: Instant,
    pub(super) code: ResponseCode,
}

impl Drop for Sent<'_> {
    fn drop(&mut self) {
        self.caller.observer.source_request(&self.caller.source, self.code, self.started.elapsed());
    }
}

impl Caller {
    /// A read that begins now.
    pub(super) fn new(source: &Inner, events: mpsc::Sender<ReadEvent>) -> Self {
        Self::within(source, events, source.spec.limits.run_timeout)
    }

    /// Whoever has only so long.
    pub(super) fn within(source: &Inner, events: mpsc::Sender<ReadEvent>, run_timeout: Duration) -> Self {
        Self {
            read: source.auth.begin_read(),
            deadline: Instant::now() + run_timeout,
            run_timeout,
            source: source.spec.name.clone(),
            observer: source.observer.clone(),
            events,
            spent: Arc::default(),
        }
    }

    pub(super) fn traffic(&self) -> Traffic {
        *self.spent.traffic.lock()
    }

    pub(super) fn count(&self, what: impl FnOnce(&mut Traffic)) {
        what(&mut self.spent.traffic.lock());
    }

    pub(super) fn is_at(&self, page: u32) {
        self.spent.page.store(page, Ordering::Relaxed);
    }

    pub(super) fn tries_for(&self, tries: u32) {
        self.spent.tries.store(tries, Ordering::Relaxed);
    }

    /// The page asked for last, and how often it was.
    pub(super) fn at(&self) -> (u32, u32) {
        (self.spent.page.load(Ordering::Relaxed), self.spent.tries.load(Ordering::Relaxed).max(1))
    }

    /// Waits for so many units of the source's budget.
    pub(super) async fn admit(&self, budget: &Budget, weight: u32) -> Result<Permit, Fault> {
        let started = Instant::now();
        let mut announce = |pause, why| self.tell_wait(pause, why);
        let admitted = budget.admit(weight, self.deadline, &mut announce).await;
        let waited = started.elapsed();
        let wait_ms = u64::try_from(waited.as_millis()).unwrap_or(u64::MAX);
        if wait_ms > 0 {
            self.count(|traffic| traffic.wait_ms += wait_ms);
            self.observer.source_budget_wait(&self.source, waited);
        }
        admitted.map_err(|refusal| match refusal {
            Refusal::Unkept(KeepError { reason, problem }) => Fault::Unkept { reason, problem },
            Refusal::OutOfTime(OutOfTime { is_quota: true, opens_in, .. }) => Fault::UsedUp { opens_in },
            Refusal::OutOfTime(OutOfTime { why: WaitReason::RetryAfter, opens_in: Some(pause), .. }) => {
                Fault::PausedTooLong { pause }
            }
            Refusal::OutOfTime(_) => self.out_of_time(),
        })
    }

    /// Counts a request that is sent now.
    pub(super) fn sends(&self) -> Sent<'_> {
        self.count(|traffic| traffic.requests += 1);
        Sent { caller: self, started: Instant::now(), code: ResponseCode::Error }
    }

    /// Pauses after the `failed`th try of a request.
    pub(super) async fn back_off(&self, pauses: Pauses, failed: u32) {
        // Without random numbers the pause is arbitrary, not random; that is still a pause.
        let random = getrandom::u64().unwrap_or(u64::MAX / 3);
        let pause = pauses.back_off(failed, random);
        self.tell_wait(pause, WaitReason::BackOff);
        sleep(pause).await;
    }

    pub(super) fn tell_wait(&self, pause: Duration, why: WaitReason) {
        if let Some(pause) = worth_telling(pause) {
            // A reader that is busy with pages does not miss what it is not waiting for.
            let _ = self.events.try_send(ReadEvent::Waiting { pause, why });
        }
    }

    pub(super) const fn out_of_time(&self) -> Fault {
        Fault::RunTimeout { limit: self.run_timeout }
    }
}
