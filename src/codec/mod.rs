//! The model as bytes and back: what the store, the journal and the spool keep. bincode lives only here.
//!
//! Every value is sealed with its kind, a schema version and a checksum; opening checks all three and that
//! every byte was consumed. bincode cannot add fields, so each version is a set of frozen structs (`v1`);
//! a change of format adds a version and a migration, and the fixture tests keep the old one readable.
//!
//! Invariant: pure. No I/O.

mod audit;
mod block;
mod by_hand;
mod convert;
mod entry;
mod erasure;
mod feed;
mod glance;
mod history;
mod inviting;
mod item;
mod journey;
mod newcomer;
mod pass;
mod pause;
mod person;
mod seal;
mod sign_in;
mod symbols;
#[cfg(test)]
mod tests;
mod v1;
mod v2;
mod v3;

pub use audit::{decode_audit_entry, encode_audit_entry};
pub use block::{Block, Unpacked, decode_person, encode_person};
pub use entry::{EntryDecoder, EntryEncoder, JournalHeader, JournalTrailer, Planned};
pub use erasure::{
    decode_erasure, decode_tombstone, decode_tombstones, encode_erasure, encode_tombstone, encode_tombstones,
};
pub use feed::{decode_feed_state, encode_feed_state};
pub use glance::{AttendanceGlance, Glance, PassageGlance, RegistrationGlance};
pub use history::{
    Meta, StoredToken, decode_event, decode_group, decode_meta, decode_run, decode_token, encode_event, encode_group,
    encode_meta, encode_run, encode_token,
};
pub use inviting::{decode_inviting, encode_inviting};
pub use item::{Checkpoint, Item, ItemDecoder, ItemEncoder, Opening, SpooledRecord};
pub use newcomer::{Newcomer, Recoding};
pub use pass::{decode_pass, decode_withdrawal, encode_pass, encode_withdrawal};
pub use pause::{decode_pause, encode_pause};
pub use seal::{CodecError, Kind, checksum_of, open, open_newest, seal};
pub use sign_in::{decode_sign_in, encode_sign_in};
pub use symbols::{SymbolKind, Symbols};
