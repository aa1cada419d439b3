//! What can be asked of feeds without a run: what a source's first page would change, why somebody is (not) here, what a
//! person should look at. Changes nobody, enters no history.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::explain::{self, ExplainError, Explanation, Look, Subject, Whose};
use super::feed::Feed;
use super::preview::{Preparation, Preview, PreviewPage};
use super::review::{self, ReviewError, ReviewItem};
use super::runner::{Inner, Runner, StartError};
use crate::model::FeedId;

impl Runner {
    /// Reads the first page of a feed within its source's budget, and tells what it would change. Changes nobody and
    /// enters no history.
    pub async fn preview(&self, feed: Feed) -> Result<Preview, StartError> {
        let glimpse = feed.entry.source.glimpse(&feed.params).await;
        self.prepared(feed, move |preparation, turn| Preview::of(glimpse, preparation, turn)).await
    }

    /// Maps and plans something of a feed, on a thread that may block.
    async fn prepared<T: Send + 'static>(
        &self,
        feed: Feed,
        work: impl FnOnce(&Preparation, &parking_lot::Mutex<()>) -> T + Send + 'static,
    ) -> Result<T, StartError> {
        let Inner { store, clock, turn, previews, .. } = &*self.inner;
        let (store, clock, number) = (store.clone(), clock.clone(), previews.fetch_add(1, Ordering::Relaxed));
        let (preparation, turn) = (Preparation { store, feed, clock, number }, Arc::clone(turn));
        let made = tokio::task::spawn_blocking(move || work(&preparation, &turn)).await;
        // It panicked, or the runtime ends.
        made.map_err(|error| match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => StartError::Stopping,
        })
    }

    /// Explains one person, or one record, in a feed from what is here and what the runs wrote down. Blocks.
    pub fn explain(&self, feed: &FeedId, subject: &Subject) -> Result<Explanation, ExplainError> {
        explain::from_journals(&self.inner.store, feed, subject)
    }

    /// Looks for their records in the source's list as it is now, within its budget, and tells what a sync would do with
    /// them. Changes nobody and enters no history.
    pub async fn explain_live(&self, feed: Feed, subject: &Subject) -> Result<(Look, Vec<PreviewPage>), StartError> {
        let whose = Whose::of(&self.inner.store, &feed.id, subject)?;
        let mut look = explain::look(&feed, &whose).await;
        let mut pages = Vec::with_capacity(look.pages.len());
        for page in std::mem::take(&mut look.pages) {
            pages.push(self.prepared(feed.clone(), move |preparation, turn| preparation.page(&page, turn)).await?);
        }
        Ok((look, pages))
    }

    /// Everything there is to look at in a feed; found anew each time. Blocks.
    pub fn review(&self, feed: &FeedId) -> Result<Vec<ReviewItem>, ReviewError> {
        review::review(&self.inner.store, feed)
    }
}
