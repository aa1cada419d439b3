//! The store as the rest of the program sees it: lookups, lists, history, and a door to the writer.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::{RwLock, RwLockReadGuard};
use roaring::RoaringBitmap;
use sled::IVec;
use tokio::sync::{mpsc, oneshot};

use super::compact::{Compaction, Swap};
use super::engine::{Engine, io_error};
use super::files::Folder;
use super::index::Index;
use super::live::{Live, Opening};
use super::passes::{Issuer, Passes, SharedIssuing};
use super::room::Room;
use super::sign_ins::SignIns;
use super::state::State;
use super::vault::Vault;
use super::writer::{Ack, ChangeSet, Command, Writer};
use super::{StoreError, keys};
use crate::codec::{
    CodecError, Kind, StoredToken, SymbolKind, Symbols, Unpacked, decode_audit_entry, decode_meta, decode_person,
    decode_run,
};
use crate::faults::Faults;
use crate::limits::{AUDIT_FORGOTTEN_AT_ONCE, BATCH_BYTES_MAX, WRITER_QUEUE};
use crate::model::{
    AuditEntry, AuditId, CommunityKey, EmailKey, Event, EventName, ExternalId, FeedId, FeedState, Group, GroupKey,
    Inviting, Keepsake, Pause, Person, Run, RunId, SourceName, UserId, UserNo,
};

/// An open store. Cloning shares it; the last clone stops the writer.
#[derive(Clone)]
pub struct Store {
    pub(super) shared: Arc<Shared>,
}

pub(super) struct Shared {
    state: Arc<RwLock<State>>,
    live: Arc<Live>,
    room: Room,
    key: CommunityKey,
    pub(super) folder: Folder,
    vault: Vault,
    pub(super) issuing: SharedIssuing,
    commands: Option<mpsc::Sender<Command>>,
    writer: Option<std::thread::JoinHandle<()>>,
}

/// A group and how many users it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupCount {
    pub group: Group,
    pub members: u64,
    /// The events through which somebody is in it, by name, and how many are.
    pub events: Vec<(EventName, u64)>,
}

#[derive(Debug)]
pub enum TokenWrite {
    Put(StoredToken),
    Delete(StoredToken),
}

/// The indexes at one moment. Short-lived: the writer waits for it to publish a batch.
pub struct View<'a> {
    state: RwLockReadGuard<'a, State>,
}

impl View<'_> {
    pub(super) fn state(&self) -> &State {
        &self.state
    }

    pub fn index(&self) -> &Index {
        &self.state.index
    }

    pub(super) fn sign_ins(&self) -> &SignIns {
        &self.state.sign_ins
    }

    pub(super) fn passes(&self) -> &Passes {
        &self.state.passes
    }

    pub fn symbols(&self) -> &Symbols {
        &self.state.symbols
    }

    pub fn tokens(&self) -> &[StoredToken] {
        &self.state.tokens
    }

    pub fn has_group(&self, key: &GroupKey) -> bool {
        self.state.groups.contains_key(key)
    }

    fn count(&self, group: &Group) -> GroupCount {
        let (places, symbols) = (self.index().places(), self.symbols());
        let mut events: Vec<_> = places.events_of(symbols, &group.key).collect();
        events.sort_unstable();
        GroupCount { group: group.clone(), members: places.members(symbols, &group.key).len(), events }
    }
}

/// A change set on its way to the disk.
#[derive(Debug)]
pub struct Commit {
    answer: oneshot::Receiver<Result<Ack, StoreError>>,
}

impl Commit {
    /// Waits until the change set is on disk; see [`Store::commit`]. Blocks.
    pub fn wait(self) -> Result<Ack, StoreError> {
        self.answer.blocking_recv().map_err(|_| StoreError::Stopped)?
    }
}

impl Store {
    /// Opens or makes the store in a data directory, under its lock.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Self::open_with(path, Faults::none())
    }

    /// The same, with a disk that may fail.
    pub fn open_with(path: &Path, faults: Faults) -> Result<Self, StoreError> {
        let folder = Folder::open(path)?;
        let key = folder.community_key()?;
        let vault = Vault::open_in(&folder)?;
        let room = Room::of(path);
        let opening = Opening::new(folder.engine(), key.clone(), room.clone(), faults);
        let (live, state) = Live::open(opening)?;
        // Whatever stays takes room only, and is removed before the next compaction.
        let _ = Swap::of(path).tidy_up();
        let (live, state) = (Arc::new(live), Arc::new(RwLock::new(state)));
        let (commands, queue) = mpsc::channel(WRITER_QUEUE);
        let issuing = SharedIssuing::default();
        let issuer = Issuer { vault: vault.clone(), events: Arc::clone(&issuing) };
        let writer = Writer::new(Arc::clone(&live), room.clone(), Arc::clone(&state), issuer);
        let writer = std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || writer.run(queue))
            .map_err(|source| io_error("start the writer for", path, source))?;
        let (commands, writer) = (Some(commands), Some(writer));
        let store =
            Self { shared: Arc::new(Shared { state, live, room, key, folder, vault, issuing, commands, writer }) };
        if !store.view().state.unstored.is_empty() {
            // They keep out all the same, and the file has them where the disk fails.
            let _ = store.commit(ChangeSet::default());
        }
        Ok(store)
    }

    pub(super) fn with_engine<T>(&self, work: impl FnOnce(&Engine) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.shared.live.with(work)
    }

    /// Who is told of the steps on the disk.
    pub fn faults(&self) -> &Faults {
        self.shared.live.faults()
    }

    /// How often the store was opened anew since it was opened. Numbers taken from the index hold within one epoch.
    pub fn epoch(&self) -> u64 {
        self.view().state.epoch
    }

    pub fn view(&self) -> View<'_> {
        // Recursive, so that a caller who holds a view and reads a person cannot wait for itself behind the writer.
        View { state: self.shared.state.read_recursive() }
    }

    /// What seals people's tokens and the secrets of passes.
    pub fn vault(&self) -> &Vault {
        &self.shared.vault
    }

    pub fn community_key(&self) -> &CommunityKey {
        &self.shared.key
    }

    pub fn folder(&self) -> &Path {
        self.shared.folder.path()
    }

    /// Where spools and journals lie.
    pub fn runs_folder(&self) -> PathBuf {
        self.shared.folder.runs()
    }

    /// Could a batch be written now? Tries it with a file of that size beside the engine's, and has a closed engine
    /// opened again.
    pub fn check_writable(&self) -> Result<(), StoreError> {
        if self.shared.commands.as_ref().is_none_or(mpsc::Sender::is_closed) {
            return Err(StoreError::Stopped);
        }
        self.shared.room.probe(BATCH_BYTES_MAX)?;
        if self.shared.live.wants_reopening() {
            self.commit(ChangeSet::default())?;
        }
        self.shared.live.with(|_| Ok(()))
    }

    /// The size of the engine's files.
    pub fn bytes_on_disk(&self) -> Result<u64, StoreError> {
        self.shared.folder.engine_bytes()
    }

    /// What is free on the disk of the data directory, for whoever is not root.
    pub fn bytes_free(&self) -> Result<u64, StoreError> {
        self.shared.room.free()
    }

    /// Has `tell` told how long each commit waits for the disk. Only the first who asks is told.
    pub fn on_flush(&self, tell: impl Fn(Duration) + Send + Sync + 'static) {
        self.shared.live.on_flush(Box::new(tell));
    }

    /// Commits from a thread that may block. When this returns, the changes survive a power cut. An error means that
    /// they are not there, or, where the disk kept failing, that nobody can promise that they stay.
    pub fn commit(&self, set: ChangeSet) -> Result<Ack, StoreError> {
        self.begin_commit(set)?.wait()
    }

    /// Hands a change set to the writer, from a thread that may block. Change sets are applied in the order in which
    /// they are handed over; one that fails does not keep back the next.
    pub fn begin_commit(&self, set: ChangeSet) -> Result<Commit, StoreError> {
        let (reply, answer) = oneshot::channel();
        let commands = self.shared.commands.as_ref().ok_or(StoreError::Stopped)?;
        commands.blocking_send(Command::Commit { set: Box::new(set), reply }).map_err(|_| StoreError::Stopped)?;
        Ok(Commit { answer })
    }

    /// Writes the indexes into a file, so that the next opening need not read every person. Call it when what changes
    /// people has ended, and before the store is closed: after a batch that came later, and after a kill, the file is
    /// not believed and every person is read. What the file bears already is not written again. Waits for the commits
    /// before it, and those after it wait; readers do not. Blocks, as [`Self::commit`] does.
    ///
    /// An error leaves the store as it is; only the next opening takes longer.
    pub fn keep_index(&self) -> Result<(), StoreError> {
        let (reply, answer) = oneshot::channel();
        let commands = self.shared.commands.as_ref().ok_or(StoreError::Stopped)?;
        commands.blocking_send(Command::KeepIndex { reply }).map_err(|_| StoreError::Stopped)?;
        answer.blocking_recv().map_err(|_| StoreError::Stopped)?
    }

    /// Writes the store anew without what was deleted from it, of which its files keep the bytes. Waits for the commits
    /// before it, and those after it wait; readers do not, but for a moment. Blocks. An error leaves the store as it is.
    pub fn compact(&self) -> Result<Compaction, StoreError> {
        let before = self.bytes_on_disk()?;
        let (reply, answer) = oneshot::channel();
        let commands = self.shared.commands.as_ref().ok_or(StoreError::Stopped)?;
        let swap = Swap::of(self.folder());
        commands.blocking_send(Command::Compact { swap, reply }).map_err(|_| StoreError::Stopped)?;
        answer.blocking_recv().map_err(|_| StoreError::Stopped)??;
        Ok(Compaction { before, after: self.bytes_on_disk()? })
    }

    /// Was every person read when the store was last opened, because no snapshot of the index could be believed?
    pub fn was_scanned(&self) -> bool {
        self.view().state.was_scanned
    }

    /// Commits from async code.
    pub async fn commit_async(&self, set: ChangeSet) -> Result<Ack, StoreError> {
        let (reply, answer) = oneshot::channel();
        let commands = self.shared.commands.as_ref().ok_or(StoreError::Stopped)?;
        commands.send(Command::Commit { set: Box::new(set), reply }).await.map_err(|_| StoreError::Stopped)?;
        answer.await.map_err(|_| StoreError::Stopped)?
    }

    /// Somebody whom the index knows and whose block does not have them is damage: blocks are not read at open where
    /// there is a snapshot of the index.
    pub fn person(&self, user: UserNo) -> Result<Option<Person>, StoreError> {
        let person = self.stored_person(user)?;
        if person.is_some() {
            return Ok(person);
        }
        // While a deletion is being published the block is ahead of the index. With the index held, both are of one
        // commit if the counters on disk are those of the index.
        let view = self.view();
        let UserNo(number) = user;
        let is_missing = view.index().users().contains(number)
            && self.stored_person(user)?.is_none()
            && self.stored_generation()? == Some(view.state.meta.generation);
        if is_missing { Err(StoreError::Incomplete) } else { Ok(None) }
    }

    /// The same for one of very many, so that the others do not stay in the cache.
    pub fn person_in_passing(&self, user: UserNo) -> Result<Option<Person>, StoreError> {
        let person = self.person(user)?;
        self.shared.live.with(|engine| {
            engine.pass(&keys::block(keys::block_of(user)));
            Ok(person)
        })
    }

    fn stored_generation(&self) -> Result<Option<u64>, StoreError> {
        let sealed = self.shared.live.with(|engine| engine.get(keys::META))?;
        let meta = sealed.map(|sealed| decode_meta(&sealed)).transpose();
        let meta = meta.map_err(|source| StoreError::Codec { what: "the store's counters".into(), source })?;
        Ok(meta.map(|meta| meta.generation))
    }

    fn stored_person(&self, user: UserNo) -> Result<Option<Person>, StoreError> {
        let number = keys::block_of(user);
        let failed = |source| StoreError::Codec { what: format!("block {number}"), source };
        let sealed = self.shared.live.with(|engine| engine.get(&keys::block(number)))?;
        let Some(sealed) = sealed else { return Ok(None) };
        let block = Unpacked::open(&sealed).map_err(failed)?;
        let Some(person) = block.person(keys::slot_of(user)).map_err(failed)? else { return Ok(None) };
        decode_person(self.view().symbols(), person).map(Some).map_err(failed)
    }

    /// What is stored under a key, sealed.
    pub(super) fn value(&self, key: &[u8]) -> Result<Option<IVec>, StoreError> {
        self.shared.live.with(|engine| engine.get(key))
    }

    /// What a source keeps beyond the process.
    pub fn keepsake(&self, source: &SourceName, what: Keepsake) -> Option<Vec<u8>> {
        self.view().state.keepsakes.get(&(source.clone(), what)).cloned()
    }

    pub fn user_by_id(&self, id: UserId) -> Option<UserNo> {
        self.view().index().user_by_id(id)
    }

    pub fn user_by_email(&self, email: &EmailKey) -> Option<UserNo> {
        let view = self.view();
        view.index().user_by_email_hash(view.index().email_hash(email))
    }

    pub fn user_by_registration(&self, feed: &FeedId, external_id: &ExternalId) -> Option<UserNo> {
        let view = self.view();
        view.index().registration(view.index().registration_hash(feed, external_id)).map(|hit| hit.user)
    }

    /// Users of whom the feed's list has more than one record, ascending.
    pub fn users_with_several_registrations(&self, feed: &FeedId) -> Vec<UserNo> {
        let view = self.view();
        let (mut seen, mut several) = (RoaringBitmap::new(), RoaringBitmap::new());
        for number in view.index().present(feed) {
            let UserNo(user) = view.index().registration_user(number);
            if !seen.insert(user) {
                several.insert(user);
            }
        }
        several.into_iter().map(UserNo).collect()
    }

    pub fn user_count(&self) -> u64 {
        self.view().index().users().len()
    }

    /// How many have a place in the event: attending, and no longer.
    pub fn attendee_counts(&self, event: &EventName) -> (u64, u64) {
        let view = self.view();
        let count = |active| view.index().attendees(view.symbols(), event, active).map_or(0, RoaringBitmap::len);
        (count(true), count(false))
    }

    /// Does anybody have a registration in the event, of whatever source and state?
    pub fn has_registrations(&self, event: &EventName) -> bool {
        self.view().index().has_registrations(event)
    }

    /// Users after one number, ascending.
    pub fn users(&self, after: Option<UserNo>, limit: usize) -> Vec<UserNo> {
        page(Some(self.view().index().users()), after, limit)
    }

    pub fn members(&self, group: &GroupKey, after: Option<UserNo>, limit: usize) -> Vec<UserNo> {
        let view = self.view();
        page(Some(&*view.index().places().members(view.symbols(), group)), after, limit)
    }

    /// Users who are in a group as far as one event is concerned, ascending: by its registrations, or by an organiser's
    /// hand for this event or for none in particular.
    pub fn members_in(&self, event: &EventName, group: &GroupKey) -> Vec<UserNo> {
        let view = self.view();
        page(Some(&*view.index().places().members_in(view.symbols(), event, group)), None, usize::MAX)
    }

    /// How many groups there are.
    pub fn group_count(&self) -> usize {
        self.view().state.groups.len()
    }

    /// Groups after one key, ascending by key.
    pub fn groups(&self, after: Option<&GroupKey>, limit: usize) -> Vec<GroupCount> {
        let view = self.view();
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let groups = view.state.groups.range::<GroupKey, _>((from, Bound::Unbounded));
        groups.take(limit).map(|(_, group)| view.count(group)).collect()
    }

    pub fn group(&self, key: &GroupKey) -> Option<GroupCount> {
        let view = self.view();
        view.state.groups.get(key).map(|group| view.count(group))
    }

    /// Events made over the API, by name.
    pub fn events(&self) -> Vec<Event> {
        self.view().state.events.values().cloned().collect()
    }

    /// An event made over the API.
    pub fn event(&self, name: &EventName) -> Option<Event> {
        self.view().state.events.get(name).cloned()
    }

    /// Why nothing of the event is synced by itself, if so.
    pub fn pause(&self, event: &EventName) -> Option<Pause> {
        self.view().state.pauses.get(event).cloned()
    }

    /// How an event's invitations stand.
    pub fn inviting(&self, event: &EventName) -> Inviting {
        self.view().state.inviting.get(event).copied().unwrap_or_default()
    }

    /// How the invitations of every event stand that ever had any.
    pub fn all_inviting(&self) -> BTreeMap<EventName, Inviting> {
        self.view().state.inviting.clone()
    }

    /// The custom fields that anybody has or had.
    pub fn custom_fields(&self) -> Vec<Arc<str>> {
        let view = self.view();
        let all = view.symbols().since([0; 4]).filter(|(kind, ..)| *kind == SymbolKind::CustomField);
        all.map(|(.., name)| Arc::clone(name)).collect()
    }

    /// Looks at a feed's state where it is; that may be large.
    pub fn look_at_feed<T>(&self, feed: &FeedId, look: impl FnOnce(&FeedState) -> T) -> T {
        let view = self.view();
        match view.state.feeds.get(feed) {
            Some(state) => look(state),
            None => look(&FeedState::default()),
        }
    }

    pub fn feed_state(&self, feed: &FeedId) -> FeedState {
        self.view().state.feeds.get(feed).cloned().unwrap_or_default()
    }

    pub fn run(&self, id: RunId) -> Result<Option<Run>, StoreError> {
        let sealed = self.shared.live.with(|engine| engine.get(&keys::run(id)))?;
        sealed.map(|sealed| decode(id, &sealed)).transpose()
    }

    /// Runs that `wanted` picks, newest first, from below `before`.
    pub fn runs(
        &self,
        before: Option<RunId>,
        limit: usize,
        wanted: impl Fn(&Run) -> bool,
    ) -> Result<Vec<Run>, StoreError> {
        let mut runs = Vec::new();
        // A client's cursor may name any number; there is nothing beyond the newest.
        let next = self.view().state.meta.next_run;
        let mut id = before.map_or(next, |RunId(before)| before.min(next));
        while runs.len() < limit && id > 1 {
            id -= 1;
            runs.extend(self.run(RunId(id))?.filter(&wanted));
        }
        Ok(runs)
    }
}

/// The audit log.
impl Store {
    /// Entries that `wanted` picks, newest first, from below `before`.
    pub fn audit(
        &self,
        before: Option<AuditId>,
        limit: usize,
        wanted: impl Fn(&AuditEntry) -> bool,
    ) -> Result<Vec<(AuditId, AuditEntry)>, StoreError> {
        self.shared.live.with(|engine| {
            let mut found = Vec::new();
            for row in engine.scan(keys::AUDIT).rev() {
                let (id, entry) = audit_row(row?)?;
                if before.is_none_or(|before| id < before) && wanted(&entry) {
                    found.push((id, entry));
                }
                if found.len() >= limit {
                    break;
                }
            }
            Ok(found)
        })
    }

    /// Forgets what is older. Blocks.
    pub fn forget_audit_before(&self, oldest: Timestamp) -> Result<(), StoreError> {
        let last = self.shared.live.with(|engine| {
            let mut last = None;
            for row in engine.scan(keys::AUDIT).take(AUDIT_FORGOTTEN_AT_ONCE) {
                let (id, entry) = audit_row(row?)?;
                if entry.at >= oldest {
                    break;
                }
                last = Some(id);
            }
            Ok(last)
        })?;
        match last {
            Some(last) => self.commit(ChangeSet { forget_audit: Some(last), ..ChangeSet::default() }).map(drop),
            None => Ok(()),
        }
    }
}

fn audit_row((key, sealed): (IVec, IVec)) -> Result<(AuditId, AuditEntry), StoreError> {
    let failed = |source| StoreError::Codec { what: "an entry of the audit log".into(), source };
    let id = keys::audit_number(&key).ok_or(CodecError::Short(Kind::Audit)).map_err(failed)?;
    Ok((id, decode_audit_entry(&sealed).map_err(failed)?))
}

fn decode(id: RunId, sealed: &[u8]) -> Result<Run, StoreError> {
    decode_run(sealed).map_err(|source| StoreError::Codec { what: format!("run {id}"), source })
}

fn page(users: Option<&RoaringBitmap>, after: Option<UserNo>, limit: usize) -> Vec<UserNo> {
    let Some(from) = after.map_or(Some(0), |UserNo(user)| user.checked_add(1)) else { return Vec::new() };
    users.map(|users| users.range(from..).take(limit).map(UserNo).collect()).unwrap_or_default()
}

impl Drop for Shared {
    fn drop(&mut self) {
        // Closing the queue ends the writer after what is in it.
        drop(self.commands.take());
        if let Some(writer) = self.writer.take() {
            // A writer that panicked has said so already; nothing is left to do about it here.
            let _ = writer.join();
        }
    }
}
