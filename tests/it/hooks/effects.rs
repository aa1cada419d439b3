//! What a hook changes, and what it leaves as it was.

use rollcall::model::{Actor, AuditAction, AuditEntry, EmailKey, ErrorReason, RunOutcome, Trigger};
use serde_json::json;

use super::system::{NAMING, Stage};
use crate::support::everybody;

/// Who attends, by email.
fn attending(stage: &Stage) -> Vec<String> {
    let event = "e".to_owned().try_into().unwrap();
    let people = everybody(&stage.appliance.app.store).into_values();
    let mut emails: Vec<_> =
        people.filter(|person| person.attends(&event)).map(|p| p.email.as_str().to_owned()).collect();
    emails.sort();
    emails
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_reads_the_one_record_it_names_and_changes_that_person() {
    let stage = Stage::synced(NAMING, "").await;
    let before = stage.state();
    assert!(before.position.as_ref().is_some_and(|position| !position.validators.is_empty()), "{before:?}");
    // Neither of these is named: nobody hears of them.
    stage.people.remove(2);
    stage.people.set(9, "nobody@x.org", json!({}));

    for (what, id, email, more, attend, [create, update, remove]) in [
        ("a new one", 3, "alan@x.org", json!({}), &["ada@x.org", "alan@x.org", "grace@x.org"][..], [1, 0, 0]),
        (
            "a changed one",
            1,
            "ada@y.org",
            json!({"last": "King"}),
            &["ada@y.org", "alan@x.org", "grace@x.org"],
            [0, 1, 0],
        ),
        ("a cancelled one", 3, "alan@x.org", json!({"status": "cancelled"}), &["ada@y.org", "grace@x.org"], [0, 0, 1]),
        (
            "as it was",
            3,
            "alan@x.org",
            json!({"status": "cancelled", "seen": 1}),
            &["ada@y.org", "grace@x.org"],
            [0, 0, 0],
        ),
    ] {
        let runs = stage.runs().len();
        stage.people.set(id, email, more);
        assert_eq!(stage.hook(&json!({"ids": id, "what": what})).await, 202, "{what}");
        let run = stage.hook_runs(runs + 1).await.pop().unwrap();
        assert_eq!((run.trigger, run.outcome), (Trigger::Hint, Some(RunOutcome::Done)), "{what}: {run:?}");
        assert_eq!(stage.asked(), [format!("/people/{id}")], "{what}");
        assert_eq!(attending(&stage), attend, "{what}");
        let counts = run.counts;
        assert_eq!([counts.create, counts.update, counts.remove], [create, update, remove], "{what}: {run:?}");
        assert_eq!((run.complete, counts.records, counts.missing), (false, 1, 0), "{what}: {run:?}");
        assert_eq!(stage.state(), before, "{what}: what is known of the feed is of its syncs");
    }
    assert_eq!(stage.outcomes("accepted"), 4);
    let done = r#"rollcall_sync_runs_total{event="e",source="s",trigger="hint",outcome="done"}"#;
    assert_eq!(stage.metric(done), 4);

    let whole = stage.appliance.sync("e", "s", false, true).await;
    assert_eq!((whole.counts.create, whole.counts.missing), (1, 1), "a sync repairs what was missed: {whole:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_that_is_sent_again_has_no_effect() {
    let stage = Stage::synced(NAMING, "").await;
    let again = json!({"ids": [1]});
    for _ in 0..3 {
        assert_eq!(stage.hook(&again).await, 202);
        stage.hook_runs(1).await;
    }
    assert_eq!((stage.asked().len(), stage.runs().len()), (1, 1));
    assert_eq!((stage.outcomes("accepted"), stage.outcomes("repeated")), (1, 2));
    stage.appliance.clock.advance(jiff::SignedDuration::from_mins(5));
    assert_eq!(stage.hook(&again).await, 202);
    stage.hook_runs(2).await;
    assert_eq!(stage.asked().len(), 1, "five minutes later it is another one");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_said_by_number_and_changes_nobody() {
    let stage = Stage::synced(NAMING, "").await;
    stage.people.set(1, "ada@y.org", json!({}));
    stage.people.remove(2);
    assert_eq!(stage.hook(&json!({"ids": [1, "2", 777]})).await, 202);
    let run = stage.hook_runs(1).await.remove(0);
    assert_eq!((run.outcome, run.counts.records, run.counts.update), (Some(RunOutcome::Done), 1, 1), "{run:?}");
    let log: Vec<_> = run.log.iter().map(|line| line.text.as_str()).collect();
    assert!(log.contains(&"only what hooks named is read: 3 ids"), "{log:?}");
    assert!(log.contains(&"2 of 3 are not there (any more)"), "{log:?}");
    assert!(log.iter().all(|line| !line.contains("777")), "{log:?}");
    assert_eq!(attending(&stage), ["ada@y.org", "grace@x.org"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_may_be_several() {
    let hook = NAMING.replace("select = \".\"", "select = '. as $order | .tickets[] | . + {email: $order.email}'");
    let stage = Stage::synced(&hook, "").await;
    let tickets = json!([{"id": 71, "first": "A", "last": "B"}, {"id": 72, "first": "A", "last": "B"}]);
    stage.people.set(7, "alan@x.org", json!({"tickets": tickets}));
    assert_eq!(stage.hook(&json!({"ids": "7"})).await, 202);
    let run = stage.hook_runs(1).await.remove(0);
    assert_eq!((run.counts.records, run.counts.create), (2, 1), "{run:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hooks_requests_are_of_the_sources_budget() {
    let more = "budget = [{ requests = 2, per = \"day\" }]";
    let stage = Stage::synced(NAMING, more).await;
    let before = stage.state();
    stage.hook(&json!({"ids": 1, "n": 1})).await;
    stage.hook_runs(1).await;
    stage.hook(&json!({"ids": 1, "n": 2})).await;
    let run = stage.hook_runs(2).await.remove(1);
    assert_eq!(run.outcome, Some(RunOutcome::Failed));
    assert_eq!(run.error.as_ref().map(|error| error.reason), Some(ErrorReason::Quota), "{run:?}");
    assert_eq!(stage.asked(), ["/people/1"], "the second one asked for nothing");
    assert_eq!(stage.state(), before, "a failed hint is no failed sync");
    let sync = stage.appliance.sync("e", "s", false, false).await;
    assert_eq!(sync.error.as_ref().map(|error| error.reason), Some(ErrorReason::Quota), "{sync:?}");
    let waits = stage.state();
    assert!(waits.goes_on_at.is_some() && waits.consecutive_failures == 1, "{waits:?}");
    for n in 3..8 {
        stage.hook(&json!({"ids": 1, "n": n})).await;
        stage.hook_runs(n).await;
    }
    assert_eq!(stage.state(), waits, "hints do not keep a sync from going on when the quota opens");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_is_for_the_feeds_of_the_event_that_it_names() {
    let hook = "path_secret = { env = \"SOURCE_TOKEN\" }\nids = \".id\"\nselect = \".\"\nevent = \".event\"\nevent_param = \"slug\"\n\
                record = { path = \"people/{hook.id}\", query = { of = \"{param.slug}\" } }";
    let stage = Stage::of(&format!(
        "[source.s]\nbase_url = \"URL\"\nrequest = {{ path = \"people\" }}\nrecords = {{ select = \".items[]\" }}\n\
         auth = {{ kind = \"bearer\", token = {{ env = \"SOURCE_TOKEN\" }} }}\n\
         mapping = {{ external_id = \".id\", email = \".email\", first_name = \".first\", last_name = \".last\" }}\n\
         [source.s.hook]\n{hook}\n\
         [event.e]\nfeed = [{{ source = \"s\", params = {{ slug = \"one\" }} }}]\n\
         [event.f]\nfeed = [{{ source = \"s\", params = {{ slug = \"two\" }} }}]\n"
    ))
    .await;
    let path = format!("/v1/sources/s/hook/{}", crate::support::SOURCE_TOKEN);
    let mut n = 0;
    for (event, slugs) in [(json!("two"), &["two"][..]), (json!("elsewhere"), &[]), (json!(null), &["one", "two"])] {
        let body = json!({"id": 1, "event": event});
        assert_eq!(stage.post(&path, &[], body.to_string()).await.status, 202, "{body}");
        n += slugs.len();
        stage.hook_runs(n).await;
        let mut asked: Vec<_> = stage.server.take().into_iter().map(|asked| asked.query["of"].clone()).collect();
        asked.sort();
        assert_eq!(asked, slugs, "{body}");
    }
    assert_eq!((stage.outcomes("accepted"), stage.outcomes("unmatched")), (2, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_is_guarded_like_a_sync_and_takes_no_held_plans_place() {
    let stage = Stage::synced(NAMING, "").await;
    let before = stage.state();
    for id in [1, 2] {
        stage.people.set(id, &format!("p{id}@x.org"), json!({"status": "cancelled"}));
    }
    assert_eq!(stage.hook(&json!({"ids": [1, 2]})).await, 202);
    let hint = stage.hook_runs(1).await.pop().unwrap();
    assert_eq!((hint.trigger, hint.outcome), (Trigger::Hint, Some(RunOutcome::Held)), "nobody would be left: {hint:?}");
    assert_eq!((attending(&stage).len(), stage.state()), (2, before));

    let held = stage.appliance.sync("e", "s", false, false).await;
    assert_eq!(held.outcome, Some(RunOutcome::Held));
    let runner = &stage.appliance.app.runner;
    assert_eq!(
        runner.run(hint.id).unwrap().unwrap().outcome,
        Some(RunOutcome::Superseded),
        "a sync has the whole list"
    );
    stage.people.set(3, "alan@x.org", json!({}));
    assert_eq!(stage.hook(&json!({"ids": 3})).await, 202);
    let hint = stage.hook_runs(2).await.pop().unwrap();
    assert_eq!((hint.outcome, attending(&stage).len()), (Some(RunOutcome::Done), 3), "{hint:?}");
    assert_eq!(runner.held_run(&held.feed), Some(held.id), "still to be decided");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_hook_brings_back_who_was_erased() {
    let stage = Stage::synced(NAMING, "").await;
    let app = stage.appliance.app.clone();
    let erase = move || {
        let store = &app.store;
        let user = store.user_by_email(&EmailKey::of("ada@x.org")).unwrap();
        let id = store.person(user).unwrap().unwrap().id;
        let (at, actor) = (app.clock.now(), Actor::CommandLine);
        let (action, subject, note) = (AuditAction::PersonErased, id.to_string(), String::new());
        app.runner.erase(id, true, AuditEntry { at, actor, action, subject, note }).is_ok()
    };
    assert!(tokio::task::spawn_blocking(erase).await.unwrap());
    assert_eq!(attending(&stage), ["grace@x.org"]);
    stage.people.set(1, "ada@x.org", json!({"last": "King"}));
    stage.people.set(7, "ada@x.org", json!({}));
    assert_eq!(stage.hook(&json!({"ids": [1, 7]})).await, 202);
    let hint = stage.hook_runs(1).await.pop().unwrap();
    assert_eq!((hint.outcome, hint.counts.records, hint.counts.skip), (Some(RunOutcome::Done), 2, 2), "{hint:?}");
    assert_eq!(attending(&stage), ["grace@x.org"]);
}
