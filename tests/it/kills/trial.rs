//! A store whose processes are killed, beside one that nothing ever happens to.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use rollcall::model::{Person, RunId, RunOutcome};
use rollcall::store::{GroupCount, Store};

use super::disk::{Expected, assert_same_people};
use super::list::List;
use super::witness::{Aim, Seen, Way, run_and_kill};
use crate::support::{Appliance, Dice, Installation, ListServer, ONE_FEED, People, check_indexes, everybody};

/// Where a kill hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hit {
    /// Before there was a run.
    StartUp,
    Reading,
    Planning,
    /// The plan was whole, nothing of it done.
    CommitBegins,
    /// Some batches were on disk, others not.
    BetweenBatches,
    /// While an earlier kill's commit was, or should have been, gone on with.
    Recovery,
    /// After the run had ended.
    Idle,
}

pub struct Trial {
    dice: Dice,
    server: ListServer,
    list: List,
    reference: Appliance,
    killed: Option<Installation>,
    config: String,
    expected: Expected,
    round: u64,
    /// In which round each run of the killed store began.
    rounds: BTreeMap<RunId, u64>,
    pub hits: BTreeMap<Hit, u32>,
    /// How long the processes take that are not killed.
    times: Times,
}

struct Times {
    start: Duration,
    sync: Duration,
}

impl Trial {
    pub async fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let server = ListServer::start().await;
        let config = ONE_FEED.replace("URL", &format!("http://{}", server.address));
        let killed = Installation::new(&config);
        let reference = Appliance::open(&config).await;
        // The same community, so that the same people get the same ids.
        std::fs::create_dir(killed.data()).unwrap();
        std::fs::copy(reference.app.store.folder().join("community.key"), killed.data().join("community.key")).unwrap();
        let list = List::new(&mut dice);
        let times = Times { start: Duration::from_millis(300), sync: Duration::from_secs(2) };
        Self {
            dice,
            server,
            list,
            reference,
            killed: Some(killed),
            config,
            expected: Expected::default(),
            round: 0,
            rounds: BTreeMap::new(),
            hits: BTreeMap::new(),
            times,
        }
    }

    pub fn kills(&self) -> u32 {
        self.hits.values().sum()
    }

    /// One of these that no kill hit yet.
    pub fn missed(&self, needed: &[Hit]) -> Option<Hit> {
        needed.iter().copied().find(|hit| !self.hits.contains_key(hit))
    }

    /// One version of the list: synced undisturbed there, with kills here; in the end both hold the same.
    pub async fn round(&mut self) {
        self.round += 1;
        if self.round > 1 {
            self.list.change(&mut self.dice);
        }
        self.server.set("s", self.list.pages());
        let run = self.reference.sync("e", "s", false, false).await;
        assert_eq!((run.id.0, run.outcome), (self.round, Some(RunOutcome::Done)), "{:?}", run.error);
        for _ in 0..=self.dice.below(4) {
            self.kill().await;
        }
        self.end_round().await;
    }

    async fn kill(&mut self) {
        let way = if self.dice.percent(50) { Way::Serve } else { Way::Sync };
        let aim = self.aim(way);
        let half_way = self.expected.half_way().map(|run| run.id);
        let last = self.expected.runs.keys().next_back().copied();
        let killed = self.killed.as_ref().expect("it is there between rounds");
        let seen = run_and_kill(killed, way, aim).await;
        let data = killed.data();
        self.look(&data, &seen);
        self.learn(&seen);
        if seen.ended.is_none() {
            let hit = self.hit(&data, half_way, last);
            *self.hits.entry(hit).or_default() += 1;
        }
    }

    /// Anywhere, but more often where it hurts.
    fn aim(&mut self, way: Way) -> Aim {
        let whole = self.times.start + self.times.sync;
        if self.expected.half_way().is_some() && self.dice.percent(60) {
            // A commit is gone on with before a server is there, and before a sync begins.
            return Aim::After(self.dice.time(self.times.start));
        }
        if way == Way::Sync || self.dice.percent(30) {
            return Aim::After(self.dice.time(whole));
        }
        let phase = ["reading", "planning", "committing", "committing", "committing"][self.dice.below(5)];
        Aim::Phase(phase, self.dice.time(self.times.sync / 3))
    }

    fn learn(&mut self, seen: &Seen) {
        let Times { start, sync } = &mut self.times;
        if let Some(took) = seen.start {
            *start = (*start + took) / 2;
        }
        if let Some(took) = seen.ended {
            *sync = (*sync + took.saturating_sub(*start)) / 2;
        }
    }

    /// Looks at what is on disk, before anything is gone on with.
    fn look(&mut self, data: &Path, seen: &Seen) {
        if !data.join("db").exists() {
            return assert_eq!(seen.acks, [], "something was acknowledged before there was a store");
        }
        let store = Store::open(data).unwrap();
        self.follow(&store);
        self.expected.honours(&seen.acks);
    }

    fn follow(&mut self, store: &Store) {
        self.expected.follow(store);
        for run in self.expected.runs.keys() {
            self.rounds.entry(*run).or_insert(self.round);
        }
    }

    fn hit(&self, data: &Path, half_way: Option<RunId>, last: Option<RunId>) -> Hit {
        let Some((id, run)) = self.expected.runs.last_key_value() else { return Hit::StartUp };
        let file = |kind: &str| data.join(format!("runs/{id}.{kind}")).exists();
        match run {
            _ if half_way.is_some() && self.expected.half_way().map(|run| run.id) == half_way => Hit::Recovery,
            _ if Some(*id) == last => Hit::StartUp,
            run if run.ended_at.is_some() => Hit::Idle,
            run if run.applied > 0 => Hit::BetweenBatches,
            _ if file("journal") => Hit::CommitBegins,
            _ if file("journal.part") => Hit::Planning,
            _ => Hit::Reading,
        }
    }

    /// Opens the killed store as any start does, syncs, and compares with the one nothing happened to.
    async fn end_round(&mut self) {
        let Installation { folder } = self.killed.take().expect("it is there between rounds");
        let appliance = Appliance::open_at(folder, &self.config).await;
        let store = appliance.app.store.clone();
        self.follow(&store);
        assert!(self.expected.runs.values().all(|run| run.ended_at.is_some()), "a run was left open");
        for file in std::fs::read_dir(store.runs_folder()).unwrap() {
            let path = file.unwrap().path();
            assert!(path.extension().is_some_and(|kind| kind == "journal"), "{} was left behind", path.display());
        }
        let of_this_round = |run: &RunId| self.rounds[run] == self.round;
        let mut runs = self.expected.runs.iter().filter(|(id, _)| of_this_round(id));
        let was_done = runs.any(|(_, run)| run.outcome == Some(RunOutcome::Done));
        let run = appliance.sync("e", "s", false, false).await;
        assert_eq!(run.outcome, Some(RunOutcome::Done), "{:?}", run.error);
        let counts = run.counts;
        let changes = counts.create + counts.update + counts.remove + counts.delete;
        assert!(!was_done || changes == 0, "a sync that was done is done again: {counts:?}");
        self.follow(&store);
        check_indexes(&store, &["e"]);
        self.compare(&store);
        drop(store);
        self.killed = Some(Installation { folder: appliance.close().await });
    }

    fn compare(&self, store: &Store) {
        let done = |run: &&rollcall::model::Run| run.outcome == Some(RunOutcome::Done) && run.complete;
        // The n-th complete read, from 1, belongs to the round of the n-th run that was done.
        let reads: Vec<u64> = self.expected.runs.values().filter(done).map(|run| self.rounds[&run.id]).collect();
        let ours = timeless(everybody(store), |run| self.rounds[&run], |read| reads[read as usize - 1]);
        let reference = &self.reference.app.store;
        let theirs = timeless(everybody(reference), |RunId(run)| run, u64::from);
        assert_same_people(&ours, &theirs);
        let groups = |store: &Store| -> Vec<GroupCount> { store.groups(None, usize::MAX) };
        assert_eq!(groups(store), groups(reference));
    }
}

/// People without what must differ: clocks, and the numbers of runs and reads, which become those of their rounds.
fn timeless(mut people: People, round_of_run: impl Fn(RunId) -> u64, round_of_read: impl Fn(u32) -> u64) -> People {
    for person in people.values_mut() {
        let Person { email_owner, profile, registrations, attendances, created_at, .. } = person;
        let fields = profile.iter_mut().filter_map(|field| field.owner.as_mut());
        for owner in fields.chain(email_owner) {
            (owner.run, owner.at) = (RunId(round_of_run(owner.run)), Timestamp::UNIX_EPOCH);
        }
        for registration in registrations {
            let round = registration.absent_since.map(&round_of_read);
            registration.absent_since = round.map(|round| u32::try_from(round).unwrap());
        }
        for attendance in attendances {
            attendance.changed_at = Timestamp::UNIX_EPOCH;
        }
        *created_at = Timestamp::UNIX_EPOCH;
    }
    people
}
