//! An approval, killed between any two steps on the disk: the run is still held, or it goes on at the next start.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use rollcall::faults::Faults;
use rollcall::model::RunOutcome;

use super::people::{approve, cancelled, erased, guarded, page, person};
use crate::support::{Appliance, ListServer, check_indexes, store_text};

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap();
        if path.is_dir() {
            copy(&path, &to.join(name));
        } else if name != "ballast" {
            // sled removes an older snapshot now and then.
            let _ = std::fs::copy(&path, to.join(name));
        }
    }
}

/// What a kill at each step leaves behind, as long as it is on.
struct Album {
    folder: tempfile::TempDir,
    images: Mutex<Vec<(String, PathBuf)>>,
    on: AtomicBool,
}

fn filming(data: PathBuf) -> (Arc<Album>, Faults) {
    let album = Album { folder: tempfile::tempdir().unwrap(), images: Mutex::default(), on: AtomicBool::new(false) };
    let album = Arc::new(album);
    let filming = Arc::clone(&album);
    let faults = Faults::with(move |step, side| {
        if filming.on.load(Ordering::SeqCst) {
            let mut images = filming.images.lock().unwrap();
            let image = filming.folder.path().join(images.len().to_string());
            copy(&data, &image);
            images.push((format!("{side:?} {step:?}"), image));
        }
        Ok(())
    });
    (album, faults)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_any_step_an_approval_is_whole_or_still_to_be_given() {
    let server = ListServer::start().await;
    let folder = tempfile::tempdir().unwrap();
    let (album, faults) = filming(folder.path().join("data"));
    let appliance = Appliance::open_failing(folder, &guarded(&server), faults).await;
    server.set("s", page((1..=24).map(person)));
    appliance.sync("e", "s", false, false).await;
    server.set("s", page((1..=6).map(erased).chain((7..=12).map(cancelled)).chain((13..=30).map(person))));
    let held = appliance.sync("e", "s", false, false).await;
    assert_eq!(held.outcome, Some(RunOutcome::Held));
    let before = store_text(&appliance.app);
    album.on.store(true, Ordering::SeqCst);
    let done = approve(&appliance, held.id).await.unwrap();
    album.on.store(false, Ordering::SeqCst);
    assert_eq!(done.outcome, Some(RunOutcome::Done));
    let after = store_text(&appliance.app);
    drop(appliance);
    let images = std::mem::take(&mut *album.images.lock().unwrap());
    let (mut still_held, mut went_on) = (0, 0);
    for (what, image) in images {
        let folder = tempfile::tempdir().unwrap();
        std::fs::rename(&image, folder.path().join("data")).unwrap();
        let appliance = Appliance::open_at(folder, &guarded(&server)).await;
        check_indexes(&appliance.app.store, &["e", "f"]);
        let run = appliance.app.runner.run(held.id).unwrap().unwrap();
        if run.is_held() {
            still_held += 1;
            assert_eq!(store_text(&appliance.app), before, "{what}");
            let done = approve(&appliance, held.id).await.unwrap();
            assert_eq!(done.outcome, Some(RunOutcome::Done), "{what}: {:?}", done.error);
        } else {
            went_on += 1;
            assert_eq!(run.outcome, Some(RunOutcome::Done), "{what}: {:?}", run.error);
            assert_eq!(run.decision.unwrap().by, "the command line");
        }
        assert_eq!(store_text(&appliance.app), after, "{what}");
    }
    assert!(still_held > 3 && went_on > 3, "{still_held} were held, {went_on} went on");
}
