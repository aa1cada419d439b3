//! Profiles that come together are one run: a thousand people who sign in at once are few runs. One run of a source goes on at a
//! time; what comes meanwhile gathers for the next.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::limits::PROFILES_PER_RUN;
use crate::model::{ExternalId, RunOutcome, SourceName, Trigger};
use crate::source::Profile;
use crate::sync::Runner;

#[derive(Clone)]
pub struct Gathering {
    runner: Runner,
    pending: Arc<Mutex<HashMap<SourceName, Pending>>>,
}

/// What is to be taken of one source. Of one person the profile that came last.
#[derive(Default)]
struct Pending {
    profiles: BTreeMap<ExternalId, Waiting>,
    /// A task sees to it.
    is_driven: bool,
}

struct Waiting {
    profile: Profile,
    trigger: Trigger,
    told: Vec<oneshot::Sender<bool>>,
}

impl Gathering {
    pub fn new(runner: Runner) -> Self {
        Self { runner, pending: Arc::default() }
    }

    /// Has a profile taken. Tells whether it was: false where the run failed.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn take(
        &self,
        source: &SourceName,
        external_id: ExternalId,
        profile: Profile,
        trigger: Trigger,
    ) -> oneshot::Receiver<bool> {
        let (tell, told) = oneshot::channel();
        let mut all = self.pending.lock();
        let pending = all.entry(source.clone()).or_default();
        let mut waiting = vec![tell];
        let mut trigger = trigger;
        if let Some(before) = pending.profiles.remove(&external_id) {
            waiting.extend(before.told);
            trigger = trigger.min(before.trigger);
        }
        pending.profiles.insert(external_id, Waiting { profile, trigger, told: waiting });
        if !pending.is_driven {
            pending.is_driven = true;
            tokio::spawn(self.clone().drive(source.clone()));
        }
        told
    }

    async fn drive(self, source: SourceName) {
        loop {
            let Some((trigger, batch)) = self.next(&source) else { return };
            let profiles: Vec<Profile> = batch.values().map(|waiting| waiting.profile.clone()).collect();
            let is_done = self.run(&source, profiles, trigger).await;
            for told in batch.into_values().flat_map(|waiting| waiting.told) {
                // Whoever no longer waits is not told.
                let _ = told.send(is_done);
            }
        }
    }

    /// The next profiles to take: first those of people who wait to be signed in.
    fn next(&self, source: &SourceName) -> Option<(Trigger, BTreeMap<ExternalId, Waiting>)> {
        let mut all = self.pending.lock();
        let pending = all.get_mut(source)?;
        let signs_in = |waiting: &Waiting| waiting.trigger == Trigger::SignIn;
        let trigger = match pending.profiles.values().any(signs_in) {
            true => Trigger::SignIn,
            false => Trigger::Refresh,
        };
        let wanted = pending.profiles.iter().filter(|(_, waiting)| waiting.trigger == trigger);
        let ids: Vec<ExternalId> = wanted.map(|(id, _)| id.clone()).take(PROFILES_PER_RUN).collect();
        if ids.is_empty() {
            all.remove(source);
            return None;
        }
        let batch = ids.into_iter().filter_map(|id| pending.profiles.remove_entry(&id)).collect();
        Some((trigger, batch))
    }

    async fn run(&self, source: &SourceName, profiles: Vec<Profile>, trigger: Trigger) -> bool {
        loop {
            let started = match self.runner.take_profiles(source, profiles.clone(), trigger).await {
                Ok(started) => started,
                // Why was told where it was tried.
                Err(_) => return false,
            };
            let ended = self.runner.wait(started.run).await;
            if started.already_running {
                continue;
            }
            return matches!(ended, Ok(Some(run)) if run.outcome == Some(RunOutcome::Done));
        }
    }
}
