//! The store: people in blocks of 16 in one sled tree, indexes in memory, one writer.
//!
//! Readers never wait for the writer's disk: they read the indexes and the blocks as last committed.

mod columns;
mod compact;
mod engine;
mod erasing;
mod error;
mod files;
mod grants;
mod index;
mod integrity;
mod keys;
mod live;
mod packing;
mod passes;
mod pieces;
mod places;
mod read;
mod registrations;
mod room;
mod salvage;
mod scan;
mod select;
mod sign_ins;
mod sled_files;
mod snapshot;
mod state;
mod table;
#[cfg(test)]
mod tests;
mod tombstones;
mod vault;
mod writer;

pub use crate::codec::StoredToken;
pub use compact::Compaction;
pub use erasing::Erasing;
pub use error::StoreError;
pub use files::STORE_SCHEMA;
pub use index::RegistrationHit;
pub use passes::{PassChange, PassWrite, ReceiptKey, Secret, WithdrawalChange, WithdrawalWrite};
pub use places::Places;
pub use read::{Commit, GroupCount, Store, TokenWrite, View};
pub use salvage::Salvage;
pub use select::{Found, Selection, Who};
pub use sign_ins::{Resealed, SignInChange, SignInWrite};
pub use vault::{Unreadable, Unsealed, Vault, bound_to};
pub use writer::{Ack, ChangeSet, EventWrite, GroupWrite, Newcomers};
