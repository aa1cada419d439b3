//! The validated configuration: what the rest of the program reads. Every bound and cross-reference holds.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::civil::Time;
use jiff::tz::TimeZone;
use secrecy::SecretString;
use url::Url;

use super::Template;
use super::units::spell_duration;
use crate::mapping::{Expression, MappingSpec};
use crate::model::{Event, EventName, SourceName};

/// One appliance.
#[derive(Debug, Clone)]
pub struct Config {
    /// The file it was read from.
    pub path: PathBuf,
    pub server: ServerSpec,
    pub store: StoreSpec,
    pub log: LogSpec,
    pub sources: BTreeMap<SourceName, Arc<SourceSpec>>,
    /// Events provisioned in the file.
    pub events: BTreeMap<EventName, Arc<Event>>,
}

#[derive(Debug, Clone)]
pub struct ServerSpec {
    /// Loopback unless `behind_proxy`.
    pub listen: SocketAddr,
    pub behind_proxy: bool,
}

#[derive(Debug, Clone)]
pub struct StoreSpec {
    /// The data directory; relative paths are taken from the config file's folder.
    pub path: PathBuf,
    /// How long journals are kept, in days.
    pub journal_days: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, JSON otherwise.
    Auto,
    Text,
    Json,
}

#[derive(Debug, Clone)]
pub struct LogSpec {
    pub format: LogFormat,
    /// A `tracing` filter, e.g. `info` or `rollcall::source=debug`.
    pub level: String,
}

/// An external system and how to read it.
#[derive(Debug, Clone)]
pub struct SourceSpec {
    pub name: SourceName,
    /// Higher wins where sources disagree about a person.
    pub priority: i32,
    /// Where a person edits what this source owns; may use `{external_id}`.
    pub edit_url: Option<Template>,
    pub delete_scope: DeleteScope,
    pub request: RequestSpec,
    pub auth: AuthSpec,
    pub pagination: PaginationSpec,
    pub mapping: MappingSpec,
    /// Checked together; empty means unlimited.
    pub budget: Vec<WindowSpec>,
    pub budget_headers: BudgetHeaders,
    pub limits: SourceLimits,
}

/// What a delete flag deletes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeleteScope {
    /// The flagged registrations; the user too when nothing else keeps them here.
    Registration,
    /// Always the user.
    User,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    Get,
    Post,
}

/// How one page is asked for. Templates may use `{param.x}`, and `{cursor}` with a paginator of the kind `cursor`.
#[derive(Debug, Clone)]
pub struct RequestSpec {
    pub method: Method,
    /// Ends in `/`, so that a relative `path` is joined below it. `https` unless loopback or `allow_http`.
    pub base_url: Url,
    pub path: Template,
    pub query: Vec<(String, Template)>,
    pub headers: Vec<(String, Template)>,
    pub body: BodySpec,
    /// What one request takes of the budget, > 0 and no more than any window allows.
    pub weight: u32,
}

#[derive(Debug, Clone)]
pub enum BodySpec {
    None,
    /// Strings inside are templates; a string that is one placeholder alone stays a string.
    Json(JsonTemplate),
    Form(Vec<(String, Template)>),
}

/// A JSON value whose strings are templates.
#[derive(Debug, Clone)]
pub enum JsonTemplate {
    Literal(serde_json::Value),
    Text(Template),
    Array(Vec<JsonTemplate>),
    Object(Vec<(String, JsonTemplate)>),
}

#[derive(Debug, Clone)]
pub enum AuthSpec {
    None,
    ApiKey {
        place: ApiKeyPlace,
        prefix: String,
        key: SecretString,
    },
    /// RFC 7617
    Basic {
        username: String,
        password: SecretString,
    },
    /// RFC 6750
    Bearer {
        token: SecretString,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApiKeyPlace {
    Header(String),
    Query(String),
}

/// How the next page is found.
#[derive(Debug, Clone)]
pub enum PaginationSpec {
    /// One response is the whole list.
    None,
    /// A page number in the query.
    Page { param: String, first: u64, size: Option<PageSize>, stop: StopSpec },
    /// The number of records before the page, in the query.
    Offset { param: String, first: u64, size: PageSize, stop: StopSpec },
    /// A token from the body that asks for the next page.
    Cursor { param: CursorPlace, from: Expression, stop: StopSpec },
    /// A URL in the body, absolute or relative to the request's. An absent, null or empty one ends the list.
    NextUrl { from: Expression, stop: StopSpec },
    /// The `Link` header's `rel="next"` (RFC 8288).
    LinkHeader { stop: StopSpec },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageSize {
    /// The query parameter; `None` where the source does not take one.
    pub param: Option<String>,
    /// Records a page, > 0. A shorter page is the last.
    pub size: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CursorPlace {
    Query(String),
    /// A key at the top of the JSON or form body.
    Body(String),
    /// Wherever the request's templates say `{cursor}`.
    Templates,
}

/// What else the body says about the list.
#[derive(Debug, Clone, Default)]
pub struct StopSpec {
    /// False, null or absent ends the list.
    pub has_more: Option<Expression>,
    /// How many records the whole list has.
    pub total: Option<Expression>,
}

/// An allowance: requests that weigh at most `requests` together in any `per`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowSpec {
    pub requests: u32,
    pub per: Per,
    /// `None`: the window slides. Otherwise `per` is a day, and it begins anew at this time of it.
    pub resets: Option<DailyReset>,
}

/// The length of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Per {
    Second,
    Minute,
    Hour,
    Day,
    /// None of the lengths that have a name.
    Every(Duration),
}

impl Per {
    const NAMED: [Self; 4] = [Self::Second, Self::Minute, Self::Hour, Self::Day];

    /// `60s` is a minute, however it was written.
    pub fn new(length: Duration) -> Self {
        Self::NAMED.into_iter().find(|named| named.duration() == length).unwrap_or(Self::Every(length))
    }

    pub const fn duration(self) -> Duration {
        match self {
            Self::Second => Duration::from_secs(1),
            Self::Minute => Duration::from_secs(60),
            Self::Hour => Duration::from_secs(60 * 60),
            Self::Day => Duration::from_secs(24 * 60 * 60),
            Self::Every(length) => length,
        }
    }
}

/// As the configuration spells it: `minute`, `10m`.
impl fmt::Display for Per {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Second => f.write_str("second"),
            Self::Minute => f.write_str("minute"),
            Self::Hour => f.write_str("hour"),
            Self::Day => f.write_str("day"),
            Self::Every(length) => f.write_str(&spell_duration(*length)),
        }
    }
}

/// A time of the day at which an allowance begins anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DailyReset {
    pub at: Time,
    pub zone: TimeZone,
}

/// Where a source's answers tell what is left of its allowance. Names of headers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BudgetHeaders {
    /// What is left, in the units of the budget. Never without `reset`.
    pub remaining: Option<String>,
    /// When there is more.
    pub reset: Option<ResetHeader>,
    /// Stands for `Retry-After`, where an answer has it.
    pub retry_after: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResetHeader {
    pub name: String,
    pub unit: ResetUnit,
}

/// What a reset header counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResetUnit {
    /// From the answer on.
    Seconds,
    Milliseconds,
    /// Since 1970.
    EpochSeconds,
    EpochMilliseconds,
    /// RFC 9110, 5.6.7
    HttpDate,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceLimits {
    pub connect_timeout: Duration,
    /// Longest silence of the source, before the headers and between parts of the body.
    pub idle_timeout: Duration,
    /// Longest read of the whole list.
    pub run_timeout: Duration,
    /// Tries of one request, the first included, > 0.
    pub tries: u32,
    /// Most bytes of one page, decompressed.
    pub page_bytes_max: u64,
    pub pages_max: u32,
}
