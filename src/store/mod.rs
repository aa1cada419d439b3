//! The store: people in blocks of 16 in one sled tree, indexes in memory, one writer.
//!
//! Readers read the indexes and the blocks as last committed. Indexes answer at any time; whoever reads a block waits
//! while a batch, of a megabyte at most, is brought to disk.

mod engine;
mod error;
mod files;
mod index;
mod keys;
mod pieces;
mod read;
mod registrations;
mod state;
mod table;
#[cfg(test)]
mod tests;
mod writer;

pub use crate::codec::StoredToken;
pub use error::StoreError;
pub use files::STORE_SCHEMA;
pub use index::RegistrationHit;
pub use read::{AttendeeFilter, GroupCount, Store, TokenWrite, View};
pub use writer::{Ack, ChangeSet, EventWrite};
