//! The one writer: a thread that applies change sets in order. A set becomes one atomic batch, flushed and
//! synced before it is acknowledged; the indexes follow the disk, never lead it.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::RwLock;
use tokio::sync::{mpsc, oneshot};

use super::compact::Swap;
use super::engine::{Batch, Engine};
use super::erasing::{Erasing, Remembered};
use super::index::Entering;
use super::live::Live;
use super::packing::{READ_BACK_BYTES, encode_checked, glance_at, put, unreadable};
use super::passes::{self, Ground, Issuer, PassChange, PassWrite, Touched, WithdrawalWrite};
use super::room::Room;
use super::sign_ins::{self, SignInWrite};
use super::state::State;
use super::{StoreError, keys};
use crate::codec::{
    Block, Glance, Kind, Meta, Newcomer, Recoding, StoredToken, Symbols, decode_person, encode_audit_entry,
    encode_event, encode_feed_state, encode_group, encode_inviting, encode_meta, encode_pause, encode_run,
    encode_token, seal,
};
use crate::limits::BLOCK_USERS;
use crate::model::{
    AuditEntry, AuditId, Erasure, ErasureId, Event, EventName, FeedId, FeedState, Group, GroupKey, GroupName, Inviting,
    Keepsake, Pause, Person, PersonChange, Run, RunId, SourceName, Tombstone, TombstoneId, UserNo,
};

/// Changes that happen together or not at all.
#[derive(Debug, Default)]
pub struct ChangeSet {
    /// Applied only if the person still is what the change was planned upon.
    pub people: Vec<PersonChange>,
    /// Entered after the others, in their order.
    pub newcomers: Newcomers,
    /// Groups to make where they do not exist.
    pub groups: Vec<GroupName>,
    /// Groups to put or delete as they are, in order.
    pub group_writes: Vec<GroupWrite>,
    /// A run to enter into history; it gets the next id, whatever it bears.
    pub new_run: Option<Run>,
    /// Runs to put as they are.
    pub runs: Vec<Run>,
    pub feed: Option<(FeedId, FeedState)>,
    pub event: Option<EventWrite>,
    /// The pause of an event's syncs, or that it is lifted.
    pub pause: Option<(EventName, Option<Pause>)>,
    /// How the invitations of an event stand; `None` forgets it.
    pub inviting: Option<(EventName, Option<Inviting>)>,
    pub token: Option<super::TokenWrite>,
    /// Sources' keepsakes to put as they are.
    pub keepsakes: Vec<(SourceName, Keepsake, Vec<u8>)>,
    /// What was done by hand, in order; at most 65,536.
    pub audit: Vec<AuditEntry>,
    /// Entries of the audit log up to this one are forgotten.
    pub forget_audit: Option<AuditId>,
    /// Why people are deleted. Without it, nothing is remembered of that.
    pub erasing: Option<Erasing>,
    /// Tombstones to put as they are.
    pub tombstones: Vec<Tombstone>,
    /// A tombstone to lift.
    pub lift: Option<TombstoneId>,
    /// What becomes of what is kept of those who signed in.
    pub sign_ins: Vec<SignInWrite>,
    /// What becomes of passes.
    pub passes: Vec<PassWrite>,
    /// What becomes of what is to be taken back.
    pub withdrawals: Vec<WithdrawalWrite>,
    /// Erasures to put as they are.
    pub erasures: Vec<(ErasureId, Erasure)>,
}

/// New users, encoded.
#[derive(Debug, Default)]
pub struct Newcomers {
    pub people: Vec<Newcomer>,
    /// Those by which they are encoded.
    pub symbols: Symbols,
}

/// A group as it is wanted, whatever the plans of syncs name.
#[derive(Debug)]
pub enum GroupWrite {
    /// Makes it, or names it anew.
    Put(Group),
    Delete(GroupKey),
}

#[derive(Debug)]
pub enum EventWrite {
    Put(Box<Event>),
    Delete(EventName),
}

/// A change set is on disk.
#[derive(Debug, Clone, Copy)]
pub struct Ack {
    /// The id given to `new_run`.
    pub new_run: Option<RunId>,
    /// What waiting for the disk took.
    pub synced_in: Duration,
}

pub enum Command {
    Commit {
        set: Box<ChangeSet>,
        reply: oneshot::Sender<Result<Ack, StoreError>>,
    },
    /// Writes the snapshot of the index.
    KeepIndex {
        reply: oneshot::Sender<Result<(), StoreError>>,
    },
    /// Writes the engine anew.
    Compact {
        swap: Swap,
        reply: oneshot::Sender<Result<(), StoreError>>,
    },
}

pub struct Writer {
    live: Arc<Live>,
    room: Room,
    state: Arc<RwLock<State>>,
    issuer: Issuer,
    meta: Meta,
    symbols: Symbols,
    /// How many symbols of each kind are on disk.
    stored_symbols: [usize; 4],
    /// The tombstones' file is not what it should be: it could not be written.
    is_file_stale: bool,
}

/// One person's change, checked and numbered.
struct Checked {
    user: UserNo,
    before: Option<Person>,
    after: Option<Person>,
}

/// The blocks that a batch changes, by number.
type Blocks = BTreeMap<u32, Block>;

fn next_user(meta: &mut Meta) -> UserNo {
    meta.next_user += 1;
    UserNo(meta.next_user - 1)
}

/// What a batch will do to the memory once it is on disk.
struct Prepared<'n> {
    batch: Batch,
    meta: Meta,
    people: Vec<Checked>,
    newcomers: Vec<(UserNo, Glance<'n>)>,
    groups: Vec<Group>,
    new_run: Option<RunId>,
    remembered: Remembered,
    sign_ins: sign_ins::Becoming,
    passes: passes::Becoming,
}

impl Writer {
    pub fn new(live: Arc<Live>, room: Room, state: Arc<RwLock<State>>, issuer: Issuer) -> Self {
        let (meta, symbols, is_file_stale) = {
            let state = state.read();
            // What the last process could not write, or was killed before, is written with the first commit.
            (state.meta, state.symbols.clone(), !state.tombstones.is_empty())
        };
        let stored_symbols = symbols.counts();
        Self { live, room, state, issuer, meta, symbols, stored_symbols, is_file_stale }
    }

    /// Serves until every sender is gone.
    pub fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        while let Some(command) = commands.blocking_recv() {
            // A caller that no longer waits does not undo what is on disk.
            match command {
                Command::Commit { set, reply } => drop(reply.send(self.commit(*set))),
                Command::KeepIndex { reply } => drop(reply.send(self.keep_index())),
                Command::Compact { swap, reply } => drop(reply.send(self.compact(&swap))),
            }
        }
    }

    /// Writes the snapshot of the index. Between two commits it is that of the store; readers go on meanwhile.
    fn keep_index(&mut self) -> Result<(), StoreError> {
        self.sync()?;
        self.live.keep_index(&self.state.read())
    }

    /// Brings to disk what an earlier process left.
    fn sync(&mut self) -> Result<(), StoreError> {
        let sync = || self.live.with(|engine| if engine.is_synced() { Ok(()) } else { engine.sync() });
        let synced = catch_unwind(AssertUnwindSafe(sync)).unwrap_or(Err(StoreError::Panicked));
        if synced.is_err() {
            // As after a write that failed; where it cannot be opened anew, the store says so itself.
            let _ = self.reopen();
        }
        synced
    }

    fn compact(&mut self, swap: &Swap) -> Result<(), StoreError> {
        if self.live.wants_reopening() {
            self.reopen()?;
        }
        self.sync()?;
        let compact = || self.live.compact(swap);
        let compacted = catch_unwind(AssertUnwindSafe(compact)).unwrap_or(Err(StoreError::Panicked));
        if self.live.with(|_| Ok(())).is_err() {
            // As after a write that failed; where it cannot be opened anew, the store says so itself.
            let _ = swap.mend().and_then(|()| self.reopen());
        }
        compacted
    }

    /// Applies one set. When this returns, it survives a power cut.
    pub fn commit(&mut self, mut set: ChangeSet) -> Result<Ack, StoreError> {
        if self.live.wants_reopening() {
            self.reopen()?;
        }
        let newcomers = self.recode(std::mem::take(&mut set.newcomers))?;
        let mut prepared = self.prepare(&mut set, &newcomers)?;
        self.room.check(prepared.batch.bytes())?;
        self.publish_symbols();
        let new_run = prepared.new_run;
        let synced_in = match self.write(std::mem::take(&mut prepared.batch)) {
            Ok(synced_in) => {
                self.live.tell_flushed(synced_in);
                self.publish(set, prepared);
                synced_in
            }
            Err(error) => {
                self.take_stock(error, prepared.meta.generation)?;
                Duration::ZERO
            }
        };
        Ok(Ack { new_run, synced_in })
    }

    /// Brings a batch to disk. Returns what waiting for the disk took.
    fn write(&self, batch: Batch) -> Result<Duration, StoreError> {
        let write = || {
            self.live.with(|engine| {
                engine.apply(batch)?;
                let applied = Instant::now();
                engine.make_durable()?;
                Ok(applied.elapsed())
            })
        };
        // A fault in sled must not take the one writer away.
        catch_unwind(AssertUnwindSafe(write)).unwrap_or(Err(StoreError::Panicked))
    }

    /// After a write that failed: reads from the disk whether the batch is there all the same.
    fn take_stock(&mut self, error: StoreError, generation: u64) -> Result<(), StoreError> {
        let found = self.reopen().is_ok() && self.meta.generation == generation;
        // It was read from the files; that they are on the disk itself is still to be shown.
        if found && self.live.with(Engine::sync).is_ok() { Ok(()) } else { Err(error) }
    }

    fn reopen(&mut self) -> Result<(), StoreError> {
        let state = self.live.reopen()?;
        self.meta = state.meta;
        self.symbols = state.symbols.clone();
        self.stored_symbols = self.symbols.counts();
        self.is_file_stale = true;
        let mut shown = self.state.write();
        let epoch = shown.epoch + 1;
        *shown = State { epoch, ..state };
        Ok(())
    }

    /// New users under the numbers that names have here.
    fn recode(&mut self, Newcomers { mut people, symbols }: Newcomers) -> Result<Vec<Newcomer>, StoreError> {
        if people.is_empty() {
            return Ok(people);
        }
        let recoding = Recoding::new(&symbols, &mut self.symbols);
        for Newcomer { id, person } in &mut people {
            let recoded = recoding.recode(std::mem::take(person));
            *person = recoded.map_err(|source| unreadable(*id, source))?;
        }
        Ok(people)
    }

    fn prepare<'n>(&mut self, set: &mut ChangeSet, newcomers: &'n [Newcomer]) -> Result<Prepared<'n>, StoreError> {
        let mut meta = Meta { generation: self.meta.generation + 1, ..self.meta };
        let mut batch = Batch::default();
        let mut blocks = Blocks::new();
        let people = self.put_people(&mut blocks, &mut meta, std::mem::take(&mut set.people))?;
        let newcomers = self.put_newcomers(&mut blocks, &mut meta, newcomers)?;
        let passes = self.put_passes(&mut batch, &mut blocks, set, &people, &newcomers)?;
        for (number, block) in blocks {
            if block.is_empty() {
                batch.remove(keys::block(number));
            } else {
                batch.put(keys::block(number), block.seal());
            }
        }
        let groups = self.put_groups(&mut batch, &set.groups);
        for write in &set.group_writes {
            match write {
                GroupWrite::Put(group) => batch.put(keys::group(&group.key), encode_group(group)),
                GroupWrite::Delete(key) => batch.remove(keys::group(key)),
            }
        }
        let new_run = set.new_run.take().map(|mut run| {
            run.id = RunId(meta.next_run);
            meta.next_run += 1;
            batch.put(keys::run(run.id), encode_run(&run));
            run.id
        });
        for run in &set.runs {
            meta.next_run = meta.next_run.max(run.id.0 + 1);
            batch.put(keys::run(run.id), encode_run(run));
        }
        if let Some((feed, state)) = &set.feed {
            batch.put(keys::feed(feed), encode_feed_state(state));
        }
        match &set.event {
            Some(EventWrite::Put(event)) => batch.put(keys::event(&event.name), encode_event(event)),
            Some(EventWrite::Delete(name)) => batch.remove(keys::event(name)),
            None => {}
        }
        match &set.pause {
            Some((event, Some(pause))) => batch.put(keys::pause(event), encode_pause(pause)),
            Some((event, None)) => batch.remove(keys::pause(event)),
            None => {}
        }
        match &set.inviting {
            Some((event, Some(inviting))) => batch.put(keys::inviting(event), encode_inviting(inviting)),
            Some((event, None)) => batch.remove(keys::inviting(event)),
            None => {}
        }
        match &set.token {
            Some(super::TokenWrite::Put(token)) => batch.put(keys::token(&token.sha256), encode_token(token)),
            Some(super::TokenWrite::Delete(token)) => batch.remove(keys::token(&token.sha256)),
            None => {}
        }
        for (source, what, value) in &set.keepsakes {
            batch.put(keys::keepsake(source, *what), seal(Kind::Keepsake, value));
        }
        for (entry, place) in set.audit.iter().zip(0..) {
            batch.put(keys::audit(keys::audit_id(meta.generation, place)), encode_audit_entry(entry));
        }
        if let Some(last) = set.forget_audit {
            self.forget_audit(&mut batch, last)?;
        }
        let gone =
            people.iter().filter(|checked| checked.after.is_none()).filter_map(|checked| checked.before.as_ref());
        let mut remembered = Remembered::of(set, self.live.key(), &meta, gone);
        remembered.put(&mut batch, &self.state.read());
        let changed = people.iter().map(|checked| (checked.before.as_ref(), checked.after.as_ref()));
        let value = |key: &[u8]| self.live.with(|engine| engine.get(key));
        let sign_ins = sign_ins::put(&mut batch, &self.state.read(), &set.sign_ins, changed, value)?;
        for (kind, number, name) in self.symbols.since(self.stored_symbols) {
            batch.put(keys::symbol(kind, number), seal(Kind::Symbol, name.as_bytes()));
        }
        batch.put(keys::META.to_vec(), encode_meta(meta));
        Ok(Prepared { batch, meta, people, newcomers, groups, new_run, remembered, sign_ins, passes })
    }

    /// Puts what becomes of passes: of those whom the batch changes, and of those whose passes it names.
    fn put_passes(
        &self,
        batch: &mut Batch,
        blocks: &mut Blocks,
        set: &ChangeSet,
        people: &[Checked],
        newcomers: &[(UserNo, Glance<'_>)],
    ) -> Result<passes::Becoming, StoreError> {
        let issuing = self.issuer.events.read().clone();
        let has_passes = !self.state.read().passes.events.is_empty();
        if issuing.is_empty() && !has_passes && set.passes.is_empty() && set.withdrawals.is_empty() {
            return Ok(passes::Becoming::default());
        }
        let looks =
            |write: &&PassWrite| matches!(write.change, PassChange::Reconsider { .. } | PassChange::Rotate { .. });
        let named = set.passes.iter().filter(looks).map(|write| write.user);
        let new = newcomers.iter().map(|(user, _)| *user).filter(|_| !issuing.is_empty());
        let mut read = Vec::new();
        for user in named.chain(new) {
            let bytes = self.block(blocks, user)?.person(keys::slot_of(user));
            let person = bytes.map(|bytes| decode_person(&self.symbols, bytes)).transpose();
            let person = person.map_err(|source| StoreError::Codec { what: format!("user {}", user.0), source })?;
            read.extend(person.map(|person| (user, person)));
        }
        let id = |checked: &Checked| checked.after.as_ref().or(checked.before.as_ref()).map(|person| person.id);
        let changed = people.iter().filter_map(|checked| {
            Some(Touched { user: checked.user, id: id(checked)?, person: checked.after.as_ref() })
        });
        let read = read.iter().map(|(user, person)| Touched { user: *user, id: person.id, person: Some(person) });
        let touched: Vec<_> = changed.chain(read).collect();
        let value = |key: &[u8]| self.live.with(|engine| engine.get(key));
        let state = self.state.read();
        let ground = Ground { state: &state, vault: &self.issuer.vault, issuing: &issuing, value };
        ground.put(batch, &touched, &set.passes, &set.withdrawals)
    }

    fn put_people(
        &mut self,
        blocks: &mut Blocks,
        meta: &mut Meta,
        changes: Vec<PersonChange>,
    ) -> Result<Vec<Checked>, StoreError> {
        let mut checked = Vec::with_capacity(changes.len());
        for change in changes {
            let user = change.user.unwrap_or_else(|| next_user(meta));
            let block = self.block(blocks, user)?;
            let current = block
                .person(keys::slot_of(user))
                .map(|bytes| decode_person(&self.symbols, bytes))
                .transpose()
                .map_err(|source| StoreError::Codec { what: format!("block {}", keys::block_of(user)), source })?;
            self.check(&change, current.as_ref())?;
            let encoded = change.after.as_ref().map(|person| encode_checked(&mut self.symbols, person)).transpose()?;
            put(block, user, change.id, encoded.unwrap_or_default())?;
            checked.push(Checked { user, before: current, after: change.after });
        }
        Ok(checked)
    }

    /// Puts new users into their blocks. Returns what the index needs of them.
    fn put_newcomers<'n>(
        &self,
        blocks: &mut Blocks,
        meta: &mut Meta,
        newcomers: &'n [Newcomer],
    ) -> Result<Vec<(UserNo, Glance<'n>)>, StoreError> {
        let mut put_in = Vec::with_capacity(newcomers.len());
        for Newcomer { id, person } in newcomers {
            let glance = glance_at(&self.symbols, *id, person).map_err(|source| unreadable(*id, source))?;
            if person.len() > READ_BACK_BYTES && decode_person(&self.symbols, person).is_err() {
                return Err(StoreError::TooLarge(*id));
            }
            let user = next_user(meta);
            let block = self.block(blocks, user)?;
            let is_fresh = block.person(keys::slot_of(user)).is_none();
            if !is_fresh || self.state.read().index.user_by_id(*id).is_some() {
                return Err(StoreError::Conflict(*id));
            }
            put(block, user, *id, person.clone())?;
            put_in.push((user, glance));
        }
        Ok(put_in)
    }

    /// The block of a user as it is after what was put into it already.
    fn block<'b>(&self, blocks: &'b mut Blocks, user: UserNo) -> Result<&'b mut Block, StoreError> {
        let number = keys::block_of(user);
        Ok(match blocks.entry(number) {
            Entry::Occupied(block) => block.into_mut(),
            Entry::Vacant(place) => place.insert(self.read_block(number)?),
        })
    }

    /// A block as it is on disk. Between two commits it holds exactly those whom the index knows; another one is damage,
    /// which may come to light only now, and must not be written over.
    fn read_block(&self, number: u32) -> Result<Block, StoreError> {
        let sealed = self.live.with(|engine| engine.get(&keys::block(number)))?;
        let block = sealed.as_deref().map_or_else(|| Ok(Block::default()), Block::open);
        let block = block.map_err(|source| StoreError::Codec { what: format!("block {number}"), source })?;
        let first = number * BLOCK_USERS;
        let known = self.state.read().index.users().range_cardinality(first..=first + (BLOCK_USERS - 1));
        if known == block.count() { Ok(block) } else { Err(StoreError::Incomplete) }
    }

    /// The change must have been planned upon what is there now.
    fn check(&self, change: &PersonChange, current: Option<&Person>) -> Result<(), StoreError> {
        let planned_upon = match (change.user, &change.before) {
            // A new user: the number must be fresh, and the id.
            (None, _) => current.is_none() && self.state.read().index.user_by_id(change.id).is_none(),
            // A deletion keeps no before-image; the person must be the one that was meant.
            (Some(_), None) => current.is_some_and(|person| person.id == change.id),
            (Some(_), before) => current == before.as_ref(),
        };
        if planned_upon { Ok(()) } else { Err(StoreError::Conflict(change.id)) }
    }

    fn forget_audit(&self, batch: &mut Batch, last: AuditId) -> Result<(), StoreError> {
        self.live.with(|engine| {
            for row in engine.scan(keys::AUDIT) {
                let (key, _) = row?;
                if keys::audit_number(&key).is_some_and(|id| id > last) {
                    break;
                }
                batch.remove(key.to_vec());
            }
            Ok(())
        })
    }

    fn put_groups(&self, batch: &mut Batch, names: &[GroupName]) -> Vec<Group> {
        let state = self.state.read();
        let new = names.iter().filter(|name| !state.groups.contains_key(&name.key));
        let groups: Vec<Group> =
            new.map(|GroupName { key, name }| Group { key: key.clone(), name: name.clone() }).collect();
        for group in &groups {
            batch.put(keys::group(&group.key), encode_group(group));
        }
        groups
    }

    /// Readers read blocks straight from the engine, so they must know the names in a block before it is there.
    /// Names that stay unused, because the batch failed, harm nobody.
    fn publish_symbols(&self) {
        let mut new = self.symbols.since(self.stored_symbols).peekable();
        if new.peek().is_some() {
            let mut state = self.state.write();
            for (kind, _, name) in new {
                state.symbols.intern(kind, name);
            }
        }
    }

    /// Lets the readers see what is on disk now. Whoever reads in the engine that a run is done, and then looks for its people,
    /// waits until the indexes know them.
    fn publish(&mut self, set: ChangeSet, prepared: Prepared) {
        self.meta = prepared.meta;
        let mut state = self.state.write();
        // It fails only where the engine is closed, and then it is read anew.
        let _ = self.live.with(|engine| {
            engine.show();
            Ok(())
        });
        self.stored_symbols = self.symbols.counts();
        let tombstones_changed = prepared.remembered.publish(&mut state);
        sign_ins::publish(&mut state.sign_ins, prepared.sign_ins);
        passes::publish(&mut state.passes, prepared.passes);
        let State { index, symbols, groups, feeds, events, pauses, inviting, tokens, keepsakes, meta, .. } =
            &mut *state;
        *meta = prepared.meta;
        for Checked { user, before, after } in &prepared.people {
            index.apply(symbols, *user, before.as_ref(), after.as_ref());
        }
        let mut entering = Entering::new(index, symbols);
        for (user, person) in &prepared.newcomers {
            entering.enter(*user, person).expect("its names were looked up before it was written");
        }
        groups.extend(prepared.groups.into_iter().map(|group| (group.key.clone(), group)));
        for write in set.group_writes {
            match write {
                GroupWrite::Put(group) => drop(groups.insert(group.key.clone(), group)),
                GroupWrite::Delete(key) => drop(groups.remove(&key)),
            }
        }
        feeds.extend(set.feed);
        match set.event {
            Some(EventWrite::Put(event)) => drop(events.insert(event.name.clone(), *event)),
            Some(EventWrite::Delete(name)) => drop(events.remove(&name)),
            None => {}
        }
        match set.pause {
            Some((event, Some(pause))) => drop(pauses.insert(event, pause)),
            Some((event, None)) => drop(pauses.remove(&event)),
            None => {}
        }
        match set.inviting {
            Some((event, Some(standing))) => drop(inviting.insert(event, standing)),
            Some((event, None)) => drop(inviting.remove(&event)),
            None => {}
        }
        match set.token {
            Some(super::TokenWrite::Put(token)) => put_token(tokens, token),
            Some(super::TokenWrite::Delete(token)) => tokens.retain(|known| known.sha256 != token.sha256),
            None => {}
        }
        keepsakes.extend(set.keepsakes.into_iter().map(|(source, what, value)| ((source, what), value)));
        drop(state);
        if tombstones_changed || self.is_file_stale {
            self.keep_tombstones();
        }
    }

    /// Writes the tombstones' file. The store has them all the same, so a disk that fails here fails nobody; the next
    /// commit tries again, and so does the next process that opens the store.
    fn keep_tombstones(&mut self) {
        let tombstones = Arc::clone(&self.state.read().tombstones);
        self.is_file_stale = self.live.tombstones().write(self.meta.generation, &tombstones).is_err();
    }
}

fn put_token(tokens: &mut Vec<StoredToken>, token: StoredToken) {
    tokens.retain(|known| known.sha256 != token.sha256);
    tokens.push(token);
}
