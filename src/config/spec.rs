//! The validated configuration: what the rest of the program reads. Every bound and cross-reference holds.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use super::Template;
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

/// A request allowance: at most `requests` in any `per`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowSpec {
    pub requests: u32,
    pub per: Per,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Per {
    Second,
    Minute,
}

impl Per {
    pub const fn duration(self) -> Duration {
        match self {
            Self::Second => Duration::from_secs(1),
            Self::Minute => Duration::from_secs(60),
        }
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Second => "second",
            Self::Minute => "minute",
        }
    }
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
