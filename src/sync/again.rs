//! Begins again what [`restart`] says is to begin again: what a stop cut short, and what waited for its source's quota.

use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use jiff::Timestamp;

use super::feed::Feed;
use super::restart;
use super::runner::{Runner, StartError};
use super::timetable::Shut;
use crate::limits::GO_ON_EVERY;
use crate::model::{Event, FeedId, Run, Trigger};

impl Runner {
    /// Has a feed's sync go on when its source's quota opens, if it waits for that. The time is in the feed's state, so
    /// that it outlives the process; nothing is held until then.
    pub(super) fn go_on_later(&self, id: FeedId) {
        let Some(at) = self.inner.store.feed_state(&id).goes_on_at else { return };
        let inner = Arc::downgrade(&self.inner);
        tokio::spawn(async move {
            loop {
                let Some(inner) = inner.upgrade() else { return };
                let runner = Self { inner };
                if runner.inner.stopping.is_said() {
                    return;
                }
                // Looked at again and again: the clock may be set meanwhile.
                let left = at.duration_since(runner.inner.clock.now());
                if left.is_zero() || left.is_negative() {
                    return runner.go_on(id, at).await;
                }
                drop(runner);
                tokio::time::sleep(left.unsigned_abs().min(GO_ON_EVERY)).await;
            }
        });
    }

    async fn go_on(self, id: FeedId, over: Timestamp) {
        let Some(event) = self.event(&id.event) else { return };
        let Ok(mut feeds) = self.feeds(&event.name, Some(&id.source)) else { return };
        let Some(feed) = feeds.pop() else { return };
        let (inner, stable) = (Arc::clone(&self.inner), feed.spec().stable);
        let wanted = id.clone();
        let found =
            tokio::task::spawn_blocking(move || restart::out_of_quota(&inner.store, &wanted, over, stable)).await;
        match found {
            Ok(Ok(Some(run))) if self.may_begin_again(&event, &run) => self.begin_again(feed, &run).await,
            Ok(Ok(_)) | Err(_) => {}
            Ok(Err(error)) => self.inner.observer.store_failed("read a run", &error.to_string()),
        }
    }

    /// Nothing goes on in a pause, and after the final sync only what somebody began by hand.
    fn may_begin_again(&self, event: &Event, former: &Run) -> bool {
        match self.shut(event, &former.feed.source) {
            None => true,
            Some(Shut::Paused) => false,
            Some(Shut::FinalDone | Shut::FinalGivenUp) => matches!(former.trigger, Trigger::Cli | Trigger::Api),
        }
    }

    /// Boxed, for a run that ends may have to begin again later, and so on.
    fn begin_again(self, feed: Feed, former: &Run) -> BoxFuture<'static, ()> {
        let again = restart::again(former, self.inner.clock.now());
        self.inner.observer.run_starts_again(former);
        async move {
            match self.clone().begin(feed, again).await {
                Ok(_) | Err(StartError::Stopping) => {}
                Err(error) => self.inner.observer.store_failed("write that a run begins", &error.to_string()),
            }
        }
        .boxed()
    }

    /// Syncs each feed again whose last sync was cut short by the end of a process, unless that happened [too often](crate::limits::CUT_SHORT_MAX)
    /// in a row; and those whose source's quota was used up, when it opens. Not in events that are paused.
    pub async fn start_again_what_was_cut_short(&self) {
        for event in self.events() {
            self.begin_what_waited(&event).await;
        }
    }

    /// The same in one event, whose pause may just have been lifted.
    pub(super) async fn begin_what_waited(&self, event: &Event) {
        for settings in &event.feeds {
            let feed = FeedId { event: event.name.clone(), source: settings.source.clone() };
            self.go_on_later(feed.clone());
            self.start_again(feed).await;
        }
    }

    async fn start_again(&self, id: FeedId) {
        let Some(event) = self.event(&id.event) else { return };
        let inner = Arc::clone(&self.inner);
        let wanted = id.clone();
        let found = tokio::task::spawn_blocking(move || restart::cut_short(&inner.store, &wanted)).await;
        let cut_short = match found {
            Ok(Ok(Some(run))) if self.may_begin_again(&event, &run) => run,
            Ok(Ok(_)) | Err(_) => return,
            Ok(Err(error)) => return self.inner.observer.store_failed("read a run", &error.to_string()),
        };
        // A feed whose source is no longer configured has nothing to be read from.
        let Ok(feeds) = self.feeds(&id.event, Some(&id.source)) else { return };
        for feed in feeds {
            self.clone().begin_again(feed, &cut_short).await;
        }
    }
}
