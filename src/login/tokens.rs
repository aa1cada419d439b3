//! Somebody's tokens, and their seal.

use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use crate::limits::ACCESS_TOKEN_SPARE;
use crate::model::{ExternalId, SourceName};
use crate::source::Grant;
use crate::store::{Store, bound_to};

/// What the provider granted to one person.
#[derive(Clone)]
pub struct Tokens {
    pub access: SecretString,
    pub expires_at: Option<Timestamp>,
    pub refresh: Option<SecretString>,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    access: String,
    /// In milliseconds since 1970.
    expires_at: Option<i64>,
    refresh: Option<String>,
}

impl Tokens {
    /// `former`: the refresh token that was used, which stays good where no other takes its place.
    pub fn of(grant: &Grant, former: Option<&SecretString>) -> Self {
        let Grant { access, refresh, expires_at, .. } = grant;
        Self { access: access.clone(), expires_at: *expires_at, refresh: refresh.as_ref().or(former).cloned() }
    }

    /// Is the access token good for a request that begins now?
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        let spare = SignedDuration::try_from(ACCESS_TOKEN_SPARE).unwrap_or_default();
        self.expires_at.is_none_or(|at| at.duration_since(now) > spare)
    }

    /// # Errors
    /// The system gives no random bytes, says the text.
    pub fn seal(&self, store: &Store, source: &SourceName, external_id: &ExternalId) -> Result<Vec<u8>, String> {
        let text = |secret: &SecretString| secret.expose_secret().to_owned();
        let stored = Stored {
            access: text(&self.access),
            expires_at: self.expires_at.map(Timestamp::as_millisecond),
            refresh: self.refresh.as_ref().map(text),
        };
        let plain = serde_json::to_vec(&stored).expect("texts and numbers make JSON");
        store.vault().seal(&bound_to(source, external_id), &plain).map_err(|error| error.to_string())
    }

    /// `None` of what was sealed by another key, or for somebody else.
    pub fn open(store: &Store, source: &SourceName, external_id: &ExternalId, sealed: &[u8]) -> Option<Self> {
        let plain = store.vault().open(&bound_to(source, external_id), sealed).ok()?;
        let stored: Stored = serde_json::from_slice(&plain).ok()?;
        Some(Self {
            access: stored.access.into(),
            expires_at: stored.expires_at.and_then(|at| Timestamp::from_millisecond(at).ok()),
            refresh: stored.refresh.map(SecretString::from),
        })
    }
}
