//! Whatever happened to a store, its index is the same from the snapshot as from a scan.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use jiff::Timestamp;
use proptest::prelude::*;
use roaring::RoaringBitmap;

use super::super::index::{Index, RegistrationHit};
use super::{change, person};
use crate::model::{
    AttendanceByHand, ByHand, Decision, Digest, EventName, ExternalId, FeedId, GroupKey, GroupName, Invitation,
    InvitationState, Override, Person, Registration, RegistrationState, SourceName, UserNo,
};
use crate::store::{ChangeSet, Store};

/// Everything that the index can be asked, in words that do not depend on its inner numbers.
#[derive(Debug, PartialEq, Eq)]
pub struct Answers {
    users: Vec<(UserNo, Option<UserNo>, Option<UserNo>)>,
    registrations: BTreeMap<(FeedId, String), (Hit, Hit, usize)>,
    feeds: BTreeMap<FeedId, (BTreeSet<UserNo>, u64)>,
    events: BTreeMap<EventName, (Vec<u32>, Vec<u32>, bool)>,
    groups: BTreeMap<GroupKey, Vec<u32>>,
    /// As far as each event is concerned.
    groups_in: BTreeMap<(EventName, GroupKey), Vec<u32>>,
    accounts: Vec<u32>,
    /// Added by hand, came, invited by state.
    journeys: BTreeMap<EventName, Vec<Vec<u32>>>,
}

type Hit = Option<(UserNo, Digest, Digest, bool)>;

fn hit(found: Option<RegistrationHit>) -> Hit {
    found.map(|hit| (hit.user, hit.raw, hit.mapped, hit.absent))
}

fn numbers(bitmap: Option<&RoaringBitmap>) -> Vec<u32> {
    bitmap.into_iter().flatten().collect()
}

fn feed(event: &str, source: &str) -> FeedId {
    FeedId { event: EventName::parse(event).unwrap(), source: SourceName::parse(source).unwrap() }
}

fn feeds() -> [FeedId; 4] {
    [feed("e", "s"), feed("e", "t"), feed("f", "s"), feed("f", "unused")]
}

impl Answers {
    pub fn of(store: &Store) -> Self {
        let users: Vec<UserNo> = store.users(None, usize::MAX);
        let people: Vec<(UserNo, Person)> =
            users.iter().map(|user| (*user, store.person(*user).unwrap().unwrap())).collect();
        let view = store.view();
        let (index, symbols) = (view.index(), view.symbols());
        let asked = |(user, person): &(UserNo, Person)| {
            let hash = index.email_hash(&person.email.key());
            assert_eq!(index.email_hash_of(*user), Some(hash));
            (*user, index.user_by_email_hash(hash), index.user_by_id(person.id))
        };
        let of_registration = |r: &Registration| {
            let by_key = index.registration(index.registration_hash(&r.feed, &r.external_id));
            let of_source = index.registrations_of_source(&r.feed.source, &r.external_id).len();
            let key = (r.feed.clone(), r.external_id.as_str().to_owned());
            (key, (hit(by_key), hit(index.registration_by_raw(r.raw)), of_source))
        };
        let of_event = |event: EventName| {
            let place = |active| numbers(index.attendees(symbols, &event, active));
            (event.clone(), (place(true), place(false), index.has_registrations(&event)))
        };
        let places = index.places();
        let of_journeys = |event: EventName| {
            let invited = InvitationState::ALL.map(|state| places.invited(symbols, &event, state));
            let decided = [places.added(symbols, &event), places.excluded(symbols, &event)];
            let all = decided.into_iter().chain([places.accessed(symbols, &event)]).chain(invited);
            let all = all.map(numbers).collect();
            (event, all)
        };
        let key = |n: u8| GroupKey::of(&format!("g{n}")).unwrap();
        let group = |n| (key(n), numbers(Some(&*places.members(symbols, &key(n)))));
        let group_in = |(event, n): (&str, u8)| {
            let event = EventName::parse(event).unwrap();
            let members = numbers(Some(&*places.members_in(symbols, &event, &key(n))));
            ((event, key(n)), members)
        };
        Self {
            users: people.iter().map(asked).collect(),
            registrations: people.iter().flat_map(|(_, person)| &person.registrations).map(of_registration).collect(),
            feeds: feeds().into_iter().map(|feed| (feed.clone(), of_feed(index, &feed))).collect(),
            events: ["e", "f", "none"].map(|event| of_event(EventName::parse(event).unwrap())).into(),
            groups: (0..4).map(group).collect(),
            groups_in: (0..4).flat_map(|n| ["e", "f", "none"].map(|event| (event, n))).map(group_in).collect(),
            accounts: numbers(Some(places.accounts())),
            journeys: ["e", "f", "none"].map(|event| of_journeys(EventName::parse(event).unwrap())).into(),
        }
    }
}

fn of_feed(index: &Index, feed: &FeedId) -> (BTreeSet<UserNo>, u64) {
    let present = index.present(feed).iter().map(|number| index.registration_user(number)).collect();
    (present, index.registration_count(feed))
}

/// One thing that happens to a store.
#[derive(Debug, Clone)]
enum Deed {
    Create(u8),
    /// Somebody is written anew, as the numbers say.
    Change(prop::sample::Index, [u8; 4]),
    Delete(prop::sample::Index),
    /// Two people swap their emails and first registrations, in two batches.
    Swap(prop::sample::Index, prop::sample::Index),
    KeepIndex,
    Reopen,
}

fn deed() -> impl Strategy<Value = Deed> {
    let who = any::<prop::sample::Index>;
    prop_oneof![
        4 => any::<u8>().prop_map(Deed::Create),
        4 => (who(), any::<[u8; 4]>()).prop_map(|(who, how)| Deed::Change(who, how)),
        2 => who().prop_map(Deed::Delete),
        2 => (who(), who()).prop_map(|(a, b)| Deed::Swap(a, b)),
        1 => Just(Deed::KeepIndex),
        1 => Just(Deed::Reopen),
    ]
}

/// A person with up to three registrations and groups.
fn somebody(store: &Store, name: &str, how: [u8; 4]) -> Person {
    let mut person = person(store, name, &format!("g{}", how[0] % 4));
    let one = person.registrations[0].clone();
    let more = feeds().into_iter().skip(1).take(usize::from(how[1] % 3));
    person.registrations.extend(more.map(|feed| Registration {
        raw: Digest::of(u64::from(how[2]), format!("{name} {feed}").as_bytes()),
        state: if how[2].is_multiple_of(4) { RegistrationState::Cancelled } else { RegistrationState::Attending },
        absent_since: how[3].is_multiple_of(3).then_some(1),
        groups: GroupKey::of(&format!("g{}", how[3] % 4)).into_iter().collect(),
        feed,
        ..one.clone()
    }));
    person.attendances[0].active = how[2] > 40;
    let event = |n: u8| EventName::parse(["e", "f"][usize::from(n % 2)]).unwrap();
    if how[0].is_multiple_of(3) {
        let decision = Decision { by: "test".into(), at: Timestamp::UNIX_EPOCH };
        let set = [Override::Added, Override::Excluded][usize::from(how[1] % 2)];
        let attendances = vec![AttendanceByHand { event: event(how[2]), set, decision }];
        person.by_hand = Some(Box::new(ByHand { attendances, ..ByHand::default() }));
    }
    if how[1].is_multiple_of(2) {
        person.travel(|journey| journey.account_at = how[2].is_multiple_of(2).then_some(Timestamp::UNIX_EPOCH));
        person.pass(&event(how[3]), |passage| {
            let state = InvitationState::ALL[usize::from(how[2]) % InvitationState::ALL.len()];
            passage.invitation = how[3].is_multiple_of(3).then(|| Invitation::new(state, Timestamp::UNIX_EPOCH));
            passage.first_access_at = how[0].is_multiple_of(2).then_some(Timestamp::UNIX_EPOCH);
        });
    }
    person
}

struct History<'a> {
    path: &'a Path,
    store: Store,
    created: u32,
}

impl History<'_> {
    fn open(path: &Path) -> Store {
        Store::open(path).unwrap()
    }

    fn whom(&self, who: prop::sample::Index) -> Option<(UserNo, Person)> {
        let users = self.store.users(None, usize::MAX);
        let user = *users.get(who.index(users.len().max(1)))?;
        Some((user, self.store.person(user).unwrap().unwrap()))
    }

    fn commit(&self, user: Option<UserNo>, before: Option<Person>, after: Option<Person>) {
        let groups = (0..4).map(|n| GroupName::new(&format!("g{n}")).unwrap()).collect();
        self.store.commit(ChangeSet { groups, ..change(user, before, after) }).unwrap();
    }

    fn swap(&self, a: prop::sample::Index, b: prop::sample::Index) {
        let (Some((a, ada)), Some((b, bob))) = (self.whom(a), self.whom(b)) else { return };
        if a == b {
            return;
        }
        let (mut new_ada, mut new_bob) = (ada.clone(), bob.clone());
        std::mem::swap(&mut new_ada.email, &mut new_bob.email);
        std::mem::swap(&mut new_ada.registrations[0], &mut new_bob.registrations[0]);
        self.commit(Some(a), Some(ada), Some(new_ada));
        self.commit(Some(b), Some(bob), Some(new_bob));
    }

    fn happen(mut self, deed: Deed) -> Self {
        match deed {
            Deed::Create(how) => {
                self.created += 1;
                let new = somebody(&self.store, &format!("p{}", self.created), [how, how / 4, how / 8, how / 16]);
                self.commit(None, None, Some(new));
            }
            Deed::Change(who, how) => {
                if let Some((user, before)) = self.whom(who) {
                    // The first registration may have been another's: its name and digest are its own, those of the rest the user's.
                    let UserNo(number) = user;
                    let changed = somebody(&self.store, &format!("u{number}"), how);
                    let mut after = Person { email: before.email.clone(), id: before.id, ..changed };
                    let first = &before.registrations[0].external_id;
                    let named = match how[0] {
                        0..=200 => first.clone(),
                        _ => ExternalId::new(&format!("moved-{first}-{}", how[1])).unwrap(),
                    };
                    after.registrations[0].raw = Digest::of(u64::from(how[2]), named.as_str().as_bytes());
                    after.registrations[0].external_id = named;
                    self.commit(Some(user), Some(before), Some(after));
                }
            }
            Deed::Delete(who) => {
                if let Some((user, before)) = self.whom(who) {
                    self.commit(Some(user), Some(before), None);
                }
            }
            Deed::Swap(a, b) => self.swap(a, b),
            Deed::KeepIndex => self.store.keep_index().unwrap(),
            Deed::Reopen => {
                let Self { path, store, created } = self;
                drop(store);
                self = Self { path, store: Self::open(path), created };
            }
        }
        self
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_index_from_its_snapshot_is_one_from_a_scan(deeds in proptest::collection::vec(deed(), 1..40)) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let history = History { path, store: History::open(path), created: 0 };
        let history = deeds.into_iter().fold(history, History::happen);
        history.store.keep_index().unwrap();
        let live = Answers::of(&history.store);
        drop(history);
        let store = Store::open(path).unwrap();
        prop_assert!(!store.was_scanned());
        prop_assert_eq!(&Answers::of(&store), &live);
        drop(store);
        std::fs::remove_file(path.join("index")).unwrap();
        let store = Store::open(path).unwrap();
        prop_assert!(store.was_scanned());
        prop_assert_eq!(&Answers::of(&store), &live);
    }
}
