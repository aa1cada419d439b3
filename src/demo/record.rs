//! One record: who it is about, what it says, and its JSON.

use std::io::Write as _;

use jiff::Timestamp;

use super::dice::{Dice, Stream};
use super::words::{BIO_CLOSINGS, BIO_OPENINGS, COMPANIES, CULTURES, DIETS, GROUPS, JOBS, Name, TICKETS, TITLES};

// How many of a thousand records are special.
const SHARED_EMAIL: u32 = 20;
const SECOND_TICKET: u32 = 30;
const CANCELLED: u32 = 30;
const PENDING: u32 = 40;
const DELETE_FLAGGED: u32 = 2;
const BAD: u32 = 3;
const MIXED_CASE: u32 = 200;

/// 2026-01-05T08:00:00Z: when registration opened. Version 0 of every record is from the 100 days after.
const OPENED_AT_SECONDS: i64 = 1_767_600_000;
const OPEN_SECONDS: u32 = 100 * 24 * 3600;

/// The group that the configuration's own rule gives to vegetarians.
pub(super) const VEGETARIAN_GROUP: &str = "Vegetarian lunch";
pub(super) const VEGETARIAN: &str = "vegetarian";

/// What decides a record, beside its number and version.
#[derive(Debug, Clone, Copy)]
pub(super) struct World {
    pub seed: u64,
    /// Are some records broken, as in real lists?
    pub bad_records: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Confirmed,
    Pending,
    Cancelled,
}

impl Status {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::Pending => "pending",
            Self::Cancelled => "cancelled",
        }
    }
}

/// What is wrong with a record on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Defect {
    NoLastName,
    BrokenEmail,
}

/// How a record is related to the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kinship {
    /// A new person with an address of their own.
    None,
    /// Another person on the address of the one before, who bought both tickets.
    SharedEmail,
    /// Another ticket of the person before.
    SamePerson,
}

/// One record of the list.
pub(super) struct Record {
    pub number: u32,
    pub email: String,
    pub first_name: &'static str,
    pub last_name: &'static str,
    pub title: &'static str,
    pub job_title: &'static str,
    pub company: &'static str,
    pub country: &'static str,
    bio: [&'static str; 2],
    dial: &'static str,
    phone: u32,
    pub status: Status,
    ticket: &'static str,
    pub diet: &'static str,
    first_visit: bool,
    /// One bit for each of [`GROUPS`].
    groups: u8,
    pub delete_flag: bool,
    pub defect: Option<Defect>,
    updated_at_seconds: i64,
}

/// The external id of a record.
pub(super) fn external_id(number: u32) -> String {
    format!("reg_{number:06}")
}

impl World {
    /// The record of this number as it stands in this version. Version 0 is the first.
    pub fn record(self, number: u32, version: u32) -> Record {
        let kinship = self.kinship(number);
        let before = number.saturating_sub(1);
        let person = self.person(if kinship == Kinship::SamePerson { before } else { number });
        let buyer = if kinship == Kinship::SharedEmail { self.person(before) } else { person };
        let mut dice = Dice::new(self.seed, Stream::Record, number.into());
        let mut record = person.record(number);
        record.status = status(&mut dice);
        record.delete_flag = dice.chance(DELETE_FLAGGED);
        record.defect = defect(&mut dice).filter(|_| self.bad_records);
        record.ticket = dice.pick(TICKETS);
        record.groups = groups(&mut dice);
        record.email = buyer.email(&mut dice, record.defect);
        record.updated_at_seconds = OPENED_AT_SECONDS + i64::from(dice.roll(OPEN_SECONDS));
        if version > 0 {
            self.revise(&mut record, person.job, version);
        }
        record
    }

    /// How the record is related to the one before, which is then a person of its own: chains do not happen.
    pub fn kinship(self, number: u32) -> Kinship {
        let Some(before) = number.checked_sub(1) else { return Kinship::None };
        if self.draw_kinship(before) == Kinship::None { self.draw_kinship(number) } else { Kinship::None }
    }

    fn draw_kinship(self, number: u32) -> Kinship {
        match Dice::new(self.seed, Stream::Kinship, number.into()).roll(1_000) {
            roll if roll < SHARED_EMAIL => Kinship::SharedEmail,
            roll if roll < SHARED_EMAIL + SECOND_TICKET => Kinship::SamePerson,
            _ => Kinship::None,
        }
    }

    fn person(self, number: u32) -> Person {
        let mut dice = Dice::new(self.seed, Stream::Person, number.into());
        let culture = &CULTURES[dice.roll(CULTURES.len() as u32) as usize];
        Person {
            number,
            country: culture.country,
            dial: culture.dial,
            given: dice.pick(culture.given),
            family: dice.pick(culture.family),
            company: dice.pick(COMPANIES),
            title: dice.pick(TITLES),
            job: dice.roll(JOBS.len() as u32) as usize,
            bio: [dice.pick(BIO_OPENINGS), dice.pick(BIO_CLOSINGS)],
            phone: dice.roll(100_000_000),
            diet: dice.pick(DIETS),
            first_visit: dice.chance(400),
        }
    }

    /// Every version has another job than the one before it, and sometimes another telephone.
    fn revise(self, record: &mut Record, first_job: usize, version: u32) {
        let mut dice = Dice::new(self.seed, Stream::Version, u64::from(record.number) << 32 | u64::from(version));
        record.job_title = JOBS[(first_job + version as usize) % JOBS.len()];
        if dice.chance(300) {
            record.phone = dice.roll(100_000_000);
        }
        record.updated_at_seconds += i64::from(OPEN_SECONDS) + i64::from(version) * 60;
    }
}

/// Who somebody is, whatever their tickets say.
#[derive(Clone, Copy)]
struct Person {
    number: u32,
    country: &'static str,
    dial: &'static str,
    given: Name,
    family: Name,
    /// Name and domain.
    company: (&'static str, &'static str),
    title: &'static str,
    job: usize,
    bio: [&'static str; 2],
    phone: u32,
    diet: &'static str,
    first_visit: bool,
}

impl Person {
    /// A confirmed record of this person; the caller fills in what is the record's own.
    fn record(&self, number: u32) -> Record {
        Record {
            number,
            email: String::new(),
            first_name: self.given.0,
            last_name: self.family.0,
            title: self.title,
            job_title: JOBS[self.job],
            company: self.company.0,
            country: self.country,
            bio: self.bio,
            dial: self.dial,
            phone: self.phone,
            status: Status::Confirmed,
            ticket: TICKETS[0],
            diet: self.diet,
            first_visit: self.first_visit,
            groups: 0,
            delete_flag: false,
            defect: None,
            updated_at_seconds: OPENED_AT_SECONDS,
        }
    }

    /// The address, unique by the person's number. Its case is the record's own, as people type it.
    fn email(&self, dice: &mut Dice, defect: Option<Defect>) -> String {
        let at = if defect == Some(Defect::BrokenEmail) { " at " } else { "@" };
        let mut email = format!("{}.{}{}{at}{}", self.given.1, self.family.1, self.number, self.company.1);
        if dice.chance(MIXED_CASE) {
            let capital = dice.roll(self.given.1.len() as u32) as usize;
            email[..=capital].make_ascii_uppercase();
        }
        email
    }
}

fn status(dice: &mut Dice) -> Status {
    match dice.roll(1_000) {
        roll if roll < CANCELLED => Status::Cancelled,
        roll if roll < CANCELLED + PENDING => Status::Pending,
        _ => Status::Confirmed,
    }
}

fn defect(dice: &mut Dice) -> Option<Defect> {
    let kind = if dice.chance(500) { Defect::NoLastName } else { Defect::BrokenEmail };
    dice.chance(BAD).then_some(kind)
}

fn groups(dice: &mut Dice) -> u8 {
    let mut bits = 0;
    for (place, (_, per_mille)) in GROUPS.iter().enumerate() {
        bits |= u8::from(dice.chance(*per_mille)) << place;
    }
    bits
}

impl Record {
    /// The groups that the record names.
    pub fn groups(&self) -> impl Iterator<Item = &'static str> {
        let bits = self.groups;
        GROUPS.iter().enumerate().filter(move |(place, _)| bits >> place & 1 == 1).map(|(_, (name, _))| *name)
    }

    /// Appends the record as one JSON object.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        numbered(out, "{\"id\":\"reg_", self.number, "\"");
        text(out, ",\"email\":", &self.email);
        text(out, ",\"first_name\":", self.first_name);
        if self.defect != Some(Defect::NoLastName) {
            text(out, ",\"last_name\":", self.last_name);
        }
        text(out, ",\"title\":", self.title);
        text(out, ",\"job_title\":", self.job_title);
        text(out, ",\"company\":", self.company);
        text(out, ",\"country\":", self.country);
        self.write_bio(out);
        self.write_phone(out);
        text(out, ",\"status\":", self.status.as_str());
        numbered(out, ",\"ticket\":{\"id\":\"tkt_", self.number, "\"");
        text(out, ",\"type\":", self.ticket);
        text(out, "},\"answers\":{\"diet\":", self.diet);
        out.extend_from_slice(if self.first_visit { b",\"first_visit\":true}" } else { b",\"first_visit\":false}" });
        self.write_groups(out);
        numbered(out, ",\"badge_url\":\"https://badges.example/reg_", self.number, ".png\"");
        if self.delete_flag {
            out.extend_from_slice(b",\"gdpr_delete\":true");
        }
        out.extend_from_slice(b",\"updated_at\":\"");
        time(out, self.updated_at_seconds);
        out.extend_from_slice(b"\"}");
    }

    fn write_bio(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b",\"bio\":\"");
        escaped(out, self.bio[0]);
        out.push(b' ');
        escaped(out, self.bio[1]);
        out.push(b'"');
    }

    fn write_phone(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b",\"phone\":\"");
        out.extend_from_slice(self.dial.as_bytes());
        out.extend_from_slice(b" 15");
        digits(out, self.phone, 8);
        out.push(b'"');
    }

    fn write_groups(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b",\"groups\":[");
        for (place, name) in self.groups().enumerate() {
            text(out, if place == 0 { "" } else { "," }, name);
        }
        out.push(b']');
    }
}

/// `key` as it stands, then `value` as a JSON text.
fn text(out: &mut Vec<u8>, key: &str, value: &str) {
    out.extend_from_slice(key.as_bytes());
    out.push(b'"');
    escaped(out, value);
    out.push(b'"');
}

/// A number of at least six digits between two constants.
fn numbered(out: &mut Vec<u8>, before: &str, number: u32, after: &str) {
    out.extend_from_slice(before.as_bytes());
    digits(out, number, 6);
    out.extend_from_slice(after.as_bytes());
}

/// The decimal digits of a number, at least `least` of them (at most 10).
fn digits(out: &mut Vec<u8>, mut number: u32, least: usize) {
    let mut buffer = [b'0'; 10];
    let mut start = buffer.len();
    while number > 0 {
        start -= 1;
        // A digit: always below 10.
        buffer[start] = b'0' + (number % 10) as u8;
        number /= 10;
    }
    out.extend_from_slice(&buffer[start.min(buffer.len() - least)..]);
}

/// The inside of a JSON text (RFC 8259 §7).
fn escaped(out: &mut Vec<u8>, value: &str) {
    let plain = |b: &u8| *b >= 0x20 && *b != b'"' && *b != b'\\';
    if value.as_bytes().iter().all(plain) {
        out.extend_from_slice(value.as_bytes());
        return;
    }
    for byte in value.bytes() {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            0..0x20 => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            _ => out.push(byte),
        }
    }
}

/// RFC 3339, UTC.
fn time(out: &mut Vec<u8>, seconds: i64) {
    let instant = Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH);
    // Writing to memory cannot fail.
    let _ = write!(out, "{instant}");
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use serde_json::Value;

    use super::*;

    const WORLD: World = World { seed: 1, bad_records: true };
    const MANY: u32 = 20_000;

    fn json(world: World, number: u32, version: u32) -> Vec<u8> {
        let mut out = Vec::new();
        world.record(number, version).write_json(&mut out);
        out
    }

    fn parsed(number: u32, version: u32) -> Value {
        serde_json::from_slice(&json(WORLD, number, version)).unwrap()
    }

    fn share(counted: impl Fn(u32) -> bool) -> f64 {
        (0..MANY).filter(|number| counted(*number)).count() as f64 / f64::from(MANY)
    }

    #[test]
    fn records_depend_on_seed_number_and_version_alone() {
        for number in [0, 1, 77, 1_234_567] {
            assert_eq!(json(WORLD, number, 3), json(WORLD, number, 3));
            assert_ne!(json(WORLD, number, 0), json(World { seed: 2, ..WORLD }, number, 0));
        }
    }

    #[test]
    fn every_record_is_json_of_about_550_bytes() {
        let mut bytes = 0;
        for number in 0..MANY {
            let raw = json(WORLD, number, 0);
            bytes += raw.len();
            let record: Value = serde_json::from_slice(&raw).unwrap();
            assert_eq!(record["id"], external_id(number));
            assert!(record["updated_at"].as_str().unwrap().parse::<Timestamp>().is_ok());
        }
        let mean = bytes / MANY as usize;
        assert!((530..=580).contains(&mean), "{mean}");
    }

    #[test]
    fn the_special_records_are_as_frequent_as_said() {
        let record = |number| WORLD.record(number, 0);
        let shares = [
            ("shared email", 0.02, share(|n| WORLD.kinship(n) == Kinship::SharedEmail)),
            ("second ticket", 0.03, share(|n| WORLD.kinship(n) == Kinship::SamePerson)),
            ("cancelled", 0.03, share(|n| record(n).status == Status::Cancelled)),
            ("pending", 0.04, share(|n| record(n).status == Status::Pending)),
            ("flagged", 0.002, share(|n| record(n).delete_flag)),
            ("bad", 0.003, share(|n| record(n).defect.is_some())),
            ("capital in the address", 0.2, share(|n| record(n).email.contains(|c: char| c.is_ascii_uppercase()))),
        ];
        for (what, expected, seen) in shares {
            assert!((expected * 0.7..expected * 1.3).contains(&seen), "{what}: {seen}");
        }
        let clean = World { bad_records: false, ..WORLD };
        assert!((0..MANY).all(|n| clean.record(n, 0).defect.is_none()));
    }

    #[test]
    fn an_address_belongs_to_one_person_or_to_a_buyer_and_a_guest() {
        let mut seen: HashMap<String, Vec<u32>> = HashMap::new();
        for number in 0..MANY {
            let key = WORLD.record(number, 0).email.to_lowercase();
            seen.entry(key).or_default().push(number);
        }
        for numbers in seen.values() {
            match numbers[..] {
                [_] => {}
                [a, b] => assert!(b == a + 1 && WORLD.kinship(b) != Kinship::None, "{numbers:?}"),
                _ => panic!("too many records on one address: {numbers:?}"),
            }
        }
    }

    #[test]
    fn kin_share_what_they_should() {
        let first = |kinship| (1..MANY).find(|n| WORLD.kinship(*n) == kinship).unwrap();
        let name = |n| (WORLD.record(n, 0).first_name, WORLD.record(n, 0).last_name, WORLD.record(n, 0).phone);
        let second_ticket = first(Kinship::SamePerson);
        assert_eq!(name(second_ticket), name(second_ticket - 1));
        let guest = first(Kinship::SharedEmail);
        assert_ne!(name(guest), name(guest - 1));
    }

    #[test]
    fn bad_records_are_bad_in_the_json() {
        let find = |defect| (0..MANY).find(|n| WORLD.record(*n, 0).defect == Some(defect)).unwrap();
        assert_eq!(parsed(find(Defect::NoLastName), 0).get("last_name"), None);
        assert!(!parsed(find(Defect::BrokenEmail), 0)["email"].as_str().unwrap().contains('@'));
    }

    #[test]
    fn a_version_changes_the_job_and_little_else() {
        for number in 0..200 {
            for version in 0..JOBS.len() as u32 + 2 {
                let (Value::Object(old), Value::Object(new)) = (parsed(number, version), parsed(number, version + 1))
                else {
                    panic!("records are objects");
                };
                let changed: Vec<_> = old.keys().filter(|key| old[*key] != new[*key]).map(String::as_str).collect();
                assert!(changed.contains(&"job_title") && changed.contains(&"updated_at"), "{changed:?}");
                assert!(changed.len() <= 3, "{changed:?}");
                let time = |record: &serde_json::Map<String, Value>| record["updated_at"].as_str().unwrap().to_owned();
                assert!(time(&old) < time(&new), "RFC 3339 in UTC sorts as text");
            }
        }
    }

    #[test]
    fn texts_are_escaped() {
        let mut out = Vec::new();
        text(&mut out, "", "a\"b\\c\n\u{1}é");
        assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), "a\"b\\c\n\u{1}é");
    }

    #[test]
    fn numbers_have_at_least_the_digits_asked_for() {
        for (number, least, expected) in [(0, 6, "000000"), (42, 6, "000042"), (u32::MAX, 6, "4294967295")] {
            let mut out = Vec::new();
            digits(&mut out, number, least);
            assert_eq!(out, expected.as_bytes());
        }
    }
}
