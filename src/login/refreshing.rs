//! Profiles are asked for anew with their people's own tokens: when the app says that somebody came, and when a profile has grown
//! old. Two at a time of each source, so that whoever signs in does not wait behind a thousand others.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use secrecy::SecretString;
use tokio::sync::Semaphore;

use super::denial::Denial;
use super::logins::{Inner, Logins};
use super::tokens::Tokens;
use crate::limits::{PROFILES_DUE_AT_ONCE, REFRESH_AGAIN_AFTER, REFRESHES_AT_ONCE, REFRESHES_PENDING_MAX};
use crate::model::{ExternalId, Person, SignIn, SignInStanding, SourceName, Trigger, UserId};
use crate::observe::{RefreshOutcome, SignInFacts};
use crate::source::{Identity, IdentityError, Profile};
use crate::store::{ChangeSet, SignInChange, SignInWrite, StoreError};

/// What comes of asking for somebody's profile anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refreshed {
    /// They never signed in, or signed out.
    NotSignedIn,
    /// Nothing of it is synced any more: every event that they attend had its final sync.
    Over,
    /// It came a short while ago.
    Recent,
    /// Their tokens are good no more.
    SignInAgain,
    /// There is too much to do; the schedule sees to it.
    Busy,
    /// It is being asked for.
    Asked,
}

impl Refreshed {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotSignedIn => "not_signed_in",
            Self::Over => "over",
            Self::Recent => "recent",
            Self::SignInAgain => "sign_in_again",
            Self::Busy => "busy",
            Self::Asked => "asked",
        }
    }
}

type Whose = (SourceName, ExternalId);

#[derive(Default)]
pub struct Refreshing {
    known: Mutex<HashMap<Whose, Tried>>,
    places: Mutex<HashMap<SourceName, Arc<Semaphore>>>,
}

/// What this process knows of somebody's profile.
#[derive(Default)]
struct Tried {
    /// When it was last asked for; `None` while it is.
    at: Option<Timestamp>,
    /// Tokens that came and could not be stored: the former ones are perhaps good no more.
    unkept: Option<Tokens>,
}

impl Refreshing {
    /// Is it for the caller to ask now? Whoever is told so does, and says when it is done.
    fn enter(&self, whose: &Whose, now: Timestamp, min_interval: Duration) -> Refreshed {
        let interval = SignedDuration::try_from(min_interval).unwrap_or_default();
        let mut known = self.known.lock();
        if known.len() >= REFRESHES_PENDING_MAX {
            known.retain(|_, tried| {
                tried.unkept.is_some() || tried.at.is_none_or(|at| now.duration_since(at) < interval)
            });
        }
        match known.get(whose) {
            Some(Tried { at: None, .. }) => return Refreshed::Asked,
            Some(Tried { at: Some(at), .. }) if now.duration_since(*at).abs() < interval => return Refreshed::Recent,
            None if known.len() >= REFRESHES_PENDING_MAX => return Refreshed::Busy,
            _ => {}
        }
        known.entry(whose.clone()).or_default().at = None;
        Refreshed::Asked
    }

    fn is_going(&self, whose: &Whose) -> bool {
        self.known.lock().get(whose).is_some_and(|tried| tried.at.is_none())
    }

    fn leave(&self, whose: &Whose, now: Timestamp) {
        self.known.lock().entry(whose.clone()).or_default().at = Some(now);
    }

    fn places(&self, source: &SourceName) -> Arc<Semaphore> {
        let mut places = self.places.lock();
        Arc::clone(places.entry(source.clone()).or_insert_with(|| Arc::new(Semaphore::new(REFRESHES_AT_ONCE))))
    }
}

impl Logins {
    /// Asks for a person's profile behind their back, where they signed in and it is not new.
    pub fn refresh(&self, person: &Person) -> Result<Refreshed, StoreError> {
        let of_logins = person.registrations.iter().filter(|r| r.feed.is_of_logins());
        let mut answer = Refreshed::NotSignedIn;
        for registration in of_logins {
            let source = &registration.feed.source;
            let Some(spec) = self.spec(source) else { continue };
            let Some(sign_in) = self.inner.store.sign_in(source, &registration.external_id)? else { continue };
            let refreshed = if sign_in.standing == SignInStanding::SignInAgain {
                Refreshed::SignInAgain
            } else if self.inner.runner.is_over_for(person) {
                Refreshed::Over
            } else {
                self.ask_for(sign_in, spec.min_interval)
            };
            answer = answer.max(refreshed);
        }
        Ok(answer)
    }

    /// Asks for profiles that have grown old, some at a time. Returns for how many.
    pub fn refresh_due(&self) -> Result<usize, StoreError> {
        let now = self.inner.clock.now();
        let mut asked = 0;
        for (source, spec) in self.sources() {
            let Some(every) = spec.refresh_every else { continue };
            let by = SignedDuration::try_from(every).ok().and_then(|every| now.checked_sub(every).ok());
            let by = by.unwrap_or(Timestamp::MIN);
            let most = asked + PROFILES_DUE_AT_ONCE;
            for place in self.inner.store.sign_ins_due(source, by) {
                // Those who are passed over must not keep the younger ones from their turn.
                if asked >= most {
                    break;
                }
                let Some(sign_in) = self.inner.store.sign_in_by(place)? else { continue };
                let whose = (source.clone(), sign_in.external_id.clone());
                if self.inner.refreshing.is_going(&whose) || self.is_over(&whose)? {
                    continue;
                }
                // One that failed is tried again before it is due anew, but not at once.
                let again = REFRESH_AGAIN_AFTER.min(every);
                asked += usize::from(self.ask_for(sign_in, again) == Refreshed::Asked);
            }
        }
        Ok(asked)
    }

    fn is_over(&self, (source, external_id): &Whose) -> Result<bool, StoreError> {
        let store = &self.inner.store;
        let feed = crate::model::FeedId::of_logins(source.clone());
        let user = store.user_by_registration(&feed, external_id);
        let person = user.map(|user| store.person_in_passing(user)).transpose()?.flatten();
        Ok(person.is_none_or(|person| self.inner.runner.is_over_for(&person)))
    }

    fn ask_for(&self, sign_in: SignIn, min_interval: Duration) -> Refreshed {
        let now = self.inner.clock.now();
        let interval = SignedDuration::try_from(min_interval).unwrap_or_default();
        if now.duration_since(sign_in.refreshed_at).abs() < interval {
            return Refreshed::Recent;
        }
        let whose = (sign_in.source.clone(), sign_in.external_id.clone());
        if self.inner.refreshing.is_going(&whose) {
            return Refreshed::Asked;
        }
        let entered = self.inner.refreshing.enter(&whose, now, min_interval);
        if entered == Refreshed::Asked {
            tokio::spawn(self.clone().see_to(whose));
        }
        entered
    }

    async fn see_to(self, whose: Whose) {
        let places = self.inner.refreshing.places(&whose.0);
        // The semaphore is never closed.
        let _place = places.acquire_owned().await;
        let outcome = match self.inner.runner.is_stopping() {
            true => None,
            false => Some(self.renew(&whose).await),
        };
        self.inner.refreshing.leave(&whose, self.inner.clock.now());
        if let Some(outcome) = outcome {
            self.inner.observer.profile_refreshed(&whose.0, outcome);
        }
    }

    /// Asks for somebody's profile and takes it.
    async fn renew(&self, whose: &Whose) -> RefreshOutcome {
        match self.renewed(whose).await {
            Ok(outcome) => outcome,
            Err(Denial::Store(error)) => {
                self.inner.observer.store_failed("refresh a profile", &error.to_string());
                RefreshOutcome::Failed
            }
            Err(_) => RefreshOutcome::Failed,
        }
    }

    async fn renewed(&self, whose: &Whose) -> Result<RefreshOutcome, Denial> {
        let (source, external_id) = whose;
        let identity = self.identity(source)?;
        let Some(sign_in) = self.inner.store.sign_in(source, external_id)? else { return Ok(RefreshOutcome::Gone) };
        let signed_in_at = sign_in.signed_in_at;
        let unkept = self.unkept(whose);
        let kept = || Tokens::open(&self.inner.store, source, external_id, sign_in.tokens.as_deref()?);
        let Some(tokens) = unkept.clone().or_else(kept) else { return self.signs_in_again(sign_in).await };
        if let Some(tokens) = &unkept {
            self.keep_anew(&sign_in, tokens).await?;
        }
        let profile = match self.profile(&identity, &sign_in, tokens).await {
            Err(IdentityError::Refused) => return self.signs_in_again(sign_in).await,
            other => other.map_err(|error| self.of_identity(source, error))?,
        };
        let (looked, profile) = match self.looked_at(source, profile).await {
            Err(Denial::Rejected(_) | Denial::Erased) => return Ok(RefreshOutcome::Rejected),
            other => other?,
        };
        if looked.external_id != *external_id {
            return Err(Denial::Unbelievable(crate::source::Unbelievable::Subject));
        }
        let is_unchanged = looked.is_unchanged;
        if !is_unchanged {
            let told = self.inner.gathering.take(source, looked.external_id, profile, Trigger::Refresh);
            if !told.await.unwrap_or(false) {
                return Ok(RefreshOutcome::Failed);
            }
        }
        let at = self.inner.clock.now();
        self.write(whose, SignInChange::Came { signed_in_at, at }).await?;
        Ok(if is_unchanged { RefreshOutcome::Unchanged } else { RefreshOutcome::Done })
    }

    /// The profile, by a token that is good, with a new one where the old is not.
    async fn profile(&self, identity: &Identity, sign_in: &SignIn, tokens: Tokens) -> Result<Profile, IdentityError> {
        let subject = identity.names_subjects().then_some(&sign_in.external_id);
        if tokens.is_fresh(self.inner.clock.now()) {
            match identity.profile(&tokens.access, subject).await {
                Err(IdentityError::Refused) if tokens.refresh.is_some() => {}
                answered => return answered,
            }
        }
        let former: &SecretString = tokens.refresh.as_ref().ok_or(IdentityError::Refused)?;
        let grant = identity.refresh(former).await?;
        if grant.subject.as_ref().is_some_and(|subject| *subject != sign_in.external_id) {
            return Err(IdentityError::Unbelievable(crate::source::Unbelievable::Subject));
        }
        let tokens = Tokens::of(&grant, Some(former));
        // Before the access token is used: the provider may have taken the former refresh token back already.
        if let Err(error) = self.keep_anew(sign_in, &tokens).await {
            let mut known = self.inner.refreshing.known.lock();
            let whose = (sign_in.source.clone(), sign_in.external_id.clone());
            known.entry(whose).or_default().unkept = Some(tokens);
            return Err(IdentityError::Failed(error.to_run_error()));
        }
        identity.profile(&tokens.access, subject).await
    }

    fn unkept(&self, whose: &Whose) -> Option<Tokens> {
        self.inner.refreshing.known.lock().get(whose)?.unkept.clone()
    }

    /// Stores new tokens of somebody who did not sign in again meanwhile.
    async fn keep_anew(&self, sign_in: &SignIn, tokens: &Tokens) -> Result<(), StoreError> {
        let Inner { store, observer, .. } = &*self.inner;
        let sealed = tokens.seal(store, &sign_in.source, &sign_in.external_id);
        let tokens = sealed.map_err(|problem| {
            observer.store_failed("seal somebody's tokens", &problem);
            StoreError::Random(problem)
        })?;
        let change = SignInChange::Tokens { signed_in_at: sign_in.signed_in_at, tokens };
        let whose = (sign_in.source.clone(), sign_in.external_id.clone());
        self.write(&whose, change).await?;
        if let Some(tried) = self.inner.refreshing.known.lock().get_mut(&whose) {
            tried.unkept = None;
        }
        Ok(())
    }

    async fn write(&self, (source, external_id): &Whose, change: SignInChange) -> Result<(), StoreError> {
        let sign_ins = vec![SignInWrite { source: source.clone(), external_id: external_id.clone(), change }];
        self.inner.store.commit_async(ChangeSet { sign_ins, ..ChangeSet::default() }).await.map(drop)
    }

    /// Their tokens are good no more; nothing else changes.
    async fn signs_in_again(&self, sign_in: SignIn) -> Result<RefreshOutcome, Denial> {
        let SignIn { source, external_id, signed_in_at, .. } = sign_in;
        self.write(&(source, external_id), SignInChange::SignInAgain { signed_in_at }).await?;
        Ok(RefreshOutcome::SignInAgain)
    }

    /// How many of a source stand how.
    pub fn standings(&self) -> Vec<SignInFacts> {
        let counts = |(source, _): (&SourceName, _)| {
            SignInStanding::ALL.map(|standing| {
                let people = self.inner.store.sign_in_count(source, standing);
                SignInFacts { source: source.clone(), standing, people }
            })
        };
        self.sources().flat_map(counts).collect()
    }

    /// Whose profile is being asked for, for tests that wait for it.
    pub fn is_refreshing(&self, user: UserId) -> bool {
        let known = self.inner.refreshing.known.lock();
        let mut going = known.iter().filter(|(_, tried)| tried.at.is_none()).map(|(whose, _)| whose);
        going.any(|(source, external_id)| self.user(source, external_id) == Some(user))
    }
}
