//! Stored values whose payload is damaged and whose seal is whole: the checksum keeps none of it from the decoders.

use std::fmt::Debug;
use std::sync::LazyLock;

use proptest::prelude::*;
use proptest::sample::Index;
use rollcall::codec::{
    Block, CodecError, EntryDecoder, EntryEncoder, Item, ItemDecoder, ItemEncoder, JournalHeader, JournalTrailer, Kind,
    Meta, SpooledRecord, StoredToken, Symbols, Unpacked, decode_event, decode_feed_state, decode_group,
    decode_inviting, decode_meta, decode_pause, decode_person, decode_run, decode_token, encode_event,
    encode_feed_state, encode_group, encode_inviting, encode_meta, encode_pause, encode_person, encode_run,
    encode_token, open, seal,
};
use rollcall::journal::{JournalReader, journal_path};
use rollcall::model::{
    Cron, Digest, Email, Entry, Event, EventField, EventName, Existing, ExternalId, FeedId, FeedSettings, FeedState,
    Field, Group, GroupName, Inviting, Links, MappedRecord, MappingKey, Pause, PauseReason, Person, Position,
    RecordNote, RecordState, RejectReason, Run, RunId, Schedule, ScheduleKind, SourceName, TimeOfDay, Value, Verdict,
};

use super::mutation::{mutated, mutations};
use crate::api::fixture::Fixture;

/// What a synced store holds.
struct Held {
    people: Vec<Person>,
    runs: Vec<Run>,
    entries: Vec<Entry>,
}

static HELD: LazyLock<Held> = LazyLock::new(|| {
    let reading = std::thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let fixture = Fixture::synced(40).await;
            fixture.post("/v1/events/dark/sync?wait=30s", None).await;
            let store = &fixture.app.store;
            let people = store.users(None, 12).into_iter().map(|user| store.person(user).unwrap().unwrap());
            let journal = JournalReader::open(&journal_path(&store.runs_folder(), RunId(1))).unwrap();
            Held {
                people: people.collect(),
                runs: store.runs(None, 10, |_| true).unwrap(),
                entries: journal.map(|entry| entry.unwrap()).collect(),
            }
        })
    });
    reading.join().unwrap()
});

fn feed() -> FeedId {
    FeedId { event: EventName::parse("summit").unwrap(), source: SourceName::parse("demo").unwrap() }
}

fn time() -> jiff::Timestamp {
    "2026-03-01T08:00:00.5Z".parse().unwrap()
}

fn payload(kind: Kind, sealed: &[u8]) -> Vec<u8> {
    open(kind, sealed).unwrap().to_vec()
}

/// What decodes is a value: it is the same again after being written and read.
fn holds<T: PartialEq + Debug>(
    decoded: Result<T, CodecError>,
    encode: impl Fn(&T) -> Vec<u8>,
    decode: impl Fn(&[u8]) -> Result<T, CodecError>,
) -> Result<bool, TestCaseError> {
    match decoded {
        Ok(value) => {
            prop_assert_eq!(decode(&encode(&value)), Ok(value));
            Ok(true)
        }
        Err(error) => {
            prop_assert!(error.to_string().len() < 300, "{error}");
            Ok(false)
        }
    }
}

type Check = Box<dyn Fn(&[u8]) -> Result<bool, TestCaseError> + Send + Sync>;

/// A kind with sound payloads and what its decoder makes of any: whether it is a value.
struct Decoder {
    kind: Kind,
    sound: Vec<Vec<u8>>,
    check: Check,
}

fn decoder<T: PartialEq + Debug + 'static>(
    kind: Kind,
    sound: &[T],
    encode: impl Fn(&T) -> Vec<u8> + Send + Sync + Clone + 'static,
    decode: impl Fn(&[u8]) -> Result<T, CodecError> + Send + Sync + Clone + 'static,
) -> Decoder {
    let payloads = sound.iter().map(|value| payload(kind, &encode(value))).collect();
    let check = move |sealed: &[u8]| holds(decode(sealed), encode.clone(), decode.clone());
    Decoder { kind, sound: payloads, check: Box::new(check) }
}

static DECODERS: LazyLock<Vec<Decoder>> = LazyLock::new(|| {
    let events = [Event {
        name: feed().event,
        title: "Summit – Gipfel".into(),
        starts_at: Some(time()),
        ends_at: None,
        zone: jiff::tz::TimeZone::get("Europe/Berlin").unwrap(),
        schedule: Some(Schedule { cron: Cron::parse("0 6 * * 1-5").ok(), ..Schedule::of(ScheduleKind::Cron) }),
        feeds: vec![FeedSettings {
            source: feed().source,
            params: [("event".into(), "4711".into())].into(),
            safety: Default::default(),
            schedule: Some(Schedule { at: TimeOfDay::parse("03:00").ok(), ..Schedule::of(ScheduleKind::Daily) }),
            mapping: [(MappingKey::Groups, ".tags[]".into())].into(),
        }],
        access: Default::default(),
        invitations: Default::default(),
        links: Some(Links { link: "https://app.example/{token}".into(), password_length: 10 }),
    }];
    let token =
        StoredToken { name: "Grafana".into(), sha256: [7; 32], scopes: vec!["read".into()], created_at: time() };
    let pause = Pause { by: "the command line".into(), at: time(), why: PauseReason::Undo(RunId(7)) };
    let inviting = Inviting { enabled: true, max_invites: 300, pending: Some(Existing::Invite), held: true };
    let state =
        FeedState { complete_reads: 3, last_run: Some(RunId(9)), last_attempt: Some(time()), ..FeedState::default() };
    let GroupName { key, name } = GroupName::new("Über VIP").unwrap();
    let group = Group { key, name };
    let header = JournalHeader { run: RunId(7), feed: feed(), dry_run: true, planned_at: time(), position: None };
    vec![
        decoder(
            Kind::Meta,
            &[Meta { generation: 300, next_user: 70_000, next_run: 9 }],
            |meta| encode_meta(*meta),
            decode_meta,
        ),
        decoder(Kind::Run, &HELD.runs, encode_run, decode_run),
        decoder(Kind::Feed, &[state], encode_feed_state, decode_feed_state),
        decoder(Kind::Event, &events, encode_event, decode_event),
        decoder(Kind::Pause, &[pause], encode_pause, decode_pause),
        decoder(Kind::Inviting, &[inviting], encode_inviting, decode_inviting),
        decoder(Kind::Group, &[group], encode_group, decode_group),
        decoder(Kind::Token, &[token], encode_token, decode_token),
        decoder(Kind::JournalHeader, &[header], JournalHeader::encode, JournalHeader::decode),
        decoder(
            Kind::JournalTrailer,
            &[JournalTrailer { entries: 1_000, checksum: u64::MAX }],
            |trailer| trailer.encode(),
            JournalTrailer::decode,
        ),
        decoder(
            Kind::JournalEntry,
            &HELD.entries,
            |entry| EntryEncoder::default().encode(entry),
            |sealed| EntryDecoder::default().decode(sealed),
        ),
        decoder(
            Kind::SpoolItem,
            &items(),
            |item| ItemEncoder::default().encode(item),
            |sealed| ItemDecoder::default().decode(sealed),
        ),
    ]
});

fn items() -> Vec<Item> {
    let position = Position { page: 3, index: 70 };
    let record = MappedRecord {
        external_id: ExternalId::new("reg_1").unwrap(),
        state: RecordState::NotAttending,
        email: Email::parse("Ada@example.org").ok(),
        updated_at: Some(time()),
        fields: vec![
            (Field::FirstName, Value::Text("Ada".into())),
            (Field::Custom("diet".into()), Value::List(vec!["vegan".into(), "halal".into()])),
        ],
        event_fields: vec![(EventField::RegistrationType, Value::Number("12".into()))],
        groups: vec![GroupName::new("VIP").unwrap()],
    };
    let verdict = Verdict::Reject { reason: RejectReason::InvalidEmail, field: "email".into() };
    vec![
        Item::Record(SpooledRecord { position, raw: Digest(1), mapped: Digest(u128::MAX), record }),
        Item::Note(RecordNote { position, external_id: ExternalId::new("é"), verdict }),
    ]
}

#[test]
fn what_is_mutated_is_sound() {
    assert!(HELD.people.len() == 12 && HELD.runs.len() == 2 && HELD.entries.len() > 20);
    for decoder in DECODERS.iter() {
        for payload in &decoder.sound {
            assert!((decoder.check)(&seal(decoder.kind, payload)).unwrap(), "{:?}", decoder.kind);
        }
    }
}

/// A value is sealed whole: no bit of it may be another, and nothing missing or too much.
#[test]
fn no_sealed_value_is_believed_of_which_a_bit_is_another_or_an_end_is_missing() {
    for decoder in DECODERS.iter() {
        let sealed = seal(decoder.kind, &decoder.sound[0]);
        for at in 0..sealed.len() {
            for bit in 0..8 {
                let mut damaged = sealed.clone();
                damaged[at] ^= 1 << bit;
                assert!(!(decoder.check)(&damaged).unwrap(), "{:?}: bit {bit} of byte {at}", decoder.kind);
            }
            assert!(!(decoder.check)(&sealed[..at]).unwrap(), "{:?}: {at} bytes", decoder.kind);
        }
        assert!(!(decoder.check)(&[&sealed[..], b" "].concat()).unwrap(), "{:?}: one byte more", decoder.kind);
    }
}

/// Any length that a payload can claim, in every place: refused at once, not allocated.
#[test]
fn claims_of_any_length_are_refused() {
    for decoder in DECODERS.iter() {
        let payload = &decoder.sound[0];
        for at in 0..payload.len() {
            // bincode's marks of 2, 4, 8 and 16 bytes, and numbers just below and above what a value may have.
            for claim in
                [&[251, 255, 255][..], &[252, 0, 0, 0, 4], &[252, 255, 255, 255, 3], &[252; 5], &[253; 9], &[254; 17]]
            {
                let mut damaged = payload.clone();
                damaged.splice(at..=at, claim.iter().copied());
                (decoder.check)(&seal(decoder.kind, &damaged)).unwrap();
            }
        }
    }
}

proptest! {
    #[test]
    fn mutated_payloads(kind in any::<Index>(), which in any::<Index>(), mutations in mutations()) {
        let decoder = kind.get(DECODERS.as_slice());
        let sound: &Vec<u8> = which.get(&decoder.sound);
        (decoder.check)(&seal(decoder.kind, &mutated(sound, &mutations)))?;
    }

    #[test]
    fn payloads_of_another_kind(kind in any::<Index>(), other in any::<Index>(), which in any::<Index>()) {
        let decoder = kind.get(DECODERS.as_slice());
        let sound: &Vec<u8> = which.get(&other.get(DECODERS.as_slice()).sound);
        (decoder.check)(&seal(decoder.kind, sound))?;
    }

    /// A block guards its people with one checksum, packs them, and their names stand elsewhere.
    #[test]
    fn mutated_blocks_and_people(which in any::<Index>(), slot in 0..16usize, mutations in mutations(), layer in 0..3) {
        let mut symbols = Symbols::default();
        let person = encode_person(&mut symbols, which.get(&HELD.people));
        prop_assert!(decode_person(&symbols, &person).is_ok());
        let mut block = Block::default();
        block.set(slot, if layer == 0 { mutated(&person, &mutations) } else { person });
        let mut sealed = block.seal();
        let packed = payload(Kind::Block, &sealed);
        if layer == 1 {
            sealed = seal(Kind::Block, &mutated(&packed, &mutations));
        } else if layer == 2 {
            let unpacked = lz4_flex::block::decompress_size_prepended(&packed).unwrap();
            sealed = seal(Kind::Block, &lz4_flex::block::compress_prepend_size(&mutated(&unpacked, &mutations)));
        }
        if let Ok(block) = Block::open(&sealed) {
            let unpacked = Unpacked::open(&sealed).unwrap();
            for slot in 0..16 {
                let read = unpacked.person(slot).unwrap();
                prop_assert_eq!(read, block.person(slot));
                if let Some(Ok(person)) = read.map(|bytes| decode_person(&symbols, bytes)) {
                    let mut symbols = Symbols::default();
                    let again = encode_person(&mut symbols, &person);
                    prop_assert_eq!(decode_person(&symbols, &again), Ok(person));
                }
            }
        }
    }
}
