//! Begins the syncs whose time has come. It waits on the monotonic clock and decides by the clock of the day, which it looks at
//! often enough to notice that it was set, or that the machine slept.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::sleep;

use super::runner::{Request, Runner, StartError};
use crate::limits::{SCHEDULE_AGAIN_AFTER, SCHEDULE_LOOK_EVERY};
use crate::model::{FeedId, SourceName, Trigger};
use crate::schedule::{Candidate, FinalState, Round, Times, round};

/// What is remembered between two looks, beyond what the store knows.
#[derive(Default)]
struct Driver {
    looked_at: Option<Timestamp>,
    /// When each feed's sync was last begun here: how it ended may not have come to the store.
    begun: HashMap<FeedId, Timestamp>,
    /// One that could not begin is not tried again sooner.
    not_before: HashMap<FeedId, Timestamp>,
    /// What became of each feed's final sync, so that it is said once.
    told: HashMap<FeedId, FinalState>,
}

impl Runner {
    /// Syncs what is due, until the process is to end.
    pub async fn keep_schedules(&self) {
        let mut driver = Driver::default();
        while !self.inner.stopping.is_said() {
            let now = self.inner.clock.now();
            driver.look_at_clock(self, now);
            let Round { begin, wake_at } = driver.look(self, now).await;
            for feed in begin {
                driver.begin(self, feed, now).await;
            }
            let now = self.inner.clock.now();
            let left = wake_at.map(|at| Duration::try_from(at.duration_since(now)).unwrap_or_default());
            tokio::select! {
                () = self.inner.stopping.heard() => {}
                () = self.inner.timetable.changed.notified() => {}
                () = sleep(left.unwrap_or(SCHEDULE_LOOK_EVERY).min(SCHEDULE_LOOK_EVERY)) => {}
            }
        }
    }
}

impl Driver {
    fn look_at_clock(&mut self, runner: &Runner, now: Timestamp) {
        if let Some(before) = self.looked_at.replace(now).filter(|before| now < *before) {
            runner.inner.timetable.was_set_back_to(now);
            runner.inner.observer.clock_set_back(before, now);
            self.not_before.clear();
        }
    }

    /// Which feeds' syncs begin now.
    async fn look(&mut self, runner: &Runner, now: Timestamp) -> Round {
        let (busy, going) = going(runner);
        let mut candidates = Vec::new();
        let mut seen = HashSet::new();
        for event in runner.events() {
            for settings in &event.feeds {
                let Some(schedule) = event.schedule_of(settings) else { continue };
                let Some(times) = Times::of(&event, settings, schedule) else { continue };
                let feed = FeedId { event: event.name.clone(), source: settings.source.clone() };
                seen.insert(feed.clone());
                let mut history = runner.history(&event, settings);
                history.last_began = history.last_began.max(self.begun.get(&feed).copied());
                let timing = runner.timing_of(Some(&times), &history, now);
                self.tell(runner, &feed, timing.final_sync.map(|(_, state)| state));
                if let Some(at) = timing.next.at().filter(|_| !busy.contains(&feed)) {
                    let at = self.not_before.get(&feed).map_or(at, |not_before| at.max(*not_before));
                    candidates.push(Candidate { at, feed });
                }
            }
        }
        self.begun.retain(|feed, _| seen.contains(feed));
        self.not_before.retain(|feed, at| seen.contains(feed) && *at > now);
        self.told.retain(|feed, _| seen.contains(feed));
        round(now, candidates, &going)
    }

    /// Says once what became of a final sync. What was so before this process began has been said.
    fn tell(&mut self, runner: &Runner, feed: &FeedId, state: Option<FinalState>) {
        let Some(state) = state else {
            self.told.remove(feed);
            return;
        };
        let before = self.told.insert(feed.clone(), state);
        if state.is_over() && before == Some(FinalState::Pending) {
            runner.inner.observer.final_sync_ended(feed, state == FinalState::Done);
        }
    }

    async fn begin(&mut self, runner: &Runner, id: FeedId, now: Timestamp) {
        let feeds = runner.feeds(&id.event, Some(&id.source));
        let Some(feed) = feeds.ok().and_then(|mut feeds| feeds.pop()) else {
            self.wait(id, now);
            return;
        };
        let request = Request { trigger: Trigger::Schedule, dry_run: false, full: false };
        match runner.start(feed, request).await {
            Ok(started) if started.already_running => {}
            Ok(_) => {
                self.begun.insert(id, now);
            }
            Err(StartError::Stopping) => {}
            // Why was told where it was tried.
            Err(_) => self.wait(id, now),
        }
    }

    fn wait(&mut self, feed: FeedId, now: Timestamp) {
        let pause = SignedDuration::try_from(SCHEDULE_AGAIN_AFTER).unwrap_or_default();
        self.not_before.extend(now.checked_add(pause).ok().map(|at| (feed, at)));
    }
}

/// The feeds that have to wait for the end of a run, and the sources of all runs that go on. A sync does not wait for a hint.
fn going(runner: &Runner) -> (HashSet<FeedId>, Vec<SourceName>) {
    let active = runner.inner.active.all();
    let busy = active.iter().filter(|(_, going)| !going.trigger.is_partial()).map(|(feed, _)| feed.clone()).collect();
    (busy, active.into_iter().map(|(feed, _)| feed.source).collect())
}

#[cfg(test)]
mod tests;
