//! The list of a registration system in which everything happens that can happen to a person between two reads.

use serde_json::{Value, json};

use crate::support::{Dice, noise};

/// Most records, fewest records, and how many a page has.
const RECORDS_MAX: usize = 170;
const RECORDS_MIN: usize = 120;
const PAGE: usize = 60;
/// So long that a commit takes several batches, so short a list that mapping it takes no time.
const BIOGRAPHY_BYTES: usize = 32 * 1024;
const GROUPS: [&str; 5] = ["Red", "blue", "Green", "Speakers", "RED"];

#[derive(Clone)]
struct Record {
    id: usize,
    email: usize,
    name: usize,
    biography: u64,
    groups: Vec<usize>,
    cancelled: bool,
    deleted: bool,
    /// Left out of the list for now.
    missing: bool,
}

pub struct List {
    records: Vec<Record>,
    next: usize,
}

impl List {
    pub fn new(dice: &mut Dice) -> Self {
        let mut list = Self { records: Vec::new(), next: 0 };
        while list.records.len() < RECORDS_MIN {
            list.add(dice);
        }
        list
    }

    fn add(&mut self, dice: &mut Dice) {
        self.next += 1;
        let id = self.next;
        // Now and then a second ticket of somebody who is there.
        let email = if dice.percent(5) && id > 1 { self.pick(dice).email } else { id };
        let groups = groups(dice);
        let (name, biography) = (dice.below(3), dice.roll());
        self.records.push(Record {
            id,
            email,
            name,
            biography,
            groups,
            cancelled: false,
            deleted: false,
            missing: false,
        });
    }

    fn pick(&mut self, dice: &mut Dice) -> &mut Record {
        let at = dice.below(self.records.len());
        &mut self.records[at]
    }

    /// A day goes by.
    pub fn change(&mut self, dice: &mut Dice) {
        // Whom a delete flag reached comes back unflagged, or never again.
        self.records.retain(|record| !record.deleted || record.id.is_multiple_of(3));
        for record in &mut self.records {
            (record.deleted, record.missing) = (false, dice.percent(4));
            record.cancelled = if record.cancelled { dice.percent(60) } else { dice.percent(6) };
            if dice.percent(70) {
                record.biography = dice.roll();
            }
            if dice.percent(30) {
                record.groups = groups(dice);
            }
            if dice.percent(4) {
                record.deleted = true;
            }
            if dice.percent(3) {
                self.next += 1;
                record.email = self.next;
            }
        }
        for _ in 0..3 {
            // Two people swap addresses, or meet under one.
            let (one, other) = (dice.below(self.records.len()), dice.below(self.records.len()));
            let (email, others) = (self.records[one].email, self.records[other].email);
            self.records[one].email = others;
            if dice.percent(70) {
                self.records[other].email = email;
            }
        }
        let wanted = RECORDS_MIN + dice.below(RECORDS_MAX - RECORDS_MIN);
        while self.records.len() < wanted {
            self.add(dice);
        }
        while self.records.len() > RECORDS_MAX {
            let at = dice.below(self.records.len());
            self.records.remove(at);
        }
    }

    pub fn pages(&self) -> Vec<String> {
        let shown: Vec<_> = self.records.iter().filter(|record| !record.missing).map(Record::json).collect();
        shown.chunks(PAGE).map(|page| json!({ "items": page }).to_string()).collect()
    }
}

fn groups(dice: &mut Dice) -> Vec<usize> {
    // Some groups are new in their round.
    let mut groups: Vec<_> = (0..GROUPS.len()).filter(|_| dice.percent(30)).collect();
    groups.extend(dice.percent(3).then(|| 100 + dice.below(1000)));
    groups
}

impl Record {
    fn json(&self) -> Value {
        let groups =
            self.groups.iter().map(|at| GROUPS.get(*at).map_or(format!("Table {at}"), |name| (*name).to_owned()));
        json!({
            "id": self.id,
            "email": format!("p{}@x.org", self.email),
            "first": format!("N{}", self.name),
            "last": "Example",
            "biography": noise(self.biography, BIOGRAPHY_BYTES),
            "status": if self.cancelled { "cancelled" } else { "ok" },
            "erase": self.deleted,
            "groups": groups.collect::<Vec<_>>(),
        })
    }
}
