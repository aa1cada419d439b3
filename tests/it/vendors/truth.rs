//! What a registration system knows, and whether a store says the same.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use jiff::{SignedDuration, Timestamp};
use rollcall::model::{EventField, EventName, Field, RegistrationState};

use crate::support::{Appliance, everybody};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Attending,
    Pending,
    Cancelled,
}

/// One registration.
#[derive(Debug, Clone)]
pub struct Ticket {
    pub id: u64,
    pub email: String,
    pub first: String,
    pub last: String,
    /// The kind of ticket, which is the registration type.
    pub kind: String,
    pub tags: Vec<&'static str>,
    pub state: State,
    pub changed: Timestamp,
}

/// Every registration of a system, in the order in which they came.
#[derive(Debug, Clone)]
pub struct Truth {
    tickets: Arc<Mutex<Vec<Ticket>>>,
}

/// When the first registration came; each change comes a minute after the one before.
fn beginning() -> Timestamp {
    "2026-02-01T08:00:00Z".parse().unwrap()
}

impl Truth {
    pub fn of(tickets: Vec<Ticket>) -> Self {
        Self { tickets: Arc::new(Mutex::new(tickets)) }
    }

    /// Seven registrations of six people: one holds two tickets, one is pending, one has cancelled.
    pub fn of_seven() -> Self {
        let truth = Self::of(Vec::new());
        truth.add(101, "Ada@example.org", "Ada", "Lovelace", "Speaker", State::Attending);
        truth.add(102, "grace@example.org", "Grace", "Hopper", "Visitor", State::Attending);
        truth.add(103, "grace@example.org", "Grace", "Hopper", "Workshop", State::Attending);
        truth.add(104, "edsger@example.org", "Edsger", "Dijkstra", "Visitor", State::Pending);
        truth.add(105, "alan@example.org", "Alan", "Turing", "Visitor", State::Cancelled);
        truth.add(106, "zoe@example.org", "Zoë", "Ng", "Visitor", State::Attending);
        truth.add(107, "barbara@example.org", "Barbara", "Liskov", "Speaker", State::Attending);
        truth
    }

    pub fn tickets(&self) -> Vec<Ticket> {
        self.tickets.lock().unwrap().clone()
    }

    pub fn add(&self, id: u64, email: &str, first: &str, last: &str, kind: &str, state: State) {
        let changed = self.next();
        let [email, first, last] = [email, first, last].map(ToOwned::to_owned);
        let tags = if kind == "Speaker" { vec!["Stage"] } else { Vec::new() };
        let ticket = Ticket { id, email, first, last, kind: kind.to_owned(), tags, state, changed };
        self.tickets.lock().unwrap().push(ticket);
    }

    pub fn edit(&self, id: u64, edit: impl FnOnce(&mut Ticket)) {
        let changed = self.next();
        let mut tickets = self.tickets.lock().unwrap();
        let ticket = tickets.iter_mut().find(|ticket| ticket.id == id).unwrap();
        edit(ticket);
        ticket.changed = changed;
    }

    /// Takes one out, as if it had never been.
    pub fn delete(&self, id: u64) {
        self.tickets.lock().unwrap().retain(|ticket| ticket.id != id);
    }

    /// The system's own clock: it stands between changes.
    pub fn now(&self) -> Timestamp {
        self.tickets.lock().unwrap().iter().map(|ticket| ticket.changed).max().unwrap_or_else(beginning)
    }

    fn next(&self) -> Timestamp {
        self.now() + SignedDuration::from_mins(1)
    }
}

/// Someone who is there or may yet be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub first: String,
    pub last: String,
    pub attends: bool,
    /// Of an attendee's first ticket, where the preset maps it.
    pub kind: Option<String>,
    pub groups: Vec<String>,
    pub tickets: usize,
}

/// What of the truth a preset shows.
#[derive(Debug, Clone, Copy)]
pub struct View {
    /// How many people a first sync of [`Truth::of_seven`] makes; those who have cancelled are users, too.
    pub people: u64,
    /// Are pending ones people?
    pub pending: bool,
    /// The registration type.
    pub kind: fn(&Ticket) -> Option<String>,
    pub groups: fn(&Ticket) -> Vec<String>,
}

impl View {
    fn shows(self, ticket: &Ticket) -> bool {
        ticket.state == State::Attending || self.pending && ticket.state == State::Pending
    }

    /// Who is there, by email: of several tickets the first decides.
    pub fn of(self, tickets: &[Ticket]) -> BTreeMap<String, Seen> {
        let mut seen: BTreeMap<String, Seen> = BTreeMap::new();
        let mut live: Vec<_> = tickets.iter().filter(|ticket| self.shows(ticket)).collect();
        live.sort_by_key(|ticket| ticket.id.to_string());
        for ticket in live {
            let kind = (self.kind)(ticket);
            let person = seen.entry(ticket.email.to_lowercase()).or_insert_with(|| Seen {
                first: ticket.first.clone(),
                last: ticket.last.clone(),
                attends: false,
                kind,
                groups: Vec::new(),
                tickets: 0,
            });
            person.attends |= ticket.state == State::Attending;
            person.tickets += 1;
            person.groups.extend((self.groups)(ticket).into_iter().map(|group| group.to_lowercase()));
            person.groups.sort();
            person.groups.dedup();
        }
        for person in seen.values_mut().filter(|person| !person.attends) {
            person.kind = None;
        }
        seen
    }
}

/// The same, as the store of an appliance has it.
pub fn stored(appliance: &Appliance, event: &str) -> BTreeMap<String, Seen> {
    let event = EventName::parse(event).unwrap();
    let mut seen = BTreeMap::new();
    for person in everybody(&appliance.app.store).into_values() {
        let live = person.registrations.iter().filter(|r| r.feed.event == event && !r.is_cancelled());
        let tickets = live.clone().count();
        if tickets == 0 {
            assert!(!person.attends(&event), "{} attends without a registration", person.email.as_str());
            continue;
        }
        let text = |field| person.value(&field).and_then(|value| value.as_text()).unwrap_or_default().to_owned();
        let attends = person.attends(&event);
        assert_eq!(attends, live.clone().any(|r| r.state == RegistrationState::Attending));
        let attendance = person.attendance(&event).filter(|_| attends);
        let kind = attendance
            .and_then(|attendance| attendance.fields.iter().find(|(field, _)| *field == EventField::RegistrationType));
        let kind = kind.and_then(|(_, value)| value.as_text()).map(ToOwned::to_owned);
        let groups = person.groups().iter().map(|group| group.as_str().to_owned()).collect();
        let (first, last) = (text(Field::FirstName), text(Field::LastName));
        let before =
            seen.insert(person.email.key().as_str().to_owned(), Seen { first, last, attends, kind, groups, tickets });
        assert!(before.is_none(), "two people of one email");
    }
    seen
}
