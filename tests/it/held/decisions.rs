//! Approved when the world has moved on, superseded, expired, counted.

use axum::body::Body;
use axum::http::Request;
use http_body_util::BodyExt;
use jiff::SignedDuration;
use rollcall::http;
use rollcall::model::{Actor, AuditAction, AuditEntry, DoubtKind, EventName, ExternalId, RunOutcome};
use rollcall::sync::{DecideError, Subject};
use secrecy::ExposeSecret;
use serde_json::json;
use tower::ServiceExt;

use super::people::{approve, attendees, erased, guarded, holding, outcome, page, person, with};
use crate::support::{Appliance, ListServer, store_text};

async fn metrics(appliance: &Appliance) -> String {
    let token = appliance.app.local_token.expose_secret().to_owned();
    let request = Request::builder().uri("/metrics").header("authorization", format!("Bearer {token}"));
    let Ok(answer) = http::router(&appliance.app).oneshot(request.body(Body::empty()).unwrap()).await;
    String::from_utf8(answer.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_run_is_counted_and_leaves_the_feed_where_it_was() {
    let (appliance, _server, run) = holding().await;
    let text = metrics(&appliance).await;
    let held = r#"rollcall_sync_runs_total{event="e",source="s",trigger="api",outcome="held"} 1"#;
    assert!(text.contains(held) && text.contains("rollcall_runs_held 1"), "{text}");
    let state = appliance.app.store.feed_state(&run.feed);
    assert_eq!((state.last_run, state.complete_reads, state.consecutive_failures), (Some(run.id), 1, 0));
    assert!(state.last_attempt > state.last_success);
    assert_eq!(run.held.iter().map(|doubt| doubt.kind).collect::<Vec<_>>(), [DoubtKind::Removed]);
    assert_eq!(attendees(&appliance), 24);
    let done = approve(&appliance, run.id).await.unwrap();
    assert_eq!((done.outcome, done.counts.remove, done.applied), (Some(RunOutcome::Done), 12, done.planned.unwrap()));
    assert_eq!((attendees(&appliance), appliance.app.store.feed_state(&run.feed).complete_reads), (12, 2));
    let text = metrics(&appliance).await;
    let done = r#"rollcall_sync_runs_total{event="e",source="s",trigger="api",outcome="done"} 2"#;
    assert!(text.contains(done) && text.contains("rollcall_runs_held 0"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_plan_does_not_touch_stays_as_it_is_now() {
    let (appliance, server, run) = holding().await;
    // Of another source person 1 attends, too; 2 has a telephone; both are to lose their place by `s`.
    server.set("t", page([person(1), with(2, &json!({"phone": "7", "status": "pending"}))]));
    assert_eq!(appliance.sync("e", "t", false, false).await.outcome, Some(RunOutcome::Done));
    let done = approve(&appliance, run.id).await.unwrap();
    assert_eq!((done.outcome, done.counts.remove, done.counts.update), (Some(RunOutcome::Done), 11, 1));
    assert_eq!(attendees(&appliance), 13, "1 attends by the other source");
    let text = store_text(&appliance.app);
    assert!(text.contains("phone \"7\""), "{text}");
    let again = appliance.sync("e", "s", false, true).await;
    assert_eq!((again.counts.update, again.counts.remove), (0, 0), "the next plan finds nothing to do");
    assert_eq!(store_text(&appliance.app), text);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_is_refused_whole_where_the_plan_touches_what_changed() {
    let server = ListServer::start().await;
    let appliance = Appliance::open(&guarded(&server)).await;
    server.set("s", page((1..=24).map(person)));
    appliance.sync("e", "s", false, false).await;
    server.set("s", page((1..=6).map(erased).chain((7..=25).map(person))));
    let held = appliance.sync("e", "s", false, false).await;
    assert_eq!(held.outcome, Some(RunOutcome::Held));
    // Who is to be deleted gets a place by another source; and who is new is there already.
    server.set("t", page([person(1), person(25)]));
    appliance.sync("e", "t", false, false).await;
    let before = store_text(&appliance.app);
    let Err(DecideError::Outdated(_, conflicts)) = approve(&appliance, held.id).await else { panic!("approved") };
    assert_eq!(conflicts.people, 2, "{conflicts}");
    assert_eq!(store_text(&appliance.app), before);
    assert_eq!(outcome(&appliance, held.id), RunOutcome::Held);
    assert!(conflicts.to_string().contains("person"), "{conflicts}");
    let appliance = appliance.reopen(&guarded(&server)).await;
    assert_eq!(appliance.app.runner.held_run(&held.feed), Some(held.id), "held over a restart");
    appliance.app.runner.reject(held.id, rollcall::model::Actor::CommandLine).await.unwrap();
    assert_eq!((outcome(&appliance, held.id), store_text(&appliance.app)), (RunOutcome::Rejected, before));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_plan_takes_its_place_and_a_failed_run_does_not() {
    let (appliance, server, held) = holding().await;
    server.set("s", vec!["nonsense".into()]);
    assert_eq!(appliance.sync("e", "s", false, false).await.outcome, Some(RunOutcome::Failed));
    assert_eq!(outcome(&appliance, held.id), RunOutcome::Held);
    server.set("s", page([]));
    let dry = appliance.sync("e", "s", true, false).await;
    assert_eq!((dry.outcome, dry.held[0].kind), (Some(RunOutcome::Done), DoubtKind::Empty), "a dry run says it");
    assert_eq!(outcome(&appliance, held.id), RunOutcome::Held);
    let newer = appliance.sync("e", "s", false, false).await;
    assert_eq!((newer.outcome, outcome(&appliance, held.id)), (Some(RunOutcome::Held), RunOutcome::Superseded));
    let old = appliance.app.runner.run(held.id).unwrap().unwrap();
    assert!(old.log.iter().any(|line| line.text == format!("superseded: run {} has a newer plan", newer.id)));
    assert!(appliance.entries(&held).is_empty(), "its journal is gone");
    let Err(DecideError::NotHeld(run)) = approve(&appliance, held.id).await else { panic!("approved") };
    assert_eq!(run.outcome, Some(RunOutcome::Superseded));
    server.set("s", page((1..=24).map(person)));
    assert_eq!(appliance.sync("e", "s", false, false).await.outcome, Some(RunOutcome::Done));
    assert_eq!(outcome(&appliance, newer.id), RunOutcome::Superseded);
    assert_eq!(appliance.app.runner.held_runs(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_run_expires() {
    let (appliance, server, held) = holding().await;
    appliance.clock.advance(SignedDuration::from_hours(7 * 24 - 1));
    appliance.app.runner.expire().await;
    assert_eq!(outcome(&appliance, held.id), RunOutcome::Held);
    appliance.clock.advance(SignedDuration::from_hours(1));
    // The end of any run looks for them.
    server.set("t", page([]));
    appliance.sync("e", "t", false, false).await;
    assert_eq!(outcome(&appliance, held.id), RunOutcome::Expired);
    assert_eq!((attendees(&appliance), appliance.app.runner.held_runs()), (24, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspicious_success_is_degraded() {
    let server = ListServer::start().await;
    let appliance = Appliance::open(&guarded(&server)).await;
    let kinds = |run: &rollcall::model::Run| run.degraded.iter().map(|doubt| doubt.kind).collect::<Vec<_>>();
    server.set("s", page([]));
    let empty = appliance.sync("e", "s", false, false).await;
    assert_eq!((empty.outcome, kinds(&empty)), (Some(RunOutcome::Done), vec![DoubtKind::Empty]));
    server.set("s", page((1..=24).map(person)));
    assert_eq!(kinds(&appliance.sync("e", "s", false, false).await), []);
    server.set("s", page((1..=20).map(person)));
    let shrunk = appliance.sync("e", "s", false, false).await;
    assert_eq!((shrunk.outcome, kinds(&shrunk)), (Some(RunOutcome::Done), vec![DoubtKind::Shrunk]));
    assert!(shrunk.log.iter().any(|line| line.text == "degraded: the list lacks 4 of the 24 registrations it had"));
    assert!(appliance.app.runner.event(&EventName::parse("e").unwrap()).is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_explanation_and_the_review_know_of_a_held_plan() {
    let (appliance, server, held) = holding().await;
    let subject = Subject::ExternalId(ExternalId::new("1").unwrap());
    let explained = appliance.app.runner.explain(&held.feed, &subject).unwrap();
    let told: Vec<_> = explained.steps.iter().map(|step| step.text.as_str()).collect();
    let waits =
        format!("run {} would take them out of the event; it is held, and waits for somebody to decide", held.id);
    assert!(told.contains(&waits.as_str()) && told.iter().any(|text| text.starts_with("they attend e")), "{told:?}");
    let changed = explained.change.unwrap();
    assert!(changed.0 < held.id, "the last change is one that was made: {changed:?}");

    let broken = r#"{"id": 1, "email": "nobody", "first": "F", "last": "L"}"#;
    server.set("s", vec![format!(r#"{{"items": [{broken}]}}"#)]);
    let run = appliance.sync("e", "s", false, false).await;
    assert_eq!(run.outcome, Some(RunOutcome::Held));
    let found = appliance.app.runner.review(&held.feed).unwrap();
    assert_eq!(found.iter().map(|item| item.found.unwrap().0).collect::<Vec<_>>(), [run.id]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_erased_leaves_a_held_plan_and_stays_out() {
    let (appliance, server, held) = holding().await;
    let user = |n: u32| {
        let id = ExternalId::new(&n.to_string()).unwrap();
        let user = appliance.app.store.user_by_registration(&held.feed, &id)?;
        appliance.app.store.person(user).unwrap()
    };
    let gone = user(1).unwrap();
    let entry = AuditEntry {
        at: appliance.app.clock.now(),
        actor: Actor::CommandLine,
        action: AuditAction::PersonErased,
        subject: gone.id.to_string(),
        note: String::new(),
    };
    let (app, id) = (appliance.app.clone(), gone.id);
    let erased = tokio::task::spawn_blocking(move || app.runner.erase(id, true, entry)).await.unwrap();
    assert!(erased.is_ok() && outcome(&appliance, held.id) == RunOutcome::Held);
    let journal = std::fs::read(appliance.app.store.runs_folder().join(format!("{}.journal", held.id))).unwrap();
    let email = gone.email.as_str().as_bytes();
    assert!(!journal.windows(email.len()).any(|bytes| bytes == email), "the plan names them no more");
    let done = approve(&appliance, held.id).await.unwrap();
    assert_eq!((done.outcome, attendees(&appliance), user(1)), (Some(RunOutcome::Done), 12, None));
    server.set("s", page((1..=24).map(person)));
    let again = appliance.sync("e", "s", false, true).await;
    assert_eq!((again.outcome, attendees(&appliance), user(1)), (Some(RunOutcome::Done), 23, None));
}
