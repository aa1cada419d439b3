//! What readers see between commits: indexes, symbols and the small tables, under one lock held briefly.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::StoreError;
use super::engine::Engine;
use super::index::{Index, Known};
use super::integrity::{Sum, Sums};
use super::keys;
use super::passes::Passes;
use super::scan::scan;
use super::sign_ins::{SignInGlance, SignIns};
use super::snapshot::Snapshot;
use crate::codec::{
    CodecError, Kind, Meta, StoredToken, SymbolKind, Symbols, decode_erasure, decode_event, decode_feed_state,
    decode_group, decode_inviting, decode_meta, decode_pass, decode_pause, decode_sign_in, decode_token,
    decode_tombstone, decode_withdrawal, open,
};
use crate::model::{
    CommunityKey, Erasure, ErasureId, Event, EventName, FeedId, FeedState, Group, GroupKey, Inviting, Keepsake, Pause,
    SharedTombstones, SourceName, Tombstone, Tombstones,
};

pub struct State {
    pub meta: Meta,
    pub symbols: Symbols,
    pub index: Index,
    pub groups: BTreeMap<GroupKey, Group>,
    pub feeds: HashMap<FeedId, FeedState>,
    /// Events made over the API.
    pub events: BTreeMap<EventName, Event>,
    /// Of events of the file, too.
    pub pauses: BTreeMap<EventName, Pause>,
    /// How invitations stand, of every event that ever had any.
    pub inviting: BTreeMap<EventName, Inviting>,
    pub tokens: Vec<StoredToken>,
    pub keepsakes: BTreeMap<(SourceName, Keepsake), Vec<u8>>,
    pub sign_ins: SignIns,
    pub passes: Passes,
    pub tombstones: SharedTombstones,
    /// Of these, what only the file beside the store knows.
    pub unstored: Vec<Tombstone>,
    /// Those after which something is left to do.
    pub erasures: BTreeMap<ErasureId, Erasure>,
    /// How often the store was opened anew; the index's numbers mean something within one epoch only.
    pub epoch: u64,
    /// Was the index made by reading every block, or taken from its snapshot?
    pub was_scanned: bool,
}

/// The tags of what is taken up into memory.
const HELD: [&[u8]; 14] = [
    keys::SYMBOLS,
    keys::META,
    keys::GROUPS,
    keys::FEEDS,
    keys::EVENTS,
    keys::INVITING,
    keys::TOKENS,
    keys::KEEPSAKES,
    keys::TOMBSTONES,
    keys::ERASURES,
    keys::PAUSES,
    keys::SIGN_INS,
    keys::PASSES,
    keys::WITHDRAWALS,
];

/// What it is that cannot be read.
pub fn unreadable(what: impl Into<String>) -> impl FnOnce(CodecError) -> StoreError {
    let what = what.into();
    move |source| StoreError::Codec { what, source }
}

impl State {
    /// Of a store in which nothing was ever written.
    pub fn new(key: &CommunityKey) -> Self {
        Self {
            meta: Meta { generation: 0, next_user: 0, next_run: 1 },
            symbols: Symbols::default(),
            index: Index::new(key),
            groups: BTreeMap::new(),
            feeds: HashMap::new(),
            events: BTreeMap::new(),
            pauses: BTreeMap::new(),
            inviting: BTreeMap::new(),
            tokens: Vec::new(),
            keepsakes: BTreeMap::new(),
            sign_ins: SignIns::new(),
            passes: Passes::default(),
            tombstones: Arc::new(Tombstones::new(key)),
            unstored: Vec::new(),
            erasures: BTreeMap::new(),
            epoch: 0,
            was_scanned: false,
        }
    }

    /// What the index may name.
    pub fn known(&self) -> Known {
        Known::of(&self.meta, &self.symbols)
    }

    /// Reads everything that is held in memory, and the rest for its sum. The index comes from its snapshot, or from a
    /// scan of all blocks; at the end the store is known to be whole, but for blocks that were not read.
    pub fn load(engine: &Engine, key: &CommunityKey, snapshot: &Snapshot) -> Result<Self, StoreError> {
        let mut state = Self::new(key);
        let mut sums = Sums { rest: state.load_rest(engine)?, ..Sums::default() };
        let record = engine.record();
        if let (Some(blocks), Some(index)) = (record.blocks, snapshot.read(&record, &state.known(), key)?) {
            (sums.blocks, state.index) = (blocks, index);
        } else {
            state.was_scanned = true;
            sums.blocks = scan(engine, &state.symbols, &mut state.index)?;
        }
        engine.check(sums)?;
        Ok(state)
    }

    /// Reads everything but the blocks. Returns its sum.
    fn load_rest(&mut self, engine: &Engine) -> Result<Sum, StoreError> {
        let mut sum = Sum::default();
        for tag in HELD {
            for row in engine.scan(tag) {
                let (key, sealed) = row?;
                sum.add(&key, &sealed);
                self.take(tag, &key, &sealed)?;
            }
        }
        // History stays on disk; damage in it is named here all the same.
        for row in engine.scan(keys::RUNS) {
            let (key, sealed) = row?;
            sum.add(&key, &sealed);
            let run = keys::run_number(&key).map_or_else(|| "a run".to_owned(), |run| format!("run {run}"));
            open(Kind::Run, &sealed).map_err(unreadable(run))?;
        }
        for row in engine.scan(keys::AUDIT) {
            let (key, sealed) = row?;
            sum.add(&key, &sealed);
            open(Kind::Audit, &sealed).map_err(unreadable("an entry of the audit log"))?;
        }
        Ok(sum)
    }

    /// Takes up one value.
    fn take(&mut self, tag: &[u8], key: &[u8], sealed: &[u8]) -> Result<(), StoreError> {
        match tag {
            keys::SYMBOLS => self.take_symbol(key, sealed)?,
            keys::META => self.meta = decode_meta(sealed).map_err(unreadable("the store's counters"))?,
            keys::GROUPS => {
                let group = decode_group(sealed).map_err(unreadable("a group"))?;
                self.groups.insert(group.key.clone(), group);
            }
            keys::FEEDS => {
                let state = decode_feed_state(sealed).map_err(unreadable("the state of a feed"))?;
                self.feeds.extend(keys::feed_id(key).map(|feed| (feed, state)));
            }
            keys::EVENTS => {
                let event = decode_event(sealed).map_err(unreadable("an event"))?;
                self.events.insert(event.name.clone(), event);
            }
            keys::PAUSES => {
                let pause = decode_pause(sealed).map_err(unreadable("the pause of an event"))?;
                self.pauses.extend(keys::paused_event(key).map(|event| (event, pause)));
            }
            keys::INVITING => {
                let inviting = decode_inviting(sealed).map_err(unreadable("how invitations stand"))?;
                self.inviting.extend(keys::inviting_event(key).map(|event| (event, inviting)));
            }
            keys::KEEPSAKES => {
                let value = open(Kind::Keepsake, sealed).map_err(unreadable("what a source keeps"))?;
                // One of a kind that this build does not know stays as it is.
                self.keepsakes.extend(keys::keepsake_id(key).map(|id| (id, value.to_vec())));
            }
            keys::SIGN_INS => {
                let sign_in = decode_sign_in(sealed).map_err(unreadable("a sign-in"))?;
                self.sign_ins.extend(keys::sign_in_hash(key).map(|hash| (hash, SignInGlance::of(&sign_in))));
            }
            keys::PASSES => {
                let pass = decode_pass(sealed).map_err(unreadable("a pass"))?;
                if let Some(user) = keys::pass_user(key) {
                    self.passes.take(user, &pass);
                }
            }
            keys::WITHDRAWALS => {
                let withdrawal = decode_withdrawal(sealed).map_err(unreadable("what is to be taken back"))?;
                self.passes.withdrawals.extend(keys::withdrawal_id(key).map(|id| (id, withdrawal)));
            }
            keys::TOMBSTONES => {
                let tombstone = decode_tombstone(sealed).map_err(unreadable("a tombstone"))?;
                Arc::make_mut(&mut self.tombstones).put(tombstone);
            }
            keys::ERASURES => {
                let erasure = decode_erasure(sealed).map_err(unreadable("what is known of an erasure"))?;
                let left = keys::erasure_number(key).filter(|_| !erasure.is_over());
                self.erasures.extend(left.map(|id| (id, erasure)));
            }
            _ => self.tokens.push(decode_token(sealed).map_err(unreadable("a token"))?),
        }
        Ok(())
    }

    fn take_symbol(&mut self, key: &[u8], sealed: &[u8]) -> Result<(), StoreError> {
        let (kind, number, name) = read_symbol(key, sealed).map_err(unreadable("a symbol"))?;
        // Keys come in order, so each name gets its own number again.
        if self.symbols.intern(kind, name) != number {
            let what = "a number is missing before it".into();
            return Err(unreadable("a symbol")(CodecError::Malformed { kind: Kind::Symbol, what }));
        }
        Ok(())
    }
}

/// A symbol's kind, number and name.
pub fn read_symbol<'a>(key: &[u8], sealed: &'a [u8]) -> Result<(SymbolKind, u32, &'a str), CodecError> {
    let malformed = |what: &str| CodecError::Malformed { kind: Kind::Symbol, what: what.to_owned() };
    let name = std::str::from_utf8(open(Kind::Symbol, sealed)?).map_err(|_| malformed("not UTF-8"))?;
    let (kind, number) = keys::symbol_number(key).ok_or_else(|| malformed("its key"))?;
    // The index relies on how long these are at most.
    let is_name = match kind {
        SymbolKind::Event => EventName::or_community(name).is_ok(),
        SymbolKind::Source => SourceName::parse(name).is_ok(),
        SymbolKind::Group | SymbolKind::CustomField => !name.is_empty(),
    };
    if is_name { Ok((kind, number, name)) } else { Err(malformed("no name")) }
}
