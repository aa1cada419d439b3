//! New users that come encoded: they are in the store as if they had come as people.

use super::{change, feed, open, person};
use crate::codec::{Newcomer, Symbols, encode_person};
use crate::model::{Audience, Condition, EmailKey, ExternalId, Field, GroupKey, Person, Place, UserNo, Value};
use crate::store::{ChangeSet, Newcomers, Store, StoreError};

/// People under a numbering of names of their own.
fn encoded(people: &[Person]) -> ChangeSet {
    let mut symbols = Symbols::default();
    let newcomer = |person: &Person| Newcomer { id: person.id, person: encode_person(&mut symbols, person) };
    let people = people.iter().map(newcomer).collect();
    ChangeSet { newcomers: Newcomers { people, symbols }, ..ChangeSet::default() }
}

fn with_diet(mut person: Person, diet: &str) -> Person {
    let (field, value) = (Field::Custom("diet".into()), Value::Text(diet.into()));
    person.registrations[0].fields.push((field.clone(), value.clone()));
    person.profile.push(crate::model::ProfileField { field, value, owner: None });
    person
}

/// Whatever leads to a person leads to it.
fn leads_to(store: &Store, user: u32, name: &str, person: &Person, group: &str) {
    let user = UserNo(user);
    assert_eq!(store.person(user).unwrap().as_ref(), Some(person), "{name}");
    assert_eq!(store.user_by_id(person.id), Some(user), "{name}");
    assert_eq!(store.user_by_email(&EmailKey::of(&format!("{name}@x.org"))), Some(user), "{name}");
    assert_eq!(store.user_by_registration(&feed(), &ExternalId::new(name).unwrap()), Some(user), "{name}");
    let raw = person.registrations[0].raw;
    assert_eq!(store.view().index().registration_by_raw(raw).map(|hit| hit.user), Some(user), "{name}");
    let place = Condition::Place(Place { active: Some(true), ..Place::of(feed().event) });
    let member = Condition::Group { group: GroupKey::of(group).unwrap(), event: Some(feed().event) };
    let selected = store.select(&Audience { all: vec![place, member], ..Audience::default() });
    assert!(selected.exact && selected.users.contains(user.0), "{name}");
}

#[test]
fn newcomers_are_found_as_anybody_and_after_opening_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    // Names have other numbers in the store than where the newcomers come from.
    let first = with_diet(person(&store, "first", "press"), "none");
    store.commit(change(None, None, Some(first.clone()))).unwrap();
    let people: Vec<Person> =
        (0..40).map(|n| with_diet(person(&store, &format!("p{n}"), &format!("group {}", n % 3)), "vegan")).collect();
    store.commit(encoded(&people)).unwrap();
    let check = |store: &Store| {
        leads_to(store, 0, "first", &first, "press");
        for (n, person) in (0u32..).zip(&people) {
            leads_to(store, n + 1, &format!("p{n}"), person, &format!("group {}", n % 3));
        }
        assert_eq!(store.user_count(), 41);
    };
    check(&store);
    drop(store);
    check(&open(&folder));
}

#[test]
fn who_is_there_already_is_no_newcomer_and_nothing_of_the_set_happens() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let [ada, grace] = ["ada", "grace"].map(|name| person(&store, name, name));
    store.commit(encoded(std::slice::from_ref(&ada))).unwrap();
    let refused = store.commit(encoded(&[grace, ada])).unwrap_err();
    assert!(matches!(refused, StoreError::Conflict(_)), "{refused}");
    assert_eq!(store.user_count(), 1);
    drop(store);
    assert_eq!(open(&folder).user_count(), 1);
}

#[test]
fn what_is_nobody_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let [ada, grace] = ["ada", "grace"].map(|name| person(&store, name, name));
    let whole = encoded(std::slice::from_ref(&ada)).newcomers;
    let bytes = &whole.people[0].person;
    // Names that are told nowhere.
    let people = vec![Newcomer { id: ada.id, person: bytes.clone() }];
    let nameless = Newcomers { people, symbols: Symbols::default() };
    store.commit(ChangeSet { newcomers: nameless, ..ChangeSet::default() }).unwrap_err();
    for (id, person) in [
        (ada.id, bytes[..bytes.len() - 1].to_vec()),
        (ada.id, [&bytes[..], &[0]].concat()),
        (ada.id, Vec::new()),
        (grace.id, bytes.clone()),
    ] {
        let newcomers = Newcomers { people: vec![Newcomer { id, person }], symbols: whole.symbols.clone() };
        store.commit(ChangeSet { newcomers, ..ChangeSet::default() }).unwrap_err();
    }
    assert_eq!(store.user_count(), 0);
    store.commit(encoded(&[ada])).unwrap();
    drop(store);
    assert_eq!(open(&folder).user_count(), 1);
}
