mod audit;
mod compact;
mod damage;
mod engine;
mod failing;
mod histories;
mod newcomers;
mod passes;
mod sign_ins;
mod snapshot;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::Timestamp;
use tempfile::TempDir;

use super::{ChangeSet, STORE_SCHEMA, Store, StoreError};
use crate::model::{
    Action, Attendance, Digest, Email, EventName, ExternalId, FeedId, Field, GroupKey, GroupName, Keepsake, Pause,
    PauseReason, Person, PersonChange, ProfileField, Registration, RegistrationState, Run, SourceName, Trigger, UserId,
    UserNo, Value,
};

fn feed() -> FeedId {
    FeedId { event: EventName::parse("e").unwrap(), source: SourceName::parse("s").unwrap() }
}

fn person(store: &Store, name: &str, group: &str) -> Person {
    let email = Email::parse(&format!("{name}@x.org")).unwrap();
    let registration = Registration {
        feed: feed(),
        external_id: ExternalId::new(name).unwrap(),
        email: email.clone(),
        state: RegistrationState::Attending,
        absent_since: None,
        updated_at: None,
        raw: Digest::of(1, name.as_bytes()),
        mapped: Digest::of(2, name.as_bytes()),
        fields: vec![(Field::FirstName, Value::Text(name.into()))],
        event_fields: Vec::new(),
        groups: GroupKey::of(group).into_iter().collect(),
    };
    let first_name = ProfileField { field: Field::FirstName, value: Value::Text(name.into()), owner: None };
    Person {
        id: UserId::mint(store.community_key(), &email.key(), 0),
        email,
        email_owner: None,
        profile: vec![first_name],
        registrations: vec![registration],
        attendances: vec![Attendance {
            event: feed().event,
            active: true,
            changed_at: Timestamp::UNIX_EPOCH,
            fields: Vec::new(),
        }],
        created_at: Timestamp::UNIX_EPOCH,
        by_hand: None,
        journey: None,
    }
}

fn change(user: Option<UserNo>, before: Option<Person>, after: Option<Person>) -> ChangeSet {
    let id = before.as_ref().or(after.as_ref()).unwrap().id;
    let change = PersonChange { action: Action::Update, user, id, before, after };
    ChangeSet { people: vec![change], ..ChangeSet::default() }
}

/// A run that begins.
fn run() -> Run {
    Run::new(feed(), Trigger::Api, Timestamp::UNIX_EPOCH)
}

fn pause() -> Pause {
    Pause { by: "the command line".into(), at: Timestamp::UNIX_EPOCH, why: PauseReason::ByHand }
}

fn open(folder: &TempDir) -> Store {
    Store::open(folder.path()).unwrap()
}

fn refusal(path: &Path) -> StoreError {
    match Store::open(path) {
        Ok(_) => panic!("the store opened"),
        Err(error) => error,
    }
}

#[test]
fn what_was_committed_is_there_after_opening_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let ada = person(&store, "ada", "vip");
    let group = GroupName::new("VIP").unwrap();
    store.commit(ChangeSet { groups: vec![group.clone()], ..change(None, None, Some(ada.clone())) }).unwrap();
    drop(store);
    let store = open(&folder);
    assert_eq!(store.person(UserNo(0)).unwrap(), Some(ada.clone()));
    assert_eq!(store.user_by_email(&ada.email.key()), Some(UserNo(0)));
    assert_eq!(store.members(&group.key, None, 9), [UserNo(0)]);
}

#[test]
fn a_second_opener_is_told_who_holds_the_lock() {
    let folder = tempfile::tempdir().unwrap();
    let _store = open(&folder);
    let error = refusal(folder.path());
    let text = error.to_string();
    assert!(matches!(error, StoreError::Locked { .. }), "{text}");
    assert!(text.contains(&std::process::id().to_string()) && text.contains("another rollcall"), "{text}");
}

#[test]
fn another_layout_and_a_broken_one_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(&folder));
    let path = folder.path().join("schema");
    std::fs::write(&path, format!("{}\n", STORE_SCHEMA + 1)).unwrap();
    let error = refusal(folder.path());
    assert!(
        matches!(error, StoreError::Schema { found, known, .. } if found == STORE_SCHEMA + 1 && known == STORE_SCHEMA)
    );
    assert!(error.to_string().contains("newer"), "{error}");
    std::fs::write(&path, "one\n").unwrap();
    assert!(matches!(refusal(folder.path()), StoreError::Unreadable { .. }));
    std::fs::write(&path, format!("{STORE_SCHEMA}\n")).unwrap();
    std::fs::write(folder.path().join("community.key"), "too short").unwrap();
    let error = refusal(folder.path());
    assert!(matches!(error, StoreError::Unreadable { .. }) && !error.to_string().contains("too short"), "{error}");
}

#[test]
fn a_change_planned_upon_something_else_is_refused_whole() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let (ada, grace) = (person(&store, "ada", "vip"), person(&store, "grace", "vip"));
    store.commit(change(None, None, Some(ada.clone()))).unwrap();
    let renamed = Person { email: Email::parse("countess@x.org").unwrap(), ..ada.clone() };
    let user = Some(UserNo(0));
    for (what, mut stale) in [
        ("another before-image", change(user, Some(renamed.clone()), Some(ada.clone()))),
        ("the id is there already", change(None, None, Some(ada.clone()))),
        ("nobody of this number", change(Some(UserNo(7)), Some(ada.clone()), Some(renamed.clone()))),
        ("a deletion of somebody else", {
            let mut set = change(user, Some(grace.clone()), None);
            set.people[0].before = None;
            set
        }),
    ] {
        stale.people.insert(0, change(None, None, Some(grace.clone())).people.remove(0));
        assert!(matches!(store.commit(stale), Err(StoreError::Conflict(_))), "{what}");
        assert_eq!((store.user_count(), store.person(UserNo(0)).unwrap()), (1, Some(ada.clone())), "{what}");
    }
    store.commit(change(user, Some(ada), Some(renamed.clone()))).unwrap();
    drop(store);
    let store = open(&folder);
    assert_eq!((store.user_count(), store.person(UserNo(0)).unwrap()), (1, Some(renamed)));
}

#[test]
fn numbers_are_never_given_twice() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let (ada, grace) = (person(&store, "ada", "vip"), person(&store, "grace", "vip"));
    store.commit(change(None, None, Some(ada.clone()))).unwrap();
    store.commit(change(Some(UserNo(0)), Some(ada.clone()), None)).unwrap();
    assert_eq!((store.user_count(), store.user_by_id(ada.id)), (0, None));
    drop(store);
    let store = open(&folder);
    store.commit(change(None, None, Some(grace))).unwrap();
    assert_eq!(store.users(None, 9), [UserNo(1)]);
}

#[test]
fn a_half_written_snapshot_does_not_keep_the_store_shut() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let ada = person(&store, "ada", "vip");
    store.commit(change(None, None, Some(ada.clone()))).unwrap();
    drop(store);
    std::fs::write(folder.path().join("db/snap.0000000000000010.generating"), b"half").unwrap();
    assert_eq!(open(&folder).person(UserNo(0)).unwrap(), Some(ada));
}

#[test]
fn readers_know_the_names_in_a_block_as_soon_as_it_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let mut ada = person(&store, "ada", "group 0");
    store.commit(change(None, None, Some(ada.clone()))).unwrap();
    let done = AtomicBool::new(false);
    let (read, written) = std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut read = Ok(None);
            while read.is_ok() && !done.load(Ordering::Relaxed) {
                read = store.person(UserNo(0));
            }
            read
        });
        let mut written = Ok(());
        for round in 1..50 {
            let next = person(&store, "ada", &format!("group {round}"));
            let before = std::mem::replace(&mut ada, next.clone());
            written = written.and(store.commit(change(Some(UserNo(0)), Some(before), Some(next))).map(drop));
        }
        // Set before anything can panic, or the reader would read for ever.
        done.store(true, Ordering::Relaxed);
        (reader.join(), written)
    });
    written.unwrap();
    assert!(read.unwrap().unwrap().is_some());
}

#[test]
fn what_could_not_be_read_again_is_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let mut ada = person(&store, "ada", "vip");
    store.commit(change(None, None, Some(ada.clone()))).unwrap();
    let before = ada.clone();
    let one = ada.registrations[0].clone();
    let numbered = |n: u32| Registration { external_id: ExternalId::new(&format!("{n:07}")).unwrap(), ..one.clone() };
    ada.registrations = (0..400_000).map(numbered).collect();
    let result = store.commit(change(Some(UserNo(0)), Some(before.clone()), Some(ada)));
    assert!(matches!(result, Err(StoreError::TooLarge(id)) if id == before.id));
    drop(store);
    assert_eq!(open(&folder).person(UserNo(0)).unwrap(), Some(before));
}

#[test]
fn a_pause_is_there_after_opening_and_rebuilding_until_it_is_lifted() {
    let folder = tempfile::tempdir().unwrap();
    let event = feed().event;
    let store = open(&folder);
    let put = |store: &Store, pause| {
        store.commit(ChangeSet { pause: Some((event.clone(), pause)), ..ChangeSet::default() }).unwrap();
    };
    put(&store, Some(pause()));
    assert_eq!(store.pause(&event), Some(pause()));
    drop(store);
    assert_eq!(open(&folder).pause(&event), Some(pause()));
    Store::rebuild(folder.path()).unwrap();
    let store = open(&folder);
    assert_eq!(store.pause(&event), Some(pause()));
    put(&store, None);
    assert_eq!(store.pause(&event), None);
    drop(store);
    assert_eq!(open(&folder).pause(&event), None);
}

#[test]
fn what_a_source_keeps_is_there_after_opening_and_rebuilding() {
    let folder = tempfile::tempdir().unwrap();
    let crm = feed().source;
    let kept = |store: &Store| Keepsake::ALL.map(|what| store.keepsake(&crm, what));
    let put = |store: &Store, what, value: &[u8]| {
        let keepsakes = vec![(crm.clone(), what, value.to_vec())];
        store.commit(ChangeSet { keepsakes, ..ChangeSet::default() }).unwrap();
    };
    let store = Store::open(folder.path()).unwrap();
    assert_eq!(kept(&store), [None, None]);
    put(&store, Keepsake::Ledger, b"first");
    put(&store, Keepsake::Ledger, b"second");
    let expected = [None, Some(b"second".to_vec())];
    assert_eq!(kept(&store), expected);
    drop(store);
    assert_eq!(kept(&Store::open(folder.path()).unwrap()), expected);
    Store::rebuild(folder.path()).unwrap();
    assert_eq!(kept(&Store::open(folder.path()).unwrap()), expected);
}
