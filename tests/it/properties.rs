//! Properties of whole syncs: small communities, where emails and ids collide all the time, through random lists.
//!
//! A failure prints the lists; shrunk, it becomes a golden case.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use rollcall::model::{Action, Entry, Run};
use rollcall::store::Store;
use serde_json::{Value, json};

use crate::support::{Appliance, ListServer, check_indexes, everybody, plan_text, store_text};

/// How many sequences each property is held against, unless `PROPTEST_CASES` says otherwise.
const CASES: u32 = 24;
const EVENTS: [&str; 2] = ["e", "f"];
const SOURCES: [&str; 2] = ["s", "t"];

/// One record; small numbers stand for emails, names and so on.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Record {
    id: u8,
    email: u8,
    name: u8,
    company: Option<u8>,
    updated: Option<u8>,
    state: State,
    groups: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Attending,
    Pending,
    Cancelled,
    /// Cancelled, and nothing else said but the id.
    Blanked,
    Deleted,
    /// Not for us.
    Skipped,
    /// Without a name.
    Faulty,
}

/// One feed's list at one time.
#[derive(Debug, Clone)]
struct List {
    event: usize,
    source: usize,
    records: Vec<Record>,
    /// What decides the order and the pages when the list is shuffled.
    shuffle: u64,
    full: bool,
}

impl Record {
    fn json(&self) -> Value {
        if self.state == State::Blanked {
            return json!({ "id": self.id, "status": "cancelled" });
        }
        let status = match self.state {
            State::Pending => "pending",
            State::Cancelled => "cancelled",
            _ => "ok",
        };
        let groups: Vec<_> =
            self.groups.iter().map(|group| ["Red", "RED", "blue", "Green"][usize::from(*group)]).collect();
        json!({
            "id": self.id,
            "email": format!("{}@x.org", ["a", "b", "C", "c", "d"][usize::from(self.email)]),
            "first": if self.state == State::Faulty { Value::Null } else { format!("N{}", self.name).into() },
            "last": "Example",
            "company": self.company.map(|company| format!("C{company}")),
            "updated": self.updated.map(|day| format!("2026-01-0{}T00:00:00Z", day + 1)),
            "status": status,
            "erase": self.state == State::Deleted,
            "test": self.state == State::Skipped,
            "groups": groups,
        })
    }
}

fn state() -> impl Strategy<Value = State> {
    prop_oneof![
        12 => Just(State::Attending),
        2 => Just(State::Pending),
        4 => Just(State::Cancelled),
        1 => Just(State::Blanked),
        1 => Just(State::Deleted),
        1 => Just(State::Skipped),
        1 => Just(State::Faulty),
    ]
}

fn record() -> impl Strategy<Value = Record> {
    let company = proptest::option::of(0u8..3);
    let updated = proptest::option::of(0u8..2);
    (1u8..7, 0u8..5, 0u8..2, company, updated, state(), proptest::collection::vec(0u8..4, 0..3)).prop_map(
        |(id, email, name, company, updated, state, groups)| Record {
            id,
            email,
            name,
            company,
            updated,
            state,
            groups,
        },
    )
}

fn list() -> impl Strategy<Value = List> {
    let feed = prop_oneof![4 => Just((0, 0)), 1 => Just((0, 1)), 1 => Just((1, 0)), 1 => Just((1, 1))];
    (feed, proptest::collection::vec(record(), 0..9), any::<u64>(), proptest::bool::weighted(0.1))
        .prop_map(|((event, source), records, shuffle, full)| List { event, source, records, shuffle, full })
}

fn lists() -> impl Strategy<Value = Vec<List>> {
    proptest::collection::vec(list(), 1..6)
}

/// Pages of the list as written, or shuffled and cut elsewhere.
fn pages(list: &List, shuffled: bool) -> Vec<String> {
    let mut records: Vec<Value> = list.records.iter().map(Record::json).collect();
    let mut dice = list.shuffle;
    let mut roll = |sides: usize| {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (dice >> 33) as usize % sides
    };
    let mut size = records.len().max(1);
    if shuffled {
        for last in (1..records.len()).rev() {
            records.swap(last, roll(last + 1));
        }
        size = 1 + roll(4);
    }
    // Two pages with the same records are a paging loop.
    let page = |page: &[Value]| json!({ "items": page }).to_string();
    let mut pages: Vec<String> = records.chunks(size).map(page).collect();
    if pages.iter().collect::<BTreeSet<_>>().len() < pages.len() {
        pages = vec![page(&records)];
    }
    pages.push(json!({ "items": [] }).to_string());
    pages
}

struct World {
    server: ListServer,
    appliance: Appliance,
    config: String,
}

impl World {
    async fn new() -> Self {
        let server = ListServer::start().await;
        let base = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases/base.toml")).unwrap();
        let config = base.replace("\"URL\"", &format!("\"http://{}\"", server.address));
        let appliance = Appliance::open(&config).await;
        Self { server, appliance, config }
    }

    /// The same, but whoever is missing is removed at once.
    async fn removing() -> Self {
        let Self { server, appliance, config } = Self::new().await;
        let config = config.replace("\npriority", "\nmissing = \"remove\"\nmissing_runs = 1\npriority");
        let appliance = appliance.reopen(&config).await;
        Self { server, appliance, config }
    }

    fn show(&self, list: &List, shuffled: bool) {
        let (event, source) = (EVENTS[list.event], SOURCES[list.source]);
        let name = if event == "e" { source.to_owned() } else { format!("{source}-{event}") };
        self.server.set(&name, pages(list, shuffled));
    }

    async fn sync(&self, list: &List, dry_run: bool, full: bool) -> Run {
        let run = self.appliance.sync(EVENTS[list.event], SOURCES[list.source], dry_run, full).await;
        assert_eq!(run.error, None);
        run
    }

    fn store(&self) -> &Store {
        &self.appliance.app.store
    }

    fn text(&self) -> String {
        store_text(&self.appliance.app)
    }

    fn plan(&self, run: &Run) -> String {
        plan_text(&self.appliance.app, run)
    }

    /// Closes and opens the store, so that its indexes are built anew.
    async fn reopened(self) -> Self {
        let Self { server, appliance, config } = self;
        let appliance = appliance.reopen(&config).await;
        Self { server, appliance, config }
    }
}

/// Does a run change anybody?
fn changes(run: &Run) -> bool {
    let counts = run.counts;
    counts.create + counts.update + counts.remove + counts.delete > 0
}

/// Runs a property over sequences of lists; each case gets a runtime that ends with it.
fn check(property: impl AsyncFn(Vec<List>)) {
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { Config::default().cases } else { CASES };
    let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    let outcome = runner.run(&lists(), |lists| {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(property(lists));
        Ok(())
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
}

#[test]
fn order_and_pages_do_not_matter() {
    check(async |lists| {
        let (one, other) = (World::new().await, World::new().await);
        for list in &lists {
            one.show(list, false);
            other.show(list, true);
            let (run, same) = (one.sync(list, false, list.full).await, other.sync(list, false, list.full).await);
            assert_eq!(one.plan(&run), other.plan(&same));
            assert_eq!(one.text(), other.text());
        }
    });
}

#[test]
fn the_same_list_again_changes_nothing() {
    check(async |lists| {
        let world = World::new().await;
        for list in &lists {
            world.show(list, false);
            world.sync(list, false, false).await;
            let before = world.text();
            for full in [false, true] {
                let again = world.sync(list, false, full).await;
                assert!(!changes(&again), "full = {full}\n{}\n{before}", world.plan(&again));
                assert_eq!(world.text(), before, "full = {full}");
            }
        }
    });
}

#[test]
fn indexes_answer_as_everybody_does() {
    check(async |lists| {
        let mut world = World::new().await;
        for list in &lists {
            world.show(list, false);
            world.sync(list, false, list.full).await;
            check_indexes(world.store(), &EVENTS);
        }
        let (people, groups) = (everybody(world.store()), world.store().groups(None, usize::MAX));
        world = world.reopened().await;
        check_indexes(world.store(), &EVENTS);
        assert_eq!((everybody(world.store()), world.store().groups(None, usize::MAX)), (people, groups));
    });
}

/// A plan whose notes name no record: a run that erases tells of the erased ones by no id.
fn without_record_ids(plan: &str) -> String {
    let (notes, others): (Vec<&str>, Vec<&str>) =
        plan.lines().partition(|line| line.starts_with("skip ") || line.starts_with("reject "));
    let unnamed = |note: &str| match (note.split_once(' '), note.split_once(':')) {
        (Some((verdict, _)), Some((_, why))) => format!("{verdict} ?:{why}"),
        _ => note.to_owned(),
    };
    let mut notes: Vec<String> = notes.into_iter().map(unnamed).collect();
    notes.sort();
    format!("{}\n{}", others.join("\n"), notes.join("\n"))
}

#[test]
fn a_dry_run_names_what_the_sync_does() {
    check(async |lists| {
        let world = World::new().await;
        for list in &lists {
            world.show(list, false);
            let before = world.text();
            let dry = world.sync(list, true, list.full).await;
            assert_eq!(world.text(), before, "a dry run changed somebody");
            // Read now: what the sync erases goes from the dry run's file, too.
            let planned = world.plan(&dry);
            let run = world.sync(list, false, list.full).await;
            let erases = run.counts.delete > 0;
            let comparable = |plan: String| if erases { without_record_ids(&plan) } else { plan };
            assert_eq!(comparable(planned), comparable(world.plan(&run)));
        }
    });
}

#[test]
fn nobody_vanishes_without_a_delete_flag() {
    check(async |lists| {
        let world = World::new().await;
        for list in &lists {
            let before: BTreeSet<_> = everybody(world.store()).into_values().map(|person| person.id).collect();
            world.show(list, false);
            let run = world.sync(list, false, list.full).await;
            let after: BTreeSet<_> = everybody(world.store()).into_values().map(|person| person.id).collect();
            let vanished = before.difference(&after).count() as u64;
            assert_eq!(vanished, run.counts.delete);
            let flags = list.records.iter().filter(|record| record.state == State::Deleted).count() as u64;
            assert!(flags > 0 || vanished == 0);
            let deletions = world
                .appliance
                .entries(&run)
                .into_iter()
                .filter(|entry| matches!(entry, Entry::Person(change) if change.action == Action::Delete));
            assert_eq!(deletions.count() as u64, vanished);
        }
    });
}

#[test]
fn nothing_is_taken_outside_the_runs_own_feed_but_by_its_delete_flag() {
    check(async |lists| {
        let world = World::removing().await;
        for list in &lists {
            let before = everybody(world.store());
            world.show(list, false);
            let run = world.sync(list, false, list.full).await;
            check_indexes(world.store(), &EVENTS);
            let after = everybody(world.store());
            let flags: BTreeSet<String> = list
                .records
                .iter()
                .filter(|record| record.state == State::Deleted)
                .map(|record| record.id.to_string())
                .collect();
            for (user, person) in &before {
                let elsewhere = person.registrations.iter().filter(|r| r.feed != run.feed);
                let spared = |r: &&_| {
                    let r: &rollcall::model::Registration = r;
                    r.feed.source != run.feed.source || !flags.contains(r.external_id.as_str())
                };
                for registration in elsewhere.filter(spared) {
                    let (feed, external_id) = (&registration.feed, &registration.external_id);
                    let left = after.get(user).and_then(|person| person.registration(feed, external_id));
                    assert_eq!(left, Some(registration), "run {} of {}", run.id, run.feed);
                }
            }
        }
    });
}
