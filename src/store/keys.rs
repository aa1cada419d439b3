//! The keys of the one tree: a tag, then numbers big-endian, so that scans come in order.

use crate::codec::SymbolKind;
use crate::limits::BLOCK_USERS;
use crate::model::{AuditId, ErasureId, EventName, FeedId, GroupKey, Keepsake, RunId, SourceName, TombstoneId, UserNo};

/// What the engine itself keeps; see [`super::integrity`].
pub const INTEGRITY: &[u8] = b"!";
pub const META: &[u8] = b"m";
pub const BLOCKS: &[u8] = b"b";
pub const SYMBOLS: &[u8] = b"s";
pub const RUNS: &[u8] = b"r";
pub const FEEDS: &[u8] = b"f";
pub const EVENTS: &[u8] = b"e";
pub const GROUPS: &[u8] = b"g";
pub const TOKENS: &[u8] = b"t";
pub const KEEPSAKES: &[u8] = b"k";
pub const AUDIT: &[u8] = b"a";
pub const TOMBSTONES: &[u8] = b"x";
pub const ERASURES: &[u8] = b"y";
/// Not `p`, which begins the keys of [pieces](super::pieces).
pub const PAUSES: &[u8] = b"z";
pub const INVITING: &[u8] = b"i";
pub const SIGN_INS: &[u8] = b"l";
pub const PASSES: &[u8] = b"w";
pub const WITHDRAWALS: &[u8] = b"v";

/// Names hold no NUL, so it parts them from the user's number.
pub fn pass(event: &EventName, UserNo(user): UserNo) -> Vec<u8> {
    [PASSES, event.as_str().as_bytes(), b"\0", &user.to_be_bytes()].concat()
}

/// Whose pass it is, from its key.
pub fn pass_user(key: &[u8]) -> Option<UserNo> {
    let (_, number) = key.strip_prefix(PASSES)?.split_last_chunk()?;
    Some(UserNo(u32::from_be_bytes(*number)))
}

pub fn withdrawal(id: u128) -> Vec<u8> {
    join(WITHDRAWALS, &id.to_be_bytes())
}

/// The number of what is to be taken back, from its key.
pub fn withdrawal_id(key: &[u8]) -> Option<u128> {
    Some(u128::from_be_bytes(key.strip_prefix(WITHDRAWALS)?.try_into().ok()?))
}

/// By the hash of the registration, so that the key tells nothing of whom it is of.
pub fn sign_in(registration: u128) -> Vec<u8> {
    join(SIGN_INS, &registration.to_be_bytes())
}

/// The hash of a registration from its sign-in's key.
pub fn sign_in_hash(key: &[u8]) -> Option<u128> {
    Some(u128::from_be_bytes(key.strip_prefix(SIGN_INS)?.try_into().ok()?))
}

/// The block that holds a user.
pub const fn block_of(UserNo(user): UserNo) -> u32 {
    user / BLOCK_USERS
}

/// The user's slot in its block.
pub const fn slot_of(UserNo(user): UserNo) -> usize {
    (user % BLOCK_USERS) as usize
}

fn join(tag: &[u8], rest: &[u8]) -> Vec<u8> {
    [tag, rest].concat()
}

pub fn block(number: u32) -> Vec<u8> {
    join(BLOCKS, &number.to_be_bytes())
}

/// The number of a block from its key.
pub fn block_number(key: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(key.strip_prefix(BLOCKS)?.try_into().ok()?))
}

pub fn symbol(kind: SymbolKind, number: u32) -> Vec<u8> {
    let [a, b, c, d] = number.to_be_bytes();
    join(SYMBOLS, &[kind as u8, a, b, c, d])
}

/// Kind and number of a symbol from its key.
pub fn symbol_number(key: &[u8]) -> Option<(SymbolKind, u32)> {
    let (kind, number) = key.strip_prefix(SYMBOLS)?.split_first()?;
    Some((SymbolKind::from_byte(*kind)?, u32::from_be_bytes(number.try_into().ok()?)))
}

pub fn run(RunId(id): RunId) -> Vec<u8> {
    join(RUNS, &id.to_be_bytes())
}

/// The number of a run from its key.
pub fn run_number(key: &[u8]) -> Option<RunId> {
    Some(RunId(u64::from_be_bytes(key.strip_prefix(RUNS)?.try_into().ok()?)))
}

pub fn event(name: &EventName) -> Vec<u8> {
    join(EVENTS, name.as_str().as_bytes())
}

pub fn inviting(event: &EventName) -> Vec<u8> {
    join(INVITING, event.as_str().as_bytes())
}

/// The event of a key.
pub fn inviting_event(key: &[u8]) -> Option<EventName> {
    EventName::parse(std::str::from_utf8(key.strip_prefix(INVITING)?).ok()?).ok()
}

/// Names hold no NUL, so it parts them.
pub fn feed(feed: &FeedId) -> Vec<u8> {
    join(FEEDS, format!("{}\0{}", feed.event, feed.source).as_bytes())
}

pub fn feed_id(key: &[u8]) -> Option<FeedId> {
    let text = std::str::from_utf8(key.strip_prefix(FEEDS)?).ok()?;
    let (event, source) = text.split_once('\0')?;
    Some(FeedId { event: EventName::or_community(event).ok()?, source: SourceName::parse(source).ok()? })
}

pub fn group(key: &GroupKey) -> Vec<u8> {
    join(GROUPS, key.as_str().as_bytes())
}

pub fn token(sha256: &[u8; 32]) -> Vec<u8> {
    join(TOKENS, sha256)
}

pub fn keepsake(source: &SourceName, what: Keepsake) -> Vec<u8> {
    join(KEEPSAKES, format!("{source}\0{}", what.as_str()).as_bytes())
}

pub fn keepsake_id(key: &[u8]) -> Option<(SourceName, Keepsake)> {
    let text = std::str::from_utf8(key.strip_prefix(KEEPSAKES)?).ok()?;
    let (source, what) = text.split_once('\0')?;
    let what = Keepsake::ALL.into_iter().find(|known| known.as_str() == what)?;
    Some((SourceName::parse(source).ok()?, what))
}

/// The entry of a batch's audit log at a place of it; batches are counted, so numbers ascend.
pub const fn audit_id(generation: u64, place: u16) -> AuditId {
    AuditId((generation << 16) | place as u64)
}

pub fn audit(AuditId(id): AuditId) -> Vec<u8> {
    join(AUDIT, &id.to_be_bytes())
}

/// The number of an entry from its key.
pub fn audit_number(key: &[u8]) -> Option<AuditId> {
    Some(AuditId(u64::from_be_bytes(key.strip_prefix(AUDIT)?.try_into().ok()?)))
}

pub fn tombstone(TombstoneId(id): TombstoneId) -> Vec<u8> {
    join(TOMBSTONES, &id.to_be_bytes())
}

pub fn erasure(ErasureId(id): ErasureId) -> Vec<u8> {
    join(ERASURES, &id.to_be_bytes())
}

/// The number of an erasure from its key.
pub fn erasure_number(key: &[u8]) -> Option<ErasureId> {
    Some(ErasureId(u64::from_be_bytes(key.strip_prefix(ERASURES)?.try_into().ok()?)))
}

pub fn pause(event: &EventName) -> Vec<u8> {
    join(PAUSES, event.as_str().as_bytes())
}

/// The event of a pause from its key.
pub fn paused_event(key: &[u8]) -> Option<EventName> {
    EventName::parse(std::str::from_utf8(key.strip_prefix(PAUSES)?).ok()?).ok()
}
