//! What a kill or a failing disk leaves of an erasure is done later; an interrupted read that tells of them goes.

use std::sync::atomic::{AtomicBool, Ordering};

use rollcall::faults::{Faults, Side, Step};
use rollcall::model::{ErrorReason, RunOutcome};

use super::*;
use crate::support::Album;

/// The journals cannot be written anew: the person is erased all the same, and the files are cleaned by the next start.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_left_when_the_process_dies_is_cleaned_by_the_next() {
    for at in [Step::JournalCreate, Step::JournalSync, Step::JournalRename] {
        let (world, ada) = (World::new().await, Somebody::new(13));
        let fails = Arc::new(AtomicBool::new(false));
        let switch = Arc::clone(&fails);
        let faults = Faults::with(move |step, side| {
            let hit = step == at && side == Side::Before && switch.load(Ordering::SeqCst);
            if hit { Err(std::io::ErrorKind::Other.into()) } else { Ok(()) }
        });
        let appliance = Appliance::open_failing(tempfile::tempdir().unwrap(), &world.config, faults).await;
        world.set("s", &[ada.record()]);
        sync_all(&appliance, false).await;
        fails.store(true, Ordering::SeqCst);
        let erasure = erase(&appliance, &ada.email).await;
        assert_eq!(erasure["files_cleaned_at"], Value::Null, "{erasure}");
        assert_eq!(id_of(&appliance, &ada.email), None, "erased all the same");
        let runs = appliance.app.store.runs_folder();
        assert!(!files_with(&runs, &ada.first).is_empty());
        let appliance = appliance.reopen(&world.config).await;
        let erasure = get(&appliance, "/v1/erasures").await["items"][0].take();
        assert_eq!(
            (&erasure["journals_cleaned"], erasure["files_cleaned_at"].is_null()),
            (&json!(2), false),
            "{erasure}"
        );
        assert!(ada.words().iter().all(|word| files_with(&runs, word).is_empty()), "{at:?}");
        let run = appliance.sync("e", "s", false, true).await;
        assert_eq!((run.counts.create, run.counts.skip), (0, 1));
    }
}

/// A copy of the data directory taken between two steps is what a kill there leaves.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_any_step_of_an_erasure_the_person_is_there_or_gone_from_every_run_and_kept_out() {
    let (world, ada) = (World::new().await, Somebody::new(17));
    let folder = tempfile::tempdir().unwrap();
    let (album, faults) = Album::of(&folder);
    let appliance = Appliance::open_failing(folder, &world.config, faults).await;
    world.set("s", &[ada.record()]);
    sync_all(&appliance, false).await;
    album.turn(true);
    erase(&appliance, &ada.email).await;
    compact(&appliance).await;
    album.turn(false);
    appliance.close().await;
    let mut outcomes = [0, 0];
    for (number, image) in album.images().enumerate() {
        let what = format!("{} (no. {number})", image.what());
        let appliance = Appliance::open_at(image.folder, &world.config).await;
        let is_there = id_of(&appliance, &ada.email).is_some();
        outcomes[usize::from(is_there)] += 1;
        let tombstones = get(&appliance, "/v1/tombstones").await["items"].as_array().unwrap().len();
        assert_eq!(tombstones, usize::from(!is_there), "{what}");
        let runs = appliance.app.store.runs_folder();
        let told = ada.words().iter().any(|word| !files_with(&runs, word).is_empty());
        assert_eq!(told, is_there, "{what}: the runs' files");
        let run = appliance.sync("e", "s", false, true).await;
        assert_eq!((run.counts.create, run.counts.skip), (0, usize::from(!is_there) as u64), "{what}");
        if !is_there {
            compact(&appliance).await;
            let data = appliance.app.store.folder().to_owned();
            assert!(ada.words().iter().all(|word| files_with(&data, word).is_empty()), "{what}");
        }
    }
    assert!(outcomes[0] > 10 && outcomes[1] > 0, "{outcomes:?}");
}

/// A journal is of an earlier day; cleaning it does not make it younger.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cleaned_journal_keeps_its_entries_numbers_and_its_time() {
    let (world, ada) = (World::new().await, Somebody::new(14));
    let appliance = world.open().await;
    world.set("s", &[ada.record()]);
    let run = appliance.sync("e", "s", false, false).await;
    let path = rollcall::journal::journal_path(&appliance.app.store.runs_folder(), run.id);
    let written = std::fs::File::options().write(true).open(&path).unwrap();
    let time = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000);
    written.set_modified(time).unwrap();
    let before = appliance.entries(&run);
    let erasure = erase(&appliance, &ada.email).await;
    assert_eq!((&erasure["journals_cleaned"], &erasure["entries_removed"]), (&json!(1), &json!(1)));
    let after = appliance.entries(&run);
    assert_eq!((after.len() as u64, run.applied), (before.len() as u64, run.planned.unwrap()));
    assert_eq!(
        before.iter().zip(&after).filter(|(before, after)| before != after).count(),
        1,
        "the others are as they were"
    );
    assert_eq!(std::fs::metadata(&path).unwrap().modified().unwrap(), time);
}

/// A read of a source whose places last is interrupted and waits to go on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupted_read_that_tells_of_them_is_dropped_and_another_stays() {
    let (world, ada, grace) = (World::new().await, Somebody::new(15), Somebody::new(16));
    let config = world.config.replace("[source.t.records]", "[source.t.limits]\ntries = 1\n[source.t.records]");
    let config = config.replacen("param = \"page\"", "param = \"page\"\nstable = true", 2);
    let appliance = Appliance::open(&config).await;
    world.set("s", &[ada.record(), grace.record()]);
    appliance.sync("e", "s", false, false).await;
    let page = json!({"items": [ada.with("id", "at-t")]}).to_string();
    world.server.set("t", vec![page, "not JSON".into()]);
    let run = appliance.sync("e", "t", false, false).await;
    assert_eq!(run.error.unwrap().reason, ErrorReason::Decode);
    let waiting = appliance.app.store.runs_folder().join("e@t.read");
    assert!(waiting.exists(), "it waits to go on");
    assert_eq!(erase(&appliance, &grace.email).await["reads_dropped"], 0);
    let id = id_of(&appliance, &ada.email).unwrap();
    let export = get(&appliance, &format!("/v1/users/{id}/export")).await;
    assert_eq!(export["waiting_records"][0]["external_id"], "at-t", "{export}");
    assert_eq!(erase(&appliance, &ada.email).await["reads_dropped"], 1);
    assert!(!waiting.exists());
    world.set("t", &[ada.with("id", "at-t")]);
    let run = appliance.sync("e", "t", false, false).await;
    assert_eq!((run.outcome, run.counts.skip), (Some(RunOutcome::Done), 1), "{:?}", run.error);
}
