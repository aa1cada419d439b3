//! Bits that flip on the disk: nothing may be believed that was not written, and there is always a way out.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;
use tempfile::TempDir;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::super::engine::{Batch, Engine};
use super::super::files::Folder;
use super::super::keys;
use super::{change, open, person, refusal};
use crate::faults::Faults;
use crate::model::{
    Action, Event, Existing, FeedId, FeedState, GroupName, Inviting, Keepsake, Person, PersonChange, Registration,
    RunId, SignIn, SignInStanding, UserNo, Value,
};
use crate::store::{ChangeSet, EventWrite, SignInChange, SignInWrite, Store, StoreError, StoredToken, TokenWrite};

/// People under their email, in every state the store ever held them.
type Truth = BTreeMap<String, Vec<Person>>;

const INVITING: Inviting = Inviting { enabled: true, max_invites: 300, pending: Some(Existing::Invite), held: true };

/// A store of several commits: people of four blocks, half of them changed once, and one of everything else.
fn filled(path: &Path) -> Truth {
    let store = Store::open(path).unwrap();
    let event = Event {
        name: super::feed().event,
        title: "E".into(),
        starts_at: None,
        ends_at: None,
        zone: jiff::tz::TimeZone::UTC,
        schedule: None,
        feeds: Vec::new(),
        access: Default::default(),
        invitations: crate::model::Invitations::default(),
        links: None,
    };
    let token = StoredToken {
        sha256: [7; 32],
        name: "laptop".into(),
        scopes: vec!["read".into()],
        created_at: Timestamp::UNIX_EPOCH,
    };
    let set = ChangeSet {
        new_run: Some(super::run()),
        feed: Some((super::feed(), FeedState::default())),
        event: Some(EventWrite::Put(Box::new(event))),
        pause: Some((super::feed().event, Some(super::pause()))),
        inviting: Some((super::feed().event, Some(INVITING))),
        token: Some(TokenWrite::Put(token)),
        keepsakes: vec![(super::feed().source, Keepsake::Ledger, b"used".to_vec())],
        ..ChangeSet::default()
    };
    store.commit(set).unwrap();
    let mut truth = Truth::new();
    let mut keep = |person: &Person| truth.entry(person.email.as_str().to_owned()).or_default().push(person.clone());
    for n in 0..60 {
        let new = person(&store, &format!("p{n}"), &format!("group {}", n % 3));
        let groups = vec![GroupName::new(&format!("Group {}", n % 3)).unwrap()];
        store.commit(ChangeSet { groups, ..change(None, None, Some(new.clone())) }).unwrap();
        keep(&new);
    }
    for n in 0..30 {
        let before = store.person(UserNo(n)).unwrap().unwrap();
        let mut after = before.clone();
        after.registrations[0].groups.clear();
        store.commit(change(Some(UserNo(n)), Some(before), Some(after.clone()))).unwrap();
        keep(&after);
    }
    super::passes::issue(&store);
    let before = store.person(UserNo(40)).unwrap().unwrap();
    let mut after = before.clone();
    let account = after.registrations[0].clone();
    let account = Registration { feed: FeedId::of_logins(super::feed().source), ..account };
    let (source, external_id) = (account.feed.source.clone(), account.external_id.clone());
    // Before the one of the event.
    after.registrations.insert(0, account);
    store.commit(change(Some(UserNo(40)), Some(before), Some(after.clone()))).unwrap();
    keep(&after);
    let at = Timestamp::UNIX_EPOCH;
    let (standing, signed_in) = (SignInStanding::SignedIn, external_id.clone());
    let sign_in = SignIn {
        source: source.clone(),
        external_id: signed_in,
        standing,
        signed_in_at: at,
        refreshed_at: at,
        tokens: None,
    };
    let change = SignInChange::Put(Box::new(sign_in));
    let sign_ins = vec![SignInWrite { source, external_id, change }];
    store.commit(ChangeSet { sign_ins, ..ChangeSet::default() }).unwrap();
    truth
}

fn people(store: &Store) -> Vec<Person> {
    store.users(None, usize::MAX).into_iter().map(|user| store.person(user).unwrap().unwrap()).collect()
}

pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let to = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &to);
        } else {
            std::fs::copy(&path, to).unwrap();
        }
    }
}

/// Everybody is as the last commit left them.
fn is_whole(store: &Store, truth: &Truth) -> bool {
    let people = people(store);
    people.len() == truth.len() && people.iter().all(|person| truth[person.email.as_str()].last() == Some(person))
}

/// Numbers that are scattered but the same every time.
fn scattered(n: u64, below: usize) -> usize {
    usize::try_from(n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20).unwrap() % below
}

#[test]
fn a_flipped_bit_is_never_believed_and_rebuild_leads_out() {
    let original = tempfile::tempdir().unwrap();
    let truth = filled(original.path());
    let snapshot = |path: &Path| path.file_name().unwrap().to_string_lossy().starts_with("snap.");
    let mut refused = 0;
    for n in 0..60 {
        let folder = tempfile::tempdir().unwrap();
        copy(original.path(), folder.path());
        // After a kill there is no snapshot of the end; then sled reads its log, and stops where it breaks off.
        if n % 2 == 0 {
            for entry in std::fs::read_dir(folder.path().join("db")).unwrap() {
                let path = entry.unwrap().path();
                if snapshot(&path) {
                    std::fs::remove_file(path).unwrap();
                }
            }
        }
        flip(&folder.path().join("db/db"), n);
        match Store::open(folder.path()) {
            Ok(store) => assert!(is_whole(&store, &truth), "flip {n}: the store opened and is not what was written"),
            Err(error) => {
                refused += 1;
                assert!(error.is_damage(), "flip {n}: {error}");
                assert!(error.way_out().is_some_and(|way| way.contains("rollcall rebuild")), "flip {n}: {error}");
                rebuilt(folder.path(), &truth, n);
            }
        }
    }
    assert!(refused > 20, "only {refused} of 60 flips were noticed: does the test flip what is in use?");
}

/// A store of several segments of sled's log; in a small one sled reads everything at open.
fn large(path: &Path) -> Truth {
    let store = Store::open(path).unwrap();
    let mut truth = Truth::new();
    for first in (0..1_600).step_by(400) {
        let create = |n: u32| {
            let mut new = person(&store, &format!("p{n}"), "vip");
            new.profile[0].value = Value::Text(noise(n).into());
            PersonChange { action: Action::Create, user: None, id: new.id, before: None, after: Some(new) }
        };
        let people: Vec<PersonChange> = (first..first + 400).map(create).collect();
        let after = people.iter().filter_map(|change| change.after.clone());
        truth.extend(after.map(|person| (person.email.as_str().to_owned(), vec![person])));
        store.commit(ChangeSet { people, ..ChangeSet::default() }).unwrap();
    }
    store.keep_index().unwrap();
    truth
}

/// A text of a person's own that cannot be packed, so that it stands in a block as it is.
fn noise(n: u32) -> String {
    let ideograph = |i: u32| char::from_u32(0x4E00 + xxh3_64_with_seed(&i.to_le_bytes(), n.into()) as u32 % 20_000);
    (0..1_000).filter_map(ideograph).collect()
}

/// With a snapshot of the index no block is read at open; damage in one is told when it is read.
#[test]
fn a_flipped_bit_beside_a_believed_snapshot_is_told_when_it_is_read() {
    let original = tempfile::tempdir().unwrap();
    let truth = large(original.path());
    // sled reads anew whatever it wrote since it was opened last.
    drop(open(&original));
    std::fs::remove_file(original.path().join("ballast")).unwrap();
    let (mut believed, mut told) = (0, 0);
    for n in (0..1_600).step_by(200) {
        let folder = tempfile::tempdir().unwrap();
        copy(original.path(), folder.path());
        flip_text_of(&folder.path().join("db/db"), n);
        let store = match Store::open(folder.path()) {
            Ok(store) => store,
            Err(error) => {
                assert!(error.is_damage(), "flip {n}: {error}");
                continue;
            }
        };
        believed += u32::from(!store.was_scanned());
        told += u32::from(is_told(&store, &truth));
    }
    assert!(believed > 2 && told > 2, "{believed} snapshots were believed, {told} times damage was told");
}

/// One bit in what was last written of a person.
fn flip_text_of(path: &Path, n: u32) {
    let (mut bytes, text) = (std::fs::read(path).unwrap(), noise(n));
    let last = |part: &[u8]| bytes.windows(part.len()).rposition(|window| window == part);
    let at = text.as_bytes().windows(16).find_map(last).unwrap();
    bytes[at + 1] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

/// Is everybody as they were, or told to be damaged? Returns whether anybody is.
fn is_told(store: &Store, truth: &Truth) -> bool {
    let users = store.users(None, usize::MAX);
    assert_eq!(users.len(), truth.len());
    let mut told = false;
    for user in users {
        match store.person(user) {
            Ok(person) => {
                let person = person.expect("somebody is told as nobody");
                assert_eq!(truth[person.email.as_str()].last(), Some(&person));
            }
            Err(error) => {
                assert!(error.is_damage(), "{error}");
                told = true;
            }
        }
    }
    told
}

/// One bit in a byte that is not empty space.
fn flip(path: &Path, n: u64) {
    let mut bytes = std::fs::read(path).unwrap();
    let used: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] != 0).collect();
    bytes[used[scattered(n + 1, used.len())]] ^= 1 << (n % 8);
    std::fs::write(path, bytes).unwrap();
}

/// After a rebuild the store opens, holds nobody who never was, and can be written.
fn rebuilt(path: &Path, truth: &Truth, n: u64) {
    let salvage = Store::rebuild(path).unwrap();
    assert!(salvage.damaged.is_dir(), "flip {n}: the damaged store is kept");
    let store = Store::open(path).unwrap();
    let people = people(&store);
    assert_eq!(people.len() as u64, salvage.users, "flip {n}");
    for person in people {
        assert!(truth[person.email.as_str()].contains(&person), "flip {n}: somebody is what they never were");
    }
    let new = super::person(&store, "new", "vip");
    store.commit(change(None, None, Some(new))).unwrap();
}

#[test]
fn every_kind_of_value_is_guarded_and_the_others_are_kept() {
    let original = tempfile::tempdir().unwrap();
    let truth = filled(original.path());
    let tags = [
        keys::INTEGRITY,
        keys::META,
        keys::BLOCKS,
        keys::SYMBOLS,
        keys::RUNS,
        keys::FEEDS,
        keys::EVENTS,
        keys::PAUSES,
        keys::INVITING,
        keys::GROUPS,
        keys::TOKENS,
        keys::KEEPSAKES,
        keys::SIGN_INS,
    ];
    for tag in tags {
        let what = String::from_utf8_lossy(tag).into_owned();
        let folder = tempfile::tempdir().unwrap();
        copy(original.path(), folder.path());
        damage_value(&folder, tag);
        let error = refusal(folder.path());
        assert!(error.is_damage(), "{what}: {error}");
        assert!(matches!(error, StoreError::Codec { .. }), "{what}: the value is named: {error}");
        let salvage = Store::rebuild(folder.path()).unwrap();
        match tag {
            // The record is made anew whatever it said.
            keys::INTEGRITY => assert_eq!(salvage.lost, [""; 0]),
            // Whoever bears the lost name is lost with it.
            keys::SYMBOLS => assert!(salvage.lost.len() > 1 && salvage.users < 60, "{:?}", salvage.lost),
            keys::BLOCKS => assert!(salvage.lost.len() == 1 && (44..60).contains(&salvage.users), "{:?}", salvage.lost),
            _ => assert!(salvage.lost.len() == 1 && salvage.users == 60, "{what}: {:?}", salvage.lost),
        }
        let store = open(&folder);
        assert!(people(&store).iter().all(|person| truth[person.email.as_str()].last() == Some(person)), "{what}");
        let event = super::feed().event;
        assert_eq!(store.pause(&event), (tag != keys::PAUSES).then(super::pause), "{what}");
        let inviting = if tag == keys::INVITING { Inviting::default() } else { INVITING };
        assert_eq!(store.inviting(&event), inviting, "{what}");
    }
}

/// Flips a bit of the last value under a tag, past sled's own checksum.
fn damage_value(folder: &TempDir, tag: &[u8]) {
    let data = Folder::open(folder.path()).unwrap();
    let key = data.community_key().unwrap();
    let (engine, _) = Engine::open_unchecked(&data.engine(), &key, &Faults::none()).unwrap();
    let (key, value) = engine.scan(tag).next_back().unwrap().unwrap();
    let mut damaged = value.to_vec();
    *damaged.last_mut().unwrap() ^= 1;
    engine.put_raw(&key, damaged);
}

#[test]
fn a_value_that_is_gone_is_missed() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path());
    let data = Folder::open(folder.path()).unwrap();
    let key = data.community_key().unwrap();
    let (engine, _) = Engine::open_unchecked(&data.engine(), &key, &Faults::none()).unwrap();
    let mut batch = Batch::default();
    batch.remove(keys::block(1));
    engine.apply_raw(batch);
    drop((engine, data));
    assert!(matches!(refusal(folder.path()), StoreError::Incomplete));
}

#[test]
fn a_store_that_went_back_in_time_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let (ada, grace) = (person(&store, "ada", "vip"), person(&store, "grace", "vip"));
    store.commit(change(None, None, Some(ada))).unwrap();
    drop(store);
    let (db, older) = (folder.path().join("db"), folder.path().join("older"));
    copy(&db, &older);
    let store = open(&folder);
    store.commit(change(None, None, Some(grace))).unwrap();
    drop(store);
    std::fs::remove_dir_all(&db).unwrap();
    std::fs::rename(&older, &db).unwrap();
    let error = refusal(folder.path());
    assert!(matches!(error, StoreError::WentBack { found: 1, anchored: 2 }), "{error}");
    assert_eq!(Store::rebuild(folder.path()).unwrap().users, 1);
    assert_eq!(open(&folder).user_count(), 1);
    // Nothing at all is the furthest back.
    std::fs::remove_dir_all(&db).unwrap();
    assert!(matches!(refusal(folder.path()), StoreError::WentBack { found: 0, .. }));
}

#[test]
fn another_communitys_key_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(&folder));
    let store = open(&folder);
    let ada = person(&store, "ada", "vip");
    store.commit(change(None, None, Some(ada))).unwrap();
    drop(store);
    std::fs::write(folder.path().join("community.key"), "7".repeat(64)).unwrap();
    let error = refusal(folder.path());
    assert!(matches!(error, StoreError::WrongKey) && !error.is_damage(), "{error}");
}

#[test]
fn run_numbers_go_on_beyond_every_journal() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path());
    std::fs::write(folder.path().join("runs/41.journal"), "").unwrap();
    Store::rebuild(folder.path()).unwrap();
    let ack = open(&folder).commit(ChangeSet { new_run: Some(super::run()), ..ChangeSet::default() }).unwrap();
    assert_eq!(ack.new_run, Some(RunId(42)));
}

#[test]
fn a_rebuild_killed_at_any_time_leaves_a_store() {
    let folder = tempfile::tempdir().unwrap();
    let truth = filled(folder.path());
    let at = |name: &str| folder.path().join(name);
    // Killed while it copied: what it made is thrown away by the next one.
    copy(&at("db"), &at("db.part"));
    assert!(is_whole(&open(&folder), &truth));
    // Killed when the new engine was whole and the old one out of the way.
    std::fs::rename(at("db"), at("db.damaged-1")).unwrap();
    std::fs::rename(at("db.part"), at("db.new")).unwrap();
    assert!(is_whole(&open(&folder), &truth));
    assert!(!at("db.new").exists());
    let salvage = Store::rebuild(folder.path()).unwrap();
    assert_eq!((salvage.users, salvage.lost.len()), (60, 0));
    assert!(salvage.damaged.ends_with("db.damaged-2"));
    assert!(is_whole(&open(&folder), &truth));
}
