//! Groups and places as a naive model has them, after any sequence of what sources and organisers do.
//!
//! The model knows no indexes, no digests and no plans: it keeps every registration and every decision in maps, and looks
//! through all of them for each answer. The store is real, and so are the syncs, the router and the reopenings.

use std::collections::{BTreeMap, BTreeSet};

use rollcall::model::{EmailKey, EventName, GroupKey, UserId, UserNo};
use serde_json::{Value, json};

use super::world::{World, record};
use crate::support::{Dice, attendees, check_indexes};

/// Generated steps, unless `ROLLCALL_MODEL_STEPS` says otherwise.
const STEPS: usize = 10_000;
const LISTS: [&str; 3] = ["s-e", "t-e", "s-f"];
const EVENTS: [&str; 2] = ["e", "f"];
const GROUPS: [&str; 4] = ["red", "blue", "green", "grey"];
const EMAILS: usize = 24;
const IDS: usize = 14;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Attending,
    Pending,
    Cancelled,
}

/// A record as its list has it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Record {
    email: usize,
    state: State,
    groups: BTreeSet<usize>,
    erase: bool,
}

/// What a sync made of it.
#[derive(Debug, Clone)]
struct Registration {
    user: usize,
    record: Record,
    absent: bool,
}

#[derive(Debug, Clone, Default)]
struct User {
    id: Option<UserId>,
    email: usize,
    /// Events in which there is a place, present or past.
    places: BTreeSet<usize>,
    /// Decisions about events and groups: added or not.
    events: BTreeMap<usize, bool>,
    groups: BTreeMap<usize, bool>,
}

type Key = (usize, usize);

#[derive(Debug, Default)]
struct Model {
    lists: [BTreeMap<usize, Record>; 3],
    registrations: BTreeMap<Key, Registration>,
    users: BTreeMap<usize, User>,
    next: usize,
}

fn source(list: usize) -> &'static str {
    &LISTS[list][..1]
}

fn event(list: usize) -> usize {
    EVENTS.iter().position(|event| LISTS[list].ends_with(event)).unwrap()
}

impl Model {
    fn bearer(&self, email: usize) -> Option<usize> {
        self.users.iter().find(|(_, user)| user.email == email).map(|(user, _)| *user)
    }

    fn of(&self, user: usize) -> impl Iterator<Item = (&Key, &Registration)> {
        self.registrations.iter().filter(move |(_, r)| r.user == user)
    }

    /// Would the record move its registration, or rename its user?
    fn moves(&self, key: Key, record: &Record) -> bool {
        let known = self.registrations.get(&key);
        record.state != State::Cancelled && known.is_some_and(|r| self.users[&r.user].email != record.email)
    }

    /// Takes up a list as a sync of it does. False where a record is refused, for its new email stays another's.
    fn sync(&mut self, list: usize) -> bool {
        let records = self.lists[list].clone();
        let mut accepted = true;
        for (id, record) in &records {
            if record.erase {
                self.erase(list, *id);
            } else {
                accepted &= self.take((list, *id), record);
            }
        }
        for ((of, id), registration) in &mut self.registrations {
            registration.absent |= *of == list && !records.contains_key(id);
        }
        accepted
    }

    fn erase(&mut self, list: usize, id: usize) {
        let flagged = |(of, other): &Key| source(*of) == source(list) && *other == id;
        let users: BTreeSet<usize> =
            self.registrations.iter().filter(|(key, _)| flagged(key)).map(|(_, r)| r.user).collect();
        self.registrations.retain(|key, _| !flagged(key));
        for user in users {
            let is_added =
                self.users[&user].events.values().chain(self.users[&user].groups.values()).any(|added| *added);
            if self.of(user).next().is_none() && !is_added {
                self.users.remove(&user);
            }
        }
    }

    fn take(&mut self, key: Key, record: &Record) -> bool {
        let known = self.registrations.get(&key).map(|r| r.user);
        let user = match known {
            Some(user) if !self.moves(key, record) => user,
            Some(user) => {
                let stays = self.of(user).any(|(other, r)| *other != key && r.record.state != State::Cancelled);
                match self.bearer(record.email) {
                    None if !stays => {
                        self.users.get_mut(&user).unwrap().email = record.email;
                        user
                    }
                    Some(_) if !stays => return false,
                    bearer => bearer.unwrap_or_else(|| self.make(record.email)),
                }
            }
            None => self.bearer(record.email).unwrap_or_else(|| self.make(record.email)),
        };
        if record.state == State::Attending {
            self.users.get_mut(&user).unwrap().places.insert(event(key.0));
        }
        self.registrations.insert(key, Registration { user, record: record.clone(), absent: false });
        true
    }

    fn make(&mut self, email: usize) -> usize {
        self.next += 1;
        self.users.insert(self.next, User { email, ..User::default() });
        self.next
    }

    fn attends(&self, user: usize, at: usize) -> bool {
        if let Some(added) = self.users[&user].events.get(&at) {
            return *added;
        }
        let here: Vec<_> = self.of(user).filter(|(key, _)| event(key.0) == at).collect();
        here.iter().any(|(key, r)| {
            let outweighed = || here.iter().any(|(k, o)| k.0 == key.0 && o.record.state == State::Cancelled);
            r.record.state == State::Attending && (!r.absent || !outweighed())
        })
    }

    /// Does a source have the user in the group?
    fn granted(&self, user: usize, group: usize) -> bool {
        self.of(user).any(|(_, r)| r.record.state != State::Cancelled && r.record.groups.contains(&group))
    }

    fn is_member(&self, user: usize, group: usize) -> bool {
        self.users[&user].groups.get(&group).copied().unwrap_or_else(|| self.granted(user, group))
    }
}

struct Play {
    world: World,
    model: Model,
    dice: Dice,
    dirty: BTreeSet<usize>,
    /// What was generated, of each kind.
    played: BTreeMap<&'static str, usize>,
}

fn shown(id: usize, record_of: &Record) -> Value {
    let status = match record_of.state {
        State::Attending => "ok",
        State::Pending => "pending",
        State::Cancelled => "cancelled",
    };
    let groups: Vec<_> = record_of.groups.iter().map(|group| GROUPS[*group]).collect();
    let more = json!({"status": status, "groups": groups, "erase": record_of.erase});
    record(u32::try_from(id).unwrap(), &format!("p{}", record_of.email), more)
}

impl Play {
    async fn step(&mut self) {
        let kind = match self.dice.below(100) {
            0..70 => self.change_a_record().await,
            70..71 => self.delete_a_record().await,
            71..75 => self.leave_a_record_out(),
            75..83 => self.decide_a_place().await,
            83..91 => self.decide_a_membership().await,
            91..94 => self.edit().await,
            94..95 => self.delete_a_group().await,
            _ => {
                self.sync_dirty().await;
                "sync"
            }
        };
        *self.played.entry(kind).or_default() += 1;
    }

    async fn change_a_record(&mut self) -> &'static str {
        let (list, id) = (self.dice.below(LISTS.len()), self.dice.below(IDS));
        let mut changed = self.model.lists[list].get(&id).cloned().unwrap_or_else(|| Record {
            email: self.dice.below(EMAILS),
            state: State::Attending,
            groups: BTreeSet::new(),
            erase: false,
        });
        match self.dice.below(32) {
            0..12 => changed.state = [State::Attending, State::Pending, State::Cancelled][self.dice.below(3)],
            12 => changed.email = self.dice.below(EMAILS),
            _ => {
                // The last one is nearly always the organisers' own, so that it can be deleted.
                let group = if self.dice.percent(1) { GROUPS.len() - 1 } else { self.dice.below(GROUPS.len() - 1) };
                if !changed.groups.remove(&group) {
                    changed.groups.insert(group);
                }
            }
        }
        // How several moves of one run are resolved together is shown elsewhere; here each goes alone.
        if !self.model.moves((list, id), &changed) && !self.is_pending(list, id) {
            self.model.lists[list].insert(id, changed);
            self.dirty.insert(list);
            return "record changed";
        }
        self.sync_dirty().await;
        let before = self.model.lists[list].insert(id, changed);
        if !self.sync(list).await {
            match before {
                Some(before) => self.model.lists[list].insert(id, before),
                None => self.model.lists[list].remove(&id),
            };
            self.sync(list).await;
            return "move refused";
        }
        "record moved"
    }

    /// Is there a record that has not been synced, or not as it is?
    fn is_pending(&self, list: usize, id: usize) -> bool {
        let listed = self.model.lists[list].get(&id);
        listed.is_some() && listed != self.model.registrations.get(&(list, id)).map(|r| &r.record)
    }

    async fn delete_a_record(&mut self) -> &'static str {
        let list = self.dice.below(LISTS.len());
        let Some(id) = self.pick(self.model.lists[list].keys().copied().collect()) else { return "nothing" };
        self.sync_dirty().await;
        self.model.lists[list].get_mut(&id).unwrap().erase = true;
        self.sync(list).await;
        self.model.lists[list].remove(&id);
        "delete flag"
    }

    fn leave_a_record_out(&mut self) -> &'static str {
        let list = self.dice.below(LISTS.len());
        let Some(id) = self.pick(self.model.lists[list].keys().copied().collect()) else { return "nothing" };
        self.model.lists[list].remove(&id);
        self.dirty.insert(list);
        "record left out"
    }

    fn pick(&mut self, from: Vec<usize>) -> Option<usize> {
        (!from.is_empty()).then(|| from[self.dice.below(from.len())])
    }

    fn pick_user(&mut self) -> Option<(usize, String)> {
        let user = self.pick(self.model.users.keys().copied().collect())?;
        Some((user, self.model.users[&user].id.unwrap().to_string()))
    }

    /// A decision as the API spells it and the model keeps it.
    fn choice(&mut self) -> (&'static str, Option<bool>) {
        [("added", Some(true)), ("excluded", Some(false)), ("synced", None)][self.dice.below(3)]
    }

    async fn decide_a_place(&mut self) -> &'static str {
        let Some((user, id)) = self.pick_user() else { return "nothing" };
        let (at, (word, set)) = (self.dice.below(EVENTS.len()), self.choice());
        let path = format!("/v1/events/{}/attendees/{id}", EVENTS[at]);
        let known = &mut self.model.users.get_mut(&user).unwrap();
        let answer = self.world.put(&path, json!({"attendance": word})).await;
        match set {
            Some(added) => drop(known.events.insert(at, added)),
            None => drop(known.events.remove(&at)),
        }
        if set.is_some() {
            known.places.insert(at);
        }
        assert_eq!(answer.status, if known.places.contains(&at) { 200 } else { 404 }, "{}", answer.json);
        if set.is_some() { "place decided" } else { "place lifted" }
    }

    async fn decide_a_membership(&mut self) -> &'static str {
        let Some((user, id)) = self.pick_user() else { return "nothing" };
        let (group, (word, set)) = (self.dice.below(GROUPS.len()), self.choice());
        self.world.put(&format!("/v1/groups/{}", GROUPS[group]), json!({})).await.good();
        let path = format!("/v1/groups/{}/members/{id}", GROUPS[group]);
        self.world.put(&path, json!({"membership": word})).await.good();
        let groups = &mut self.model.users.get_mut(&user).unwrap().groups;
        match set {
            Some(added) => drop(groups.insert(group, added)),
            None => drop(groups.remove(&group)),
        }
        if set.is_some() { "membership decided" } else { "membership lifted" }
    }

    async fn edit(&mut self) -> &'static str {
        let Some((_, id)) = self.pick_user() else { return "nothing" };
        if self.dice.percent(50) {
            self.world.patch(&id, json!({"title": format!("T{}", self.dice.below(9))})).await.good();
            return "edit";
        }
        let body = [json!({"all": true}), json!({"fields": []})][self.dice.below(2)].clone();
        self.world.put(&format!("/v1/users/{id}/protected"), body).await.good();
        "protection"
    }

    async fn delete_a_group(&mut self) -> &'static str {
        let group = self.dice.below(GROUPS.len());
        let is_known = self.world.appliance.app.store.group(&key(group)).is_some();
        let answer = self.world.delete(&format!("/v1/groups/{}", GROUPS[group])).await;
        let model = &mut self.model;
        let users: Vec<usize> = model.users.keys().copied().collect();
        if !is_known {
            assert_eq!(answer.status, 404);
        } else if users.iter().any(|user| model.is_member(*user, group) && model.granted(*user, group)) {
            assert_eq!(answer.status, 409, "{}", answer.json);
            return "group kept";
        } else {
            assert_eq!(answer.status, 204, "{}", answer.json);
            for user in model.users.values_mut() {
                user.groups.retain(|of, added| *of != group || !*added);
            }
        }
        "group deleted"
    }

    async fn sync_dirty(&mut self) {
        for list in std::mem::take(&mut self.dirty) {
            assert!(self.sync(list).await, "no move among them");
        }
    }

    /// Syncs one list. False where a record was refused.
    async fn sync(&mut self, list: usize) -> bool {
        self.dirty.remove(&list);
        let records: Vec<_> = self.model.lists[list].iter().map(|(id, record)| shown(*id, record)).collect();
        let run = self.world.bring(LISTS[list], &records).await;
        let accepted = self.model.sync(list);
        assert_eq!(run.counts.reject == 0, accepted, "{run:?}");
        let store = &self.world.appliance.app.store;
        for user in self.model.users.values_mut().filter(|user| user.id.is_none()) {
            let number = store.user_by_email(&email(user.email)).expect("somebody new is found");
            user.id = store.person(number).unwrap().map(|person| person.id);
        }
        accepted
    }

    async fn reopen(&mut self) {
        let World { server, appliance } = std::mem::replace(&mut self.world, World::in_memory().await);
        // Thousands of journals would only take time: at a run's end the old ones are looked for.
        let journals = std::fs::read_dir(appliance.app.store.runs_folder()).unwrap();
        journals.for_each(|file| std::fs::remove_file(file.unwrap().path()).unwrap());
        // Half of the times with the indexes' snapshot.
        if self.dice.percent(50) {
            assert!(appliance.app.runner.shutdown().await);
        }
        self.world = World { server, appliance }.reopened(|config| config).await;
    }

    /// Every group and every place is as the model has it.
    fn check(&self) {
        let (store, model) = (&self.world.appliance.app.store, &self.model);
        assert_eq!(store.user_count(), model.users.len() as u64);
        let number = |user: &User| {
            let number = store.user_by_id(user.id.unwrap()).expect("a user is found by id");
            assert_eq!(store.user_by_email(&email(user.email)), Some(number));
            number
        };
        let numbers: BTreeMap<usize, UserNo> = model.users.iter().map(|(at, user)| (*at, number(user))).collect();
        let those = |wanted: &dyn Fn(usize) -> bool| -> Vec<UserNo> {
            numbers
                .iter()
                .filter(|(user, _)| wanted(**user))
                .map(|(_, number)| *number)
                .collect::<BTreeSet<_>>()
                .into_iter()
                .collect()
        };
        for (group, name) in GROUPS.iter().enumerate() {
            let expected = those(&|user| model.is_member(user, group));
            assert_eq!(store.members(&key(group), None, usize::MAX), expected, "{name}");
            assert_eq!(store.group(&key(group)).map_or(0, |group| group.members), expected.len() as u64, "{name}");
        }
        for (at, name) in EVENTS.iter().enumerate() {
            let event = EventName::parse(name).unwrap();
            for active in [true, false] {
                let expected =
                    those(&|user| model.users[&user].places.contains(&at) && model.attends(user, at) == active);
                assert_eq!(attendees(store, &event, active), expected, "{name} {active}");
            }
        }
    }
}

fn email(number: usize) -> EmailKey {
    EmailKey::of(&format!("p{number}@x.org"))
}

fn key(group: usize) -> GroupKey {
    GroupKey::of(GROUPS[group]).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_and_places_are_those_of_a_naive_model() {
    let steps = std::env::var("ROLLCALL_MODEL_STEPS").ok().map_or(STEPS, |steps| steps.parse().unwrap());
    let (world, dice) = (World::in_memory().await, Dice::new(7));
    let mut play = Play { world, model: Model::default(), dice, dirty: BTreeSet::new(), played: BTreeMap::new() };
    for step in 1..=steps {
        play.step().await;
        play.check();
        if step % 400 == 0 {
            check_indexes(&play.world.appliance.app.store, &EVENTS);
            play.reopen().await;
            play.check();
        }
    }
    play.played.remove("nothing");
    let rare = play.played.values().any(|times| *times < steps / 1_000);
    assert!(play.played.len() == 14 && !rare, "{:?}", play.played);
}
