//! Every step on the disk, exhaustively: the process dies before and after it, and the disk fails at it.
//!
//! A kill leaves the files as they are, so a copy of the data directory taken between two steps is what a kill there
//! leaves behind. Each copy is opened, looked at, recovered and synced on.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use rollcall::faults::{Faults, Side, Step};
use rollcall::model::{ErrorReason, Run, RunOutcome};
use rollcall::store::Store;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Album, Appliance, Image, ListServer, check_indexes, copy_data, noise, store_text, without_runs};

/// How often a step of one kind may come in one sync.
const OFTEN: usize = 64;

/// One moment between steps: before or after the n-th step of its kind in a sync.
type Moment = (Step, Side, usize);

/// The list of each round: it creates, then updates, moves between groups, cancels, deletes and swaps emails, then
/// stays as it is. Long biographies make a commit of several batches.
fn records(round: usize) -> Vec<Value> {
    let person = |n: usize| {
        let changed = round > 0 && n.is_multiple_of(3);
        let email = match (round, n) {
            (1.., 90) => 91,
            (1.., 91) => 90,
            _ => n,
        };
        json!({
            "id": n,
            "email": format!("p{email}@x.org"),
            "first": if changed { "Changed" } else { "First" },
            "last": format!("L{n}"),
            "company": noise(n as u64, 16_000 + n),
            "groups": [if changed { "blue" } else { "red" }],
            "status": if round > 0 && n % 10 == 4 { "cancelled" } else { "ok" },
            "erase": round > 0 && n % 10 == 7,
        })
    };
    let newcomers = if round > 0 { 20 } else { 0 };
    (0..100 + newcomers).map(person).collect()
}

const ROUNDS: usize = 3;

struct World {
    server: ListServer,
    config: String,
    /// What the store holds after each round, in words that name no run.
    after: Vec<String>,
}

impl World {
    /// Syncs every round once, undisturbed.
    async fn new() -> Self {
        let server = ListServer::start().await;
        let base = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases/base.toml")).unwrap();
        let config = base.replace("\"URL\"", &format!("\"http://{}\"", server.address));
        let appliance = Appliance::open(&config).await;
        let mut world = Self { server, config, after: Vec::new() };
        for round in 0..ROUNDS {
            let run = world.sync(&appliance, round).await;
            assert_eq!(run.outcome, Some(RunOutcome::Done), "{:?}", run.error);
            world.after.push(text(&appliance));
        }
        world
    }

    async fn sync(&self, appliance: &Appliance, round: usize) -> Run {
        self.try_sync(appliance, round).await.unwrap()
    }

    /// The same; nothing where the run could not begin.
    async fn try_sync(&self, appliance: &Appliance, round: usize) -> Option<Run> {
        let page = |page: &[Value]| json!({ "items": page }).to_string();
        self.server.set("s", records(round).chunks(50).map(page).collect());
        let run = appliance.try_sync("e", "s", false, false).await.ok();
        let store = appliance.app.store.clone();
        let keep = move || {
            // Whether the index can be kept changes nothing but how the store is opened next, and whether the store can
            // be written anew nothing but how much room it takes.
            let _ = (store.keep_index(), store.compact());
        };
        tokio::task::spawn_blocking(keep).await.unwrap();
        run
    }

    /// What the store held before a round.
    fn before(&self, round: usize) -> &str {
        round.checked_sub(1).map_or("", |before| &self.after[before])
    }

    /// A data directory as it is before a round.
    async fn prepared(&self, round: usize) -> TempDir {
        let appliance = Appliance::open(&self.config).await;
        for earlier in 0..round {
            self.sync(&appliance, earlier).await;
        }
        appliance.close().await
    }
}

/// The store in words; owners are named without their run, whose number depends on what failed before.
fn text(appliance: &Appliance) -> String {
    without_runs(&store_text(&appliance.app))
}

/// Counts the steps of a sync.
struct Counter {
    counts: [AtomicUsize; 2 * OFTEN],
    on: AtomicBool,
}

impl Counter {
    fn new() -> Arc<Self> {
        Arc::new(Self { counts: std::array::from_fn(|_| AtomicUsize::new(0)), on: AtomicBool::new(false) })
    }

    /// Which moment it is.
    fn count(&self, step: Step, side: Side) -> Moment {
        let n = self.counts[step as usize * 2 + side as usize].fetch_add(1, Ordering::SeqCst);
        (step, side, n)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_between_any_two_steps_nobody_is_half_changed_and_the_sync_goes_on() {
    let world = World::new().await;
    let mut seen = BTreeSet::new();
    let (mut images_opened, mut resumed) = (0, 0);
    for round in 0..ROUNDS {
        let folder = world.prepared(round).await;
        let (album, faults) = Album::of(&folder);
        let appliance = Appliance::open_failing(folder, &world.config, faults).await;
        album.turn(true);
        world.sync(&appliance, round).await;
        album.turn(false);
        drop(appliance);
        for (number, image) in album.images().enumerate() {
            let what = format!("round {round}, {} (no. {number})", image.what());
            seen.insert((image.step, image.side));
            images_opened += 1;
            resumed += usize::from(survives(&world, round, image, &what).await);
        }
    }
    println!("{images_opened} kills, {resumed} of which left a commit to resume");
    let all = Step::ALL.iter().flat_map(|step| [Side::Before, Side::After].map(|side| (*step, side)));
    let missed: Vec<_> = all.filter(|moment| !seen.contains(moment)).collect();
    assert!(missed.is_empty(), "never came by {missed:?}");
    assert!(resumed > 0, "no commit was interrupted half-way");
}

/// Opens what a kill left behind. Returns whether a commit was resumed.
async fn survives(world: &World, round: usize, image: Image, what: &str) -> bool {
    let (before, after) = (world.before(round), &world.after[round]);
    let data = image.folder.path().join("data");
    let half = tokio::task::spawn_blocking(move || half_done(&Store::open(&data).unwrap())).await.unwrap();
    let appliance = Appliance::open_at(image.folder, &world.config).await;
    let recovered = text(&appliance);
    assert!(recovered == before || recovered == *after, "{what}: after recovery somebody is half-changed");
    check_indexes(&appliance.app.store, &["e", "f"]);
    if half {
        assert_eq!(recovered, *after, "{what}: a commit that had begun was not resumed");
    }
    let open = appliance.app.store.runs(None, usize::MAX, |run| run.ended_at.is_none()).unwrap();
    assert!(open.is_empty(), "{what}: runs stay open after recovery");
    let left = std::fs::read_dir(appliance.app.store.runs_folder()).unwrap().map(|file| file.unwrap().path());
    let left: Vec<_> = left.filter(|file| file.extension().is_none_or(|extension| extension != "journal")).collect();
    assert!(left.is_empty(), "{what}: {left:?} stays behind");
    let run = world.sync(&appliance, round).await;
    assert_eq!(run.outcome, Some(RunOutcome::Done), "{what}: {:?}", run.error);
    assert_eq!(text(&appliance), *after, "{what}: the next sync");
    half
}

/// Is there a run whose commit had begun and not ended?
fn half_done(store: &Store) -> bool {
    !store.runs(None, usize::MAX, |run| run.ended_at.is_none() && run.applied > 0).unwrap().is_empty()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_fails_at_any_step_fails_the_run_and_nothing_else() {
    let world = World::new().await;
    let round = 1;
    let prepared = world.prepared(round).await;
    let moments = moments(&world, &prepared, round).await;
    assert!(moments.len() > 30, "only {} moments", moments.len());
    let mut failed = 0;
    for moment in moments {
        let folder = tempfile::tempdir().unwrap();
        copy_data(&prepared.path().join("data"), &folder.path().join("data"));
        failed += usize::from(fails_at(&world, folder, round, moment).await);
    }
    assert!(failed > 10, "only {failed} runs failed");
}

/// Every moment of a sync.
async fn moments(world: &World, prepared: &TempDir, round: usize) -> Vec<Moment> {
    let folder = tempfile::tempdir().unwrap();
    copy_data(&prepared.path().join("data"), &folder.path().join("data"));
    let steps = Counter::new();
    let all = Arc::new(Mutex::new(Vec::new()));
    let (counter, list) = (Arc::clone(&steps), Arc::clone(&all));
    let faults = Faults::with(move |step, side| {
        if counter.on.load(Ordering::SeqCst) {
            list.lock().unwrap().push(counter.count(step, side));
        }
        Ok(())
    });
    let appliance = Appliance::open_failing(folder, &world.config, faults).await;
    steps.on.store(true, Ordering::SeqCst);
    world.sync(&appliance, round).await;
    std::mem::take(&mut *all.lock().unwrap())
}

/// Lets the disk fail once, at one moment of a sync. Returns whether the run failed.
async fn fails_at(world: &World, folder: TempDir, round: usize, moment: Moment) -> bool {
    let what = format!("the disk fails at {moment:?}");
    let steps = Counter::new();
    let counter = Arc::clone(&steps);
    let faults = Faults::with(move |step, side| {
        let hit = counter.on.load(Ordering::SeqCst) && counter.count(step, side) == moment;
        if hit { Err(std::io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    });
    let appliance = Appliance::open_failing(folder, &world.config, faults).await;
    steps.on.store(true, Ordering::SeqCst);
    let run = world.try_sync(&appliance, round).await;
    steps.on.store(false, Ordering::SeqCst);
    let (now, after) = (text(&appliance), &world.after[round]);
    let failed = match run {
        Some(run) if run.outcome == Some(RunOutcome::Done) => {
            assert_eq!(now, *after, "{what}: the run is done, its changes are not there");
            false
        }
        Some(run) => {
            let reason = run.error.as_ref().map(|error| error.reason);
            assert_eq!(reason, Some(ErrorReason::DiskFull), "{what}: {:?}", run.error);
            assert!(run.applied > 0 || now == world.before(round), "{what}: nothing was applied, yet somebody changed");
            let kept = appliance.app.runner.run(run.id).unwrap().unwrap();
            assert_eq!((kept.outcome, kept.error), (run.outcome, run.error), "{what}: history says otherwise");
            true
        }
        // It could not even be entered into history.
        None => {
            assert_eq!(now, world.before(round), "{what}");
            true
        }
    };
    let run = world.sync(&appliance, round).await;
    assert_eq!(run.outcome, Some(RunOutcome::Done), "{what}: {:?}", run.error);
    assert_eq!(text(&appliance), *after, "{what}: the next sync, in the same process");
    let appliance = appliance.reopen(&world.config).await;
    assert_eq!(text(&appliance), *after, "{what}: after opening again");
    failed
}
