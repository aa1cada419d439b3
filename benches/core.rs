//! The core on one thread: mapping a record, planning a person, encoding and decoding one.
//!
//! `cargo bench --bench core`

use std::hint::black_box;

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use jiff::Timestamp;
use rollcall::codec::{Symbols, decode_person, encode_person};
use rollcall::config::{Config, Environment};
use rollcall::decode::{Document, RawRecord};
use rollcall::demo::{TOKEN, TOKEN_VARIABLE, config_toml};
use rollcall::mapping::Mapping;
use rollcall::model::{
    CommunityKey, Digest, Email, EventField, EventName, FeedId, Field, MappedRecord, Outcome, Person, RunId,
    SourceName, UserId,
};
use rollcall::plan::{Arriving, Inputs, Policy, Rank, plan_person};

const RECORD: &str = r#"{"data": [{"id": "reg_000001", "email": "Ada.Lovelace@Example.org", "first_name": "Ada",
    "last_name": "Lovelace", "job_title": "Analyst", "company": "Analytical Engines", "country": "United Kingdom",
    "title": "Countess", "bio": "Wrote the first program, a century before there was a machine to run it on.",
    "phone": "+44 20 7946 0000", "status": "confirmed", "ticket": {"id": "tic_000001", "type": "speaker"},
    "answers": {"diet": "vegetarian", "hotel": "yes"}, "groups": ["Speakers", "VIP"],
    "badge_url": "https://badges.example/reg_000001.pdf", "updated_at": "2026-02-01T10:00:00Z"}]}"#;

fn mapping() -> Mapping {
    let text = config_toml("127.0.0.1:1".parse().expect("an address"), 100);
    let environment = Environment::from_iter([(TOKEN_VARIABLE, TOKEN)]);
    let (config, _) = Config::parse(&text, "bench.toml".as_ref(), &environment).expect("the demo's config");
    let source = config.sources.values().next().expect("one source");
    Mapping::new(source.mapping.clone())
}

fn record(mapping: &Mapping) -> RawRecord {
    let document = Document::parse(Bytes::from_static(RECORD.as_bytes())).expect("JSON");
    mapping.select(&document).expect("a list").remove(0)
}

fn mapped(mapping: &Mapping) -> MappedRecord {
    match mapping.map(&record(mapping)) {
        Outcome::Mapped(record) => record,
        other => panic!("{other:?}"),
    }
}

/// What the mapped record makes of nobody, or of the person it made.
fn plan(feed: &FeedId, record: &MappedRecord, before: Option<&Person>) -> Option<Person> {
    let fields: Vec<Field> = record.fields.iter().map(|(field, _)| field.clone()).collect();
    let event_fields: Vec<EventField> = record.event_fields.iter().map(|(field, _)| *field).collect();
    let email: Email = record.email.clone().expect("a whole record");
    let policy = Policy {
        feed,
        run: RunId(1),
        now: Timestamp::UNIX_EPOCH,
        complete_read: None,
        delete_user: false,
        mapped_fields: &fields,
        mapped_event_fields: &event_fields,
        rank: &|_| Rank::default(),
    };
    let arriving = [Arriving { record: record.clone(), raw: Digest(1), mapped: Digest(2), moved: None }];
    let inputs = Inputs {
        user: None,
        before,
        id: UserId::mint(&CommunityKey::new([7; 32]), &email.key(), 0),
        email: &email,
        arriving: &arriving,
        leaving: &[],
        absent: &[],
        deleted: &[],
    };
    plan_person(&inputs, &policy).and_then(|change| change.after)
}

fn core(criterion: &mut Criterion) {
    let mapping = mapping();
    let raw = record(&mapping);
    let mapped = mapped(&mapping);
    let feed = FeedId {
        event: EventName::parse("summit").expect("a name"),
        source: SourceName::parse("demo").expect("a name"),
    };
    let person = plan(&feed, &mapped, None).expect("a new person");
    let mut symbols = Symbols::default();
    let encoded = encode_person(&mut symbols, &person);

    criterion.bench_function("map a record", |b| b.iter(|| mapping.map(black_box(&raw))));
    criterion.bench_function("digest a mapped record", |b| b.iter(|| mapping.mapped_digest(black_box(&mapped))));
    criterion.bench_function("plan a new person", |b| b.iter(|| plan(&feed, black_box(&mapped), None)));
    criterion.bench_function("plan a known person", |b| b.iter(|| plan(&feed, black_box(&mapped), Some(&person))));
    criterion.bench_function("encode a person", |b| b.iter(|| encode_person(&mut symbols, black_box(&person))));
    criterion.bench_function("decode a person", |b| b.iter(|| decode_person(&symbols, black_box(&encoded))));
}

criterion_group!(benches, core);
criterion_main!(benches);
