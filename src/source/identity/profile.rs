//! What a provider says of somebody.

use crate::decode::RawRecord;
use crate::model::ExternalId;

/// What a provider says of somebody who signed in with it.
pub struct Profile {
    pub record: RawRecord,
    /// The `sub` that it vouches for; `None` where the profile alone says who it is of.
    pub subject: Option<ExternalId>,
    /// It vouches for the email, too, or is taken to.
    pub is_verified: bool,
}
