//! What is known of the times of feeds, for whoever begins syncs, tells of them, or is not to begin any.

use std::sync::atomic::{AtomicI64, Ordering};

use jiff::Timestamp;
use tokio::sync::Notify;

use super::runner::Runner;
use crate::model::{
    Actor, AuditAction, AuditEntry, Event, EventName, FeedId, FeedSettings, Pause, PauseReason, Person, SourceName,
};
use crate::schedule::{self, FinalState, History, Idle, Next, Times};
use crate::store::{ChangeSet, StoreError};

/// Shared by all clones of a runner.
pub struct Timetable {
    /// Something is otherwise than it was: a run ended, an event was saved, a pause begun or lifted.
    pub changed: Notify,
    /// Since when the clock was not set back, as far as is known, in milliseconds.
    steady_since_ms: AtomicI64,
}

impl Timetable {
    pub fn new(now: Timestamp) -> Self {
        Self { changed: Notify::new(), steady_since_ms: AtomicI64::new(now.as_millisecond()) }
    }

    pub fn steady_since(&self) -> Timestamp {
        Timestamp::from_millisecond(self.steady_since_ms.load(Ordering::Relaxed)).unwrap_or(Timestamp::MIN)
    }

    pub fn was_set_back_to(&self, now: Timestamp) {
        self.steady_since_ms.store(now.as_millisecond(), Ordering::Relaxed);
    }
}

/// When a feed is synced next, and how its schedule stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    pub next: Next,
    pub fresh_until: Option<Timestamp>,
    pub final_sync: Option<(Timestamp, FinalState)>,
}

/// Why nothing that a source says begins a sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shut {
    Paused,
    FinalDone,
    FinalGivenUp,
}

impl Shut {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Paused => "the event is paused",
            Self::FinalDone => "the final sync is done",
            Self::FinalGivenUp => "the final sync was given up",
        }
    }
}

impl Runner {
    /// How the schedule of an event's feed stands now.
    pub fn timing(&self, event: &Event, feed: &FeedSettings) -> Timing {
        let times = event.schedule_of(feed).and_then(|schedule| Times::of(event, feed, schedule));
        self.timing_of(times.as_ref(), &self.history(event, feed), self.inner.clock.now())
    }

    pub(super) fn timing_of(&self, times: Option<&Times<'_>>, history: &History, now: Timestamp) -> Timing {
        let state = |times: &Times<'_>| Some((times.final_sync()?, schedule::final_state(now, times, history)?));
        Timing {
            next: schedule::next(now, times, history, self.inner.timetable.steady_since()),
            fresh_until: schedule::fresh_until(now, times, history),
            final_sync: times.and_then(state),
        }
    }

    pub(super) fn history(&self, event: &Event, feed: &FeedSettings) -> History {
        let id = FeedId { event: event.name.clone(), source: feed.source.clone() };
        let (is_held, is_paused) = (self.held_run(&id).is_some(), self.pause_of(&event.name).is_some());
        self.inner.store.look_at_feed(&id, |state| History::of(state, is_held, is_paused))
    }

    /// Why hooks of a source begin nothing in an event, if so.
    pub fn shut(&self, event: &Event, source: &SourceName) -> Option<Shut> {
        if self.pause_of(&event.name).is_some() {
            return Some(Shut::Paused);
        }
        match self.timing(event, event.feed(source)?).next {
            Next::None(Idle::FinalDone) => Some(Shut::FinalDone),
            Next::None(Idle::FinalGivenUp) => Some(Shut::FinalGivenUp),
            _ => None,
        }
    }

    /// Does the person attend events of which none is synced by itself any more, for each had its final sync?
    pub fn is_over_for(&self, person: &Person) -> bool {
        let mut attended = person.attendances.iter().filter(|a| a.active).peekable();
        attended.peek().is_some() && attended.all(|a| self.event(&a.event).is_some_and(|event| self.is_over(&event)))
    }

    /// Did every feed of the event that has a final sync have it, and is there one?
    fn is_over(&self, event: &Event) -> bool {
        let states = event.feeds.iter().filter_map(|feed| self.timing(event, feed).final_sync);
        let mut states = states.map(|(_, state)| state).peekable();
        let is_ended = |state| matches!(state, FinalState::Done | FinalState::GivenUp);
        states.peek().is_some() && states.all(is_ended)
    }

    /// Is anything of the event synced by itself?
    pub(super) fn runs_by_itself(&self, event: &Event) -> bool {
        let has_hook = |feed: &FeedSettings| {
            self.sources().get(&feed.source).is_some_and(|entry| entry.source.spec().hook.is_some())
        };
        event.feeds.iter().any(|feed| event.schedule_of(feed).is_some() || has_hook(feed))
    }

    /// Why nothing of the event is synced by itself, where that is so.
    pub fn pause_of(&self, event: &EventName) -> Option<Pause> {
        self.inner.store.pause(event)
    }

    /// Has nothing of the event synced by itself any more. One that is paused stays as it is.
    pub async fn pause(&self, event: &EventName, by: Actor) -> Result<(), StoreError> {
        if self.pause_of(event).is_some() {
            return Ok(());
        }
        let pause = Pause { by: by.to_string(), at: self.inner.clock.now(), why: PauseReason::ByHand };
        self.set_pause(event, Some(pause), by, AuditAction::EventPaused).await
    }

    /// Lifts the pause of an event. A time that passed meanwhile counts, and what waited begins again.
    pub async fn resume(&self, event: &EventName, by: Actor) -> Result<(), StoreError> {
        if self.pause_of(event).is_none() {
            return Ok(());
        }
        self.set_pause(event, None, by, AuditAction::EventResumed).await?;
        if let Some(event) = self.event(event) {
            self.begin_what_waited(&event).await;
        }
        Ok(())
    }

    async fn set_pause(
        &self,
        event: &EventName,
        pause: Option<Pause>,
        actor: Actor,
        action: AuditAction,
    ) -> Result<(), StoreError> {
        let (at, subject) = (self.inner.clock.now(), event.to_string());
        let audit = vec![AuditEntry { at, actor, action, subject, note: String::new() }];
        let set = ChangeSet { pause: Some((event.clone(), pause)), audit, ..ChangeSet::default() };
        self.inner.store.commit_async(set).await?;
        self.schedules_changed();
        Ok(())
    }

    /// Has it looked at once what is due.
    pub fn schedules_changed(&self) {
        self.inner.timetable.changed.notify_one();
    }
}
