//! What came of something, as metric labels.

/// How a request to a source ended, as a metric label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResponseCode {
    Status(u16),
    /// No answer: refused, reset, timed out, TLS.
    Error,
}

impl ResponseCode {
    pub(super) const ALL: [&'static str; 6] = ["2xx", "3xx", "4xx", "429", "5xx", "error"];

    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Status(429) => "429",
            Self::Status(200..=299) => "2xx",
            Self::Status(300..=399) => "3xx",
            Self::Status(400..=499) => "4xx",
            Self::Status(500..=599) => "5xx",
            Self::Status(_) | Self::Error => "error",
        }
    }
}

/// What came of a hook, as a metric label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HookOutcome {
    Accepted,
    /// The same came a while ago.
    Repeated,
    /// No feed of the source is for the event it names.
    Unmatched,
    /// It is the source's, but cannot be read.
    Malformed,
    /// It is not proved to be the source's.
    Refused,
    /// Nothing of the events that it is for begins by itself any more.
    Shut,
}

impl HookOutcome {
    pub(super) const ALL: [Self; 6] =
        [Self::Accepted, Self::Repeated, Self::Unmatched, Self::Malformed, Self::Refused, Self::Shut];

    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Repeated => "repeated",
            Self::Unmatched => "unmatched",
            Self::Malformed => "malformed",
            Self::Refused => "refused",
            Self::Shut => "shut",
        }
    }
}

/// How a sign-in ended, as a metric label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignInOutcome {
    Done,
    /// It was to end at an address that is not allowed.
    ReturnTo,
    /// The browser did not begin it, or too long ago.
    Session,
    State,
    Replayed,
    /// At the provider.
    Denied,
    /// The provider does not know the code or token.
    Unknown,
    IdToken,
    Nonce,
    Issuer,
    /// The profile is of somebody else.
    Subject,
    NoProof,
    /// The token was made for another app.
    OtherAudience,
    /// The profile lacks what a user needs.
    Rejected,
    EmailUnverified,
    EmailTaken,
    Erased,
    /// No fault of theirs.
    Failed,
}

impl SignInOutcome {
    pub(super) const ALL: [Self; 18] = [
        Self::Done,
        Self::ReturnTo,
        Self::Session,
        Self::State,
        Self::Replayed,
        Self::Denied,
        Self::Unknown,
        Self::IdToken,
        Self::Nonce,
        Self::Issuer,
        Self::Subject,
        Self::NoProof,
        Self::OtherAudience,
        Self::Rejected,
        Self::EmailUnverified,
        Self::EmailTaken,
        Self::Erased,
        Self::Failed,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::ReturnTo => "return_to",
            Self::Session => "session",
            Self::State => "state",
            Self::Replayed => "replayed",
            Self::Denied => "denied",
            Self::Unknown => "unknown",
            Self::IdToken => "id_token",
            Self::Nonce => "nonce",
            Self::Issuer => "issuer",
            Self::Subject => "subject",
            Self::NoProof => "no_proof",
            Self::OtherAudience => "other_audience",
            Self::Rejected => "rejected",
            Self::EmailUnverified => "email_unverified",
            Self::EmailTaken => "email_taken",
            Self::Erased => "erased",
            Self::Failed => "failed",
        }
    }
}

/// What came of asking for somebody's profile anew, as a metric label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefreshOutcome {
    /// It brought something new.
    Done,
    Unchanged,
    /// Their tokens are good no more.
    SignInAgain,
    /// It cannot be used.
    Rejected,
    /// They signed out or were erased meanwhile.
    Gone,
    /// It is tried again.
    Failed,
}

impl RefreshOutcome {
    pub(super) const ALL: [Self; 6] =
        [Self::Done, Self::Unchanged, Self::SignInAgain, Self::Rejected, Self::Gone, Self::Failed];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Unchanged => "unchanged",
            Self::SignInAgain => "sign_in_again",
            Self::Rejected => "rejected",
            Self::Gone => "gone",
            Self::Failed => "failed",
        }
    }
}

/// What came of an attempt to send a mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailOutcome {
    Sent,
    /// It is tried again.
    Deferred,
    /// For good.
    Failed,
}

impl MailOutcome {
    pub(super) const ALL: [Self; 3] = [Self::Sent, Self::Deferred, Self::Failed];

    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Deferred => "deferred",
            Self::Failed => "failed",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_fall_into_six_classes() {
        for (code, label) in [(200, "2xx"), (304, "3xx"), (404, "4xx"), (429, "429"), (503, "5xx"), (100, "error")] {
            assert_eq!(ResponseCode::Status(code).label(), label);
        }
        assert_eq!(ResponseCode::Error.label(), "error");
    }
}
