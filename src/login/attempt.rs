//! A sign-in by a browser: begun here, done at the provider, ended here. What was begun is sealed into a cookie of that browser, so
//! that nobody can end what another began, and a flood of beginnings holds nothing in memory.

use std::collections::{HashSet, VecDeque};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;
use url::Url;

use super::denial::Denial;
use super::logins::Logins;
use super::tokens::Tokens;
use crate::limits::{LOGIN_ATTEMPT_LIFE, LOGIN_STATES_MAX};
use crate::model::SourceName;
use crate::source::{Identity, Secrets};

/// What the cookies of sign-ins are called, before what tells one from another.
pub const COOKIE_PREFIX: &str = "rollcall_login_";

/// Where to send a browser, and what to give it.
pub struct Begun {
    pub url: Url,
    pub cookie: String,
    pub sealed: String,
    /// Where the browser is to show the cookie again.
    pub path: String,
    pub is_secure: bool,
}

/// What a browser brings back from the provider (RFC 6749 §4.1.2, RFC 9207).
#[derive(Default)]
pub struct Brought {
    pub state: Option<SecretString>,
    pub code: Option<SecretString>,
    pub iss: Option<String>,
    pub error: Option<String>,
}

/// Where the browser goes in the end, and the cookie that it needs no more.
pub struct Landed {
    pub url: Url,
    pub cookie: String,
    pub path: String,
}

/// What a cookie holds, sealed.
#[derive(Serialize, Deserialize)]
struct Attempt {
    state: String,
    nonce: String,
    verifier: String,
    return_to: Url,
    /// What the app wants to have back.
    app_state: Option<String>,
    /// In milliseconds since 1970.
    ends_at: i64,
}

/// The states that were brought back lately, by their digests.
#[derive(Default)]
pub struct Used {
    digests: HashSet<[u8; 32]>,
    order: VecDeque<(Timestamp, [u8; 32])>,
}

impl Used {
    /// Is it the first time?
    fn enter(&mut self, state: &SecretString, now: Timestamp) -> bool {
        let life = SignedDuration::try_from(LOGIN_ATTEMPT_LIFE).unwrap_or_default();
        while let Some((at, oldest)) = self.order.front() {
            if now.duration_since(*at) < life && self.order.len() < LOGIN_STATES_MAX {
                break;
            }
            self.digests.remove(oldest);
            self.order.pop_front();
        }
        let digest: [u8; 32] = Sha256::digest(state.expose_secret()).into();
        let is_new = self.digests.insert(digest);
        if is_new {
            self.order.push_back((now, digest));
        }
        is_new
    }
}

/// Each attempt of a browser has a cookie of its own.
fn cookie(state: &str) -> String {
    let digest = Sha256::digest(state);
    digest[..8].iter().fold(COOKIE_PREFIX.to_owned(), |name, byte| name + &format!("{byte:02x}"))
}

fn bound_to(source: &SourceName) -> String {
    format!("rollcall sign-in attempt\0{source}")
}

impl Logins {
    /// Begins a sign-in. `return_to`: one of the addresses that the source allows, or the first; `app_state` goes back there
    /// as it is.
    pub async fn begin(
        &self,
        source: &SourceName,
        return_to: Option<&str>,
        app_state: Option<String>,
    ) -> Result<Begun, Denial> {
        let identity = self.identity(source)?;
        let begun = self.begin_with(source, &identity, return_to, app_state).await;
        begun.map_err(|denial| self.denied(source, denial))
    }

    async fn begin_with(
        &self,
        source: &SourceName,
        identity: &Identity,
        return_to: Option<&str>,
        app_state: Option<String>,
    ) -> Result<Begun, Denial> {
        let spec = identity.spec();
        let allowed = match return_to {
            None => spec.return_to.first(),
            Some(wanted) => spec.return_to.iter().find(|allowed| allowed.as_str() == wanted),
        };
        let return_to = allowed.ok_or(Denial::ReturnTo)?.clone();
        let (url, secrets) = identity.begin().await.map_err(|error| self.of_identity(source, error))?;
        let ends_at = self.inner.clock.now().as_millisecond().saturating_add_unsigned(attempt_life_ms());
        let text = |secret: &SecretString| secret.expose_secret().to_owned();
        let attempt = Attempt {
            state: text(&secrets.state),
            nonce: text(&secrets.nonce),
            verifier: text(&secrets.verifier),
            return_to,
            app_state,
            ends_at,
        };
        let plain = serde_json::to_vec(&attempt).expect("texts and numbers make JSON");
        let sealed = self.inner.store.vault().seal(&bound_to(source), &plain);
        let sealed = sealed.map_err(|error| {
            self.inner.observer.store_failed("seal a sign-in", &error.to_string());
            Denial::Unavailable
        })?;
        let redirect_url = &spec.redirect_url;
        Ok(Begun {
            url,
            cookie: cookie(&attempt.state),
            sealed: BASE64_URL_SAFE_NO_PAD.encode(sealed),
            path: redirect_url.path().to_owned(),
            is_secure: redirect_url.scheme() == "https",
        })
    }

    /// Ends a sign-in. `cookie_of`: the browser's cookie of that name. Where the attempt is known, the browser is sent to the
    /// app whatever came of it.
    pub async fn end(
        &self,
        source: &SourceName,
        brought: Brought,
        cookie_of: impl Fn(&str) -> Option<String>,
    ) -> Result<Landed, Denial> {
        let identity = self.identity(source)?;
        let (attempt, name) =
            self.attempt(source, &brought, cookie_of).map_err(|denial| self.denied(source, denial))?;
        let signed_in = self.sign_in(source, &identity, &attempt, brought).await;
        let mut url = attempt.return_to;
        let outcome = match signed_in {
            Ok(code) => ("code", code.expose_secret().to_owned()),
            Err(denial) => ("error", self.denied(source, denial).outcome().as_str().to_owned()),
        };
        url.query_pairs_mut().append_pair(outcome.0, &outcome.1);
        if let Some(state) = &attempt.app_state {
            url.query_pairs_mut().append_pair("state", state);
        }
        Ok(Landed { url, cookie: name, path: identity.spec().redirect_url.path().to_owned() })
    }

    /// What this browser began, the first time that it comes back.
    fn attempt(
        &self,
        source: &SourceName,
        brought: &Brought,
        cookie_of: impl Fn(&str) -> Option<String>,
    ) -> Result<(Attempt, String), Denial> {
        let state = brought.state.as_ref().ok_or(Denial::State)?;
        let name = cookie(state.expose_secret());
        let sealed = cookie_of(&name).ok_or(Denial::Session)?;
        let sealed = BASE64_URL_SAFE_NO_PAD.decode(sealed).map_err(|_| Denial::Session)?;
        let plain = self.inner.store.vault().open(&bound_to(source), &sealed).map_err(|_| Denial::Session)?;
        let attempt: Attempt = serde_json::from_slice(&plain).map_err(|_| Denial::Session)?;
        if !bool::from(attempt.state.as_bytes().ct_eq(state.expose_secret().as_bytes())) {
            return Err(Denial::State);
        }
        let now = self.inner.clock.now();
        if now.as_millisecond() >= attempt.ends_at {
            return Err(Denial::Session);
        }
        if !self.inner.used.lock().enter(state, now) {
            return Err(Denial::Replayed);
        }
        Ok((attempt, name))
    }

    /// Signs somebody in by the code that their browser brought. Returns the app's one-time code.
    async fn sign_in(
        &self,
        source: &SourceName,
        identity: &Identity,
        attempt: &Attempt,
        brought: Brought,
    ) -> Result<SecretString, Denial> {
        if brought.error.is_some() {
            return Err(Denial::Denied);
        }
        let code = brought.code.ok_or(Denial::Unknown)?.expose_secret().to_owned();
        let secret = |text: &String| SecretString::from(text.clone());
        let secrets = Secrets {
            state: secret(&attempt.state),
            nonce: secret(&attempt.nonce),
            verifier: secret(&attempt.verifier),
        };
        let failed = |error| self.of_identity(source, error);
        let grant = identity.redeem(code, &secrets, brought.iss.as_deref()).await.map_err(failed)?;
        let profile = identity.profile(&grant.access, grant.subject.as_ref()).await.map_err(failed)?;
        let user = self.arrive(source, profile, &Tokens::of(&grant, None)).await?;
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(|_| Denial::Unavailable)?;
        let code = SecretString::from(BASE64_URL_SAFE_NO_PAD.encode(bytes));
        self.inner.codes.lock().enter(&code, source.clone(), user, self.inner.clock.now());
        Ok(code)
    }
}

fn attempt_life_ms() -> u64 {
    u64::try_from(LOGIN_ATTEMPT_LIFE.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_new_once() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let mut used = Used::default();
        assert!(used.enter(&"a".into(), at(0)));
        assert!(!used.enter(&"a".into(), at(599)));
        assert!(!used.enter(&"a".into(), at(-5)), "a clock that was set back forgets nothing");
        for n in 0..LOGIN_STATES_MAX + 5 {
            used.enter(&n.to_string().into(), at(1));
            assert!(used.order.len() <= LOGIN_STATES_MAX && used.digests.len() == used.order.len());
        }
    }
}
