//! Who was erased by hand comes back through no door until the tombstone is lifted.

use rollcall::model::{EmailKey, Entry, SkipReason, Verdict};

use super::*;

/// Every door that there is: each sync, another event's, another source's, under another address, under another id.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_sync_brings_back_who_was_erased_until_the_tombstone_is_lifted() {
    let (world, ada) = (World::new().await, Somebody::new(5));
    let appliance = world.open().await;
    world.set("s", &[ada.record()]);
    sync_all(&appliance, false).await;
    let users = appliance.app.store.user_count();
    erase(&appliance, &ada.email).await;
    assert_eq!(appliance.app.store.user_count(), users - 1);
    let doors = [
        ada.record(),
        ada.with("id", "another-id"),
        ada.with("email", format!(" {}", ada.email.to_uppercase())),
        ada.with("email", "another@x.org"),
        ada.with("status", "cancelled"),
        ada.with("erase", true),
    ];
    for door in doors {
        world.set("s", std::slice::from_ref(&door));
        world.set("t", &[ada.with("id", "at-t")]);
        let dry = appliance.sync("e", "s", true, true).await;
        assert_eq!((dry.counts.create, dry.counts.skip), (0, 1), "a dry run says so, too");
        for full in [false, true] {
            for run in sync_all(&appliance, full).await {
                assert_eq!((run.counts.create, run.counts.skip), (0, 1), "{door}: {:?}", run.counts);
                let notes = appliance.entries(&run).into_iter().filter_map(|entry| match entry {
                    Entry::Record(note) => Some(note),
                    _ => None,
                });
                for note in notes.filter(|note| note.verdict == Verdict::Skip(SkipReason::Erased)) {
                    assert_eq!(note.external_id, None, "not even the id is noted");
                }
            }
        }
        assert_eq!(appliance.app.store.user_count(), users - 1, "{door}");
    }
    // Another person's address becomes that of the erased: their record is skipped, they stay as they are.
    let mut changed = other(3);
    changed["email"] = json!(ada.email);
    let records: Vec<Value> = (0..20).map(|n| if n == 3 { changed.clone() } else { other(n) }).collect();
    world.server.set("s", vec![json!({ "items": records }).to_string()]);
    let run = appliance.sync("e", "s", false, false).await;
    assert_eq!((run.counts.skip, run.counts.missing), (1, 1), "{:?}", run.counts);
    assert!(appliance.app.store.user_by_email(&EmailKey::of("other3@x.org")).is_some());
    assert!(appliance.app.store.user_by_email(&EmailKey::of(&ada.email)).is_none());

    let tombstone = get(&appliance, "/v1/tombstones").await["items"][0].take();
    assert_eq!(tombstone["records"], 1, "one record in two events: {tombstone}");
    let path = format!("/v1/tombstones/{}", tombstone["id"].as_str().unwrap());
    world.set("s", &[ada.record()]);
    assert_eq!(ask(&appliance, Method::DELETE, &path).await.0, 204);
    assert_eq!(ask(&appliance, Method::DELETE, &path).await.0, 404);
    assert_eq!(get(&appliance, "/v1/audit?action=tombstone_lifted").await["items"][0]["subject"], tombstone["id"]);
    assert_eq!(appliance.sync("e", "s", false, true).await.counts.create, 1, "lifted");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_tombstone_the_next_sync_brings_them_back() {
    let (world, ada) = (World::new().await, Somebody::new(6));
    let appliance = world.open().await;
    world.set("s", &[ada.record()]);
    appliance.sync("e", "s", false, false).await;
    let id = id_of(&appliance, &ada.email).unwrap();
    let (status, _) = ask(&appliance, Method::DELETE, &format!("/v1/users/{id}?keep_out=false")).await;
    assert_eq!((status, id_of(&appliance, &ada.email)), (200, None));
    assert_eq!(appliance.sync("e", "s", false, false).await.counts.create, 1);
    assert_eq!(id_of(&appliance, &ada.email), Some(id), "the id they had");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_preview_says_that_they_are_kept_out() {
    let (world, ada) = (World::new().await, Somebody::new(7));
    let appliance = world.open().await;
    world.set("s", &[ada.record()]);
    appliance.sync("e", "s", false, false).await;
    erase(&appliance, &ada.email).await;
    let (status, preview) = ask(&appliance, Method::POST, "/v1/events/e/preview?source=s").await;
    assert_eq!(status, 200, "{preview}");
    let text = preview.to_string();
    assert!(text.contains("\"erased\""), "{text}");
    assert!(appliance.app.store.user_by_email(&EmailKey::of(&ada.email)).is_none());
}

/// The list is being read when the person is erased: what was spooled of them is not planned.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_under_way_does_not_bring_them_back() {
    let (world, ada) = (World::new().await, Somebody::new(8));
    let appliance = world.open().await;
    world.set("s", &[ada.record()]);
    appliance.sync("e", "s", false, false).await;
    world.set("t", &[ada.with("id", "at-t")]);
    // Its first page is read, its end is not.
    let (pages, end) = (world.server.clone(), std::time::Duration::from_millis(20));
    pages.stall_at("t", 2);
    let feed = appliance.app.runner.feeds(&"e".to_owned().try_into().unwrap(), None).unwrap().remove(1);
    let request = rollcall::sync::Request { trigger: rollcall::model::Trigger::Api, dry_run: false, full: false };
    let started = appliance.app.runner.start(feed, request).await.unwrap();
    while world.server.stalled() == 0 {
        tokio::time::sleep(end).await;
    }
    let erasure = erase(&appliance, &ada.email).await;
    assert_eq!(erasure["files_cleaned_at"], Value::Null, "a run that began before holds them: {erasure}");
    world.server.go_on("t");
    let run = appliance.app.runner.wait(started.run).await.unwrap().unwrap();
    assert_eq!((run.counts.create, run.counts.skip), (0, 1), "{:?} {:?}", run.counts, run.error);
    assert_eq!(id_of(&appliance, &ada.email), None);
    let erasure = get(&appliance, "/v1/erasures").await["items"][0].take();
    assert!(!erasure["files_cleaned_at"].is_null(), "with its end the files are clean: {erasure}");
    let runs = appliance.app.store.runs_folder();
    assert!(ada.words().iter().all(|word| files_with(&runs, word).is_empty()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tombstones_survive_a_store_put_back_from_an_older_backup() {
    let (world, ada) = (World::new().await, Somebody::new(9));
    let appliance = world.open().await;
    world.set("s", &[ada.record()]);
    appliance.sync("e", "s", false, false).await;
    let folder = appliance.close().await;
    let data = folder.path().join("data");
    let backup = tempfile::tempdir().unwrap();
    for entry in ["db/db", "db/conf", "anchor"] {
        let to = backup.path().join(entry);
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(data.join(entry), to).unwrap();
    }
    let appliance = Appliance::open_at(folder, &world.config).await;
    erase(&appliance, &ada.email).await;
    let folder = appliance.close().await;
    std::fs::remove_dir_all(data.join("db")).unwrap();
    std::fs::create_dir_all(data.join("db")).unwrap();
    std::fs::remove_file(data.join("index")).ok();
    for entry in ["db/db", "db/conf", "anchor"] {
        std::fs::copy(backup.path().join(entry), data.join(entry)).unwrap();
    }
    let mut appliance = Appliance::open_at(folder, &world.config).await;
    for _ in 0..2 {
        assert!(id_of(&appliance, &ada.email).is_some(), "the backup has them");
        assert_eq!(get(&appliance, "/v1/tombstones").await["items"].as_array().unwrap().len(), 1);
        appliance = appliance.reopen(&world.config).await;
    }
    erase(&appliance, &ada.email).await;
    let run = appliance.sync("e", "s", false, true).await;
    assert_eq!((run.counts.create, run.counts.skip), (0, 1), "{:?}", run.counts);
}
