//! The store of 100,000 people: opening it, finding one of them, and asking whether they may enter.
//!
//! `cargo bench --bench store`

use std::hint::black_box;
use std::path::Path;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use jiff::Timestamp;
use rollcall::model::{
    Access, Action, Admission, Attendance, CommunityKey, Digest, Email, EmailKey, EventName, ExternalId, FeedId, Field,
    GroupKey, Page, Person, PersonChange, ProfileField, Registration, RegistrationState, SourceName, UserId, Value,
};
use rollcall::plan;
use rollcall::store::{ChangeSet, Store, Who};

const PEOPLE: u32 = 100_000;
/// Groups of the event, of which everybody is in one; and in one of seven more.
const GROUPS: u32 = 100;
const PEOPLE_PER_BATCH: u32 = 2_000;

fn feed() -> FeedId {
    FeedId { event: EventName::parse("summit").expect("a name"), source: SourceName::parse("demo").expect("a name") }
}

fn email(number: u32) -> Email {
    Email::parse(&format!("person.{number}@example.org")).expect("an address")
}

fn external_id(number: u32) -> ExternalId {
    ExternalId::new(&format!("reg_{number:06}")).expect("an id")
}

fn group(number: u32) -> GroupKey {
    GroupKey::of(&format!("group {number:03}")).expect("a name")
}

/// A restricted event with a page for some of the groups.
fn door() -> (Access, Page) {
    (
        Access { admission: Admission::Restricted, ..Access::default() },
        Page { groups: Some((0..20).map(group).collect()) },
    )
}

fn id(key: &CommunityKey, number: u32) -> UserId {
    UserId::mint(key, &email(number).key(), 0)
}

/// About as large as a person of the bundled registration system.
fn person(key: &CommunityKey, number: u32) -> Person {
    let fields: Vec<(Field, Value)> = Field::STANDARD
        .into_iter()
        .map(|(field, name)| (field, Value::Text(format!("{name} of {number:030}").into())))
        .collect();
    let profile =
        fields.iter().map(|(field, value)| ProfileField { field: field.clone(), value: value.clone(), owner: None });
    Person {
        id: id(key, number),
        email: email(number),
        email_owner: None,
        profile: profile.collect(),
        registrations: vec![Registration {
            feed: feed(),
            external_id: external_id(number),
            email: email(number),
            state: RegistrationState::Attending,
            absent_since: None,
            updated_at: None,
            raw: Digest::of(1, &number.to_le_bytes()),
            mapped: Digest::of(2, &number.to_le_bytes()),
            fields,
            event_fields: Vec::new(),
            groups: [number % GROUPS, GROUPS + number % 7].map(group).to_vec(),
        }],
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

fn fill(path: &Path) -> Store {
    let store = Store::open(path).expect("a new store");
    let key = store.community_key().clone();
    for first in (0..PEOPLE).step_by(PEOPLE_PER_BATCH as usize) {
        let create = |number| {
            let person = person(&key, number);
            PersonChange { action: Action::Create, user: None, id: person.id, before: None, after: Some(person) }
        };
        let people = (first..first + PEOPLE_PER_BATCH).map(create).collect();
        store.commit(ChangeSet { people, ..ChangeSet::default() }).expect("a commit");
    }
    store.keep_index().expect("a snapshot");
    store
}

fn store(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a folder");
    let store = fill(folder.path());
    let key = store.community_key().clone();
    // Scattered, so that no two in a row are of one block.
    let mut number = 0;
    let mut next = || {
        number = (number + 7_919) % PEOPLE;
        number
    };
    criterion.bench_function("find an attendee by id", |b| {
        b.iter_batched(
            || id(&key, next()),
            |id| store.user_by_id(black_box(id)).map(|user| store.person(user)),
            BatchSize::SmallInput,
        );
    });
    criterion.bench_function("find an attendee by email", |b| {
        b.iter_batched(
            || email(next()).key(),
            |email| store.user_by_email(black_box(&email)).map(|user| store.person(user)),
            BatchSize::SmallInput,
        );
    });
    let feed = feed();
    criterion.bench_function("find an attendee by external id", |b| {
        b.iter_batched(
            || external_id(next()),
            |id| store.user_by_registration(&feed, black_box(&id)).map(|user| store.person(user)),
            BatchSize::SmallInput,
        );
    });
    let ((access, page), event) = (door(), &feed.event);
    criterion.bench_function("may somebody open a page, by email", |b| {
        b.iter_batched(
            || Who::Email(email(next()).key()),
            |who| plan::access(&access, Some(&page), &store.standing(event, black_box(&who))),
            BatchSize::SmallInput,
        );
    });
    let strangers = Who::Email(EmailKey::of("nobody@example.org"));
    criterion.bench_function("may a stranger open a page", |b| {
        b.iter(|| plan::access(&access, Some(&page), &store.standing(event, black_box(&strangers))));
    });
    drop(store);
    let mut group = criterion.benchmark_group("open and close a store of 100,000");
    group.sample_size(20);
    group.bench_function("with the snapshot", |b| b.iter(|| open(folder.path(), false)));
    std::fs::remove_file(folder.path().join("index")).expect("the snapshot");
    group.bench_function("by a scan", |b| b.iter(|| open(folder.path(), true)));
}

fn open(path: &Path, by_scan: bool) -> Store {
    let store = Store::open(path).expect("a store");
    assert_eq!((store.was_scanned(), store.user_count()), (by_scan, u64::from(PEOPLE)));
    store
}

criterion_group!(benches, store);
criterion_main!(benches);
