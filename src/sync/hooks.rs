//! Hooks: what a source says of changes is a hint, so it is asked. Hints gather while a run of their feed goes on, and one
//! more follows it, so that a thousand hooks are few runs.
//! Invariant: nothing of a hook outlives the process. The next sync brings what a lost one would have.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use super::delivery::{Delivery, Unreadable};
use super::feed::Extent;
use super::runner::{Request, Runner, StartError};
use crate::clock::Clock;
use crate::config::HookSpec;
use crate::limits::{HOOK_GIVES_WAY, HOOK_IDS_MAX, HOOKS_REMEMBERED_MAX};
use crate::model::{Event, FeedId, SourceName, Trigger};
use crate::observe::{HookOutcome, Observer};

/// Takes hooks and starts what they ask for. Cloning shares it.
#[derive(Clone)]
pub struct Hooks {
    inner: Arc<Inner>,
}

struct Inner {
    runner: Runner,
    clock: Clock,
    observer: Observer,
    pending: Mutex<HashMap<FeedId, Pending>>,
    taken: Mutex<HashMap<SourceName, Taken>>,
}

/// Why a hook that is the source's own has no effect.
#[derive(Debug, thiserror::Error)]
pub enum HookError {
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    #[error("the server is stopping")]
    Stopping,
}

/// What hooks asked for of one feed.
#[derive(Default)]
struct Pending {
    ids: BTreeSet<String>,
    everything: bool,
    /// When they had everything read last.
    synced: Option<Instant>,
    /// A task sees to it.
    driven: bool,
    more: Arc<Notify>,
}

/// What is to be done of what is pending.
enum Next {
    Read(Wish),
    Later(Duration),
    Nothing,
}

#[derive(Clone)]
enum Wish {
    Records(Arc<BTreeSet<String>>),
    Everything,
}

impl Pending {
    fn add(&mut self, wish: &Wish) {
        match wish {
            Wish::Records(ids) => self.ids.extend(ids.iter().cloned()),
            Wish::Everything => self.everything = true,
        }
        if self.ids.len() > HOOK_IDS_MAX {
            self.ids.clear();
            self.everything = true;
        }
    }

    fn next(&mut self, min_interval: Duration) -> Next {
        let left = self.synced.map_or(Duration::ZERO, |at| min_interval.saturating_sub(at.elapsed()));
        if self.everything && left.is_zero() {
            *self =
                Self { synced: Some(Instant::now()), driven: true, more: Arc::clone(&self.more), ..Self::default() };
            return Next::Read(Wish::Everything);
        }
        if !self.ids.is_empty() {
            return Next::Read(Wish::Records(Arc::new(std::mem::take(&mut self.ids))));
        }
        if self.everything {
            return Next::Later(left);
        }
        self.driven = false;
        Next::Nothing
    }
}

/// The hooks of a source that were taken lately, by their digests.
#[derive(Default)]
struct Taken {
    order: VecDeque<(Timestamp, [u8; 32])>,
    digests: HashSet<[u8; 32]>,
    last: Option<Timestamp>,
}

impl Taken {
    /// Is it a new one?
    fn enter(&mut self, digest: [u8; 32], now: Timestamp, remember: Duration) -> bool {
        while let Some((at, oldest)) = self.order.front() {
            let age = Duration::try_from(now.duration_since(*at)).unwrap_or_default();
            if age < remember && self.order.len() < HOOKS_REMEMBERED_MAX {
                break;
            }
            self.digests.remove(oldest);
            self.order.pop_front();
        }
        let is_new = self.digests.insert(digest);
        if is_new {
            self.order.push_back((now, digest));
        }
        is_new
    }

    fn forget(&mut self, digest: [u8; 32]) {
        self.digests.remove(&digest);
        self.order.retain(|(_, other)| *other != digest);
    }
}

impl Hooks {
    pub fn new(runner: Runner, clock: Clock, observer: Observer) -> Self {
        let (pending, taken) = (Mutex::default(), Mutex::default());
        Self { inner: Arc::new(Inner { runner, clock, observer, pending, taken }) }
    }

    /// When the last hook of a source was taken by this process.
    pub fn last(&self, source: &SourceName) -> Option<Timestamp> {
        self.inner.taken.lock().get(source)?.last
    }

    /// Takes a hook that is proved to be the source's; `digest` tells it from others. One that is repeated has no effect.
    ///
    /// # Errors
    /// It cannot be read, or the server is stopping.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn take(&self, source: &SourceName, spec: &HookSpec, digest: [u8; 32], body: Bytes) -> Result<(), HookError> {
        let Inner { runner, clock, observer, taken, .. } = &*self.inner;
        if runner.is_stopping() {
            return Err(HookError::Stopping);
        }
        let now = clock.now();
        if !taken.lock().entry(source.clone()).or_default().enter(digest, now, spec.remember) {
            observer.hook(source, HookOutcome::Repeated);
            return Ok(());
        }
        let delivery = match Delivery::read(spec, body) {
            Ok(delivery) => delivery,
            Err(error) => {
                observer.hook(source, HookOutcome::Malformed);
                taken.lock().entry(source.clone()).or_default().forget(digest);
                return Err(error.into());
            }
        };
        taken.lock().entry(source.clone()).or_default().last = Some(now);
        let found = self.feeds(source, spec, delivery.event.as_deref());
        let is_unmatched = found.is_empty();
        let feeds = self.open(found);
        observer.hook(
            source,
            match feeds.is_empty() {
                true if is_unmatched => HookOutcome::Unmatched,
                true => HookOutcome::Shut,
                false => HookOutcome::Accepted,
            },
        );
        // Naming none means that anything may have changed.
        let ids = delivery.ids;
        let wish = if ids.is_empty() { Wish::Everything } else { Wish::Records(Arc::new(ids)) };
        for feed in feeds {
            self.add(feed, &wish);
        }
        Ok(())
    }

    /// The feeds that a hook is for.
    fn feeds(&self, source: &SourceName, spec: &HookSpec, wanted: Option<&str>) -> Vec<FeedId> {
        let param = spec.event.as_ref().map(|event| event.param.as_str());
        let is_for = |event: &Arc<Event>| {
            let feed = event.feed(source)?;
            let matches = match (param, wanted) {
                (Some(param), Some(wanted)) => feed.params.get(param).is_some_and(|value| value == wanted),
                _ => true,
            };
            matches.then(|| FeedId { event: event.name.clone(), source: source.clone() })
        };
        self.inner.runner.events().iter().filter_map(is_for).collect()
    }

    /// Those of the feeds in which something begins by itself.
    fn open(&self, feeds: Vec<FeedId>) -> Vec<FeedId> {
        let Inner { runner, observer, .. } = &*self.inner;
        let is_open =
            |feed: &FeedId| match runner.event(&feed.event).and_then(|event| runner.shut(&event, &feed.source)) {
                Some(why) => {
                    observer.hook_without_effect(feed, why.as_str());
                    false
                }
                None => true,
            };
        feeds.into_iter().filter(is_open).collect()
    }

    fn add(&self, feed: FeedId, wish: &Wish) {
        let mut all = self.inner.pending.lock();
        let pending = all.entry(feed.clone()).or_default();
        pending.add(wish);
        pending.more.notify_one();
        if !pending.driven {
            pending.driven = true;
            tokio::spawn(drive(Arc::downgrade(&self.inner), feed, Arc::clone(&pending.more)));
        }
    }

    /// Gives up what is pending; said by number. The runs have ended.
    pub fn drop_pending(&self) {
        for (feed, pending) in self.inner.pending.lock().drain() {
            if pending.everything || !pending.ids.is_empty() {
                self.inner.observer.hints_dropped(&feed, pending.ids.len(), pending.everything);
            }
        }
    }
}

/// Sees to what is pending of a feed, until nothing is. Holds nothing while it waits for its time.
async fn drive(hooks: Weak<Inner>, feed: FeedId, more: Arc<Notify>) {
    while let Some(inner) = hooks.upgrade() {
        if inner.runner.is_stopping() {
            return;
        }
        if let Some(going) = inner.runner.running(&feed) {
            // How it ended is its own affair.
            let _ = inner.runner.wait(going).await;
            continue;
        }
        match inner.next(&feed) {
            Next::Read(wish) => inner.read(&feed, wish).await,
            Next::Nothing => return,
            Next::Later(pause) => {
                drop(inner);
                tokio::select! {
                    () = sleep(pause) => {}
                    () = more.notified() => {}
                }
            }
        }
    }
}

impl Inner {
    fn next(&self, feed: &FeedId) -> Next {
        let hook = self.runner.sources().get(&feed.source).and_then(|entry| entry.source.spec().hook.as_ref());
        let min_interval = hook.map_or(Duration::ZERO, |hook| hook.min_interval);
        self.pending.lock().get_mut(feed).map_or(Next::Nothing, |pending| pending.next(min_interval))
    }

    /// Reads what was asked for, to its end.
    async fn read(&self, id: &FeedId, wish: Wish) {
        // The event, or its feed, may be no more.
        let found = self.runner.feeds(&id.event, Some(&id.source)).ok().and_then(|mut feeds| feeds.pop());
        let Some(mut feed) = found else { return };
        // It may have been paused, or synced a last time, since.
        if self.runner.event(&id.event).is_some_and(|event| self.runner.shut(&event, &id.source).is_some()) {
            return self.dropped(id, &wish);
        }
        let trigger = match &wish {
            Wish::Everything => Trigger::Hook,
            Wish::Records(ids) => {
                feed.extent = Extent::Only(Arc::clone(ids));
                Trigger::Hint
            }
        };
        let started = match self.runner.start(feed, Request { trigger, dry_run: false, full: false }).await {
            Ok(started) => started,
            Err(StartError::Stopping) => return self.put_back(id, &wish),
            // Why was told where it was tried. Another try would fare no better.
            Err(_) => return self.dropped(id, &wish),
        };
        if started.already_running {
            return self.put_back(id, &wish);
        }
        // How it ended is its own affair.
        let _ = self.runner.wait(started.run).await;
        if self.runner.gave_way(started.run) {
            // The sync may be a dry one.
            self.put_back(id, &wish);
            sleep(HOOK_GIVES_WAY).await;
        }
    }

    fn put_back(&self, feed: &FeedId, wish: &Wish) {
        if let Some(pending) = self.pending.lock().get_mut(feed) {
            pending.add(wish);
        }
    }

    fn dropped(&self, feed: &FeedId, wish: &Wish) {
        match wish {
            Wish::Records(ids) => self.observer.hints_dropped(feed, ids.len(), false),
            Wish::Everything => self.observer.hints_dropped(feed, 0, true),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(ids: std::ops::Range<usize>) -> Wish {
        Wish::Records(Arc::new(ids.map(|id| id.to_string()).collect()))
    }

    fn read(next: Next) -> Option<usize> {
        match next {
            Next::Read(Wish::Records(ids)) => Some(ids.len()),
            Next::Read(Wish::Everything) => Some(0),
            Next::Later(_) | Next::Nothing => None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn ids_gather_and_too_many_are_everything() {
        let interval = Duration::from_secs(10);
        let mut pending = Pending::default();
        pending.add(&wish(0..600));
        pending.add(&wish(500..1_000));
        assert_eq!(read(pending.next(interval)), Some(1_000), "each once");
        assert_eq!(read(pending.next(interval)), None);
        pending.add(&wish(0..HOOK_IDS_MAX + 1));
        assert_eq!(read(pending.next(interval)), Some(0));
    }

    #[tokio::test(start_paused = true)]
    async fn everything_is_read_once_in_the_interval_and_ids_at_once() {
        let interval = Duration::from_secs(10);
        let mut pending = Pending::default();
        pending.add(&Wish::Everything);
        pending.add(&wish(0..3));
        assert_eq!(read(pending.next(interval)), Some(0), "everything holds the three, too");
        assert!(matches!(pending.next(interval), Next::Nothing));
        pending.add(&Wish::Everything);
        tokio::time::advance(Duration::from_secs(4)).await;
        assert!(matches!(pending.next(interval), Next::Later(left) if left == Duration::from_secs(6)));
        pending.add(&wish(0..3));
        assert_eq!(read(pending.next(interval)), Some(3), "they do not wait for it");
        tokio::time::advance(Duration::from_secs(6)).await;
        assert_eq!(read(pending.next(interval)), Some(0));
    }

    #[test]
    fn repetitions_are_known_for_a_while_and_not_without_bound() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let minute = Duration::from_secs(60);
        let mut taken = Taken::default();
        assert!(taken.enter([1; 32], at(0), minute));
        assert!(!taken.enter([1; 32], at(59), minute));
        assert!(taken.enter([1; 32], at(60), minute), "the time counts from the first");
        assert!(!taken.enter([1; 32], at(-60), minute), "a clock that was set back forgets nothing");
        taken.forget([1; 32]);
        assert!(taken.enter([1; 32], at(61), minute));
        assert!(taken.enter([1; 32], at(61), Duration::ZERO), "where nothing is remembered");
        for number in 0..HOOKS_REMEMBERED_MAX * 2 {
            let mut digest = [0; 32];
            digest[..8].copy_from_slice(&number.to_le_bytes());
            taken.enter(digest, at(62), minute);
            assert!(taken.order.len() <= HOOKS_REMEMBERED_MAX && taken.digests.len() == taken.order.len());
        }
    }
}
