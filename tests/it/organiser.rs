//! The organiser's story, from the first trial to the last sync, on a clock that the test moves: by hand before the event is
//! live, daily from then, hourly while it takes place, a last time after it; and one mail for each new attendee.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use rollcall::model::{Run, RunOutcome, Trigger};
use serde_json::{Value, json};

use crate::by_hand::world::record;
use crate::invitations::post::{INVITATION, Place, settings};
use crate::support::check_indexes;

const GALA: &str = "/v1/events/gala";

/// From a Tuesday evening to the next morning, in Berlin.
fn event() -> Value {
    json!({
        "title": "The Gala", "starts_at": "2026-03-10T18:00:00+01:00", "ends_at": "2026-03-11T02:00:00+01:00",
        "zone": "Europe/Berlin",
        "schedule": {"kind": "phases", "live_at": "2026-03-05T08:00:00+01:00", "at": "03:00", "jitter": "0s"},
        "feeds": [{"source": "s", "params": {"list": "s-e"}}],
        "access": {"admission": "restricted", "pages": {"lounge": {"groups": ["VIP"]}}},
    })
}

/// The organiser's registration system: who is in it, from 1 on.
fn registered(place: &Place, count: u32) {
    let groups = |n: u32| if n == 1 { json!(["VIP"]) } else { json!([]) };
    let people: Vec<_> = (1..=count).map(|n| record(n, &format!("p{n}"), json!({"groups": groups(n)}))).collect();
    place.world.show("s-e", &people);
}

async fn feed(place: &Place) -> Value {
    place.world.get(GALA).await["feeds"][0].take()
}

/// Lets the server do what is to be done until then: at each time that the API tells, a sync, and the mails after it.
async fn live_until(place: &Place, then: &str) {
    let (clock, then) = (&place.world.appliance.clock, then.parse::<Timestamp>().unwrap());
    loop {
        let next = feed(place).await["next_run"].as_str().map(|at| at.parse::<Timestamp>().unwrap());
        let Some(next) = next.filter(|next| *next <= then) else { break };
        clock.advance(next.duration_since(clock.now()));
        let runner = place.world.appliance.app.runner.clone();
        let schedules = tokio::spawn(async move { runner.keep_schedules().await });
        while feed(place).await["last_attempt"] != json!(next) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        schedules.abort();
        place.send().await;
    }
    clock.advance(then.duration_since(clock.now()));
}

/// When each sync began that nobody asked for, in Berlin; all were done.
fn scheduled(place: &Place) -> Vec<String> {
    let zone = jiff::tz::TimeZone::get("Europe/Berlin").unwrap();
    let of_gala = |run: &Run| run.feed.event.as_str() == "gala" && run.trigger == Trigger::Schedule;
    let mut runs = place.world.appliance.app.runner.runs(None, 1_000, of_gala).unwrap();
    runs.reverse();
    assert!(runs.iter().all(|run| run.outcome == Some(RunOutcome::Done)), "{runs:?}");
    runs.iter().map(|run| run.started_at.to_zoned(zone.clone()).strftime("%d %H:%M").to_string()).collect()
}

async fn may_enter(place: &Place, name: &str, page: Option<&str>) -> (bool, String) {
    let question = json!({"email": format!("{name}@x.org"), "page": page});
    let answer = place.world.ask("POST", &format!("{GALA}/access"), Some(&question)).await.good();
    (answer["allowed"].as_bool().unwrap(), answer["reason"].as_str().unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_from_the_first_trial_to_the_last_sync() {
    // It is the first of March, 08:00 UTC.
    let place = Place::new().await;
    place.world.put(GALA, event()).await.good();
    registered(&place, 2);
    let trial = place.world.appliance.sync("gala", "s", true, false).await;
    assert_eq!((trial.counts.create, trial.applied), (2, 0), "a dry run changes nobody");
    place.world.appliance.sync("gala", "s", false, false).await;
    // Those who are there already were invited otherwise.
    place.world.put(INVITATION, settings(json!({"existing": "skip"}))).await.good();
    assert_eq!(feed(&place).await["next_run"], "2026-03-06T02:00:00Z", "nothing by itself before it is live");
    live_until(&place, "2026-03-05T06:00:00Z").await;
    assert_eq!((scheduled(&place), place.post.mails().len()), (Vec::new(), 0));

    // Live: every night.
    for (day, count) in [("06", 3), ("07", 5), ("08", 5), ("09", 6), ("10", 6)] {
        registered(&place, count);
        live_until(&place, &format!("2026-03-{day}T12:00:00Z")).await;
    }
    let mut expected: Vec<_> = ["06", "07", "08", "09", "10"].map(|day| format!("{day} 03:00")).into();
    assert_eq!(scheduled(&place), expected);
    assert_eq!(place.post.recipients(), ["p3@x.org", "p4@x.org", "p5@x.org", "p6@x.org"]);

    // The doors open: every hour. Whoever registers at the door comes in after the next one.
    assert_eq!(may_enter(&place, "p7", None).await, (false, "unknown_person".into()));
    registered(&place, 7);
    live_until(&place, "2026-03-10T18:30:00Z").await;
    assert_eq!(may_enter(&place, "p7", None).await, (true, "attendee".into()));
    assert_eq!(may_enter(&place, "p1", Some("lounge")).await, (true, "group".into()));
    assert_eq!(may_enter(&place, "p7", Some("lounge")).await, (false, "no_group".into()));
    live_until(&place, "2026-03-11T12:00:00Z").await;
    expected.extend(["18", "19", "20", "21", "22", "23"].map(|hour| format!("10 {hour}:00")));
    expected.extend(["11 00:00".to_owned(), "11 01:00".to_owned()]);
    assert_eq!(scheduled(&place), expected);
    let fed = feed(&place).await;
    assert_eq!((&fed["next_run_why"], &fed["final_sync"]["state"]), (&json!("final"), &json!("pending")));

    // The day after: a last time, and no more.
    live_until(&place, "2026-04-10T00:00:00Z").await;
    expected.push("12 02:00".to_owned());
    assert_eq!(scheduled(&place), expected);
    let fed = feed(&place).await;
    assert_eq!((&fed["next_run_why"], &fed["final_sync"]["state"]), (&json!("final_done"), &json!("done")));
    registered(&place, 8);
    let by_hand = place.world.appliance.sync("gala", "s", false, false).await;
    assert_eq!(by_hand.counts.create, 1, "by hand it goes on");
    place.send().await;

    let mut mails = BTreeMap::new();
    for mail in place.post.mails() {
        *mails.entry(mail.to).or_insert(0) += 1;
    }
    let invited: BTreeMap<_, _> = (3..=8).map(|n| (format!("p{n}@x.org"), 1)).collect();
    assert_eq!(mails, invited, "each new attendee once");
    check_indexes(&place.world.appliance.app.store, &["gala", "e", "f"]);
}
