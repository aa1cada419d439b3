//! What the guard counts.

use rollcall::model::{DoubtKind, RunOutcome};
use serde_json::json;

use super::people::{guarded, page, with};
use crate::support::{Appliance, ListServer};

#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_only_the_event_is_counted_against_the_feeds_own_registrations() {
    let server = ListServer::start().await;
    let appliance = Appliance::open(&guarded(&server)).await;
    let attending = |n| with(n, &json!({"groups": []}));
    let cancelled = |n| with(n, &json!({"groups": [], "status": "cancelled"}));
    // Were those who were cancelled long ago counted, or the other feed's, twelve would be few.
    let long_gone = || (201..=240).map(cancelled);
    server.set("s", page((1..=24).map(attending).chain(long_gone())));
    server.set("t", page((101..=160).map(attending)));
    for source in ["s", "t"] {
        assert_eq!(appliance.sync("e", source, false, false).await.outcome, Some(RunOutcome::Done));
    }
    server.set("s", page((1..=12).map(cancelled).chain((13..=24).map(attending)).chain(long_gone())));
    let run = appliance.sync("e", "s", false, false).await;
    assert_eq!(run.outcome, Some(RunOutcome::Held), "{run:?}");
    let [doubt] = &run.held[..] else { panic!("{:?}", run.held) };
    assert_eq!(doubt.kind, DoubtKind::Removed);
    let figures = "12 people would lose something (12 the event, 0 a group, 0 deleted permanently), more than 20 % of the \
                   24 active registrations (max_removed)";
    assert_eq!(doubt.text, figures);
}
