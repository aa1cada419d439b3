//! A run taken back: everybody is as before, but for what was done since.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use rollcall::journal::journal_path;
use rollcall::model::{
    Actor, Email, Entry, EventName, FeedId, Field, GroupKey, Override, Run, RunId, RunOutcome, SourceName, Trigger,
    UserId,
};
use rollcall::sync::UndoError;
use serde_json::{Value, json};

use crate::support::{
    Album, Appliance, Installation, ListServer, ONE_FEED, check_indexes, noise, store_text, without_runs,
};

fn config(server: &ListServer) -> String {
    let base = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases/base.toml")).unwrap();
    base.replace("\"URL\"", &format!("\"http://{}\"", server.address))
}

fn person(n: usize, more: Value) -> Value {
    let mut record = json!({"id": n, "email": format!("p{n}@x.org"), "first": "First", "last": format!("L{n}"),
        "company": noise(n as u64, 16_000), "groups": ["red"]});
    record.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    record
}

/// Thirty people; then some of each kind of change: new, updated, in another group that the run makes, cancelled, with the
/// emails of each other, on a ticket that was somebody else's, missing.
fn list(round: usize) -> Vec<String> {
    let changed = |n: usize| match n {
        1..5 => person(n, json!({"first": "Changed"})),
        5..9 => person(n, json!({"groups": ["blue"]})),
        9..13 => person(n, json!({"status": "cancelled"})),
        13 => person(n, json!({"email": "p14@x.org"})),
        14 => person(n, json!({"email": "p13@x.org"})),
        15 => person(n, json!({"email": "renamed@x.org"})),
        16 => person(n, json!({"email": "p17@x.org"})),
        _ => person(n, json!({})),
    };
    let records: Vec<_> = match round {
        0 => (1..=30).map(|n| person(n, json!({}))).collect(),
        _ => (1..=28).chain(31..=40).map(changed).collect(),
    };
    vec![json!({"items": records}).to_string()]
}

async fn sync(appliance: &Appliance, source: &str) -> Run {
    let run = appliance.sync("e", source, false, false).await;
    assert_eq!(run.outcome, Some(RunOutcome::Done), "{:?}", run.error);
    run
}

async fn try_undo(appliance: &Appliance, run: RunId, dry_run: bool) -> Result<Run, UndoError> {
    appliance.clock.advance(SignedDuration::from_mins(1));
    let undo = appliance.app.runner.undo(run, dry_run, Actor::CommandLine).await?;
    Ok(appliance.app.runner.wait(undo).await?.unwrap())
}

async fn undo(appliance: &Appliance, run: RunId) -> Run {
    let run = try_undo(appliance, run, false).await.unwrap();
    assert_eq!(run.outcome, Some(RunOutcome::Done), "{:?}", run.error);
    run
}

fn text(appliance: &Appliance) -> String {
    store_text(&appliance.app)
}

/// Synced twice: the run of all changes, and the store before and after it.
async fn changed() -> (Appliance, ListServer, Run, String, String) {
    let server = ListServer::start().await;
    let appliance = Appliance::open(&config(&server)).await;
    server.set("s", list(0));
    sync(&appliance, "s").await;
    let before = text(&appliance);
    server.set("s", list(1));
    let run = sync(&appliance, "s").await;
    let after = text(&appliance);
    (appliance, server, run, before, after)
}

/// Whom an undo left as they are, and what of them was in the way.
fn left(appliance: &Appliance, undo: &Run) -> BTreeMap<UserId, Vec<String>> {
    let entries = appliance.entries(undo).into_iter();
    let left = entries.filter_map(|entry| match entry {
        Entry::NotUndone(left) => Some((left.id, left.parts.iter().map(ToString::to_string).collect())),
        _ => None,
    });
    left.collect()
}

fn user(appliance: &Appliance, email: &str) -> UserId {
    let user = appliance.app.store.user_by_email(&Email::parse(email).unwrap().key()).unwrap();
    appliance.app.store.person(user).unwrap().unwrap().id
}

fn feed() -> FeedId {
    FeedId { event: EventName::parse("e").unwrap(), source: SourceName::parse("s").unwrap() }
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_a_run_did_is_taken_back_and_the_undo_can_be_undone() {
    let (appliance, server, run, before, after) = changed().await;
    assert!(run.counts.create > 0 && run.counts.update > 0 && run.counts.remove > 0, "{:?}", run.counts);
    assert!(after.contains("group blue") && after.contains("absent since") && !before.contains("group blue"));
    let dry = try_undo(&appliance, run.id, true).await.unwrap();
    assert_eq!((dry.outcome, dry.applied, text(&appliance) == after), (Some(RunOutcome::Done), 0, true));
    let undone = undo(&appliance, run.id).await;
    assert_eq!(text(&appliance), before);
    check_indexes(&appliance.app.store, &["e", "f"]);
    assert_eq!((undone.trigger, undone.undoes, undone.counts), (Trigger::Undo, Some(run.id), dry.counts));
    let Run { counts, decision, .. } = &undone;
    assert_eq!((counts.skip, counts.delete), (0, 0));
    assert_eq!(decision.as_ref().unwrap().by, "the command line");
    assert_eq!(appliance.app.runner.run(run.id).unwrap().unwrap().undone_by, Some(undone.id));
    let twice = try_undo(&appliance, run.id, false).await.unwrap_err();
    assert_eq!(twice.to_string(), "run 2 was undone by run 4");
    assert!(appliance.app.store.erasures(None, 10).unwrap().is_empty(), "who goes again was not erased");
    let again = undo(&appliance, undone.id).await;
    assert_eq!(text(&appliance), after);
    undo(&appliance, again.id).await;
    assert_eq!(text(&appliance), before);
    check_indexes(&appliance.app.store, &["e", "f"]);
    // The source still says the same, and the next sync brings it.
    sync(&appliance, "s").await;
    let now = text(&appliance).replace("absent since read 3", "absent since read 2");
    assert_eq!(without_runs(&now), without_runs(&after));
    let appliance = appliance.reopen(&config(&server)).await;
    check_indexes(&appliance.app.store, &["e", "f"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_done_since_stays_and_whoever_it_concerns_is_listed() {
    let (appliance, server, run, before, _) = changed().await;
    let runner = &appliance.app.runner;
    let name = |email: &str| user(&appliance, email);
    let (p1, p2, p5, p31) = (name("p1@x.org"), name("p2@x.org"), name("p5@x.org"), name("p31@x.org"));
    let (p13, p14, p32) = (name("p13@x.org"), name("p14@x.org"), name("p32@x.org"));
    // A field that the run did not touch; a place; an entry about somebody whom the run made; a group.
    let edit = |id, field| {
        runner.by_hand(Actor::CommandLine, move |desk| {
            desk.edit(id, None, BTreeMap::from([(Field::parse(field).unwrap(), json!("by hand"))]))
        })
    };
    edit(p1, "phone").await.unwrap();
    edit(p31, "phone").await.unwrap();
    let event = EventName::parse("e").unwrap();
    let set = move |desk: &rollcall::sync::Desk<'_>| desk.set_attendance(p5, &event, Some(Override::Excluded));
    runner.by_hand(Actor::CommandLine, set).await.unwrap();
    // Another source knows p32, too; the same one says something else of p2 and of one of the two who exchanged emails.
    server.set("t", vec![json!({"items": [person(32, json!({}))]}).to_string()]);
    sync(&appliance, "t").await;
    let mut records: Value = serde_json::from_str(&list(1)[0]).unwrap();
    for record in records["items"].as_array_mut().unwrap() {
        if record["id"] == 2 || record["id"] == 13 {
            record["first"] = json!("Later");
        }
    }
    server.set("s", vec![records.to_string()]);
    sync(&appliance, "s").await;
    let undone = undo(&appliance, run.id).await;
    let left = left(&appliance, &undone);
    assert_eq!(undone.counts.skip, left.len() as u64);
    let about = |id: UserId| left.get(&id).map(|parts| parts.join(", "));
    assert_eq!(about(p2).as_deref(), Some("first_name, registration of e/s"));
    assert_eq!(about(p31).as_deref(), Some("entered by hand"));
    // p13 is the one with the email of 13, hence ticket 14, who would exchange it with ticket 13.
    let exchanged = [about(p13), about(p14)].map(Option::unwrap);
    assert!(exchanged.iter().any(|parts| parts == "exchanged with somebody who stays"), "{exchanged:?}");
    assert_eq!(left.len(), 4, "{left:?}");
    let now = |id: UserId| appliance.app.store.person(appliance.app.store.user_by_id(id).unwrap()).unwrap().unwrap();
    let first = |id: UserId| now(id).value(&Field::FirstName).unwrap().as_text().unwrap().to_owned();
    assert_eq!((first(p1).as_str(), first(p2).as_str()), ("First", "Later"));
    assert_eq!(now(p1).value(&Field::parse("phone").unwrap()).unwrap().as_text(), Some("by hand"));
    assert_eq!(now(p5).groups(), [GroupKey::of("red").unwrap()]);
    assert!(!now(p5).attends(&EventName::parse("e").unwrap()), "an override outlives an undo");
    let feeds: Vec<_> = now(p32).registrations.iter().map(|r| r.feed.source.to_string()).collect();
    assert_eq!(feeds, ["t"], "who has another registration stays with it");
    assert!(appliance.app.store.user_by_email(&Email::parse("p33@x.org").unwrap().key()).is_none());
    check_indexes(&appliance.app.store, &["e", "f"]);
    // All others are as before.
    let block = |text: &str, email: &str| {
        let mut lines = text.lines().skip_while(|line| !line.starts_with(&format!("{email} ")));
        let first = lines.next().unwrap().to_owned();
        [first].into_iter().chain(lines.take_while(|line| line.starts_with(' ')).map(str::to_owned)).collect::<Vec<_>>()
    };
    let now = text(&appliance);
    for email in ["p3@x.org", "p9@x.org", "p15@x.org", "p16@x.org", "p17@x.org", "p20@x.org", "p30@x.org"] {
        assert_eq!(block(&now, email), block(&before, email), "{email}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_did_since_is_reckoned_with() {
    let (appliance, server, run, ..) = changed().await;
    let runner = &appliance.app.runner;
    let new = user(&appliance, "p33@x.org");
    let other = EventName::parse("f").unwrap();
    let add = move |desk: &rollcall::sync::Desk<'_>| desk.set_attendance(new, &other, Some(Override::Added));
    runner.by_hand(Actor::CommandLine, add).await.unwrap();
    // Ticket 15 changed its email, and another source has somebody with the old one.
    server.set("t", vec![json!({"items": [person(115, json!({"email": "p15@x.org"}))]}).to_string()]);
    sync(&appliance, "t").await;
    let renamed = user(&appliance, "renamed@x.org");
    let undone = undo(&appliance, run.id).await;
    assert_eq!(left(&appliance, &undone), BTreeMap::from([(renamed, vec!["taken by somebody else".to_owned()])]));
    let stays = appliance.app.store.person(appliance.app.store.user_by_id(new).unwrap()).unwrap().unwrap();
    assert!(stays.registrations.is_empty() && stays.attends(&EventName::parse("f").unwrap()), "{stays:?}");
    check_indexes(&appliance.app.store, &["e", "f"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_that_were_deleted_or_made_since_are_as_they_must_be() {
    let server = ListServer::start().await;
    let appliance = Appliance::open(&config(&server)).await;
    let runner = &appliance.app.runner;
    let in_groups = |groups: Value| vec![json!({"items": [person(1, json!({"groups": groups}))]}).to_string()];
    server.set("s", in_groups(json!(["solo"])));
    sync(&appliance, "s").await;
    server.set("s", in_groups(json!(["blue"])));
    let run = sync(&appliance, "s").await;
    let solo = GroupKey::of("solo").unwrap();
    let gone = solo.clone();
    runner.by_hand(Actor::CommandLine, move |desk| desk.delete_group(&gone)).await.unwrap();
    let undone = undo(&appliance, run.id).await;
    let group = appliance.app.store.group(&solo).expect("who gets back into it needs it");
    assert_eq!((group.members, appliance.app.store.group(&GroupKey::of("blue").unwrap()).is_none()), (1, true));
    // The undo took the group away that the run had made; somebody spells it anew, and keeps it.
    let loud = rollcall::model::GroupName::new("BLUE").unwrap();
    runner.by_hand(Actor::CommandLine, move |desk| desk.put_group(loud)).await.unwrap();
    undo(&appliance, undone.id).await;
    let blue = appliance.app.store.group(&GroupKey::of("blue").unwrap()).unwrap();
    assert_eq!((&*blue.group.name, blue.members), ("BLUE", 1));
    check_indexes(&appliance.app.store, &["e", "f"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_source_is_read_anew_and_a_permanent_deletion_stays() {
    let (appliance, server, ..) = changed().await;
    let mut records: Value = serde_json::from_str(&list(1)[0]).unwrap();
    records["items"][19]["erase"] = json!(true);
    records["items"][20]["first"] = json!("Changed");
    server.set("s", vec![records.to_string()]);
    let run = sync(&appliance, "s").await;
    assert_eq!((run.counts.delete, run.counts.update), (1, 1));
    let state = appliance.app.store.feed_state(&feed());
    let undone = undo(&appliance, run.id).await;
    assert_eq!((undone.counts.skip, undone.counts.update), (1, 1));
    assert_eq!(left(&appliance, &undone).into_values().collect::<Vec<_>>(), [["deleted permanently"]]);
    let said = "1 people were deleted permanently by run 3, which cannot be undone";
    assert!(undone.log.iter().any(|line| line.text == said), "{:?}", undone.log);
    let after = appliance.app.store.feed_state(&feed());
    assert!(state.position.is_some() && after.position.is_none(), "{state:?} {after:?}");
    assert_eq!((after.complete_reads, after.last_success), (state.complete_reads, state.last_success));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_undo_is_refused_with_the_reason() {
    let server = ListServer::start().await;
    let appliance = Appliance::open(&config(&server)).await;
    server.set("s", list(0));
    let run = sync(&appliance, "s").await;
    let after = text(&appliance);
    let why = async |run| try_undo(&appliance, run, false).await.unwrap_err().to_string();
    assert_eq!(why(RunId(9)).await, "there is no run 9");
    let idle = sync(&appliance, "s").await;
    assert_eq!(why(idle.id).await, "run 2 changed nobody: it had nothing to change");
    let dry = appliance.sync("e", "s", true, true).await;
    assert_eq!(why(dry.id).await, "run 3 changed nobody: it was a dry run");
    std::fs::remove_file(journal_path(&appliance.app.store.runs_folder(), run.id)).unwrap();
    let expired = "the changes of run 1 are no longer known: journals are kept for 30 days (journal_days)";
    assert_eq!(why(run.id).await, expired);
    assert_eq!(text(&appliance), after);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_run_stays_held() {
    let server = ListServer::start().await;
    let appliance = Appliance::open(&config(&server).replace("enabled = false", "enabled = true")).await;
    server.set("s", list(0));
    let first = sync(&appliance, "s").await;
    let before = text(&appliance);
    server.set("s", vec![json!({"items": []}).to_string()]);
    let held = appliance.sync("e", "s", false, false).await;
    assert_eq!(held.outcome, Some(RunOutcome::Held));
    let why = try_undo(&appliance, held.id, false).await.unwrap_err().to_string();
    assert_eq!(why, "run 2 changed nobody: it is held; reject it to discard its plan");
    let undone = undo(&appliance, first.id).await;
    assert_eq!((undone.counts.remove, text(&appliance).as_str()), (30, ""), "it is somebody's decision");
    assert!(appliance.app.runner.run(held.id).unwrap().unwrap().is_held());
    undo(&appliance, undone.id).await;
    assert_eq!(text(&appliance), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_any_step_an_undo_is_whole_or_never_was() {
    let server = ListServer::start().await;
    let folder = tempfile::tempdir().unwrap();
    let (album, faults) = Album::of(&folder);
    let appliance = Appliance::open_failing(folder, &config(&server), faults).await;
    server.set("s", list(0));
    sync(&appliance, "s").await;
    let before = text(&appliance);
    server.set("s", list(1));
    let run = sync(&appliance, "s").await;
    let after = text(&appliance);
    album.turn(true);
    let undone = undo(&appliance, run.id).await;
    album.turn(false);
    assert_eq!(text(&appliance), before);
    drop(appliance);
    let (mut never, mut whole) = (0, 0);
    for image in album.images() {
        let what = image.what();
        let appliance = Appliance::open_at(image.folder, &config(&server)).await;
        check_indexes(&appliance.app.store, &["e", "f"]);
        let found = appliance.app.runner.run(undone.id).unwrap();
        let known = appliance.app.runner.run(run.id).unwrap().unwrap();
        if found.is_some_and(|found| found.outcome == Some(RunOutcome::Done)) {
            whole += 1;
            assert_eq!((known.undone_by, text(&appliance) == before), (Some(undone.id), true), "{what}");
        } else {
            never += 1;
            assert_eq!((known.undone_by, text(&appliance) == after), (None, true), "{what}");
            undo(&appliance, run.id).await;
            assert_eq!(text(&appliance), before, "{what}");
        }
    }
    assert!(never > 3 && whole > 3, "{never} never were, {whole} went on");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_undoes_a_run_and_names_whom_it_left() {
    let server = ListServer::start().await;
    let installation = Installation::new(&ONE_FEED.replace("URL", &format!("http://{}", server.address)));
    let run = async |arguments: &[&str]| {
        let mut program = installation.start(arguments);
        (program.code().await, program.stdout())
    };
    server.set("s", list(0));
    assert_eq!(run(&["sync", "e"]).await.0, Some(0));
    server.set("s", vec![json!({"items": [person(1, json!({"first": "Changed"}))]}).to_string()]);
    assert_eq!(run(&["sync", "e"]).await.0, Some(0));
    let (code, said) = run(&["undo", "1", "--dry-run"]).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("run 3 of e from s: done (dry run)") && said.contains("remove  p2@x.org"), "{said}");
    let (code, said) = run(&["undo", "1"]).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("undoes run 1") && said.contains("29 removed, 1 skipped"), "{said}");
    let skipped: Vec<_> = said.lines().filter(|line| line.starts_with("skip ")).collect();
    assert_eq!(skipped.len(), 1, "{said}");
    assert!(skipped[0].ends_with(": not_undone (first_name, registration of e/s)"), "{said}");
    assert_eq!(run(&["undo", "1"]).await.0, Some(1), "it is undone already");
    assert_eq!(run(&["undo", "9"]).await.0, Some(2), "there is no such run");
    let (_, audit) = run(&["audit", "--json"]).await;
    let audit: Value = serde_json::from_str(&audit).unwrap();
    let told: Vec<_> = audit["items"].as_array().unwrap().iter().map(|e| (&e["action"], &e["subject"])).collect();
    assert_eq!(told, [(&json!("run_undone"), &json!("1"))], "a dry run is none: {audit}");
}
