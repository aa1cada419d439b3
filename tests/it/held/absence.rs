//! Who is missing from complete reads.

use rollcall::model::{DoubtKind, RunOutcome};

use super::people::{approve, attendees, guarded, page, person};
use crate::support::{Appliance, ListServer, check_indexes};

/// The guarded config, where the missing are removed from feeds of `s`.
fn removing(server: &ListServer, runs: &str) -> String {
    guarded(server).replacen("[source.s.guard]", "[source.s.guard]\nmax_removed = 50\n", 1).replacen(
        "priority = 10",
        &format!("priority = 10\nmissing = \"remove\"\n{runs}"),
        1,
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn the_missing_are_removed_after_so_many_complete_reads_and_come_back() {
    let server = ListServer::start().await;
    let appliance = Appliance::open(&removing(&server, "missing_runs = 3")).await;
    server.set("s", page((1..=24).map(person)));
    appliance.sync("e", "s", false, false).await;
    server.set("s", page((3..=24).map(person)));
    for expected in [24, 24, 22, 22] {
        let run = appliance.sync("e", "s", false, false).await;
        assert_eq!((run.counts.missing, run.outcome), (2, Some(RunOutcome::Done)));
        assert_eq!(attendees(&appliance), expected);
        check_indexes(&appliance.app.store, &["e", "f"]);
    }
    server.set("s", page((2..=24).map(person)));
    let back = appliance.sync("e", "s", false, false).await;
    assert_eq!((attendees(&appliance), back.counts.create), (23, 1), "who comes back is an attendee again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_that_is_not_complete_removes_nobody() {
    let server = ListServer::start().await;
    let appliance = Appliance::open(&removing(&server, "missing_runs = 1")).await;
    server.set("s", page((1..=24).map(person)));
    appliance.sync("e", "s", false, false).await;
    // The total says that there are more.
    server.set("s", page((2..=24).map(person)).into_iter().map(|p| p.replacen('{', "{\"total\": 24, ", 1)).collect());
    let run = appliance.sync("e", "s", false, false).await;
    assert_eq!((run.complete, attendees(&appliance)), (false, 24), "{run:?}");
    server.set("s", page((2..=24).map(person)));
    appliance.sync("e", "s", false, false).await;
    assert_eq!(attendees(&appliance), 23);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_policy_reaches_those_who_were_missing_before() {
    let server = ListServer::start().await;
    let appliance = Appliance::open(&guarded(&server)).await;
    server.set("s", page((1..=24).map(person)));
    appliance.sync("e", "s", false, false).await;
    server.set("s", page((3..=24).map(person)));
    appliance.sync("e", "s", false, false).await;
    appliance.sync("e", "s", false, false).await;
    assert_eq!(attendees(&appliance), 24, "they are kept");
    let appliance = appliance.reopen(&removing(&server, "")).await;
    let run = appliance.sync("e", "s", false, false).await;
    assert_eq!((attendees(&appliance), run.counts.remove), (22, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn removals_for_absence_are_held_as_others_are() {
    let server = ListServer::start().await;
    let appliance = Appliance::open(&removing(&server, "missing_runs = 2")).await;
    server.set("s", page((1..=24).map(person)));
    appliance.sync("e", "s", false, false).await;
    server.set("s", page((13..=24).map(person)));
    // Half the list, which is not more than may be missing.
    let first = appliance.sync("e", "s", false, false).await;
    assert_eq!((first.outcome, first.degraded[0].kind), (Some(RunOutcome::Done), DoubtKind::Shrunk));
    server.set("s", page((14..=24).map(person)));
    assert_eq!(appliance.sync("e", "s", false, false).await.outcome, Some(RunOutcome::Done));
    assert_eq!(attendees(&appliance), 12, "12 of 24 are not more than half");
    server.set("s", page([]));
    let empty = appliance.sync("e", "s", false, false).await;
    assert_eq!(empty.outcome, Some(RunOutcome::Held));
    assert_eq!(attendees(&appliance), 12);
    approve(&appliance, empty.id).await.unwrap();
    assert_eq!(attendees(&appliance), 11, "only the one who was missing twice");
    let again = appliance.sync("e", "s", false, false).await;
    let kinds: Vec<_> = again.held.iter().map(|doubt| doubt.kind).collect();
    assert_eq!(kinds, [DoubtKind::Removed, DoubtKind::NobodyLeft], "now they would go");
    assert_eq!(attendees(&appliance), 11);
}
