//! A damaged store made new: what can be read is written into a fresh engine, which takes the old one's place; the old
//! one is kept beside it. What is lost is named; the sources bring most of it back.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::RwLock;
use serde::Serialize;
use sled::IVec;

use super::engine::Engine;
use super::files::{Folder, remove};
use super::live::{Live, Opening};
use super::passes::{Issuer, PassChange, PassWrite, SharedIssuing, WithdrawalChange, WithdrawalWrite};
use super::room::Room;
use super::sign_ins::{SignInChange, SignInWrite};
use super::state::read_symbol;
use super::tombstones::TombstoneFile;
use super::vault::Vault;
use super::writer::{ChangeSet, EventWrite, Writer};
use super::{Store, StoreError, TokenWrite, keys};
use crate::codec::{
    Kind, SymbolKind, Symbols, Unpacked, decode_audit_entry, decode_erasure, decode_event, decode_feed_state,
    decode_group, decode_inviting, decode_meta, decode_pass, decode_pause, decode_person, decode_run, decode_sign_in,
    decode_token, decode_tombstone, decode_withdrawal, open,
};
use crate::faults::Faults;
use crate::limits::BLOCK_USERS;
use crate::model::{Action, CommunityKey, EmailKey, ErasureId, GroupName, Person, PersonChange, RunId, UserId, UserNo};

/// What a rebuild kept, and what it could not read. Nothing in it is personal.
#[derive(Debug, Default, Serialize)]
pub struct Salvage {
    pub users: u64,
    pub groups: u64,
    /// Events made over the API.
    pub events: u64,
    pub tokens: u64,
    pub runs: u64,
    /// One sentence for each thing lost.
    pub lost: Vec<String>,
    /// Where the damaged engine lies.
    pub damaged: PathBuf,
}

/// Numbered values are looked for this far beyond the last one found.
const NUMBERS_BEYOND: u32 = 1_000;
/// People, or runs, written in one batch.
const VALUES_PER_BATCH: usize = 256;

impl Store {
    /// Makes the store in a data directory anew from what can be read of it. Fails where another process has it open
    /// and where the data directory itself cannot be used.
    pub fn rebuild(path: &Path) -> Result<Salvage, StoreError> {
        let folder = Folder::open(path)?;
        let key = folder.community_key()?;
        let place = folder.engine_in_making();
        remove(&place.folder)?;
        remove(&place.anchor)?;
        let mut salvage = Salvage::default();
        if TombstoneFile::new(place.tombstones.clone()).set_aside()? {
            salvage.lost.push("the file of tombstones: it is kept as tombstones.damaged".into());
        }
        let mut new = new_writer(&folder, &key)?;
        match Engine::open_unchecked(&folder.engine(), &key, &Faults::none()) {
            Ok((old, _)) => Reader { old: &old, new: &mut new, salvage: &mut salvage }.copy()?,
            Err(error) => salvage.lost.push(format!("everything: {error}")),
        }
        drop(new);
        salvage.damaged = folder.swap_engines()?;
        Ok(salvage)
    }
}

/// A writer into the engine in the making, whose runs are numbered beyond every journal there is.
fn new_writer(folder: &Folder, key: &CommunityKey) -> Result<Writer, StoreError> {
    let (place, room) = (folder.engine_in_making(), Room::of(folder.path()));
    let opening = Opening::new(place, key.clone(), room.clone(), Faults::none());
    let (live, mut state) = Live::open(opening)?;
    let journals = std::fs::read_dir(folder.runs()).into_iter().flatten().flatten();
    let numbers = journals.filter_map(|file| file.path().file_stem()?.to_str()?.parse::<u64>().ok());
    state.meta.next_run = numbers.max().map_or(1, |last| last.saturating_add(1));
    let issuer = Issuer { vault: Vault::open_in(folder)?, events: SharedIssuing::default() };
    Ok(Writer::new(Arc::new(live), room, Arc::new(RwLock::new(state)), issuer))
}

struct Reader<'a> {
    old: &'a Engine,
    new: &'a mut Writer,
    salvage: &'a mut Salvage,
}

impl Reader<'_> {
    fn copy(&mut self) -> Result<(), StoreError> {
        let meta = self.get(keys::META, || "the store's counters".into());
        let meta = meta.and_then(|sealed| self.decoded("the store's counters", decode_meta(&sealed)));
        let (users, runs) = meta.map_or((0, 0), |meta| (meta.next_user, meta.next_run));
        let symbols = self.symbols();
        self.copy_named()?;
        self.copy_people(&symbols, users.div_ceil(BLOCK_USERS))?;
        self.copy_sign_ins()?;
        self.copy_passes()?;
        self.copy_runs(runs)
    }

    fn lost(&mut self, what: String, why: &dyn std::fmt::Display) {
        self.salvage.lost.push(format!("{what}: {why}"));
    }

    /// Every name that can be read, under its number.
    fn symbols(&mut self) -> Symbols {
        let mut symbols = Symbols::default();
        for kind in SymbolKind::ALL {
            let mut missing = 0;
            for number in 0.. {
                let key = keys::symbol(kind, number);
                let sealed = self.get(&key, || format!("symbol {number} of kind {kind:?}"));
                let Some(sealed) = sealed else {
                    missing += 1;
                    if missing > NUMBERS_BEYOND {
                        break;
                    }
                    continue;
                };
                (0..std::mem::take(&mut missing)).for_each(|_| symbols.leave_out(kind));
                match read_symbol(&key, &sealed) {
                    Ok((_, _, name)) => drop(symbols.intern(kind, name)),
                    Err(error) => {
                        symbols.leave_out(kind);
                        self.lost(format!("symbol {number} of kind {kind:?}"), &error);
                    }
                }
            }
        }
        symbols
    }

    fn get(&mut self, key: &[u8], what: impl Fn() -> String) -> Option<IVec> {
        self.old.get(key).unwrap_or_else(|error| {
            self.lost(what(), &error);
            None
        })
    }

    /// The rows under a tag, from both ends towards a place that cannot be read.
    fn rows(&mut self, tag: &[u8], what: &str) -> Vec<(IVec, IVec)> {
        let mut rows: Vec<(IVec, IVec)> = Vec::new();
        let mut broken = None;
        for row in self.old.scan(tag) {
            match row {
                Ok(row) => rows.push(row),
                Err(error) => {
                    broken = Some(error);
                    break;
                }
            }
        }
        if let Some(error) = broken {
            self.lost(format!("some {what}"), &error);
            let from_the_end = self.old.scan(tag).rev().map_while(Result::ok);
            let known = rows.len();
            rows.extend(from_the_end.take_while(|row| known == 0 || row.0 > rows[known - 1].0).collect::<Vec<_>>());
        }
        rows
    }

    /// Groups, feeds, events, their pauses, tokens, what sources keep and the audit log: few, and found by their names.
    fn copy_named(&mut self) -> Result<(), StoreError> {
        for (_, sealed) in self.rows(keys::GROUPS, "groups") {
            let Some(group) = self.decoded("a group", decode_group(&sealed)) else { continue };
            let groups = vec![GroupName { key: group.key, name: group.name }];
            self.new.commit(ChangeSet { groups, ..ChangeSet::default() })?;
            self.salvage.groups += 1;
        }
        for (key, sealed) in self.rows(keys::FEEDS, "feeds' states") {
            let Some(state) = self.decoded("the state of a feed", decode_feed_state(&sealed)) else { continue };
            let feed = keys::feed_id(&key).map(|feed| (feed, state));
            self.new.commit(ChangeSet { feed, ..ChangeSet::default() })?;
        }
        for (_, sealed) in self.rows(keys::EVENTS, "events") {
            let Some(event) = self.decoded("an event", decode_event(&sealed)) else { continue };
            self.new.commit(ChangeSet { event: Some(EventWrite::Put(Box::new(event))), ..ChangeSet::default() })?;
            self.salvage.events += 1;
        }
        for (key, sealed) in self.rows(keys::PAUSES, "pauses of events") {
            let Some(pause) = self.decoded("the pause of an event", decode_pause(&sealed)) else { continue };
            let pause = keys::paused_event(&key).map(|event| (event, Some(pause)));
            self.new.commit(ChangeSet { pause, ..ChangeSet::default() })?;
        }
        for (key, sealed) in self.rows(keys::INVITING, "standings of invitations") {
            let Some(standing) = self.decoded("how invitations stand", decode_inviting(&sealed)) else { continue };
            let inviting = keys::inviting_event(&key).map(|event| (event, Some(standing)));
            self.new.commit(ChangeSet { inviting, ..ChangeSet::default() })?;
        }
        for (key, sealed) in self.rows(keys::KEEPSAKES, "what sources keep") {
            let Some(value) = self.decoded("what a source keeps", open(Kind::Keepsake, &sealed)) else { continue };
            let keepsakes = keys::keepsake_id(&key).map(|(source, what)| (source, what, value.to_vec()));
            let keepsakes = keepsakes.into_iter().collect();
            self.new.commit(ChangeSet { keepsakes, ..ChangeSet::default() })?;
        }
        for (_, sealed) in self.rows(keys::TOMBSTONES, "tombstones") {
            let tombstones = Vec::from_iter(self.decoded("a tombstone", decode_tombstone(&sealed)));
            self.new.commit(ChangeSet { tombstones, ..ChangeSet::default() })?;
        }
        // Numbered anew, for batches are.
        for (number, (_, sealed)) in (1..).zip(self.rows(keys::ERASURES, "erasures")) {
            let Some(erasure) = self.decoded("an erasure", decode_erasure(&sealed)) else { continue };
            let erasures = vec![(ErasureId(number), erasure)];
            self.new.commit(ChangeSet { erasures, ..ChangeSet::default() })?;
        }
        for (_, sealed) in self.rows(keys::AUDIT, "entries of the audit log") {
            let Some(entry) = self.decoded("an entry of the audit log", decode_audit_entry(&sealed)) else { continue };
            self.new.commit(ChangeSet { audit: vec![entry], ..ChangeSet::default() })?;
        }
        for (_, sealed) in self.rows(keys::TOKENS, "tokens") {
            let Some(token) = self.decoded("a token", decode_token(&sealed)) else { continue };
            self.new.commit(ChangeSet { token: Some(TokenWrite::Put(token)), ..ChangeSet::default() })?;
            self.salvage.tokens += 1;
        }
        Ok(())
    }

    fn decoded<T, E: std::fmt::Display>(&mut self, what: &str, decoded: Result<T, E>) -> Option<T> {
        decoded.map_err(|error| self.lost(what.to_owned(), &error)).ok()
    }

    fn copy_people(&mut self, symbols: &Symbols, counted: u32) -> Result<(), StoreError> {
        let mut known = HashSet::new();
        let mut set = ChangeSet::default();
        let (mut number, mut last) = (0, 0);
        while number < counted || number - last <= NUMBERS_BEYOND {
            if let Some(sealed) = self.get(&keys::block(number), || format!("block {number}, up to 16 users")) {
                last = number;
                for person in self.people(symbols, number, &sealed) {
                    self.take_person(person, &mut known, &mut set);
                }
            }
            if set.people.len() >= VALUES_PER_BATCH {
                self.new.commit(std::mem::take(&mut set))?;
            }
            number += 1;
        }
        self.new.commit(set).map(drop)
    }

    /// After the people, for none is without its registration.
    fn copy_sign_ins(&mut self) -> Result<(), StoreError> {
        let mut sign_ins = Vec::new();
        for (_, sealed) in self.rows(keys::SIGN_INS, "sign-ins") {
            let Some(sign_in) = self.decoded("a sign-in", decode_sign_in(&sealed)) else { continue };
            let (source, external_id) = (sign_in.source.clone(), sign_in.external_id.clone());
            sign_ins.push(SignInWrite { source, external_id, change: SignInChange::Put(Box::new(sign_in)) });
            if sign_ins.len() >= VALUES_PER_BATCH {
                let sign_ins = std::mem::take(&mut sign_ins);
                self.new.commit(ChangeSet { sign_ins, ..ChangeSet::default() })?;
            }
        }
        self.new.commit(ChangeSet { sign_ins, ..ChangeSet::default() }).map(drop)
    }

    /// After the people, too: a pass goes to whom it is of, under the new number.
    fn copy_passes(&mut self) -> Result<(), StoreError> {
        let mut set = ChangeSet::default();
        for (_, sealed) in self.rows(keys::PASSES, "passes") {
            let Some(pass) = self.decoded("a pass", decode_pass(&sealed)) else { continue };
            let (event, user) = (pass.event.clone(), UserNo(0));
            set.passes.push(PassWrite { event, user, change: PassChange::Put(Box::new(pass)) });
            if set.passes.len() >= VALUES_PER_BATCH {
                self.new.commit(std::mem::take(&mut set))?;
            }
        }
        for (key, sealed) in self.rows(keys::WITHDRAWALS, "what is to be taken back") {
            let decoded = self.decoded("what is to be taken back", decode_withdrawal(&sealed));
            let (Some(id), Some(withdrawal)) = (keys::withdrawal_id(&key), decoded) else { continue };
            set.withdrawals.push(WithdrawalWrite { id, change: WithdrawalChange::Put(Box::new(withdrawal)) });
        }
        self.new.commit(set).map(drop)
    }

    fn people(&mut self, symbols: &Symbols, number: u32, sealed: &[u8]) -> Vec<Person> {
        let mut people = Vec::new();
        let read = Unpacked::open(sealed).and_then(|block| {
            for (slot, bytes) in block.people()? {
                let what = format!("a user (block {number}, place {slot})");
                people.extend(self.decoded(&what, decode_person(symbols, bytes)));
            }
            Ok(())
        });
        if let Err(error) = read {
            self.lost(format!("block {number}, up to 16 users"), &error);
        }
        people
    }

    /// Puts a person under a new number. Where lost writes left two of one id or email, the first stays.
    fn take_person(&mut self, person: Person, known: &mut HashSet<Identity>, set: &mut ChangeSet) {
        let (id, email) = (person.id, person.email.key());
        if known.contains(&Identity::Id(id)) || known.contains(&Identity::Email(email.clone())) {
            self.lost(format!("user {id}"), &"another one has the same id or email");
            return;
        }
        known.extend([Identity::Id(id), Identity::Email(email)]);
        let action = Action::Create;
        set.people.push(PersonChange { action, user: None, id, before: None, after: Some(person) });
        self.salvage.users += 1;
    }

    fn copy_runs(&mut self, counted: u64) -> Result<(), StoreError> {
        let mut set = ChangeSet::default();
        let (mut number, mut last) = (1, 0);
        while number < counted || number - last <= u64::from(NUMBERS_BEYOND) {
            if let Some(sealed) = self.get(&keys::run(RunId(number)), || format!("run {number}")) {
                last = number;
                set.runs.extend(self.decoded(&format!("run {number}"), decode_run(&sealed)));
            }
            if set.runs.len() >= VALUES_PER_BATCH {
                self.salvage.runs += set.runs.len() as u64;
                self.new.commit(std::mem::take(&mut set))?;
            }
            number += 1;
        }
        self.salvage.runs += set.runs.len() as u64;
        self.new.commit(set).map(drop)
    }
}

/// What no two people may share.
#[derive(PartialEq, Eq, Hash)]
enum Identity {
    Id(UserId),
    Email(EmailKey),
}
