//! 100,000 people, and what a naive model says of each.
//!
//! The model knows no indexes: it keeps what was rolled for everybody and looks through all of it for each answer. It
//! shares no rule with the program.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use rollcall::model::{
    Access, AccessReason, Action, Admission, Attendance, AttendanceByHand, ByHand, Decision, Digest, Email, EmailKey,
    EventField, EventName, ExternalId, FeedId, Field, GroupKey, GroupName, Invitation, InvitationState,
    MembershipByHand, Override, Page, Person, PersonChange, ProfileField, Registration, RegistrationState, SourceName,
    UserId, Value as FieldValue,
};
use rollcall::plan;
use rollcall::store::{ChangeSet, Who};
use serde_json::{Value, json};

use super::audiences::audience;
use crate::by_hand::world::World;
use crate::support::Dice;

const PEOPLE: u32 = 100_000;
const PEOPLE_PER_BATCH: usize = 2_000;
const EVENTS: [&str; 3] = ["e", "f", "last"];
const GROUPS: [&str; 5] = ["vip", "press", "staff", "crew", "jury"];
const COUNTRIES: [&str; 4] = ["DE", "FR", "IS", "JP"];
const TYPES: [&str; 3] = ["Guest", "Speaker", "Student"];

/// What was rolled for one person. Events, groups and so on by their places in the lists above.
struct Soul {
    number: u32,
    country: usize,
    /// By event: attends or no longer, and the type.
    places: BTreeMap<usize, (bool, usize)>,
    /// Registrations: event, whether it is cancelled, the groups that it grants.
    tickets: Vec<(usize, bool, BTreeSet<usize>)>,
    /// Kept out of events.
    banned: BTreeSet<usize>,
    /// Put into groups, for an event or for none.
    put_into: BTreeMap<usize, Option<usize>>,
    kept_out_of: BTreeSet<usize>,
    account: bool,
    /// By event: invited, and how far that came; whether they came.
    journey: BTreeMap<usize, (Option<InvitationState>, bool)>,
}

impl Soul {
    fn roll(number: u32, dice: &mut Dice) -> Self {
        let mut soul = Self {
            number,
            country: dice.below(COUNTRIES.len()),
            places: BTreeMap::new(),
            tickets: Vec::new(),
            banned: BTreeSet::new(),
            put_into: BTreeMap::new(),
            kept_out_of: BTreeSet::new(),
            account: dice.percent(40),
            journey: BTreeMap::new(),
        };
        for event in 0..EVENTS.len() {
            if dice.percent(60) {
                soul.places.insert(event, (dice.percent(80), dice.below(TYPES.len())));
            }
            for _ in 0..dice.below(3) {
                let groups = (0..GROUPS.len()).filter(|_| dice.percent(15)).collect();
                soul.tickets.push((event, dice.percent(25), groups));
            }
            if dice.percent(30) {
                let state = dice.percent(70).then(|| InvitationState::ALL[dice.below(InvitationState::ALL.len())]);
                let came = state.is_none() || dice.percent(50);
                soul.journey.insert(event, (state, came));
            }
            if dice.percent(2) {
                soul.banned.insert(event);
            }
        }
        for group in 0..GROUPS.len() {
            match dice.below(50) {
                0 => drop(soul.put_into.insert(group, None)),
                1 => drop(soul.put_into.insert(group, Some(dice.below(EVENTS.len())))),
                2 => drop(soul.kept_out_of.insert(group)),
                _ => {}
            }
        }
        soul
    }

    fn email(&self) -> String {
        format!("soul.{}@x.org", self.number)
    }

    /// Is in the group, through this event or, with `None`, through any.
    fn is_in(&self, group: usize, event: Option<usize>) -> bool {
        let counts = |of: usize| event.is_none_or(|event| event == of);
        let by_ticket =
            self.tickets.iter().any(|(of, cancelled, groups)| !cancelled && groups.contains(&group) && counts(*of));
        let by_hand = self.put_into.get(&group).is_some_and(|of| of.is_none_or(counts));
        (by_ticket || by_hand) && !self.kept_out_of.contains(&group)
    }

    fn attends(&self, event: usize) -> bool {
        self.places.get(&event).is_some_and(|(active, _)| *active)
    }

    fn person(&self) -> Person {
        let at = Timestamp::UNIX_EPOCH;
        let (email, event) = (Email::parse(&self.email()).unwrap(), |at: usize| EventName::parse(EVENTS[at]).unwrap());
        let group = |at: usize| GroupKey::of(GROUPS[at]).unwrap();
        let decision = || Decision { by: "desk".into(), at };
        let registration = |(n, (of, cancelled, groups)): (usize, &(usize, bool, BTreeSet<usize>))| Registration {
            feed: FeedId { event: event(*of), source: SourceName::parse("s").unwrap() },
            external_id: ExternalId::new(&format!("{}-{n}", self.number)).unwrap(),
            email: email.clone(),
            state: if *cancelled { RegistrationState::Cancelled } else { RegistrationState::Attending },
            absent_since: None,
            updated_at: None,
            raw: Digest(u128::from(self.number) * 16 + n as u128 + 1),
            mapped: Digest(1),
            fields: Vec::new(),
            event_fields: Vec::new(),
            groups: groups.iter().map(|at| group(*at)).collect::<BTreeSet<_>>().into_iter().collect(),
        };
        let attendance = |(of, (active, kind)): (&usize, &(bool, usize))| Attendance {
            event: event(*of),
            active: *active,
            changed_at: at,
            fields: vec![(EventField::RegistrationType, FieldValue::Text(TYPES[*kind].into()))],
        };
        let mut registrations: Vec<_> = self.tickets.iter().enumerate().map(registration).collect();
        registrations.sort_by(|a, b| (&a.feed, &a.external_id).cmp(&(&b.feed, &b.external_id)));
        let mut memberships: Vec<_> = self
            .put_into
            .iter()
            .map(|(at, of)| (group(*at), Override::Added, of.map(event)))
            .chain(self.kept_out_of.iter().map(|at| (group(*at), Override::Excluded, None)))
            .map(|(group, set, event)| MembershipByHand { group, set, event, decision: decision() })
            .collect();
        memberships.sort_by(|a, b| a.group.cmp(&b.group));
        let banned = |at: &usize| AttendanceByHand { event: event(*at), set: Override::Excluded, decision: decision() };
        let attendances = self.banned.iter().map(banned).collect();
        let by_hand = ByHand { attendances, memberships, ..ByHand::default() };
        let mut person = Person {
            id: UserId::from_u128(u128::from(self.number) + 1),
            email,
            email_owner: None,
            profile: vec![ProfileField {
                field: Field::Country,
                value: FieldValue::Text(COUNTRIES[self.country].into()),
                owner: None,
            }],
            registrations,
            attendances: self.places.iter().map(attendance).collect(),
            created_at: at,
            by_hand: (!by_hand.is_empty()).then(|| Box::new(by_hand)),
            journey: None,
        };
        if self.account {
            person.travel(|journey| journey.account_at = Some(at));
        }
        for (of, (state, came)) in &self.journey {
            person.pass(&event(*of), |passage| {
                passage.invitation = state.map(|state| Invitation::new(state, at));
                passage.first_access_at = came.then_some(at);
            });
        }
        person
    }
}

pub struct Crowd(Vec<Soul>);

impl Crowd {
    pub fn new(seed: u64, people: u32) -> Self {
        let mut dice = Dice::new(seed);
        Self((0..people).map(|number| Soul::roll(number, &mut dice)).collect())
    }

    pub async fn enter(&self, world: &World) {
        let store = world.appliance.app.store.clone();
        let batch = |souls: &[Soul]| {
            let create = |soul: &Soul| {
                let person = soul.person();
                PersonChange { action: Action::Create, user: None, id: person.id, before: None, after: Some(person) }
            };
            let groups = GROUPS.iter().filter_map(|name| GroupName::new(name)).collect();
            ChangeSet { people: souls.iter().map(create).collect(), groups, ..ChangeSet::default() }
        };
        for souls in self.0.chunks(PEOPLE_PER_BATCH) {
            store.commit_async(batch(souls)).await.unwrap();
        }
    }

    fn emails(&self, wanted: impl Fn(&Soul) -> bool) -> Vec<String> {
        self.0.iter().filter(|soul| wanted(soul)).map(Soul::email).collect()
    }
}

/// What a door tells, by the words of the specification.
fn judged(soul: Option<&Soul>, event: usize, restricted: bool, page: Option<&[usize]>) -> &'static str {
    let banned = soul.is_some_and(|soul| soul.banned.contains(&event));
    let attends = soul.is_some_and(|soul| soul.attends(event));
    if banned {
        return "excluded";
    }
    if restricted && !attends {
        return if soul.is_some() { "not_attending" } else { "unknown_person" };
    }
    match (page, soul) {
        (Some(_), None) => "unknown_person",
        (Some(groups), Some(soul)) if groups.iter().any(|group| soul.is_in(*group, Some(event))) => "group",
        (Some(_), _) => "no_group",
        _ if restricted => "attendee",
        _ => "open",
    }
}

const fn word(reason: AccessReason) -> &'static str {
    match reason {
        AccessReason::Open => "open",
        AccessReason::Attendee => "attendee",
        AccessReason::Group => "group",
        AccessReason::UnknownPerson => "unknown_person",
        AccessReason::NotAttending => "not_attending",
        AccessReason::Excluded => "excluded",
        AccessReason::NoGroup => "no_group",
    }
}

const PAGES: [&[usize]; 2] = [&[0], &[1, 3]];

#[tokio::test(flavor = "multi_thread")]
async fn access_of_100_000_people_is_what_a_naive_model_says() {
    let world = World::in_memory().await;
    let crowd = Crowd::new(1, PEOPLE);
    crowd.enter(&world).await;
    let store = &world.appliance.app.store;
    let keys = |groups: &[usize]| groups.iter().map(|at| GroupKey::of(GROUPS[*at]).unwrap()).collect();
    let doors = [Admission::Open, Admission::Restricted].map(|admission| Access { admission, pages: BTreeMap::new() });
    let pages =
        [None, Some(PAGES[0]), Some(PAGES[1])].map(|groups| (groups, groups.map(|of| Page { groups: Some(keys(of)) })));
    let mut told = BTreeMap::new();
    for (event, name) in EVENTS.iter().enumerate() {
        let name = EventName::parse(name).unwrap();
        for soul in &crowd.0 {
            let email = Email::parse(&soul.email()).unwrap().key();
            let standing = store.standing(&name, &Who::Email(email));
            let groups: Vec<_> = (0..GROUPS.len()).filter(|at| soul.is_in(*at, Some(event))).collect();
            let expected: BTreeSet<GroupKey> = keys(&groups);
            assert_eq!(standing.groups, expected.into_iter().collect::<Vec<_>>(), "{} in {name}", soul.number);
            for door in &doors {
                for (groups, page) in &pages {
                    let reason = word(plan::access(door, page.as_ref(), &standing));
                    let expected = judged(Some(soul), event, door.admission == Admission::Restricted, *groups);
                    assert_eq!(reason, expected, "{} in {name}: {door:?} {groups:?}", soul.number);
                    *told.entry(expected).or_insert(0) += 1;
                }
            }
        }
        let standing = store.standing(&name, &Who::Email(EmailKey::of("nobody@x.org")));
        assert_eq!((standing.user, standing.groups), (None, Vec::new()));
    }
    assert!(told.len() == 6 && told.values().all(|times| *times > 1_000), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn audiences_of_100_000_people_are_what_a_naive_model_says() {
    let world = World::in_memory().await;
    let crowd = Crowd::new(2, PEOPLE);
    crowd.enter(&world).await;
    world.put("/v1/events/last", json!({"title": "Last year"})).await.good();
    let of = |event: &str| EVENTS.iter().position(|name| *name == event).unwrap();
    let (e, f, last) = (of("e"), of("f"), of("last"));
    type Wanted = Box<dyn Fn(&Soul) -> bool>;
    let asked: Vec<(Value, Wanted)> = vec![
        (json!({"all": [{"group": "vip"}]}), Box::new(|soul| soul.is_in(0, None))),
        (json!({"all": [{"group": "vip", "event": "e"}]}), Box::new(move |soul| soul.is_in(0, Some(e)))),
        (
            json!({"all": [{"event": "e"}], "any": [{"group": "vip"}, {"group": "press"}], "none": [{"group": "jury"}]}),
            Box::new(move |soul| {
                soul.attends(e) && (soul.is_in(0, None) || soul.is_in(1, None)) && !soul.is_in(4, None)
            }),
        ),
        (
            json!({"all": [{"event": "last", "state": "all"}], "none": [{"event": "e", "state": "all"}]}),
            Box::new(move |soul| soul.places.contains_key(&last) && !soul.places.contains_key(&e)),
        ),
        (
            json!({"all": [{"event": "e", "invitation": "queued", "access": false}, {"account": false}]}),
            Box::new(move |soul| {
                let waits = [InvitationState::Queued, InvitationState::Sending];
                let journey = soul.journey.get(&e);
                let queued = journey.is_some_and(|(state, came)| state.is_some_and(|s| waits.contains(&s)) && !came);
                soul.attends(e) && queued && !soul.account
            }),
        ),
        (
            json!({"all": [{"event": "f", "state": "inactive", "invitation": "none"}, {"account": true}]}),
            Box::new(move |soul| {
                let left = soul.places.get(&f).is_some_and(|(active, _)| !active);
                left && soul.journey.get(&f).is_none_or(|(state, _)| state.is_none()) && soul.account
            }),
        ),
        (
            json!({"all": [{"group": "crew", "event": "f"}], "any": [{"country": "is"}, {"event": "e"}]}),
            Box::new(move |soul| soul.is_in(3, Some(f)) && (soul.country == 2 || soul.attends(e))),
        ),
        (
            json!({"all": [{"event": "e", "registration_type": "speaker"}, {"group": "staff"}], "none": [{"country": "JP"}]}),
            Box::new(move |soul| soul.places.get(&e) == Some(&(true, 1)) && soul.is_in(2, None) && soul.country != 3),
        ),
        (json!({"none": [{"country": "de"}]}), Box::new(|soul| soul.country != 0)),
    ];
    for (query, wanted) in asked {
        let expected = crowd.emails(wanted);
        assert!(expected.len() > 100, "{query} finds few");
        assert!(audience(&world, &query).await == expected, "{query}");
    }
    // A page reads so many at most; with its cursor nobody is missed and nobody comes twice.
    let (mut found, mut cursor, mut short) = (Vec::new(), String::new(), 0);
    loop {
        let page = world.get(&format!("/v1/events/e/attendees?limit=400&country=jp&q=soul.99{cursor}")).await;
        let items = page["items"].as_array().unwrap();
        found.extend(items.iter().map(|item| item["email"].as_str().unwrap().to_owned()));
        let Some(next) = page["next_cursor"].as_str() else { break };
        short += usize::from(items.len() < 400);
        cursor = format!("&cursor={next}");
    }
    let wanted = |soul: &Soul| soul.attends(e) && soul.country == 3 && soul.email().contains("soul.99");
    assert_eq!(found, crowd.emails(wanted));
    assert!(short > 3 && found.len() > 100, "{short} short pages, {} people", found.len());
}
