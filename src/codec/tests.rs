use jiff::Timestamp;
use proptest::collection::{btree_map, btree_set, vec};
use proptest::option;
use proptest::prelude::*;

use super::{
    Block, EntryDecoder, EntryEncoder, Glance, Item, ItemDecoder, ItemEncoder, JournalHeader, JournalTrailer, Planned,
    Recoding, SpooledRecord, SymbolKind, Symbols, Unpacked, decode_event, decode_feed_state, decode_group, decode_meta,
    decode_person, decode_run, decode_token, encode_person, encode_run,
};
use crate::model::{
    Action, Attendance, AttendanceByHand, ByHand, Counts, Decision, Digest, Doubt, DoubtKind, Email, Entry,
    ErrorReason, EventField, EventName, ExternalId, FeedId, Field, GroupKey, GroupName, Invitation, InvitationState,
    Journey, Level, LogLine, MappedRecord, MembershipByHand, NotUndone, Override, Owner, Passage, Person, PersonChange,
    Position, ProfileField, Protected, RecordNote, RecordState, Registration, RegistrationState, RejectReason, Run,
    RunError, RunId, RunOutcome, SkipReason, SourceName, Traffic, Trigger, UserId, UserNo, Value, Verdict,
};

/// Milliseconds, which is what is kept of our own times.
fn time() -> impl Strategy<Value = Timestamp> {
    (-1_000_000_000_000i64..4_000_000_000_000).prop_map(|ms| Timestamp::from_millisecond(ms).unwrap())
}

/// Microseconds, which is what is kept of the source's times.
fn fine_time() -> impl Strategy<Value = Timestamp> {
    (-1_000_000_000_000_000i64..4_000_000_000_000_000).prop_map(|us| Timestamp::from_microsecond(us).unwrap())
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        ".{0,12}".prop_map(|text| Value::Text(text.into())),
        "-?[0-9]{1,20}(\\.[0-9]{1,5})?".prop_map(|number| Value::Number(number.into())),
        any::<bool>().prop_map(Value::Bool),
        vec(".{0,6}", 0..4).prop_map(|items| Value::List(items.into_iter().map(Into::into).collect())),
    ]
}

fn field() -> impl Strategy<Value = Field> {
    let standard = (0..Field::STANDARD.len()).prop_map(|at| Field::STANDARD[at].0.clone());
    prop_oneof![standard, "[a-z_]{1,8}".prop_map(|name| Field::Custom(name.as_str().into()))]
}

fn fields() -> impl Strategy<Value = Vec<(Field, Value)>> {
    btree_map(field(), value(), 0..6).prop_map(|fields| fields.into_iter().collect())
}

fn event_fields() -> impl Strategy<Value = Vec<(EventField, Value)>> {
    let field = (0..EventField::ALL.len()).prop_map(|at| EventField::ALL[at].0);
    btree_map(field, value(), 0..3).prop_map(|fields| fields.into_iter().collect())
}

fn event() -> impl Strategy<Value = EventName> {
    "[ef][a-z0-9_-]{0,3}".prop_map(|name| EventName::parse(&name).unwrap())
}

fn source() -> impl Strategy<Value = SourceName> {
    "[st]".prop_map(|name| SourceName::parse(&name).unwrap())
}

fn feed() -> impl Strategy<Value = FeedId> {
    (event(), source()).prop_map(|(event, source)| FeedId { event, source })
}

fn external_id() -> impl Strategy<Value = ExternalId> {
    "[a-zé0-9]{1,9}".prop_map(|id| ExternalId::new(&id).unwrap())
}

fn email() -> impl Strategy<Value = Email> {
    "[a-cA-C]@x\\.(org|de)".prop_map(|email| Email::parse(&email).unwrap())
}

fn owner() -> impl Strategy<Value = Option<Owner>> {
    option::of((source(), 0u64..4, time()).prop_map(|(source, run, at)| Owner { source, run: RunId(run), at }))
}

fn groups() -> impl Strategy<Value = Vec<GroupKey>> {
    btree_set("[a-zü ]{0,3}x", 0..4).prop_map(|names| names.iter().filter_map(|name| GroupKey::of(name)).collect())
}

fn registration() -> impl Strategy<Value = Registration> {
    let state = prop_oneof![
        Just(RegistrationState::Attending),
        Just(RegistrationState::NotAttending),
        Just(RegistrationState::Cancelled)
    ];
    let about = (feed(), external_id(), email(), state, option::of(any::<u32>()), option::of(fine_time()));
    let holds = (any::<u128>(), any::<u128>(), fields(), event_fields(), groups());
    (about, holds).prop_map(|(about, (raw, mapped, fields, event_fields, groups))| {
        let (feed, external_id, email, state, absent_since, updated_at) = about;
        let (raw, mapped) = (Digest(raw), Digest(mapped));
        Registration {
            feed,
            external_id,
            email,
            state,
            absent_since,
            updated_at,
            raw,
            mapped,
            fields,
            event_fields,
            groups,
        }
    })
}

fn attendance() -> impl Strategy<Value = Attendance> {
    (event(), any::<bool>(), time(), event_fields()).prop_map(|(event, active, changed_at, fields)| Attendance {
        event,
        active,
        changed_at,
        fields,
    })
}

fn decision() -> impl Strategy<Value = Decision> {
    ("[a-z ]{1,9}", time()).prop_map(|(by, at)| Decision { by: by.into(), at })
}

fn by_hand() -> impl Strategy<Value = ByHand> {
    let set = || prop_oneof![Just(Override::Added), Just(Override::Excluded)];
    let group = "[a-c]".prop_map(|name| GroupName::new(&name).unwrap().key);
    let attendance = (event(), set(), decision());
    let attendance = attendance.prop_map(|(event, set, decision)| AttendanceByHand { event, set, decision });
    let membership = (group, set(), option::of(event()), decision());
    let membership =
        membership.prop_map(|(group, set, event, decision)| MembershipByHand { group, set, event, decision });
    let protected = prop_oneof![Just(Protected::All), vec(field(), 0..3).prop_map(Protected::Fields)];
    (vec(attendance, 0..3), vec(membership, 0..3), protected).prop_map(|(attendances, memberships, protected)| ByHand {
        attendances,
        memberships,
        protected,
    })
}

fn invitation() -> impl Strategy<Value = Invitation> {
    let state = (0..InvitationState::ALL.len()).prop_map(|at| InvitationState::ALL[at]);
    let times = (time(), time(), option::of(time()));
    (state, times, any::<(u32, u32)>(), option::of("[a-z ]{0,9}")).prop_map(
        |(state, times, (attempts, serial), failure)| {
            let (queued_at, changed_at, next_try_at) = times;
            let failure = failure.map(Into::into);
            Invitation { state, queued_at, changed_at, attempts, serial, next_try_at, failure }
        },
    )
}

fn journey() -> impl Strategy<Value = Journey> {
    let passage = (option::of(invitation()), option::of(time()));
    let events = btree_map(event(), passage, 0..3);
    (option::of(time()), events).prop_map(|(account_at, events)| {
        let passage = |(event, (invitation, first_access_at))| Passage { event, invitation, first_access_at };
        Journey { account_at, events: events.into_iter().map(passage).collect() }
    })
}

/// Somebody of whom something may have been decided by hand, and known how far they came.
fn somebody() -> impl Strategy<Value = Person> {
    (person(), option::of(by_hand()), option::of(journey())).prop_map(|(person, by_hand, journey)| Person {
        by_hand: by_hand.filter(|by_hand| !by_hand.is_empty()).map(Box::new),
        journey: journey.filter(|journey| !journey.is_empty()).map(Box::new),
        ..person
    })
}

fn person() -> impl Strategy<Value = Person> {
    let profile = btree_map(field(), (value(), owner()), 0..6);
    let lists = (vec(registration(), 0..4), vec(attendance(), 0..3));
    (any::<u128>(), email(), owner(), profile, lists, time()).prop_map(
        |(id, email, email_owner, profile, (registrations, attendances), created_at)| Person {
            id: UserId::from_u128(id),
            email,
            email_owner,
            profile: profile.into_iter().map(|(field, (value, owner))| ProfileField { field, value, owner }).collect(),
            registrations,
            attendances,
            created_at,
            by_hand: None,
            journey: None,
        },
    )
}

fn note() -> impl Strategy<Value = RecordNote> {
    let skip = prop_oneof![
        Just(SkipReason::Filtered),
        Just(SkipReason::UnknownDeleted),
        Just(SkipReason::UnknownCancelled),
        Just(SkipReason::Duplicate)
    ];
    let reject = (0..RejectReason::ALL.len(), "[a-z._]{0,8}");
    let reject = reject.prop_map(|(at, field)| Verdict::Reject { reason: RejectReason::ALL[at], field: field.into() });
    (any::<(u32, u32)>(), option::of(external_id()), prop_oneof![skip.prop_map(Verdict::Skip), reject]).prop_map(
        |((page, index), external_id, verdict)| RecordNote { position: Position { page, index }, external_id, verdict },
    )
}

fn entry() -> impl Strategy<Value = Entry> {
    let action = prop_oneof![
        Just(Action::Create),
        Just(Action::Update),
        Just(Action::Remove),
        Just(Action::Delete),
        Just(Action::Touch)
    ];
    let change = (action, option::of(any::<u32>()), any::<u128>(), option::of(somebody()), option::of(somebody()));
    let change = change.prop_map(|(action, user, id, before, after)| {
        let (user, id) = (user.map(UserNo), UserId::from_u128(id));
        Entry::Person(Box::new(PersonChange { action, user, id, before, after }))
    });
    let group = "[a-zA-Z]{1,5}".prop_map(|name| Entry::Group(GroupName::new(&name).unwrap()));
    let gone = "[a-zA-Z]{1,5}".prop_map(|name| Entry::GroupGone(GroupName::new(&name).unwrap()));
    let not_undone = (any::<u128>(), vec("[a-z ]{1,9}", 0..3)).prop_map(|(id, parts)| {
        Entry::NotUndone(NotUndone { id: UserId::from_u128(id), parts: parts.into_iter().map(Into::into).collect() })
    });
    prop_oneof![4 => change, 1 => note().prop_map(Entry::Record), 1 => group, 1 => gone, 1 => not_undone]
}

fn newcomer() -> impl Strategy<Value = Entry> {
    (any::<u128>(), person()).prop_map(|(id, person)| {
        let id = UserId::from_u128(id);
        let change = PersonChange { action: Action::Create, user: None, id, before: None, after: Some(person) };
        Entry::Person(Box::new(change))
    })
}

fn is_newcomer(entry: &Entry) -> bool {
    let Entry::Person(change) = entry else { return false };
    let is_plain = |person: &Person| person.by_hand.is_none() && person.journey.is_none();
    change.user.is_none() && change.before.is_none() && change.after.as_ref().is_some_and(is_plain)
}

fn item() -> impl Strategy<Value = Item> {
    let state = prop_oneof![
        Just(RecordState::Attending),
        Just(RecordState::NotAttending),
        Just(RecordState::Cancelled),
        Just(RecordState::Deleted)
    ];
    let groups = vec("[a-zA-Z]{1,3}", 0..3);
    let about = (external_id(), state, option::of(email()), option::of(fine_time()), fields(), event_fields(), groups);
    let record = about.prop_map(|(external_id, state, email, updated_at, fields, event_fields, groups)| {
        let groups = groups.iter().filter_map(|name| GroupName::new(name)).collect();
        MappedRecord { external_id, state, email, updated_at, fields, event_fields, groups }
    });
    let spooled = (any::<(u32, u32)>(), any::<(u128, u128)>(), record);
    let spooled = spooled.prop_map(|((page, index), (raw, mapped), record)| {
        let position = Position { page, index };
        Item::Record(SpooledRecord { position, raw: Digest(raw), mapped: Digest(mapped), record })
    });
    prop_oneof![spooled, note().prop_map(Item::Note)]
}

fn doubts(n: u64) -> Vec<Doubt> {
    let kinds = DoubtKind::ALL.into_iter().zip(0..).filter(|(_, bit)| n >> bit & 1 == 1);
    kinds.map(|(kind, bit)| Doubt { kind, text: format!("{bit} of {n}") }).collect()
}

fn run() -> impl Strategy<Value = Run> {
    let outcome = option::of((0..RunOutcome::ALL.len()).prop_map(|at| RunOutcome::ALL[at]));
    let error = (0..ErrorReason::ALL.len(), ".{0,9}", ".{0,9}");
    let error = error.prop_map(|(at, message, hint)| RunError { reason: ErrorReason::ALL[at], message, hint });
    let level = prop_oneof![Just(Level::Info), Just(Level::Warn), Just(Level::Error)];
    let line = (time(), level, ".{0,9}").prop_map(|(at, level, text)| LogLine { at, level, text });
    let numbers = (any::<[u64; 8]>(), option::of(any::<u64>()), any::<[bool; 4]>());
    (feed(), time(), option::of(time()), outcome, option::of(error), numbers, vec(line, 0..3)).prop_map(
        |(feed, started_at, ended_at, outcome, error, (n, planned, flags), log)| Run {
            id: RunId(n[0]),
            feed,
            trigger: Trigger::ALL[usize::from(flags[0]) * 3 + usize::from(flags[1]) + usize::from(flags[2])],
            dry_run: flags[1],
            full: flags[2],
            started_at,
            ended_at,
            outcome,
            held: doubts(n[1]),
            expires_at: ended_at,
            decision: ended_at.map(|at| Decision { by: n[2].to_string().into(), at }),
            degraded: doubts(n[3]),
            error,
            complete: flags[3],
            counts: Counts { records: n[1], create: n[2], shared_email: n[3], ..Counts::default() },
            traffic: Traffic { pages: n[4], wait_ms: n[5], bytes: n[6], ..Traffic::default() },
            undoes: planned.map(RunId),
            undone_by: flags[0].then_some(RunId(n[1])),
            applied: n[7],
            planned,
            log,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn people_come_back_from_their_block_as_they_were(people in vec(somebody(), 1..4)) {
        let mut symbols = Symbols::default();
        let mut block = Block::default();
        for (slot, person) in people.iter().enumerate() {
            block.set(slot, encode_person(&mut symbols, person));
        }
        let sealed = block.seal();
        prop_assert_eq!(&Block::open(&sealed).unwrap(), &block);
        let unpacked = Unpacked::open(&sealed).unwrap();
        for (slot, person) in people.iter().enumerate() {
            let bytes = unpacked.person(slot).unwrap().unwrap();
            prop_assert_eq!(&decode_person(&symbols, bytes).unwrap(), person);
        }
        prop_assert_eq!(unpacked.person(people.len()).unwrap(), None);
    }

    #[test]
    fn a_glance_at_a_person_sees_what_the_person_is(person in somebody()) {
        let mut symbols = Symbols::default();
        let bytes = encode_person(&mut symbols, &person);
        let glance = Glance::at(&bytes).unwrap();
        prop_assert_eq!((glance.id(), glance.email), (person.id, person.email.as_str()));
        let name = |kind, number| symbols.get(kind, number).unwrap();
        let seen: Vec<_> = glance.registrations.iter().map(|r| {
            let feed = (name(SymbolKind::Event, r.event), name(SymbolKind::Source, r.source));
            (feed.0.to_string(), feed.1.to_string(), r.external_id, r.raw(), r.mapped(), r.is_absent())
        }).collect();
        let is: Vec<_> = person.registrations.iter().map(|r| {
            let feed = (r.feed.event.as_str().to_owned(), r.feed.source.as_str().to_owned());
            (feed.0, feed.1, r.external_id.as_str(), r.raw, r.mapped, r.absent_since.is_some())
        }).collect();
        prop_assert_eq!(seen, is);
        let seen: Vec<_> = glance.attendances.iter().map(|a| (name(SymbolKind::Event, a.event).to_string(), a.active)).collect();
        let is: Vec<_> = person.attendances.iter().map(|a| (a.event.as_str().to_owned(), a.active)).collect();
        prop_assert_eq!(seen, is);
        let seen: Vec<_> = glance.decided().map(|(event, set)| (name(SymbolKind::Event, event).to_string(), set)).collect();
        let decided = person.by_hand.iter().flat_map(|by_hand| &by_hand.attendances);
        let is: Vec<_> = decided.map(|a| (a.event.as_str().to_owned(), a.set)).collect();
        prop_assert_eq!(seen, is);
        let journey = person.journey.as_deref().cloned().unwrap_or_default();
        prop_assert_eq!(glance.has_account(), journey.account_at.is_some());
        let seen: Vec<_> = glance.passages().map(|p| (name(SymbolKind::Event, p.event).to_string(), p.invitation, p.accessed)).collect();
        let state = |p: &Passage| p.invitation.as_ref().map(|invitation| invitation.state);
        let is: Vec<_> = journey.events.iter().map(|p| (p.event.as_str().to_owned(), state(p), p.first_access_at.is_some())).collect();
        prop_assert_eq!(seen, is);
        let event = |number| name(SymbolKind::Event, number).to_string();
        let seen: Vec<_> =
            glance.grants().map(|(of, group)| (of.map(event), name(SymbolKind::Group, group).to_string())).collect();
        let is = person.grants().map(|(of, group)| (of.map(ToString::to_string), group.as_str().to_owned()));
        prop_assert_eq!(seen, is.collect::<Vec<_>>());
    }

    #[test]
    fn nothing_by_hand_takes_no_byte(person in person()) {
        let mut symbols = Symbols::default();
        let before = super::seal::payload(&super::person::person_to_v1(&mut symbols, &person));
        prop_assert_eq!(encode_person(&mut symbols, &person), before);
    }

    #[test]
    fn entries_come_back_in_order(entries in vec(entry(), 1..5)) {
        let (mut encoder, mut decoder) = (EntryEncoder::default(), EntryDecoder::default());
        for entry in &entries {
            prop_assert_eq!(&decoder.decode(&encoder.encode(entry)).unwrap(), entry);
        }
    }

    /// Only somebody new stays encoded, and is the same person under whatever numbers names have elsewhere.
    #[test]
    fn newcomers_stay_bytes_and_take_other_numbers(entries in vec(prop_oneof![entry(), newcomer()], 1..5)) {
        let (mut encoder, mut decoder) = (EntryEncoder::default(), EntryDecoder::default());
        let mut newcomers = Vec::new();
        for entry in &entries {
            match decoder.decode_planned(&encoder.encode(entry)).unwrap() {
                Planned::Other(other) => {
                    prop_assert_eq!(&other, entry);
                    prop_assert!(!is_newcomer(entry));
                }
                Planned::Newcomer(newcomer) => {
                    let Entry::Person(change) = entry else { panic!("{entry:?} is nobody") };
                    prop_assert!(is_newcomer(entry));
                    prop_assert_eq!(newcomer.id, change.id);
                    newcomers.push((newcomer.person, change.after.clone().unwrap()));
                }
            }
        }
        let from = decoder.symbols();
        let mut turned = Symbols::default();
        for (kind, _, name) in from.since([0; 4]).collect::<Vec<_>>().into_iter().rev() {
            turned.intern(kind, "another");
            turned.intern(kind, name);
        }
        for mut to in [Symbols::default(), turned] {
            let recoding = Recoding::new(from, &mut to);
            for (encoded, person) in &newcomers {
                let recoded = recoding.recode(encoded.clone()).unwrap();
                prop_assert_eq!(&decode_person(&to, &recoded).unwrap(), person);
            }
        }
    }

    #[test]
    fn items_come_back_in_any_order(items in vec(item(), 1..5)) {
        let mut encoder = ItemEncoder::default();
        let encoded: Vec<_> = items.iter().map(|item| encoder.encode(item)).collect();
        let mut decoder = encoder.into_decoder();
        for (bytes, item) in encoded.iter().zip(&items).rev() {
            prop_assert_eq!(&decoder.decode(bytes).unwrap(), item);
        }
    }

    #[test]
    fn runs_come_back(run in run()) {
        prop_assert_eq!(decode_run(&encode_run(&run)).unwrap(), run);
    }

    #[test]
    fn garbage_is_refused(garbage in vec(any::<u8>(), 0..200)) {
        prop_assert!(decode_meta(&garbage).is_err());
        prop_assert!(decode_run(&garbage).is_err());
        prop_assert!(decode_event(&garbage).is_err());
        prop_assert!(decode_feed_state(&garbage).is_err());
        prop_assert!(decode_group(&garbage).is_err());
        prop_assert!(decode_token(&garbage).is_err());
        prop_assert!(super::decode_audit_entry(&garbage).is_err());
        prop_assert!(Block::open(&garbage).is_err());
        prop_assert!(EntryDecoder::default().decode(&garbage).is_err());
        prop_assert!(ItemDecoder::default().decode(&garbage).is_err());
        prop_assert!(JournalHeader::decode(&garbage).is_err());
        prop_assert!(JournalTrailer::decode(&garbage).is_err());
    }

    /// Inside a block nothing but the block's own checksum guards a person: damage that passes it must not panic.
    #[test]
    fn a_damaged_person_never_panics(person in somebody(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut symbols = Symbols::default();
        let mut bytes = encode_person(&mut symbols, &person);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let is_person = decode_person(&symbols, &bytes).is_ok();
        prop_assert!(Glance::at(&bytes).is_ok() || !is_person, "a glance refuses no person");
    }
}
