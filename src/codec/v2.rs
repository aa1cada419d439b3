//! The second schema version of what needed one, frozen.

use bincode::{BorrowDecode, Encode};

use super::v1;

#[derive(Encode, BorrowDecode)]
pub struct FeedState<'a> {
    pub complete_reads: u32,
    pub last_run: Option<u64>,
    pub last_attempt_ms: Option<i64>,
    pub last_success_ms: Option<i64>,
    pub consecutive_failures: u32,
    pub position: Option<FeedPosition<'a>>,
    pub goes_on_at_ms: Option<i64>,
}

#[derive(Encode, BorrowDecode)]
pub struct FeedPosition<'a> {
    pub seed: u64,
    pub read_whole_at_ms: Option<i64>,
    /// Partition, seconds, nanoseconds.
    pub watermarks: Vec<([u8; 16], i64, i32)>,
    pub etag: Option<&'a str>,
    pub last_modified: Option<&'a str>,
}

#[derive(Encode, BorrowDecode)]
pub struct JournalHeader<'a> {
    pub run: u64,
    pub event: &'a str,
    pub source: &'a str,
    pub dry_run: bool,
    pub planned_at_ms: i64,
    pub position: Option<FeedPosition<'a>>,
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
    pub safety: Safety,
}

#[derive(Encode, BorrowDecode, Default)]
pub struct Safety {
    pub missing: Option<Missing>,
    pub missing_runs: Option<u32>,
    pub enabled: Option<bool>,
    pub max_removed: Option<u32>,
    pub max_deleted: Option<u32>,
    pub min_expected: Option<u32>,
    pub max_rejected: Option<u32>,
    pub held_days: Option<u32>,
}

#[derive(Encode, BorrowDecode, Clone, Copy)]
pub enum Missing {
    Keep,
    Remove,
}

#[derive(Encode, BorrowDecode)]
pub struct Run<'a> {
    pub id: u64,
    pub event: &'a str,
    pub source: &'a str,
    pub trigger: v1::Trigger,
    pub dry_run: bool,
    pub full: bool,
    pub started_at_ms: i64,
    pub ended_at_ms: Option<i64>,
    /// The word, so that the list of outcomes can grow.
    pub outcome: Option<&'a str>,
    pub held: Vec<Doubt<'a>>,
    pub expires_at_ms: Option<i64>,
    pub decision: Option<Decision<'a>>,
    pub degraded: Vec<Doubt<'a>>,
    pub error: Option<v1::RunError<'a>>,
    pub complete: bool,
    /// As in version 1.
    pub counts: [u64; 11],
    /// As in version 1.
    pub traffic: [u64; 5],
    pub undoes: Option<u64>,
    pub undone_by: Option<u64>,
    pub applied: u64,
    pub planned: Option<u64>,
    pub log: Vec<v1::LogLine<'a>>,
}

#[derive(Encode, BorrowDecode)]
pub struct Doubt<'a> {
    /// The word, so that the list of kinds can grow.
    pub kind: &'a str,
    pub text: &'a str,
}

#[derive(Encode, BorrowDecode)]
pub struct Decision<'a> {
    pub by: &'a str,
    pub at_ms: i64,
}

#[derive(Encode, BorrowDecode)]
pub struct SpoolItem<'a> {
    pub symbols: Vec<(u8, &'a str)>,
    pub body: SpoolBody<'a>,
}

#[derive(Encode, BorrowDecode)]
pub enum SpoolBody<'a> {
    Record {
        page: u32,
        index: u32,
        raw: [u8; 16],
        mapped: [u8; 16],
        record: v1::MappedRecord<'a>,
    },
    Note(v1::RecordNote<'a>),
    Opening {
        seed: u64,
        full: bool,
        began_ms: i64,
        read_whole_at_ms: Option<i64>,
    },
    Checkpoint {
        bookmark: &'a [u8],
        at_ms: i64,
        pages: u32,
        records: u64,
        unchanged: Vec<[u8; 16]>,
        same: Vec<[u8; 16]>,
    },
}

/// What follows a [`v1::Person`] of whom something was decided by hand.
#[derive(Encode, BorrowDecode, Default)]
pub struct ByHand<'a> {
    pub attendances: Vec<AttendanceByHand<'a>>,
    pub memberships: Vec<MembershipByHand<'a>>,
    /// Of every field.
    pub protects_all: bool,
    pub protected: Vec<v1::Field>,
}

#[derive(Encode, BorrowDecode)]
pub struct AttendanceByHand<'a> {
    pub event: u32,
    pub set: Override,
    pub by: &'a str,
    pub at_ms: i64,
}

#[derive(Encode, BorrowDecode)]
pub struct MembershipByHand<'a> {
    pub group: u32,
    pub set: Override,
    pub event: Option<u32>,
    pub by: &'a str,
    pub at_ms: i64,
}

#[derive(Encode, BorrowDecode, Clone, Copy, PartialEq, Eq)]
pub enum Override {
    Added,
    Excluded,
}

/// What follows a [`v1::JournalEntry`] of a person of whom something was decided by hand.
#[derive(Encode, BorrowDecode, Default)]
pub struct EntryByHand<'a> {
    pub before: Option<ByHand<'a>>,
    pub after: Option<ByHand<'a>>,
}
