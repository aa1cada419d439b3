//! What becomes of a badge whose URL is asked for it.

use super::UserId;

/// What the URL of an attendee's badge answers with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadgeFound {
    /// A JPEG, a PNG or a PDF.
    Good,
    /// A success of another media type.
    OtherType,
    /// A status that is no success.
    Status(u16),
    /// Nothing: no such host, refused, too slow, TLS, plain http, redirects without end.
    NoAnswer,
    /// The source's budget gave no leave, or the registration that brought the badge is gone.
    NotAsked,
}

impl BadgeFound {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::OtherType => "other_type",
            Self::Status(_) => "status",
            Self::NoAnswer => "no_answer",
            Self::NotAsked => "not_asked",
        }
    }
}

/// The same for one attendee.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadgeLook {
    pub user: UserId,
    pub found: BadgeFound,
}
