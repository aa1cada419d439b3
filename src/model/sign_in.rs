//! How people stand with the sources that they sign in with.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{ExternalId, SourceName};

/// What is kept of somebody who signed in, beside the registration that it made. It goes with that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignIn {
    pub source: SourceName,
    /// Whom the source says it is.
    pub external_id: ExternalId,
    pub standing: SignInStanding,
    /// When they signed in last.
    pub signed_in_at: Timestamp,
    /// When the profile came last.
    pub refreshed_at: Timestamp,
    /// Their tokens, sealed; `None` where there are none any more.
    pub tokens: Option<Vec<u8>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignInStanding {
    /// The profile can be asked for.
    SignedIn,
    /// Their tokens are good no more. The profile stays as it came last.
    SignInAgain,
}

impl SignInStanding {
    pub const ALL: [Self; 2] = [Self::SignedIn, Self::SignInAgain];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SignedIn => "signed_in",
            Self::SignInAgain => "sign_in_again",
        }
    }
}
