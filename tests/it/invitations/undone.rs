//! An undo takes back what is not sent, and a held run invites as it was planned.

use jiff::SignedDuration;
use rollcall::model::{Actor, DoubtKind, InvitationState, RunOutcome};
use serde_json::json;

use super::post::{Answer, INVITATION, Place, settings};
use crate::support::check_indexes;

#[tokio::test(flavor = "multi_thread")]
async fn an_undo_takes_back_what_is_not_sent_and_what_was_sent_stays() {
    let place = Place::inviting().await;
    place.bring(&["old"]).await;
    assert_eq!(place.send().await, 1);
    let run = place.bring(&["old", "ada", "bob"]).await;
    place.post.script([Answer::Say("250 ok"), Answer::Say("451 later")]);
    assert_eq!(place.send().await, 1);
    let mails = place.post.mails();
    let (sent, deferred) = (mails[1].to.replace("@x.org", ""), mails[2].to.replace("@x.org", ""));
    let undone = place.undo(&run).await;
    assert_eq!((undone.outcome, undone.counts.remove, undone.counts.skip), (Some(RunOutcome::Done), 2, 0));
    let gone = json!({"email": format!("{deferred}@x.org")});
    place.world.ask("POST", "/v1/users/lookup", Some(&gone)).await.problem(404);
    place.assert_state(&sent, InvitationState::Sent).await;
    place.world.appliance.clock.advance(SignedDuration::from_hours(1));
    assert_eq!(place.send().await, 0, "what was taken back is not sent");
    // They come back: who was invited is not invited again.
    place.bring(&["old", "ada", "bob"]).await;
    assert_eq!(place.send().await, 1);
    assert_eq!(place.post.mails().last().unwrap().to, format!("{deferred}@x.org"));
    check_indexes(&place.world.appliance.app.store, &["gala", "e", "f"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_undone_undo_invites_whom_nobody_invited() {
    let place = Place::inviting().await;
    let run = place.bring(&["ada"]).await;
    let undone = place.undo(&run).await;
    assert_eq!(place.send().await, 0);
    place.undo(&undone).await;
    assert_eq!((place.send().await, place.send().await), (1, 0));
    assert_eq!(place.post.recipients(), ["ada@x.org"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_would_invite_too_many_is_held_and_an_approval_invites_them() {
    let place = Place::new().await;
    place.world.put(INVITATION, settings(json!({"existing": "invite", "max_invites": 2}))).await.good();
    let run = place.bring(&["ada", "bob"]).await;
    assert!(run.held.is_empty());
    let names = ["ada", "bob", "p1", "p2", "p3"];
    let held = place.try_bring(&names).await;
    let kinds: Vec<_> = held.held.iter().map(|doubt| doubt.kind).collect();
    assert_eq!((held.outcome, kinds), (Some(RunOutcome::Held), vec![DoubtKind::Invites]));
    assert!(held.held[0].text.contains("3 people would be invited by mail; 2 may be unasked"), "{:?}", held.held);
    assert_eq!(place.send().await, 2, "those of the run before");
    let runner = &place.world.appliance.app.runner;
    runner.approve(held.id, Actor::CommandLine).await.unwrap();
    let approved = runner.wait(held.id).await.unwrap().unwrap();
    assert_eq!((approved.outcome, approved.counts.create), (Some(RunOutcome::Done), 3));
    assert_eq!((place.send().await, place.post.recipients().len()), (3, 5));
    check_indexes(&place.world.appliance.app.store, &["gala", "e", "f"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_says_whom_it_would_invite_and_invites_nobody() {
    let place = Place::inviting().await;
    place.world.show("s-e", &[crate::by_hand::world::record(1, "ada", json!({}))]);
    let run = place.world.appliance.sync("gala", "s", true, false).await;
    let changes = place.world.get(&format!("/v1/runs/{}/changes", run.id)).await;
    let details = changes["items"][0]["details"].as_array().unwrap();
    let invited = details.iter().find(|detail| detail["kind"] == "invitation").unwrap();
    assert_eq!((&invited["event"], &invited["after"]), (&json!("gala"), &json!("queued")), "{changes}");
    assert_eq!((place.send().await, place.world.get("/v1/outbox").await["items"].clone()), (0, json!([])));
}
