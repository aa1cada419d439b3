//! What is told of people who sign in.

use metrics::counter;

use super::catalogue as c;
use super::observer::Observer;
use super::outcomes::{RefreshOutcome, SignInOutcome};
use crate::model::{RunError, SourceName};

impl Observer {
    /// Registers the series of a source with which people sign in at zero.
    pub fn sign_ins_known(&self, source: &SourceName) {
        self.record(|| {
            for outcome in SignInOutcome::ALL {
                counter!(c::SIGN_INS, "source" => source.to_string(), "outcome" => outcome.as_str()).absolute(0);
            }
            for outcome in RefreshOutcome::ALL {
                let outcome = outcome.as_str();
                counter!(c::PROFILE_REFRESHES, "source" => source.to_string(), "outcome" => outcome).absolute(0);
            }
        });
    }

    /// Somebody signed in, or was refused.
    pub fn sign_in(&self, source: &SourceName, outcome: SignInOutcome) {
        let word = outcome.as_str();
        if outcome == SignInOutcome::Done {
            tracing::debug!(%source, "signed in");
        } else {
            tracing::info!(%source, reason = word, "a sign-in came to nothing");
        }
        self.record(|| counter!(c::SIGN_INS, "source" => source.to_string(), "outcome" => word).increment(1));
    }

    /// An identity provider gave no useful answer.
    pub fn provider_failed(&self, source: &SourceName, error: &RunError) {
        let RunError { reason, message, .. } = error;
        tracing::warn!(%source, reason = reason.as_str(), message, "the identity provider gives no useful answer");
    }

    /// A profile was asked for anew.
    pub fn profile_refreshed(&self, source: &SourceName, outcome: RefreshOutcome) {
        let word = outcome.as_str();
        tracing::debug!(%source, outcome = word, "profile asked for anew");
        self.record(|| counter!(c::PROFILE_REFRESHES, "source" => source.to_string(), "outcome" => word).increment(1));
    }

    /// What was sealed by a former key of the vault was sealed anew.
    pub fn vault_sealed_anew(&self, key: u32, sealed: u64, unreadable: u64) {
        if unreadable == 0 {
            tracing::info!(key, sealed, "everything is sealed by the vault's new key");
        } else {
            tracing::error!(key, sealed, unreadable, "some tokens do not open; the vault's former keys stay");
        }
    }
}
