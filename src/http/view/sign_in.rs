//! People who signed in.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::UserView;
use crate::login::Refreshed;
use crate::model::{ExternalId, SignIn, SignInStanding, SourceName};

/// Somebody who signed in.
#[derive(Serialize, ToSchema)]
#[schema(as = SignedIn)]
pub struct SignedInView {
    #[schema(value_type = String)]
    pub source: SourceName,
    pub user: UserView,
}

/// How a sign-in stands.
#[derive(Serialize, ToSchema)]
#[schema(as = SignIn)]
pub struct SignInView {
    #[schema(value_type = String)]
    source: SourceName,
    /// Whom the source says it is.
    #[schema(value_type = String)]
    external_id: ExternalId,
    standing: StandingView,
    #[schema(value_type = String, format = DateTime)]
    signed_in_at: Timestamp,
    /// When the profile came last.
    #[schema(value_type = String, format = DateTime)]
    refreshed_at: Timestamp,
}

#[derive(Serialize, ToSchema)]
#[schema(as = SignInStanding)]
#[serde(rename_all = "snake_case")]
enum StandingView {
    /// The profile can be asked for.
    SignedIn,
    /// The tokens are good no more; the profile stays as it came last.
    SignInAgain,
}

impl From<SignIn> for SignInView {
    fn from(SignIn { source, external_id, standing, signed_in_at, refreshed_at, .. }: SignIn) -> Self {
        let standing = match standing {
            SignInStanding::SignedIn => StandingView::SignedIn,
            SignInStanding::SignInAgain => StandingView::SignInAgain,
        };
        Self { source, external_id, standing, signed_in_at, refreshed_at }
    }
}

/// Somebody who signed out.
#[derive(Serialize, ToSchema)]
#[schema(as = SignedOut)]
pub struct SignedOutView {
    /// The provider said that the tokens are good no more. They are forgotten here whatever it says.
    pub revoked: bool,
}

/// What is known of a user, and what comes of asking for their profile anew.
#[derive(Serialize, ToSchema)]
#[schema(as = Refresh)]
pub struct RefreshView {
    pub refresh: RefreshedView,
    pub user: UserView,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Refreshed)]
#[serde(rename_all = "snake_case")]
pub enum RefreshedView {
    /// They never signed in, or signed out.
    NotSignedIn,
    /// Every event that they attend had its final sync.
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

impl From<Refreshed> for RefreshedView {
    fn from(refreshed: Refreshed) -> Self {
        match refreshed {
            Refreshed::NotSignedIn => Self::NotSignedIn,
            Refreshed::Over => Self::Over,
            Refreshed::Recent => Self::Recent,
            Refreshed::SignInAgain => Self::SignInAgain,
            Refreshed::Busy => Self::Busy,
            Refreshed::Asked => Self::Asked,
        }
    }
}
