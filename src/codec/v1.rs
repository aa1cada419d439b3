//! Schema version 1, frozen: these structs never change. A new format is a new module.
//!
//! Times are milliseconds (`_ms`) or microseconds (`_us`) since the Unix epoch. Numbers named `event`, `source`,
//! `group` and `Custom` are symbols.

use bincode::{BorrowDecode, Encode};

#[derive(Encode, BorrowDecode)]
pub struct Person<'a> {
    pub id: [u8; 16],
    pub email: &'a str,
    /// 0: local; n: `owners[n - 1]`.
    pub email_owner: u8,
    pub created_at_ms: i64,
    /// At most 255, each once.
    pub owners: Vec<Owner>,
    pub profile: Vec<ProfileField<'a>>,
    pub registrations: Vec<Registration<'a>>,
    pub attendances: Vec<Attendance<'a>>,
}

#[derive(Encode, BorrowDecode, PartialEq, Eq, Clone)]
pub struct Owner {
    pub source: u32,
    pub run: u64,
    pub at_ms: i64,
}

#[derive(Encode, BorrowDecode)]
pub struct ProfileField<'a> {
    pub field: Field,
    pub owner: u8,
    pub value: Value<'a>,
}

#[derive(Encode, BorrowDecode)]
pub struct Registration<'a> {
    pub event: u32,
    pub source: u32,
    pub external_id: &'a str,
    /// `None`: as the user's.
    pub email: Option<&'a str>,
    pub state: RegistrationState,
    pub absent_since: Option<u32>,
    pub updated_at_us: Option<i64>,
    pub raw: [u8; 16],
    pub mapped: [u8; 16],
    /// `None`: as in the profile.
    pub fields: Vec<(Field, Option<Value<'a>>)>,
    /// `None`: as in the attendance of the event.
    pub event_fields: Vec<(EventField, Option<Value<'a>>)>,
    pub groups: Vec<u32>,
}

#[derive(Encode, BorrowDecode)]
pub struct Attendance<'a> {
    pub event: u32,
    pub active: bool,
    pub changed_at_ms: i64,
    pub fields: Vec<(EventField, Value<'a>)>,
}

#[derive(Encode, BorrowDecode, Clone, Copy)]
pub enum Field {
    FirstName,
    LastName,
    Title,
    JobTitle,
    Company,
    Country,
    Biography,
    Phone,
    AdditionalInfo,
    Custom(u32),
}

#[derive(Encode, BorrowDecode, Clone, Copy)]
pub enum EventField {
    BadgeUrl,
    RegistrationType,
}

#[derive(Encode, BorrowDecode)]
pub enum Value<'a> {
    Text(&'a str),
    Number(&'a str),
    Bool(bool),
    List(Vec<&'a str>),
}

#[derive(Encode, BorrowDecode, Clone, Copy)]
pub enum RegistrationState {
    Attending,
    NotAttending,
    Cancelled,
}

#[derive(Encode, BorrowDecode, Clone, Copy)]
pub enum RecordState {
    Attending,
    NotAttending,
    Cancelled,
    Deleted,
}

#[derive(Encode, BorrowDecode)]
pub struct MappedRecord<'a> {
    pub external_id: &'a str,
    pub state: RecordState,
    pub email: Option<&'a str>,
    pub updated_at_us: Option<i64>,
    pub fields: Vec<(Field, Value<'a>)>,
    pub event_fields: Vec<(EventField, Value<'a>)>,
    /// Key's symbol and spelling.
    pub groups: Vec<(u32, &'a str)>,
}

#[derive(Encode, BorrowDecode)]
pub enum SkipReason {
    Filtered,
    UnknownDeleted,
    UnknownCancelled,
    Duplicate,
    // Added later: an older build refuses a journal with it as malformed.
    Erased,
}

#[derive(Encode, BorrowDecode)]
pub enum RejectReason {
    MissingField,
    InvalidEmail,
    FieldTooLong,
    NulCharacter,
    WrongType,
    InvalidUrl,
    InvalidTime,
    ExpressionFailed,
    EmailTaken,
    // Appended: what was written before reads as it did.
    EmailUnverified,
}

#[derive(Encode, BorrowDecode)]
pub struct RecordNote<'a> {
    pub page: u32,
    pub index: u32,
    pub external_id: Option<&'a str>,
    pub verdict: Verdict<'a>,
}

#[derive(Encode, BorrowDecode)]
pub enum Verdict<'a> {
    Skip(SkipReason),
    Reject { reason: RejectReason, field: &'a str },
}

#[derive(Encode, BorrowDecode)]
pub enum Action {
    Create,
    Update,
    Remove,
    Delete,
    Touch,
}

/// New symbols come before what uses them.
#[derive(Encode, BorrowDecode)]
pub struct JournalEntry<'a> {
    pub symbols: Vec<(u8, &'a str)>,
    pub entry: Entry<'a>,
}

#[derive(Encode, BorrowDecode)]
#[expect(clippy::large_enum_variant, reason = "one at a time, encoded or converted at once")]
pub enum Entry<'a> {
    Person { action: Action, user: Option<u32>, id: [u8; 16], before: Option<Person<'a>>, after: Option<Person<'a>> },
    Record(RecordNote<'a>),
    Group { key: &'a str, name: &'a str },
    // Appended: what was written before reads as it did.
    GroupGone { key: &'a str, name: &'a str },
    NotUndone { id: [u8; 16], parts: Vec<&'a str> },
}

#[derive(Encode, BorrowDecode)]
pub struct JournalHeader<'a> {
    pub run: u64,
    pub event: &'a str,
    pub source: &'a str,
    pub dry_run: bool,
    pub planned_at_ms: i64,
}

#[derive(Encode, BorrowDecode)]
pub struct JournalTrailer {
    pub entries: u64,
    /// XXH3-64 of every byte before the trailer.
    pub checksum: u64,
}

#[derive(Encode, BorrowDecode)]
pub struct Meta {
    pub generation: u64,
    pub next_user: u32,
    pub next_run: u64,
}

#[derive(Encode, BorrowDecode)]
pub struct FeedState {
    pub complete_reads: u32,
    pub last_run: Option<u64>,
    pub last_attempt_ms: Option<i64>,
    pub last_success_ms: Option<i64>,
    pub consecutive_failures: u32,
}

#[derive(Encode, BorrowDecode)]
pub struct Group<'a> {
    pub key: &'a str,
    pub name: &'a str,
}

#[derive(Encode, BorrowDecode)]
pub struct Event<'a> {
    pub name: &'a str,
    pub title: &'a str,
    pub starts_at_ms: Option<i64>,
    pub feeds: Vec<Feed<'a>>,
}

#[derive(Encode, BorrowDecode)]
pub struct Feed<'a> {
    pub source: &'a str,
    pub params: Vec<(&'a str, &'a str)>,
}

#[derive(Encode, BorrowDecode)]
pub struct Token<'a> {
    pub name: &'a str,
    pub sha256: [u8; 32],
    pub scopes: Vec<&'a str>,
    pub created_at_ms: i64,
}

#[derive(Encode, BorrowDecode)]
pub struct AuditEntry<'a> {
    pub at_ms: i64,
    /// Id and name; `None`: the machine's own command line.
    pub token: Option<([u8; 6], &'a str)>,
    /// The word, so that the list of actions can grow.
    pub action: &'a str,
    pub subject: &'a str,
    pub note: &'a str,
}

#[derive(Encode, BorrowDecode)]
pub struct Run<'a> {
    pub id: u64,
    pub event: &'a str,
    pub source: &'a str,
    pub trigger: Trigger,
    pub dry_run: bool,
    pub full: bool,
    pub started_at_ms: i64,
    pub ended_at_ms: Option<i64>,
    pub outcome: Option<RunOutcome>,
    pub error: Option<RunError<'a>>,
    pub complete: bool,
    /// records, unchanged, create, update, remove, delete, skip, reject, duplicates, missing, shared_email.
    pub counts: [u64; 11],
    /// pages, bytes, requests, retries, wait_ms.
    pub traffic: [u64; 5],
    pub applied: u64,
    pub planned: Option<u64>,
    pub log: Vec<LogLine<'a>>,
}

#[derive(Encode, BorrowDecode, Clone, Copy)]
pub enum Trigger {
    Cli,
    Api,
    // Appended: what was written before reads as it did.
    Hook,
    Hint,
    Undo,
    Schedule,
    SignIn,
    Refresh,
}

#[derive(Encode, BorrowDecode, Clone, Copy)]
pub enum RunOutcome {
    Done,
    Failed,
    Cancelled,
}

#[derive(Encode, BorrowDecode)]
pub struct RunError<'a> {
    /// The word, so that the list of reasons can grow.
    pub reason: &'a str,
    pub message: &'a str,
    pub hint: &'a str,
}

#[derive(Encode, BorrowDecode)]
pub struct LogLine<'a> {
    pub at_ms: i64,
    /// 0 info, 1 warn, 2 error.
    pub level: u8,
    pub text: &'a str,
}

#[derive(Encode, BorrowDecode)]
pub struct Tombstone {
    pub at_ms: i64,
    pub user: [u8; 16],
    pub marks: Vec<[u8; 16]>,
}

/// The file beside the store.
#[derive(Encode, BorrowDecode)]
pub struct Tombstones {
    /// The batches of the store of which it tells.
    pub generation: u64,
    pub tombstones: Vec<Tombstone>,
}

#[derive(Encode, BorrowDecode)]
pub struct Erasure<'a> {
    pub at_ms: i64,
    pub by: ErasedBy<'a>,
    pub users: Vec<[u8; 16]>,
    pub registrations: u64,
    pub tombstones: u64,
    pub next_run: u64,
    pub marks: Vec<[u8; 16]>,
    /// journals, entries, reads.
    pub cleaned: [u64; 3],
    pub cleaned_at_ms: Option<i64>,
    pub compacted_at_ms: Option<i64>,
}

#[derive(Encode, BorrowDecode)]
pub enum ErasedBy<'a> {
    CommandLine,
    Token([u8; 6], &'a str),
    Run(u64),
}
