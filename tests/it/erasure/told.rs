//! What is told of an erasure, and of a person to whoever has a right to know.

use super::*;
use crate::support::Installation;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erasure_is_told_without_anything_personal() {
    let (world, ada) = (World::new().await, Somebody::new(10));
    let appliance = world.open().await;
    world.set("s", &[ada.record()]);
    sync_all(&appliance, false).await;
    let id = id_of(&appliance, &ada.email).unwrap();
    let erasure = erase(&appliance, &ada.email).await;
    assert_eq!(erasure["users"], json!([id]));
    assert_eq!(erasure["by"], json!({"kind": "command_line"}));
    assert_eq!(erasure["compaction_due_at"].as_str().unwrap()[..10], *"2026-03-02", "a day later: {erasure}");
    let told = get(&appliance, "/v1/erasures").await;
    assert_eq!(told["items"], json!([erasure]));
    let audit = get(&appliance, "/v1/audit").await;
    assert_eq!(audit["items"][0]["action"], "person_erased", "{audit}");
    assert_eq!(audit["items"][0]["subject"], json!(id));
    let tombstones = get(&appliance, "/v1/tombstones").await;
    for word in ada.words() {
        assert!(!format!("{told}{audit}{tombstones}").contains(word), "{word}");
    }
    assert_eq!(ask(&appliance, Method::DELETE, &format!("/v1/users/{id}")).await.0, 404, "once");
    assert_eq!(ask(&appliance, Method::GET, &format!("/v1/users/{id}/export")).await.0, 404);
    assert_eq!(ask(&appliance, Method::DELETE, "/v1/tombstones/nonsense").await.0, 404);
    for run in 1..=3 {
        let changes = get(&appliance, &format!("/v1/runs/{run}/changes?limit=1000")).await;
        let text = changes.to_string();
        assert!(!ada.words().iter().any(|word| text.contains(word)), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_holds_everything_stored_about_the_person() {
    let (world, ada) = (World::new().await, Somebody::new(11));
    let appliance = world.open().await;
    world.set("s", &[ada.with("last", "Before")]);
    sync_all(&appliance, false).await;
    world.set("s", &[ada.record()]);
    sync_all(&appliance, false).await;
    world.set("s", &[ada.with("email", "none")]);
    appliance.sync("e", "s", false, false).await;
    let id = id_of(&appliance, &ada.email).unwrap();
    let export = get(&appliance, &format!("/v1/users/{id}/export")).await;
    assert_eq!(export["id"], json!(id));
    let text = export.to_string();
    for word in ada.words() {
        assert!(text.contains(word), "{word}");
    }
    assert!(!text.contains("other3@x.org"), "of nobody else");
    assert_eq!(export["user"]["email"]["value"], json!(ada.email));
    let registrations = export["registrations"].as_array().unwrap();
    assert_eq!(registrations.len(), 2, "{export}");
    assert!(
        registrations.iter().all(|r| r["groups"] == json!(["choir"]) && r["raw_digest"].as_str().unwrap().len() == 32)
    );
    let changes: Vec<_> =
        export["changes"].as_array().unwrap().iter().map(|c| (&c["run"], &c["change"]["action"])).collect();
    let (create, update) = (json!("create"), json!("update"));
    assert_eq!(
        changes,
        [
            (&json!(1), &create),
            (&json!(3), &create),
            (&json!(4), &update),
            (&json!(6), &update),
            (&json!(7), &json!("reject")),
        ],
        "{export}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_does_it_with_and_without_a_server() {
    let (world, ada) = (World::new().await, Somebody::new(12));
    world.set("s", &[ada.record()]);
    let installation = Installation::new(&world.config);
    let run = async |arguments: &[&str]| {
        let mut program = installation.start(arguments);
        (program.code().await, program.stdout())
    };
    assert_eq!(run(&["sync", "e", "--source", "s"]).await.0, Some(0));
    let mut server = None;
    for served in [false, true] {
        if served {
            server = Some(installation.start(&["serve"]));
            server.as_ref().unwrap().serves().await;
        }
        let (code, members) = run(&["runs", "show", "1", "--changes", "--json"]).await;
        assert_eq!(code, Some(0), "{members}");
        let changes: Value = serde_json::from_str(&members).unwrap();
        let changes = changes["changes"].as_array().cloned().unwrap_or_default();
        let id = changes.iter().find(|change| change["email"] == json!(ada.email));
        let Some(id) = id.map(|change| change["user"].as_str().unwrap().to_owned()) else {
            assert!(served, "{members}");
            let (code, said) = run(&["erasures"]).await;
            assert!(code == Some(0) && said.contains("command line"), "{said}");
            let (code, said) = run(&["tombstones", "--json"]).await;
            assert_eq!(code, Some(0), "{said}");
            let tombstones: Value = serde_json::from_str(&said).unwrap();
            let tombstone = tombstones["items"][0]["id"].as_str().unwrap();
            assert_eq!(run(&["tombstones", "lift", tombstone]).await.0, Some(0));
            let (code, said) = run(&["compact"]).await;
            assert!(code == Some(0) && said.contains("bytes"), "{said}");
            continue;
        };
        let (code, export) = run(&["export", &id]).await;
        assert!(code == Some(0) && export.contains(&ada.first), "{export}");
        assert_eq!(run(&["erase", &id]).await.0, Some(2), "it asks, and nobody answers");
        let (code, said) = run(&["erase", &id, "--yes"]).await;
        assert!(code == Some(0) && said.contains("1 registrations, 1 journals cleaned, kept out"), "{said}");
        assert_eq!(run(&["erase", &id, "--yes"]).await.0, Some(2), "there is nobody any more");
        let (code, said) = run(&["compact", "--json"]).await;
        assert!(code == Some(0) && said.contains("bytes_after"), "{said}");
        assert!(ada.words().iter().all(|word| files_with(&installation.data(), word).is_empty()));
    }
    assert!(server.is_some());
}
