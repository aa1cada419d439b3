//! How far a person came outlives everything but the person.

use jiff::Timestamp;
use rollcall::model::{
    Action, Actor, Email, EventName, FeedId, Invitation, InvitationState, Journey, Override, Person, PersonChange, Run,
    RunOutcome, UserId,
};
use rollcall::plan::{self, Rank};
use rollcall::store::ChangeSet;
use serde_json::json;

use crate::held::people::{approve, guarded, page, person, with};
use crate::support::{Appliance, ListServer, check_indexes};

fn event() -> EventName {
    EventName::parse("e").unwrap()
}

fn find(appliance: &Appliance, email: &str) -> Option<Person> {
    let user = appliance.app.store.user_by_email(&Email::parse(email).unwrap().key())?;
    appliance.app.store.person(user).unwrap()
}

/// Writes how far somebody came, as the app and the mail server would tell.
fn travel(appliance: &Appliance, email: &str, change: impl FnOnce(&mut Person)) -> UserId {
    let store = &appliance.app.store;
    let before = find(appliance, email).unwrap();
    let mut after = before.clone();
    change(&mut after);
    let (id, user) = (before.id, store.user_by_id(before.id));
    let change = PersonChange { action: Action::Update, user, id, before: Some(before), after: Some(after) };
    let set = ChangeSet { people: vec![change], ..ChangeSet::default() };
    tokio::task::block_in_place(|| store.commit(set)).unwrap();
    id
}

fn arrive(person: &mut Person) {
    let at = Timestamp::from_second(1_770_000_000).unwrap();
    person.travel(|journey| journey.account_at = Some(at));
    person.pass(&event(), |passage| {
        passage.invitation = Some(Invitation::new(InvitationState::Sent, at));
        passage.first_access_at = Some(at);
    });
}

fn journey(appliance: &Appliance, email: &str) -> Option<Journey> {
    find(appliance, email).unwrap().journey.map(|journey| *journey)
}

async fn sync(appliance: &Appliance) -> Run {
    appliance.sync("e", "s", false, false).await
}

async fn undo(appliance: &Appliance, run: &Run) -> Run {
    let undo = appliance.app.runner.undo(run.id, false, Actor::CommandLine).await.unwrap();
    appliance.app.runner.wait(undo).await.unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn syncs_edits_undo_and_opening_again_leave_it_as_it_is() {
    let server = ListServer::start().await;
    let config = guarded(&server);
    let appliance = Appliance::open(&config).await;
    server.set("s", page((1..=24).map(person)));
    sync(&appliance).await;
    let id = travel(&appliance, "p1@x.org", arrive);
    let known = journey(&appliance, "p1@x.org");
    assert!(known.is_some());
    // Cancelled, edited meanwhile, and back.
    server.set("s", page([with(1, &json!({"status": "cancelled"}))].into_iter().chain((2..=24).map(person))));
    let cancelled = sync(&appliance).await;
    assert_eq!((cancelled.counts.remove, journey(&appliance, "p1@x.org")), (1, known.clone()));
    let set = move |desk: &rollcall::sync::Desk<'_>| desk.set_attendance(id, &event(), Some(Override::Added));
    appliance.app.runner.by_hand(Actor::CommandLine, set).await.unwrap();
    assert_eq!(journey(&appliance, "p1@x.org"), known);
    assert_eq!(undo(&appliance, &cancelled).await.outcome, Some(RunOutcome::Done));
    assert_eq!(journey(&appliance, "p1@x.org"), known);
    // Under another email, which takes nothing along.
    server.set("s", page([with(1, &json!({"email": "new@x.org"}))].into_iter().chain((2..=24).map(person))));
    sync(&appliance).await;
    assert_eq!(journey(&appliance, "new@x.org"), known);
    check_indexes(&appliance.app.store, &["e", "f"]);
    tokio::task::block_in_place(|| appliance.app.store.keep_index()).unwrap();
    let appliance = appliance.reopen(&config).await;
    assert!(!appliance.app.store.was_scanned());
    assert_eq!(journey(&appliance, "new@x.org"), known);
    check_indexes(&appliance.app.store, &["e", "f"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_back_over_a_journey_keeps_what_came_since() {
    let server = ListServer::start().await;
    let appliance = Appliance::open(&guarded(&server)).await;
    server.set("s", page((1..=24).map(person)));
    let first = sync(&appliance).await;
    server.set("s", page([with(1, &json!({"first": "Changed"}))].into_iter().chain((2..=24).map(person))));
    let second = sync(&appliance).await;
    travel(&appliance, "p1@x.org", arrive);
    let known = journey(&appliance, "p1@x.org");
    let undone = undo(&appliance, &second).await;
    assert_eq!((undone.counts.update, undone.counts.skip), (1, 0), "it is no obstacle");
    assert_eq!(journey(&appliance, "p1@x.org"), known);
    // Whom a run made and who came since goes from the event, but is not forgotten.
    let undone = undo(&appliance, &first).await;
    assert_eq!((undone.counts.remove, undone.counts.skip), (24, 0), "{:?}", undone.log);
    let left = find(&appliance, "p1@x.org").unwrap();
    assert_eq!((left.attends(&event()), left.registrations.len()), (false, 0));
    assert_eq!((left.journey.map(|journey| *journey), left.profile.len()), (known.clone(), 2));
    assert!(left.profile.iter().all(|field| field.owner.is_none()));
    assert_eq!(find(&appliance, "p2@x.org"), None);
    let again = undo(&appliance, &undone).await;
    assert_eq!((again.counts.create, journey(&appliance, "p1@x.org")), (24, known));
    check_indexes(&appliance.app.store, &["e", "f"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_meets_people_who_came_meanwhile() {
    let (appliance, _server, run) = crate::held::people::holding().await;
    travel(&appliance, "p1@x.org", arrive);
    travel(&appliance, "p20@x.org", arrive);
    let known = journey(&appliance, "p1@x.org");
    let approved = approve(&appliance, run.id).await.unwrap();
    assert_eq!((approved.outcome, approved.counts.remove), (Some(RunOutcome::Done), 12));
    assert_eq!(journey(&appliance, "p1@x.org"), known);
    assert!(!find(&appliance, "p1@x.org").unwrap().attends(&event()));
}

#[tokio::test(flavor = "multi_thread")]
async fn people_added_by_hand_do_not_hide_a_loss() {
    let server = ListServer::start().await;
    let appliance = Appliance::open(&guarded(&server)).await;
    let gone = |n| with(n, &json!({"status": "cancelled"}));
    server.set("s", page((1..=24).map(person).chain((101..=200).map(gone))));
    sync(&appliance).await;
    for n in 101..=200 {
        let id = find(&appliance, &format!("p{n}@x.org")).unwrap().id;
        let set = move |desk: &rollcall::sync::Desk<'_>| desk.set_attendance(id, &event(), Some(Override::Added));
        appliance.app.runner.by_hand(Actor::CommandLine, set).await.unwrap();
    }
    assert_eq!(crate::held::people::attendees(&appliance), 124);
    server.set("s", page((1..=12).map(gone).chain((13..=24).map(person)).chain((101..=200).map(gone))));
    let run = sync(&appliance).await;
    assert_eq!(run.outcome, Some(RunOutcome::Held), "12 of 24 active registrations, whoever else attends: {run:?}");
    check_indexes(&appliance.app.store, &["e", "f"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_erased_is_forgotten_with_the_whole_way() {
    let server = ListServer::start().await;
    let appliance = Appliance::open(&guarded(&server)).await;
    server.set("s", page((1..=24).map(person)));
    sync(&appliance).await;
    travel(&appliance, "p1@x.org", arrive);
    server.set("s", page([with(1, &json!({"erase": true}))].into_iter().chain((2..=24).map(person))));
    assert_eq!(sync(&appliance).await.counts.delete, 1);
    server.set("s", page((1..=24).map(person)));
    sync(&appliance).await;
    assert_eq!(journey(&appliance, "p1@x.org"), None);
    check_indexes(&appliance.app.store, &["e", "f"]);
}

#[test]
fn a_decision_by_hand_is_no_step_of_the_way() {
    let at = Timestamp::UNIX_EPOCH;
    let email = Email::parse("ada@x.org").unwrap();
    let (profile, registrations, attendances) = (Vec::new(), Vec::new(), Vec::new());
    let id = UserId::from_u128(1);
    let (email_owner, by_hand) = (None, None);
    let mut ada =
        Person { id, email, email_owner, profile, registrations, attendances, created_at: at, by_hand, journey: None };
    arrive(&mut ada);
    let decision = rollcall::model::Decision { by: "test".into(), at };
    let rank = |_: &FeedId| Rank::default();
    let after = plan::set_attendance(&ada, &event(), Some(Override::Added), decision, &rank);
    assert_eq!(after.journey, ada.journey);
}
