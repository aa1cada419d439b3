//! After erasure and compaction no byte of the person is left in the data directory.

use jiff::SignedDuration;
use rollcall::model::RunOutcome;
use serde_json::json;

use super::*;
use crate::support::check_indexes;

/// Nothing of them is in any file, raw or decoded, while others are. Takes the appliance down.
async fn assert_gone(appliance: Appliance, somebody: &Somebody) {
    check_indexes(&appliance.app.store, &["e", "f"]);
    let folder = appliance.close().await;
    let data = folder.path().join("data");
    for word in somebody.words() {
        assert_eq!(files_with(folder.path(), word), [""; 0], "raw");
        assert_eq!(decoded_with(&data, word), [""; 0], "decoded");
    }
    assert!(!decoded_with(&data, "other3@x.org").is_empty(), "others are still there, so the search is not blind");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn erased_by_hand_nobody_is_left_in_any_byte() {
    let (world, ada) = (World::new().await, Somebody::new(1));
    // A history: created, renamed, moved to another address, rejected, under two sources and in two events.
    let appliance = world.open().await;
    world.set("s", &[ada.with("last", "Before"), Somebody::new(2).record()]);
    sync_all(&appliance, false).await;
    world.set("s", &[ada.with("diet", "none"), Somebody::new(2).record()]);
    world.set("t", &[json!({"id": "at-t", "email": ada.email, "first": ada.first, "last": ada.last})]);
    sync_all(&appliance, false).await;
    world.set("s", &[ada.record(), Somebody::new(2).record()]);
    sync_all(&appliance, false).await;
    world.set("s", &[ada.with("email", "not an address"), Somebody::new(2).record()]);
    let rejected = appliance.sync("e", "s", false, false).await;
    assert_eq!(rejected.counts.reject, 1);
    world.set("s", &[ada.record(), Somebody::new(2).record()]);
    appliance.sync("e", "s", true, true).await;

    let runs = appliance.app.store.runs_folder();
    let data = runs.parent().unwrap().to_owned();
    assert!(ada.words().iter().all(|word| !files_with(&data.join("db"), word).is_empty()), "the search finds them");
    assert!(ada.words().iter().all(|word| !files_with(&runs, word).is_empty()), "the search finds them");
    let erasure = erase(&appliance, &ada.email).await;
    assert_eq!((&erasure["registrations"], &erasure["tombstones"]), (&json!(3), &json!(1)), "{erasure}");
    assert!(erasure["journals_cleaned"].as_u64().unwrap() >= 6, "{erasure}");
    assert_eq!(erasure["files_cleaned_at"], erasure["at"], "{erasure}");
    assert_eq!(erasure["compacted_at"], Value::Null);
    for word in ada.words() {
        assert_eq!(files_with(&runs, word), [""; 0], "the runs' files are clean at once");
    }
    assert!(!files_with(&data.join("db"), &ada.first).is_empty(), "sled keeps what was deleted");
    let path = "/v1/groups/choir/members";
    assert_eq!(get(&appliance, path).await["items"].as_array().unwrap().len(), 1, "the other one");
    assert_eq!(get(&appliance, "/v1/groups/choir").await["members"], 1);

    compact(&appliance).await;
    let listed = get(&appliance, "/v1/erasures").await["items"][0].take();
    assert_eq!(listed["compacted_at"], listed["at"], "{listed}");
    // Syncs and a preview see the person again, and keep nothing of them.
    for full in [false, true] {
        for run in sync_all(&appliance, full).await {
            assert_eq!(run.outcome, Some(RunOutcome::Done), "{:?}", run.error);
            assert_eq!((run.counts.create, run.counts.skip), (0, 1), "{:?}", run.counts);
        }
    }
    assert_gone(appliance, &ada).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn erased_by_the_delete_flag_it_is_the_same_and_leaves_no_tombstone() {
    let (world, ada) = (World::new().await, Somebody::new(3));
    let appliance = world.open().await;
    world.set("s", &[ada.record()]);
    sync_all(&appliance, false).await;
    world.set("s", &[ada.with("erase", true)]);
    let run = appliance.sync("e", "s", false, false).await;
    assert_eq!(run.counts.delete, 1, "{:?}", run.counts);
    let erasure = get(&appliance, "/v1/erasures").await["items"][0].take();
    assert_eq!(erasure["by"], json!({"kind": "run", "run": run.id.0}));
    assert_eq!((&erasure["tombstones"], &erasure["registrations"]), (&json!(0), &json!(2)), "{erasure}");
    assert_eq!(erasure["journals_cleaned"], 2, "{erasure}");
    assert!(!erasure["files_cleaned_at"].is_null());
    assert_eq!(get(&appliance, "/v1/tombstones").await["items"], json!([]));
    compact(&appliance).await;
    let again = sync_all(&appliance, true).await;
    assert!(again.iter().all(|run| run.counts.create == 0), "the flag is still there");
    let data = appliance.app.store.folder().to_owned();
    for word in &ada.words()[1..] {
        assert_eq!(files_with(&data, word), [""; 0], "raw");
    }
    world.set("s", &[ada.record()]);
    assert_eq!(appliance.sync("e", "s", false, false).await.counts.create, 1, "the source is the authority");
    let folder = appliance.close().await;
    assert!(!decoded_with(&folder.path().join("data"), &ada.first).is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_store_is_compacted_by_itself_when_it_is_time_also_after_a_restart() {
    let (world, ada) = (World::new().await, Somebody::new(4));
    let appliance = world.open().await;
    world.set("s", &[ada.record()]);
    sync_all(&appliance, false).await;
    erase(&appliance, &ada.email).await;
    let due = async |appliance: &Appliance| {
        blocking(appliance, |app| app.runner.see_to_erasures()).await;
        !get(appliance, "/v1/erasures").await["items"][0]["compacted_at"].is_null()
    };
    appliance.clock.advance(SignedDuration::from_hours(23));
    assert!(!due(&appliance).await, "not yet");
    appliance.clock.advance(SignedDuration::from_hours(1));
    let appliance = appliance.reopen(&world.config).await;
    assert!(due(&appliance).await, "a day is over");
    let data = appliance.app.store.folder().to_owned();
    assert!(ada.words().iter().all(|word| files_with(&data, word).is_empty()));
}
