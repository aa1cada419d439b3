//! Starts runs, knows which go on, and ends them when the process does.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Instant;

use jiff::Timestamp;
use tokio::sync::{Mutex, watch};

use super::active::{Active, ActiveRuns, Turn, Worked};
use super::arrivals::Arrivals;
use super::by_hand::{Desk, Refusal};
use super::eraser::Eraser;
use super::failure::Failure;
use super::feed::{Feed, SourceEntry};
use super::holding::{Fate, Holding};
use super::progress::{Lines, Progress};
use super::recovery::{self, Kept};
use super::run::Execution;
use super::stopping::Stopping;
use super::timetable::Timetable;
use super::unfinished::Unfinished;
use crate::clock::Clock;
use crate::config::{Vars, percent_encode};
use crate::limits::{BY_HAND_TURN_WAIT_MAX, STOP_RUNS_TIMEOUT};
use crate::mapping::Overrides;
use crate::model::{Actor, Event, EventName, FeedId, FeedSettings, Registration, Run, RunId, SourceName, Trigger};
use crate::observe::Observer;
use crate::store::{ChangeSet, Store, StoreError};

/// Starts runs. Cloning shares it.
#[derive(Clone)]
pub struct Runner {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub store: Store,
    sources: BTreeMap<SourceName, SourceEntry>,
    /// Events declared in the config file.
    provisioned: BTreeMap<EventName, Arc<Event>>,
    pub kept: Kept,
    pub clock: Clock,
    pub observer: Observer,
    pub active: ActiveRuns,
    pub turn: Arc<parking_lot::Mutex<()>>,
    /// Who works by hand waits here, so that only one thread waits for the turn.
    by_hand: Arc<Mutex<()>>,
    pub arrivals: Arrivals,
    pub stopping: Stopping,
    pub timetable: Timetable,
    pub unfinished: Arc<Unfinished>,
    pub holding: Arc<Holding>,
    pub eraser: Eraser,
    /// Previews made so far.
    pub previews: AtomicU64,
    /// Hints that were cancelled for a sync, until whoever started them hears of it.
    gave_way: parking_lot::Mutex<HashSet<RunId>>,
}

impl Inner {
    /// In whole milliseconds, as it is stored.
    pub fn now(&self) -> Timestamp {
        let now = self.clock.now();
        Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
    }
}

/// What came of trying to begin a run.
enum Entered {
    Begun(RunId),
    /// This one of the same feed goes on.
    Going(RunId, Trigger),
}

/// What to run and how.
#[derive(Debug, Clone, Copy)]
pub struct Request {
    pub trigger: Trigger,
    /// Plan and write down, commit nothing.
    pub dry_run: bool,
    /// Map every record anew, whatever its digest.
    pub full: bool,
}

/// A run was started, or one of the same feed goes on already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Started {
    pub run: RunId,
    pub already_running: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("there is no event '{0}'")]
    UnknownEvent(EventName),
    #[error("event '{event}' has no feed of source '{source_name}'")]
    UnknownFeed { event: EventName, source_name: SourceName },
    #[error("event '{0}' has no feed")]
    NoFeed(EventName),
    #[error("source '{0}' is not in the configuration")]
    UnknownSource(SourceName),
    #[error("the server is stopping")]
    Stopping,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Runner {
    /// Ends what the last process left open, then stands ready. Blocks. Once `stopping` is said it begins nothing:
    /// neither here nor later.
    pub fn new(
        store: Store,
        sources: BTreeMap<SourceName, SourceEntry>,
        provisioned: BTreeMap<EventName, Arc<Event>>,
        kept: Kept,
        clock: Clock,
        observer: Observer,
        stopping: Stopping,
    ) -> Result<Self, StoreError> {
        let holding = Arc::new(Holding::new(store.clone(), clock.clone(), observer.clone()));
        let unfinished =
            Arc::new(Unfinished::new(store.clone(), clock.clone(), observer.clone(), Arc::clone(&holding)));
        recovery::recover(&store, &clock, &observer, &stopping, &unfinished, &holding)?;
        for run in holding.overdue() {
            holding.end(run, Fate::Expired)?;
        }
        kept.drop_older(&store, &observer, clock.now());
        let timetable = Timetable::new(clock.now());
        let (active, turn, previews) = (ActiveRuns::default(), Arc::default(), AtomicU64::default());
        let eraser = Eraser::new(
            store.clone(),
            clock.clone(),
            observer.clone(),
            Arc::clone(&unfinished),
            Arc::clone(&turn),
            stopping.clone(),
            kept.erased,
        );
        // Whom the last process erased, and what it did not come to.
        eraser.clean(Vec::new);
        let inner = Inner {
            store,
            sources,
            provisioned,
            kept,
            clock,
            observer,
            active,
            turn,
            by_hand: Arc::default(),
            arrivals: Arrivals::default(),
            stopping,
            timetable,
            unfinished,
            holding,
            eraser,
            previews,
            gave_way: parking_lot::Mutex::default(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Every event: those of the config file, then those made over the API.
    pub fn events(&self) -> Vec<Arc<Event>> {
        let mut events: Vec<_> = self.inner.provisioned.values().cloned().collect();
        let made = self.inner.store.events().into_iter();
        events.extend(made.filter(|event| !self.is_provisioned(&event.name)).map(Arc::new));
        events
    }

    pub fn event(&self, name: &EventName) -> Option<Arc<Event>> {
        let made = || self.inner.store.event(name).map(Arc::new);
        self.inner.provisioned.get(name).cloned().or_else(made)
    }

    /// Where the person of a registration can be edited, as far as its source's configuration says.
    pub fn edit_url(&self, registration: &Registration) -> Option<String> {
        let FeedId { event, source } = &registration.feed;
        let template = self.inner.sources.get(source)?.source.spec().edit_url.as_ref()?;
        let mut vars = Vars::new();
        if !event.is_community() {
            let event = self.event(event)?;
            let params = self.inner.sources.get(source)?.source.spec().pre_set();
            let params = params.chain(event.feed(source)?.params.clone());
            vars.extend(params.map(|(name, value)| (format!("param.{name}"), value)));
        }
        vars.insert("external_id".into(), registration.external_id.to_string());
        template.render(&vars, percent_encode).ok()
    }

    /// Is the process to end, so that no run begins?
    pub fn is_stopping(&self) -> bool {
        self.inner.stopping.is_said()
    }

    /// Is the event declared in the config file, hence read-only over the API?
    pub fn is_provisioned(&self, name: &EventName) -> bool {
        self.inner.provisioned.contains_key(name)
    }

    pub fn sources(&self) -> &BTreeMap<SourceName, SourceEntry> {
        &self.inner.sources
    }

    /// The feeds of an event, or the one of `source`, ready to run.
    pub fn feeds(&self, event: &EventName, source: Option<&SourceName>) -> Result<Vec<Feed>, StartError> {
        let events = self.events();
        let found = events.iter().find(|e| e.name == *event);
        let found = found.ok_or_else(|| StartError::UnknownEvent(event.clone()))?;
        if found.feeds.is_empty() {
            return Err(StartError::NoFeed(event.clone()));
        }
        let wanted = found.feeds.iter().filter(|feed| source.is_none_or(|source| feed.source == *source));
        let feed = |settings: &FeedSettings| {
            Feed::of(found, &settings.source, &self.inner.sources, &events)
                .ok_or_else(|| StartError::UnknownSource(settings.source.clone()))
        };
        let feeds = wanted.map(feed).collect::<Result<Vec<_>, _>>()?;
        match source {
            Some(source) if feeds.is_empty() => {
                Err(StartError::UnknownFeed { event: event.clone(), source_name: source.clone() })
            }
            _ => Ok(feeds),
        }
    }

    /// A feed of an event, or of whom a source signs in, ready to run.
    pub(super) fn feed(&self, id: &FeedId) -> Result<Feed, StartError> {
        if id.is_of_logins() {
            return self.feed_of_logins(&id.source).ok_or_else(|| StartError::UnknownSource(id.source.clone()));
        }
        let found = self.feeds(&id.event, Some(&id.source))?.pop();
        found.ok_or_else(|| StartError::NoFeed(id.event.clone()))
    }

    /// Whom a source signs in. `None` where there is no such source.
    pub fn feed_of_logins(&self, source: &SourceName) -> Option<Feed> {
        Feed::of_logins(source, &self.inner.sources, &self.events())
    }

    /// A feed as it would be with this source in the place of the saved one and with these params and this mapping, or those
    /// it has; the event need not have such a feed.
    pub fn feed_with(
        &self,
        event: &EventName,
        entry: SourceEntry,
        params: Option<BTreeMap<String, String>>,
        mapping: Option<Overrides>,
    ) -> Result<Feed, StartError> {
        let events = self.events();
        let found = events.iter().find(|e| e.name == *event);
        let mut event = Event::clone(found.ok_or_else(|| StartError::UnknownEvent(event.clone()))?);
        let source = entry.source.spec().name.clone();
        let saved = event.feed(&source).cloned();
        event.feeds.retain(|feed| feed.source != source);
        let safety = saved.as_ref().map(|feed| feed.safety).unwrap_or_default();
        let mapping = mapping.or_else(|| saved.as_ref().map(|feed| feed.mapping.clone())).unwrap_or_default();
        let params = params.or(saved.map(|feed| feed.params)).unwrap_or_default();
        event.feeds.push(FeedSettings { source: source.clone(), params, safety, schedule: None, mapping });
        let mut sources = self.inner.sources.clone();
        sources.insert(source.clone(), entry);
        Feed::of(&event, &source, &sources, &events).ok_or(StartError::UnknownSource(source))
    }

    /// Does something by hand, while no run plans or commits. A caller that goes away meanwhile
    /// changes nothing.
    pub async fn by_hand<T: Send + 'static>(
        &self,
        actor: Actor,
        work: impl FnOnce(&Desk<'_>) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let until = Instant::now() + BY_HAND_TURN_WAIT_MAX;
        let place = tokio::time::timeout(BY_HAND_TURN_WAIT_MAX, Arc::clone(&self.inner.by_hand).lock_owned()).await;
        let place = place.map_err(|_| Refusal::Busy)?;
        let runner = self.clone();
        let done = tokio::task::spawn_blocking(move || {
            let (_place, inner) = (place, &runner.inner);
            let _turn = inner.turn.try_lock_until(until).ok_or(Refusal::Busy)?;
            inner.unfinished.finish(&inner.stopping)?;
            work(&Desk { runner: &runner, store: &inner.store, actor, now: inner.now() })
        });
        match done.await {
            Ok(done) => done,
            // It panicked, or the runtime ends.
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => Err(Refusal::Stopping),
            },
        }
    }

    /// Starts a run; one that goes on already is returned, not doubled. A caller that goes away meanwhile changes
    /// nothing: a run that stands in history is also run.
    pub async fn start(&self, feed: Feed, request: Request) -> Result<Started, StartError> {
        let run = new_run(&feed.id, request, self.inner.clock.now());
        let begun = tokio::spawn(self.clone().begin(feed, run)).await;
        // The task ends early only with the runtime.
        begun.unwrap_or(Err(StartError::Stopping))
    }

    /// A sync does not wait for a hint, nor is it taken for one: the hint gives way.
    pub(super) async fn begin(self, feed: Feed, run: Run) -> Result<Started, StartError> {
        loop {
            match self.clone().enter(feed.clone(), run.clone()).await? {
                Entered::Begun(run) => return Ok(Started { run, already_running: false }),
                Entered::Going(going, trigger) if trigger.is_partial() && !run.trigger.is_partial() => {
                    self.inner.gave_way.lock().insert(going);
                    self.cancel(going).await;
                    // How it ended is its own affair.
                    let _ = self.wait(going).await;
                }
                Entered::Going(run, _) => return Ok(Started { run, already_running: true }),
            }
        }
    }

    /// Was this hint cancelled because a sync began? Told once.
    pub(super) fn gave_way(&self, hint: RunId) -> bool {
        self.inner.gave_way.lock().remove(&hint)
    }

    /// The turn, and the run of this feed that goes on. One whose end can be read in history is no such run, though it is in
    /// the table for a moment more: whoever read it and asks for a sync must not be given the old one.
    pub(super) async fn turn_of(&self, feed: &FeedId) -> (Turn<'_>, Option<Active>) {
        loop {
            let turn = self.inner.active.turn().await;
            match turn.of(feed) {
                Some(mut going) if self.has_ended(&going) => {
                    drop(turn);
                    // An error means that it has left, too.
                    let _ = going.ended.wait_for(Option::is_some).await;
                }
                going => return (turn, going),
            }
        }
    }

    fn has_ended(&self, going: &Active) -> bool {
        let known = || self.inner.store.run(going.run).ok().flatten();
        !going.was_held && known().is_some_and(|run| run.ended_at.is_some())
    }

    async fn enter(self, feed: Feed, run: Run) -> Result<Entered, StartError> {
        let (turn, going) = self.turn_of(&feed.id).await;
        // Asked in turn: whoever stops the runs waits for all that are in the table.
        if self.inner.stopping.is_said() {
            return Err(StartError::Stopping);
        }
        if let Some(going) = going {
            return Ok(Entered::Going(going.run, going.trigger));
        }
        let ack = self.inner.store.commit_async(ChangeSet { new_run: Some(run.clone()), ..ChangeSet::default() }).await;
        let ack = ack.inspect_err(|error| self.inner.observer.run_refused(&run, &error.to_run_error()))?;
        let run = Run { id: ack.new_run.ok_or(StartError::Stopping)?, ..run };
        let id = run.id;
        let Worked { progress, cancelled, ended } = turn.enter(&run, Progress::START);
        let execution = Execution {
            store: self.inner.store.clone(),
            feed,
            run,
            clock: self.inner.clock.clone(),
            observer: self.inner.observer.clone(),
            turn: Arc::clone(&self.inner.turn),
            lines: Lines { progress, cancelled, stopping: self.inner.stopping.clone() },
            unfinished: Arc::clone(&self.inner.unfinished),
            holding: Arc::clone(&self.inner.holding),
        };
        self.inner.observer.run_started(&execution.run);
        let asked = execution.run.clone();
        tokio::spawn(self.supervise(asked, ended, move || execution.execute()));
        Ok(Entered::Begun(id))
    }

    /// Does a run's work on a blocking thread and tells whoever waits.
    pub(super) async fn supervise(
        self,
        asked: Run,
        ended: watch::Sender<Option<Run>>,
        work: impl FnOnce() -> Run + Send + 'static,
    ) {
        let feed = asked.feed.clone();
        let is_sync = asked.trigger.is_sync();
        let run = match tokio::task::spawn_blocking(work).await {
            Ok(run) => Some(run),
            Err(_) => {
                self.inner.observer.run_panicked(&asked);
                self.end_panicked(asked).await
            }
        };
        self.inner.active.remove(&feed);
        self.drop_what_is_old().await;
        if is_sync {
            self.go_on_later(feed);
        }
        self.expire().await;
        // Nobody need be waiting. Whoever waits for a run that left no word looks it up in history.
        let _ = ended.send(run);
        self.schedules_changed();
    }

    async fn drop_what_is_old(&self) {
        let inner = Arc::clone(&self.inner);
        let drop = move || {
            inner.eraser.clean(|| inner.active.going());
            inner.kept.drop_older(&inner.store, &inner.observer, inner.clock.now());
        };
        // It fails only with the runtime.
        let _ = tokio::task::spawn_blocking(drop).await;
    }

    async fn end_panicked(&self, run: Run) -> Option<Run> {
        let inner = Arc::clone(&self.inner);
        let end = move || {
            // As history has it: some of it may have been committed.
            let mut run = inner.store.run(run.id).ok().flatten().unwrap_or(run);
            // One that is held still changed nobody.
            if !run.is_held() {
                inner.unfinished.end_failed(&mut run, &Failure::Panicked);
            }
            run
        };
        tokio::task::spawn_blocking(end).await.ok()
    }

    /// The run of a feed that goes on, with its progress.
    pub fn going(&self, run: RunId) -> Option<Progress> {
        self.inner.active.run(run).map(|going| *going.progress.borrow())
    }

    /// A run that goes on, to be followed to its end.
    pub async fn follow(&self, run: RunId) -> Option<Active> {
        self.inner.active.find(run).await
    }

    /// The run of a feed that goes on.
    pub fn running(&self, feed: &FeedId) -> Option<RunId> {
        self.inner.active.of(feed).map(|going| going.run)
    }

    /// The same, but one that begins now is waited for.
    pub async fn running_or_beginning(&self, feed: &FeedId) -> Option<RunId> {
        self.inner.active.turn().await.of(feed).map(|going| going.run)
    }

    /// For how many reasons a run deserves a look though nothing held it. None where it cannot be read.
    pub fn doubts_of(&self, run: RunId) -> usize {
        self.inner.store.run(run).ok().flatten().map_or(0, |run| run.degraded.len())
    }

    /// Waits for a run's end. `None` when there is no such run. A run whose commit was paused because the process
    /// ends comes back open, as it is.
    pub async fn wait(&self, run: RunId) -> Result<Option<Run>, StoreError> {
        if let Some(mut going) = self.inner.active.find(run).await
            && let Ok(run) = going.ended.wait_for(Option::is_some).await
        {
            return Ok(run.clone());
        }
        self.run(run)
    }

    /// A run, as history has it or as it ended if that could not be written yet.
    pub fn run(&self, id: RunId) -> Result<Option<Run>, StoreError> {
        Ok(self.inner.store.run(id)?.map(|run| self.inner.unfinished.corrected(&run).into_owned()))
    }

    /// Runs that `wanted` picks, newest first, from below `before`; see [`Self::run`].
    pub fn runs(
        &self,
        before: Option<RunId>,
        limit: usize,
        wanted: impl Fn(&Run) -> bool,
    ) -> Result<Vec<Run>, StoreError> {
        let unfinished = &self.inner.unfinished;
        let runs = self.inner.store.runs(before, limit, |run| wanted(&unfinished.corrected(run)))?;
        Ok(runs.iter().map(|run| unfinished.corrected(run).into_owned()).collect())
    }

    /// Finishes what a full or broken disk had stopped, and makes invitations stand as they are set, unless a run is at it.
    /// Blocks.
    pub fn catch_up(&self) {
        if let Some(_turn) = self.inner.turn.try_lock() {
            // Said when it failed first, and by readiness as long as it fails.
            let finished = self.inner.unfinished.finish(&self.inner.stopping);
            // What is left open rests on people as they are.
            if finished.is_err() || self.inner.stopping.is_said() {
                return;
            }
            if let Err(error) = self.settle_invitations() {
                self.inner.observer.store_failed("write how invitations stand", &error.to_string());
            }
        }
    }

    /// Asks a run to end early. False when it does not go on. A commit that has begun is finished.
    pub async fn cancel(&self, run: RunId) -> bool {
        self.inner.active.find(run).await.is_some_and(|going| going.cancel())
    }

    /// Lets no run begin, asks every run to end or to pause its commit, and waits for them, at most
    /// [`STOP_RUNS_TIMEOUT`]. False when one did not end in time. The indexes are kept for the next start.
    pub async fn shutdown(&self) -> bool {
        self.inner.stopping.say();
        // Whoever lets one begin now has it in the table before.
        drop(self.inner.active.turn().await);
        let all = async {
            for (_, mut going) in self.inner.active.all() {
                // An error means that it has ended.
                let _ = going.ended.wait_for(Option::is_some).await;
            }
        };
        let in_time = tokio::time::timeout(STOP_RUNS_TIMEOUT, all).await.is_ok();
        if in_time {
            self.keep_index().await;
        }
        in_time
    }

    async fn keep_index(&self) {
        let store = self.inner.store.clone();
        let kept = tokio::task::spawn_blocking(move || store.keep_index()).await;
        if let Ok(Err(error)) = kept {
            // Nothing is lost: the next start reads everybody.
            self.inner.observer.store_failed("write the snapshot of the indexes", &error.to_string());
        }
    }
}

fn new_run(feed: &FeedId, request: Request, now: Timestamp) -> Run {
    let Request { trigger, dry_run, full } = request;
    Run { dry_run, full, ..Run::new(feed.clone(), trigger, now) }
}
