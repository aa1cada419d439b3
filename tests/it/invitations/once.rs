//! Once for ever, whatever happens to the server, the process and the person.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;
use rollcall::model::InvitationState;
use rollcall::sync::Stopping;
use serde_json::{Value, json};

use super::post::{Answer, INVITATION, Place, settings};
use crate::by_hand::world::record;
use crate::support::check_indexes;

#[tokio::test(flavor = "multi_thread")]
async fn each_new_attendee_gets_one_mail_that_says_what_it_should() {
    let place = Place::inviting().await;
    place.bring(&["ada", "bob"]).await;
    place.assert_state("ada", InvitationState::Queued).await;
    assert_eq!(place.send().await, 2);
    assert_eq!(place.post.recipients(), ["ada@x.org", "bob@x.org"]);
    let mails = place.post.mails();
    let ada = mails.iter().find(|mail| mail.to == "ada@x.org").unwrap();
    assert_eq!((ada.header("From"), ada.header("To")), ("\"The Gala\" <gala@x.org>".into(), "ada@x.org".into()));
    assert_eq!(ada.header("Subject"), "The Gala: your invitation");
    let id = place.world.id("ada").await;
    assert_eq!(ada.header("List-Unsubscribe"), format!("<https://x.org/u?user={id}>"));
    assert!(ada.header("Content-Type").starts_with("multipart/alternative"));
    for part in ["Hello ada Example, welcome to The Gala.", "<p>Hello ada &amp; welcome to The Gala</p>"] {
        assert!(ada.text.contains(part), "{}", ada.text);
    }
    let ids: BTreeSet<_> = mails.iter().map(|mail| mail.header("Message-ID")).collect();
    assert!(ids.len() == 2 && ids.iter().all(|id| id.starts_with('<') && id.ends_with("@x.org>")), "{ids:?}");
    // Nothing makes another: nobody, a sync, leaving and coming back, another email, an edit, opening again.
    assert_eq!(place.send().await, 0);
    place.bring(&["ada", "bob"]).await;
    place.bring_records(&[record(1, "new", json!({"status": "cancelled"}))]).await;
    let cancelled = |name: &str, id: u32| record(id, name, json!({"status": "cancelled"}));
    let numbered = |name: &str| name.bytes().fold(0, |id: u32, byte| id.wrapping_mul(31).wrapping_add(byte.into()));
    place.bring_records(&[cancelled("ada", numbered("ada")), record(numbered("bob"), "robert", json!({}))]).await;
    place.bring(&["ada", "robert"]).await;
    let run = place.bring_records(&[record(numbered("ada"), "ada", json!({"company": "Engines"}))]).await;
    assert_eq!(run.counts.update, 1);
    let place = place.reopened().await;
    assert_eq!((place.send().await, place.post.mails().len()), (0, 2));
    place.assert_state("ada", InvitationState::Sent).await;
    check_indexes(&place.world.appliance.app.store, &["gala", "e", "f"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_added_by_hand_is_invited_and_who_left_is_not() {
    let place = Place::inviting().await;
    place.world.bring("s-f", &[record(1, "ada", json!({}))]).await;
    let ada = place.world.id("ada").await;
    assert_eq!(place.state("ada").await, None);
    let path = format!("/v1/events/gala/attendees/{ada}");
    let added = place.world.put(&path, json!({})).await.good();
    assert_eq!(added["invitation"]["state"], "queued");
    place.world.delete(&path).await.good();
    assert_eq!(place.send().await, 0, "who no longer attends is not invited");
    place.world.put(&path, json!({})).await.good();
    assert_eq!((place.send().await, place.send().await), (1, 0));
    place.world.delete(&path).await.good();
    place.world.put(&path, json!({})).await.good();
    assert_eq!(place.send().await, 0);
    // Whoever is deleted permanently is somebody else when they come back.
    place.world.delete(&format!("/v1/users/{ada}?keep_out=false")).await.good();
    place.bring(&["ada"]).await;
    assert_eq!((place.send().await, place.post.recipients().len()), (1, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_hour_without_a_mail_server_loses_nothing_and_doubles_nothing() {
    let mut place = Place::inviting().await;
    let names: Vec<String> = (0..24).map(|n| format!("p{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    place.post.set_down(true);
    place.bring(&names).await;
    let mut mailing = place.mailing();
    let tried = async |mailing: &mut rollcall::sync::Mailing, place: &Place| {
        place.world.appliance.clock.advance(SignedDuration::from_mins(1));
        mailing.send_due(&Stopping::default()).await
    };
    for minute in 0..60 {
        assert_eq!(tried(&mut mailing, &place).await, 0, "minute {minute}");
        if minute == 30 {
            drop(mailing);
            place = place.reopened().await;
            mailing = place.mailing();
        }
    }
    let outbox = place.world.get("/v1/outbox").await;
    let attempts: u64 = outbox["items"].as_array().unwrap().iter().map(|item| item["attempts"].as_u64().unwrap()).sum();
    assert!((5..30).contains(&attempts), "a server that is away is not asked by every mail: {attempts}");
    assert!(!outbox.to_string().contains("@x.org"), "nobody's address is in the outbox");
    place.post.set_down(false);
    let mut sent = 0;
    for _ in 0..120 {
        sent += tried(&mut mailing, &place).await;
    }
    let mut expected: Vec<_> = names.iter().map(|name| format!("{name}@x.org")).collect();
    expected.sort();
    assert_eq!((sent, place.post.recipients()), (24, expected));
    let metrics = place.world.appliance.app.observer.render();
    assert!(metrics.contains("rollcall_outbox_messages 0") && metrics.contains("outcome=\"deferred\""), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_between_sending_and_writing_down_doubles_one_mail_under_the_same_id() {
    let place = Place::inviting().await;
    place.bring(&["ada", "bob", "cleo"]).await;
    place.post.script([Answer::Say("250 ok"), Answer::Silence]);
    let mut mailing = place.mailing();
    let stopping = Stopping::default();
    tokio::select! {
        _ = mailing.send_due(&stopping) => panic!("the server is silent"),
        () = place.post.silent() => {}
    }
    drop(mailing);
    let place = place.reopened().await;
    assert_eq!(place.send().await, 2);
    let mut ids: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for mail in place.post.mails() {
        ids.entry(mail.to.clone()).or_default().push(mail.header("Message-ID"));
    }
    let mut counts: Vec<_> = ids.values().map(Vec::len).collect();
    counts.sort_unstable();
    assert_eq!(counts, [1, 1, 2], "one mail of three came twice: {ids:?}");
    assert!(ids.values().all(|of_one| of_one.iter().all(|id| *id == of_one[0])), "under one id: {ids:?}");
    for name in ["ada", "bob", "cleo"] {
        place.assert_state(name, InvitationState::Sent).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_for_now_is_tried_later_and_one_for_good_never_unless_by_hand() {
    let place = Place::inviting().await;
    place.bring(&["ada", "bob"]).await;
    place.post.script([Answer::Say("451 ada@x.org is busy"), Answer::Say("550 bob@x.org is nobody")]);
    assert_eq!(place.send().await, 0);
    let first = place.post.mails();
    let (later, never) = (first[0].to.replace("@x.org", ""), first[1].to.replace("@x.org", ""));
    place.assert_state(&later, InvitationState::Queued).await;
    place.assert_state(&never, InvitationState::Failed).await;
    let outbox = place.world.get("/v1/outbox").await;
    assert!(!outbox.to_string().contains("@x.org"), "{outbox}");
    let item = |name: &str, outbox: &Value, id: &str| -> Value {
        let items = outbox["items"].as_array().unwrap();
        items.iter().find(|item| item["user"] == id).unwrap_or_else(|| panic!("no {name}")).clone()
    };
    let (later_id, never_id) = (place.world.id(&later).await, place.world.id(&never).await);
    let waiting = item(&later, &outbox, &later_id);
    assert_eq!((&waiting["failure"], &waiting["attempts"]), (&json!("the mail server answered 451"), &json!(1)));
    let failed = item(&never, &outbox, &never_id);
    assert_eq!((&failed["failure"], &failed["next_try_at"]), (&json!("the mail server answered 550"), &Value::Null));
    assert_eq!(place.send().await, 0, "not before its time");
    place.world.appliance.clock.advance(SignedDuration::from_mins(1));
    assert_eq!((place.send().await, place.post.mails().len()), (1, 3));
    let message_id = |name: &str| {
        let of = |mail: &super::post::Received| (mail.to == format!("{name}@x.org")).then(|| mail.header("Message-ID"));
        place.post.mails().iter().filter_map(of).collect::<Vec<_>>()
    };
    let ids = message_id(&later);
    assert_eq!((ids.len(), &ids[0]), (2, &ids[1]), "another try is the same message");
    // By hand: another message.
    let resend = |id: &str| format!("/v1/outbox/gala:{id}/resend");
    place.world.ask("POST", &resend(&never_id), None).await.good();
    assert_eq!(place.send().await, 1);
    let ids = message_id(&never);
    assert!(ids.len() == 2 && ids[0] != ids[1], "{ids:?}");
    place.assert_state(&never, InvitationState::Sent).await;
    // It came back.
    let bounced = format!("/v1/events/gala/attendees/{never_id}/invitation/bounced");
    place.world.ask("POST", &bounced, None).await.good();
    place.assert_state(&never, InvitationState::Bounced).await;
    assert_eq!(place.world.get(INVITATION).await["counts"]["bounced"], 1);
    place.world.ask("POST", "/v1/outbox/gala:nobody/resend", None).await.problem(400);
    let unknown = "/v1/outbox/gala:00000000-0000-8000-8000-000000000000/resend";
    place.world.ask("POST", unknown, None).await.problem(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_held_stays_in_the_queue_until_it_is_released() {
    let place = Place::inviting().await;
    place.world.ask("POST", &format!("{INVITATION}/hold"), None).await.good();
    place.bring(&["ada"]).await;
    let place = place.reopened().await;
    assert_eq!(place.send().await, 0);
    let shown = place.world.get(INVITATION).await;
    assert_eq!((&shown["held"], &shown["counts"]["waiting"]), (&json!(true), &json!(1)));
    // A queue of invitations that are switched off waits, too.
    place.world.put(INVITATION, settings(json!({"enabled": false}))).await.good();
    place.world.ask("POST", &format!("{INVITATION}/release"), None).await.good();
    assert_eq!(place.send().await, 0);
    place.world.put(INVITATION, settings(json!({"existing": "skip"}))).await.good();
    assert_eq!(place.send().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sent_again_to_whom_it_is_being_sent_or_who_left() {
    let place = Place::inviting().await;
    place.bring(&["ada"]).await;
    let ada = place.world.id("ada").await;
    let resend = format!("/v1/outbox/gala:{ada}/resend");
    place.post.script([Answer::Silence]);
    let (mut mailing, stopping) = (place.mailing(), Stopping::default());
    tokio::select! {
        _ = mailing.send_due(&stopping) => panic!("the server is silent"),
        () = place.post.silent() => {}
    }
    place.assert_state("ada", InvitationState::Sending).await;
    place.world.ask("POST", &resend, None).await.problem(409);
    place.assert_state("ada", InvitationState::Sending).await;
    drop(mailing);
    assert_eq!(place.send().await, 1);
    place.world.delete(&format!("/v1/events/gala/attendees/{ada}")).await.good();
    place.world.ask("POST", &resend, None).await.problem(409);
    place.assert_state("ada", InvitationState::Sent).await;
    assert_eq!(place.send().await, 0);
}
