//! The core on one thread: checking a page, mapping its records, planning a person, encoding and decoding one.
//!
//! `cargo bench --bench core`

use std::hint::black_box;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use jiff::Timestamp;
use rollcall::codec::{Symbols, decode_person, encode_person};
use rollcall::config::{Config, Environment};
use rollcall::decode::{Document, RawRecord};
use rollcall::demo::{EVENT, Fake, FakeOptions, TOKEN, TOKEN_VARIABLE, config_toml};
use rollcall::mapping::Mapping;
use rollcall::model::{
    CommunityKey, Digest, Email, EventField, EventName, FeedId, Field, FieldRule, MappedRecord, Outcome, Person, RunId,
    SourceName, UserId,
};
use rollcall::plan::{Arriving, Inputs, Policy, Rank, plan_person};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

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

/// A page of the demo, as it is sent.
fn page() -> Bytes {
    let fake = Arc::new(Fake::new(FakeOptions { count: 500, per_page: 500, ..FakeOptions::default() }));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::select! {
            () = fake.serve(listener, std::future::pending()) => unreachable!("it is never told to stop"),
            page = fetch(address) => page.expect("an answer"),
        }
    })
}

async fn fetch(address: SocketAddr) -> std::io::Result<Bytes> {
    let mut connection = TcpStream::connect(address).await?;
    let head = format!("GET /api/events/{EVENT}/attendees?page=1 HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n");
    connection.write_all(format!("{head}authorization: Bearer {TOKEN}\r\n\r\n").as_bytes()).await?;
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer).await?;
    let end_of_head = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
    Ok(Bytes::from(answer).slice(end_of_head + 4..))
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
        missing_runs: None,
        complete_read: None,
        delete_user: false,
        kept_fields: &fields,
        kept_event_fields: &event_fields,
        rank: &|_| Rank::default(),
        rule: &|_, _| FieldRule::default(),
        invites: &|_| false,
    };
    let arriving = vec![Arriving { record: record.clone(), raw: Digest(1), mapped: Digest(2), moved: None }];
    let inputs = Inputs {
        user: None,
        before,
        id: UserId::mint(&CommunityKey::new([7; 32]), &email.key(), 0),
        email: &email,
        leaving: &[],
        absent: &[],
        deleted: &[],
    };
    plan_person(&inputs, arriving, &policy).and_then(|change| change.after)
}

fn pages(criterion: &mut Criterion) {
    let mapping = mapping();
    let page = page();
    let document = Document::parse(page.clone()).expect("JSON");
    let records = mapping.select(&document).expect("a list");
    assert_eq!(records.len(), 500);

    let mut group = criterion.benchmark_group("pages");
    group.throughput(Throughput::Bytes(page.len() as u64));
    group.bench_function("check a page and find its records", |b| {
        b.iter(|| mapping.select(&Document::parse(black_box(page.clone())).expect("JSON")));
    });
    group.throughput(Throughput::Elements(records.len() as u64));
    group.bench_function("map the records of a page", |b| {
        b.iter(|| records.iter().filter(|raw| matches!(mapping.map(black_box(raw)), Outcome::Mapped(_))).count());
    });
    group.finish();
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

criterion_group!(benches, pages, core);
criterion_main!(benches);
