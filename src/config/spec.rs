//! The validated configuration: what the rest of the program reads. Every bound and cross-reference holds.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::civil::Time;
use jiff::tz::TimeZone;
use secrecy::SecretString;
use url::Url;

use super::units::spell_duration;
use super::{CredentialSpec, FilledIn, HookSpec, MailSpec, PushSpec, SignInSpec, Template};
use crate::decode::Format;
use crate::mapping::{Expression, MappingSpec};
use crate::model::{Event, EventName, SafetySettings, SourceName};

/// One appliance.
#[derive(Debug, Clone)]
pub struct Config {
    /// The file it was read from.
    pub path: PathBuf,
    pub server: ServerSpec,
    pub store: StoreSpec,
    pub log: LogSpec,
    /// `None`: nothing is mailed.
    pub mail: Option<Arc<MailSpec>>,
    pub sources: BTreeMap<SourceName, Arc<SourceSpec>>,
    /// What presets said for those sources that name one.
    pub filled_in: BTreeMap<SourceName, FilledIn>,
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
    /// How long the audit log is kept, in days.
    pub audit_days: u32,
    /// For how long the store's files may keep the bytes of who was erased.
    pub compact_after: Duration,
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
    /// What people have to enter, as it is told to them.
    pub credentials: Vec<CredentialSpec>,
    /// What an empty list may mean.
    pub empty_hint: Option<String>,
    /// Higher wins where sources disagree about a person.
    pub priority: i32,
    /// Where a person edits what this source owns; may use `{external_id}`.
    pub edit_url: Option<Template>,
    pub delete_scope: DeleteScope,
    /// Of each of its feeds that says nothing else.
    pub safety: SafetySettings,
    /// Of a source of logins that has its profiles from the provider: where that is.
    pub request: RequestSpec,
    pub auth: AuthSpec,
    pub pagination: PaginationSpec,
    /// May a read go on later from where it was interrupted? Only where a place in the list stays the same place.
    pub stable: bool,
    /// Parent lists, outermost first; the list is read once for each item of the innermost. Empty: there is one list.
    pub partitions: Vec<PartitionSpec>,
    /// `None`: every read asks for the whole list.
    pub incremental: Option<IncrementalSpec>,
    /// `None`: it tells of nothing by itself.
    pub hook: Option<Arc<HookSpec>>,
    /// What goes back to it, by name.
    pub pushes: Vec<Arc<PushSpec>>,
    /// `Some`: people sign in with it, and each of them is a record; it has no list. `None`: nobody does.
    pub sign_in: Option<Arc<SignInSpec>>,
    /// What answers mean that it alone gives; the first that is met counts.
    pub errors: Vec<ErrorRule>,
    /// What its pages are written in.
    pub format: Format,
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

impl SourceSpec {
    /// What its costliest request costs, in the units of its budget.
    pub fn weight_max(&self) -> u32 {
        self.requests().map(|request| request.weight).fold(self.request.weight, u32::max)
    }

    /// Every request that it is asked by, logins apart.
    pub fn requests(&self) -> impl Iterator<Item = &RequestSpec> {
        let parents = self.partitions.iter().filter_map(PartitionSpec::request);
        let record = self.hook.iter().filter_map(|hook| hook.request());
        parents.chain([&self.request]).chain(record).chain(self.pushes.iter().map(|push| &push.request))
    }
}

/// One level of parents. Requests below it may use its fields as `{parent.x}`, and records get them under `parent`.
#[derive(Debug, Clone)]
pub enum PartitionSpec {
    /// Written down, with equal keys.
    Fixed(Vec<BTreeMap<String, String>>),
    List(Box<ParentList>),
}

/// A list of parents.
#[derive(Debug, Clone)]
pub struct ParentList {
    pub request: RequestSpec,
    pub pagination: PaginationSpec,
    pub select: Expression,
    /// Not everything in the list need be read.
    pub skip_when: Option<Expression>,
    /// What is taken of each parent; together they tell it from the others.
    pub fields: Vec<(String, Expression)>,
}

impl PartitionSpec {
    /// How it is asked for.
    pub fn request(&self) -> Option<&RequestSpec> {
        match self {
            Self::Fixed(_) => None,
            Self::List(list) => Some(&list.request),
        }
    }

    /// The names of its fields.
    pub fn fields(&self) -> Vec<&str> {
        match self {
            Self::Fixed(values) => values.first().into_iter().flat_map(BTreeMap::keys).map(String::as_str).collect(),
            Self::List(list) => list.fields.iter().map(|(name, _)| name.as_str()).collect(),
        }
    }
}

/// How a source is asked for what changed since the last time: the request says `{since}`.
#[derive(Debug, Clone)]
pub struct IncrementalSpec {
    pub watermark: WatermarkSpec,
    pub format: TimeFormat,
    /// Asked for once more before the watermark; what is as it was changes nobody.
    pub lookback: Duration,
    /// The whole list is read when the last such read is older.
    pub full_every: Duration,
}

/// What tells how far a read has come, in the source's own time.
#[derive(Debug, Clone)]
pub enum WatermarkSpec {
    /// The newest of these times of records.
    RecordMax(Expression),
    /// This header of the first page.
    ResponseHeader(String),
    /// When the first page was answered, by its `Date` (RFC 9110 §6.6.1).
    RunStart,
}

/// How a source writes times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TimeFormat {
    /// RFC 3339. Times without an offset are in this zone.
    Rfc3339(TimeZone),
    /// Seconds since 1970.
    Unix,
    /// Milliseconds since 1970.
    UnixMs,
    /// By a pattern of strftime, in this zone.
    Pattern(String, TimeZone),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    Get,
    Post,
    /// Of what goes back only.
    Put,
    /// The same.
    Patch,
}

/// How one page is asked for. Templates may use `{param.x}`; `{cursor}` with a paginator of the kind `cursor`; `{since}` in an
/// incremental read; `{parent.x}` below a parent list.
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
    /// Strings inside are templates; a string that is one placeholder alone stays a string, but for `{cursor}` where
    /// that is the number of a page or an offset.
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
    /// RFC 6749
    OAuth2(Box<OAuth2Spec>),
    /// A request whose answer holds a token.
    Session(Box<SessionSpec>),
}

/// How a token endpoint is asked for a token.
#[derive(Debug, Clone)]
pub struct OAuth2Spec {
    /// `https` unless loopback or `allow_http`. Perhaps on another origin than the source.
    pub token_url: Url,
    /// The `grant_type`.
    pub grant: String,
    pub client_id: String,
    /// A public client has none.
    pub client_secret: Option<SecretString>,
    pub client_auth: ClientAuth,
    pub scope: Option<String>,
    /// Further fields of the form; none that another setting fills.
    pub fields: Vec<(String, SecretString)>,
    /// The first one; present if and only if `grant` is `refresh_token`.
    pub refresh_token: Option<SecretString>,
    /// Where an answer holds the refresh token that takes the place of the former.
    pub next_refresh_token: Expression,
    pub token: TokenSpec,
}

/// Where the client's id and secret stand (RFC 6749 §2.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAuth {
    Basic,
    Body,
}

#[derive(Debug, Clone)]
pub struct SessionSpec {
    pub request: LoginRequestSpec,
    pub token: TokenSpec,
}

/// A login: one credential serves all feeds of a source, so there are no placeholders, but any value may be secret.
#[derive(Debug, Clone)]
pub struct LoginRequestSpec {
    pub method: Method,
    /// As `token_url`.
    pub url: Url,
    pub query: Vec<(String, SecretString)>,
    pub headers: Vec<(String, SecretString)>,
    pub body: LoginBody,
}

#[derive(Debug, Clone)]
pub enum LoginBody {
    None,
    Json(SecretJson),
    Form(Vec<(String, SecretString)>),
}

/// A JSON value whose texts cannot print.
#[derive(Debug, Clone)]
pub enum SecretJson {
    /// A number or a boolean.
    Literal(serde_json::Value),
    Text(SecretString),
    Array(Vec<SecretJson>),
    Object(Vec<(String, SecretJson)>),
}

/// What a login's answer gives, and what requests do with it.
#[derive(Debug, Clone)]
pub struct TokenSpec {
    pub from: TokenFrom,
    /// `None`: until the source refuses it.
    pub life: Option<TokenLife>,
    pub place: ApiKeyPlace,
    pub prefix: String,
}

#[derive(Debug, Clone)]
pub enum TokenFrom {
    Body(Expression),
    Header(String),
    /// By its name, from `Set-Cookie` (RFC 6265).
    Cookie(String),
}

#[derive(Debug, Clone)]
pub enum TokenLife {
    /// Seconds from the answer on. Null or absent: no end is known.
    In(Expression),
    /// A point in time. Null or absent: no end is known.
    At(Expression),
    Fixed(Duration),
}

/// Where a key or a token stands in a request.
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
    /// A page number in the parameter of the query, or, without one, wherever the templates say `{cursor}`.
    Page { param: Option<String>, first: u64, size: Option<PageSize>, stop: StopSpec },
    /// The number of records before the page, as a page number.
    Offset { param: Option<String>, first: u64, size: PageSize, stop: StopSpec },
    /// A token from the answer that asks for the next page. `size` is how many records a full page has, > 0.
    Cursor { param: CursorPlace, from: CursorSource, size: Option<u64>, stop: StopSpec },
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

/// Where an answer holds the cursor of the next page. An absent, null or empty one ends the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CursorSource {
    Page(Expression),
    /// In the page's last raw record; a page without records has none.
    LastRecord(Expression),
    /// A header of this name.
    Header(String),
}

/// What ends a list, beside the absence of a cursor or URL.
#[derive(Debug, Clone, Default)]
pub struct StopSpec {
    /// False, null or absent ends the list.
    pub has_more: Option<Expression>,
    /// The number of the last page, for the kind `page`.
    pub last_page: Option<Expression>,
    /// How many records the whole list has.
    pub total: Option<Expression>,
    /// A page with fewer records than a full one, but some.
    pub short_page: Sign,
    /// A page without records. `None`: as the kind has it, which ends the list of a `page` or `offset` and none else.
    pub empty_page: Option<Sign>,
    pub repeated: Repeated,
}

/// What a page means for the list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Sign {
    #[default]
    End,
    GoesOn,
}

/// What it means when a page names as the next one what it was asked for with itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Repeated {
    /// The source ignores it: a loop.
    #[default]
    Fault,
    /// The source has no other sign of the end.
    End,
}

/// What an answer means that meets all of these conditions.
#[derive(Debug, Clone)]
pub struct ErrorRule {
    /// Any status where empty, one of a success too.
    pub statuses: Vec<RangeInclusive<u16>>,
    pub header: Option<HeaderRule>,
    /// True on the body, where that is JSON.
    pub when: Option<Expression>,
    /// A text that the body holds.
    pub contains: Option<String>,
    pub then: Verdict,
    /// What people are told to do about it.
    pub hint: Option<String>,
}

/// A header that an answer has.
#[derive(Debug, Clone)]
pub struct HeaderRule {
    pub name: String,
    /// A text that its value holds.
    pub contains: Option<String>,
}

/// What to do about an answer that is no page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Try again after a while.
    Retry,
    /// Try again after the pause that the source asks for; nobody else asks meanwhile.
    RateLimited,
    /// Give up until the source's quota opens.
    QuotaExhausted,
    /// The credential is no longer good.
    RefreshToken,
    /// The page counts as empty, the list ends there, and the read is not complete.
    Ignore,
    Fail,
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
    /// Lists of partitions that are read at one time, > 0.
    pub concurrency: u32,
}
