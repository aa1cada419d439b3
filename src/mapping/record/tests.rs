use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::mapping::FieldSpec;
use crate::model::FieldRule;

fn jq(source: &str) -> Expression {
    Expression::compile(source).unwrap()
}

fn spec() -> MappingSpec {
    let field = |name: &str, source: &str| FieldSpec {
        field: Field::parse(name).unwrap(),
        value: jq(source),
        rule: FieldRule::default(),
    };
    MappingSpec {
        select: jq(".results[]"),
        external_id: Some(jq(".id")),
        email: jq(".email"),
        fields: vec![
            field("first_name", ".first"),
            field("last_name", ".last"),
            field("company", ".company // .organisation"),
            field("custom.diet", ".answers[]? | select(.q == \"diet\").a"),
        ],
        event_fields: vec![
            FieldSpec { field: EventField::BadgeUrl, value: jq(".badge"), rule: FieldRule::default() },
            FieldSpec { field: EventField::RegistrationType, value: jq(".type"), rule: FieldRule::default() },
        ],
        updated_at: Some(jq(".updated")),
        skip_when: Some(jq(".test")),
        delete_when: Some(jq(".erase")),
        removed_when: Some(jq(".status == \"canceled\"")),
        attendee_when: Some(jq(".status != \"waiting\"")),
        groups: Some(jq(".group, .groups")),
        group_rules: vec![
            GroupRule { name: "VIP".into(), when: jq(".vip") },
            GroupRule { name: "Late".into(), when: jq("(.price | tonumber) > 100") },
        ],
        badge: BadgeKind::File,
        locked: Default::default(),
    }
}

/// A good record, some keys replaced; `null` in place of a key's value is absent to the mapping.
fn record(changes: &str) -> RawRecord {
    let mut whole: serde_json::Value = serde_json::from_str(
        r#"{"id":4711,"email":"Ada@X.org","first":"Ada","last":"Lovelace","price":"1","status":"paid"}"#,
    )
    .unwrap();
    let changes: serde_json::Value = serde_json::from_str(changes).unwrap();
    for (key, value) in changes.as_object().unwrap() {
        whole[key] = value.clone();
    }
    RawRecord::new(whole.to_string().into())
}

fn map(changes: &str) -> Outcome {
    Mapping::new(spec()).map(&record(changes))
}

fn mapped(changes: &str) -> MappedRecord {
    match map(changes) {
        Outcome::Mapped(mapped) => mapped,
        other => panic!("{changes}: {other:?}"),
    }
}

#[test]
fn maps_a_whole_record() {
    let record = mapped(
        r#"{"organisation":" ACME ","answers":[{"q":"diet","a":["vegan"]}],"badge":"https://x.org/a.png","type":7,
            "updated":"2026-03-14T15:09:26Z","group":"Speakers","groups":["vip","  "],"vip":true}"#,
    );
    assert_eq!(record.external_id.as_str(), "4711");
    assert_eq!(record.state, RecordState::Attending);
    assert_eq!(record.email.as_ref().map(Email::as_str), Some("Ada@X.org"));
    assert_eq!(record.updated_at.map(|at| at.to_string()).as_deref(), Some("2026-03-14T15:09:26Z"));
    let text = |text: &str| Value::Text(text.into());
    assert_eq!(
        record.fields,
        [
            (Field::FirstName, text("Ada")),
            (Field::LastName, text("Lovelace")),
            (Field::Company, text("ACME")),
            (Field::Custom("diet".into()), Value::List(vec!["vegan".into()])),
        ]
    );
    assert_eq!(
        record.event_fields,
        [(EventField::BadgeUrl, text("https://x.org/a.png")), (EventField::RegistrationType, text("7")),]
    );
    let names: Vec<_> = record.groups.iter().map(|group| group.name.as_str()).collect();
    assert_eq!(names, ["Speakers", "vip"], "the first spelling counts");
    assert!(record.is_whole());
}

#[test]
fn states() {
    for (changes, state) in [
        ("{}", RecordState::Attending),
        (r#"{"status":"waiting"}"#, RecordState::NotAttending),
        (r#"{"status":"canceled"}"#, RecordState::Cancelled),
        (r#"{"status":"canceled","erase":true}"#, RecordState::Deleted),
        (r#"{"test":true,"erase":"yes"}"#, RecordState::Deleted),
    ] {
        assert_eq!(mapped(changes).state, state, "{changes}");
    }
    assert_eq!(map(r#"{"test":true}"#), Outcome::Skipped(SkipReason::Filtered, ExternalId::new("4711")));
    assert_eq!(
        map(r#"{"test":true,"status":"canceled"}"#),
        Outcome::Skipped(SkipReason::Filtered, ExternalId::new("4711"))
    );
    assert_eq!(map(r#"{"test":true,"id":null,"email":7}"#), Outcome::Skipped(SkipReason::Filtered, None));
    assert_eq!(mapped(r#"{"test":false}"#).state, RecordState::Attending);
}

#[test]
fn no_output_and_null_are_false() {
    for when in ["empty", "null", "false", ".absent", "false, true"] {
        let mapping = Mapping::new(MappingSpec { delete_when: Some(jq(when)), ..spec() });
        let Outcome::Mapped(mapped) = mapping.map(&record("{}")) else { panic!("{when}") };
        assert_eq!(mapped.state, RecordState::Attending, "{when}");
    }
}

#[test]
fn rejects_with_the_key_and_the_reason() {
    let long = format!("\"{}\"", "x".repeat(crate::limits::FIELD_BYTES_MAX + 1));
    let many = (0..=GROUPS_PER_RECORD_MAX).map(|n| format!("\"g{n}\"")).collect::<Vec<_>>().join(",");
    for (changes, reason, key) in [
        (r#"{"id":null}"#.to_owned(), RejectReason::MissingField, "external_id"),
        (r#"{"id":" "}"#.to_owned(), RejectReason::MissingField, "external_id"),
        (r#"{"id":[1]}"#.to_owned(), RejectReason::WrongType, "external_id"),
        (r#"{"id":null,"erase":true}"#.to_owned(), RejectReason::MissingField, "external_id"),
        (r#"{"email":null}"#.to_owned(), RejectReason::MissingField, "email"),
        (r#"{"email":"ada"}"#.to_owned(), RejectReason::InvalidEmail, "email"),
        (r#"{"first":" "}"#.to_owned(), RejectReason::MissingField, "first_name"),
        (r#"{"last":null,"status":"waiting"}"#.to_owned(), RejectReason::MissingField, "last_name"),
        (r#"{"company":{}}"#.to_owned(), RejectReason::WrongType, "company"),
        (r#"{"company":"a\u0000"}"#.to_owned(), RejectReason::NulCharacter, "company"),
        (format!("{{\"company\":{long}}}"), RejectReason::FieldTooLong, "company"),
        (r#"{"answers":[{"q":"diet","a":{}}]}"#.to_owned(), RejectReason::WrongType, "custom.diet"),
        (r#"{"answers":["x"]}"#.to_owned(), RejectReason::ExpressionFailed, "custom.diet"),
        (r#"{"updated":"soon"}"#.to_owned(), RejectReason::InvalidTime, "updated_at"),
        (r#"{"group":true}"#.to_owned(), RejectReason::WrongType, "groups"),
        (format!("{{\"groups\":[{many}]}}"), RejectReason::FieldTooLong, "groups"),
        (r#"{"price":"free"}"#.to_owned(), RejectReason::ExpressionFailed, "group_rules"),
    ] {
        let Outcome::Rejected(rejection) = map(&changes) else { panic!("{changes:.80}") };
        assert_eq!((rejection.reason, rejection.field.as_str()), (reason, key), "{changes:.80}");
        let id = if key == "external_id" { None } else { Some("4711") };
        assert_eq!(rejection.external_id.as_ref().map(ExternalId::as_str), id, "{changes:.80}");
    }
}

#[test]
fn a_badge_that_is_none_is_left_out_and_counted() {
    let badges = Cell::default();
    for changes in [r#"{"badge":"x.gif"}"#, r#"{"badge":"http://x.org/a.png"}"#, r#"{"badge":{}}"#] {
        let outcome = Mapping::new(spec()).map_counting(&record(changes), &badges);
        let Outcome::Mapped(mapped) = outcome else { panic!("{changes}") };
        assert_eq!(mapped.event_fields, [], "{changes}");
    }
    assert_eq!(badges.get(), 3);
    let any = MappingSpec { badge: BadgeKind::Any, ..spec() };
    let outcome = Mapping::new(any.clone()).map_counting(&record(r#"{"badge":"https://x.org/1"}"#), &badges);
    let Outcome::Mapped(mapped) = outcome else { panic!("mapped") };
    assert_eq!((mapped.event_fields.len(), badges.get()), (1, 3));
    assert_ne!(Mapping::new(any).seed(), Mapping::new(spec()).seed(), "records are read anew");
}

#[test]
fn a_failing_condition_rejects_the_record() {
    type Place = fn(&mut MappingSpec) -> &mut Option<Expression>;
    let places: [(&str, Place); 5] = [
        ("delete_when", |spec| &mut spec.delete_when),
        ("skip_when", |spec| &mut spec.skip_when),
        ("removed_when", |spec| &mut spec.removed_when),
        ("attendee_when", |spec| &mut spec.attendee_when),
        ("groups", |spec| &mut spec.groups),
    ];
    for (key, place) in places {
        let mut spec = spec();
        *place(&mut spec) = Some(jq(".first.x"));
        let Outcome::Rejected(rejection) = Mapping::new(spec).map(&record("{}")) else { panic!("{key}") };
        assert_eq!((rejection.reason, rejection.field.as_str()), (RejectReason::ExpressionFailed, key));
        assert!(rejection.external_id.is_some());
    }
}

#[test]
fn what_is_no_object_is_rejected() {
    for bad in ["1", "null", "[]", "\"Ada\"", "", "{", "\u{feff}{}", "{\"id\":1}x"] {
        let outcome = Mapping::new(spec()).map(&RawRecord::new(Bytes::from(bad)));
        let expected =
            Rejection { external_id: None, reason: RejectReason::WrongType, field: CompactString::const_new("") };
        assert_eq!(outcome, Outcome::Rejected(expected), "{bad}");
    }
}

#[test]
fn cancelled_and_deleted_records_keep_what_is_good() {
    for state in [r#""status":"canceled""#, r#""erase":true"#] {
        let partial = mapped(&format!(
            r#"{{{state},"email":"ada","first":null,"company":{{}},"badge":"x","updated":"soon","group":true,"price":"free","type":"Guest"}}"#
        ));
        assert_eq!((partial.email.as_ref(), partial.updated_at), (None, None));
        assert_eq!(partial.fields, [(Field::LastName, Value::Text("Lovelace".into()))]);
        assert_eq!(partial.event_fields, [(EventField::RegistrationType, Value::Text("Guest".into()))]);
        assert!(partial.groups.is_empty() && !partial.is_whole());
        assert!(mapped(&format!("{{{state}}}")).is_whole());
    }
}

#[test]
fn without_a_mapped_id_the_email_key_serves() {
    let mapping = Mapping::new(MappingSpec { external_id: None, ..spec() });
    let Outcome::Mapped(mapped) = mapping.map(&record("{}")) else { panic!("mapped") };
    assert_eq!(mapped.external_id.as_str(), "ada@x.org");
    for (changes, reason) in [
        (r#"{"email":null,"status":"canceled"}"#, RejectReason::MissingField),
        (r#"{"email":"ada","erase":true}"#, RejectReason::InvalidEmail),
        (r#"{"email":""}"#, RejectReason::MissingField),
    ] {
        let Outcome::Rejected(rejection) = mapping.map(&record(changes)) else { panic!("{changes}") };
        assert_eq!((rejection.external_id, rejection.reason, rejection.field.as_str()), (None, reason, "email"));
    }
}

#[test]
fn the_first_output_that_is_not_null_counts() {
    let mut spec = spec();
    spec.fields[2].value = jq("null, .nick, \"second\", error");
    let Outcome::Mapped(mapped) = Mapping::new(spec).map(&record(r#"{"nick":null}"#)) else { panic!("mapped") };
    assert_eq!(mapped.fields[2], (Field::Company, Value::Text("second".into())));
}

#[test]
fn selects_and_maps_a_page() {
    let page = Document::parse(Bytes::from_static(br#"{"results":[{"id":1},7]}"#)).unwrap();
    let mapping = Mapping::new(spec());
    let records = mapping.select(&page).unwrap();
    assert_eq!(records.len(), 2);
    assert!(records.iter().all(|record| matches!(mapping.map(record), Outcome::Rejected(_))));
}

#[test]
fn the_seed_differs_with_every_part_of_the_mapping() {
    type Change = fn(&mut MappingSpec);
    let changes: [Change; 16] = [
        |_| {},
        |spec| spec.select = jq(".other"),
        |spec| spec.external_id = Some(jq(".other")),
        |spec| spec.external_id = None,
        |spec| spec.email = jq(".other"),
        |spec| spec.updated_at = Some(jq(".other")),
        |spec| spec.skip_when = Some(jq(".other")),
        |spec| spec.delete_when = Some(jq(".other")),
        |spec| spec.removed_when = Some(jq(".other")),
        |spec| spec.attendee_when = Some(jq(".other")),
        |spec| spec.groups = Some(jq(".other")),
        |spec| spec.fields[0].value = jq(".other"),
        |spec| spec.fields[3].field = Field::Custom("meal".into()),
        |spec| spec.event_fields[0].value = jq(".other"),
        |spec| spec.group_rules[0].name = "Guests".into(),
        |spec| spec.group_rules[0].when = jq(".other"),
    ];
    let seed = |change: &Change| {
        let mut spec = spec();
        change(&mut spec);
        Mapping::new(spec).seed()
    };
    let mut seeds: Vec<_> = changes.iter().map(seed).collect();
    assert_eq!(seeds[0], Mapping::new(spec()).seed());
    seeds.sort_unstable();
    seeds.dedup();
    assert_eq!(seeds.len(), changes.len());
}

fn any_record() -> impl Strategy<Value = MappedRecord> {
    let text = "[ab]{1,2}";
    let value = prop_oneof![
        text.prop_map(|text| Value::Text(text.into())),
        "[12]{1,2}".prop_map(|number| Value::Number(number.into())),
        any::<bool>().prop_map(Value::Bool),
        proptest::collection::vec(text, 0..3)
            .prop_map(|items| Value::List(items.iter().map(|item| item.as_str().into()).collect())),
    ];
    let state = proptest::sample::select(vec![
        RecordState::Attending,
        RecordState::NotAttending,
        RecordState::Cancelled,
        RecordState::Deleted,
    ]);
    let fields = proptest::collection::btree_map(
        proptest::sample::select(vec![Field::FirstName, Field::Company, Field::Custom("a".into())]),
        value.clone(),
        0..3,
    );
    let event_fields = proptest::collection::btree_map(
        proptest::sample::select(vec![EventField::BadgeUrl, EventField::RegistrationType]),
        value,
        0..2,
    );
    let groups = proptest::collection::btree_set("[abA]{1,2}", 0..3);
    (text, state, proptest::option::of("[ab]@[ab]"), proptest::option::of(0_i64..3), fields, event_fields, groups)
        .prop_map(|(id, state, email, at, fields, event_fields, groups)| MappedRecord {
            external_id: ExternalId::new(&id).unwrap(),
            state,
            email: email.map(|email| Email::parse(&email).unwrap()),
            updated_at: at.map(|at| Timestamp::from_second(at).unwrap()),
            fields: fields.into_iter().collect(),
            event_fields: event_fields.into_iter().collect(),
            groups: groups.iter().map(|name| GroupName::new(name).unwrap()).collect(),
        })
}

proptest! {
    #[test]
    fn mapped_digests_are_equal_exactly_for_equal_records(a in any_record(), b in any_record()) {
        prop_assert_eq!(digest::encode(&a) == digest::encode(&b), a == b);
        prop_assert_eq!(digest::encode(&a), digest::encode(&a.clone()));
    }

    #[test]
    fn garbage_is_rejected_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
        let mapping = Mapping::new(spec());
        let _ = mapping.map(&RawRecord::new(bytes.clone().into()));
        if let Ok(page) = Document::parse(bytes.into()) {
            let _ = mapping.select(&page);
        }
    }
}

#[test]
fn the_digest_depends_on_the_mapping() {
    let record = mapped("{}");
    let (mapping, other) = (Mapping::new(spec()), Mapping::new(MappingSpec { email: jq(".mail"), ..spec() }));
    assert_eq!(mapping.mapped_digest(&record), Mapping::new(spec()).mapped_digest(&record));
    assert_ne!(mapping.mapped_digest(&record), other.mapped_digest(&record));
    let later = MappedRecord { state: RecordState::Cancelled, ..record.clone() };
    assert_ne!(mapping.mapped_digest(&record), mapping.mapped_digest(&later));
}

/// What the record is, and whether jaq had to be asked.
fn asked(spec: &MappingSpec, record: &RawRecord) -> (Outcome, bool) {
    let mapping = Mapping::new(spec.clone());
    let inner = &mapping.0;
    let outcome = inner.paths.read(record, |record| {
        let outcome = Reader { bound: &inner.bound, record, badges: &Cell::default() }.outcome();
        (outcome, record.asked_jaq())
    });
    outcome.unwrap()
}

#[test]
fn ordinary_mappings_are_answered_without_jaq() {
    let good = record(r#"{"answers":[{"q":"diet","a":["vegan"]}],"badge":"https://x.org/a.png","groups":["a","b"]}"#);
    let (outcome, asked_jaq) = asked(&spec(), &good);
    assert!(matches!(outcome, Outcome::Mapped(_)) && !asked_jaq);
    let (outcome, asked_jaq) = asked(&spec(), &record(r#"{"answers":["x"]}"#));
    assert!(matches!(outcome, Outcome::Rejected(_)) && asked_jaq, "jaq judges what fails");
    let unknown = MappingSpec { skip_when: Some(jq(".first | test(\"x\")")), ..spec() };
    let (outcome, asked_jaq) = asked(&unknown, &good);
    assert!(matches!(outcome, Outcome::Mapped(_)) && asked_jaq, "there is no native form");
}

#[test]
fn jaq_and_the_native_forms_make_the_same_of_a_record() {
    // Variables have no native form; so the second spec is jaq's alone.
    let in_jaq = |expression: &Expression| jq(&format!(". as $record | $record | {}", expression.source()));
    let maybe = |expression: &Option<Expression>| expression.as_ref().map(in_jaq);
    let native = spec();
    let slow = MappingSpec {
        external_id: maybe(&native.external_id),
        email: in_jaq(&native.email),
        updated_at: maybe(&native.updated_at),
        skip_when: maybe(&native.skip_when),
        delete_when: maybe(&native.delete_when),
        removed_when: maybe(&native.removed_when),
        attendee_when: maybe(&native.attendee_when),
        groups: maybe(&native.groups),
        fields: native
            .fields
            .iter()
            .map(|f| FieldSpec { field: f.field.clone(), value: in_jaq(&f.value), rule: f.rule })
            .collect(),
        event_fields: native
            .event_fields
            .iter()
            .map(|f| FieldSpec { field: f.field, value: in_jaq(&f.value), rule: f.rule })
            .collect(),
        group_rules: native
            .group_rules
            .iter()
            .map(|r| GroupRule { name: r.name.clone(), when: in_jaq(&r.when) })
            .collect(),
        select: native.select.clone(),
        badge: native.badge,
        locked: Default::default(),
    };
    assert!(slow.on_records().all(|expression| expression.native().is_none()));
    for changes in [
        "{}",
        r#"{"group":"Speakers","groups":["vip"," Caf\u00e9 "],"vip":1,"updated":1773500966,"type":1.50,"company":["a","b"]}"#,
        r#"{"group":true}"#,
        r#"{"groups":[[1]]}"#,
        r#"{"status":"canceled","answers":7,"email":{}}"#,
        r#"{"first":{"a":1}}"#,
        r#"{"price":"x"}"#,
        r#"{"id":-0,"erase":"yes"}"#,
    ] {
        let record = record(changes);
        assert_eq!(Mapping::new(native.clone()).map(&record), Mapping::new(slow.clone()).map(&record), "{changes}");
    }
}
