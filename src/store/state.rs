//! What readers see between commits: indexes, symbols and the small tables, under one lock held briefly.

use std::collections::{BTreeMap, HashMap};

use super::StoreError;
use super::engine::Engine;
use super::index::Index;
use super::keys;
use crate::codec::{
    Block, CodecError, Kind, Meta, StoredToken, Symbols, decode_event, decode_feed_state, decode_group, decode_meta,
    decode_person, decode_token, open,
};
use crate::limits::BLOCK_USERS;
use crate::model::{CommunityKey, Event, EventName, FeedId, FeedState, Group, GroupKey, UserNo};

pub struct State {
    pub meta: Meta,
    pub symbols: Symbols,
    pub index: Index,
    pub groups: BTreeMap<GroupKey, Group>,
    pub feeds: HashMap<FeedId, FeedState>,
    /// Events made over the API.
    pub events: BTreeMap<EventName, Event>,
    pub tokens: Vec<StoredToken>,
}

fn unreadable(what: impl Into<String>) -> impl FnOnce(CodecError) -> StoreError {
    let what = what.into();
    move |source| StoreError::Codec { what, source }
}

impl State {
    /// Reads everything that is held in memory. One scan of all blocks rebuilds the indexes.
    pub fn load(engine: &Engine, key: &CommunityKey) -> Result<Self, StoreError> {
        let meta = match engine.get(keys::META)? {
            Some(sealed) => decode_meta(&sealed).map_err(unreadable("the store's counters"))?,
            None => Meta { generation: 0, next_user: 0, next_run: 1 },
        };
        let mut state = Self {
            meta,
            symbols: load_symbols(engine)?,
            index: Index::new(key),
            groups: BTreeMap::new(),
            feeds: HashMap::new(),
            events: BTreeMap::new(),
            tokens: Vec::new(),
        };
        state.load_small_tables(engine)?;
        state.load_people(engine)?;
        Ok(state)
    }

    fn load_small_tables(&mut self, engine: &Engine) -> Result<(), StoreError> {
        for row in engine.scan(keys::GROUPS) {
            let group = decode_group(&row?.1).map_err(unreadable("a group"))?;
            self.groups.insert(group.key.clone(), group);
        }
        for row in engine.scan(keys::FEEDS) {
            let (key, sealed) = row?;
            let state = decode_feed_state(&sealed).map_err(unreadable("the state of a feed"))?;
            self.feeds.extend(keys::feed_id(&key).map(|feed| (feed, state)));
        }
        for row in engine.scan(keys::EVENTS) {
            let event = decode_event(&row?.1).map_err(unreadable("an event"))?;
            self.events.insert(event.name.clone(), event);
        }
        for row in engine.scan(keys::TOKENS) {
            self.tokens.push(decode_token(&row?.1).map_err(unreadable("a token"))?);
        }
        Ok(())
    }

    fn load_people(&mut self, engine: &Engine) -> Result<(), StoreError> {
        for row in engine.scan(keys::BLOCKS) {
            let (key, sealed) = row?;
            let number =
                keys::block_number(&key).ok_or_else(|| unreadable("a block's key")(CodecError::Short(Kind::Block)))?;
            let failed = || unreadable(format!("block {number}"));
            for (slot, bytes) in Block::slots_of(&sealed).map_err(failed())? {
                let person = decode_person(&self.symbols, bytes).map_err(failed())?;
                let slot = u32::try_from(slot).unwrap_or(0);
                self.index.apply(&self.symbols, UserNo(number * BLOCK_USERS + slot), None, Some(&person));
            }
        }
        Ok(())
    }
}

fn load_symbols(engine: &Engine) -> Result<Symbols, StoreError> {
    let mut symbols = Symbols::default();
    for row in engine.scan(keys::SYMBOLS) {
        let (key, sealed) = row?;
        let damaged = || unreadable("a symbol");
        let malformed = |what: &str| CodecError::Malformed { kind: Kind::Symbol, what: what.to_owned() };
        let name = open(Kind::Symbol, &sealed).map_err(damaged())?;
        let name = std::str::from_utf8(name).map_err(|_| damaged()(malformed("not UTF-8")))?;
        let (kind, number) = keys::symbol_number(&key).ok_or_else(|| damaged()(malformed("its key")))?;
        // Keys come in order, so each name gets its own number again.
        if symbols.intern(kind, name) != number {
            return Err(damaged()(malformed("a number is missing before it")));
        }
    }
    Ok(symbols)
}
