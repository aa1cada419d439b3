//! What is configured of a source's hooks.

use std::time::Duration;

use secrecy::SecretString;

use super::RequestSpec;
use crate::mapping::Expression;

/// How a source says by itself that somebody changed. What it says is a hint: it is asked.
#[derive(Debug, Clone)]
pub struct HookSpec {
    pub proof: HookProof,
    /// From a hook's body to the records it names. There if and only if `record` is.
    pub ids: Option<Expression>,
    /// `None`: a hook is for every feed of the source.
    pub event: Option<HookEvent>,
    /// How one record is asked for. `None`: a hook starts a sync.
    pub record: Option<HookRecord>,
    /// Hooks start one sync of a feed in this time.
    pub min_interval: Duration,
    /// For so long the same hook again is a repetition.
    pub remember: Duration,
}

impl HookSpec {
    /// How a record is asked for, where it is.
    pub fn request(&self) -> Option<&RequestSpec> {
        self.record.as_ref().map(|record| &record.request)
    }
}

/// How a hook shows that it is the source's.
#[derive(Debug, Clone)]
pub enum HookProof {
    Signature(SignatureSpec),
    /// At the end of its path.
    Path(SecretString),
}

/// HMAC-SHA256 (RFC 2104) over the body, or over `timestamp.body`.
#[derive(Debug, Clone)]
pub struct SignatureSpec {
    pub secret: SecretString,
    /// The header in which the signature stands.
    pub header: String,
    /// The header of the time it was made, in seconds since 1970.
    pub timestamp_header: Option<String>,
    pub text: SignatureText,
    /// What stands before the signature.
    pub prefix: String,
}

/// How a signature is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignatureText {
    Hex,
    /// RFC 4648 §4, with or without padding.
    Base64,
}

/// Which feeds a hook is for: those whose param has this value.
#[derive(Debug, Clone)]
pub struct HookEvent {
    /// On a hook's body.
    pub value: Expression,
    pub param: String,
}

/// How a record that a hook names is asked for.
#[derive(Debug, Clone)]
pub struct HookRecord {
    /// May use `{hook.id}`, and neither `{cursor}`, `{since}` nor `{parent.x}`.
    pub request: RequestSpec,
    /// From its answer to the records in it.
    pub select: Expression,
}
