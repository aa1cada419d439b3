//! Profiles that came with their people's own tokens: what they would come to, and the run that takes them.

use std::sync::Arc;

use super::feed::{Extent, Feed};
use super::runner::{Request, Runner, StartError, Started};
use super::tally::Tally;
use crate::model::{ExternalId, Outcome, Rejection, SourceName, Trigger};
use crate::source::Profile;
use crate::store::StoreError;

/// What a profile is to us before it is taken.
#[derive(Debug, PartialEq, Eq)]
pub struct Looked {
    pub external_id: ExternalId,
    /// They signed in before.
    pub is_known: bool,
    /// It says what it said the last time.
    pub is_unchanged: bool,
}

/// Why a profile makes nobody a user.
#[derive(Debug, PartialEq, Eq)]
pub enum Unfit {
    Rejected(Rejection),
    /// They were erased and are to stay out.
    Erased,
}

impl Runner {
    /// Says what a profile would come to.
    pub fn look_at_profile(&self, feed: &Feed, profile: &Profile) -> Result<Result<Looked, Unfit>, StoreError> {
        let store = &self.inner.store;
        let mut tally = Tally::new(store, feed, false);
        let outcome = match feed.entry.mapping.map(&profile.record) {
            Outcome::Mapped(record) => tally.admit(record, profile)?,
            other => other,
        };
        Ok(match outcome {
            Outcome::Mapped(record) if tally.keeps_out(&record) => Err(Unfit::Erased),
            Outcome::Mapped(record) => {
                let raw = tally.raw_digest(profile.record.bytes());
                Ok(Looked {
                    is_known: store.user_by_registration(&feed.id, &record.external_id).is_some(),
                    is_unchanged: tally.is_unchanged(&store.view(), raw),
                    external_id: record.external_id,
                })
            }
            Outcome::Rejected(rejection) => Err(Unfit::Rejected(rejection)),
            // The configuration lets no source of logins skip anybody.
            Outcome::Skipped(..) => Err(Unfit::Erased),
        })
    }

    /// Starts a run that takes profiles, one of each person; one of the source that goes on already is returned, and takes none.
    pub async fn take_profiles(
        &self,
        source: &SourceName,
        profiles: Vec<Profile>,
        trigger: Trigger,
    ) -> Result<Started, StartError> {
        let feed = self.feed_of_logins(source);
        let mut feed = feed.ok_or_else(|| StartError::UnknownSource(source.clone()))?;
        feed.extent = Extent::Profiles(Arc::new(profiles));
        self.start(feed, Request { trigger, dry_run: false, full: false }).await
    }
}
