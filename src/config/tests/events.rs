//! Events and their feeds, in the file and from the API.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::tz::TimeZone;

use super::*;
use crate::model::{Access, Admission, Event, EventName, FeedSettings, GroupKey, SourceName};

const PARAMS: &str = "source.crm.request: path = \"events/{param.event}\"";

#[test]
fn an_event_with_its_feed() {
    for time in ["2026-06-01T09:00:00Z", "2026-06-01 11:00:00+02:00", "\"2026-06-01T09:00:00Z\""] {
        let config = sound(&[
            PARAMS,
            &format!("event.summit: starts_at = {time}"),
            "event.summit: feed = [{ source = \"crm\", params = { event = 4711 } }]",
        ]);
        let event = config.events.values().next().expect("there is one event");
        assert_eq!(event.starts_at.map(|at| at.to_string()).as_deref(), Some("2026-06-01T09:00:00Z"));
        assert_eq!((event.ends_at, event.zone.iana_name()), (None, Some("UTC")));
        assert_eq!((event.title.as_str(), event.feeds[0].params["event"].as_str()), ("Summit", "4711"));
    }
    let untitled = sound(&["event.summit: -title"]);
    assert_eq!(untitled.events.values().next().map(|event| event.title.as_str()), Some("summit"));
}

#[test]
fn faults_of_events() {
    let name = "a name is 1 to 64 characters of a-z, 0-9, '-' and '_'";
    let title = "event.summit.title: must be 1 to 256 bytes on one line; write what people call the event";
    let zone = "write e.g. 2026-06-01T09:00:00Z or 2026-06-01T09:00:00+02:00";
    check_faults(&[
        (&["event.Summit: title = \"x\""], &[&format!("event.Summit: no legal name (got \"Summit\"); {name}")]),
        (&["source.\"a b\": priority = 1"], &[&format!("source.\"a b\": no legal name (got \"a b\"); {name}")]),
        (&["event.summit: title = \"\""], &[title]),
        (&["event.summit: title = \"a\\nb\""], &[title]),
        (
            &["event.summit: starts_at = 2026-06-01T09:00:00"],
            &[&format!("event.summit.starts_at: must be a time with its zone (got \"2026-06-01T09:00:00\"); {zone}")],
        ),
        (
            &["event.summit: starts_at = \"soon\""],
            &[&format!("event.summit.starts_at: must be a time with its zone (got \"soon\"); {zone}")],
        ),
        (
            &["event.summit: starts_at = 2026-06-01T09:00:00Z", "event.summit: ends_at = 2026-06-01T11:00:00+02:00"],
            &["event.summit.ends_at: must be after starts_at; write when the event is over"],
        ),
        (
            &["event.summit: zone = \"Berlin\""],
            &["event.summit.zone: must be a time zone of the IANA database (got \"Berlin\"); \
               write e.g. zone = \"UTC\" or zone = \"America/Los_Angeles\""],
        ),
    ]);
}

#[test]
fn an_event_with_its_door() {
    let config = sound(&[
        "event.summit.access: admission = \"restricted\"",
        "event.summit.access: pages = { map = {}, lounge = { groups = [\" VIP\", \"vip\"] }, desk = { groups = \"Crew\" } }",
    ]);
    let access = &config.events.values().next().expect("there is one event").access;
    let pages = access.pages.iter().map(|(name, page)| {
        let groups = page.groups.as_ref().map(|groups| groups.iter().map(GroupKey::as_str).collect::<Vec<_>>());
        (name.as_str(), groups)
    });
    let expected = [("desk", Some(vec!["crew"])), ("lounge", Some(vec!["vip"])), ("map", None)];
    assert_eq!((access.admission, pages.collect::<Vec<_>>()), (Admission::Restricted, expected.to_vec()));
    let open = sound(&[]);
    assert_eq!(open.events.values().next().map(|event| event.access.clone()), Some(Access::default()));
}

#[test]
fn faults_of_doors() {
    let page = |page: &str| format!("event.summit.access: pages = {page}");
    let long = "x".repeat(257);
    check_faults(&[
        (
            &["event.summit.access: admission = \"closed\""],
            &["event.summit.access.admission: must be one of \"open\", \"restricted\" (got \"closed\"); \
               choose one, e.g. \"open\""],
        ),
        (
            &[&page("{ \"A b\" = {} }")],
            &["event.summit.access.pages.\"A b\": no legal name (got \"A b\"); \
               a name is 1 to 64 characters of a-z, 0-9, '-' and '_'"],
        ),
        (
            &[&page("{ a = { groups = [] }, b = { groups = [\" \"] } }")],
            &["event.summit.access.pages.b.groups[0]: must not be empty; write a value or leave the key out"],
        ),
        (
            &[&page("{ a = { groups = [] } }")],
            &["event.summit.access.pages.a.groups: no group, so that nobody could open the page; \
               name a group, or leave groups out to let in everybody who may enter the event"],
        ),
        (
            &[&page(&format!("{{ a = {{ groups = \"{long}\" }} }}"))],
            &["event.summit.access.pages.a.groups: a group has at most 256 bytes; shorten it"],
        ),
    ]);
}

#[test]
fn faults_of_feeds() {
    let feed = |feeds: &str| format!("event.summit: feed = {feeds}");
    check_faults(&[
        (
            &[&feed("[{ source = \"crn\" }, { source = \"other\" }]")],
            &[
                "event.summit.feed[0].source: no such source (got \"crn\"); did you mean \"crm\"?",
                "event.summit.feed[1].source: no such source (got \"other\"); declare it as [source.other], or use one of crm",
            ],
        ),
        (
            &[&feed("[{ source = \"crm\" }, { source = \"crm\" }]")],
            &["event.summit.feed[1].source: a second feed of crm; \
               keep one; declare a second source to read the same system in another way"],
        ),
        (
            &[&feed("[{}, { source = \"A\" }]")],
            &[
                "event.summit.feed[0].source: missing; write the name of a source, e.g. source = \"crm\"",
                "event.summit.feed[1].source: must be the name of a source (got \"A\"); \
                 a name is 1 to 64 characters of a-z, 0-9, '-' and '_'",
            ],
        ),
        (
            &[PARAMS],
            &["event.summit.feed[0].params: the source crm needs the param event; write params = { event = \"…\" }"],
        ),
        (
            &[PARAMS, &feed("[{ source = \"crm\", params = { event = \"..\" } }]")],
            &["event.summit.feed[0].params.event: must not be empty, '.' or '..'; write the value the source knows"],
        ),
        (
            &[PARAMS, &feed("[{ source = \"crm\", params = { event = \"a\\tb\", \"x y\" = \"1\" } }]")],
            &[
                "event.summit.feed[0].params.event: must be at most 1024 bytes on one line; shorten it",
                "event.summit.feed[0].params.\"x y\": no name for a param (got \"x y\"); \
                 use 1 to 64 letters, digits, '-' and '_'",
            ],
        ),
    ]);
}

#[test]
fn a_feed_of_a_faulty_source_is_not_to_blame() {
    let found = faults(&[PARAMS, "source.crm: priority = \"high\""]);
    assert_eq!(
        found,
        [
            "source.crm.priority: must be a whole number (got a text); write a whole number from -2147483648 to 2147483647"
        ]
    );
}

#[test]
fn params_are_sought_in_every_template() {
    let spec = source(&[
        "source.crm: edit_url = \"https://x.example/{param.a}/{external_id}\"",
        "source.crm.request: path = \"{param.b}\"",
        "source.crm.request: query = { q = [\"{param.c}\"] }",
        "source.crm.request: headers = { X-H = \"{param.d}\" }",
        "source.crm.request: method = \"POST\"",
        "source.crm.request: json = { x = [{ y = \"{param.e}\" }] }",
        "event.summit: feed = [{ source = \"crm\", params = { a = \"1\", b = \"2\", c = \"3\", d = \"4\", e = \"5\" } }]",
    ]);
    assert_eq!(source_placeholders(&spec).into_iter().collect::<String>(), "abcde");
    let form = source(&[
        "source.crm.request: method = \"POST\"",
        "source.crm.request: form = { x = \"{param.f}\" }",
        "event.summit: feed = [{ source = \"crm\", params = { f = 1 } }]",
    ]);
    assert_eq!(source_placeholders(&form).into_iter().collect::<String>(), "f");
}

#[test]
fn warnings() {
    let warnings = |edits: &[&str]| {
        let (_, warnings) = parse(&edited(edits)).expect("sound");
        warnings.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(warnings(&[]), [""; 0]);
    assert_eq!(
        warnings(&["event.summit: feed = [{ source = \"crm\", params = { event = 1 } }]"]),
        ["event.summit.feed[0].params.event: the source crm does not use this param"]
    );
    assert_eq!(
        warnings(&["event.summit: feed = []"]),
        [
            "source.crm: no event of this file has a feed of this source",
            "event.summit: no feed, so that nobody is synced into this event"
        ]
    );
    let (_, empty) = parse("").expect("an empty file is a sound one");
    assert_eq!(empty.iter().map(ToString::to_string).collect::<Vec<_>>(), ["no source, so that nothing can be synced"]);
    let events: String = (0..201).map(|n| format!("[event.e{n}]\nfeed = [{{ source = \"crm\" }}]\n")).collect();
    let (_, many) = parse(&(edited(&["event.summit: feed = []"]) + &events)).expect("sound");
    assert!(many.iter().any(|warning| warning.text == "201 feeds; metrics show the first 200 one by one"), "{many:?}");
    let events = events.replace("[event.e0]\nfeed = [{ source = \"crm\" }]\n", "");
    let (_, enough) = parse(&(edited(&["event.summit: feed = []"]) + &events)).expect("sound");
    assert!(!enough.iter().any(|warning| warning.text.contains("feeds;")), "200 are not too many: {enough:?}");
}

#[test]
fn events_of_the_api_keep_the_same_rules() {
    let spec = source(&[PARAMS, "event.summit: feed = []"]);
    let sources = BTreeMap::from([(spec.name.clone(), Arc::new(spec))]);
    let feed = |source: &str, params: &[(&str, &str)]| FeedSettings {
        source: SourceName::parse(source).expect("a legal name"),
        params: params.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        safety: crate::model::SafetySettings::default(),
        schedule: None,
        mapping: BTreeMap::new(),
    };
    let validate = |title: &str, feeds| {
        let name = EventName::parse("summit").expect("a legal name");
        let title = title.to_owned();
        let (starts_at, ends_at, zone) = (None, None, TimeZone::UTC);
        let (schedule, access, invitations) = (None, Access::default(), Default::default());
        let event = Event { name, title, starts_at, ends_at, zone, schedule, feeds, access, invitations, links: None };
        validate_event(event, &sources)
    };
    let (event, warnings) = validate("Summit", vec![feed("crm", &[("event", "1"), ("x", "y")])]).expect("sound");
    assert_eq!((event.title.as_str(), event.feeds.len()), ("Summit", 1));
    assert_eq!(warnings[0].to_string(), "feeds[0].params.x: the source crm does not use this param");
    let found = validate("", vec![feed("crm", &[("a b", "1")]), feed("crm", &[("event", "")]), feed("hr", &[])]);
    let found: Vec<_> = found.expect_err("much is wrong").iter().map(ToString::to_string).collect();
    assert_eq!(
        found,
        [
            "title: must be 1 to 256 bytes on one line; write what people call the event",
            "feeds[0].params: the source crm needs the param event; write params = { event = \"…\" }",
            "feeds[0].params.\"a b\": no name for a param (got \"a b\"); use 1 to 64 letters, digits, '-' and '_'",
            "feeds[1].source: a second feed of crm; keep one; declare a second source to read the same system in another way",
            "feeds[1].params.event: must not be empty, '.' or '..'; write the value the source knows",
            "feeds[2].source: no such source (got \"hr\"); declare it as [source.hr], or use one of crm",
        ]
    );
}
