//! The indexes in memory: everything that finds people without reading blocks. Derived from the blocks alone;
//! keys are hashes under a secret seed, so no second copy of personal data is held.

use std::collections::HashMap;
use std::io::{self, Read, Write};

use roaring::RoaringBitmap;
use xxhash_rust::xxh3::{xxh3_64_with_seed, xxh3_128_with_seed};

use super::columns::{ColumnReader, ColumnWriter, unfit};
use super::places::Places;
use super::registrations::{Registrations, Row};
use super::table::Table;
use crate::codec::{CodecError, Glance, Kind, Meta, RegistrationGlance, SymbolKind, Symbols};
use crate::model::{
    CommunityKey, Digest, EmailKey, EventName, ExternalId, FeedId, Person, Registration, SourceName, UserId, UserNo,
};

/// What a lookup by registration finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RegistrationHit {
    /// The registration's number, kept as long as it stays its user's.
    pub number: u32,
    pub user: UserNo,
    pub raw: Digest,
    pub mapped: Digest,
    /// The last complete read did not find it.
    pub absent: bool,
}

pub struct Index {
    seed: u64,
    /// By user number; 0 for a number without a user.
    email: Vec<u128>,
    id: Vec<u128>,
    by_email: Table,
    by_id: Table,
    users: RoaringBitmap,
    registrations: Registrations,
    /// Every feed that has a registration.
    feed_numbers: HashMap<FeedId, u32>,
    places: Places,
}

impl Index {
    pub fn new(key: &CommunityKey) -> Self {
        Self {
            seed: Digest::seed(&[b"index", key.bytes()]),
            email: Vec::new(),
            id: Vec::new(),
            by_email: Table::default(),
            by_id: Table::default(),
            users: RoaringBitmap::new(),
            registrations: Registrations::default(),
            feed_numbers: HashMap::new(),
            places: Places::default(),
        }
    }

    /// The keyed hash by which the index knows an email key.
    pub fn email_hash(&self, email: &EmailKey) -> u128 {
        keyed(self.seed, email.as_str().as_bytes())
    }

    /// The keyed hash by which the index knows a registration.
    pub fn registration_hash(&self, feed: &FeedId, external_id: &ExternalId) -> u128 {
        keyed(self.feed_seed(feed), external_id.as_str().as_bytes())
    }

    fn feed_seed(&self, feed: &FeedId) -> u64 {
        // Names are at most 64 bytes and hold no NUL.
        let mut joined = [0; 129];
        let (event, source) = (feed.event.as_str().as_bytes(), feed.source.as_str().as_bytes());
        joined[..event.len()].copy_from_slice(event);
        joined[event.len() + 1..event.len() + 1 + source.len()].copy_from_slice(source);
        xxh3_64_with_seed(&joined[..event.len() + 1 + source.len()], self.seed)
    }

    fn feed_number(&self, feed: &FeedId) -> Option<u32> {
        self.feed_numbers.get(feed).copied()
    }

    pub fn user_by_email_hash(&self, hash: u128) -> Option<UserNo> {
        self.by_email.find(&self.email, hash).map(UserNo)
    }

    /// The hash of a user's email key.
    pub fn email_hash_of(&self, UserNo(user): UserNo) -> Option<u128> {
        self.email.get(user as usize).copied().filter(|hash| *hash != 0)
    }

    pub fn user_by_id(&self, id: UserId) -> Option<UserNo> {
        self.by_id.find(&self.id, id.as_u128()).map(UserNo)
    }

    pub fn user_id(&self, UserNo(user): UserNo) -> Option<UserId> {
        self.users.contains(user).then(|| self.id.get(user as usize).copied().map(UserId::from_u128)).flatten()
    }

    pub fn registration(&self, hash: u128) -> Option<RegistrationHit> {
        self.registrations.find(hash).map(hit)
    }

    /// The registration whose record had exactly these bytes. The digest's seed names the feed.
    pub fn registration_by_raw(&self, raw: Digest) -> Option<RegistrationHit> {
        self.registrations.find_raw(raw).map(hit)
    }

    /// The user of a registration's number.
    pub fn registration_user(&self, number: u32) -> UserNo {
        UserNo(self.registrations.user(number))
    }

    /// Every registration of one source with this external id, in whatever event.
    pub fn registrations_of_source(&self, source: &SourceName, external_id: &ExternalId) -> Vec<RegistrationHit> {
        let feeds = self.feed_numbers.keys().filter(|feed| feed.source == *source);
        feeds.filter_map(|feed| self.registration(self.registration_hash(feed, external_id))).collect()
    }

    /// Registrations of a feed that its last complete read found, by number.
    pub fn present(&self, feed: &FeedId) -> RoaringBitmap {
        self.feed_number(feed).map(|feed| self.registrations.present(feed)).unwrap_or_default()
    }

    /// Every registration of a feed, by number.
    pub fn registrations_of(&self, feed: &FeedId) -> RoaringBitmap {
        self.feed_number(feed).map(|feed| self.registrations.all(feed)).unwrap_or_default()
    }

    /// Every feed of an event that has a registration.
    pub fn feeds_of(&self, event: &EventName) -> impl Iterator<Item = &FeedId> {
        self.feed_numbers.keys().filter(move |feed| feed.event == *event)
    }

    pub fn registration_count(&self, feed: &FeedId) -> u64 {
        self.feed_number(feed).map_or(0, |feed| self.registrations.count(feed))
    }

    pub fn has_registrations(&self, event: &EventName) -> bool {
        let mut feeds = self.feed_numbers.iter().filter(|(feed, _)| feed.event == *event);
        feeds.any(|(_, number)| self.registrations.count(*number) > 0)
    }

    pub const fn users(&self) -> &RoaringBitmap {
        &self.users
    }

    /// Users with a place in the event: attending (`active`) or no longer.
    pub fn attendees(&self, symbols: &Symbols, event: &EventName, active: bool) -> Option<&RoaringBitmap> {
        self.places.attendees(symbols, event, active)
    }

    /// Who is where, and how far they came.
    pub const fn places(&self) -> &Places {
        &self.places
    }

    /// Takes up the change of one person. The names that `after` uses must be interned.
    pub fn apply(&mut self, symbols: &Symbols, user: UserNo, before: Option<&Person>, after: Option<&Person>) {
        let UserNo(number) = user;
        let stays = matches!((before, after), (Some(before), Some(after)) if same_places(before, after));
        if let Some(person) = before {
            if !stays {
                self.places.mark(symbols, number, person, false);
            }
            for gone in person.registrations.iter().filter(|r| !after.is_some_and(|after| holds(after, r))) {
                self.registrations.remove(self.registration_hash(&gone.feed, &gone.external_id), number);
            }
        }
        if let Some(person) = after {
            if !stays {
                self.places.mark(symbols, number, person, true);
            }
            for registration in &person.registrations {
                self.put_registration(number, registration);
            }
        }
        let email = after.map_or(0, |person| self.email_hash(&person.email.key()));
        self.identify(number, email, after.map_or(0, |person| person.id.as_u128()));
    }

    fn make_place(&mut self, user: u32) {
        let needed = user as usize + 1;
        if self.email.len() < needed {
            self.email.resize(needed, 0);
            self.id.resize(needed, 0);
        }
    }

    /// Enters who a user number is; 0 and 0 for nobody.
    fn identify(&mut self, user: u32, email: u128, id: u128) {
        self.make_place(user);
        let at = user as usize;
        if (self.email[at], self.id[at]) == (email, id) {
            return;
        }
        if self.users.remove(user) {
            self.by_email.remove(&self.email, user);
            self.by_id.remove(&self.id, user);
        }
        (self.email[at], self.id[at]) = (email, id);
        if email != 0 {
            self.by_email.insert(&self.email, user);
            self.by_id.insert(&self.id, user);
            self.users.insert(user);
        }
    }

    /// A feed's number, new if need be, and the seed of its registrations' keys.
    pub fn feed(&mut self, feed: &FeedId) -> (u32, u64) {
        let next = u32::try_from(self.feed_numbers.len()).unwrap_or(u32::MAX);
        let number = match self.feed_numbers.get(feed) {
            Some(number) => *number,
            None => *self.feed_numbers.entry(feed.clone()).or_insert(next),
        };
        (number, self.feed_seed(feed))
    }

    fn put_registration(&mut self, user: u32, registration: &Registration) {
        let (feed, seed) = self.feed(&registration.feed);
        self.registrations.put(Row {
            key: keyed(seed, registration.external_id.as_str().as_bytes()),
            user,
            raw: registration.raw,
            mapped: registration.mapped,
            feed,
            absent: registration.absent_since.is_some(),
        });
    }
}

/// Of a store, what its index may name.
#[derive(Debug, Clone, Copy)]
pub struct Known {
    /// How many user numbers were given.
    pub users: u32,
    /// How many symbols there are of each kind.
    pub symbols: [u32; 4],
}

impl Known {
    pub fn of(meta: &Meta, symbols: &Symbols) -> Self {
        let counts = symbols.counts().map(|count| u32::try_from(count).unwrap_or(u32::MAX));
        Self { users: meta.next_user, symbols: counts }
    }

    pub const fn symbols_of(&self, kind: SymbolKind) -> u32 {
        self.symbols[kind as usize]
    }
}

/// The index as columns in a file, and back.
impl Index {
    /// About how many bytes [`Self::write`] writes.
    pub fn bytes_about(&self) -> usize {
        2 * size_of::<u128>() * self.email.len() + self.registrations.bytes_about()
    }

    pub fn write<W: Write>(&self, to: &mut ColumnWriter<W>) -> io::Result<()> {
        let mut feeds: Vec<_> = self.feed_numbers.iter().collect();
        feeds.sort_unstable_by_key(|(_, number)| **number);
        to.number(u32::try_from(feeds.len()).map_err(|_| unfit("too many feeds"))?)?;
        for (feed, _) in feeds {
            to.name(feed.event.as_str())?;
            to.name(feed.source.as_str())?;
        }
        to.column(&self.email)?;
        to.column(&self.id)?;
        self.registrations.write(to)?;
        self.places.write(to)
    }

    /// Reads what [`Self::write`] wrote, and refuses what no store with this key could have written. The index finds
    /// nobody before [`Self::build_tables`].
    pub fn read<R: Read>(key: &CommunityKey, known: &Known, from: &mut ColumnReader<R>) -> io::Result<Self> {
        let mut read = Self::new(key);
        let feeds = from.number()?;
        for number in 0..feeds {
            let event = EventName::or_community(&from.name()?).map_err(|_| unfit("no event's name"))?;
            let source = SourceName::parse(&from.name()?).map_err(|_| unfit("no source's name"))?;
            if read.feed_numbers.insert(FeedId { event, source }, number).is_some() {
                return Err(unfit("a feed comes twice"));
            }
        }
        (read.email, read.id) = (from.column()?, from.column()?);
        if read.email.len() != read.id.len() || read.email.len() > known.users as usize {
            return Err(unfit("columns of several lengths, or users that never were"));
        }
        read.users = (0..).zip(&read.email).filter_map(|(user, email)| (*email != 0).then_some(user)).collect();
        read.registrations = Registrations::read(from, &read.users, feeds)?;
        read.places = Places::read(from, &read.users, known)?;
        Ok(read)
    }

    /// Makes the tables from the columns, on two threads.
    pub fn build_tables(&mut self) -> io::Result<()> {
        let Self { email, id, by_email, by_id, users, registrations, .. } = self;
        std::thread::scope(|scope| {
            let builder = std::thread::Builder::new().name("store-tables".into());
            builder.spawn_scoped(scope, || registrations.build_tables())?;
            *by_email = Table::of(email, users.iter());
            *by_id = Table::of(id, users.iter());
            Ok(())
        })
    }
}

/// Enters users as they are stored, under numbers that the index does not know yet.
pub struct Entering<'a> {
    index: &'a mut Index,
    symbols: &'a Symbols,
    /// What the index needs of a feed, see [`Index::feed`], by the symbols of its event and source.
    feeds: HashMap<(u32, u32), (u32, u64)>,
    /// The symbol that stands for no event.
    community: Option<u32>,
}

impl<'a> Entering<'a> {
    pub fn new(index: &'a mut Index, symbols: &'a Symbols) -> Self {
        let community = symbols.number(SymbolKind::Event, EventName::community().as_str());
        Self { index, symbols, feeds: HashMap::new(), community }
    }

    /// Enters into the columns somebody who is found only after [`Index::build_tables`].
    pub fn take_up(&mut self, UserNo(user): UserNo, person: &Glance<'_>) -> Result<(), CodecError> {
        person.check_names(self.symbols)?;
        for of in &person.registrations {
            let row = self.row(user, of)?;
            self.index.registrations.push(&row);
        }
        let index = &mut *self.index;
        index.places.mark_glance(user, person, self.community);
        index.make_place(user);
        index.email[user as usize] = index.email_hash(&EmailKey::of(person.email));
        index.id[user as usize] = person.id().as_u128();
        index.users.insert(user);
        Ok(())
    }

    /// Enters somebody whose names are known to be in the store, to be found from now on.
    pub fn enter(&mut self, UserNo(user): UserNo, person: &Glance<'_>) -> Result<(), CodecError> {
        for of in &person.registrations {
            let row = self.row(user, of)?;
            self.index.registrations.put(row);
        }
        self.index.places.mark_glance(user, person, self.community);
        let email = self.index.email_hash(&EmailKey::of(person.email));
        self.index.identify(user, email, person.id().as_u128());
        Ok(())
    }

    fn row(&mut self, user: u32, of: &RegistrationGlance<'_>) -> Result<Row, CodecError> {
        let (feed, seed) = self.feed(of)?;
        let key = keyed(seed, of.external_id.as_bytes());
        Ok(Row { key, user, raw: of.raw(), mapped: of.mapped(), feed, absent: of.is_absent() })
    }

    fn feed(&mut self, of: &RegistrationGlance<'_>) -> Result<(u32, u64), CodecError> {
        if let Some(feed) = self.feeds.get(&(of.event, of.source)) {
            return Ok(*feed);
        }
        let name = |kind, number| {
            let unknown = CodecError::UnknownSymbol { kind: Kind::Block, number };
            self.symbols.get(kind, number).ok_or(unknown)
        };
        let event = EventName::from_stored(name(SymbolKind::Event, of.event)?);
        let source = SourceName::from_stored(name(SymbolKind::Source, of.source)?);
        let feed = self.index.feed(&FeedId { event, source });
        self.feeds.insert((of.event, of.source), feed);
        Ok(feed)
    }
}

/// 0 marks an empty place in a column, so no hash is 0.
fn keyed(seed: u64, bytes: &[u8]) -> u128 {
    xxh3_128_with_seed(bytes, seed).max(1)
}

fn holds(person: &Person, registration: &Registration) -> bool {
    person.registration(&registration.feed, &registration.external_id).is_some()
}

/// Are both in the same events and groups and equally far, as far as that can be told cheaply?
fn same_places(before: &Person, after: &Person) -> bool {
    let (ours, theirs) = (&before.attendances, &after.attendances);
    let events =
        ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(a, b)| a.event == b.event && a.active == b.active);
    let (ours, theirs) = (&before.registrations, &after.registrations);
    let grants_as = |(a, b): (&Registration, &Registration)| {
        a.is_cancelled() == b.is_cancelled() && a.groups == b.groups && a.feed.event == b.feed.event
    };
    let by_registrations = ours.len() == theirs.len() && ours.iter().zip(theirs).all(grants_as);
    events && by_registrations && (&before.by_hand, &before.journey) == (&after.by_hand, &after.journey)
}

fn hit((number, row): (u32, Row)) -> RegistrationHit {
    RegistrationHit { number, user: UserNo(row.user), raw: row.raw, mapped: row.mapped, absent: row.absent }
}
