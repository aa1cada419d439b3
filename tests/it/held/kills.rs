//! An approval, killed between any two steps on the disk: the run is still held, or it goes on at the next start.

use rollcall::model::RunOutcome;

use super::people::{approve, cancelled, erased, guarded, page, person};
use crate::support::{Album, Appliance, ListServer, check_indexes, store_text};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_any_step_an_approval_is_whole_or_still_to_be_given() {
    let server = ListServer::start().await;
    let folder = tempfile::tempdir().unwrap();
    let (album, faults) = Album::of(&folder);
    let appliance = Appliance::open_failing(folder, &guarded(&server), faults).await;
    server.set("s", page((1..=24).map(person)));
    appliance.sync("e", "s", false, false).await;
    server.set("s", page((1..=6).map(erased).chain((7..=12).map(cancelled)).chain((13..=30).map(person))));
    let held = appliance.sync("e", "s", false, false).await;
    assert_eq!(held.outcome, Some(RunOutcome::Held));
    let before = store_text(&appliance.app);
    album.turn(true);
    let done = approve(&appliance, held.id).await.unwrap();
    album.turn(false);
    assert_eq!(done.outcome, Some(RunOutcome::Done));
    let after = store_text(&appliance.app);
    drop(appliance);
    let (mut still_held, mut went_on) = (0, 0);
    for image in album.images() {
        let what = image.what();
        let appliance = Appliance::open_at(image.folder, &guarded(&server)).await;
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
