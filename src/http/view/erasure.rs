//! Who was erased and what of it is still to be done, who is kept out, and what the store's rewriting came to.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::model::{Actor, ErasedBy, Erasure, ErasureId, Tombstone};
use crate::store::Compaction;

/// That people were erased. Nothing in it is personal.
#[derive(Serialize, ToSchema)]
#[schema(as = Erasure)]
pub struct ErasureView {
    /// A later one has a higher number.
    id: u64,
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    by: ErasedByView,
    /// The ids that they had.
    #[schema(value_type = Vec<String>)]
    users: Vec<crate::model::UserId>,
    /// How many registrations went with them.
    registrations: u64,
    /// How many tombstones it left.
    tombstones: u64,
    /// Journals that were written anew without them, and how many of their entries are no more.
    journals_cleaned: u64,
    entries_removed: u64,
    /// Interrupted reads that were dropped because of them.
    reads_dropped: u64,
    /// Since when nothing in the runs' files tells of them; null while a run goes on that had begun before.
    #[schema(value_type = Option<String>, format = DateTime)]
    files_cleaned_at: Option<Timestamp>,
    /// When the store's files are to be without their bytes.
    #[schema(value_type = String, format = DateTime)]
    compaction_due_at: Timestamp,
    /// Since when they are.
    #[schema(value_type = Option<String>, format = DateTime)]
    compacted_at: Option<Timestamp>,
}

/// Why they were erased.
#[derive(Serialize, ToSchema)]
#[schema(as = ErasedBy)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum ErasedByView {
    /// Whoever uses the command line on the machine itself said so.
    CommandLine,
    /// Whoever has the token said so.
    Token { id: String, name: String },
    /// The source did, by its delete flag.
    Run { run: u64 },
}

/// Keeps one erased person out.
#[derive(Serialize, ToSchema)]
#[schema(as = Tombstone)]
pub struct TombstoneView {
    pub id: String,
    /// When the person was erased.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// The id that they had.
    #[schema(value_type = String)]
    user: crate::model::UserId,
    /// How many records it keeps out beside the address.
    records: u64,
}

/// The store's files before and after they were rewritten.
#[derive(Serialize, ToSchema)]
#[schema(as = Compaction)]
pub struct CompactionView {
    bytes_before: u64,
    bytes_after: u64,
}

impl ErasureView {
    pub fn of(ErasureId(id): ErasureId, erasure: Erasure, compaction_due_at: Timestamp) -> Self {
        let Erasure { at, by, users, registrations, tombstones, cleaned, cleaned_at, compacted_at, .. } = erasure;
        Self {
            id,
            at,
            by: by.into(),
            users,
            registrations,
            tombstones,
            journals_cleaned: cleaned.journals,
            entries_removed: cleaned.entries,
            reads_dropped: cleaned.reads,
            files_cleaned_at: cleaned_at,
            compaction_due_at,
            compacted_at,
        }
    }
}

impl From<ErasedBy> for ErasedByView {
    fn from(by: ErasedBy) -> Self {
        match by {
            ErasedBy::Hand(Actor::CommandLine) => Self::CommandLine,
            ErasedBy::Hand(Actor::Token { id, name }) => Self::Token { id: id.to_string(), name },
            ErasedBy::Run(run) => Self::Run { run: run.0 },
        }
    }
}

impl From<&Tombstone> for TombstoneView {
    fn from(tombstone: &Tombstone) -> Self {
        let Tombstone { at, user, marks } = tombstone;
        Self { id: tombstone.id().to_string(), at: *at, user: *user, records: marks.len().saturating_sub(1) as u64 }
    }
}

impl From<Compaction> for CompactionView {
    fn from(Compaction { before, after }: Compaction) -> Self {
        Self { bytes_before: before, bytes_after: after }
    }
}
