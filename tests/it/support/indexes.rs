//! The model of the indexes: what one gets by looking at everybody.

use std::collections::{BTreeMap, BTreeSet};

use rollcall::model::{Audience, Condition, EventName, GroupKey, InvitationState, Override, Person, Place, UserNo};
use rollcall::store::Store;

/// Everybody, by number.
pub type People = BTreeMap<UserNo, Person>;

pub fn everybody(store: &Store) -> People {
    let person = |user| (user, store.person(user).unwrap().expect("an indexed user is stored"));
    store.users(None, usize::MAX).into_iter().map(person).collect()
}

/// Who has a place in the event, attending or no longer, as the indexes have it.
pub fn attendees(store: &Store, event: &EventName, active: bool) -> Vec<UserNo> {
    let place = Condition::Place(Place { active: Some(active), ..Place::of(event.clone()) });
    let selected = store.select(&Audience { all: vec![place], ..Audience::default() });
    assert!(selected.exact);
    selected.users.into_iter().map(UserNo).collect()
}

/// Every answer of the indexes is what one gets by looking at everybody.
pub fn check_indexes(store: &Store, events: &[&str]) {
    let people = everybody(store);
    let emails: BTreeSet<_> = people.values().map(|person| person.email.key().as_str().to_owned()).collect();
    assert_eq!(emails.len(), people.len(), "two users bear one email");
    let registrations = people.values().flat_map(|person| &person.registrations);
    let keys: Vec<_> = registrations.map(|r| (r.feed.clone(), r.external_id.clone())).collect();
    assert_eq!(keys.iter().collect::<BTreeSet<_>>().len(), keys.len(), "two users hold one registration");
    check_answers(store, &people, events);
}

/// The same amid a commit, where two users may bear one email or hold one registration: those who swap them, of whom
/// only one has been written.
pub fn check_indexes_amid_a_commit(store: &Store, events: &[&str]) {
    check_answers(store, &everybody(store), events);
}

fn check_answers(store: &Store, people: &People, events: &[&str]) {
    assert_eq!(store.user_count(), people.len() as u64);
    for (user, person) in people {
        assert_eq!(store.user_by_id(person.id), Some(*user));
        let found = store.user_by_email(&person.email.key()).expect("a user is found by email");
        assert!(found == *user || people[&found].email.key() == person.email.key());
        for registration in &person.registrations {
            let (feed, external_id) = (&registration.feed, &registration.external_id);
            let found = store.user_by_registration(feed, external_id).expect("a user is found by registration");
            assert!(found == *user || people[&found].registration(feed, external_id).is_some());
        }
    }
    check_bitmaps(store, people, events);
}

fn check_bitmaps(store: &Store, people: &People, events: &[&str]) {
    let those = |wanted: &dyn Fn(&Person) -> bool| -> Vec<UserNo> {
        people.iter().filter(|(_, person)| wanted(person)).map(|(user, _)| *user).collect()
    };
    for event in events.iter().map(|event| EventName::parse(event).unwrap()) {
        let place =
            |active: bool| those(&|person| person.attendances.iter().any(|a| a.event == event && a.active == active));
        for active in [true, false] {
            assert_eq!(attendees(store, &event, active), place(active));
        }
        assert_eq!(store.attendee_counts(&event), (place(true).len() as u64, place(false).len() as u64));
        let view = store.view();
        let (places, symbols) = (view.index().places(), view.symbols());
        let found = |bitmap: Option<&roaring::RoaringBitmap>| -> Vec<UserNo> {
            bitmap.into_iter().flatten().map(UserNo).collect()
        };
        for state in InvitationState::ALL {
            let invited = those(&|person| person.invitation(&event).is_some_and(|known| known.state == state));
            assert_eq!(found(places.invited(symbols, &event, state)), invited);
        }
        let came = |person: &Person| person.passage(&event).is_some_and(|passage| passage.first_access_at.is_some());
        assert_eq!(found(places.accessed(symbols, &event)), those(&came));
        for (set, bitmap) in
            [(Override::Added, places.added(symbols, &event)), (Override::Excluded, places.excluded(symbols, &event))]
        {
            assert_eq!(found(bitmap), those(&|person| person.attendance_by_hand(&event) == Some(set)));
        }
        let account = |person: &Person| person.journey.as_ref().is_some_and(|journey| journey.account_at.is_some());
        assert_eq!(found(Some(places.accounts())), those(&account));
    }
    let groups = store.groups(None, usize::MAX);
    for group in &groups {
        let members = those(&|person| person.groups().contains(&group.group.key));
        assert_eq!(store.members(&group.group.key, None, usize::MAX), members);
        assert_eq!(group.members, members.len() as u64);
        for event in events.iter().map(|event| EventName::parse(event).unwrap()) {
            let members = those(&|person| person.groups_in(&event).contains(&group.group.key));
            assert_eq!(store.members_in(&event, &group.group.key), members, "{} in {event}", group.group.key);
        }
    }
    let known: BTreeSet<&GroupKey> = groups.iter().map(|group| &group.group.key).collect();
    let used: Vec<GroupKey> = people.values().flat_map(Person::groups).collect();
    assert!(used.iter().all(|group| known.contains(group)), "a membership in a group that is not there");
}
