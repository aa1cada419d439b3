//! Why somebody is not signed in, for whoever asks and as a metric label.

use crate::model::{RejectReason, Rejection};
use crate::observe::SignInOutcome;
use crate::source::Unbelievable;
use crate::store::StoreError;
use crate::sync::Unfit;

/// Why somebody is not signed in.
#[derive(Debug, thiserror::Error)]
pub enum Denial {
    #[error("nobody signs in with this source")]
    UnknownSource,
    #[error("this address is not among the source's return_to")]
    ReturnTo,
    #[error("no sign-in was begun in this browser, or too long ago")]
    Session,
    #[error("the answer is not of the sign-in that was begun")]
    State,
    #[error("the answer was used already")]
    Replayed,
    #[error("the provider says that the sign-in was refused or given up")]
    Denied,
    #[error("the provider does not know what was brought from it (any more)")]
    Unknown,
    #[error("{0}")]
    Unbelievable(Unbelievable),
    #[error("the profile cannot be used: {} ({})", .0.field, .0.reason.as_str())]
    Rejected(Rejection),
    #[error("the email is another user's")]
    EmailTaken,
    #[error("the person was erased and is to stay out")]
    Erased,
    #[error("the provider gives no useful answer")]
    Unavailable,
    #[error("the server has too much to do")]
    Busy,
    #[error("the server is stopping")]
    Stopping,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Denial {
    pub fn outcome(&self) -> SignInOutcome {
        match self {
            Self::UnknownSource | Self::ReturnTo => SignInOutcome::ReturnTo,
            Self::Session => SignInOutcome::Session,
            Self::State => SignInOutcome::State,
            Self::Replayed => SignInOutcome::Replayed,
            Self::Denied => SignInOutcome::Denied,
            Self::Unknown => SignInOutcome::Unknown,
            Self::Unbelievable(why) => match why {
                Unbelievable::IdToken => SignInOutcome::IdToken,
                Unbelievable::Nonce => SignInOutcome::Nonce,
                Unbelievable::Issuer => SignInOutcome::Issuer,
                Unbelievable::Subject => SignInOutcome::Subject,
                Unbelievable::NoProof => SignInOutcome::NoProof,
                Unbelievable::OtherAudience => SignInOutcome::OtherAudience,
            },
            Self::Rejected(rejection) if rejection.reason == RejectReason::EmailUnverified => {
                SignInOutcome::EmailUnverified
            }
            Self::Rejected(rejection) if rejection.reason == RejectReason::EmailTaken => SignInOutcome::EmailTaken,
            Self::Rejected(_) => SignInOutcome::Rejected,
            Self::EmailTaken => SignInOutcome::EmailTaken,
            Self::Erased => SignInOutcome::Erased,
            Self::Unavailable | Self::Busy | Self::Stopping | Self::Store(_) => SignInOutcome::Failed,
        }
    }
}

impl From<Unfit> for Denial {
    fn from(unfit: Unfit) -> Self {
        match unfit {
            Unfit::Rejected(rejection) => Self::Rejected(rejection),
            Unfit::Erased => Self::Erased,
        }
    }
}
