//! Somebody's profile came with their own tokens: they are signed in.

use std::time::Duration;

use jiff::Timestamp;
use secrecy::SecretString;
use tokio::time::timeout;

use super::denial::Denial;
use super::logins::Logins;
use super::tokens::Tokens;
use crate::limits::{BY_HAND_TURN_WAIT_MAX, KNOWN_SIGN_IN_WAIT_MAX};
use crate::model::{ExternalId, FeedId, Person, SignIn, SignInStanding, SourceName, Trigger, UserId};
use crate::observe::SignInOutcome;
use crate::source::{Handed, Profile};
use crate::store::{ChangeSet, SignInChange, SignInWrite, StoreError};
use crate::sync::Looked;

/// The tokens of somebody who signed in with an app itself.
pub struct HandedOver {
    pub access: SecretString,
    pub id_token: Option<SecretString>,
    pub refresh: Option<SecretString>,
    /// When the access token ends, where that is known.
    pub expires_at: Option<Timestamp>,
}

impl Logins {
    /// Signs somebody in whose tokens an app hands over.
    pub async fn hand_over(
        &self,
        source: &SourceName,
        HandedOver { access, id_token, refresh, expires_at }: HandedOver,
    ) -> Result<UserId, Denial> {
        let handed = Handed { access, id_token };
        let identity = self.identity(source)?;
        let failed = |error| self.of_identity(source, error);
        let signed_in = async {
            let subject = identity.prove(&handed).await.map_err(failed)?;
            let profile = identity.profile(&handed.access, subject.as_ref()).await.map_err(failed)?;
            self.arrive(source, profile, &Tokens { access: handed.access, expires_at, refresh }).await
        };
        signed_in.await.map_err(|denial| self.denied(source, denial))
    }

    /// Whom a one-time code of a browser stands for.
    pub fn exchange(&self, code: &SecretString) -> Option<(SourceName, UserId)> {
        self.inner.codes.lock().take(code, self.inner.clock.now())
    }

    /// How somebody's sign-in with a source stands: the last, where they are several there.
    pub fn sign_in_of(&self, source: &SourceName, person: &Person) -> Result<Option<SignIn>, StoreError> {
        Ok(self.sign_ins_of(source, person)?.into_iter().max_by_key(|sign_in| sign_in.signed_in_at))
    }

    /// How a person stands with every source that they signed in with.
    pub fn all_sign_ins_of(&self, person: &Person) -> Result<Vec<SignIn>, StoreError> {
        let of_logins = person.registrations.iter().filter(|r| r.feed.is_of_logins());
        let found = of_logins.map(|r| self.inner.store.sign_in(&r.feed.source, &r.external_id));
        found.filter_map(Result::transpose).collect()
    }

    pub(super) fn sign_ins_of(&self, source: &SourceName, person: &Person) -> Result<Vec<SignIn>, StoreError> {
        let mut sign_ins = self.all_sign_ins_of(person)?;
        sign_ins.retain(|sign_in| sign_in.source == *source);
        Ok(sign_ins)
    }

    /// Takes a profile and keeps the tokens. Returns whose they are.
    pub(super) async fn arrive(
        &self,
        source: &SourceName,
        profile: Profile,
        tokens: &Tokens,
    ) -> Result<UserId, Denial> {
        let (looked, profile) = self.looked_at(source, profile).await?;
        let external_id = looked.external_id.clone();
        if !looked.is_unchanged {
            let told = self.inner.gathering.take(source, looked.external_id.clone(), profile, Trigger::SignIn);
            match timeout(patience(&looked), told).await {
                Ok(Ok(true)) => {}
                // Who is known is let in while a large sync writes; the profile follows.
                Err(_) if looked.is_known => {}
                Err(_) => return Err(Denial::Busy),
                Ok(_) => return Err(Denial::Unavailable),
            }
        }
        // The run's changes say why somebody was refused; it can only be that the email is taken, or that they were
        // erased meanwhile.
        let user = self.user(source, &external_id).ok_or(Denial::EmailTaken)?;
        self.keep(source, &external_id, tokens).await?;
        self.inner.observer.sign_in(source, SignInOutcome::Done);
        Ok(user)
    }

    /// What a profile would come to.
    pub(super) async fn looked_at(&self, source: &SourceName, profile: Profile) -> Result<(Looked, Profile), Denial> {
        let (runner, source) = (self.inner.runner.clone(), source.clone());
        let looking = tokio::task::spawn_blocking(move || {
            let feed = runner.feed_of_logins(&source).ok_or(Denial::UnknownSource)?;
            let looked = runner.look_at_profile(&feed, &profile)??;
            Ok((looked, profile))
        });
        // The task ends early only with the runtime.
        looking.await.unwrap_or(Err(Denial::Stopping))
    }

    /// Who it is of whom a source says this.
    pub(super) fn user(&self, source: &SourceName, external_id: &ExternalId) -> Option<UserId> {
        let store = &self.inner.store;
        let user = store.user_by_registration(&FeedId::of_logins(source.clone()), external_id)?;
        store.view().index().user_id(user)
    }

    async fn keep(&self, source: &SourceName, external_id: &ExternalId, tokens: &Tokens) -> Result<(), Denial> {
        let now = self.inner.clock.now();
        let sealed = tokens.seal(&self.inner.store, source, external_id);
        let sealed = sealed.map_err(|error| {
            self.inner.observer.store_failed("seal somebody's tokens", &error);
            Denial::Unavailable
        })?;
        let sign_in = SignIn {
            source: source.clone(),
            external_id: external_id.clone(),
            standing: SignInStanding::SignedIn,
            signed_in_at: now,
            refreshed_at: now,
            tokens: Some(sealed),
        };
        let change = SignInChange::Put(Box::new(sign_in));
        let sign_ins = vec![SignInWrite { source: source.clone(), external_id: external_id.clone(), change }];
        self.inner.store.commit_async(ChangeSet { sign_ins, ..ChangeSet::default() }).await?;
        Ok(())
    }
}

/// How long somebody waits for their profile to be taken.
const fn patience(looked: &Looked) -> Duration {
    if looked.is_known { KNOWN_SIGN_IN_WAIT_MAX } else { BY_HAND_TURN_WAIT_MAX }
}
