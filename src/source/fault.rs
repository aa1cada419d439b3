//! Why a read failed: what an operator is told and which reason the metrics count.
//!
//! Invariant: no text here holds a credential, a query value or a value of a record. A URL comes in as a
//! [`RequestLine`], which is masked when it is made. Whatever a source writes, a text here has a bound.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use url::Url;

use super::rules;
use crate::config::Verdict;
use crate::limits;
use crate::model::{ErrorReason, RunError};

/// A request as it may be shown: method, scheme, host, path and the names of the query's keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RequestLine(String);

impl RequestLine {
    pub(super) fn new(method: &reqwest::Method, url: &Url) -> Self {
        let mut line = format!("{method} {}", url.origin().ascii_serialization());
        let segments = url.path_segments().into_iter().flatten();
        push_parts(&mut line, segments, |_| '/', |line, segment| line.push_str(plain(segment)));
        let push_key = |line: &mut String, key: Cow<'_, str>| {
            line.push_str(plain(&key));
            line.push_str("=***");
        };
        push_parts(&mut line, url.query_pairs().map(|(key, _)| key), |n| if n == 0 { '?' } else { '&' }, push_key);
        Self(line)
    }
}

/// The origin of a URL that the source gave, as it may be shown.
pub(super) fn shown_origin(url: &Url) -> String {
    let mut origin = url.origin().ascii_serialization();
    if origin.len() > limits::ORIGIN_SHOWN_BYTES {
        // ASCII, so every byte is a boundary.
        origin.truncate(limits::ORIGIN_SHOWN_BYTES);
        origin.push('…');
    }
    origin
}

/// Appends as many parts as may be shown, each after its mark.
fn push_parts<T>(
    line: &mut String,
    parts: impl Iterator<Item = T>,
    mark: impl Fn(usize) -> char,
    push: impl Fn(&mut String, T),
) {
    for (n, part) in parts.enumerate() {
        line.push(mark(n));
        if n == limits::URL_PARTS_SHOWN_MAX {
            line.push('…');
            return;
        }
        push(line, part);
    }
}

/// A part of a URL, which the config or the source wrote: what is no plain word could be a value in disguise, such
/// as an address in a path.
fn plain(part: &str) -> &str {
    let word = |b: u8| b.is_ascii_alphanumeric() || b"-_.~:[]".contains(&b);
    if part.len() <= limits::URL_PART_SHOWN_BYTES && part.bytes().all(word) { part } else { "***" }
}

impl fmt::Display for RequestLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a read failed.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum Fault {
    #[error("{request}: {cause}")]
    Connect { request: RequestLine, cause: String },
    #[error("{request}: TLS failed: {cause}")]
    Tls { request: RequestLine, cause: String },
    #[error("{request}: could not connect within {}", Seconds(*.limit))]
    ConnectTimeout { request: RequestLine, limit: Duration },
    #[error("{request}: the source was silent for {}", Seconds(*.limit))]
    Idle { request: RequestLine, limit: Duration },
    #[error("the list was not read to its end within {}", Seconds(*.limit))]
    RunTimeout { limit: Duration },
    #[error("{request}: answered {status}")]
    Auth { request: RequestLine, status: u16 },
    #[error("{request}: the login was refused with {status}{}", Word(.refusal))]
    LoginRefused { request: RequestLine, status: u16, refusal: Option<Refusal> },
    #[error("the source's new refresh token could not be stored: {problem}")]
    TokenUnkept { reason: ErrorReason, problem: String },
    #[error("{request}: answered {status}")]
    Status { request: RequestLine, status: u16 },
    #[error("{request}: answered {status} (too many requests)")]
    RateLimited { request: RequestLine, status: u16 },
    /// `opens_in` is how long the quota stays used up, where the source says.
    #[error("{request}: answered {status}: the quota is used up{}", OpensIn(*.opens_in))]
    Quota { request: RequestLine, status: u16, opens_in: Option<Duration> },
    /// The list ends there.
    #[error("{request}: answered {status}, which is ignored")]
    Ignored { request: RequestLine, status: u16 },
    /// By a rule of the source, counted from 1.
    #[error("{fault} (rule {rule} of `error`)")]
    Ruled { fault: Box<Fault>, rule: usize, transient: bool, hint: Option<String> },
    #[error("the source asks for a pause of {}, longer than what is left of the run's time", Seconds(*.pause))]
    PausedTooLong { pause: Duration },
    /// By our own account of it.
    #[error("the source's quota is used up{}", OpensIn(*.opens_in))]
    UsedUp { opens_in: Option<Duration> },
    #[error("what is used of the source's budget could not be written down: {problem}")]
    Unkept { reason: ErrorReason, problem: String },
    #[error("{request}: the body was cut off after {bytes} bytes")]
    CutOff { request: RequestLine, bytes: u64 },
    #[error("{request}: answered with something that is not HTTP")]
    NotHttp { request: RequestLine },
    #[error("{request}: the body is not encoded as its headers say, after {bytes} bytes")]
    Encoding { request: RequestLine, bytes: u64 },
    #[error("{request}: {problem}")]
    Decode { request: RequestLine, problem: String, hint: &'static str },
    #[error("{problem}")]
    Select { problem: String, hint: &'static str },
    #[error("{request}: the page is larger than {limit} bytes when decompressed and decoded")]
    TooLarge { request: RequestLine, limit: u64 },
    #[error("{request}: the answer's headers are too large")]
    HeadTooLarge { request: RequestLine },
    #[error("{problem}")]
    PagingLoop { problem: String, hint: &'static str },
    #[error("{request}: {what} leads to another origin, {target}")]
    OtherOrigin { request: RequestLine, what: &'static str, target: String },
    #[error("{request}: redirected more than {limit} times")]
    RedirectedTooOften { request: RequestLine, limit: u32 },
    #[error("the request cannot be built: {problem}")]
    Config { problem: String },
    #[error("{problem}")]
    Internal { problem: String },
}

impl Fault {
    /// May the same request succeed when sent again?
    pub(super) fn is_transient(&self) -> bool {
        match self {
            Self::Connect { .. }
            | Self::ConnectTimeout { .. }
            | Self::Idle { .. }
            | Self::CutOff { .. }
            | Self::RateLimited { .. } => true,
            Self::Status { status, .. } => matches!(rules::usual(*status), Verdict::Retry),
            Self::Ruled { transient, .. } => *transient,
            _ => false,
        }
    }

    /// Does the list end here without a failure?
    pub(super) fn is_ignored(&self) -> bool {
        match self {
            Self::Ignored { .. } => true,
            Self::Ruled { fault, .. } => fault.is_ignored(),
            _ => false,
        }
    }

    /// Is what was asked for not there, or no longer?
    pub(super) fn says_gone(&self) -> bool {
        matches!(self, Self::Status { status: 404 | 410, .. })
    }

    /// The status that the source answered with, where that is what is wrong.
    pub(super) fn status(&self) -> Option<u16> {
        match self {
            Self::Auth { status, .. }
            | Self::Status { status, .. }
            | Self::RateLimited { status, .. }
            | Self::Quota { status, .. }
            | Self::Ignored { status, .. } => Some(*status),
            Self::Ruled { fault, .. } => fault.status(),
            _ => None,
        }
    }

    /// What history and the API keep of it. `page` is counted from 1; `tries` is how often the page was asked for.
    pub(super) fn into_run_error(self, page: u32, tries: u32) -> RunError {
        let place = if page == 0 { String::new() } else { format!("page {page}: ") };
        let tries = if tries > 1 { format!(" ({tries} tries)") } else { String::new() };
        let mut message = format!("{place}{self}");
        if let Some((cut, _)) = message.char_indices().nth(limits::RUN_ERROR_CHARS_MAX) {
            message.truncate(cut);
            message.push('…');
        }
        message.push_str(&tries);
        RunError { reason: self.reason(), hint: self.hint().to_owned(), message }
    }

    /// When the source can be asked again, where that is known.
    pub(super) fn retry_in(&self) -> Option<Duration> {
        match self {
            Self::Quota { opens_in, .. } | Self::UsedUp { opens_in } => *opens_in,
            Self::Ruled { fault, .. } => fault.retry_in(),
            Self::PausedTooLong { pause } => Some(*pause),
            _ => None,
        }
    }

    /// Does the source refuse the very request, or answer it with something else?
    pub(super) fn refuses_place(&self) -> bool {
        match self {
            Self::Status { status, .. } => (400..500).contains(status) && !self.is_transient(),
            Self::Ruled { fault, .. } => fault.refuses_place(),
            Self::Decode { .. } | Self::Select { .. } | Self::PagingLoop { .. } | Self::TooLarge { .. } => true,
            _ => false,
        }
    }

    pub(super) fn reason(&self) -> ErrorReason {
        match self {
            Self::Connect { .. } => ErrorReason::Connect,
            Self::Tls { .. } => ErrorReason::Tls,
            Self::ConnectTimeout { .. } | Self::Idle { .. } | Self::RunTimeout { .. } => ErrorReason::Timeout,
            Self::Auth { .. } | Self::LoginRefused { .. } => ErrorReason::Auth,
            Self::Status { .. } | Self::Ignored { .. } => ErrorReason::Status,
            Self::Quota { .. } => ErrorReason::Quota,
            Self::Ruled { fault, .. } => fault.reason(),
            Self::RateLimited { .. } | Self::PausedTooLong { .. } => ErrorReason::RateLimited,
            Self::UsedUp { .. } => ErrorReason::Quota,
            Self::Unkept { reason, .. } | Self::TokenUnkept { reason, .. } => *reason,
            Self::CutOff { .. } | Self::NotHttp { .. } | Self::Encoding { .. } | Self::Decode { .. } => {
                ErrorReason::Decode
            }
            Self::Select { .. } => ErrorReason::Select,
            Self::TooLarge { .. } | Self::HeadTooLarge { .. } => ErrorReason::TooLarge,
            Self::PagingLoop { .. } => ErrorReason::PagingLoop,
            Self::OtherOrigin { .. } | Self::RedirectedTooOften { .. } => ErrorReason::Redirect,
            Self::Config { .. } => ErrorReason::Config,
            Self::Internal { .. } => ErrorReason::Internal,
        }
    }

    fn hint(&self) -> &str {
        match self {
            Self::Connect { .. } | Self::ConnectTimeout { .. } => {
                "check `base_url`, and that this machine reaches it (DNS, firewall, proxy)"
            }
            Self::Tls { .. } => "check the server's certificate and this machine's CA certificates and clock",
            Self::Idle { .. } => "the source may be overloaded; raise `idle_timeout` or ask for smaller pages",
            Self::RunTimeout { .. } => "raise `run_timeout`, or ask for larger pages so that fewer are needed",
            Self::Auth { .. } => {
                "check the source's credential: is it complete, not expired, and allowed to read this?"
            }
            Self::LoginRefused { refusal, .. } => Refusal::hint(*refusal),
            Self::TokenUnkept { .. } => {
                "see to the disk, then sync again before the server is stopped: until it is stored, only the running \
                 process knows it"
            }
            Self::Status { status: 404 | 410, .. } => "check `base_url`, `path` and the event's params",
            Self::Status { status: 500..=599, .. } => "the source has a fault of its own; ask its operator if it lasts",
            Self::Status { .. } | Self::Ignored { .. } => "check the request against the source's documentation",
            Self::Quota { .. } => "sync again when the quota opens; larger pages and fewer syncs need less of it",
            Self::Ruled { hint: Some(hint), .. } => hint,
            Self::Ruled { fault, .. } => fault.hint(),
            Self::RateLimited { .. } | Self::PausedTooLong { .. } => {
                "set the source's `budget` to what it allows, and sync less often"
            }
            Self::UsedUp { .. } => "sync again when it opens; `GET /v1/sources/{source}` says when",
            Self::Unkept { .. } => "see to the store's disk; nothing is asked of the source until it can be written to",
            Self::CutOff { .. } => "the connection broke inside the page; ask for smaller pages if it lasts",
            Self::NotHttp { .. } | Self::HeadTooLarge { .. } => {
                "check the scheme and the port of `base_url`, and what answers there"
            }
            Self::Encoding { .. } => {
                "the source, or a proxy before it, damages its answers: compare with `curl --compressed`"
            }
            Self::Decode { hint, .. } | Self::Select { hint, .. } | Self::PagingLoop { hint, .. } => hint,
            Self::TooLarge { .. } => "ask for smaller pages, or raise `page_bytes_max`",
            Self::OtherOrigin { .. } => {
                "credentials never follow to another origin: set `base_url` to where the list really is"
            }
            Self::RedirectedTooOften { .. } => "set `base_url` and `path` to where the list really is",
            Self::Config { .. } => "correct the source's `request` or the event's params",
            Self::Internal { .. } => "this is a fault of Rollcall; please report it",
        }
    }
}

/// Why a token endpoint refused (RFC 6749 §5.2). No other word of an answer is ever shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    InvalidRequest,
    InvalidClient,
    InvalidGrant,
    UnauthorizedClient,
    UnsupportedGrantType,
    InvalidScope,
}

impl Refusal {
    const ALL: [Self; 6] = [
        Self::InvalidRequest,
        Self::InvalidClient,
        Self::InvalidGrant,
        Self::UnauthorizedClient,
        Self::UnsupportedGrantType,
        Self::InvalidScope,
    ];

    pub(super) fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|refusal| refusal.as_str() == word)
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidClient => "invalid_client",
            Self::InvalidGrant => "invalid_grant",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::InvalidScope => "invalid_scope",
        }
    }

    const fn hint(refusal: Option<Self>) -> &'static str {
        match refusal {
            None => "check the values that `auth` sends, and what the source's documentation wants of a login",
            Some(Self::InvalidRequest) => "check `fields`, `client_auth` and what else the token endpoint wants",
            Some(Self::InvalidClient) => "check `client_id` and `client_secret`, and whether `client_auth` fits",
            Some(Self::InvalidGrant) => {
                "what was granted is no longer valid: have a new `refresh_token` (or password) made, and configure it"
            }
            Some(Self::UnauthorizedClient | Self::UnsupportedGrantType) => {
                "check `grant`, and whether the source allows it to this client"
            }
            Some(Self::InvalidScope) => "check `scope`, and which of it the source allows to this client",
        }
    }
}

/// A refusal's word in brackets, where there is one.
struct Word<'f>(&'f Option<Refusal>);

impl fmt::Display for Word<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |refusal| write!(f, " ({})", refusal.as_str()))
    }
}

/// A duration as people write it: `30 s`, `0.25 s`.
struct Seconds(Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} s", self.0.as_millis() as f64 / 1000.0)
    }
}

/// `; it opens again in 5 h 12 min`, as long waits are told; nothing where it is not known.
struct OpensIn(Option<Duration>);

impl fmt::Display for OpensIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(opens_in) = self.0 else { return Ok(()) };
        let minutes = opens_in.as_secs().div_ceil(60);
        match (minutes / 60, minutes % 60) {
            (0, minutes) => write!(f, "; it opens again in {minutes} min"),
            (hours, minutes) => write!(f, "; it opens again in {hours} h {minutes} min"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_line_shows_no_value() {
        let long = format!("https://api.example/{}{}?{}", "a/".repeat(1_000), "b".repeat(1_000), "c&".repeat(1_000));
        let shown = format!("GET https://api.example/{}…?{}…", "a/".repeat(12), "c=***&".repeat(12));
        for (url, expected) in [
            ("https://api.example/v1/people", "GET https://api.example/v1/people"),
            (
                "https://u:secret@api.example/?key=secret&page[size]=5#secret",
                "GET https://api.example/?key=***&page[size]=***",
            ),
            ("http://127.0.0.1:80/a?secret%40example.org", "GET http://127.0.0.1/a?***=***"),
            ("http://[::1]:8080/a", "GET http://[::1]:8080/a"),
            ("https://api.example/people/ada@example.org/", "GET https://api.example/people/***/"),
            ("https://api.example/ada%40example.org?a", "GET https://api.example/***?a=***"),
            (&long, &shown),
        ] {
            let line = RequestLine::new(&reqwest::Method::GET, &Url::parse(url).unwrap());
            assert_eq!(line.to_string(), expected, "{url}");
        }
    }

    #[test]
    fn only_what_may_pass_is_tried_again() {
        let request = RequestLine("GET x".into());
        let status = |status| Fault::Status { request: request.clone(), status };
        for again in [408, 425, 500, 502, 503, 504, 599] {
            assert!(status(again).is_transient(), "{again}");
        }
        for never in [304, 400, 404, 410, 422] {
            assert!(!status(never).is_transient(), "{never}");
        }
        assert!(Fault::CutOff { request: request.clone(), bytes: 1 }.is_transient());
        assert!(!Fault::Tls { request: request.clone(), cause: String::new() }.is_transient());
        assert!(!Fault::Auth { request, status: 401 }.is_transient());
    }

    #[test]
    fn an_error_names_page_request_and_tries() {
        let fault = Fault::Status { request: RequestLine("GET https://a.example/b".into()), status: 503 };
        let error = fault.into_run_error(3, 5);
        assert_eq!(error.message, "page 3: GET https://a.example/b: answered 503 (5 tries)");
        assert_eq!(error.reason, ErrorReason::Status);
        let error = Fault::RunTimeout { limit: Duration::from_millis(250) }.into_run_error(0, 1);
        assert_eq!(error.message, "the list was not read to its end within 0.25 s");
        let error = Fault::Internal { problem: "é".repeat(100_000) }.into_run_error(1, 2);
        assert_eq!(error.message.chars().count(), limits::RUN_ERROR_CHARS_MAX + "… (2 tries)".chars().count());
    }
}
