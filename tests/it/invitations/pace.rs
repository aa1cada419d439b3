//! Mails go out no faster than `rate` says. Tokio's clock stands; the test moves it.

use std::sync::mpsc;
use std::time::Duration;

use rollcall::sync::Stopping;
use serde_json::json;
use tokio::time::{Instant, advance};

use super::post::{Answer, INVITATION, Place, settings};
use crate::by_hand::world::record;
use rollcall::model::InvitationState;

/// From now on the clock goes only when it is moved, as long as what is returned is there.
fn stop_the_clock() -> mpsc::Sender<()> {
    let (keep, gone) = mpsc::channel();
    tokio::task::spawn_blocking(move || gone.recv().is_err());
    tokio::time::pause();
    keep
}

/// Lets everything happen that can happen at this time.
async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// People who wait for a mail, of which one goes each second.
async fn waiting(people: u32) -> Place {
    let place = Place::at_rate(60).await;
    place.world.put(INVITATION, settings(json!({"existing": "invite"}))).await.good();
    let people: Vec<_> = (1..=people).map(|n| record(n, &format!("p{n}"), json!({}))).collect();
    place.bring_records(&people).await;
    place
}

#[tokio::test]
async fn mails_go_out_no_faster_than_the_rate_also_where_some_are_refused() {
    let place = waiting(6).await;
    place.post.script([Answer::Say("250 ok"), Answer::Say("451 later"), Answer::Say("550 never")]);
    let (_stopped, began) = (stop_the_clock(), Instant::now());
    let mut mailing = place.mailing();
    let sending = tokio::spawn(async move {
        let mut sent = 0;
        // As a server does: it looks again and again.
        while sent < 4 {
            sent += mailing.send_due(&Stopping::default()).await;
            tokio::task::yield_now().await;
        }
    });
    while !sending.is_finished() {
        settle().await;
        let (passed, mails) = (began.elapsed(), place.post.mails().len());
        assert!(mails as u64 <= 1 + passed.as_secs(), "{mails} mails after {passed:?}");
        advance(Duration::from_millis(250)).await;
    }
    sending.await.unwrap();
    assert_eq!(place.post.mails().len(), 6);
    assert!(began.elapsed() >= Duration::from_secs(5));
}

#[tokio::test]
async fn who_waits_for_their_turn_is_not_sent_a_mail_because_the_process_ends() {
    let place = waiting(3).await;
    let _stopped = stop_the_clock();
    let (mut mailing, stopping) = (place.mailing(), Stopping::default());
    let heard = stopping.clone();
    let sending = tokio::spawn(async move { mailing.send_due(&heard).await });
    while place.post.mails().is_empty() {
        advance(Duration::from_millis(1)).await;
        settle().await;
    }
    settle().await;
    stopping.say();
    assert_eq!(sending.await.unwrap(), 1);
    assert_eq!(place.post.mails().len(), 1);
    // What became of the one is stored.
    let counts = place.world.get(INVITATION).await["counts"].clone();
    assert_eq!((&counts["sent"], &counts["waiting"]), (&json!(1), &json!(2)), "{counts}");
    let name = place.post.recipients()[0].replace("@x.org", "");
    place.assert_state(&name, InvitationState::Sent).await;
}
