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
