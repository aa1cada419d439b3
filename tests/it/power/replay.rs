//! Power cuts at many moments of one recording: every image opens, holds what was acknowledged and nobody by half, and
//! the next sync ends where an uninterrupted one did.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use rollcall::model::{ErrorReason, Person, Run, RunId, RunOutcome, UserId};
use rollcall::store::Store;
use tempfile::TempDir;

use super::community::ROUNDS;
use super::disk::{Disk, Image};
use super::fate::Fate;
use super::record::{Recording, copy, list_name};
use super::rule::{Told, acknowledgements};
use super::trace::Call;
use crate::support::{Appliance, Dice, check_indexes, store_text, without_runs};

/// Moments that are cut, unless `ROLLCALL_CUTS` says otherwise; each in several ways.
const CUTS: usize = 20;
/// One image in so many is synced once more.
const AGAIN: usize = 5;
/// The same cuts every time, unless `ROLLCALL_SEED` says otherwise.
const SEED: u64 = 1;

fn setting<T: std::str::FromStr>(name: &str, default: T) -> T {
    std::env::var(name).ok().map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text}")))
}

/// What the store holds after a round that was not interrupted.
struct Expected {
    people: BTreeMap<UserId, Person>,
    text: String,
}

/// A moment, and what had been told until then.
struct Cut {
    step: usize,
    told: Told,
}

/// One image and how it came about.
struct Case {
    name: String,
    image: Image,
    told: Told,
    /// Is the list synced once more? That takes longer than all the rest.
    again: bool,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs strace; tests/run runs it"]
async fn no_power_cut_takes_what_was_acknowledged() {
    let recording = Recording::make().await;
    assert_the_model_is_right(&recording);
    let expected = Arc::new(expected(&recording).await);
    replay(Arc::new(recording), expected).await;
}

/// The model's folder is the real one, byte for byte: no call that changes files was missed.
fn assert_the_model_is_right(recording: &Recording) {
    let mut disk = Disk::new(&recording.root);
    for step in &recording.trace.steps {
        disk.step(&recording.trace, *step);
    }
    for (path, content) in disk.image(&mut Fate::kept()) {
        let real = Path::new(&recording.root).join(&path);
        match content {
            None => assert!(real.is_dir(), "{}", path.display()),
            Some(content) => assert!(fs::read(&real).unwrap() == content, "{} differs", path.display()),
        }
    }
}

/// The states that an uninterrupted appliance goes through, from the empty one on; those of the recording are the same.
async fn expected(recording: &Recording) -> Vec<Expected> {
    let mut states = vec![Expected { people: BTreeMap::new(), text: String::new() }];
    let mut reference = Appliance::open(&recording.config(&list_name(1))).await;
    for round in 1..=ROUNDS {
        reference = reference.reopen(&recording.config(&list_name(round))).await;
        let run = reference.sync("e", "s", false, false).await;
        assert_eq!(run.outcome, Some(RunOutcome::Done), "{:?}", run.error);
        let folder = tempfile::tempdir().unwrap();
        copy(&recording.copy_after(round), &folder.path().join("data"));
        let recorded = Appliance::open_at(folder, &recording.config(&list_name(round))).await;
        let text = store_text(&recorded.app);
        let plain = |text: &str| if round == ROUNDS { without_runs(text) } else { text.to_owned() };
        assert!(plain(&text) == plain(&store_text(&reference.app)), "round {round} came out otherwise");
        states.push(Expected { people: everybody(&recorded.app.store), text });
    }
    states
}

fn everybody(store: &Store) -> BTreeMap<UserId, Person> {
    let person = |user| store.person(user).unwrap().expect("an indexed user is stored");
    store.users(None, usize::MAX).into_iter().map(person).map(|person| (person.id, person)).collect()
}

/// Every acknowledgement, every sync's beginning and end, and moments in between, thinned to so many.
fn cuts(recording: &Recording, dice: &mut Dice, wanted: usize) -> Vec<Cut> {
    let trace = &recording.trace;
    let told = acknowledgements(trace, &recording.ports);
    let must: BTreeSet<usize> = told.iter().map(|told| told.step).chain([trace.steps.len()]).collect();
    let relevant = |call: &Call| match call {
        Call::Sync { path } | Call::MakeFolder { path } | Call::Remove { path } => path.starts_with(&recording.root),
        Call::Write { to, .. } => to.name.starts_with(&recording.root),
        Call::Rename { from, .. } => from.starts_with(&recording.root),
        _ => false,
    };
    let steps = trace.steps.iter().enumerate().filter(|(_, step)| relevant(&trace.calls[step.call]));
    let mut other: Vec<usize> = steps.map(|(number, _)| number + 1).collect();
    while other.len() > wanted {
        other.swap_remove(dice.below(other.len()));
    }
    let moments: BTreeSet<usize> = must.into_iter().chain(other).collect();
    let told_before = |step: usize| told.iter().take_while(|told| told.step < step).last();
    let cut = |step| Cut { step, told: told_before(step).map(|told| told.told.clone()).unwrap_or_default() };
    moments.into_iter().map(cut).collect()
}

fn fates(seed: u64) -> [(&'static str, Fate); 6] {
    [
        ("lost", Fate::lost()),
        ("kept", Fate::kept()),
        ("nameless", Fate::nameless()),
        ("hollow", Fate::hollow()),
        ("journal", Fate::journal(seed)),
        ("any", Fate::any(seed)),
    ]
}

async fn replay(recording: Arc<Recording>, expected: Arc<Vec<Expected>>) {
    let (wanted, seed) = (setting("ROLLCALL_CUTS", CUTS), setting("ROLLCALL_SEED", SEED));
    let start = Instant::now();
    let cuts = cuts(&recording, &mut Dice::new(seed), wanted);
    println!("seed {seed}: {} moments of {} steps", cuts.len(), recording.trace.steps.len());
    let mut disk = Disk::new(&recording.root);
    let (mut at, mut images, mut faults) = (0, 0, Vec::new());
    let mut checking = tokio::task::JoinSet::new();
    for cut in cuts {
        while at < cut.step {
            disk.step(&recording.trace, recording.trace.steps[at]);
            at += 1;
        }
        for (number, (name, mut fate)) in fates(seed + 1000 * cut.step as u64).into_iter().enumerate() {
            let image = disk.image(&mut fate);
            let name = format!("step {at}, fate {number} ({name})");
            let case = Case { name, image, told: cut.told.clone(), again: usize::is_multiple_of(images, AGAIN) };
            images += 1;
            if checking.len() >= 2 {
                faults.extend(checking.join_next().await.and_then(Result::unwrap));
            }
            checking.spawn(fault(case, Arc::clone(&recording), Arc::clone(&expected)));
        }
    }
    faults.extend(checking.join_all().await.into_iter().flatten());
    println!("{images} images opened in {} s", start.elapsed().as_secs());
    assert!(faults.is_empty(), "seed {seed}: {} of {images} images fail:\n{}", faults.len(), faults.join("\n"));
}

/// What is wrong with an image, if anything is. It stays where `ROLLCALL_KEEP` says.
async fn fault(case: Case, recording: Arc<Recording>, expected: Arc<Vec<Expected>>) -> Option<String> {
    let folder = tempfile::tempdir().unwrap();
    write(&case.image, folder.path());
    let name = case.name.clone();
    let kept = std::env::var_os("ROLLCALL_KEEP").map(PathBuf::from);
    if let Some(kept) = &kept {
        copy(folder.path(), &kept.join(&name));
    }
    let checked = tokio::spawn(async move { check(folder, &case, &recording, &expected).await }).await;
    if let Some(kept) = kept
        && checked.is_ok()
    {
        fs::remove_dir_all(kept.join(&name)).unwrap();
    }
    let panic = checked.err()?.into_panic();
    let text = panic.downcast_ref::<String>().cloned();
    let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default();
    Some(format!("{name}: {}", text.chars().take(600).collect::<String>()))
}

fn write(image: &Image, folder: &Path) {
    for (path, content) in image {
        let path = folder.join(path);
        match content {
            None => fs::create_dir(&path).unwrap(),
            Some(content) => fs::write(&path, content).unwrap(),
        }
    }
}

/// Panics with what is wrong.
async fn check(folder: TempDir, case: &Case, recording: &Recording, expected: &[Expected]) {
    let told = &case.told;
    let done = told.iter().filter(|(_, outcome)| outcome.is_some()).count();
    let next = (done + 1).min(ROUNDS);
    let (before, after) = (&expected[done], &expected[next]);
    check_store(&folder.path().join("data"), told, before, after);
    let appliance = Appliance::open_at(folder, &recording.config(&list_name(next))).await;
    check_told(&appliance.app.store, told);
    check_indexes(&appliance.app.store, &["e", "f"]);
    let last_told = told.iter().filter(|(_, outcome)| outcome.is_some()).map(|(run, _)| RunId(*run)).max();
    let newer = appliance.app.store.runs(None, usize::MAX, |run| Some(run.id) > last_told).unwrap();
    let state = if newer.iter().any(is_done) { after } else { before };
    let as_told = without_runs(&store_text(&appliance.app)) == without_runs(&state.text);
    assert!(as_told, "the people are not as the newest runs say: {newer:?}");
    if !case.again {
        return;
    }
    let again = appliance.sync("e", "s", false, false).await;
    assert_eq!(again.outcome, Some(RunOutcome::Done), "the next sync: {:?}", again.error);
    check_indexes(&appliance.app.store, &["e", "f"]);
    let text = without_runs(&store_text(&appliance.app));
    assert!(text == without_runs(&after.text), "the next sync ends otherwise");
}

/// The store as it is found, before anything is recovered. Between two batches of a commit two people who swap their
/// emails may bear the same one, and a group may come after its members; nobody is half of one and half of the other.
fn check_store(path: &Path, told: &Told, before: &Expected, after: &Expected) {
    let store = Store::open(path).unwrap_or_else(|error| panic!("it does not open: {error}"));
    check_told(&store, told);
    let people = everybody(&store);
    for id in before.people.keys().chain(after.people.keys()).chain(people.keys()) {
        let person = people.get(id);
        let whole = person == before.people.get(id) || person == after.people.get(id);
        assert!(whole, "user {id} is neither as before nor as after");
    }
}

fn check_told(store: &Store, told: &Told) {
    for (number, outcome) in told {
        let run = store.run(RunId(*number)).unwrap();
        let run = run.unwrap_or_else(|| panic!("run {number} was acknowledged and is gone"));
        let found = run.outcome.map(|outcome| outcome.as_str().to_owned());
        assert!(outcome.is_none() || found == *outcome, "run {number} was told to be {outcome:?}, and is {found:?}");
    }
}

/// Done, or else it changed nobody.
fn is_done(run: &Run) -> bool {
    let interrupted = run.error.as_ref().is_some_and(|error| error.reason == ErrorReason::Interrupted);
    let done = run.outcome == Some(RunOutcome::Done);
    assert!(done || interrupted, "run {} is {:?}: {:?}", run.id, run.outcome, run.error);
    done
}
