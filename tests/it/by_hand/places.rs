//! Who attends by an organiser's word, through syncs and until it is lifted.

use serde_json::{Value, json};

use super::world::{World, record};

async fn attends(world: &World, user: &str) -> bool {
    let listed = world.ids("/v1/events/e/attendees").await.iter().any(|id| id == user);
    let shown = world.get(&format!("/v1/events/e/attendees/{user}")).await["active"].as_bool().unwrap();
    assert_eq!(listed, shown);
    shown
}

#[tokio::test]
async fn what_is_decided_by_hand_outlives_syncs_until_it_is_lifted() {
    let world = World::new().await;
    let (ada, bob) = (record(1, "ada", json!({})), record(2, "bob", json!({"status": "cancelled"})));
    world.bring("s-e", &[ada.clone(), bob.clone()]).await;
    let (a, b) = (world.id("ada").await, world.id("bob").await);
    let path = |user: &str| format!("/v1/events/e/attendees/{user}");
    let token = world.ask("POST", "/v1/tokens", Some(&json!({"name": "front desk", "scopes": ["admin"]}))).await.good();
    let token = token["token"].as_str().unwrap();

    assert_eq!(world.delete(&path(&a)).await.status, 204);
    let added = world.ask_as(token, "PUT", &path(&b), None).await.good();
    let decided = json!({"set": "added", "by": "front desk", "at": "2026-03-01T08:01:00Z"});
    assert_eq!((&added["active"], &added["by_hand"]), (&json!(true), &decided));
    assert_eq!(world.user(&b).await["attendances"][0]["by_hand"], decided);
    for company in ["Engines", "Mills"] {
        let changed = json!({"company": company});
        let run = world
            .bring(
                "s-e",
                &[
                    record(1, "ada", changed.clone()),
                    record(2, "bob", json!({"company": company, "status": "cancelled"})),
                ],
            )
            .await;
        assert_eq!((run.counts.create, run.counts.remove, run.counts.update), (0, 0, 2));
        assert_eq!((attends(&world, &a).await, attends(&world, &b).await), (false, true));
    }
    let world = world.reopened(|config| config).await;
    assert_eq!((attends(&world, &a).await, attends(&world, &b).await), (false, true));

    for user in [&a, &b] {
        let lifted = world.put(&path(user), json!({"attendance": "synced"})).await.good();
        assert_eq!(lifted["by_hand"], Value::Null);
    }
    assert_eq!((attends(&world, &a).await, attends(&world, &b).await), (true, false), "as the source says");
    assert_eq!(world.sync("s-e").await.counts.unchanged, 2);
}

#[tokio::test]
async fn somebody_can_be_added_or_excluded_before_any_source_knows_them_there() {
    let world = World::new().await;
    world.bring("s-e", &[record(1, "ada", json!({})), record(2, "bob", json!({}))]).await;
    let (a, b) = (world.id("ada").await, world.id("bob").await);
    world.put(&format!("/v1/events/f/attendees/{a}"), json!({"attendance": "added"})).await.good();
    world.put(&format!("/v1/events/f/attendees/{b}"), json!({"attendance": "excluded"})).await.good();
    assert_eq!(world.ids("/v1/events/f/attendees").await, [a.as_str()]);
    let run = world.bring("s-f", &[record(7, "bob", json!({}))]).await;
    assert_eq!(run.counts.create, 0, "who is excluded is not newly an attendee");
    assert_eq!(world.ids("/v1/events/f/attendees").await, [a.as_str()]);
    world.put(&format!("/v1/events/f/attendees/{b}"), json!({"attendance": "synced"})).await.good();
    world.put(&format!("/v1/events/f/attendees/{a}"), json!({"attendance": "synced"})).await.good();
    assert_eq!(world.ids("/v1/events/f/attendees").await, [b]);
}

#[tokio::test]
async fn only_an_organiser_s_grant_keeps_whom_a_source_deletes() {
    let world = World::new().await;
    world.bring("s-e", &[record(1, "ada", json!({})), record(2, "bob", json!({})), record(3, "eve", json!({}))]).await;
    let (a, b, e) = (world.id("ada").await, world.id("bob").await, world.id("eve").await);
    world.put(&format!("/v1/events/e/attendees/{a}"), json!({})).await.good();
    world.delete(&format!("/v1/events/e/attendees/{b}")).await.good();
    world.put("/v1/groups/vip", json!({})).await.good();
    world.put(&format!("/v1/groups/vip/members/{e}"), json!({})).await.good();
    let gone = |id: u32| json!({"id": id, "erase": true});
    let run = world.bring("s-e", &[gone(1), gone(2), gone(3)]).await;
    assert_eq!(run.counts.delete, 1, "an exclusion keeps nobody");
    assert_eq!(world.ids("/v1/users").await, [a.clone(), e.clone()]);
    assert_eq!(world.ids("/v1/events/e/attendees").await, [a]);
    assert_eq!(world.ids("/v1/groups/vip/members").await, [e]);
}

#[tokio::test]
async fn an_event_in_which_somebody_was_decided_about_stays() {
    let world = World::new().await;
    world.bring("s-e", &[record(1, "ada", json!({}))]).await;
    let ada = world.id("ada").await;
    world.put("/v1/events/made", json!({"title": "Made"})).await.good();
    let path = format!("/v1/events/made/attendees/{ada}");
    world.put(&path, json!({})).await.good();
    world.delete("/v1/events/made").await.problem(409);
    for (path, body, status) in [
        (path.as_str(), json!({"attendance": "gone"}), 422),
        (path.as_str(), json!({"x": 1}), 422),
        ("/v1/events/none/attendees/00000000-0000-8000-8000-000000000000", json!({}), 404),
        ("/v1/events/e/attendees/00000000-0000-8000-8000-000000000000", json!({}), 404),
    ] {
        world.put(path, body).await.problem(status);
    }
}

#[tokio::test]
async fn an_explanation_names_the_hand() {
    let world = World::new().await;
    world.bring("s-e", &[record(1, "ada", json!({}))]).await;
    let ada = world.id("ada").await;
    let path = format!("/v1/events/e/attendees/{ada}");
    for (set, answer, words) in
        [("added", "yes", "added them to e by hand"), ("excluded", "no", "took them out of e by hand")]
    {
        world.ask("PUT", &path, Some(&json!({"attendance": set}))).await.good();
        let explained = world.ask("POST", "/v1/events/e/explain?source=s", Some(&json!({"user": ada}))).await.good();
        let step = explained["feeds"][0]["steps"].as_array().unwrap().last().unwrap();
        assert_eq!((&step["question"], &step["answer"]), (&json!("attends"), &json!(answer)), "{explained}");
        assert!(step["text"].as_str().unwrap().contains(words), "{step}");
    }
}
