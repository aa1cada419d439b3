//! What is kept of people who signed in: with their registration, and never without it.

use jiff::Timestamp;

use super::*;
use crate::model::{SignIn, SignInStanding};
use crate::store::{SignInChange, SignInWrite, bound_to};

fn source() -> SourceName {
    SourceName::parse("id").unwrap()
}

fn account(name: &str) -> ExternalId {
    ExternalId::new(name).unwrap()
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// Somebody who signed in, in a group by that.
fn signed_in(store: &Store, name: &str) -> Person {
    let mut person = person(store, name, "staff");
    person.registrations[0].feed = FeedId::of_logins(source());
    person.registrations[0].state = RegistrationState::NotAttending;
    person.attendances.clear();
    person
}

pub fn sign_in(name: &str, signed_in_at: i64, tokens: Option<Vec<u8>>) -> SignIn {
    let (standing, at) = (SignInStanding::SignedIn, at(signed_in_at));
    SignIn { source: source(), external_id: account(name), standing, signed_in_at: at, refreshed_at: at, tokens }
}

fn write(store: &Store, name: &str, change: SignInChange) {
    let sign_ins = vec![SignInWrite { source: source(), external_id: account(name), change }];
    store.commit(ChangeSet { sign_ins, ..ChangeSet::default() }).unwrap();
}

pub fn put(store: &Store, name: &str, signed_in_at: i64, tokens: Option<Vec<u8>>) {
    write(store, name, SignInChange::Put(Box::new(sign_in(name, signed_in_at, tokens))));
}

fn kept(store: &Store, name: &str) -> Option<SignIn> {
    store.sign_in(&source(), &account(name)).unwrap()
}

fn people(store: &Store) -> usize {
    SignInStanding::ALL.into_iter().map(|standing| store.sign_in_count(&source(), standing)).sum()
}

#[test]
fn it_goes_with_its_registration_and_is_nowhere_before() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    put(&store, "ada", 1, None);
    assert_eq!((kept(&store, "ada"), people(&store)), (None, 0), "nobody has that registration");
    let ada = signed_in(&store, "ada");
    let staff = GroupName::new("Staff").unwrap();
    store.commit(ChangeSet { groups: vec![staff.clone()], ..change(None, None, Some(ada.clone())) }).unwrap();
    put(&store, "ada", 1, Some(vec![7]));
    assert_eq!(kept(&store, "ada"), Some(sign_in("ada", 1, Some(vec![7]))));
    // What is of no event counts in each.
    assert_eq!(store.members_in(&feed().event, &staff.key), [UserNo(0)]);
    drop(store);
    let store = open(&folder);
    assert_eq!((kept(&store, "ada").is_some(), people(&store)), (true, 1), "it is there after opening again");
    assert_eq!(store.members_in(&feed().event, &staff.key), [UserNo(0)]);

    // It moves to somebody else: nothing is lost.
    let mut eve = signed_in(&store, "eve");
    eve.registrations.clear();
    store.commit(change(None, None, Some(eve.clone()))).unwrap();
    let (mut left, mut joined) = (ada.clone(), eve.clone());
    joined.registrations = std::mem::take(&mut left.registrations);
    let people_changed = [(0, ada, left.clone()), (1, eve, joined.clone())].map(|(user, before, after)| PersonChange {
        action: Action::Update,
        user: Some(UserNo(user)),
        id: before.id,
        before: Some(before),
        after: Some(after),
    });
    store.commit(ChangeSet { people: people_changed.into(), ..ChangeSet::default() }).unwrap();
    assert!(kept(&store, "ada").is_some());

    // It goes with whoever has it, and what comes too late finds nobody.
    store.commit(change(Some(UserNo(1)), Some(joined), None)).unwrap();
    assert_eq!((kept(&store, "ada"), people(&store)), (None, 0));
    put(&store, "ada", 2, None);
    assert_eq!(kept(&store, "ada"), None);
    drop(store);
    assert_eq!(people(&open(&folder)), 0);
}

#[test]
fn what_no_longer_fits_has_no_effect() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let ada = signed_in(&store, "ada");
    let groups = vec![GroupName::new("Staff").unwrap()];
    store.commit(ChangeSet { groups, ..change(None, None, Some(ada)) }).unwrap();
    put(&store, "ada", 1, Some(vec![1]));
    // They signed in again while their profile was asked for with the former tokens.
    put(&store, "ada", 2, Some(vec![2]));
    let signed_in_at = at(1);
    for late in [
        SignInChange::Tokens { signed_in_at, tokens: vec![9] },
        SignInChange::Came { signed_in_at, at: at(9) },
        SignInChange::SignInAgain { signed_in_at },
        SignInChange::Sealed { before: vec![1], tokens: vec![9] },
    ] {
        write(&store, "ada", late);
        assert_eq!(kept(&store, "ada"), Some(sign_in("ada", 2, Some(vec![2]))));
    }
    let signed_in_at = at(2);
    write(&store, "ada", SignInChange::Tokens { signed_in_at, tokens: vec![3] });
    write(&store, "ada", SignInChange::Came { signed_in_at, at: at(9) });
    let now = kept(&store, "ada").unwrap();
    assert_eq!((now.tokens, now.refreshed_at), (Some(vec![3]), at(9)));
    assert_eq!(store.sign_ins_due(&source(), at(8)), []);
    assert_eq!(store.sign_ins_due(&source(), at(9)).len(), 1);
    write(&store, "ada", SignInChange::SignInAgain { signed_in_at });
    assert_eq!(kept(&store, "ada").unwrap().tokens, None);
    assert_eq!(store.sign_ins_due(&source(), at(9)), [], "nobody is asked about them");
    write(&store, "ada", SignInChange::Forget);
    assert_eq!((kept(&store, "ada"), people(&store)), (None, 0));
}

#[test]
fn a_change_of_keys_seals_everybody_anew_and_leaves_what_does_not_open() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let groups = vec![GroupName::new("Staff").unwrap()];
    for name in ["ada", "eve", "odd"] {
        let person = signed_in(&store, name);
        store.commit(ChangeSet { groups: groups.clone(), ..change(None, None, Some(person)) }).unwrap();
        let plain = format!("tokens of {name}");
        put(&store, name, 1, Some(store.vault().seal(&bound_to(&source(), &account(name)), plain.as_bytes()).unwrap()));
    }
    let before = kept(&store, "ada").unwrap().tokens;
    let rotated = store.rotate_vault_key().unwrap();
    assert_eq!((rotated.key, rotated.sealed, rotated.unreadable), (2, 3, 0));
    assert!(kept(&store, "ada").unwrap().tokens != before && !store.vault().has_former_keys());
    let opened = |store: &Store, name: &str| {
        store.vault().open(&bound_to(&source(), &account(name)), &kept(store, name).unwrap().tokens.unwrap())
    };
    // What was sealed for somebody else does not open, and keeps the key that might.
    put(&store, "odd", 2, kept(&store, "eve").unwrap().tokens);
    let rotated = store.rotate_vault_key().unwrap();
    assert_eq!((rotated.key, rotated.sealed, rotated.unreadable), (3, 2, 1));
    assert!(store.vault().has_former_keys());
    drop(store);
    let store = open(&folder);
    assert_eq!(opened(&store, "ada"), Ok(b"tokens of ada".to_vec()));
    // Signed in again, it fits, and the former keys go.
    put(&store, "odd", 3, Some(store.vault().seal(&bound_to(&source(), &account("odd")), b"new").unwrap()));
    assert_eq!(store.seal_anew().unwrap().unreadable, 0);
    assert!(!store.vault().has_former_keys());
    assert_eq!((opened(&store, "odd"), opened(&store, "eve")), (Ok(b"new".to_vec()), Ok(b"tokens of eve".to_vec())));
}

#[test]
fn a_rebuild_keeps_who_is_signed_in() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let groups = vec![GroupName::new("Staff").unwrap()];
    for name in ["ada", "eve"] {
        let person = signed_in(&store, name);
        store.commit(ChangeSet { groups: groups.clone(), ..change(None, None, Some(person)) }).unwrap();
        put(&store, name, 1, Some(vec![1]));
    }
    drop(store);
    let salvage = Store::rebuild(folder.path()).unwrap();
    assert_eq!((salvage.users, salvage.lost), (2, Vec::new()));
    assert_eq!(kept(&open(&folder), "eve"), Some(sign_in("eve", 1, Some(vec![1]))));
}
