//! Memberships know their grants: a registration's, or an organiser's.

use serde_json::{Value, json};

use super::world::{World, record};

async fn members(world: &World, group: &str) -> Vec<String> {
    world.ids(&format!("/v1/groups/{group}/members")).await
}

#[tokio::test]
async fn a_rule_that_stops_granting_removes_only_its_own() {
    let world = World::new().await;
    let vip = |id, name| record(id, name, json!({"groups": ["VIP"]}));
    world.bring("s-e", &[vip(1, "ada"), vip(2, "bob"), vip(3, "eve")]).await;
    world.bring("t-e", &[vip(9, "bob")]).await;
    let (a, b, e) = (world.id("ada").await, world.id("bob").await, world.id("eve").await);
    let path = |user: &str| format!("/v1/groups/Vip/members/{user}");
    let user = world.put(&path(&a), json!({"event": "f"})).await.good();
    let decided = json!({"set": "added", "event": "f", "by": "command line", "at": "2026-03-01T08:02:00Z"});
    let grant = json!({"event": "e", "source": "s", "external_id": "1"});
    let shown = json!([{"group": "vip", "member": true, "granted_by": [grant], "by_hand": decided}]);
    assert_eq!(user["memberships"], shown);

    let plain = |id, name| record(id, name, json!({"groups": []}));
    let run = world.bring("s-e", &[plain(1, "ada"), plain(2, "bob"), plain(3, "eve")]).await;
    assert_eq!(run.counts.update, 3, "what grants it changed for all three");
    assert_eq!(members(&world, "vip").await, [a.clone(), b.clone()]);
    let user = world.user(&a).await;
    assert_eq!((&user["memberships"][0]["granted_by"], &user["memberships"][0]["by_hand"]), (&json!([]), &decided));
    assert_eq!(world.user(&e).await["memberships"], json!([]));
    world.bring("t-e", &[record(9, "bob", json!({"groups": ["VIP"], "status": "cancelled"}))]).await;
    assert_eq!(members(&world, "vip").await, [a.as_str()], "who is cancelled is granted nothing");
    world.put(&path(&a), json!({"membership": "synced"})).await.good();
    assert!(members(&world, "vip").await.is_empty());
}

#[tokio::test]
async fn exclusions_outlive_syncs_until_they_are_lifted() {
    let world = World::new().await;
    let ada = |company: &str| record(1, "ada", json!({"company": company, "groups": ["VIP", "Press"]}));
    world.bring("s-e", &[ada("A")]).await;
    let id = world.id("ada").await;
    let path = format!("/v1/groups/vip/members/{id}");
    assert_eq!(world.delete(&path).await.status, 204);
    world.bring("s-e", &[ada("B")]).await;
    let world = world.reopened(|config| config).await;
    assert!(members(&world, "vip").await.is_empty());
    let user = world.user(&id).await;
    assert_eq!(user["groups"], json!(["press"]));
    let out = &user["memberships"][1];
    assert_eq!(
        (&out["group"], &out["member"], &out["by_hand"]["set"]),
        (&json!("vip"), &json!(false), &json!("excluded"))
    );
    assert_eq!(out["granted_by"][0]["source"], "s");
    world.put(&path, json!({"membership": "synced"})).await.good();
    assert_eq!(members(&world, "vip").await, [id]);
}

#[tokio::test]
async fn groups_are_made_spelled_and_deleted_by_hand() {
    let world = World::new().await;
    world.bring("s-e", &[record(1, "ada", json!({"groups": ["Press"]})), record(2, "bob", json!({}))]).await;
    let (a, b) = (world.id("ada").await, world.id("bob").await);
    let made = world.put("/v1/groups/Team%20Ice", json!({})).await;
    assert_eq!(
        (made.status, made.json),
        (201, json!({"key": "team ice", "name": "Team Ice", "members": 0, "events": []}))
    );
    let spelled = world.put("/v1/groups/team%20ice", json!({"name": "TEAM Ice"})).await;
    assert_eq!((spelled.status, &spelled.json["name"]), (200, &json!("TEAM Ice")));
    assert_eq!(world.put("/v1/groups/team%20ice", json!({"name": "Team Fire"})).await.problem(422).1, ["name"]);
    assert_eq!(world.put("/v1/groups/team%20ice", json!({"name": "x".repeat(257)})).await.problem(422).1, ["name"]);
    world.put("/v1/groups/%20", json!({})).await.problem(400);

    world.put(&format!("/v1/groups/team%20ice/members/{b}"), json!({})).await.good();
    let world = world.reopened(|config| config).await;
    let shown = json!({"key": "team ice", "name": "TEAM Ice", "members": 1, "events": []});
    assert_eq!(world.get("/v1/groups/team%20ice").await, shown);
    assert_eq!(world.delete("/v1/groups/team%20ice").await.status, 204);
    assert_eq!(world.user(&b).await["memberships"], json!([]));
    world.delete("/v1/groups/team%20ice").await.problem(404);
    world.put(&format!("/v1/groups/team%20ice/members/{b}"), json!({})).await.problem(404);
    assert_eq!(
        world.put(&format!("/v1/groups/press/members/{b}"), json!({"event": "none"})).await.problem(422).1,
        ["event"]
    );

    let refused = world.delete("/v1/groups/press").await;
    refused.problem(409);
    assert!(refused.json["detail"].as_str().unwrap().contains("source 's'"), "{}", refused.json);
    // Nobody is left in it whom the source granted it: it goes, and comes back with the one who is let in again.
    world.delete(&format!("/v1/groups/press/members/{a}")).await.good();
    assert_eq!(world.delete("/v1/groups/press").await.status, 204);
    world.put(&format!("/v1/groups/press/members/{a}"), json!({"membership": "synced"})).await.good();
    assert_eq!(members(&world, "press").await, [a]);
    let world = world.reopened(|config| config).await;
    assert_eq!(world.get("/v1/groups/press").await["members"], 1);
}

#[tokio::test]
async fn what_is_done_by_hand_is_in_the_audit_log_without_anybody_s_values() {
    let world = World::new().await;
    world.bring("s-e", &[record(1, "ada", json!({}))]).await;
    let ada = world.id("ada").await;
    world.patch(&ada, json!({"phone": "secret 1", "title": null})).await.good();
    world.put(&format!("/v1/users/{ada}/protected"), json!({"fields": ["phone", "company"]})).await.good();
    world.put(&format!("/v1/events/e/attendees/{ada}"), json!({"attendance": "excluded"})).await.good();
    world.put("/v1/groups/VIP", json!({})).await.good();
    world.put(&format!("/v1/groups/vip/members/{ada}"), json!({})).await.good();
    world.delete("/v1/groups/vip").await.good();
    world.patch(&ada, json!({"phone": "secret 1"})).await.good();
    let log = world.get("/v1/audit").await;
    let told: Vec<_> = log["items"]
        .as_array()
        .unwrap()
        .iter()
        .rev()
        .map(|entry| {
            let text = |key: &str| entry[key].as_str().unwrap().replace(&ada, "ada");
            format!("{} {}: {}", text("action"), text("subject"), text("note"))
        })
        .collect();
    assert_eq!(
        told,
        [
            "user_edited ada: title, phone",
            "user_protected ada: company, phone",
            "attendance_set ada: excluded in event e",
            "group_saved vip: ",
            "membership_set ada: added in group vip",
            "group_removed vip: 1 members by hand",
        ]
    );
    assert!(!log.to_string().contains("secret"), "{log}");
    assert_eq!(log["items"][0]["actor"], json!({"kind": "command_line"}));
    assert_ne!(log["items"], Value::Null);
}
